//! A table of capabilities: the header in slot 0, slots, and behind them the tombstone.
//!
//! The tombstone is a slot for the CNode itself. When the last capability to it goes and there are
//! capabilities in it, its place in the tree passes to the tombstone, which keeps the untyped below
//! from being reset while the CNode is emptied in steps. It lies in the memory that it protects, so
//! CNodes that hold each other, or themselves, need no special case (seL4 keeps the zombie in the slot
//! of the last capability instead, and has to swap it out of such knots).
//!
//! Free slots: those below the high-water mark are in a ring, those above are simply empty. So a new
//! CNode needs nothing but zeroes, and a free slot is found in constant time, but for slots filled
//! ahead of the mark, each of which is passed once.

use core::cell::Cell;
use core::marker::PhantomData;
use core::mem::{offset_of, size_of};
use core::ptr::{self, NonNull};

use crate::header::ObjectHeader;
use crate::link::Link;
use crate::slot::Flags;
use crate::{Error, LookupError, ObjectKind, SLOT_BYTES, Slot};

/// The header, in place of slot 0.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct CNodeHeader {
    object: ObjectHeader,
    /// Number of slots, the header counted; 0 once the last capability to the CNode is gone.
    capacity: Cell<u32>,
    /// Every slot below that is empty is in the ring of free slots.
    high_water: Cell<u32>,
    /// Where a slot has its generation: 0, so that index 0 is never found.
    generation: u64,
    free: Link,
    used: Cell<u32>,
    /// Next slot to empty, once the CNode is dying.
    cursor: Cell<u32>,
    reserved: [u64; 5],
}

const _: () = assert!(size_of::<CNodeHeader>() == SLOT_BYTES);
const _: () = assert!(offset_of!(CNodeHeader, generation) == offset_of!(Slot, generation));

impl CNodeHeader {
    pub(crate) const CAPACITY: usize = offset_of!(CNodeHeader, capacity);

    /// Prepares the header of a CNode in zeroed memory.
    pub(crate) fn initialise(&self, size_bits: u8) {
        self.capacity.set(1 << size_bits);
        self.high_water.set(1);
        self.cursor.set(1);
    }

    /// Whether there is no capability in it.
    pub(crate) fn is_unused(&self) -> bool {
        self.used.get() == 0
    }

    fn has(&self, index: u32) -> bool {
        index != 0 && index < self.capacity.get()
    }
}

/// A CNode, for the time of one operation or look-up.
#[derive(Debug, Clone, Copy)]
pub struct CNode<'a> {
    header: NonNull<CNodeHeader>,
    lifetime: PhantomData<&'a Slot>,
}

impl<'a> CNode<'a> {
    /// The CNode at an address.
    ///
    /// # Safety
    /// At `address`, whose provenance is exposed for the whole object, there is a CNode made by a
    /// retype. Neither the value nor a slot obtained from it is used after an operation that destroyed
    /// the CNode.
    #[must_use]
    pub unsafe fn at(address: usize) -> Self {
        let header = ptr::with_exposed_provenance_mut(address);
        // SAFETY: an object's address is not null: the kernel's memory does not begin at 0.
        let header = unsafe { NonNull::new_unchecked(header) };
        CNode { header, lifetime: PhantomData }
    }

    /// The CNode that a slot names.
    ///
    /// # Safety
    /// As for [`CNode::at`]: no use after an operation that destroyed the CNode.
    ///
    /// # Errors
    /// `FailedLookup` if the slot is empty or names something else.
    pub unsafe fn of(slot: &Slot) -> Result<Self, Error> {
        if !slot.is(ObjectKind::CNode) {
            return Err(Error::FailedLookup);
        }
        // SAFETY: a slot of this kind holds the address of a live CNode; the rest is the caller's promise.
        Ok(unsafe { CNode::at(slot.object() as usize) })
    }

