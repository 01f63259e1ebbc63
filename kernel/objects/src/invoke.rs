//! Operations on kernel objects, by kind: all that is not on the hot path.
//!
//! The first token names the object; others stand in the words. Each operation checks kind and rights of every token
//! that it is given before it changes anything.

use abi::KernelError;
use abi::kernel::{Answer, Operation, Scratch, WORDS};
use abi::token::RawCap;
use capability::{Anchor, CNode, ObjectKind, Progress, Rights, Slot};
use ledger::{AbiError, Endpoint};
use x86::serial;

use crate::instance::{self, ImageObject, Parts};
use crate::ipc::find;
use crate::notification::Notification;
use crate::reply::Reply;
use crate::scope::Scope;
use crate::status::ok;
use crate::tcb::{State, Tcb};
use crate::vspace::VSpace;
use crate::{Failure, authority, devices, keeper, restart, root, scheduler};

type Words = [u64; WORDS];
type Result<T> = core::result::Result<T, Failure>;

/// Kinds have one number on both sides of the surface.
macro_rules! same_numbers {
    ($($kind:ident),* $(,)?) => { $(
        const _: () = assert!(abi::kernel::Kind::$kind as u8 == ObjectKind::$kind as u8);
    )* };
}
same_numbers! {
    Untyped, Frame, Tcb, CNode, VSpace, Endpoint, Notification, Reply, Buf, Image, Scope, DmaFrame, PciFunction, Irq,
    IoPort, Loader, Scheduler, Serial, Settle, Machine,
}

/// Does one operation.
///
/// # Safety
/// Addresses among the words, where the operation takes any, are of memory that is the caller's until this returns.
pub unsafe fn invoke(operation: u64, slot: u64, generation: u64, words: &mut Words) -> Answer {
    let raw = RawCap { slot, generation };
    // SAFETY: the caller's word.
    match unsafe { dispatch(operation as u32, raw, words) } {
        Ok(value) => ok(value),
        Err(failure) => failure.into(),
    }
}

/// Waits for a notification.
pub fn wait(slot: u64, generation: u64, timeout: u64) -> Answer {
    match object(RawCap { slot, generation }, ObjectKind::Notification, Rights::RECEIVE) {
        Ok(slot) => {
            // SAFETY: the capability names a live notification.
            let notification = unsafe { Notification::at(slot.object() as usize) };
            crate::notification::wait(scheduler::current(), notification, timeout)
        }
        Err(failure) => failure.into(),
    }
}

fn token(words: &Words, at: usize) -> RawCap {
    RawCap { slot: words[at], generation: words[at + 1] }
}

fn cnode<'a>() -> CNode<'a> {
    scheduler::current().cnode()
}

fn object<'a>(raw: RawCap, kind: ObjectKind, rights: Rights) -> Result<&'a Slot> {
    find(cnode(), raw, kind, rights)
}

fn thread<'a>(raw: RawCap) -> Result<&'a Tcb> {
    let slot = object(raw, ObjectKind::Tcb, Rights::empty())?;
    // SAFETY: the capability names a live TCB.
    Ok(unsafe { Tcb::at(slot.object() as usize) })
}

fn vspace<'a>(raw: RawCap) -> Result<&'a VSpace> {
    let slot = object(raw, ObjectKind::VSpace, Rights::empty())?;
    // SAFETY: the capability names a live VSpace.
    Ok(unsafe { VSpace::at(slot.object() as usize) })
}

fn image<'a>(raw: RawCap) -> Result<&'a ImageObject> {
    let slot = object(raw, ObjectKind::Image, Rights::READ)?;
    // SAFETY: the capability names a live image object.
    Ok(unsafe { ImageObject::at(slot.object() as usize) })
}

fn scope<'a>(raw: RawCap) -> Result<&'a Scope> {
    let slot = object(raw, ObjectKind::Scope, Rights::empty())?;
    // SAFETY: the capability names a live scope.
    Ok(unsafe { Scope::at(slot.object() as usize) })
}

fn cnode_of<'a>(raw: RawCap) -> Result<CNode<'a>> {
    let slot = object(raw, ObjectKind::CNode, Rights::empty())?;
    // SAFETY: the capability names a live CNode, which is not kept beyond this operation.
    Ok(unsafe { CNode::of(slot) }?)
}

