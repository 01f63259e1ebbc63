//! What untyped memory there is, where it comes from, and what was made of it.

use crate::context::Fill;
use crate::slot::Flags;
use crate::{Context, Error, Hooks, MAX_UNTYPED_BITS, MIN_UNTYPED_BITS, ObjectKind, Rights, Slot};

/// The state of an untyped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UntypedStatus {
    /// Size in bytes.
    pub bytes: u64,
    /// Bytes that were handed out, and lost to alignment.
    pub watermark: u64,
    /// Bytes behind the watermark; the next object's alignment may cost some of them.
    pub bytes_free: u64,
    /// Whether nothing is derived from it: then all of it is free.
    pub is_whole: bool,
}

/// The state of the untyped in a slot. The number of children is `children(..).count()`.
///
/// # Errors
/// `InvalidCapability` if there is none.
pub fn untyped_status<H: Hooks>(_context: &Context<'_, H>, slot: &Slot) -> Result<UntypedStatus, Error> {
    if !slot.is(ObjectKind::Untyped) {
        return Err(Error::InvalidCapability);
    }
    let (bytes, watermark) = (slot.object_bytes(), watermark(slot));
    let is_whole = !slot.has_children();
    Ok(UntypedStatus { bytes, watermark, bytes_free: bytes - watermark, is_whole })
}

/// The slots derived from `slot`, one level down, the youngest first. CNodes that are being emptied are
/// among them (they have no rights and cannot be looked up), and so are pins. As many as there are: who
/// prints them bounds them, by `take`.
pub fn children<'a, H: Hooks>(_context: &'a Context<'_, H>, slot: &'a Slot) -> Children<'a> {
    Children { parent: slot, next: slot.children.next() }
}

/// Iterator over the slots derived from a slot. It borrows the context, so nothing changes under it.
#[derive(Debug)]
pub struct Children<'a> {
    parent: &'a Slot,
    next: usize,
}

impl<'a> Iterator for Children<'a> {
    type Item = &'a Slot;

    fn next(&mut self) -> Option<&'a Slot> {
        if self.next == self.parent.children.address() {
            return None;
        }
        let child = Slot::of_sibling(self.next);
        self.next = child.siblings.next();
        Some(child)
    }
}

/// Bytes handed out: none if nothing is derived from the untyped, whatever its badge word says.
pub(crate) fn watermark(slot: &Slot) -> u64 {
    if slot.has_children() { slot.badge() } else { 0 }
}

/// Fills a slot with untyped memory that no object lies in yet. At boot only.
///
/// # Errors
/// `DeleteFirst` (slot filled), `RangeError` (size outside of 2^4 to 2^47), `InvalidArgument(0)`
/// (address 0, or not aligned to the size).
///
/// # Safety
/// For as long as the kernel runs, the memory is reached through this capability alone; it is mapped at
/// `address`, with its provenance exposed, unless `is_device`.
pub unsafe fn grant_untyped<H: Hooks>(
    context: &mut Context<'_, H>,
    slot: &Slot,
    address: u64,
    size_bits: u8,
    memory: Memory,
) -> Result<(), Error> {
    if !slot.is_empty() {
        return Err(Error::DeleteFirst);
    }
    if !(MIN_UNTYPED_BITS..=MAX_UNTYPED_BITS).contains(&size_bits) {
        return Err(Error::RangeError { min: u64::from(MIN_UNTYPED_BITS), max: u64::from(MAX_UNTYPED_BITS) });
    }
    if address == 0 || !address.is_multiple_of(1 << size_bits) {
        return Err(Error::InvalidArgument(0));
    }
    let device = match memory {
        Memory::Ordinary => Flags::empty(),
        Memory::Device => Flags::DEVICE,
    };
    let kind = ObjectKind::Untyped;
    let flags = Flags::ORIGINAL.union(device);
    context.fill(slot, Fill { object: address, kind, rights: Rights::of(kind), size_bits, flags, badge: 0 });
    slot.siblings.reset();
    Ok(())
}

/// What stands behind an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Memory {
    /// Memory that the kernel may read, write and zero.
    Ordinary,
    /// Registers of a device.
    Device,
}

/// Fills a slot with authority that is made of no memory: a device's, or one of the kernel's
/// singletons. At boot, and when a device is found.
///
/// `object` and `badge` are what [`ObjectKind`] says of the kind.
///
/// # Errors
/// `DeleteFirst` (slot filled), `InvalidArgument(0)` (a kind that is made by retype).
pub fn grant<H: Hooks>(
    context: &mut Context<'_, H>,
    slot: &Slot,
    kind: ObjectKind,
    object: u64,
    badge: u64,
) -> Result<(), Error> {
    if !slot.is_empty() {
        return Err(Error::DeleteFirst);
    }
    if kind.is_retypable() {
        return Err(Error::InvalidArgument(0));
    }
    let flags = Flags::ORIGINAL;
    context.fill(slot, Fill { object, kind, rights: Rights::of(kind), size_bits: 0, flags, badge });
    slot.siblings.reset();
    Ok(())
}
