//! The page table.
//!
//! [`Mapper::map`], [`protect`](Mapper::protect) and [`unmap`](Mapper::unmap) change mappings outside the physmap and keep the
//! physmap's aliases in step: a frame that is mapped read-only or executable is read-only in the physmap, for as long as it is.
//! For that a frame has at most one mapping outside the physmap, which the kernel objects above see to; a second writable one is
//! refused here.
//!
//! Tables that become empty go back to the reserve, so that region addresses, which are never used again, cost nothing once
//! unmapped.

mod alias;
mod tree;
mod walk;

use crate::frames::{FrameReserve, FramesExhausted};
use crate::layout::{PAGE, PHYSMAP, PHYSMAP_END};
use crate::range::PhysRange;
use crate::table::{Entry, Window};
use tree::{CACHE_BITS, Found, flags, flush, protection};
use x86_64::structures::paging::PageTableFlags as Flags;
use x86_64::{PhysAddr, VirtAddr};

pub use walk::PageKind;

/// What may be done with a page. There is no writable and executable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protection {
    /// Read.
    ReadOnly,
    /// Read and write.
    ReadWrite,
    /// Read and execute.
    ReadExecute,
}

/// Whether accesses may be cached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cache {
    /// Memory.
    Normal,
    /// Device registers.
    Uncached,
}

/// Why a mapping was not changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MapError {
    /// An address or size is no multiple of a page, zero, not canonical, or in the physmap. The caller's fault.
    BadRange,
    /// Something is mapped there already. The caller's fault.
    AlreadyMapped,
    /// Nothing is mapped at some page of the range. The caller's fault.
    NotMapped,
    /// A frame is mapped read-only or executable elsewhere and cannot be mapped writable. The caller's fault.
    Shared,
    /// The kernel's reserve has no frame for a page table.
    Exhausted,
}

impl From<FramesExhausted> for MapError {
    fn from(_: FramesExhausted) -> Self {
        Self::Exhausted
    }
}

/// What stands at an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mapped {
    /// The physical address of the byte asked for.
    pub physical: PhysAddr,
    /// What may be done with it.
    pub protection: Protection,
}

/// The one page table, and the reserve that it grows from.
#[derive(Debug)]
pub struct Mapper {
    root: PhysAddr,
    frames: FrameReserve,
}

impl Mapper {
    /// An empty page table.
    pub fn new(mut frames: FrameReserve) -> Result<Self, MapError> {
        let root = frames.allocate()?;
        Ok(Self { root, frames })
    }

    /// The physical address of the top table, for CR3.
    pub fn root(&self) -> PhysAddr {
        self.root
    }

    /// The pool of frames for tables, which may also give frames for the kernel's own stacks.
    pub fn frames(&mut self) -> &mut FrameReserve {
        &mut self.frames
    }

    pub(crate) fn window(&self) -> Window {
        self.frames.window()
    }

    /// Makes this the page table in use.
    ///
    /// # Safety
    /// It maps all that runs on: the code that calls this, its stack, the descriptor tables, and the window of its frames.
    #[cfg(target_os = "none")]
    pub unsafe fn activate(&self) {
        use x86_64::registers::control::{Cr3, Cr3Flags};
        use x86_64::structures::paging::PhysFrame;
        let frame = PhysFrame::containing_address(self.root);
        // SAFETY: the frame holds a top-level table, and the caller vouches for what it maps.
        unsafe { Cr3::write(frame, Cr3Flags::empty()) };
    }

    /// Maps `size` bytes at `virt` to physical memory from `phys`. On failure nothing is mapped.
    ///
    /// # Safety
    /// The caller owns both the addresses and the frames (or device registers), and no Rust reference stands in the way of
    /// `protection`: none mutable if it is not writable, and none of the caller's beside what it means to share if it is.
    pub unsafe fn map(
        &mut self,
        virt: VirtAddr,
        phys: PhysAddr,
        size: u64,
        protection: Protection,
        cache: Cache,
    ) -> Result<(), MapError> {
        let frames = frames(phys, size)?;
        let (start, end) = span(virt, size)?;
        self.check_free(start, end)?;
        match protection {
            Protection::ReadWrite => self.check_alias_writable(frames)?,
            Protection::ReadOnly | Protection::ReadExecute => self.protect_alias(frames)?,
        }
        let result = self.fill(start, phys.as_u64(), size, flags(protection, cache));
        if result.is_err() && protection != Protection::ReadWrite {
            self.release_alias(frames);
        }
        result
    }

