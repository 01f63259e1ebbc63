//! The cell's heap: one arena that the kernel mapped for it, charged to its untyped, freed whole with the cell.
//!
//! There is no way to grow: an allocation that fails ends the cell (or is answered by `try_reserve` where a server
//! must not die of a large request).

use core::alloc::{GlobalAlloc, Layout};
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use talc::{TalcLock, source::Manual};

/// The global allocator of a cell.
pub struct Heap {
    talc: TalcLock<spin::Mutex<()>, Manual>,
    claimed: AtomicBool,
    used: AtomicUsize,
}

impl core::fmt::Debug for Heap {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Heap")
    }
}

impl Default for Heap {
    fn default() -> Self {
        Self::new()
    }
}

impl Heap {
    /// A heap without memory.
    pub const fn new() -> Self {
        Heap { talc: TalcLock::new(Manual), claimed: AtomicBool::new(false), used: AtomicUsize::new(0) }
    }

    /// Bytes that are allocated, as they were asked for.
    pub fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    /// Gives it its memory, once: a further thread of the cell finds it claimed and shares it.
    ///
    /// # Safety
    /// The range is mapped writable, belongs to this cell alone for as long as it lives, and is used by nothing else
    /// but, where it was claimed before, by this heap.
    pub unsafe fn claim(&self, base: usize, length: usize) {
        if self.claimed.swap(true, Ordering::Relaxed) {
            return;
        }
        let base = core::ptr::with_exposed_provenance_mut(base);
        // SAFETY: the caller's word.
        let claimed = unsafe { self.talc.lock().claim(base, length) };
        if claimed.is_none() && length != 0 {
            panic!("bug: a heap of {length} bytes is too small for its own tables");
        }
    }
}

// SAFETY: both functions forward to the allocator inside, which keeps the contract.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps GlobalAlloc's contract.
        let start = unsafe { self.talc.alloc(layout) };
        if !start.is_null() {
            self.used.fetch_add(layout.size(), Ordering::Relaxed);
        }
        start
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        self.used.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: as above.
        unsafe { self.talc.dealloc(pointer, layout) }
    }
}
