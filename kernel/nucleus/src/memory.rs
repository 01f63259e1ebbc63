//! The kernel's own memory: its page table, heap and interrupt stacks.

use crate::boot_info::BootInfo;
use crate::heap;
use paging::layout::{KERNEL, PAGE};
use paging::{Cache, FrameReserve, ImageArena, MapError, Mapper, MemoryMap, PhysRange, Protection, RangeSet};
use x86_64::{PhysAddr, VirtAddr};

pub use objects::memory::lock;
pub use paging::layout::PHYSMAP;

/// The trampoline's tables show this much of physical memory.
const TRAMPOLINE_REACH: u64 = 4 << 30;

/// Takes the memory over: digests the map, builds the kernel's page table, leaves the trampoline's, and starts the heap. Returns
/// what is left for others.
pub fn install(info: &BootInfo) -> RangeSet {
    let image = PhysRange::new(address(&raw const __image_start), address(&raw const __image_end));
    let map = match MemoryMap::digest(info.areas(), info.taken().chain([image]), TRAMPOLINE_REACH) {
        Ok(map) => map,
        Err(error) => panic!("this machine's memory is of no use: {error:?}"),
    };
    // A quarter of the reserve becomes page tables, the rest the heap.
    let tables_end = map.reserve.start() + (map.reserve.size() / 4).next_multiple_of(PAGE);
    let tables = PhysRange::new(map.reserve.start(), tables_end);
    // SAFETY: the reserve is free memory that was taken out of the free list, below the trampoline's reach; the physmap shows it
    // now and in the tables built next.
    let frames = unsafe { FrameReserve::new(tables, PHYSMAP) };
    let mapper = match build(&map, frames) {
        Ok(mapper) => mapper,
        Err(error) => panic!("the kernel's page table cannot be built: {error:?}"),
    };
    // SAFETY: the new table maps the kernel's image with the stack in use and the static descriptor table for interrupts, and all
    // memory in the physmap, hence the tables. The trampoline's segment descriptors stay cached in the segment registers, and
    // `segments::install` replaces them before anything can load one, interrupts being off.
    unsafe { mapper.activate() };
    let heap = (PHYSMAP + tables_end) as *mut u8;
    // SAFETY: the rest of the reserve: mapped in the physmap, free, and nobody else's.
    unsafe { heap::install(heap, (map.reserve.end() - tables_end) as usize) };
    let Ok(images) = ImageArena::new() else { x86::bug!("a new heap has room for one list") };
    objects::memory::install(mapper, images, heap::used);
    map.free
}

fn build(map: &MemoryMap, frames: FrameReserve) -> Result<Mapper, MapError> {
    let mut mapper = Mapper::new(frames)?;
    for range in map.memory.iter() {
        // SAFETY: the range is memory, says the firmware. Nothing runs on this table yet.
        unsafe { mapper.map_physical(PhysAddr::new(range.start()), range.size(), Cache::Normal) }?;
    }
    let parts = [
        (&raw const __text_start, &raw const __text_end, Protection::ReadExecute),
        (&raw const __rodata_start, &raw const __rodata_end, Protection::ReadOnly),
        (&raw const __data_start, &raw const __data_end, Protection::ReadWrite),
        (&raw const __boot_stack_start, &raw const __boot_stack_end, Protection::ReadWrite),
    ];
    for (start, end, protection) in parts {
        let (start, end) = (address(start), address(end));
        let (virt, phys) = (VirtAddr::new(start), PhysAddr::new(start - KERNEL));
        // SAFETY: the linker script gives each part its own pages, and the protection that the compiler reckons with.
        unsafe { mapper.map(virt, phys, end - start, protection, Cache::Normal) }?;
    }
    Ok(mapper)
}

fn address(symbol: *const u8) -> u64 {
    symbol as u64
}

unsafe extern "C" {
    static __image_start: u8;
    static __image_end: u8;
    static __text_start: u8;
    static __text_end: u8;
    static __rodata_start: u8;
    static __rodata_end: u8;
    static __data_start: u8;
    static __data_end: u8;
    static __boot_stack_guard: u8;
    static __boot_stack_start: u8;
    static __boot_stack_end: u8;
}

/// The page below the boot stack.
pub fn boot_stack_guard() -> u64 {
    address(&raw const __boot_stack_guard)
}

/// Makes physical memory readable and says where: for firmware tables, which may stand in ranges that the memory map calls reserved.
pub fn firmware(phys: u64, size: u64) -> Option<VirtAddr> {
    let phys = PhysAddr::try_new(phys).ok()?;
    // SAFETY: the firmware's tables point there, and they are only read.
    unsafe { lock().mapper.map_physical(phys, size, Cache::Normal) }.ok()
}

/// Makes a page of device registers accessible and says where.
///
/// # Safety
/// The page holds registers of a device that the caller owns.
pub unsafe fn device_page(phys: u64) -> Option<VirtAddr> {
    let phys = PhysAddr::try_new(phys).ok()?;
    // SAFETY: the caller vouches for the device.
    unsafe { lock().mapper.map_physical(phys, PAGE, Cache::Uncached) }.ok()
}
