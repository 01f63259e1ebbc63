//! Kernel objects, as safe code uses them: one function an operation, each in terms of tokens.

use abi::KernelError;
use abi::kernel::{Kind, Operation, Scratch, SlotInfo, WORDS};
use abi::token::{
    All, CNode, CallOnly, Cap, DmaFrame, Endpoint, Frame, Image, IoPort, Irq, Loader, Machine, Notification, Object,
    PciFunction, RawCap, ReceiveOnly, Reply, Rights, Scheduler, Scope, Serial, Settle, Tcb, Untyped, VSpace, bits,
};

use crate::kernel::{invoke, wait as kernel_wait};

type Result<T> = core::result::Result<T, KernelError>;

fn words(given: &[u64]) -> [u64; WORDS] {
    let mut words = [0; WORDS];
    for (word, given) in words.iter_mut().zip(given) {
        *word = *given;
    }
    words
}

fn invoke_with(operation: Operation, cap: RawCap, given: &[u64]) -> Result<u64> {
    invoke(operation, cap, &mut words(given))
}

/// What a slot of the caller's CNode holds; `None` where it is empty or out of range.
pub(crate) fn inspect_raw(cnode: RawCap, slot: u32) -> Option<SlotInfo> {
    let mut words = words(&[slot.into()]);
    invoke(Operation::Inspect, cnode, &mut words).ok()?;
    let [generation, packed, badge, ..] = words;
    (generation != 0).then_some(SlotInfo {
        kind: packed as u8,
        rights: (packed >> 8) as u8,
        size_bits: (packed >> 16) as u8,
        reserved: 0,
        slot,
        generation,
        badge,
    })
}

/// What a slot of a CNode holds.
pub fn inspect(cnode: &Cap<CNode, All>, slot: u32) -> Option<SlotInfo> {
    inspect_raw(cnode.raw(), slot)
}

/// Whether a slot's rights cover what of `R` means something for a `T`.
pub(crate) fn has_rights<T: Object, R: Rights>(rights: u8) -> bool {
    let needed = R::BITS & T::RIGHTS;
    rights & needed == needed
}

/// Types a capability that the kernel just put into a slot of the caller's own CNode.
///
/// # Errors
/// `WrongKind` or `MissingRight`; the capability stays in its slot.
pub(crate) fn adopt<T: Object, R: Rights>(cnode: &Cap<CNode, All>, raw: RawCap) -> Result<Cap<T, R>> {
    let info = inspect_raw(cnode.raw(), raw.slot as u32).ok_or(KernelError::InvalidCapability)?;
    if info.generation != raw.generation {
        return Err(KernelError::InvalidCapability);
    }
    if info.kind != T::KIND as u8 {
        return Err(KernelError::WrongKind);
    }
    if !has_rights::<T, R>(info.rights) {
        return Err(KernelError::MissingRight);
    }
    // SAFETY: the kernel reported kind and rights under this generation; the raw name came with one message or one
    // retype and is consumed here.
    Ok(unsafe { Cap::adopt(raw) })
}

/// A capability that came with a message, not typed yet.
#[must_use = "an unclaimed capability keeps its slot for ever"]
#[derive(Debug)]
pub struct Granted(pub(crate) RawCap);

impl Granted {
    /// Types it.
    ///
    /// # Errors
    /// It is of another kind, or lacks a right: then it is deleted.
    pub fn claim<T: Object, R: Rights>(self, cnode: &Cap<CNode, All>) -> Result<Cap<T, R>> {
        let raw = self.0;
        adopt(cnode, raw).inspect_err(|_| {
            let _ = invoke_with(Operation::Delete, raw, &[]);
        })
    }

    /// Deletes it.
    pub fn refuse(self) {
        let _ = invoke_with(Operation::Delete, self.0, &[]);
    }

    /// What it is.
    pub fn inspect(&self, cnode: &Cap<CNode, All>) -> Option<SlotInfo> {
        inspect_raw(cnode.raw(), self.0.slot as u32)
    }
}

/// Makes one object of kind `T` out of untyped memory, in any free slot of the caller's CNode.
///
/// # Errors
/// `NotEnoughMemory`, `OutOfRange` for the size, `TableFull`.
pub fn retype<T: Object>(untyped: &Cap<Untyped>, size_bits: u8, cnode: &Cap<CNode, All>) -> Result<Cap<T, All>> {
    let raw = retype_raw(untyped, T::KIND, size_bits, cnode)?;
    adopt(cnode, raw)
}

