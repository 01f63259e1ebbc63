//! The cell's DMA memory, and `virtio-drivers`' view of it.
//!
//! `virtio-drivers` asks for memory through functions without a receiver, so the pool is a static: one range, mapped
//! from one DMA frame, registered once and kept for the life of the cell. Every address that the device is ever told
//! is made here, from an address inside that range.

use core::ptr::NonNull;

use runtime::bug;
use spin::Mutex;
use virtio_drivers::{BufferDirection, Hal, PAGE_SIZE, PhysAddr};

use crate::error::Error;
use crate::pages::Pages;
use crate::windows;

static POOL: Mutex<Option<Pool>> = Mutex::new(None);

/// A mapped DMA frame. All in numbers, as exposed addresses: pointers into it are made where they are used.
#[derive(Debug)]
struct Pool {
    address: usize,
    physical: u64,
    length: usize,
    pages: Pages,
}

/// Makes a mapped range the pool of this cell.
///
/// # Safety
/// The range is mapped, readable and writable at `address` and physically contiguous from `physical` on, for the rest
/// of the cell's life; nothing else in the cell uses it; its provenance is exposed.
///
/// # Errors
/// `AlreadyStarted` the second time; `Misaligned` where an address or the length is not of whole pages, or zero.
pub(crate) unsafe fn register(address: usize, physical: u64, length: usize) -> Result<(), Error> {
    let whole = address.is_multiple_of(PAGE_SIZE)
        && physical.is_multiple_of(PAGE_SIZE as u64)
        && length.is_multiple_of(PAGE_SIZE);
    if !whole || address == 0 || physical == 0 {
        return Err(Error::Misaligned);
    }
    let mut pool = POOL.lock();
    if pool.is_some() {
        return Err(Error::AlreadyStarted);
    }
    *pool = Some(Pool { address, physical, length, pages: Pages::new(length / PAGE_SIZE) });
    Ok(())
}

/// Takes zeroed pages of the pool; answers where they are and what the device calls them. `None` without a pool, or
/// without such a run.
pub(crate) fn take(count: usize) -> Option<(PhysAddr, NonNull<u8>)> {
    let mut pool = POOL.lock();
    let pool = pool.as_mut()?;
    let offset = pool.pages.take(count)? * PAGE_SIZE;
    let pointer = NonNull::new(core::ptr::with_exposed_provenance_mut::<u8>(pool.address + offset))?;
    // SAFETY: the pages lie inside the registered range, which is mapped writable, and were free: nobody else, the
    // device included, uses them.
    unsafe { pointer.write_bytes(0, count * PAGE_SIZE) };
    Some((pool.physical + offset as u64, pointer))
}

/// Gives pages back. `false` where they were not taken.
pub(crate) fn give(pointer: NonNull<u8>, count: usize) -> bool {
    let mut pool = POOL.lock();
    let Some(pool) = pool.as_mut() else {
        return false;
    };
    let Some(offset) = pointer.addr().get().checked_sub(pool.address) else {
        return false;
    };
    let first = offset / PAGE_SIZE;
    pool.pages.free(first..first + count)
}

/// What the device calls a range of the pool; `None` where it is not all inside.
pub(crate) fn physical(address: usize, length: usize) -> Option<PhysAddr> {
    let pool = POOL.lock();
    let pool = pool.as_ref()?;
    let offset = address.checked_sub(pool.address)?;
    let end = offset.checked_add(length)?;
    (end <= pool.length).then_some(pool.physical + offset as u64)
}

/// The pool, as `virtio-drivers` sees it.
#[derive(Debug)]
pub(crate) enum PoolHal {}

// SAFETY: `dma_alloc` hands out page-aligned, zeroed runs that nobody else holds until `dma_dealloc` (`Pages` gives a
// page to one run at a time); `mmio_phys_to_virt` answers addresses inside windows that stay mapped.
unsafe impl Hal for PoolHal {
    fn dma_alloc(pages: usize, _: BufferDirection) -> (PhysAddr, NonNull<u8>) {
        // The physical address 0 tells `virtio-drivers` that there was no memory; `register` admits no pool there.
        take(pages).unwrap_or((0, NonNull::dangling()))
    }

    unsafe fn dma_dealloc(_: PhysAddr, vaddr: NonNull<u8>, pages: usize) -> i32 {
        if give(vaddr, pages) { 0 } else { -1 }
    }

    unsafe fn mmio_phys_to_virt(paddr: PhysAddr, size: usize) -> NonNull<u8> {
        windows::find(paddr, size).unwrap_or_else(|| bug!("no mapped BAR holds {size} bytes at {paddr:#x}"))
    }

    unsafe fn share(buffer: NonNull<[u8]>, _: BufferDirection) -> PhysAddr {
        let address = buffer.cast::<u8>().addr().get();
        physical(address, buffer.len())
            .unwrap_or_else(|| bug!("a buffer outside the DMA pool was to be shared with a device"))
    }

    unsafe fn unshare(_: PhysAddr, _: NonNull<[u8]>, _: BufferDirection) {
        // The device worked on the buffer itself: nothing was copied, nothing is to be copied back.
    }
}
