//! Capabilities of any kind: what a slot holds, copying, moving, deleting, revoking.

use abi::KernelError;
use abi::kernel::{Operation, SlotInfo};
use abi::token::{All, CNode, Cap, Object, RawCap, Rights};

use super::{Result, invoke_with, words};
use crate::kernel::invoke;

/// What a slot of the caller's CNode holds; `None` where it is empty or out of range.
pub(crate) fn inspect_raw(cnode: RawCap, slot: u32) -> Option<SlotInfo> {
    let mut words = words(&[slot.into()]);
    invoke(Operation::Inspect, cnode, &mut words).ok()?;
    let [generation, packed, badge, first, second, object, ..] = words;
    (generation != 0).then_some(SlotInfo {
        kind: packed as u8,
        rights: (packed >> 8) as u8,
        size_bits: (packed >> 16) as u8,
        endowed: (packed >> 24) as u8,
        slot,
        generation,
        badge,
        note: [first, second],
        object,
    })
}

/// Keeps two words with a capability, for the holder's next instance to know its own by.
///
/// # Errors
/// `WrongKind` for a device's.
pub fn note<T: Object, R: Rights>(cap: &Cap<T, R>, note: [u64; 2]) -> Result<()> {
    invoke_with(Operation::Note, cap.raw(), &note).map(drop)
}

/// What a slot of a CNode holds.
pub fn inspect(cnode: &Cap<CNode, All>, slot: u32) -> Option<SlotInfo> {
    inspect_raw(cnode.raw(), slot)
}

/// The first capability of a CNode from a slot on; `None` where there is none.
pub fn next_filled(cnode: &Cap<CNode, All>, from: u32) -> Option<SlotInfo> {
    for slot in from.max(1).. {
        let mut words = words(&[slot.into()]);
        // Refused behind the last slot.
        invoke(Operation::Inspect, cnode.raw(), &mut words).ok()?;
        if words[0] != 0
            && let Some(info) = inspect(cnode, slot).filter(|info| info.kind != 0)
        {
            return Some(info);
        }
    }
    None
}

/// How many capabilities a CNode holds.
pub fn count(cnode: &Cap<CNode, All>) -> u32 {
    let mut filled = 0;
    for slot in 1.. {
        let mut words = words(&[slot]);
        match invoke(Operation::Inspect, cnode.raw(), &mut words) {
            Ok(_) => filled += u32::from(words[0] != 0),
            // Behind the last slot.
            Err(_) => break,
        }
    }
    filled
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
pub(super) fn adopt<T: Object, R: Rights>(cnode: &Cap<CNode, All>, raw: RawCap) -> Result<Cap<T, R>> {
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

/// Moves a capability into a slot of the caller's own CNode.
///
/// # Errors
/// `DeleteFirst`; then it is still in its slot, but the token is gone.
pub fn place<T: Object, R: Rights>(source: Cap<T, R>, cnode: &Cap<CNode, All>, slot: u32) -> Result<Cap<T, R>> {
    let source = source.into_raw();
    let mut given = words(&[source.slot, source.generation, slot.into()]);
    let slot = invoke(Operation::Move, cnode.raw(), &mut given)?;
    let [generation, ..] = given;
    adopt(cnode, RawCap { slot, generation })
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