/// As [`retype`], with the kind as a number: for servers that retype on request.
///
/// # Errors
/// As [`retype`]; `InvalidArgument` for a kind that cannot be made.
pub fn retype_any(untyped: &Cap<Untyped>, kind: Kind, size_bits: u8, cnode: &Cap<CNode, All>) -> Result<Granted> {
    retype_raw(untyped, kind, size_bits, cnode).map(Granted)
}

fn retype_raw(untyped: &Cap<Untyped>, kind: Kind, size_bits: u8, cnode: &Cap<CNode, All>) -> Result<RawCap> {
    let cnode = cnode.raw();
    let mut words = words(&[kind as u64, size_bits.into(), cnode.slot, cnode.generation, 0, 1]);
    let slot = invoke(Operation::Retype, untyped.raw(), &mut words)?;
    Ok(RawCap { slot, generation: words[0] })
}

/// An untyped, as the kernel knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UntypedInfo {
    /// Bytes that are left.
    pub free: u64,
    /// Bytes of the whole.
    pub size: u64,
    /// Whether anything was made, or copied, of it.
    pub is_used: bool,
    /// Where it lies: tells which untyped is part of which, and means nothing else.
    pub address: u64,
    /// The holder's note.
    pub note: [u64; 2],
}

/// What there is to know about an untyped.
///
/// # Errors
/// `InvalidCapability`.
pub fn untyped_info(untyped: &Cap<Untyped>) -> Result<UntypedInfo> {
    let mut words = words(&[]);
    let free = invoke(Operation::UntypedInfo, untyped.raw(), &mut words)?;
    let [size, used, address, first, second, ..] = words;
    Ok(UntypedInfo { free, size, is_used: used != 0, address, note: [first, second] })
}

/// Keeps two words with a capability to an untyped, which outlive the instance that holds it.
///
/// # Errors
/// `InvalidCapability`.
pub fn note_untyped(untyped: &Cap<Untyped>, note: [u64; 2]) -> Result<()> {
    invoke_with(Operation::UntypedNote, untyped.raw(), &note).map(drop)
}

/// Copies a capability into a CNode, with at most the rights `rights` and, for an unbadged endpoint or notification,
/// a badge (0: none). Slot 0 stands for any free slot. Answers the slot and generation there.
///
/// # Errors
/// `DeleteFirst`, `TableFull`, `IllegalOperation` for what cannot be copied or badged again.
pub fn copy<T: Object, R: Rights>(
    source: &Cap<T, R>,
    destination: &Cap<CNode, All>,
    slot: u32,
    rights: u8,
    badge: u64,
) -> Result<RawCap> {
    let source = source.raw();
    let mut words = words(&[source.slot, source.generation, slot.into(), (rights & R::BITS).into(), badge]);
    let slot = invoke(Operation::Copy, destination.raw(), &mut words)?;
    Ok(RawCap { slot, generation: words[0] })
}

/// A second capability to the caller's own CNode, in any free slot of it.
pub(crate) fn copy_own_cnode(cnode: RawCap) -> Result<Cap<CNode, All>> {
    let mut words = words(&[cnode.slot, cnode.generation, 0, 0, 0]);
    let slot = invoke(Operation::Copy, cnode, &mut words)?;
    // SAFETY: the kernel made it just now, of a CNode, whose kind has no rights to lack.
    Ok(unsafe { Cap::adopt(RawCap { slot, generation: words[0] }) })
}

/// A copy in the caller's own CNode.
///
/// # Errors
/// As [`copy`].
pub fn duplicate<T: Object, R: Rights, N: abi::token::Within<R>>(
    source: &Cap<T, R>,
    cnode: &Cap<CNode, All>,
    badge: u64,
) -> Result<Cap<T, N>> {
    let raw = copy(source, cnode, 0, N::BITS, badge)?;
    adopt(cnode, raw)
}

/// Moves a capability into a slot of a CNode (0: any free one); the caller has it no more.
///
/// # Errors
/// `DeleteFirst`, `TableFull`; then the token is returned unharmed by being still in its slot, but this token is gone.
pub fn give<T: Object, R: Rights>(source: Cap<T, R>, destination: &Cap<CNode, All>, slot: u32) -> Result<u64> {
    let source = source.into_raw();
    invoke_with(Operation::Move, destination.raw(), &[source.slot, source.generation, slot.into()])
}