/// # Safety
/// The range is readable and the caller's own.
unsafe fn bytes<'a>(address: u64, length: u64) -> &'a [u8] {
    if length == 0 {
        return &[];
    }
    // SAFETY: the caller's word.
    unsafe { core::slice::from_raw_parts(core::ptr::with_exposed_provenance(address as usize), length as usize) }
}

/// # Safety
/// The range is writable and the caller's own.
unsafe fn room<'a>(address: u64, length: u64) -> &'a mut [u8] {
    if length == 0 {
        return &mut [];
    }
    let start = core::ptr::with_exposed_provenance_mut(address as usize);
    // SAFETY: the caller's word.
    unsafe { core::slice::from_raw_parts_mut(start, length as usize) }
}

/// # Safety
/// As [`invoke`].
unsafe fn dispatch(operation: u32, raw: RawCap, words: &mut Words) -> Result<u64> {
    const RETYPE: u32 = Operation::Retype as u32;
    const UNTYPED_INFO: u32 = Operation::UntypedInfo as u32;
    const UNTYPED_NOTE: u32 = Operation::UntypedNote as u32;
    const COPY: u32 = Operation::Copy as u32;
    const MOVE: u32 = Operation::Move as u32;
    const DELETE: u32 = Operation::Delete as u32;
    const REVOKE: u32 = Operation::Revoke as u32;
    const INSPECT: u32 = Operation::Inspect as u32;
    const MAP: u32 = Operation::Map as u32;
    const TCB_CONFIGURE: u32 = Operation::TcbConfigure as u32;
    const TCB_START: u32 = Operation::TcbStart as u32;
    const TCB_STOP: u32 = Operation::TcbStop as u32;
    const TCB_PRIORITY: u32 = Operation::TcbPriority as u32;
    const TCB_BIND: u32 = Operation::TcbBind as u32;
    const TCB_INFO: u32 = Operation::TcbInfo as u32;
    const TCB_RESTART: u32 = Operation::TcbRestart as u32;
    const ENDPOINT_ABI: u32 = Operation::EndpointAbi as u32;
    const ENDPOINT_CHECK: u32 = Operation::EndpointCheck as u32;
    const SIGNAL: u32 = Operation::Signal as u32;
    const IMAGE_FILL: u32 = Operation::ImageFill as u32;
    const IMAGE_READ: u32 = Operation::ImageRead as u32;
    const INSTANTIATE: u32 = Operation::Instantiate as u32;
    const IMAGE_NEEDS: u32 = Operation::ImageNeeds as u32;
    const WATCH_INSTANCES: u32 = Operation::WatchInstances as u32;
    const WATCH_ABORTS: u32 = Operation::WatchAborts as u32;
    const ARCHIVE_READ: u32 = Operation::ArchiveRead as u32;
    const IMAGE_NAME: u32 = Operation::ImageName as u32;
    const KEEP: u32 = Operation::Keep as u32;
    const VSPACE_INFO: u32 = Operation::VSpaceInfo as u32;
    const SCOPE_ATTACH: u32 = Operation::ScopeAttach as u32;
    const SCOPE_SETTLE: u32 = Operation::ScopeSettle as u32;
    const SCOPE_ABORT: u32 = Operation::ScopeAbort as u32;
    const SERIAL_WRITE: u32 = Operation::SerialWrite as u32;
    const SERIAL_READ: u32 = Operation::SerialRead as u32;
    const SERIAL_WATCH: u32 = Operation::SerialWatch as u32;
    const IRQ_BIND: u32 = Operation::IrqBind as u32;
    const IRQ_ACKNOWLEDGE: u32 = Operation::IrqAcknowledge as u32;
    const PCI_READ: u32 = Operation::PciRead as u32;
    const PCI_WRITE: u32 = Operation::PciWrite as u32;
    const PCI_MAP: u32 = Operation::PciMap as u32;
    const PORT_READ: u32 = Operation::PortRead as u32;
    const PORT_WRITE: u32 = Operation::PortWrite as u32;
    const DMA_MAP: u32 = Operation::DmaMap as u32;
    const HALT: u32 = Operation::Halt as u32;
    const MACHINE_INFO: u32 = Operation::MachineInfo as u32;
    const COMMAND_LINE: u32 = Operation::CommandLine as u32;
    match operation {
        RETYPE => retype(raw, words),
        UNTYPED_INFO => untyped_info(raw, words),
        UNTYPED_NOTE => {
            object(raw, ObjectKind::Untyped, Rights::empty())?.set_note([words[0], words[1]])?;
            Ok(0)
        }
        COPY => copy(raw, words),
        MOVE => move_(raw, words),
        DELETE => delete(raw),
        REVOKE => revoke(raw),
        INSPECT => inspect(raw, words),
        MAP => map(raw, words),
        DMA_MAP => dma_map(raw, words),
        TCB_CONFIGURE => configure(raw, words),
        TCB_START => instance::start(thread(raw)?).map(|()| 0),
        TCB_STOP => stop(raw),
        TCB_PRIORITY => priority(raw, words),
        TCB_BIND => bind(raw, words),
        TCB_INFO => tcb_info(raw, words),
        TCB_RESTART => restart_instance(raw, words),
        ENDPOINT_ABI => serve(raw, words),
        ENDPOINT_CHECK => check(raw, words),
        SIGNAL => signal(raw, words),
        // SAFETY: the words are the range that the caller answers for.
        IMAGE_FILL => image(raw)?.fill(unsafe { bytes(words[0], words[1]) }).map(|()| 0),
        IMAGE_READ => {
            // SAFETY: as above.
            let into = unsafe { room(words[1], words[2]) };
            read_part(image(raw)?.bytes(), words[0], into)
        }
        INSTANTIATE => instantiate(raw, words),
        IMAGE_NEEDS => image_needs(raw, words),
        WATCH_INSTANCES => {
            object(raw, ObjectKind::Loader, Rights::EXECUTE)?;
            let notification = object(token(words, 0), ObjectKind::Notification, Rights::SEND)?;
            instance::watch(notification, words[2]).map(|()| 0)
        }
        WATCH_ABORTS => {
            object(raw, ObjectKind::Loader, Rights::EXECUTE)?;
            let notification = object(token(words, 0), ObjectKind::Notification, Rights::SEND)?;
            instance::watch_aborts(notification, words[2]).map(|()| 0)
        }
        ARCHIVE_READ => {
            object(raw, ObjectKind::Loader, Rights::EXECUTE)?;
            let entry = root::archive_entry(words[0]).ok_or(KernelError::OutOfRange)?;
            // SAFETY: as above.
            let length = read_part(entry.bytes, 0, unsafe { room(words[1], words[2]) })?;
            put_bytes(words, entry.name.as_bytes());
            Ok(length)
        }
        IMAGE_NAME => {
            object(raw, ObjectKind::Loader, Rights::EXECUTE)?;
            let verified = image(token(words, 0))?.verified()?;
            let manifest = verified.manifest();
            // SAFETY: as above.
            let into = unsafe { room(words[2], words[3]) };
            let text = manifest.name.bytes().chain([b' ']).chain(manifest.version.bytes());
            for (slot, byte) in into.iter_mut().zip(text) {
                *slot = byte;
            }
            Ok((manifest.name.len() + 1 + manifest.version.len()) as u64)
        }
        KEEP => {
            object(raw, ObjectKind::Loader, Rights::EXECUTE)?;
            let tcb = object(token(words, 0), ObjectKind::Tcb, Rights::empty())?;
            let image = object(token(words, 2), ObjectKind::Image, Rights::READ)?;
            keeper::keep(tcb, image, scratch(words[4])?).map(|()| 0)
        }
        VSPACE_INFO => vspace_info(raw, words),
        SCOPE_ATTACH => attach(raw, words),
        SCOPE_SETTLE => settle(raw, words),
        SCOPE_ABORT => abort(raw, words),
        SERIAL_WRITE => {
            object(raw, ObjectKind::Serial, Rights::WRITE)?;
            // SAFETY: as above.
            Ok(serial::send(unsafe { bytes(words[0], words[1]) }) as u64)
        }
        SERIAL_READ => {
            object(raw, ObjectKind::Serial, Rights::READ)?;
            // SAFETY: as above.
            Ok(serial::receive(unsafe { room(words[0], words[1]) }) as u64)
        }
        SERIAL_WATCH => {
            object(raw, ObjectKind::Serial, Rights::READ)?;
            let notification = object(token(words, 0), ObjectKind::Notification, Rights::SEND)?;
            devices::watch_serial(notification, words[2]).map(|()| 0)
        }
        IRQ_BIND => {
            let gsi = object(raw, ObjectKind::Irq, Rights::empty())?.object() as u8;
            let notification = object(token(words, 0), ObjectKind::Notification, Rights::SEND)?;
            devices::bind_irq(gsi, notification, words[2]).map(|()| 0)
        }
        IRQ_ACKNOWLEDGE => {
            devices::acknowledge_irq(object(raw, ObjectKind::Irq, Rights::empty())?.object() as u8).map(|()| 0)
        }
        PCI_READ => {
            let function = object(raw, ObjectKind::PciFunction, Rights::READ)?.object();
            devices::configuration(function, words[0], words[1], None)
        }
        PCI_WRITE => {
            let function = object(raw, ObjectKind::PciFunction, Rights::WRITE)?.object();
            devices::configuration(function, words[0], words[1], Some(words[2] as u32))
        }
        PCI_MAP => {
            let function = object(raw, ObjectKind::PciFunction, Rights::READ | Rights::WRITE)?.object();
            let region = devices::map_bar(function, words[0], vspace(token(words, 1))?)?;
            words[0] = region.bytes;
            Ok(region.start)
        }
        PORT_READ => devices::port(port(raw, words, Rights::READ)?, words[1], None),
        PORT_WRITE => devices::port(port(raw, words, Rights::WRITE)?, words[1], Some(words[2] as u32)),
        HALT => {
            object(raw, ObjectKind::Machine, Rights::empty())?;
            serial::send_polled(&[]);
            x86::ports::exit(if words[0] == 0 { x86::ports::SUCCESS } else { words[0] as u8 })
        }
        MACHINE_INFO => {
            object(raw, ObjectKind::Machine, Rights::empty())?;
            words[0] = x86::clock::time_stamp_frequency();
            words[1] = serial::lost();
            (words[2], words[3]) = crate::memory::own_use();
            Ok(0)
        }
        COMMAND_LINE => {
            object(raw, ObjectKind::Machine, Rights::empty())?;
            // SAFETY: as above.
            read_part(root::command_line().as_bytes(), 0, unsafe { room(words[0], words[1]) })
        }
        _ => Err(KernelError::InvalidArgument.into()),
    }
}

