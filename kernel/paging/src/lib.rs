//! Physical frames, the page table, and who may hand out which virtual addresses.
//!
//! There is one address space. Its parts ([`layout`]) are the kernel's image, the physmap (all memory, readable and writable, never
//! executable), the image arena (cell code, in the top 2 GiB so that `code-model=kernel` reaches it) and the region arena (stacks
//! and heaps, each between guard pages).
//!
//! Invariants, kept by [`Mapper`] and checked by [`Mapper::audit`]:
//! - No page is both writable and executable.
//! - While a frame is mapped read-only or executable anywhere, no writable mapping of it exists, its physmap alias included.
//! - Page 0, guard pages and all low memory are not mapped.
//!
//! Everything here but the flush of the translation cache is plain arithmetic and memory, and is tested on the host, page tables
//! included.
#![cfg_attr(not(test), no_std)]

extern crate alloc;

mod audit;
mod frames;
mod image_arena;
pub mod layout;
mod mapper;
mod memory_map;
mod range;
mod regions;
mod table;

pub use audit::{Audit, Violation};
pub use frames::{FrameReserve, FramesExhausted};
pub use image_arena::ImageArena;
pub use mapper::{Cache, MapError, Mapped, Mapper, PageKind, Protection};
pub use memory_map::{Area, AreaKind, MemoryMap, MemoryMapError};
pub use range::{Block, PhysRange, RangeSet, TooManyRanges, blocks};
pub use regions::{ArenaError, Region, Regions};