/// Moves a capability that came with a message on into a CNode.
///
/// # Errors
/// As [`give`].
pub fn give_granted(source: Granted, destination: &Cap<CNode, All>, slot: u32) -> Result<u64> {
    invoke_with(Operation::Move, destination.raw(), &[source.0.slot, source.0.generation, slot.into()])
}

/// Deletes a capability; the last one to an object destroys it.
pub fn delete<T: Object, R: Rights>(cap: Cap<T, R>) {
    let _ = invoke_with(Operation::Delete, cap.into_raw(), &[]);
}

/// Deletes everything that was derived from a capability; the capability stays.
///
/// # Errors
/// `Pinned` while a Buf made from it is lent.
pub fn revoke<T: Object, R: Rights>(cap: &Cap<T, R>) -> Result<()> {
    invoke_with(Operation::Revoke, cap.raw(), &[]).map(drop)
}

/// Declares which labels an endpoint serves.
///
/// # Errors
/// `OutOfRange` for a label above 63.
pub fn serve_labels<R: Rights>(endpoint: &Cap<Endpoint, R>, labels: &'static [(u32, u64)]) -> Result<()> {
    for (label, signature) in labels {
        invoke_with(Operation::EndpointAbi, endpoint.raw(), &[u64::from(*label), *signature])?;
    }
    Ok(())
}

/// Checks that an endpoint serves labels with just these signatures.
///
/// # Errors
/// `UnknownLabel`, `WrongSignature`.
pub fn check_labels(endpoint: &Cap<Endpoint, CallOnly>, labels: &'static [(u32, u64)]) -> Result<()> {
    for (label, signature) in labels {
        invoke_with(Operation::EndpointCheck, endpoint.raw(), &[u64::from(*label), *signature])?;
    }
    Ok(())
}

/// Signals a notification.
///
/// # Errors
/// `MissingRight`.
pub fn signal<R: Rights>(notification: &Cap<Notification, R>, bits: u64) -> Result<()> {
    invoke_with(Operation::Signal, notification.raw(), &[bits]).map(drop)
}

/// Waits for a notification, for so many nanoseconds at most, and takes its bits.
///
/// # Errors
/// `TimedOut`.
pub fn wait<R: Rights>(notification: &Cap<Notification, R>, timeout: u64) -> core::result::Result<u64, abi::CallError> {
    kernel_wait(notification.raw(), timeout)
}

/// Binds a notification to a thread: its signals end that thread's wait for requests.
///
/// # Errors
/// `IllegalOperation` where one of the two is bound already.
pub fn bind(tcb: &Cap<Tcb, All>, notification: &Cap<Notification, All>) -> Result<()> {
    let notification = notification.raw();
    invoke_with(Operation::TcbBind, tcb.raw(), &[notification.slot, notification.generation]).map(drop)
}

/// What a new thread is made of.
#[derive(Debug)]
pub struct ThreadParts<'a> {
    /// Its CNode.
    pub cnode: &'a Cap<CNode, All>,
    /// Its cell's VSpace, with an image instantiated in it.
    pub vspace: &'a Cap<VSpace, All>,
    /// Its stack.
    pub stack: &'a Cap<Frame, All>,
    /// Its cell's heap.
    pub heap: &'a Cap<Frame, All>,
    /// What its environment's `argument` answers.
    pub argument: u64,
}

/// Gives a thread its parts; it does not run yet.
///
/// # Errors
/// `IllegalOperation` for one that has them already; `WrongKind`.
pub fn configure(tcb: &Cap<Tcb, All>, parts: &ThreadParts<'_>) -> Result<()> {
    let (cnode, vspace, stack, heap) = (parts.cnode.raw(), parts.vspace.raw(), parts.stack.raw(), parts.heap.raw());
    let given = [
        cnode.slot,
        cnode.generation,
        vspace.slot,
        vspace.generation,
        stack.slot,
        stack.generation,
        heap.slot,
        heap.generation,
        parts.argument,
    ];
    invoke_with(Operation::TcbConfigure, tcb.raw(), &given).map(drop)
}