/// Copies what fits; answers the length of the whole.
fn read_part(whole: &[u8], from: u64, into: &mut [u8]) -> Result<u64> {
    let rest = whole.get(from as usize..).ok_or(Failure(KernelError::OutOfRange, whole.len() as u64))?;
    for (slot, byte) in into.iter_mut().zip(rest) {
        *slot = *byte;
    }
    Ok(whole.len() as u64)
}

fn retype(raw: RawCap, words: &mut Words) -> Result<u64> {
    let me = scheduler::current();
    let source = object(raw, ObjectKind::Untyped, Rights::empty())?;
    let kind = u8::try_from(words[0]).ok().and_then(ObjectKind::from_code).ok_or(KernelError::InvalidArgument)?;
    let bits = u32::try_from(words[1]).map_err(|_| KernelError::OutOfRange)?;
    let destination = cnode_of(token(words, 2))?;
    let (first, count) = (words[4] as u32, words[5] as u32);
    let first = if first == 0 && count == 1 { destination.vacant()?.index() } else { first };
    // Splitting memory is the memory server's own affair, whoever asks for some: what hangs is what is made of it.
    let anchor = if kind == ObjectKind::Untyped { None } else { anchor(me) };
    authority::with(|context| capability::retype(context, source, kind, bits, destination, first, count, anchor))?;
    words[0] = destination.slot(first)?.generation();
    Ok(first.into())
}

