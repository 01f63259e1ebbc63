//! Objects out of untyped memory.
//!
//! An untyped has a watermark. Objects are placed at the watermark, aligned up to their size, and the
//! watermark moves behind them. It never goes down while anything derived from the untyped exists, and
//! begins at 0 again when nothing does.
//!
//! Deviation from seL4: memory is zeroed when an object is made, exactly its bytes, and not when the
//! watermark is reset. The memory server splits and merges large untypeds as a buddy allocator does;
//! with zeroing at reset, each merge would clear megabytes that nobody had used. The reset is then
//! constant time, and needs no preemption; what is made pays for its own bytes, in chunks of
//! [`ZERO_CHUNK`](crate::ZERO_CHUNK), between which [`Hooks::zero`] may serve interrupts. No object is
//! ever seen that is not zeroed.

use crate::cnode::{CNode, CNodeHeader};
use crate::context::Fill;
use crate::header::ObjectHeader;
use crate::slot::Flags;
use crate::untyped::watermark;
use crate::{Anchor, Context, Error, Hooks, ObjectKind, Rights, Slot, ZERO_CHUNK};

/// Most objects of one retype.
pub const MAX_RETYPE_COUNT: u32 = 256;

/// Where in its untyped a row of objects goes.
struct Plan {
    kind: ObjectKind,
    size_bits: u8,
    object_bits: u8,
    first: u64,
    end: u64,
    is_device: bool,
}

/// Makes `count` objects out of the untyped in `source`, with capabilities in the slots of
/// `destination` from `first` on, all of them or none. The new capabilities are children of the untyped
/// and hang on `anchor`, if there is one.
///
/// Positions of arguments: kind 0, `size_bits` 1.
///
/// # Errors
/// In this order: `InvalidCapability` (`source` is no Untyped), those of [`ObjectKind::object_bits`],
/// `FailedLookup` (the destination is dying),
/// `RangeError` (first slot, count, window), `DeleteFirst` (a slot of the window is filled),
/// `InvalidArgument(0)` (a kind that device memory
/// cannot become), `NotEnoughMemory`.
#[expect(clippy::too_many_arguments, reason = "the arguments of the invocation, in its order")]
pub fn retype<H: Hooks>(
    context: &mut Context<'_, H>,
    source: &Slot,
    kind: ObjectKind,
    size_bits: u32,
    destination: CNode<'_>,
    first: u32,
    count: u32,
    anchor: Option<&Anchor>,
) -> Result<(), Error> {
    let object_bits = check_object(source, kind, size_bits)?;
    check_window(destination, first, count)?;
    let plan = plan(source, kind, size_bits, object_bits, count)?;
    zero(context, source, &plan);
    for number in 0..count {
        let slot = destination.slot(first + number)?;
        make(context, source, &plan, number, slot, anchor);
    }
    source.badge.set(plan.end);
    Ok(())
}

/// Makes one object, with its capability in a given slot: how the kernel makes the first CNode, and
/// fills embedded slots.
///
/// # Errors
/// As [`retype`], without those of the window.
pub fn retype_into<H: Hooks>(
    context: &mut Context<'_, H>,
    source: &Slot,
    kind: ObjectKind,
    size_bits: u32,
    destination: &Slot,
    anchor: Option<&Anchor>,
) -> Result<(), Error> {
    let object_bits = check_object(source, kind, size_bits)?;
    if !destination.is_empty() {
        return Err(Error::DeleteFirst);
    }
    let plan = plan(source, kind, size_bits, object_bits, 1)?;
    zero(context, source, &plan);
    make(context, source, &plan, 0, destination, anchor);
    source.badge.set(plan.end);
    Ok(())
}

fn check_object(source: &Slot, kind: ObjectKind, size_bits: u32) -> Result<u8, Error> {
    if !source.is(ObjectKind::Untyped) {
        return Err(Error::InvalidCapability);
    }
    kind.object_bits(size_bits)
}

/// The window is `count` empty slots from `first` on, none of them slot 0, which is the header.
fn check_window(destination: CNode<'_>, first: u32, count: u32) -> Result<(), Error> {
    destination.slot(first)?;
    if count == 0 || count > MAX_RETYPE_COUNT {
        return Err(Error::RangeError { min: 1, max: u64::from(MAX_RETYPE_COUNT) });
    }
    let room = destination.capacity() - first;
    if count > room {
        return Err(Error::RangeError { min: 1, max: u64::from(room) });
    }
    for index in first..first + count {
        if !destination.slot(index)?.is_empty() {
            return Err(Error::DeleteFirst);
        }
    }
    Ok(())
}

/// Places the objects. The fit is tested on the free bytes before alignment, which is enough: the size
/// of the untyped is a multiple of the object's, so `count` objects that fit in size also fit when
/// aligned.
fn plan(source: &Slot, kind: ObjectKind, size_bits: u32, object_bits: u8, count: u32) -> Result<Plan, Error> {
    if source.is_device() && !kind.is_device_capable() {
        return Err(Error::InvalidArgument(0));
    }
    let start = watermark(source);
    let free = source.object_bytes() - start;
    if free >> object_bits < u64::from(count) {
        return Err(Error::NotEnoughMemory { bytes_left: free });
    }
    let first = start.next_multiple_of(1 << object_bits);
    let end = first + (u64::from(count) << object_bits);
    let size_bits = kind.fixed_bits().unwrap_or(size_bits as u8);
    Ok(Plan { kind, size_bits, object_bits, first, end, is_device: source.is_device() })
}

/// Zeroes the memory of the planned objects, in chunks. An untyped is zeroed when something is made of it.
fn zero<H: Hooks>(context: &mut Context<'_, H>, source: &Slot, plan: &Plan) {
    if plan.is_device || plan.kind == ObjectKind::Untyped {
        return;
    }
    let mut offset = plan.first;
    while offset < plan.end {
        let bytes = ZERO_CHUNK.min(plan.end - offset);
        context.hooks.zero((source.object() + offset) as usize, bytes);
        offset += bytes;
    }
}

/// Makes the object with this number: its header, its capability, and the places of that in the rings.
fn make<H: Hooks>(
    context: &mut Context<'_, H>,
    source: &Slot,
    plan: &Plan,
    number: u32,
    slot: &Slot,
    anchor: Option<&Anchor>,
) {
    let object = source.object() + plan.first + (u64::from(number) << plan.object_bits);
    if plan.kind.has_header() {
        // SAFETY: the memory is the untyped's, exposed by whoever granted it, behind its watermark and
        // so of no other object, aligned to the object's size, and zeroed by `zero`.
        let header = unsafe { ObjectHeader::at(object as usize) };
        header.initialise(plan.kind, plan.size_bits);
    }
    if plan.kind == ObjectKind::CNode {
        initialise_cnode(object as usize, plan.size_bits);
    }
    let device = if plan.is_device { Flags::DEVICE } else { Flags::empty() };
    let fill = Fill {
        object,
        kind: plan.kind,
        rights: Rights::of(plan.kind),
        size_bits: plan.size_bits,
        flags: Flags::ORIGINAL.union(device),
        badge: 0,
    };
    context.fill(slot, fill);
    source.children.insert_after(&slot.siblings);
    if let Some(anchor) = anchor {
        anchor.ring.insert_after(&slot.hang);
    }
    context.hooks.created(plan.kind, object as usize, plan.size_bits);
}

fn initialise_cnode(address: usize, size_bits: u8) {
    // SAFETY: the address is that of a new CNode, whose header was written and whose other bytes are zero.
    let header: &CNodeHeader = unsafe { CNode::at(address) }.header();
    header.initialise(size_bits);
}