/// Makes a thread runnable.
///
/// # Errors
/// `IllegalOperation` where it has no parts yet, or has ended.
pub fn start_thread(tcb: &Cap<Tcb, All>) -> Result<()> {
    invoke_with(Operation::TcbStart, tcb.raw(), &[]).map(drop)
}

/// Stops a thread for ever; a call that it was in is cancelled.
///
/// # Errors
/// `InvalidCapability`.
pub fn stop_thread(tcb: &Cap<Tcb, All>) -> Result<()> {
    invoke_with(Operation::TcbStop, tcb.raw(), &[]).map(drop)
}

/// Makes an instance that has ended ready to start again, from the image that it was made of: its variables and its stack as
/// at the beginning. Its memory stays, and of its capabilities what its creator gave it, or all.
///
/// # Errors
/// `IllegalOperation` while it runs, or where its memory was taken away; `ImageRefused` for another image.
pub fn restart(
    tcb: &Cap<Tcb, All>,
    loader: &Cap<Loader, All>,
    image: &Cap<Image, All>,
    scratch: Scratch,
) -> Result<()> {
    let (loader, image) = (loader.raw(), image.raw());
    let words = [loader.slot, loader.generation, image.slot, image.generation, scratch as u64];
    invoke_with(Operation::TcbRestart, tcb.raw(), &words).map(drop)
}

/// Has the kernel itself let an instance begin again, as [`restart`] does, whenever it ends.
///
/// # Errors
/// The kernel's.
pub fn keep(loader: &Cap<Loader, All>, tcb: &Cap<Tcb, All>, image: &Cap<Image, All>, scratch: Scratch) -> Result<()> {
    let (tcb, image) = (tcb.raw(), image.raw());
    let words = [tcb.slot, tcb.generation, image.slot, image.generation, scratch as u64];
    invoke_with(Operation::Keep, loader.raw(), &words).map(drop)
}

/// Sets a thread's priority, 0 to 63.
///
/// # Errors
/// `OutOfRange` above what the authority allows.
pub fn set_priority(tcb: &Cap<Tcb, All>, authority: &Cap<Scheduler, All>, priority: u8) -> Result<()> {
    let authority = authority.raw();
    invoke_with(Operation::TcbPriority, tcb.raw(), &[authority.slot, authority.generation, priority.into()]).map(drop)
}

/// What a thread has been doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ThreadInfo {
    /// As the kernel attests it to servers; 0 before it has its parts.
    pub identity: u64,
    /// Ticks of the timer during which it ran.
    pub ticks: u64,
    /// Its present priority, with what callers lend.
    pub priority: u8,
}

/// Reads a thread's account.
///
/// # Errors
/// `InvalidCapability`.
pub fn thread_info(tcb: &Cap<Tcb, All>) -> Result<ThreadInfo> {
    let mut words = words(&[]);
    invoke(Operation::TcbInfo, tcb.raw(), &mut words)?;
    let [identity, ticks, priority, ..] = words;
    Ok(ThreadInfo { identity, ticks, priority: priority as u8 })
}

/// State of a cell instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Instance {
    /// It has not started, or runs.
    Running,
    /// It ended by itself.
    Exited(u64),
    /// It failed.
    Failed,
}

/// State and text range of the instance in a VSpace.
///
/// # Errors
/// `InvalidCapability`.
pub fn instance_info(vspace: &Cap<VSpace, All>) -> Result<(Instance, u64, u64)> {
    let mut words = words(&[]);
    let state = invoke(Operation::VSpaceInfo, vspace.raw(), &mut words)?;
    let instance = match state {
        0 => Instance::Running,
        1 => Instance::Exited(words[0]),
        _ => Instance::Failed,
    };
    Ok((instance, words[1], words[2]))
}

/// Signals `bits` whenever the instance in some VSpace has ended.
///
/// # Errors
/// `InvalidCapability`.
pub fn watch_instances(loader: &Cap<Loader, All>, notification: &Cap<Notification, All>, bits: u64) -> Result<()> {
    let notification = notification.raw();
    invoke_with(Operation::WatchInstances, loader.raw(), &[notification.slot, notification.generation, bits]).map(drop)
}

/// Signals `bits` whenever a transaction was aborted and its objects are revoked.
///
/// # Errors
/// `InvalidCapability`.
pub fn watch_aborts(loader: &Cap<Loader, All>, notification: &Cap<Notification, All>, bits: u64) -> Result<()> {
    let notification = notification.raw();
    invoke_with(Operation::WatchAborts, loader.raw(), &[notification.slot, notification.generation, bits]).map(drop)
}

