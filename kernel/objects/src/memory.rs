//! The page table and the arenas of addresses, as objects use them.

use core::cell::Cell;

use abi::KernelError;
use paging::{Cache, ImageArena, Mapper, Protection, Regions};
use spin::Once;
use x86::lock::{IrqGuard, IrqMutex};
use x86_64::{PhysAddr, VirtAddr};

use crate::Failure;
use crate::exclusive::Exclusive;
use crate::vspace::Region;

/// The page table and the arenas of addresses. Lock order: after every lock of a kernel object, before the heap's and
/// the serial line's.
pub struct Memory {
    /// The page table.
    pub mapper: Mapper,
    /// Addresses of stacks and heaps.
    pub regions: Regions,
    /// Addresses of cell images.
    pub images: ImageArena,
    /// Bytes of the kernel's heap that are in use.
    heap_used: fn() -> u64,
}

static MEMORY: Once<IrqMutex<Memory>> = Once::new();

/// Takes over what boot has set up. Once.
pub fn install(mapper: Mapper, images: ImageArena, heap_used: fn() -> u64) {
    MEMORY.call_once(|| IrqMutex::new(Memory { mapper, regions: Regions::new(), images, heap_used }));
}

/// Locks the kernel's memory.
pub fn lock() -> IrqGuard<'static, Memory> {
    match MEMORY.get() {
        Some(memory) => memory.lock(),
        None => x86::bug!("memory is used before it is installed"),
    }
}

/// The same, where it must not wait: for backtraces of a broken kernel.
pub fn try_lock() -> Option<IrqGuard<'static, Memory>> {
    MEMORY.get()?.try_lock()
}

/// What the kernel has of its own: bytes of heap in use, and frames left for page tables.
pub(crate) fn own_use() -> (u64, u64) {
    let mut memory = lock();
    ((memory.heap_used)(), memory.mapper.frames().available())
}

/// Where a physical address appears.
pub(crate) const fn physmap(physical: u64) -> u64 {
    paging::layout::PHYSMAP + physical
}

/// The physical address of memory that is named by its place in the physmap, as kernel objects are.
pub(crate) const fn physical(object: u64) -> PhysAddr {
    PhysAddr::new_truncate(object - paging::layout::PHYSMAP)
}

/// Maps memory of an object, readable and writable, between guard pages at addresses that were never used before.
pub(crate) fn map_region(object: u64, bytes: u64) -> Result<Region, Failure> {
    let mut memory = lock();
    let region = memory.regions.reserve(bytes).map_err(|_| KernelError::OutOfKernelMemory)?;
    let at = VirtAddr::new(region.start);
    // SAFETY: the addresses are new, and the frames are those of the object whose capability was invoked.
    unsafe { memory.mapper.map(at, physical(object), bytes, Protection::ReadWrite, Cache::Normal) }?;
    Ok(Region { start: region.start, bytes })
}

/// Maps memory of an object as an image that is not relocated yet: writable, in the arena that code can reach.
pub(crate) fn map_image(object: u64, bytes: u64) -> Result<Region, Failure> {
    let mut memory = lock();
    let region = memory.images.allocate(bytes).map_err(|_| KernelError::OutOfKernelMemory)?;
    let at = VirtAddr::new(region.start);
    // SAFETY: as for `map_region`.
    let mapped = unsafe { memory.mapper.map(at, physical(object), bytes, Protection::ReadWrite, Cache::Normal) };
    if let Err(error) = mapped {
        // It was handed out just now: giving it back cannot fail.
        let _ = memory.images.free(region);
        return Err(error.into());
    }
    Ok(Region { start: region.start, bytes })
}

/// Changes what may be done with part of an image; empty parts are left alone.
pub(crate) fn protect(range: &core::ops::Range<u64>, protection: Protection) -> Result<(), Failure> {
    let bytes = (range.end - range.start).next_multiple_of(paging::layout::PAGE);
    if bytes == 0 {
        return Ok(());
    }
    // SAFETY: the range is part of an image that was relocated just now and is not used yet.
    unsafe { lock().mapper.protect(VirtAddr::new(range.start), bytes, protection) }?;
    Ok(())
}