/// Where what a thread makes hangs: on the transaction that it works in, else on the request that it has not answered yet.
fn anchor(me: &Tcb) -> Option<&Anchor> {
    if let Some(scope) = me.scope() {
        return Some(&scope.anchor);
    }
    me.serving().map(|reply| &reply.anchor)
}

fn untyped_info(raw: RawCap, words: &mut Words) -> Result<u64> {
    let slot = object(raw, ObjectKind::Untyped, Rights::empty())?;
    let status = authority::with(|context| capability::untyped_status(context, slot))?;
    words[0] = slot.object_bytes();
    words[1] = u64::from(!status.is_whole);
    words[2] = slot.object();
    [words[3], words[4]] = slot.note();
    Ok(status.bytes_free)
}

fn rights(word: u64) -> Rights {
    Rights::from_bits_truncate(word as u8)
}

fn place<'a>(destination: CNode<'a>, slot: u64) -> Result<&'a Slot> {
    Ok(match slot {
        0 => destination.vacant()?,
        index => destination.slot(index as u32)?,
    })
}

fn copy(raw: RawCap, words: &mut Words) -> Result<u64> {
    let destination = place(cnode_of(raw)?, words[2])?;
    let source = cnode().lookup(words[0] as u32, words[1])?;
    let (rights, badge) = (rights(words[3]), words[4]);
    authority::with(|context| match badge {
        0 => capability::copy(context, source, destination, rights),
        badge => capability::mint(context, source, destination, rights, badge),
    })?;
    // An untyped that is handed out under a transaction comes back with it.
    if let (true, Some(anchor)) = (destination.is(ObjectKind::Untyped), anchor(scheduler::current())) {
        authority::with(|context| capability::hang(context, destination, anchor))?;
    }
    words[0] = destination.generation();
    Ok(destination.index().into())
}

