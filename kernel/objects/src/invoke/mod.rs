//! Operations on kernel objects, by kind: all that is not on the hot path.
//!
//! The first token names the object; others stand in the words. Each operation checks kind and rights of every token
//! that it is given before it changes anything.

mod capabilities;
mod devices;
mod images;
mod messages;
mod replacements;
mod scopes;
mod threads;

use abi::KernelError;
use abi::kernel::{Answer, Operation, WORDS};
use abi::token::RawCap;
use capability::{CNode, ObjectKind, Rights, Slot};

use crate::instance::{self, ImageObject};
use crate::ipc::find;
use crate::notification::Notification;
use crate::scope::Scope;
use crate::status::ok;
use crate::tcb::Tcb;
use crate::vspace::VSpace;
use crate::{Failure, scheduler};

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
    IoPort, Loader, Scheduler, Serial, Settle, Machine, Replacement,
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
    const NOTE: u32 = Operation::Note as u32;
    const TCB_FAULT: u32 = Operation::TcbFault as u32;
    const IMAGE_SYMBOL: u32 = Operation::ImageSymbol as u32;
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
    const ENDPOINT_INFO: u32 = Operation::EndpointInfo as u32;
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
    const KEPT_FAULT: u32 = Operation::KeptFault as u32;
    const VSPACE_INFO: u32 = Operation::VSpaceInfo as u32;
    const SCOPE_ATTACH: u32 = Operation::ScopeAttach as u32;
    const SCOPE_SETTLE: u32 = Operation::ScopeSettle as u32;
    const SCOPE_ABORT: u32 = Operation::ScopeAbort as u32;
    const SCOPE_INFO: u32 = Operation::ScopeInfo as u32;
    const SERIAL_WRITE: u32 = Operation::SerialWrite as u32;
    const SERIAL_READ: u32 = Operation::SerialRead as u32;
    const SERIAL_WATCH: u32 = Operation::SerialWatch as u32;
    const SERIAL_LOG: u32 = Operation::SerialLog as u32;
    const IRQ_BIND: u32 = Operation::IrqBind as u32;
    const IRQ_ACKNOWLEDGE: u32 = Operation::IrqAcknowledge as u32;
    const PCI_READ: u32 = Operation::PciRead as u32;
    const PCI_WRITE: u32 = Operation::PciWrite as u32;
    const PCI_MAP: u32 = Operation::PciMap as u32;
    const PCI_PORT_READ: u32 = Operation::PciPortRead as u32;
    const PCI_PORT_WRITE: u32 = Operation::PciPortWrite as u32;
    const PORT_READ: u32 = Operation::PortRead as u32;
    const PORT_WRITE: u32 = Operation::PortWrite as u32;
    const DMA_MAP: u32 = Operation::DmaMap as u32;
    const HALT: u32 = Operation::Halt as u32;
    const RESET: u32 = Operation::Reset as u32;
    const MACHINE_INFO: u32 = Operation::MachineInfo as u32;
    const IMAGE_SERVES: u32 = Operation::ImageServes as u32;
    const SERVE_IMAGE: u32 = Operation::ServeImage as u32;
    const IMAGE_INTERFACE: u32 = Operation::ImageInterface as u32;
    const COMMAND_LINE: u32 = Operation::CommandLine as u32;
    const TCB_EXPORT: u32 = Operation::TcbExport as u32;
    const TCB_IMPORT: u32 = Operation::TcbImport as u32;
    const TCB_THAWED: u32 = Operation::TcbThawed as u32;
    const REPLACEMENT_TERMS: u32 = Operation::ReplacementTerms as u32;
    const REPLACEMENT_BEGIN: u32 = Operation::ReplacementBegin as u32;
    const REPLACEMENT_INFO: u32 = Operation::ReplacementInfo as u32;
    const REPLACEMENT_ABORT: u32 = Operation::ReplacementAbort as u32;
    const REPLACEMENT_CONFIRM: u32 = Operation::ReplacementConfirm as u32;
    const REPLACEMENT_PLANT: u32 = Operation::ReplacementPlant as u32;
    match operation {
        RETYPE => capabilities::retype(raw, words),
        UNTYPED_INFO => capabilities::untyped_info(raw, words),
        NOTE => capabilities::note(raw, words),
        COPY => capabilities::copy(raw, words),
        MOVE => capabilities::move_(raw, words),
        DELETE => capabilities::delete(raw),
        REVOKE => capabilities::revoke(raw),
        INSPECT => capabilities::inspect(raw, words),
        MAP => images::map(raw, words),
        DMA_MAP => devices::dma_map(raw, words),
        TCB_CONFIGURE => threads::configure(raw, words),
        TCB_START => instance::start(thread(raw)?).map(|()| 0),
        TCB_STOP => threads::stop(raw),
        TCB_PRIORITY => threads::priority(raw, words),
        TCB_BIND => threads::bind(raw, words),
        TCB_INFO => threads::tcb_info(raw, words),
        TCB_RESTART => threads::restart_instance(raw, words),
        ENDPOINT_ABI => messages::serve(raw, words),
        ENDPOINT_CHECK => messages::check(raw, words),
        ENDPOINT_INFO => messages::info(raw, words),
        SIGNAL => messages::signal(raw, words),
        // SAFETY: the caller's word, here and below.
        IMAGE_FILL => unsafe { images::fill(raw, words) },
        // SAFETY: as above.
        IMAGE_READ => unsafe { images::read(raw, words) },
        INSTANTIATE => images::instantiate(raw, words),
        IMAGE_NEEDS => images::image_needs(raw, words),
        WATCH_INSTANCES => threads::watch_instances(raw, words),
        WATCH_ABORTS => scopes::watch_aborts(raw, words),
        // SAFETY: as above.
        ARCHIVE_READ => unsafe { images::archive_read(raw, words) },
        // SAFETY: as above.
        IMAGE_NAME => unsafe { images::name(raw, words) },
        // SAFETY: as above.
        IMAGE_SYMBOL => unsafe { images::symbol(raw, words) },
        // SAFETY: as above.
        TCB_FAULT => unsafe { threads::fault(raw, words) },
        // SAFETY: as above.
        TCB_EXPORT => unsafe { replacements::export(raw, words) },
        // SAFETY: as above.
        TCB_IMPORT => unsafe { replacements::import(raw, words) },
        TCB_THAWED => replacements::thawed(raw, words),
        REPLACEMENT_TERMS => replacements::terms(raw, words),
        REPLACEMENT_BEGIN => replacements::begin(raw, words),
        REPLACEMENT_INFO => replacements::info(raw, words),
        REPLACEMENT_ABORT => replacements::tell(raw, replace::Event::Abort),
        REPLACEMENT_CONFIRM => replacements::tell(raw, replace::Event::Proven),
        REPLACEMENT_PLANT => replacements::plant(raw, words),
        IMAGE_SERVES => images::image_serves(raw, words),
        SERVE_IMAGE => images::serve(raw, words),
        // SAFETY: the caller's word.
        IMAGE_INTERFACE => unsafe { images::interface(raw, words) },
        KEEP => threads::keep(raw, words),
        // SAFETY: the caller's word.
        KEPT_FAULT => unsafe { threads::kept_fault(raw, words) },
        VSPACE_INFO => threads::vspace_info(raw, words),
        SCOPE_ATTACH => scopes::attach(raw, words),
        SCOPE_SETTLE => scopes::settle(raw, words),
        SCOPE_ABORT => scopes::abort(raw, words),
        SCOPE_INFO => scopes::info(raw, words),
        // SAFETY: as above.
        SERIAL_WRITE => unsafe { devices::serial_write(raw, words) },
        // SAFETY: as above.
        SERIAL_READ => unsafe { devices::serial_read(raw, words) },
        SERIAL_WATCH => devices::serial_watch(raw, words),
        // SAFETY: as above.
        SERIAL_LOG => unsafe { devices::serial_log(raw, words) },
        IRQ_BIND => devices::irq_bind(raw, words),
        IRQ_ACKNOWLEDGE => devices::irq_acknowledge(raw),
        PCI_READ => devices::pci_read(raw, words),
        PCI_WRITE => devices::pci_write(raw, words),
        PCI_MAP => devices::pci_map(raw, words),
        // SAFETY: as above.
        PCI_PORT_READ => unsafe { devices::pci_port_read(raw, words) },
        // SAFETY: as above.
        PCI_PORT_WRITE => unsafe { devices::pci_port_write(raw, words) },
        PORT_READ => devices::port_read(raw, words),
        PORT_WRITE => devices::port_write(raw, words),
        HALT => devices::halt(raw, words),
        RESET => devices::reset(raw),
        MACHINE_INFO => devices::machine_info(raw, words),
        // SAFETY: as above.
        COMMAND_LINE => unsafe { devices::command_line(raw, words) },
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
