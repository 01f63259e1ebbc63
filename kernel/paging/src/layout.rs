//! The map of the address space.

/// A page and a frame, in bytes.
pub const PAGE: u64 = 4096;
/// A large page, in bytes.
pub const LARGE_PAGE: u64 = 2 << 20;
/// All physical memory appears here: address `PHYSMAP + p` is byte `p`.
pub const PHYSMAP: u64 = 0xffff_8000_0000_0000;
/// The end of the physmap: 64 TiB of physical addresses.
pub const PHYSMAP_END: u64 = REGIONS;
/// Stacks and heaps.
pub const REGIONS: u64 = 0xffff_c000_0000_0000;
/// The end of the region arena, 32 TiB on.
pub const REGIONS_END: u64 = REGIONS + (32 << 40);
/// The kernel's image stands 1 MiB above.
pub const KERNEL: u64 = 0xffff_ffff_8000_0000;
/// The kernel's image ends below.
pub const KERNEL_END: u64 = IMAGES;
/// Text and data of cells.
pub const IMAGES: u64 = 0xffff_ffff_a000_0000;
/// The end of the image arena.
pub const IMAGES_END: u64 = 0xffff_ffff_c000_0000;
