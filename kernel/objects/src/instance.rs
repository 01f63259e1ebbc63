//! Cells: from an image to running threads, and their end.

use abi::KernelError;
use abi::kernel::Start;
use capability::{CNode, ObjectHeader, ObjectKind, Slot};
use image::{Demand, VerifiedImage};
use paging::Protection;

use crate::exclusive::Exclusive;
use crate::notification::Notification;
use crate::reply::Reply;
use crate::tcb::{State, Tcb};
use crate::vspace::{Name, Outcome, Region, VSpace};
use crate::{Failure, authority, devices, ipc, keeper, lease, memory, notification, scheduler, scope, taking_part};

/// Bytes of stack that a kernel function may need, so that it cannot overflow half-way.
pub const STACK_RESERVE: usize = 6 * 1024;

/// What the loader trusts, and what it resolves imports with.
pub struct Linkage {
    /// The public key of the builder.
    pub key: [u8; 32],
    /// Hash of the kernel's surface.
    pub kernel_abi: u64,
    /// Names of the surface.
    pub names: &'static [&'static str],
    /// Address of a name.
    pub resolve: fn(&str) -> Option<u64>,
}

static LINKAGE: spin::Once<Linkage> = spin::Once::new();

/// Says how cells are linked. Once, at boot.
pub fn install(linkage: Linkage) {
    LINKAGE.call_once(|| linkage);
}

fn trust() -> image::Trust<'static> {
    let Some(linkage) = LINKAGE.get() else { x86::bug!("images are verified before the kernel says whom it trusts") };
    image::Trust { key: linkage.key, kernel_abi: linkage.kernel_abi, imports: linkage.names }
}

/// Verifies signed bytes, and logs what is wrong with them.
pub(crate) fn verify(bytes: &[u8]) -> Result<VerifiedImage<'_>, Failure> {
    image::verify(bytes, &trust()).map_err(|refusal| {
        log::warn!("image refused: {refusal}");
        Failure(KernelError::ImageRefused, 0)
    })
}

/// An image object: a header and the pristine signed bytes.
#[repr(C)]
pub(crate) struct ImageObject {
    header: [u64; 2],
    length: core::cell::Cell<u64>,
    /// SHA-256 of the bytes.
    hash: core::cell::Cell<[u8; 32]>,
    reserved: u64,
}

const IMAGE_HEADER: usize = size_of::<ImageObject>();

impl ImageObject {
    /// # Safety
    /// There is an image object at `address`, live for as long as the reference is used.
    pub(crate) unsafe fn at<'a>(address: usize) -> &'a ImageObject {
        // SAFETY: the caller's word.
        unsafe { &*core::ptr::with_exposed_provenance(address) }
    }

    fn room(&self) -> (usize, usize) {
        let address = core::ptr::from_ref(self).expose_provenance();
        // SAFETY: an image object begins with its header.
        let header = unsafe { ObjectHeader::at(address) };
        (address + IMAGE_HEADER, (1 << header.size_bits()) - IMAGE_HEADER)
    }

    /// The bytes; empty before it was filled.
    pub(crate) fn bytes(&self) -> &[u8] {
        let (start, _) = self.room();
        // SAFETY: `fill` wrote so many bytes there, within the object; nothing writes them again.
        unsafe { core::slice::from_raw_parts(core::ptr::with_exposed_provenance(start), self.length.get() as usize) }
    }

    /// Keeps bytes that verify.
    pub(crate) fn fill(&self, bytes: &[u8]) -> Result<(), Failure> {
        let (start, room) = self.room();
        if self.length.get() != 0 {
            return Err(KernelError::IllegalOperation.into());
        }
        if bytes.len() > room {
            return Err(Failure(KernelError::TooLarge, room as u64));
        }
        let hash = *verify(bytes)?.hash();
        let target = core::ptr::with_exposed_provenance_mut::<u8>(start);
        // SAFETY: the object's own room, which is long enough, and nobody reads it before the length is set.
        unsafe { core::ptr::copy_nonoverlapping(bytes.as_ptr(), target, bytes.len()) };
        self.hash.set(hash);
        self.length.set(bytes.len() as u64);
        Ok(())
    }

