//! Objects that stand or fall together: those made under a transaction's Scope, or for a request's Reply.
//!
//! An anchor is the sentinel of a ring of slots, embedded in the object that it belongs to. It is
//! either settled (the objects stay, and nothing remembers that they hung together) or revoked (they
//! go, with everything derived from them). Copies do not hang: they are derived from what hangs. A move
//! takes the new slot into the ring in place of the old one.
//!
//! An object that is destroyed while slots hang on its anchor
//! ([`Hooks::contents`](crate::Hooks::contents)) was neither answered nor settled: they are condemned,
//! and [`reap_step`](crate::reap_step) revokes them.

use core::ptr;

use crate::link::Link;
use crate::remove::remove;
use crate::revoke::{reap_one, revoke_one};
use crate::{Context, Error, Hooks, Progress, Slot};

/// The head of a list of hanging slots: 16 bytes, zero when new. It cannot be created by value, so it
/// cannot move while linked.
#[derive(Debug)]
#[repr(transparent)]
pub struct Anchor {
    pub(crate) ring: Link,
}

impl Anchor {
    /// The anchor at an address.
    ///
    /// # Safety
    /// `address` is 8-aligned, its provenance is exposed, and the 16 bytes there are zeroes or an
    /// anchor, and changed by this crate alone, for as long as
    /// the reference lives or a slot hangs there. If the anchor is part of an object, then
    /// `Hooks::contents` reports it.
    #[must_use]
    pub unsafe fn at<'a>(address: usize) -> &'a Anchor {
        // SAFETY: the caller's promise; an anchor is two `Cell`s of integers, for which zeroes are valid.
        unsafe { &*ptr::with_exposed_provenance(address) }
    }

    /// Whether nothing hangs here.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ring.is_alone()
    }

    /// The slot that was hung up last.
    pub(crate) fn first(&self) -> Option<&Slot> {
        (!self.is_empty()).then(|| Slot::of_hang(self.ring.next()))
    }
}

/// Hangs a capability on an anchor, taking it off the one where it hung before.
///
/// # Errors
/// `FailedLookup` for an empty slot, `IllegalOperation` for a pin.
pub fn hang<H: Hooks>(_context: &mut Context<'_, H>, slot: &Slot, anchor: &Anchor) -> Result<(), Error> {
    if slot.is_empty() {
        return Err(Error::FailedLookup);
    }
    if slot.is_pinned() {
        return Err(Error::IllegalOperation);
    }
    slot.hang.remove();
    anchor.ring.insert_after(&slot.hang);
    Ok(())
}

/// Lets go of all that hangs here, and keeps the objects. Constant time: the anchor leaves the ring,
/// which stays behind without a head and without a meaning.
pub fn settle<H: Hooks>(_context: &mut Context<'_, H>, anchor: &Anchor) {
    anchor.ring.remove();
}

/// Revokes and deletes all that hangs here, in steps. `Done` or `More`: a pin below a hanging Buf
/// survives it, as a child of what the Buf was derived from, and is no concern of the anchor's any
/// more. `budget` is at least 1.
pub fn revoke_all_step<H: Hooks>(context: &mut Context<'_, H>, anchor: &Anchor, budget: u32) -> Progress {
    for _ in 0..budget {
        if !reap_one(context) && !fell_one(context, anchor) {
            return Progress::Done;
        }
    }
    Progress::More
}

/// One unit of the revocation of what hangs here; `false` when nothing does.
pub(crate) fn fell_one<H: Hooks>(context: &mut Context<'_, H>, anchor: &Anchor) -> bool {
    let Some(slot) = anchor.first() else {
        return false;
    };
    if revoke_one(context, slot) != Progress::More {
        remove(context, slot);
    }
    true
}
