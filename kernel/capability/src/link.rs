//! The one list of this crate: an intrusive ring of plain addresses.
//!
//! Children hang in a ring through a sentinel in their parent, free slots through one in their CNode,
//! what is made under an [`Anchor`](crate::Anchor) through the anchor. A ring needs no pointer to its
//! head: a member leaves, gives its place to another, or is replaced by a whole ring, in constant time
//! and without knowing whose ring it is.
//!
//! Invariant: a link is either all zero (zeroed memory: a sentinel without members, a member of
//! nothing) or part of a ring in which `next` and `prev` agree. Every link in a ring lies in memory
//! that is still a slot, a CNode header or an anchor: slots leave their rings when they are emptied,
//! and objects are emptied before they are destroyed.

use core::cell::Cell;
use core::ptr;

/// A member, or the sentinel, of a ring.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Link {
    next: Cell<usize>,
    prev: Cell<usize>,
}

impl Link {
    pub(crate) const NEXT: usize = core::mem::offset_of!(Link, next);

    /// Address of this link, with its provenance exposed so that `at` may be applied to it.
    pub(crate) fn address(&self) -> usize {
        ptr::from_ref(self).expose_provenance()
    }

    /// The link at an address that was read from a ring.
    fn at<'a>(address: usize) -> &'a Link {
        // SAFETY: private, and called only with addresses read from a ring's own fields. By the
        // module's invariant such an address is that of a live link, which `address` exposed when it
        // was stored; links are made of
        // `Cell`s, so shared references to them may overlap.
        unsafe { &*ptr::with_exposed_provenance(address) }
    }

    /// Makes a ring of this link alone.
    pub(crate) fn reset(&self) {
        self.next.set(self.address());
        self.prev.set(self.address());
    }

    /// Whether there is nobody else in the ring.
    pub(crate) fn is_alone(&self) -> bool {
        let next = self.next.get();
        next == 0 || next == ptr::from_ref(self).addr()
    }

    /// Whether this is a member of some ring, be it alone.
    pub(crate) fn is_linked(&self) -> bool {
        self.next.get() != 0
    }

    /// Address of the next link, the link's own if it is alone.
    pub(crate) fn next(&self) -> usize {
        if self.is_alone() { self.address() } else { self.next.get() }
    }

    /// Puts `member`, which is in no ring, behind this one.
    pub(crate) fn insert_after(&self, member: &Link) {
        if !self.is_linked() {
            self.reset();
        }
        let next = self.next.get();
        member.prev.set(self.address());
        member.next.set(next);
        Link::at(next).prev.set(member.address());
        self.next.set(member.address());
    }

    /// Puts `member`, which is in no ring, in front of this one: for a sentinel, at the tail.
    pub(crate) fn insert_before(&self, member: &Link) {
        if !self.is_linked() {
            self.reset();
        }
        Link::at(self.prev.get()).insert_after(member);
    }

    /// Leaves the ring, if in one.
    pub(crate) fn remove(&self) {
        if self.is_linked() {
            Link::at(self.prev.get()).next.set(self.next.get());
            Link::at(self.next.get()).prev.set(self.prev.get());
            self.next.set(0);
            self.prev.set(0);
        }
    }

    /// Gives this link's place in its ring to `heir`, which is in no ring.
    pub(crate) fn replace(&self, heir: &Link) {
        if self.is_linked() {
            self.insert_after(heir);
            self.remove();
        }
    }

    /// Moves all members of the ring of the sentinel `other` in front of this link, in order. `other`
    /// is empty then.
    pub(crate) fn splice_before(&self, other: &Link) {
        if other.is_alone() {
            return;
        }
        if !self.is_linked() {
            self.reset();
        }
        let (first, last) = (other.next.get(), other.prev.get());
        let before = self.prev.get();
        Link::at(before).next.set(first);
        Link::at(first).prev.set(before);
        Link::at(last).next.set(self.address());
        self.prev.set(last);
        other.next.set(0);
        other.prev.set(0);
    }
}
