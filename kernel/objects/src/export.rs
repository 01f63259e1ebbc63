//! A state on its way from one instance to the next.
//!
//! It lies in a frame that whoever began the replacement has brought. That has two halves: one holds the last export that counts,
//! the other takes the next. During the trial an export begins to count when the reply is sent for which it was made, in
//! one step with that: so what is restored holds the effect of every request that was answered, and of no other.
//!
//! An instance whose state is large exports what has changed, to stand *behind* what was exported before: that costs what the
//! change is, and not what the state is. It counts from the same moment on. Whoever imports reads the one after the other.

use core::cell::Cell;
use core::ptr::with_exposed_provenance_mut;

use abi::KernelError;
use capability::{ObjectKind, Slot};

use crate::Failure;

/// Where exported bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// They are the whole state.
    Alone,
    /// They stand behind what was exported before.
    Behind,
}

/// Room for exported state, and what is in it. Zeroed memory has none.
#[repr(C)]
pub(crate) struct Export {
    pub(crate) frame: Slot,
    /// The schema of what is in it.
    pub(crate) schema: Cell<u64>,
    /// The half that counts, and how many bytes of it do.
    half: Cell<usize>,
    length: Cell<usize>,
    /// What was exported and does not count yet: whether there is any, in which half, and up to where.
    has_staged: Cell<bool>,
    staged_half: Cell<usize>,
    staged_length: Cell<usize>,
}

impl Export {
    /// Nothing is in it, and what will be is of this schema.
    pub(crate) fn begin(&self, schema: u64) {
        self.schema.set(schema);
        self.has_staged.set(false);
        self.length.set(0);
    }

    /// Whether there is a frame.
    pub(crate) fn is_there(&self) -> bool {
        self.frame.is(ObjectKind::Frame)
    }

    /// Keeps exported bytes; they count from the next [`Self::count`] on.
    ///
    /// # Errors
    /// `TooLarge` with what there is room for.
    ///
    /// # Safety
    /// `from` is readable for `length` bytes: where its memory was taken away the copy faults, and nothing is half done.
    pub(crate) unsafe fn keep(&self, from: *const u8, length: usize, place: Place) -> Result<(), Failure> {
        let (half, start) = match (place, self.has_staged.get()) {
            (Place::Alone, _) => (1 - self.half.get(), 0),
            // What does not count yet is part of what this stands behind.
            (Place::Behind, true) => (self.staged_half.get(), self.staged_length.get()),
            (Place::Behind, false) => (self.half.get(), self.length.get()),
        };
        let room = self.room().saturating_sub(start);
        if length > room {
            return Err(Failure(KernelError::TooLarge, room as u64));
        }
        // SAFETY: the caller's word; the half belongs to this record alone, and has room behind `start`.
        unsafe { core::ptr::copy_nonoverlapping(from, self.part(half, start), length) };
        self.has_staged.set(true);
        self.staged_half.set(half);
        self.staged_length.set(start + length);
        Ok(())
    }

    /// What was kept counts from now on.
    pub(crate) fn count(&self) {
        if self.has_staged.replace(false) {
            self.half.set(self.staged_half.get());
            self.length.set(self.staged_length.get());
        }
    }

    /// Copies what was exported out, as much as fits; answers the length of all of it, and the schema.
    ///
    /// # Safety
    /// As for [`Self::keep`], to write to.
    pub(crate) unsafe fn bring(&self, to: *mut u8, capacity: usize) -> (usize, u64) {
        let half = self.half.get();
        let length = self.length.get().min(self.room());
        // SAFETY: the caller's word; the half has that length.
        unsafe { core::ptr::copy_nonoverlapping(self.part(half, 0), to, length.min(capacity)) };
        (length, self.schema.get())
    }

    fn room(&self) -> usize {
        if self.is_there() { self.frame.object_bytes() as usize / 2 } else { 0 }
    }

    /// A place in a half.
    fn part(&self, half: usize, offset: usize) -> *mut u8 {
        with_exposed_provenance_mut(self.frame.object() as usize + half * self.room() + offset)
    }
}
