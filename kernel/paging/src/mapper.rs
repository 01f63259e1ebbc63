//! The page table.
//!
//! [`Mapper::map`], [`protect`](Mapper::protect) and [`unmap`](Mapper::unmap) change mappings outside the physmap and keep the
//! physmap's aliases in step: a frame that is mapped read-only or executable is read-only in the physmap, for as long as it is.
//! For that a frame has at most one mapping outside the physmap, which the kernel objects above see to; a second writable one is
//! refused here.
//!
//! Tables that become empty go back to the reserve, so that region addresses, which are never used again, cost nothing once
//! unmapped.

use crate::frames::{FrameReserve, FramesExhausted};
use crate::layout::{LARGE_PAGE, PAGE, PHYSMAP, PHYSMAP_END};
use crate::range::PhysRange;
use crate::table::{Entry, Window};
use x86_64::structures::paging::PageTableFlags as Flags;
use x86_64::{PhysAddr, VirtAddr};

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

/// What a walk ends at: a page, or a hole of at least `size` bytes (aligned to it).
#[derive(Clone, Copy)]
enum Found {
    Page { table: PhysAddr, index: usize, entry: Entry, size: u64 },
    Hole { size: u64 },
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

    /// Calls `visit` with address, physical address, size and protection of every page, lowest address first.
    pub fn walk(&self, mut visit: impl FnMut(VirtAddr, PhysAddr, u64, PageKind)) {
        self.walk_table(self.root, 4, 0, &mut visit);
    }

    fn walk_table(
        &self,
        table: PhysAddr,
        level: u32,
        base: u64,
        visit: &mut dyn FnMut(VirtAddr, PhysAddr, u64, PageKind),
    ) {
        for index in 0..512 {
            let entry = self.window().read(table, index);
            let at = base + index as u64 * reach(level);
            if !entry.is_present() {
                continue;
            }
            if level == 1 || entry.is_large() {
                let flags = entry.flags();
                let kind = PageKind {
                    writable: flags.contains(Flags::WRITABLE),
                    executable: !flags.contains(Flags::NO_EXECUTE),
                    user: flags.contains(Flags::USER_ACCESSIBLE),
                };
                visit(VirtAddr::new_truncate(at), entry.frame(), reach(level), kind);
            } else {
                self.walk_table(entry.frame(), level - 1, at, visit);
            }
        }
    }

    fn find(&self, virt: u64) -> Found {
        let mut table = self.root;
        for level in (1..=4).rev() {
            let index = index(virt, level);
            let entry = self.window().read(table, index);
            if !entry.is_present() {
                return Found::Hole { size: reach(level) };
            }
            if level == 1 || entry.is_large() {
                return Found::Page { table, index, entry, size: reach(level) };
            }
            table = entry.frame();
        }
        Found::Hole { size: PAGE }
    }

    /// The page at `at`, split until it lies wholly in `at..end`.
    fn page_within(&mut self, at: u64, end: u64) -> Result<Found, MapError> {
        if let Found::Page { size, .. } = self.find(at)
            && (!at.is_multiple_of(size) || at + size > end)
        {
            self.table_for(at, 1)?;
        }
        Ok(self.find(at))
    }

    /// The table of the given level that covers `virt`; makes missing ones, and splits a large page in the way.
    fn table_for(&mut self, virt: u64, wanted: u32) -> Result<PhysAddr, MapError> {
        let mut table = self.root;
        for level in (wanted + 1..=4).rev() {
            let index = index(virt, level);
            let entry = self.window().read(table, index);
            table = if !entry.is_present() {
                let next = self.frames.allocate()?;
                self.window().write(table, index, Entry::new(next, TABLE));
                next
            } else if entry.is_large() {
                let next = self.frames.allocate()?;
                let flags = entry.flags() - Flags::HUGE_PAGE;
                for page in 0..512 {
                    self.window().write(next, page, Entry::new(entry.frame() + page as u64 * PAGE, flags));
                }
                // The same translations in another form: what the cache still holds stays true until they change.
                self.window().write(table, index, Entry::new(next, TABLE));
                flush(virt);
                next
            } else {
                entry.frame()
            };
        }
        Ok(table)
    }

    /// Maps a range that is known to be free. On failure nothing of it is mapped.
    fn fill(&mut self, virt: u64, phys: u64, size: u64, flags: Flags) -> Result<(), MapError> {
        let mut done = 0;
        while done < size {
            let (at, frame) = (virt + done, PhysAddr::new(phys + done));
            let hole = matches!(self.find(at), Found::Hole { size } if size >= LARGE_PAGE);
            let aligned = at.is_multiple_of(LARGE_PAGE) && frame.is_aligned(LARGE_PAGE);
            let large = hole && aligned && size - done >= LARGE_PAGE;
            let (level, step, kind) = if large { (2, LARGE_PAGE, Flags::HUGE_PAGE) } else { (1, PAGE, Flags::empty()) };
            match self.table_for(at, level) {
                Ok(table) => self.window().write(table, index(at, level), Entry::new(frame, flags | kind)),
                Err(error) => {
                    self.clear(virt, virt + done);
                    return Err(error);
                }
            }
            done += step;
        }
        Ok(())
    }