    /// What the bytes say, which were verified when the object was filled: its memory is the kernel's, and is not written again.
    pub(crate) fn verified(&self) -> Result<VerifiedImage<'_>, Failure> {
        if self.length.get() == 0 {
            return Err(KernelError::IllegalOperation.into());
        }
        match image::reopen(self.bytes(), &trust(), self.hash.get()) {
            Ok(image) => Ok(image),
            Err(refusal) => x86::bug!("an image that was verified has changed: {refusal}"),
        }
    }
}

/// What an image asks for: heap, stack (bytes), slots.
pub(crate) fn demands(image: &VerifiedImage<'_>) -> (u64, u64, u64) {
    let (mut heap, mut stack, mut slots) = (64 << 10, 32 << 10, 64);
    for demand in image.manifest().demands.iter() {
        match demand {
            Demand::Heap(bytes) => heap = bytes,
            Demand::Stack(bytes) => stack = bytes,
            Demand::Slots(count) => slots = u64::from(count),
            Demand::Capability(_) => {}
        }
    }
    (heap, stack, slots)
}

/// Relocates an image into a frame, as the code of an empty VSpace.
pub(crate) fn instantiate(image: &ImageObject, vspace: &VSpace, frame: &Slot) -> Result<(), Failure> {
    let Some(linkage) = LINKAGE.get() else { x86::bug!("a cell is loaded before the kernel says how") };
    if vspace.entry.get() != 0 || frame.badge() != 0 {
        return Err(KernelError::IllegalOperation.into());
    }
    let verified = image.verified()?;
    let needed = verified.layout().bytes();
    if needed > frame.object_bytes() {
        return Err(Failure(KernelError::NotEnoughMemory, frame.object_bytes()));
    }
    // The whole frame is mapped, as of every memory object: what goes with its capability is then what was mapped.
    let region = memory::map_image(frame.object(), frame.object_bytes())?;
    let loaded = match relocate(&verified, region, linkage) {
        Ok(loaded) => loaded,
        Err(failure) => {
            memory::free_image(region);
            return Err(failure);
        }
    };
    authority::with(|context| capability::set_mapping(context, frame, region.start))?;
    vspace.image.set(region);
    vspace.entry.set(loaded.entry);
    vspace.text.set(Region { start: loaded.text.start, bytes: loaded.text.end - loaded.text.start });
    vspace.data.set(Region { start: loaded.data.start, bytes: region.start + needed - loaded.data.start });
    vspace.hash.set(*verified.hash());
    vspace.name.set(Name::new(verified.manifest().name).0);
    let manifest = verified.manifest();
    log::info!("cell {} {} at {:#x}..{:#x}", manifest.name, manifest.version, loaded.text.start, loaded.text.end);
    Ok(())
}

/// Writes the code at its addresses and takes the right to write away from what is code or constant. What fails is
/// unmapped by the caller.
fn relocate(verified: &VerifiedImage<'_>, region: Region, linkage: &Linkage) -> Result<image::Loaded, Failure> {
    let start = core::ptr::with_exposed_provenance_mut::<u8>(region.start as usize);
    // SAFETY: the region was mapped writable just now, and nobody else knows of it.
    let out = unsafe { core::slice::from_raw_parts_mut(start, region.bytes as usize) };
    let loaded = verified.relocate(out, region.start, linkage.resolve).map_err(|refusal| {
        log::warn!("image refused: {refusal}");
        Failure(KernelError::ImageRefused, 0)
    })?;
    memory::protect(&loaded.text, Protection::ReadExecute)?;
    memory::protect(&loaded.rodata, Protection::ReadOnly)?;
    Ok(loaded)
}