/// The stack on which the kernel itself works, where it was to be unmapped: then the operation that took it is its cell's last.
static LOST_STACK: Exclusive<Cell<Region>> = Exclusive::new(Cell::new(Region { start: 0, bytes: 0 }));

/// Whether the stack was taken from under the kernel: it is still mapped, and to be left.
#[inline(always)]
pub(crate) fn has_lost_stack() -> bool {
    LOST_STACK.get().get().bytes != 0
}

/// That stack, once; a region without bytes where none was taken.
pub(crate) fn lost_stack() -> Region {
    LOST_STACK.get().replace(Region { start: 0, bytes: 0 })
}

/// Unmaps a range; what is not mapped any more is no error, since frames and VSpaces both know of a mapping. The stack on which this
/// runs stays: see [`has_lost_stack`].
pub(crate) fn unmap(region: Region) {
    if region.bytes == 0 {
        return;
    }
    if (region.start..region.start + region.bytes).contains(&(x86::cpu::stack_pointer() as u64)) {
        return LOST_STACK.get().set(region);
    }
    let mut memory = lock();
    let at = VirtAddr::new(region.start);
    if memory.mapper.translate(at).is_some() {
        // SAFETY: the frame or the VSpace that had it mapped goes away: whoever still refers to it is meant to fault.
        let unmapped = unsafe { memory.mapper.unmap(at, region.bytes) };
        if let Err(error) = unmapped {
            x86::bug!("a mapped region cannot be unmapped: {error:?}");
        }
    }
}

/// Whether a range that was mapped for somebody still is: addresses are not used again while their owner lives.
pub(crate) fn is_mapped(region: Region) -> bool {
    region.bytes != 0 && lock().mapper.translate(VirtAddr::new(region.start)).is_some()
}

/// Whether a range shows the registers of a device that begin there.
pub(crate) fn shows(region: Region, physical: u64) -> bool {
    let shown = lock().mapper.translate(VirtAddr::new(region.start));
    shown.is_some_and(|shown| shown.physical.as_u64() == physical)
}

/// Unmaps a range where it still shows this object. A VSpace that went first took the mapping with it, and the addresses of an
/// image may show another cell by now.
pub(crate) fn unmap_object(object: u64, region: Region) {
    let shown = lock().mapper.translate(VirtAddr::new(region.start));
    if shown.is_some_and(|shown| shown.physical == physical(object)) {
        unmap(region);
    }
}

/// Unmaps an image and gives its addresses back.
pub(crate) fn free_image(region: Region) {
    if region.bytes == 0 {
        return;
    }
    unmap(region);
    let arena = paging::Region { start: region.start, size: region.bytes };
    if let Err(error) = lock().images.free(arena) {
        x86::bug!("an image's addresses cannot be freed: {error:?}");
    }
}

/// Maps registers of a device, uncached.
pub(crate) fn map_device(physical: u64, bytes: u64) -> Result<Region, Failure> {
    let mut memory = lock();
    let region = memory.regions.reserve(bytes).map_err(|_| KernelError::OutOfKernelMemory)?;
    let at = VirtAddr::new(region.start);
    let physical = PhysAddr::try_new(physical).map_err(|_| KernelError::InvalidArgument)?;
    // SAFETY: the addresses are new, and the registers are those of the function whose capability was invoked.
    unsafe { memory.mapper.map(at, physical, bytes, Protection::ReadWrite, Cache::Uncached) }?;
    Ok(Region { start: region.start, bytes })
}

impl Memory {
    /// A new stack for the kernel's own use, from the reserve, with an unmapped page on each side.
    pub fn kernel_stack(&mut self, size: u64) -> Result<paging::Region, paging::MapError> {
        let region = self.regions.reserve(size).map_err(|_| paging::MapError::BadRange)?;
        for page in 0..size / paging::layout::PAGE {
            let frame = self.mapper.frames().allocate()?;
            let at = VirtAddr::new(region.start + page * paging::layout::PAGE);
            // SAFETY: the region and the frame were handed out just now, to nobody else.
            unsafe { self.mapper.map(at, frame, paging::layout::PAGE, Protection::ReadWrite, Cache::Normal) }?;
        }
        Ok(region)
    }
}