fn move_(raw: RawCap, words: &mut Words) -> Result<u64> {
    let destination = place(cnode_of(raw)?, words[2])?;
    let source = cnode().lookup(words[0] as u32, words[1])?;
    crate::ipc::part(source);
    authority::with(|context| capability::move_(context, source, destination))?;
    words[0] = destination.generation();
    Ok(destination.index().into())
}

fn delete(raw: RawCap) -> Result<u64> {
    let slot = cnode().lookup(raw.slot as u32, raw.generation)?;
    let _ = authority::with(|context| capability::delete(context, slot, authority::BUDGET))?;
    finish_reaping();
    Ok(0)
}

fn revoke(raw: RawCap) -> Result<u64> {
    loop {
        // After each step others may have run: the slot is looked up again.
        let slot = cnode().lookup(raw.slot as u32, raw.generation)?;
        match authority::with(|context| capability::revoke_step(context, slot, authority::BUDGET)) {
            Progress::Done => break,
            Progress::Pinned => return Err(KernelError::Pinned.into()),
            Progress::More => leave_if_ended(),
        }
    }
    finish_reaping();
    Ok(0)
}

/// Empties what died, in steps between which interrupts are served.
pub(crate) fn finish_reaping() {
    while authority::with(|context| context.has_pending()) {
        let progress = authority::with(|context| capability::reap_step(context, authority::BUDGET));
        if progress != Progress::More {
            break;
        }
        leave_if_ended();
    }
    if scheduler::current().state.get() == State::Ended {
        scheduler::abandon_context();
    }
}

fn leave_if_ended() {
    if scheduler::current().state.get() == State::Ended {
        scheduler::abandon_context();
    }
    scheduler::preemption_point();
}

fn inspect(raw: RawCap, words: &mut Words) -> Result<u64> {
    let slot = cnode_of(raw)?.slot(words[0] as u32)?;
    let kind = slot.kind().map_or(0, |kind| kind as u64);
    words[1] = kind | u64::from(slot.rights().bits()) << 8 | u64::from(slot.size_bits()) << 16;
    words[0] = slot.generation();
    words[2] = slot.badge();
    Ok(0)
}

fn map(raw: RawCap, words: &mut Words) -> Result<u64> {
    let cnode = cnode();
    let slot = cnode.lookup(raw.slot as u32, raw.generation)?;
    if !slot.is(ObjectKind::Frame) && !slot.is(ObjectKind::Buf) {
        return Err(KernelError::WrongKind.into());
    }
    let region = instance::map(slot, vspace(token(words, 0))?)?;
    words[0] = region.bytes;
    Ok(region.start)
}

fn dma_map(raw: RawCap, words: &mut Words) -> Result<u64> {
    let slot = object(raw, ObjectKind::DmaFrame, Rights::READ | Rights::WRITE)?;
    let region = instance::map(slot, vspace(token(words, 0))?)?;
    words[0] = crate::memory::physical(slot.object()).as_u64();
    words[1] = region.bytes;
    Ok(region.start)
}