/// Writes the variables of an instance that does not run as its image has them.
///
/// # Errors
/// `ImageRefused` for another image.
pub(crate) fn renew_variables(image: &ImageObject, vspace: &VSpace) -> Result<(), Failure> {
    let Some(linkage) = LINKAGE.get() else { x86::bug!("a cell begins again before the kernel says how") };
    let verified = image.verified()?;
    if *verified.hash() != vspace.hash.get() {
        return Err(KernelError::ImageRefused.into());
    }
    let data = vspace.data.get();
    let start = core::ptr::with_exposed_provenance_mut::<u8>(data.start as usize);
    // SAFETY: the region is the writable part of an image that is still mapped, and no thread of its cell runs.
    let variables = unsafe { core::slice::from_raw_parts_mut(start, data.bytes as usize) };
    verified.renew(variables, vspace.image.get().start, linkage.resolve).map_err(|refusal| {
        log::warn!("image refused: {refusal}");
        Failure(KernelError::ImageRefused, 0)
    })
}

/// Maps a frame into a VSpace, or answers where it is mapped.
pub(crate) fn map(frame: &Slot, vspace: &VSpace) -> Result<Region, Failure> {
    if frame.badge() != 0 {
        return Ok(Region { start: frame.badge(), bytes: frame.object_bytes() });
    }
    let region = memory::map_region(frame.object(), frame.object_bytes())?;
    if let Err(failure) = vspace.add(region) {
        memory::unmap(region);
        return Err(failure);
    }
    authority::with(|context| capability::set_mapping(context, frame, region.start))?;
    Ok(region)
}

/// What a thread is made of.
pub(crate) struct Parts<'a> {
    pub(crate) cnode: &'a Slot,
    pub(crate) vspace: &'a Slot,
    pub(crate) stack: &'a Slot,
    pub(crate) heap: &'a Slot,
    pub(crate) argument: u64,
}

/// Gives a thread its parts and the first context: the entry of its cell, with a [`Start`] on top of the stack.
pub(crate) fn configure(thread: &Tcb, parts: &Parts<'_>) -> Result<(), Failure> {
    if thread.state.get() != State::Raw {
        return Err(KernelError::IllegalOperation.into());
    }
    // SAFETY: the slot was found to hold a VSpace, which its capability keeps alive.
    let vspace = unsafe { VSpace::at(parts.vspace.object() as usize) };
    if vspace.entry.get() == 0 || vspace.outcome.get() != Outcome::Running {
        return Err(KernelError::IllegalOperation.into());
    }
    let stack = map(parts.stack, vspace)?;
    let heap = map(parts.heap, vspace)?;
    authority::with(|context| capability::copy(context, parts.cnode, &thread.cnode, parts.cnode.rights()))?;
    authority::with(|context| capability::copy(context, parts.vspace, &thread.vspace, parts.vspace.rights()))?;
    thread.sign_parts()?;
    thread.set_cnode();
    let home = Home { stack, heap, argument: parts.argument };
    // What an instance begins again with is its first thread's; further ones end with it for good.
    if vspace.stack.get().bytes == 0 {
        vspace.stack.set(stack);
        vspace.heap.set(heap);
        vspace.argument.set(parts.argument);
    }
    prepare_at(thread, vspace, &home)
}

/// What a thread begins with.
struct Home {
    stack: Region,
    heap: Region,
    argument: u64,
}

/// Gives an instance's first thread, which has its parts, a number, its first context, and its place.
pub(crate) fn prepare(thread: &Tcb, vspace: &VSpace) -> Result<(), Failure> {
    let home = Home { stack: vspace.stack.get(), heap: vspace.heap.get(), argument: vspace.argument.get() };
    prepare_at(thread, vspace, &home)
}

