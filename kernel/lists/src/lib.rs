//! Intrusive doubly linked lists: the links live inside the objects that they join.
//!
//! Kernel objects live in untyped memory and are linked without any allocation, so that an operation on a queue can
//! never fail for want of memory. A zeroed [`Link`] is detached and a zeroed [`List`] is empty, which is how objects
//! come out of retype.
//!
//! A node type embeds a `Link` as its first field (`repr(C)`), so that a pointer to the link is a pointer to the node.
//!
//! # Contract
//! All functions are `unsafe` for one reason, stated here once: the caller guarantees that every link on the list
//! points to live memory, that a link is on at most one list at a time, and that nobody else touches list or links
//! during the call (one CPU, interrupts off). Whoever frees an object takes its links off their lists first.
#![cfg_attr(not(test), no_std)]

use core::ptr;

/// The links of one node.
#[repr(C)]
#[derive(Debug)]
pub struct Link {
    next: *mut Link,
    previous: *mut Link,
}

impl Link {
    /// On no list.
    pub const DETACHED: Link = Link { next: ptr::null_mut(), previous: ptr::null_mut() };
}

/// A list of nodes.
#[repr(C)]
#[derive(Debug)]
pub struct List {
    first: *mut Link,
    last: *mut Link,
}

impl Default for List {
    fn default() -> Self {
        Self::EMPTY
    }
}

impl List {
    /// No nodes.
    pub const EMPTY: List = List { first: ptr::null_mut(), last: ptr::null_mut() };

    /// Where the address of the first node lies, null for an empty list: for assembly.
    pub const FIRST: usize = core::mem::offset_of!(List, first);

    /// Whether there is no node.
    #[inline(always)]
    pub fn is_empty(&self) -> bool {
        self.first.is_null()
    }

    /// The first node, null when there is none.
    #[inline(always)]
    pub fn first(&self) -> *mut Link {
        self.first
    }

    /// Appends a node.
    ///
    /// # Safety
    /// See the crate's contract; `link` is on no list.
    #[inline(always)]
    pub unsafe fn push_back(&mut self, link: *mut Link) {
        // SAFETY: `link` is live and ours by the contract.
        unsafe { *link = Link { next: ptr::null_mut(), previous: self.last } };
        match self.last.is_null() {
            true => self.first = link,
            // SAFETY: the last node of the list is live by the contract.
            false => unsafe { (*self.last).next = link },
        }
        self.last = link;
    }

    /// Puts a node in front of the first one for which `later` holds, or at the end: with a monotone `later` the list
    /// stays sorted and equals stay first come, first served. The search runs from the end.
    ///
    /// # Safety
    /// See the crate's contract; `link` is on no list.
    pub unsafe fn insert_sorted(&mut self, link: *mut Link, mut later: impl FnMut(*mut Link) -> bool) {
        let mut after = self.last;
        while !after.is_null() && later(after) {
            // SAFETY: nodes of the list are live by the contract.
            after = unsafe { (*after).previous };
        }
        let before = match after.is_null() {
            true => self.first,
            // SAFETY: as above.
            false => unsafe { (*after).next },
        };
        // SAFETY: `link` is live and ours by the contract.
        unsafe { *link = Link { next: before, previous: after } };
        match after.is_null() {
            true => self.first = link,
            // SAFETY: as above.
            false => unsafe { (*after).next = link },
        }
        match before.is_null() {
            true => self.last = link,
            // SAFETY: as above.
            false => unsafe { (*before).previous = link },
        }
    }

    /// Takes the first node, null when there is none.
    ///
    /// # Safety
    /// See the crate's contract.
    #[inline(always)]
    pub unsafe fn pop_front(&mut self) -> *mut Link {
        let link = self.first;
        if !link.is_null() {
            // SAFETY: the first node is live and on this list.
            unsafe { self.remove(link) };
        }
        link
    }

    /// Takes a node out.
    ///
    /// # Safety
    /// See the crate's contract; `link` is on this list.
    #[inline(always)]
    pub unsafe fn remove(&mut self, link: *mut Link) {
        // SAFETY: `link` is live by the contract.
        let Link { next, previous } = unsafe { ptr::replace(link, Link::DETACHED) };
        match previous.is_null() {
            true => self.first = next,
            // SAFETY: neighbours on the list are live by the contract.
            false => unsafe { (*previous).next = next },
        }
        match next.is_null() {
            true => self.last = previous,
            // SAFETY: as above.
            false => unsafe { (*next).previous = previous },
        }
    }

    /// The node behind `link`, null at the end.
    ///
    /// # Safety
    /// See the crate's contract; `link` is on this list.
    #[inline(always)]
    pub unsafe fn next(&self, link: *mut Link) -> *mut Link {
        // SAFETY: `link` is live by the contract.
        unsafe { (*link).next }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[repr(C)]
    struct Node {
        link: Link,
        key: u32,
        id: usize,
    }

    fn ids(list: &List) -> Vec<usize> {
        let mut out = Vec::new();
        let mut at = list.first();
        while !at.is_null() {
            // SAFETY: the test's nodes outlive the list.
            out.push(unsafe { (*at.cast::<Node>()).id });
            // SAFETY: as above.
            at = unsafe { list.next(at) };
        }
        out
    }

    proptest! {
        #[test]
        fn behaves_like_a_vector(steps in prop::collection::vec((0u8..4, 0usize..8, 0u32..4), 1..80)) {
            let mut nodes: Vec<Node> =
                (0..8).map(|id| Node { link: Link::DETACHED, key: 0, id }).collect();
            let base = nodes.as_mut_ptr();
            let mut list = List::EMPTY;
            let mut model: Vec<(u32, usize)> = Vec::new();
            for (step, which, key) in steps {
                // SAFETY: `which` is below 8, the number of nodes.
                let node = unsafe { base.add(which) };
                let present = model.iter().position(|(_, id)| *id == which);
                match (step, present) {
                    (0 | 1, None) => {
                        // SAFETY: the node is live and on no list.
                        unsafe { (*node).key = key };
                        // SAFETY: the list hands the closure its own live nodes.
                        let later = |other: *mut Link| unsafe { (*other.cast::<Node>()).key > key };
                        // SAFETY: the node is on no list.
                        unsafe { list.insert_sorted(node.cast(), later) };
                        let at = model.iter().position(|(k, _)| *k > key).unwrap_or(model.len());
                        model.insert(at, (key, which));
                    }
                    (2, Some(at)) => {
                        // SAFETY: the node is on the list.
                        unsafe { list.remove(node.cast()) };
                        model.remove(at);
                    }
                    (3, _) => {
                        // SAFETY: nodes are live.
                        let link = unsafe { list.pop_front() };
                        let expected = (!model.is_empty()).then(|| model.remove(0).1);
                        // SAFETY: a popped link is one of the nodes.
                        let got = (!link.is_null()).then(|| unsafe { (*link.cast::<Node>()).id });
                        prop_assert_eq!(got, expected);
                    }
                    _ => {}
                }
                prop_assert_eq!(ids(&list), model.iter().map(|(_, id)| *id).collect::<Vec<_>>());
                prop_assert_eq!(list.is_empty(), model.is_empty());
            }
        }
    }
}