fn configure(raw: RawCap, words: &Words) -> Result<u64> {
    let parts = Parts {
        cnode: object(token(words, 0), ObjectKind::CNode, Rights::empty())?,
        vspace: object(token(words, 2), ObjectKind::VSpace, Rights::empty())?,
        stack: object(token(words, 4), ObjectKind::Frame, Rights::READ | Rights::WRITE)?,
        heap: object(token(words, 6), ObjectKind::Frame, Rights::READ | Rights::WRITE)?,
        argument: words[8],
    };
    instance::configure(thread(raw)?, &parts).map(|()| 0)
}

fn stop(raw: RawCap) -> Result<u64> {
    let thread = thread(raw)?;
    match thread.vspace() {
        Some(_) if thread.state.get() != State::Ended => {
            instance::end_instance(thread, crate::vspace::Outcome::Failed, 0);
        }
        _ => instance::end_thread(thread),
    }
    finish_reaping();
    Ok(0)
}

fn scratch(word: u64) -> Result<Scratch> {
    match word {
        word if word == Scratch::Clear as u64 => Ok(Scratch::Clear),
        word if word == Scratch::Keep as u64 => Ok(Scratch::Keep),
        _ => Err(KernelError::InvalidArgument.into()),
    }
}

fn restart_instance(raw: RawCap, words: &Words) -> Result<u64> {
    object(token(words, 0), ObjectKind::Loader, Rights::EXECUTE)?;
    let scratch = scratch(words[4])?;
    let mut cursor = 0;
    // After each step others may have run: the thread is looked up again.
    while scratch == Scratch::Clear && restart::clear_step(thread(raw)?, &mut cursor)? == Progress::More {
        leave_if_ended();
    }
    restart::renew(thread(raw)?, image(token(words, 2))?).map(|()| 0)
}

fn priority(raw: RawCap, words: &Words) -> Result<u64> {
    let authority = object(token(words, 0), ObjectKind::Scheduler, Rights::empty())?;
    let most = authority.badge();
    if words[2] > most {
        return Err(Failure(KernelError::OutOfRange, most));
    }
    let thread = thread(raw)?;
    thread.base_priority.set(words[2] as u8);
    scheduler::set_priority(thread, words[2] as u8);
    scheduler::give_way();
    Ok(0)
}

fn bind(raw: RawCap, words: &Words) -> Result<u64> {
    let thread = thread(raw)?;
    let slot = object(token(words, 0), ObjectKind::Notification, Rights::RECEIVE)?;
    // SAFETY: the capability names a live notification.
    unsafe { Notification::at(slot.object() as usize) }.bind(thread)?;
    Ok(0)
}

fn tcb_info(raw: RawCap, words: &mut Words) -> Result<u64> {
    let thread = thread(raw)?;
    words[0] = thread.identity();
    words[1] = thread.ticks.get();
    words[2] = thread.priority().into();
    Ok(thread.state.get() as u64)
}

fn endpoint(raw: RawCap, rights: Rights) -> Result<*mut Endpoint> {
    let slot = object(raw, ObjectKind::Endpoint, rights)?;
    Ok(core::ptr::with_exposed_provenance_mut(slot.object() as usize))
}

fn abi_failure(error: AbiError) -> Failure {
    match error {
        AbiError::LabelOutOfRange => Failure(KernelError::OutOfRange, u64::from(ledger::LABELS) - 1),
        AbiError::UnknownLabel => KernelError::UnknownLabel.into(),
        AbiError::WrongSignature => KernelError::WrongSignature.into(),
    }
}

fn serve(raw: RawCap, words: &Words) -> Result<u64> {
    let endpoint = endpoint(raw, Rights::RECEIVE)?;
    let label = u32::try_from(words[0]).map_err(|_| abi_failure(AbiError::LabelOutOfRange))?;
    // SAFETY: the capability names a live endpoint, and nothing else refers to it now.
    unsafe { (*endpoint).serve(label, words[1]) }.map_err(abi_failure)?;
    Ok(0)
}