/// Maps a frame into a VSpace; answers the address.
///
/// # Errors
/// `IllegalOperation` where it is mapped already, `TableFull`, `OutOfKernelMemory`.
pub fn map_frame(frame: &Cap<Frame, All>, vspace: &Cap<VSpace, All>) -> Result<u64> {
    let vspace = vspace.raw();
    invoke_with(Operation::Map, frame.raw(), &[vspace.slot, vspace.generation])
}

/// Reads the signed bytes of an image from an offset on, as many as there is room for; answers the length of the whole.
///
/// # Errors
/// `OutOfRange` beyond the end.
pub fn image_read(image: &Cap<Image, All>, offset: u64, into: &mut [u8]) -> Result<u64> {
    let given = [offset, into.as_mut_ptr().expose_provenance() as u64, into.len() as u64];
    invoke_with(Operation::ImageRead, image.raw(), &given)
}

/// Fills an image object with signed bytes.
///
/// # Errors
/// `ImageRefused` where they do not verify, with the rule in the kernel's log; `TooLarge`.
pub fn fill_image(image: &Cap<Image, All>, bytes: &[u8]) -> Result<()> {
    invoke_with(Operation::ImageFill, image.raw(), &[bytes.as_ptr().expose_provenance() as u64, bytes.len() as u64])
        .map(drop)
}

/// What an image asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImageNeeds {
    /// Bytes of text and data.
    pub memory: u64,
    /// Bytes of heap.
    pub heap: u64,
    /// Bytes of stack.
    pub stack: u64,
    /// Slots of its CNode.
    pub slots: u64,
    /// Its build number.
    pub build: u64,
    /// SHA-256 of the signed file.
    pub hash: [u8; 32],
}

/// What the image of an object asks for.
///
/// # Errors
/// `IllegalOperation` where it is not filled.
pub fn image_needs(loader: &Cap<Loader, All>, image: &Cap<Image, All>) -> Result<ImageNeeds> {
    let image = image.raw();
    let mut words = words(&[image.slot, image.generation]);
    invoke(Operation::ImageNeeds, loader.raw(), &mut words)?;
    let [memory, heap, stack, slots, build, h0, h1, h2, h3, _] = words;
    let mut hash = [0; 32];
    for (part, word) in hash.chunks_exact_mut(8).zip([h0, h1, h2, h3]) {
        part.copy_from_slice(&word.to_le_bytes());
    }
    Ok(ImageNeeds { memory, heap, stack, slots, build, hash })
}

/// Relocates an image into a frame, as the code of a VSpace.
///
/// # Errors
/// `ImageRefused`, `NotEnoughMemory`, `IllegalOperation` where the VSpace has an image already.
pub fn instantiate(
    loader: &Cap<Loader, All>,
    image: &Cap<Image, All>,
    vspace: &Cap<VSpace, All>,
    frame: &Cap<Frame, All>,
) -> Result<()> {
    let (image, vspace, frame) = (image.raw(), vspace.raw(), frame.raw());
    let given = [image.slot, image.generation, vspace.slot, vspace.generation, frame.slot, frame.generation];
    invoke_with(Operation::Instantiate, loader.raw(), &given).map(drop)
}

/// An entry of the boot archive.
#[derive(Clone, Copy, Debug)]
pub struct ArchiveEntry {
    /// Bytes of the signed image.
    pub length: u64,
    name: [u8; 32],
}

impl ArchiveEntry {
    /// The cell's name.
    pub fn name(&self) -> &str {
        let length = self.name.iter().position(|byte| *byte == 0).unwrap_or(self.name.len());
        self.name.get(..length).and_then(|name| core::str::from_utf8(name).ok()).unwrap_or("?")
    }
}

/// Copies as much of an entry of the boot archive as fits. `None` behind the last.
pub fn archive_read(loader: &Cap<Loader, All>, index: u64, into: &mut [u8]) -> Option<ArchiveEntry> {
    let mut words = words(&[index, into.as_mut_ptr().expose_provenance() as u64, into.len() as u64]);
    let length = invoke(Operation::ArchiveRead, loader.raw(), &mut words).ok()?;
    let mut name = [0; 32];
    for (part, word) in name.chunks_exact_mut(8).zip(words) {
        part.copy_from_slice(&word.to_le_bytes());
    }
    Some(ArchiveEntry { length, name })
}

