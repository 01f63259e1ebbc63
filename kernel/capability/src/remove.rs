//! The end of one capability, and of the object with its last.
//!
//! A capability leaves its rings in constant time: its children take its place among its siblings, so
//! they become its parent's. If it was the last to an object, then the object is *doomed* (destroyed
//! before the operation ends) or, for a CNode that still holds capabilities, *dying* (emptied step by
//! step, see [`reap_step`](crate::reap_step)). Both are lists, so nothing here recurses.

use crate::header::ObjectHeader;
use crate::revoke::reap_step;
use crate::slot::Flags;
use crate::{CNode, Context, Error, Hooks, ObjectKind, Progress, Slot};

/// Deletes one capability, whatever was derived from it, and then empties what died with it, within the budget.
///
/// The slot is empty at once and what was derived from it belongs to its parent. If the answer is
/// `More`, then [`reap_step`] does the rest. An empty slot is nothing to complain about. `budget` is at
/// least 1.
///
/// # Errors
/// `IllegalOperation` for a pin: see [`unpin`](crate::unpin).
pub fn delete<H: Hooks>(context: &mut Context<'_, H>, slot: &Slot, budget: u32) -> Result<Progress, Error> {
    if slot.is_pinned() {
        return Err(Error::IllegalOperation);
    }
    if !slot.is_empty() {
        remove(context, slot);
    }
    Ok(reap_step(context, budget))
}

/// Removes the capability in a filled slot, and destroys the objects that die with it, except for CNodes that
/// hold something, which only begin to die.
pub(crate) fn remove<H: Hooks>(context: &mut Context<'_, H>, slot: &Slot) {
    detach(context, slot);
    while let Some(header) = Context::<H>::pop(&mut context.doomed) {
        destroy(context, header);
    }
}

/// Takes the capability out of its slot and lists the object if that was the last to it.
fn detach<H: Hooks>(context: &mut Context<'_, H>, slot: &Slot) {
    context.hooks.cap_removed(slot);
    slot.hang.remove();
    let is_last = slot.header().is_some_and(ObjectHeader::release);
    if let (true, Some(header)) = (is_last, slot.header()) {
        match CNodeToBury::of(slot) {
            Some(CNodeToBury(node)) => {
                node.shut();
                bury(context, slot, node.tombstone());
                Context::<H>::push(&mut context.dying, header);
            }
            None => Context::<H>::push(&mut context.doomed, header),
        }
    }
    unlink(slot);
    slot.vacate();
}

/// A CNode that has lost its last capability and still holds some.
struct CNodeToBury<'a>(CNode<'a>);

impl<'a> CNodeToBury<'a> {
    fn of(slot: &'a Slot) -> Option<Self> {
        // SAFETY: the CNode is destroyed by `finish` alone, after it went through the list of dying
        // objects; `detach` and its caller use it before.
        let node = unsafe { CNode::of(slot) }.ok()?;
        (!node.header().is_unused()).then_some(CNodeToBury(node))
    }
}

/// Gives the place of a dying CNode's last capability in the tree to its tombstone.
fn bury<H: Hooks>(context: &mut Context<'_, H>, slot: &Slot, tombstone: &Slot) {
    tombstone.object.set(slot.object.get());
    tombstone.kind.set(slot.kind.get());
    tombstone.size_bits.set(slot.size_bits.get());
    tombstone.flags.set(Flags::TOMBSTONE.bits());
    tombstone.generation.set(context.generation());
    slot.siblings.replace(&tombstone.siblings);
    slot.children.replace(&tombstone.children);
}

/// Takes a slot out of the tree, its children taking its place.
fn unlink(slot: &Slot) {
    slot.siblings.splice_before(&slot.children);
    slot.children.remove();
    slot.siblings.remove();
}

/// Ends an object without capabilities, and what is embedded in it.
fn destroy<H: Hooks>(context: &mut Context<'_, H>, header: &ObjectHeader) {
    let Some(kind) = header.kind() else { return };
    let address = header.address();
    if kind != ObjectKind::CNode {
        let contents = context.hooks.contents(kind, address);
        for slot in contents.slots {
            if !slot.is_empty() {
                detach(context, slot);
            }
        }
        if let Some(anchor) = contents.anchor {
            context.condemned.ring.splice_before(&anchor.ring);
        }
    }
    context.hooks.destroyed(kind, address, header.size_bits());
}

/// Ends a dying CNode that has been emptied, the first on the list.
pub(crate) fn finish<H: Hooks>(context: &mut Context<'_, H>, node: CNode<'_>) {
    if let Some(header) = Context::<H>::pop(&mut context.dying) {
        destroy(context, header);
        unlink(node.tombstone());
        node.tombstone().vacate();
    }
}