    /// Unmaps whole pages, gives aliases their write permission back, and empty tables to the reserve.
    fn clear(&mut self, start: u64, end: u64) {
        let mut at = start;
        while at < end {
            let Found::Page { table, index, entry, size } = self.find(at) else {
                break;
            };
            self.window().write(table, index, Entry::EMPTY);
            flush(at);
            if !entry.flags().contains(Flags::WRITABLE) {
                self.release_alias(PhysRange::new(entry.frame().as_u64(), entry.frame().as_u64() + size));
            }
            at += size;
            // Look once a table: at its end, or at the end of it all.
            if at.is_multiple_of(LARGE_PAGE) || at >= end {
                self.prune(at - size);
            }
        }
    }

    /// Gives the empty tables above an address back, lowest first.
    fn prune(&mut self, virt: u64) {
        for level in 1..=3 {
            let Some((parent, slot, table)) = self.table_at(virt, level) else {
                continue;
            };
            if (0..512).any(|index| self.window().read(table, index).is_present()) {
                return;
            }
            self.window().write(parent, slot, Entry::EMPTY);
            flush(virt);
            // SAFETY: all tables come from the reserve. This one was just unlinked from its only parent, and the flush emptied the
            // processor's caches of table entries (AMD64 manual 2, section 5.5.2: INVLPG).
            unsafe { self.frames.free(table) };
        }
    }

    /// The table of a level that covers an address, with the entry that leads there.
    fn table_at(&self, virt: u64, level: u32) -> Option<(PhysAddr, usize, PhysAddr)> {
        let mut table = self.root;
        for above in (level + 1..=4).rev() {
            let slot = index(virt, above);
            let entry = self.window().read(table, slot);
            if !entry.is_present() || entry.is_large() {
                return None;
            }
            if above == level + 1 {
                return Some((table, slot, entry.frame()));
            }
            table = entry.frame();
        }
        None
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

    fn check_alias_writable(&self, frames: PhysRange) -> Result<(), MapError> {
        let mut at = frames.start();
        while at < frames.end() {
            match self.find(PHYSMAP + at) {
                Found::Page { entry, .. } if !entry.flags().contains(Flags::WRITABLE) => {
                    return Err(MapError::Shared);
                }
                Found::Page { size, .. } | Found::Hole { size } => at = (at / size + 1) * size,
            }
        }
        Ok(())
    }

    /// Makes the physmap's alias read-only. On failure it is as it was.
    fn protect_alias(&mut self, frames: PhysRange) -> Result<(), MapError> {
        self.set_alias(frames, Protection::ReadOnly)
            .inspect_err(|&(_, done)| self.release_alias(PhysRange::new(frames.start(), done)))
            .map_err(|(error, _)| error)
    }

    /// Makes the physmap's alias writable again. It was made read-only page by page, so nothing is left to split or to fail.
    fn release_alias(&mut self, frames: PhysRange) {
        let _ = self.set_alias(frames, Protection::ReadWrite);
    }

    /// Frames without an alias (device registers) are passed over. An error says up to where it came.
    fn set_alias(&mut self, frames: PhysRange, protection: Protection) -> Result<(), (MapError, u64)> {
        let (mut at, end) = (frames.start(), frames.end());
        while at < end {
            match self.page_within(PHYSMAP + at, PHYSMAP + end).map_err(|error| (error, at))? {
                Found::Page { table, index, entry, size } => {
                    let kept = entry.flags() & (CACHE_BITS | Flags::HUGE_PAGE);
                    let wanted = flags(protection, Cache::Normal) | kept;
                    self.window().write(table, index, Entry::new(entry.frame(), wanted));
                    flush(PHYSMAP + at);
                    at += size;
                }
                Found::Hole { size } => at = (at / size + 1) * size,
            }
        }
        Ok(())
    }
}

/// What [`Mapper::walk`] says of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageKind {
    /// It can be written to.
    pub writable: bool,
    /// It can be executed.
    pub executable: bool,
    /// Ring 3 could reach it.
    pub user: bool,
}

/// Inner entries allow all; the leaf decides.
const TABLE: Flags = Flags::PRESENT.union(Flags::WRITABLE);
const CACHE_BITS: Flags = Flags::NO_CACHE.union(Flags::WRITE_THROUGH);

fn flags(protection: Protection, cache: Cache) -> Flags {
    let access = match protection {
        Protection::ReadOnly => Flags::NO_EXECUTE,
        Protection::ReadWrite => Flags::NO_EXECUTE | Flags::WRITABLE,
        Protection::ReadExecute => Flags::empty(),
    };
    let cache = match cache {
        Cache::Normal => Flags::empty(),
        Cache::Uncached => CACHE_BITS,
    };
    Flags::PRESENT | access | cache
}

fn protection(flags: Flags) -> Protection {
    if flags.contains(Flags::WRITABLE) {
        Protection::ReadWrite
    } else if flags.contains(Flags::NO_EXECUTE) {
        Protection::ReadOnly
    } else {
        Protection::ReadExecute
    }
}

/// How many bytes one entry of a table of this level covers.
const fn reach(level: u32) -> u64 {
    PAGE << (9 * (level - 1))
}

fn index(virt: u64, level: u32) -> usize {
    (virt / reach(level)) as usize & 511
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

/// Makes the processor forget what it remembers of an address.
fn flush(virt: u64) {
    #[cfg(target_os = "none")]
    x86_64::instructions::tlb::flush(VirtAddr::new_truncate(virt));
    #[cfg(not(target_os = "none"))]
    let _ = virt;
}

#[cfg(test)]
#[path = "mapper_tests.rs"]
mod tests;
