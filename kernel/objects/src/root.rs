//! The root task: the first cell, which is given everything that the kernel does not keep.
//!
//! | slots of its CNode | what |
//! | --- | --- |
//! | 1 to 3 | its CNode, VSpace, thread |
//! | 16 to 21 | Loader, Scheduler, Settle, Serial, Machine, IoPort (all ports) |
//! | 32 to 63 | PCI functions |
//! | 64 to 95 | the interrupt line of each of them |
//! | from 96 | untyped memory, all that is free |

use abi::slots;
use capability::{CNode, Memory, ObjectKind, Slot};
use image::Archive;
use paging::RangeSet;
use threads::Budget;

use crate::exclusive::Exclusive;
use crate::instance::{self, ImageObject, Parts};
use crate::memory::physmap;
use crate::tcb::Tcb;
use crate::vspace::VSpace;
use crate::{Failure, authority, devices, scheduler};

/// Name of the root task's image in the boot archive.
const NAME: &str = "root_task";
/// 2^10 slots.
const CNODE_BITS: u32 = 10;
const VSPACE_BITS: u32 = 12;
const PRIORITY: u8 = 40;
/// The smallest boot untyped that is worth a slot, as a power of two.
const SMALLEST: u32 = 16;

struct Boot {
    archive: Option<Archive<'static>>,
    command_line: &'static str,
}

static BOOT: Exclusive<Boot> = Exclusive::new(Boot { archive: None, command_line: "" });

/// An entry of the boot archive.
pub(crate) fn archive_entry(index: u64) -> Option<image::ArchiveImage<'static>> {
    BOOT.get().archive.as_ref()?.iter().nth(usize::try_from(index).ok()?)
}

pub(crate) fn command_line() -> &'static str {
    BOOT.get().command_line
}

/// Why the root task did not start.
#[derive(Debug)]
pub enum RootError {
    /// There is no boot archive, or it is damaged.
    NoArchive,
    /// The archive holds no root task.
    NoRootTask,
    /// An operation failed.
    Failed(Failure),
}

impl<T: Into<Failure>> From<T> for RootError {
    fn from(error: T) -> Self {
        RootError::Failed(error.into())
    }
}

/// Makes the root task and starts it; it runs when boot gives the processor up.
///
/// # Safety
/// `free` is memory that nobody uses; the archive is never written.
pub unsafe fn start(
    free: &RangeSet,
    archive: Option<&'static [u8]>,
    command_line: &'static str,
) -> Result<(), RootError> {
    let archive = archive.and_then(|bytes| Archive::open(bytes).ok()).ok_or(RootError::NoArchive)?;
    let bytes = archive.find(NAME).ok_or(RootError::NoRootTask)?.bytes;
    BOOT.with(|boot| *boot = Boot { archive: Some(archive), command_line });
    // The scratch slots that the parts are made in are the kernel's; the root task gets them by a move at the end.
    let first = alloc::boxed::Box::leak(alloc::boxed::Box::new([const { Slot::EMPTY }; 6]));
    let [boot, cnode_slot, vspace_slot, tcb_slot, image_slot, frame_slot] = first;
    let mut blocks = free.iter().flat_map(paging::blocks).filter(|block| block.bits >= SMALLEST);
    // SAFETY: the caller's word.
    unsafe { grant_first(free, boot) }?;
    let reserved = boot.object();
    let make = |kind, bits, slot: &Slot| {
        authority::with(|context| capability::retype_into(context, boot, kind, bits, slot, None))
    };
    make(ObjectKind::CNode, CNODE_BITS, cnode_slot)?;
    make(ObjectKind::VSpace, VSPACE_BITS, vspace_slot)?;
    make(ObjectKind::Tcb, 0, tcb_slot)?;
    let bits = |bytes: u64| bytes.max(4096).next_power_of_two().trailing_zeros();
    make(ObjectKind::Image, bits(bytes.len() as u64 + 64), image_slot)?;
    // SAFETY: the slot was filled just now.
    let image = unsafe { ImageObject::at(image_slot.object() as usize) };
    image.fill(bytes)?;
    let verified = image.verified()?;
    let (heap, stack, _) = instance::demands(&verified);
    make(ObjectKind::Frame, bits(verified.layout().bytes()), frame_slot)?;
    // SAFETY: as above.
    let vspace = unsafe { VSpace::at(vspace_slot.object() as usize) };
    instance::instantiate(image, vspace, frame_slot)?;
    // SAFETY: as above; nothing destroys the CNode during this.
    let cnode = unsafe { CNode::of(cnode_slot) }?;
    // SAFETY: the caller's word.
    unsafe { endow(cnode, &mut blocks, reserved) }?;
    finish(boot, cnode, cnode_slot, vspace_slot, tcb_slot, bits(heap), bits(stack))
}

