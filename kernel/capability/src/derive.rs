//! Capabilities from capabilities.
//!
//! Where a derived capability stands decides who can take it back. A capability is *original* when it
//! came from a retype or from a badge; what is copied from an original is its child, what is copied
//! from a copy is the copy's sibling. So there is one level of copies below each original, and badging
//! adds a level. Copies of an Untyped alone nest: each is an original.

use crate::context::Fill;
use crate::slot::Flags;
use crate::{Context, Error, Hooks, ObjectKind, Rights, Slot};

/// Copies a capability, with those of its rights that are also in `rights`.
///
/// A copy of memory is not mapped. A copy of an Untyped stands for all its memory, which the source
/// then no longer hands out until the copy is gone.
///
/// # Errors
/// `DeleteFirst` (destination filled), `FailedLookup` (source empty), `IllegalOperation` (a kind that
/// cannot be copied, or a pin),
/// `RevokeFirst` (an Untyped out of which something was made).
pub fn copy<H: Hooks>(
    context: &mut Context<'_, H>,
    source: &Slot,
    destination: &Slot,
    rights: Rights,
) -> Result<(), Error> {
    let kind = check(source, destination)?;
    if kind == ObjectKind::Untyped {
        if source.has_children() {
            return Err(Error::RevokeFirst);
        }
        source.badge.set(source.object_bytes());
    }
    let badge = if kind == ObjectKind::Untyped || kind.is_memory() { 0 } else { source.badge() };
    let level = if kind == ObjectKind::Untyped { Flags::ORIGINAL } else { Flags::empty() };
    derive(context, source, destination, kind, rights, badge, level);
    Ok(())
}

/// Copies the capability to an endpoint or a notification and gives the copy a badge, once and for all;
/// or that of a scheduler, with a lower maximum. Badge 0 is no badge: it gives a plain copy of an
/// endpoint or a notification.
///
/// # Errors
/// As [`copy`]; `IllegalOperation` also for other kinds and for a capability that has a badge already;
/// `RangeError` for a maximum above the scheduler's.
pub fn mint<H: Hooks>(
    context: &mut Context<'_, H>,
    source: &Slot,
    destination: &Slot,
    rights: Rights,
    badge: u64,
) -> Result<(), Error> {
    let kind = check(source, destination)?;
    match kind {
        ObjectKind::Endpoint | ObjectKind::Notification => {
            if source.badge() != 0 {
                return Err(Error::IllegalOperation);
            }
        }
        ObjectKind::Scheduler => {
            if badge > source.badge() {
                return Err(Error::RangeError { min: 0, max: source.badge() });
            }
        }
        _ => return Err(Error::IllegalOperation),
    }
    let is_plain = badge == 0 && kind != ObjectKind::Scheduler;
    let level = if is_plain { Flags::empty() } else { Flags::ORIGINAL };
    derive(context, source, destination, kind, rights, badge, level);
    Ok(())
}

/// Moves a capability, with everything that belongs to it: its descendants, its anchor, its power to
/// revoke, its mapping. Its generation is a new one, so what the old place was known by is stale.
///
/// # Errors
/// `DeleteFirst` (destination filled, be it by the source itself), `FailedLookup` (source empty),
/// `IllegalOperation` (a pin).
pub fn move_<H: Hooks>(context: &mut Context<'_, H>, source: &Slot, destination: &Slot) -> Result<(), Error> {
    check_places(source, destination)?;
    destination.occupy();
    destination.object.set(source.object.get());
    destination.kind.set(source.kind.get());
    destination.rights.set(source.rights.get());
    destination.size_bits.set(source.size_bits.get());
    destination.flags.set(source.flags.get() & !Flags::ENDOWED.bits());
    destination.badge.set(source.badge.get());
    destination.payload.set(source.payload.get());
    destination.mark.set(source.mark.get());
    destination.generation.set(context.generation());
    source.siblings.replace(&destination.siblings);
    source.children.replace(&destination.children);
    source.hang.replace(&destination.hang);
    context.hooks.moved(source, destination);
    source.vacate();
    Ok(())
}

/// Two capabilities change places, each as [`move_`] does it. Which of the places are endowed stays as it was.
///
/// # Errors
/// `FailedLookup` where one is empty, `IllegalOperation` for a pin; then nothing has changed.
pub fn exchange<H: Hooks>(context: &mut Context<'_, H>, one: &Slot, other: &Slot) -> Result<(), Error> {
    for slot in [one, other] {
        if slot.is_empty() {
            return Err(Error::FailedLookup);
        }
        if slot.is_pinned() {
            return Err(Error::IllegalOperation);
        }
    }
    let endowed = [one, other].map(|slot| slot.flags.get() & Flags::ENDOWED.bits());
    let between = Slot::EMPTY;
    move_(context, one, &between)?;
    move_(context, other, one)?;
    move_(context, &between, other)?;
    for (slot, endowed) in [one, other].into_iter().zip(endowed) {
        slot.flags.set(slot.flags.get() | endowed);
    }
    Ok(())
}

/// What a copy needs of its two slots.
fn check(source: &Slot, destination: &Slot) -> Result<ObjectKind, Error> {
    let kind = check_places(source, destination)?;
    if kind.is_copyable() { Ok(kind) } else { Err(Error::IllegalOperation) }
}

/// What every transfer from slot to slot needs.
fn check_places(source: &Slot, destination: &Slot) -> Result<ObjectKind, Error> {
    if !destination.is_empty() {
        return Err(Error::DeleteFirst);
    }
    let kind = source.kind().ok_or(Error::FailedLookup)?;
    if source.is_pinned() { Err(Error::IllegalOperation) } else { Ok(kind) }
}

fn derive<H: Hooks>(
    context: &mut Context<'_, H>,
    source: &Slot,
    destination: &Slot,
    kind: ObjectKind,
    rights: Rights,
    badge: u64,
    level: Flags,
) {
    let device = if source.is_device() { Flags::DEVICE } else { Flags::empty() };
    let fill = Fill {
        object: source.object(),
        kind,
        rights: source.rights().intersection(rights),
        size_bits: source.size_bits(),
        flags: device.union(level),
        badge,
    };
    context.fill(destination, fill);
    if source.is_original() {
        source.children.insert_after(&destination.siblings);
    } else {
        source.siblings.insert_before(&destination.siblings);
    }
}
