//! The kernel's heap.
//!
//! For boot and for bookkeeping that has no untyped memory to live in. Fixed in size: kernel code allocates fallibly.

use core::alloc::{GlobalAlloc, Layout};
use core::ptr::{NonNull, null_mut};
use core::sync::atomic::{AtomicU64, Ordering};
use talc::DefaultBinning;
use talc::base::Talc;
use talc::source::Manual;
use x86::lock::IrqMutex;

#[global_allocator]
static HEAP: Heap = Heap(IrqMutex::new(Talc::new(Manual)));

/// Bytes that are in use, as they were asked for.
static USED: AtomicU64 = AtomicU64::new(0);

struct Heap(IrqMutex<Talc<Manual, DefaultBinning>>);

/// Gives the heap its memory, once.
///
/// # Safety
/// `size` bytes from `start` are mapped, writable, used by nobody else, and stay so.
pub unsafe fn install(start: *mut u8, size: usize) {
    // SAFETY: the caller hands the memory over for good.
    let claimed = unsafe { HEAP.0.lock().claim(start, size) };
    if claimed.is_none() {
        x86::bug!("the kernel's heap of {size} bytes is too small to begin with");
    }
}

/// Bytes in use.
pub fn used() -> u64 {
    USED.load(Ordering::Relaxed)
}

// SAFETY: `Talc` is an allocator in the sense of the trait: blocks do not overlap and are as large and aligned as asked for. The lock
// serialises all use, interrupt handlers included, and nothing in here allocates or panics.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the layout's size is not zero, as the caller promises.
        let block = unsafe { self.0.lock().allocate(layout) };
        if block.is_some() {
            USED.fetch_add(layout.size() as u64, Ordering::Relaxed);
        }
        block.map_or(null_mut(), NonNull::as_ptr)
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the block came from `alloc` with this layout, as the caller promises.
        unsafe { self.0.lock().deallocate(block, layout) };
        USED.fetch_sub(layout.size() as u64, Ordering::Relaxed);
    }
}