/// Puts the parts into the CNode, gives the thread what it runs on, and starts it.
fn finish(
    boot: &Slot,
    cnode: CNode<'_>,
    cnode_slot: &Slot,
    vspace_slot: &Slot,
    tcb_slot: &Slot,
    heap_bits: u32,
    stack_bits: u32,
) -> Result<(), RootError> {
    let parts = alloc::boxed::Box::leak(alloc::boxed::Box::new([const { Slot::EMPTY }; 2]));
    let [heap, stack] = parts;
    // The largest last: what stands in its own alignment leaves no room behind it.
    for (slot, bits) in [(&*stack, stack_bits), (&*heap, heap_bits)] {
        authority::with(|context| capability::retype_into(context, boot, ObjectKind::Frame, bits, slot, None))?;
    }
    for (index, slot) in [(slots::CNODE, cnode_slot), (slots::VSPACE, vspace_slot), (slots::TCB, tcb_slot)] {
        let destination = cnode.slot(index)?;
        authority::with(|context| capability::copy(context, slot, destination, slot.rights()))?;
    }
    // SAFETY: the slot was filled by the caller.
    let thread = unsafe { Tcb::at(tcb_slot.object() as usize) };
    let parts = Parts { cnode: cnode_slot, vspace: vspace_slot, stack, heap, argument: 0 };
    instance::configure(thread, &parts)?;
    scheduler::set_own_priority(thread, PRIORITY, Budget::UNLIMITED);
    scheduler::ready(thread);
    Ok(())
}

/// The block that the root task itself is made of: the smallest of at least 32 MiB.
///
/// # Safety
/// As [`start`].
unsafe fn grant_first(free: &RangeSet, slot: &Slot) -> Result<(), RootError> {
    let own = free.iter().flat_map(paging::blocks).filter(|block| block.bits >= 25).min_by_key(|block| block.bits);
    let Some(own) = own else { panic!("this machine has too little memory: 32 MiB in one piece are needed to start") };
    let address = physmap(own.base);
    // SAFETY: free memory in the physmap, given to this one slot.
    authority::with(|context| unsafe {
        capability::grant_untyped(context, slot, address, own.bits as u8, Memory::Ordinary)
    })?;
    Ok(())
}

/// Fills the root task's slots.
///
/// # Safety
/// As [`start`].
unsafe fn endow(
    cnode: CNode<'_>,
    blocks: &mut dyn Iterator<Item = paging::Block>,
    reserved: u64,
) -> Result<(), RootError> {
    let grant = |index, kind, object, badge| -> Result<(), RootError> {
        let slot = cnode.slot(index)?;
        authority::with(|context| capability::grant(context, slot, kind, object, badge))?;
        Ok(())
    };
    grant(slots::FIRST_GRANTED, ObjectKind::Loader, 0, 0)?;
    grant(slots::FIRST_GRANTED + 1, ObjectKind::Scheduler, 0, u64::from(threads::PRIORITIES) - 1)?;
    grant(slots::FIRST_GRANTED + 2, ObjectKind::Settle, 0, 0)?;
    grant(slots::FIRST_GRANTED + 3, ObjectKind::Serial, 0, 0)?;
    grant(slots::FIRST_GRANTED + 4, ObjectKind::Machine, 0, 0)?;
    grant(slots::FIRST_GRANTED + 5, ObjectKind::IoPort, 0, 1 << 16)?;
    let mut count = 0;
    let mut failed = Ok(());
    devices::enumerate(|function, line| {
        if count < 32 && failed.is_ok() {
            let irq = u64::from(line);
            failed = grant(32 + count, ObjectKind::PciFunction, function, 0)
                .and_then(|()| grant(64 + count, ObjectKind::Irq, irq, 0));
            count += 1;
        }
    });
    failed?;
    let mut index = 96;
    for block in blocks {
        let address = physmap(block.base);
        if address == reserved || index >= cnode.capacity() {
            continue;
        }
        let slot = cnode.slot(index)?;
        // SAFETY: free memory in the physmap, given to this one slot.
        authority::with(|context| unsafe {
            capability::grant_untyped(context, slot, address, block.bits as u8, Memory::Ordinary)
        })?;
        index += 1;
    }
    Ok(())
}
