//! A state on its way from one instance to the next.
//!
//! It lies in a frame that whoever began the replacement has brought. That has two halves: one holds the last export that counts,
//! the other takes the next. During the trial an export begins to count when the reply is sent for which it was made, in
//! one step with that: so what is restored holds the effect of every request that was answered, and of no other.

use core::cell::Cell;
use core::ptr::with_exposed_provenance_mut;

use abi::KernelError;
use capability::{ObjectKind, Slot};

use crate::Failure;

/// Room for exported state, and what is in it. Zeroed memory has none.
#[repr(C)]
pub(crate) struct Export {
    pub(crate) frame: Slot,
    /// The schema of what is in it.
    pub(crate) schema: Cell<u64>,
    /// The half that counts, and the bytes in each.
    half: Cell<usize>,
    lengths: [Cell<usize>; 2],
    has_staged: Cell<bool>,
}

impl Export {
    /// Nothing is in it, and what will be is of this schema.
    pub(crate) fn begin(&self, schema: u64) {
        self.schema.set(schema);
        self.has_staged.set(false);
        self.lengths.iter().for_each(|length| length.set(0));
    }

    /// Whether there is a frame.
    pub(crate) fn is_there(&self) -> bool {
        self.frame.is(ObjectKind::Frame)
    }

    /// Keeps exported bytes; they count at once, or from the next reply on.
    ///
    /// # Errors
    /// `TooLarge` with what there is room for.
    ///
    /// # Safety
    /// `from` is readable for `length` bytes: where its memory was taken away the copy faults, and nothing is half done.
    pub(crate) unsafe fn keep(&self, from: *const u8, length: usize, counts: bool) -> Result<(), Failure> {
        let room = self.room();
        if length > room {
            return Err(Failure(KernelError::TooLarge, room as u64));
        }
        let half = 1 - self.half.get();
        // SAFETY: the caller's word; the half belongs to this record alone, and has room.
        unsafe { core::ptr::copy_nonoverlapping(from, self.part(half), length) };
        if let Some(kept) = self.lengths.get(half) {
            kept.set(length);
        }
        self.has_staged.set(true);
        if counts {
            self.count();
        }
        Ok(())
    }

    /// What was kept last counts from now on.
    pub(crate) fn count(&self) {
        if self.has_staged.replace(false) {
            self.half.set(1 - self.half.get());
        }
    }

    /// Copies what was exported out, as much as fits; answers the length of all of it, and the schema.
    ///
    /// # Safety
    /// As for [`Self::keep`], to write to.
    pub(crate) unsafe fn bring(&self, to: *mut u8, capacity: usize) -> (usize, u64) {
        let half = self.half.get();
        let length = self.lengths.get(half).map_or(0, Cell::get).min(self.room());
        // SAFETY: the caller's word; the half has that length.
        unsafe { core::ptr::copy_nonoverlapping(self.part(half), to, length.min(capacity)) };
        (length, self.schema.get())
    }

    fn room(&self) -> usize {
        if self.is_there() { self.frame.object_bytes() as usize / 2 } else { 0 }
    }

    fn part(&self, half: usize) -> *mut u8 {
        with_exposed_provenance_mut(self.frame.object() as usize + half * self.room())
    }
}