/// Gives a thread that has its parts a number, its first context, and a place in its instance.
fn prepare_at(thread: &Tcb, vspace: &VSpace, home: &Home) -> Result<(), Failure> {
    let Home { stack, heap, argument } = *home;
    thread.set_identity(scheduler::identity());
    thread.stack_limit.set(stack.start as usize + STACK_RESERVE);
    let own = thread.cnode().slot(abi::slots::CNODE)?;
    let start = Start {
        heap: heap.start as usize,
        heap_length: heap.bytes as usize,
        cnode: abi::token::RawCap { slot: abi::slots::CNODE.into(), generation: own.generation() },
        argument,
    };
    let top = (stack.start + stack.bytes) as usize;
    let at = (top - size_of::<Start>()) & !15;
    // SAFETY: the stack was mapped writable, is larger than this (a frame has at least a page), and no thread runs on it.
    unsafe { core::ptr::with_exposed_provenance_mut::<Start>(at).write(start) };
    // SAFETY: as above, and the stack below belongs to this thread alone.
    let context = unsafe { x86::switch::prepare_stack(at, begin, vspace.entry.get() as usize, at) };
    thread.context.set(context);
    vspace.add_thread(thread);
    thread.state.set(State::Ready);
    Ok(())
}

/// The first code of a thread, on its own stack, with interrupts off as the switch left them.
extern "C" fn begin(entry: usize, start: usize) -> ! {
    // SAFETY: the entry is that of a verified image, mapped executable, of just this type (see `image::ENTRY`).
    let entry: extern "C" fn(usize) -> ! = unsafe { core::mem::transmute(entry) };
    x86::cpu::enable_interrupts();
    entry(start)
}

/// Starts a thread that has its parts.
pub(crate) fn start(thread: &Tcb) -> Result<(), Failure> {
    if thread.state.get() != State::Ready {
        return Err(KernelError::IllegalOperation.into());
    }
    if let Some(vspace) = thread.vspace()
        && !vspace.is_endowed.replace(true)
    {
        thread.cnode().endow();
    }
    thread.state.set(State::Started);
    scheduler::ready(thread);
    scheduler::give_way();
    Ok(())
}

/// A thread is never run again: it leaves every queue, and whoever waits for it is answered.
pub(crate) fn end_thread(thread: &Tcb) {
    if thread.state.get() == State::Ended {
        return;
    }
    let had_parts = thread.state.get() != State::Raw;
    thread.state.set(State::Ended);
    scheduler::remove(thread);
    ipc::abandon(thread);
    notification::abandon(thread);
    // SAFETY: a notification that goes away unbinds its thread.
    if let Some(bound) = unsafe { thread.bound.get().as_ref() } {
        bound.unbind();
        thread.unbind();
    }
    let begun = thread.own_scope();
    thread.set_own_scope(0);
    if let Some(scope) = scope::find(begun) {
        scope.orphan();
    }
    if !had_parts {
        return;
    }
    forget_holder(thread);
    if let Some(vspace) = thread.vspace() {
        vspace.remove_thread(thread);
    }
}

/// A thread loses its CNode or its VSpace, perhaps since it is deleted itself, in the middle of an operation of the object
/// layer: it must not run again. An instance that has no other thread has failed.
pub(crate) fn lose_part(thread: &Tcb) {
    // SAFETY: a thread is an object with a header, and lives as long as its slots.
    let is_deleted = unsafe { ObjectHeader::at(thread.address()) }.cap_count() == 0;
    if let Some(vspace) = thread.vspace()
        && vspace.outcome.get() == Outcome::Running
        && thread.state.get() == State::Started
        && !vspace.has_other_than(thread)
    {
        vspace.outcome.set(Outcome::Failed);
        taking_part::noted_end(thread);
        if !is_deleted {
            log::error!("cell {} failed: it was taken apart", vspace.name());
            keeper::noted_end(vspace);
        }
        // Its CNode is there until this operation has come to it.
        if !thread.cnode.is_empty() {
            release_services(thread.cnode());
        }
        ENDS.get().tell();
    }
    end_thread(thread);
}

/// Somebody who is told of an event by a notification.
struct Watcher {
    notification: Slot,
    bits: core::cell::Cell<u64>,
}

impl Watcher {
    #[expect(clippy::declare_interior_mutable_const, reason = "each use is a new watcher, which is what it is for")]
    const NOBODY: Watcher = Watcher { notification: Slot::EMPTY, bits: core::cell::Cell::new(0) };

    fn set(&self, notification: &Slot, bits: u64) -> Result<(), Failure> {
        let _ = authority::with(|context| capability::delete(context, &self.notification, authority::BUDGET))?;
        authority::with(|context| capability::copy(context, notification, &self.notification, notification.rights()))?;
        self.bits.set(bits);
        Ok(())
    }

