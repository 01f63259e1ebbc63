//! The end of everything derived from a capability, in steps.
//!
//! A step takes away the first child. That child's own children take its place, so that they are the
//! next to go: every descendant is visited once, at constant cost, however deep the tree is, and after
//! each step the tree is a tree.
//!
//! Pins stay. The first time a revocation meets one, it marks it with the generation of the revoked
//! capability and puts it last; when the first child is a pin with this mark, then only pins are left.
//! This holds because all that is put into a ring of children goes to its front or beside a capability
//! that is not a pin, new pins apart; so behind a marked pin there are only pins. The mark survives
//! between steps, and a mark of another revocation is of another generation.

use crate::anchor::fell_one;
use crate::remove::{finish, remove};
use crate::slot::Flags;
use crate::{CNode, Context, Hooks, Progress, Slot};

/// Removes what is derived from a capability, which itself stays, and empties what dies with it.
///
/// `budget` is the number of capabilities and slots to look at, at least 1. After `More` the caller
/// looks the slot up again
/// before the next step: a capability can be among its own descendants' victims (a CNode that is
/// deleted holds it), and then the revocation ends there. An empty slot has no descendants. `Pinned`
/// means that Bufs lent to servers are left.
pub fn revoke_step<H: Hooks>(context: &mut Context<'_, H>, slot: &Slot, budget: u32) -> Progress {
    for _ in 0..budget {
        if reap_one(context) {
            continue;
        }
        let progress = revoke_one(context, slot);
        if progress != Progress::More {
            return progress;
        }
    }
    Progress::More
}

/// Empties what has died, whoever killed it: `Done` or `More`. The kernel calls it, at preemption
/// points or when idle, until [`Context::has_pending`] is false. `budget` is at least 1.
pub fn reap_step<H: Hooks>(context: &mut Context<'_, H>, budget: u32) -> Progress {
    for _ in 0..budget {
        if !reap_one(context) {
            return Progress::Done;
        }
    }
    if context.has_pending() { Progress::More } else { Progress::Done }
}

/// Removes one descendant; `Done` or `Pinned` when there was none to remove.
pub(crate) fn revoke_one<H: Hooks>(context: &mut Context<'_, H>, slot: &Slot) -> Progress {
    let Some(child) = slot.first_child() else {
        return Progress::Done;
    };
    // A tombstone goes when its CNode is empty, which `reap_one` sees to before anything is revoked.
    if child.has(Flags::PINNED) || child.has(Flags::TOMBSTONE) {
        if child.mark.get() == slot.generation() {
            return Progress::Pinned;
        }
        child.mark.set(slot.generation());
        child.siblings.remove();
        slot.children.insert_before(&child.siblings);
    } else {
        remove(context, child);
    }
    Progress::More
}

/// One unit of work on what has died: a slot of a CNode, or a capability that hung on an anchor.
/// `false` when there is none.
pub(crate) fn reap_one<H: Hooks>(context: &mut Context<'_, H>) -> bool {
    if context.dying == 0 {
        let condemned = context.condemned;
        return fell_one(context, condemned);
    }
    // SAFETY: the list of dying objects holds CNodes alone, each until `finish` destroys it, after
    // which this function does not use it any more.
    let node = unsafe { CNode::at(context.dying) };
    match node.next_to_empty() {
        Some(slot) if slot.is_empty() => {}
        Some(slot) => remove(context, slot),
        None => finish(context, node),
    }
    true
}