fn check(raw: RawCap, words: &Words) -> Result<u64> {
    let endpoint = endpoint(raw, Rights::SEND)?;
    let label = u32::try_from(words[0]).map_err(|_| abi_failure(AbiError::LabelOutOfRange))?;
    // SAFETY: the capability names a live endpoint.
    unsafe { (*endpoint).check(label, words[1]) }.map_err(abi_failure)?;
    Ok(0)
}

fn signal(raw: RawCap, words: &Words) -> Result<u64> {
    let slot = object(raw, ObjectKind::Notification, Rights::SEND)?;
    let bits = if slot.badge() != 0 { slot.badge() } else { words[0] };
    // SAFETY: the capability names a live notification.
    unsafe { Notification::at(slot.object() as usize) }.signal(bits);
    scheduler::give_way();
    Ok(0)
}

fn instantiate(raw: RawCap, words: &Words) -> Result<u64> {
    object(raw, ObjectKind::Loader, Rights::EXECUTE)?;
    let frame = object(token(words, 4), ObjectKind::Frame, Rights::READ | Rights::WRITE)?;
    instance::instantiate(image(token(words, 0))?, vspace(token(words, 2))?, frame).map(|()| 0)
}

fn image_needs(raw: RawCap, words: &mut Words) -> Result<u64> {
    object(raw, ObjectKind::Loader, Rights::EXECUTE)?;
    let verified = image(token(words, 0))?.verified()?;
    let (heap, stack, slots) = instance::demands(&verified);
    words[0] = verified.layout().bytes();
    words[1] = heap;
    words[2] = stack;
    words[3] = slots;
    words[4] = verified.manifest().build;
    if let Some(rest) = words.get_mut(5..9) {
        put_bytes(rest, verified.hash());
    }
    Ok(0)
}

/// Bytes as words, little-endian; what is not there is zero.
fn put_bytes(words: &mut [u64], bytes: &[u8]) {
    for (index, word) in words.iter_mut().enumerate() {
        let mut part = [0; 8];
        for (slot, byte) in part.iter_mut().zip(bytes.iter().skip(8 * index)) {
            *slot = *byte;
        }
        *word = u64::from_le_bytes(part);
    }
}

fn vspace_info(raw: RawCap, words: &mut Words) -> Result<u64> {
    let vspace = vspace(raw)?;
    let text = vspace.text.get();
    words[0] = vspace.exit_status.get();
    words[1] = text.start;
    words[2] = text.start + text.bytes;
    Ok(vspace.outcome.get() as u64)
}

fn attach(raw: RawCap, words: &Words) -> Result<u64> {
    let scope = scope(raw)?;
    let slot = object(token(words, 0), ObjectKind::Reply, Rights::SEND)?;
    // SAFETY: the capability names a live reply object.
    let reply = unsafe { Reply::at(slot.object() as usize) };
    // SAFETY: as above.
    let request = unsafe { (*reply.core.get()).request() };
    if request.is_null() {
        return Err(KernelError::IllegalOperation.into());
    }
    // SAFETY: requests in the ledger are of live threads.
    let beginner = unsafe { Tcb::of_request(request) };
    scope.attach(beginner, scheduler::current().bound.get())
}

fn settle(raw: RawCap, words: &Words) -> Result<u64> {
    object(token(words, 0), ObjectKind::Settle, Rights::empty())?;
    let scope = scope(raw)?;
    authority::with(|context| capability::settle(context, &scope.anchor));
    scope.end(scheduler::current());
    Ok(0)
}

fn abort(raw: RawCap, words: &Words) -> Result<u64> {
    object(token(words, 0), ObjectKind::Settle, Rights::empty())?;
    scope(raw)?.end(scheduler::current());
    loop {
        let scope = scope(raw)?;
        match authority::with(|context| capability::revoke_all_step(context, &scope.anchor, authority::BUDGET)) {
            Progress::More => leave_if_ended(),
            _ => break,
        }
    }
    finish_reaping();
    instance::tell_of_abort();
    Ok(0)
}

fn port(raw: RawCap, words: &Words, rights: Rights) -> Result<u16> {
    let slot = object(raw, ObjectKind::IoPort, rights)?;
    let (first, count, port, width) = (slot.object(), slot.badge(), words[0], words[1]);
    if port < first || port.saturating_add(width) > first + count {
        return Err(Failure(KernelError::OutOfRange, first + count - 1));
    }
    Ok(port as u16)
}