    /// Changes what may be done with mapped pages. On failure some of the pages may already be changed.
    ///
    /// # Safety
    /// As for [`map`](Self::map): the caller owns the range, and no reference is broken by it.
    pub unsafe fn protect(&mut self, virt: VirtAddr, size: u64, protection: Protection) -> Result<(), MapError> {
        let (start, end) = span(virt, size)?;
        self.check_mapped(start, end)?;
        let mut at = start;
        while at < end {
            let Found::Page { table, index, entry, size } = self.page_within(at, end)? else {
                return Err(MapError::NotMapped);
            };
            let frames = frames(entry.frame(), size)?;
            let cache = entry.flags() & CACHE_BITS;
            let large = entry.flags() & Flags::HUGE_PAGE;
            let wanted = Entry::new(entry.frame(), flags(protection, Cache::Normal) | cache | large);
            // At no moment do a writable and an executable mapping of a frame exist together.
            if protection != Protection::ReadWrite {
                self.protect_alias(frames)?;
            }
            self.window().write(table, index, wanted);
            flush(at);
            if protection == Protection::ReadWrite {
                self.release_alias(frames);
            }
            at += size;
        }
        Ok(())
    }

    /// Unmaps `size` bytes. All of them must be mapped; on failure nothing is unmapped.
    ///
    /// # Safety
    /// The caller owns the range, and nothing refers to it any more, or only what is meant to fault.
    pub unsafe fn unmap(&mut self, virt: VirtAddr, size: u64) -> Result<(), MapError> {
        let (start, end) = span(virt, size)?;
        self.check_mapped(start, end)?;
        // Large pages that stick out at either end are split first: only that can fail.
        self.page_within(start, end)?;
        self.page_within(end - PAGE, end)?;
        self.clear(start, end);
        Ok(())
    }

    /// What stands at an address, if anything.
    pub fn translate(&self, virt: VirtAddr) -> Option<Mapped> {
        let Found::Page { entry, size, .. } = self.find(virt.as_u64()) else {
            return None;
        };
        let protection = protection(entry.flags());
        Some(Mapped { physical: entry.frame() + virt.as_u64() % size, protection })
    }

    /// Makes physical memory appear in the physmap, readable and writable, and returns where. What is there already stays as
    /// it is; `Cache::Uncached` is for device registers.
    ///
    /// # Safety
    /// The range is memory, or registers of a device that the caller owns.
    pub unsafe fn map_physical(&mut self, phys: PhysAddr, size: u64, cache: Cache) -> Result<VirtAddr, MapError> {
        let end = phys.as_u64().checked_add(size).ok_or(MapError::BadRange)?;
        let range = PhysRange::new(phys.as_u64(), end).grow_to_pages();
        if range.end() > PHYSMAP_END - PHYSMAP {
            return Err(MapError::BadRange);
        }
        let mut at = range.start();
        while at < range.end() {
            match self.find(PHYSMAP + at) {
                Found::Page { size, .. } => at = (at / size + 1) * size,
                Found::Hole { size } => {
                    let run = ((at / size + 1) * size).min(range.end()) - at;
                    self.fill(PHYSMAP + at, at, run, flags(Protection::ReadWrite, cache))?;
                    at += run;
                }
            }
        }
        Ok(VirtAddr::new(PHYSMAP + phys.as_u64()))
    }

    fn check_free(&self, start: u64, end: u64) -> Result<(), MapError> {
        let mut at = start;
        while at < end {
            match self.find(at) {
                Found::Page { .. } => return Err(MapError::AlreadyMapped),
                // Near the top of the address space the sum could wrap.
                Found::Hole { size } => at = (at / size * size).checked_add(size).unwrap_or(end),
            }
        }
        Ok(())
    }

    fn check_mapped(&self, start: u64, end: u64) -> Result<(), MapError> {
        let mut at = start;
        while at < end {
            match self.find(at) {
                Found::Page { size, .. } => at = at / size * size + size,
                Found::Hole { .. } => return Err(MapError::NotMapped),
            }
        }
        Ok(())
    }
}

fn frames(phys: PhysAddr, size: u64) -> Result<PhysRange, MapError> {
    let end = phys.as_u64().checked_add(size).ok_or(MapError::BadRange)?;
    if !phys.is_aligned(PAGE) || PhysAddr::try_new(end).is_err() {
        return Err(MapError::BadRange);
    }
    Ok(PhysRange::new(phys.as_u64(), end))
}

/// Start and end of a range outside the physmap that does not cross from the lower to the upper half.
fn span(virt: VirtAddr, size: u64) -> Result<(u64, u64), MapError> {
    let start = virt.as_u64();
    let end = start.checked_add(size).ok_or(MapError::BadRange)?;
    let last = VirtAddr::try_new(end.wrapping_sub(1)).map_err(|_| MapError::BadRange)?;
    let same_half = last.as_u64() >> 63 == start >> 63;
    let physmap = start < PHYSMAP_END && end > PHYSMAP;
    if size == 0 || !size.is_multiple_of(PAGE) || !virt.is_aligned(PAGE) || !same_half || physmap {
        return Err(MapError::BadRange);
    }
    Ok((start, end))
}

#[cfg(test)]
mod tests;