/// Writes `name version` of an image into a buffer; answers the part of it that fitted.
///
/// # Errors
/// `IllegalOperation` where the image is not filled.
pub fn image_name<'a>(loader: &Cap<Loader, All>, image: &Cap<Image, All>, into: &'a mut [u8]) -> Result<&'a str> {
    let image = image.raw();
    let given = [image.slot, image.generation, into.as_mut_ptr().expose_provenance() as u64, into.len() as u64];
    let length = invoke_with(Operation::ImageName, loader.raw(), &given)? as usize;
    let text = into.get(..length.min(into.len())).unwrap_or(&[]);
    Ok(core::str::from_utf8(text).unwrap_or("?"))
}

/// Makes a scope the transaction of the thread whose request a reply object holds.
///
/// # Errors
/// `IllegalOperation` where either has one already.
pub fn attach_scope(scope: &Cap<Scope, All>, reply: RawCap) -> Result<u64> {
    invoke_with(Operation::ScopeAttach, scope.raw(), &[reply.slot, reply.generation])
}

/// Keeps what hangs on a scope, and frees the scope for the next transaction.
///
/// # Errors
/// `InvalidCapability`.
pub fn settle_scope(scope: &Cap<Scope, All>, authority: &Cap<Settle, All>) -> Result<()> {
    let authority = authority.raw();
    invoke_with(Operation::ScopeSettle, scope.raw(), &[authority.slot, authority.generation]).map(drop)
}

/// Revokes what hangs on a scope, and frees the scope for the next transaction.
///
/// # Errors
/// `InvalidCapability`.
pub fn abort_scope(scope: &Cap<Scope, All>, authority: &Cap<Settle, All>) -> Result<()> {
    let authority = authority.raw();
    invoke_with(Operation::ScopeAbort, scope.raw(), &[authority.slot, authority.generation]).map(drop)
}

/// Writes bytes to the serial console; answers how many were taken.
///
/// # Errors
/// `InvalidCapability`.
pub fn serial_write(serial: &Cap<Serial, All>, bytes: &[u8]) -> Result<u64> {
    invoke_with(Operation::SerialWrite, serial.raw(), &[bytes.as_ptr().expose_provenance() as u64, bytes.len() as u64])
}

/// Reads what has been typed; answers the number of bytes, 0 for none.
///
/// # Errors
/// `InvalidCapability`.
pub fn serial_read(serial: &Cap<Serial, All>, into: &mut [u8]) -> Result<u64> {
    let given = [into.as_mut_ptr().expose_provenance() as u64, into.len() as u64];
    invoke_with(Operation::SerialRead, serial.raw(), &given)
}

/// Signals `bits` when bytes arrive at the console, or room for output.
///
/// # Errors
/// `InvalidCapability`.
pub fn serial_watch(serial: &Cap<Serial, All>, notification: &Cap<Notification, All>, bits: u64) -> Result<()> {
    let notification = notification.raw();
    invoke_with(Operation::SerialWatch, serial.raw(), &[notification.slot, notification.generation, bits]).map(drop)
}

/// Signals `bits` at each interrupt of a line.
///
/// # Errors
/// `InvalidCapability`.
pub fn irq_bind(irq: &Cap<Irq, All>, notification: &Cap<Notification, All>, bits: u64) -> Result<()> {
    let notification = notification.raw();
    invoke_with(Operation::IrqBind, irq.raw(), &[notification.slot, notification.generation, bits]).map(drop)
}

/// Lets the next interrupt of a line through.
///
/// # Errors
/// `InvalidCapability`.
pub fn irq_acknowledge(irq: &Cap<Irq, All>) -> Result<()> {
    invoke_with(Operation::IrqAcknowledge, irq.raw(), &[]).map(drop)
}

/// Reads a register of a function's configuration space; `width` is 1, 2 or 4.
///
/// # Errors
/// `OutOfRange`.
pub fn pci_read(function: &Cap<PciFunction, All>, offset: u16, width: u8) -> Result<u32> {
    invoke_with(Operation::PciRead, function.raw(), &[offset.into(), width.into()]).map(|value| value as u32)
}