    /// The capability at `index`, if it is still the one for which `generation` was given out. The hot
    /// path: two comparisons and a multiplication by 96.
    ///
    /// # Errors
    /// `OutOfRange` for a wrong index, `Stale` for an empty slot or one that was filled again.
    #[inline(always)]
    pub fn lookup(self, index: u32, generation: u64) -> Result<&'a Slot, LookupError> {
        if index >= self.header().capacity.get() {
            return Err(LookupError::OutOfRange);
        }
        let slot = self.place(index);
        if slot.generation.get() != generation || generation == 0 {
            return Err(LookupError::Stale);
        }
        Ok(slot)
    }

    /// The slot at `index`, filled or not.
    ///
    /// # Errors
    /// `RangeError` for an index that is not one of this CNode's, `FailedLookup` if the CNode is dying.
    pub fn slot(self, index: u32) -> Result<&'a Slot, Error> {
        let capacity = self.header().capacity.get();
        if capacity == 0 {
            return Err(Error::FailedLookup);
        }
        if !self.header().has(index) {
            return Err(Error::RangeError { min: 1, max: u64::from(capacity) - 1 });
        }
        let slot = self.place(index);
        slot.index.set(index);
        Ok(slot)
    }

    /// Marks every capability that is in it now as endowed: until it is moved or deleted. Costs a step for each slot up to the
    /// last filled one.
    pub fn endow(self) {
        let mut left = self.header().used.get();
        for index in 1..self.header().capacity.get() {
            if left == 0 {
                return;
            }
            let slot = self.place(index);
            if !slot.is_empty() {
                slot.flags.set(slot.flags.get() | Flags::ENDOWED.bits());
                left -= 1;
            }
        }
    }

    /// A free slot, for a capability that is received. It stays free until it is filled.
    ///
    /// # Errors
    /// `NotEnoughMemory` if all are filled.
    pub fn vacant(self) -> Result<&'a Slot, Error> {
        let header = self.header();
        if !header.free.is_alone() {
            return Ok(Slot::of_sibling(header.free.next()));
        }
        while header.has(header.high_water.get()) {
            let slot = self.slot(header.high_water.get())?;
            if slot.is_empty() {
                return Ok(slot);
            }
            header.high_water.set(header.high_water.get() + 1);
        }
        Err(Error::NotEnoughMemory { bytes_left: 0 })
    }

    /// Number of slots, the header's counted; indices run from 1 to one less.
    #[must_use]
    pub fn capacity(self) -> u32 {
        self.header().capacity.get()
    }

    /// Number of capabilities in it.
    #[must_use]
    pub fn used(self) -> u32 {
        self.header().used.get()
    }

    pub(crate) fn header(self) -> &'a CNodeHeader {
        // SAFETY: the promise of `at`: a live CNode, which begins with its header.
        unsafe { self.header.as_ref() }
    }

    /// The slot at an index that is known to be within the object. The tombstone is the one behind the last.
    fn place(self, index: u32) -> &'a Slot {
        let slot = self.header.as_ptr().cast::<Slot>().wrapping_add(index as usize);
        // SAFETY: callers have compared the index with the number of slots, or name the tombstone, for which
        // `ObjectKind::object_bits` leaves room; a CNode's memory was zeroed when it was made, and
        // zeroes are an empty slot.
        unsafe { &*slot }
    }

    fn slots(self) -> u32 {
        1 << self.header().object.size_bits()
    }

    /// The CNode's own slot, in which it dies.
    pub(crate) fn tombstone(self) -> &'a Slot {
        self.place(self.slots())
    }

    /// Shuts the CNode: no look-up finds anything any more.
    pub(crate) fn shut(self) {
        self.header().capacity.set(0);
    }

    /// The next slot to look at while the CNode is emptied, `None` when it is empty.
    pub(crate) fn next_to_empty(self) -> Option<&'a Slot> {
        let header = self.header();
        let index = header.cursor.get();
        if header.is_unused() || index >= self.slots() {
            return None;
        }
        header.cursor.set(index + 1);
        Some(self.place(index))
    }
}

impl Slot {
    /// The CNode in which this slot lies.
    fn home(&self) -> Option<CNode<'_>> {
        let index = self.index.get() as usize;
        // SAFETY: the index is set by `CNode::slot` alone, to this slot's distance from the header; the
        // CNode's memory is a CNode while anyone has a reference to a slot in it.
        (index != 0).then(|| unsafe { CNode::at(self.address() - index * SLOT_BYTES) })
    }

    /// Takes this empty slot from the free ones of its CNode.
    pub(crate) fn occupy(&self) {
        self.siblings.remove();
        if let Some(home) = self.home() {
            let header = home.header();
            header.used.set(header.used.get() + 1);
            if header.high_water.get() == self.index.get() {
                header.high_water.set(self.index.get() + 1);
            }
        }
    }

    /// Forgets the capability, which has left all rings, and gives the slot back to its CNode.
    pub(crate) fn vacate(&self) {
        self.object.set(0);
        self.kind.set(0);
        self.rights.set(0);
        self.size_bits.set(0);
        self.flags.set(Flags::empty().bits());
        self.badge.set(0);
        self.generation.set(0);
        self.mark.set(0);
        self.payload.set(0);
        if let Some(home) = self.home() {
            let header = home.header();
            header.used.set(header.used.get() - 1);
            if self.index.get() < header.high_water.get() {
                header.free.insert_after(&self.siblings);
            }
        }
    }
}
