//! Bufs that are lent to a server.
//!
//! A pin is a capability in a slot embedded in the server's Reply. It is derived from the client's, or
//! rather stands beside it in the tree, but no revocation and no deletion removes it: so the client may
//! die, its untyped may be revoked, and the memory is not handed out again before the server has
//! answered or died itself ([`unpin`]; the destruction of the Reply does the same).

use crate::context::Fill;
use crate::remove::remove;
use crate::slot::Flags;
use crate::{Context, Error, Hooks, ObjectKind, Rights, Slot};

/// Pins the Buf of `buf` by a capability in the embedded slot `pin`, with those of its rights that are
/// also in `rights`. A pin can be pinned in turn, when a server lends on what was lent to it.
///
/// # Errors
/// `DeleteFirst` (`pin` is filled), `FailedLookup` (`buf` is empty), `InvalidCapability` (not a Buf),
/// `IllegalOperation` (`pin` lies in a
/// CNode, where its holder could move it).
pub fn pin<H: Hooks>(context: &mut Context<'_, H>, buf: &Slot, pin: &Slot, rights: Rights) -> Result<(), Error> {
    if !pin.is_empty() {
        return Err(Error::DeleteFirst);
    }
    let kind = buf.kind().ok_or(Error::FailedLookup)?;
    if kind != ObjectKind::Buf {
        return Err(Error::InvalidCapability);
    }
    if pin.index() != 0 {
        return Err(Error::IllegalOperation);
    }
    let fill = Fill {
        object: buf.object(),
        kind,
        rights: buf.rights().intersection(rights),
        size_bits: buf.size_bits(),
        flags: Flags::PINNED,
        badge: 0,
    };
    context.fill(pin, fill);
    if buf.is_pinned() {
        buf.siblings.insert_after(&pin.siblings);
    } else {
        buf.children.insert_before(&pin.siblings);
    }
    Ok(())
}

/// Ends a pin.
///
/// # Errors
/// `FailedLookup` (the slot is empty), `IllegalOperation` (not a pin).
pub fn unpin<H: Hooks>(context: &mut Context<'_, H>, pin: &Slot) -> Result<(), Error> {
    if pin.is_empty() {
        return Err(Error::FailedLookup);
    }
    if !pin.is_pinned() {
        return Err(Error::IllegalOperation);
    }
    remove(context, pin);
    Ok(())
}