/// Writes a register of a function's configuration space. The kernel refuses to move BARs.
///
/// # Errors
/// `OutOfRange`, `IllegalOperation`.
pub fn pci_write(function: &Cap<PciFunction, All>, offset: u16, width: u8, value: u32) -> Result<()> {
    invoke_with(Operation::PciWrite, function.raw(), &[offset.into(), width.into(), value.into()]).map(drop)
}

/// Maps a BAR uncached; answers address and length.
///
/// # Errors
/// `InvalidArgument` for a BAR that is not memory.
pub fn pci_map(function: &Cap<PciFunction, All>, bar: u8, vspace: &Cap<VSpace, All>) -> Result<(u64, u64)> {
    let vspace = vspace.raw();
    let mut words = words(&[bar.into(), vspace.slot, vspace.generation]);
    let address = invoke(Operation::PciMap, function.raw(), &mut words)?;
    Ok((address, words[0]))
}

/// Reads a port; `width` is 1, 2 or 4.
///
/// # Errors
/// `OutOfRange`.
pub fn port_read(ports: &Cap<IoPort, All>, port: u16, width: u8) -> Result<u32> {
    invoke_with(Operation::PortRead, ports.raw(), &[port.into(), width.into()]).map(|value| value as u32)
}

/// Writes a port.
///
/// # Errors
/// `OutOfRange`.
pub fn port_write(ports: &Cap<IoPort, All>, port: u16, width: u8, value: u32) -> Result<()> {
    invoke_with(Operation::PortWrite, ports.raw(), &[port.into(), width.into(), value.into()]).map(drop)
}

/// Maps a DMA frame; answers its address, its physical address and its length.
///
/// # Errors
/// `IllegalOperation` where it is mapped already.
pub fn dma_map(frame: &Cap<DmaFrame, All>, vspace: &Cap<VSpace, All>) -> Result<(u64, u64, u64)> {
    let vspace = vspace.raw();
    let mut words = words(&[vspace.slot, vspace.generation]);
    let address = invoke(Operation::DmaMap, frame.raw(), &mut words)?;
    Ok((address, words[0], words[1]))
}

/// Stops the machine at once: 0 for a clean end, anything else for a failure.
pub fn halt(machine: &Cap<Machine, All>, code: u64) -> ! {
    let _ = invoke_with(Operation::Halt, machine.raw(), &[code]);
    panic!("bug: the machine did not halt")
}

/// What the machine is and what the kernel uses of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MachineInfo {
    /// Ticks of the time-stamp counter a second.
    pub time_stamp_frequency: u64,
    /// Bytes from the serial line that nobody fetched in time.
    pub serial_lost: u64,
    /// Bytes of the kernel's heap that are in use.
    pub kernel_heap: u64,
    /// Frames that are left for page tables.
    pub table_frames: u64,
}

/// Reads the machine's account.
///
/// # Errors
/// `InvalidCapability`.
pub fn machine_info(machine: &Cap<Machine, All>) -> Result<MachineInfo> {
    let mut words = words(&[]);
    invoke(Operation::MachineInfo, machine.raw(), &mut words)?;
    let [time_stamp_frequency, serial_lost, kernel_heap, table_frames, ..] = words;
    Ok(MachineInfo { time_stamp_frequency, serial_lost, kernel_heap, table_frames })
}

/// The boot command line, as much of it as fits; answers its length in all.
///
/// # Errors
/// `InvalidCapability`.
pub fn command_line(machine: &Cap<Machine, All>, into: &mut [u8]) -> Result<u64> {
    let given = [into.as_mut_ptr().expose_provenance() as u64, into.len() as u64];
    invoke_with(Operation::CommandLine, machine.raw(), &given)
}

/// The rights that a server's own endpoint needs, to serve and to hand out.
pub const ENDPOINT_RIGHTS: u8 = bits::CALL | bits::RECEIVE | bits::GRANT;

/// The right to receive, out of all rights: for a server that made its endpoint itself.
pub fn receiving(endpoint: Cap<Endpoint, All>) -> Cap<Endpoint, ReceiveOnly> {
    endpoint.narrow()
}

/// Reply objects, fresh from untyped memory.
///
/// # Errors
/// As [`retype`].
pub fn reply_objects(
    untyped: &Cap<Untyped>,
    cnode: &Cap<CNode, All>,
    count: usize,
) -> Result<alloc::vec::Vec<Cap<Reply, All>>> {
    (0..count).map(|_| retype(untyped, 0, cnode)).collect()
}