    fn tell(&self) {
        if self.notification.is(ObjectKind::Notification) {
            // SAFETY: the slot's capability keeps it alive.
            unsafe { Notification::at(self.notification.object() as usize) }.signal(self.bits.get());
        }
    }
}

static ENDS: Exclusive<Watcher> = Exclusive::new(Watcher::NOBODY);
static ABORTS: Exclusive<Watcher> = Exclusive::new(Watcher::NOBODY);

/// Names the notification that hears of every instance's end.
pub(crate) fn watch(notification: &Slot, bits: u64) -> Result<(), Failure> {
    ENDS.get().set(notification, bits)
}

/// Names the notification that hears of every aborted transaction.
pub(crate) fn watch_aborts(notification: &Slot, bits: u64) -> Result<(), Failure> {
    ABORTS.get().set(notification, bits)
}

/// A transaction was aborted, and what hung on it is revoked.
pub(crate) fn tell_of_abort() {
    ABORTS.get().tell();
}

/// The instance of a thread ends, with all its threads. Requests that it holds are answered, endpoints that it served
/// count one more epoch; requests that are parked there stay for whoever serves next.
pub(crate) fn end_instance(thread: &Tcb, outcome: Outcome, status: u64) {
    let Some(vspace) = thread.vspace() else { x86::bug!("a thread of the kernel's own ended") };
    taking_part::noted_end(thread);
    vspace.outcome.set(outcome);
    vspace.exit_status.set(status);
    release_services(thread.cnode());
    while let Some(first) = vspace.first_thread() {
        end_thread(first);
    }
    keeper::noted_end(vspace);
    ENDS.get().tell();
}

/// Takes the bus from every device that was used from this CNode, answers every request that is held by a reply object there,
/// and raises the epoch of the endpoint that is served from it. That is the one in the fixed slot: to others it may have the
/// right for somebody else's sake. The devices come first: what was lent to their driver is let go with the requests. The
/// scan costs the dying cell; a list of held requests would cost each call.
fn release_services(cnode: CNode<'_>) {
    for pass in [ObjectKind::PciFunction, ObjectKind::Irq, ObjectKind::Endpoint, ObjectKind::Reply] {
        for index in 1..cnode.capacity() {
            let Ok(slot) = cnode.slot(index) else { continue };
            if !slot.is(pass) {
                continue;
            }
            match pass {
                ObjectKind::PciFunction if devices::is_in_use(slot) => devices::silence(slot.object()),
                ObjectKind::Irq if devices::is_in_use(slot) => devices::release_irq(slot.object() as u8),
                ObjectKind::Reply => {
                    // SAFETY: the capability names a live reply object.
                    let reply = unsafe { Reply::at(slot.object() as usize) };
                    ipc::release(reply);
                    lease::finish(reply);
                }
                ObjectKind::Endpoint
                    if index == abi::slots::ENDPOINT && slot.rights().contains(capability::Rights::RECEIVE) =>
                {
                    let endpoint = core::ptr::with_exposed_provenance_mut::<ledger::Endpoint>(slot.object() as usize);
                    // SAFETY: the capability names a live endpoint; requests are answered by the last pass.
                    unsafe { (*endpoint).server_died() };
                }
                _ => {}
            }
        }
    }
}

/// No reply object names a thread that has ended as the holder of its request: neither the one that it was to receive
/// with, wherever its capability went, nor those in its CNode, which no capability leaves without being parted from it.
pub(crate) fn forget_holder(thread: &Tcb) {
    if let Some(last) = thread.last_reply() {
        ipc::forget(thread, last);
    }
    let cnode = thread.cnode();
    for index in 1..cnode.capacity() {
        let Ok(slot) = cnode.slot(index) else { continue };
        if slot.is(ObjectKind::Reply) {
            // SAFETY: the capability names a live reply object.
            ipc::forget(thread, unsafe { Reply::at(slot.object() as usize) });
        }
    }
}
