//! The tables as a tree: finding what stands at an address, and putting it there.
//!
//! A large page is split where part of it must change; a table that becomes empty goes back to the reserve.

use super::{Cache, MapError, Mapper, Protection};
use crate::layout::{LARGE_PAGE, PAGE};
use crate::range::PhysRange;
use crate::table::Entry;
use x86_64::PhysAddr;
use x86_64::structures::paging::PageTableFlags as Flags;

/// What a walk ends at: a page, or a hole of at least `size` bytes (aligned to it).
#[derive(Clone, Copy)]
pub(super) enum Found {
    Page { table: PhysAddr, index: usize, entry: Entry, size: u64 },
    Hole { size: u64 },
}

impl Mapper {
    /// What stands at an address, or how large the hole there is.
    pub(super) fn find(&self, virt: u64) -> Found {
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
    pub(super) fn page_within(&mut self, at: u64, end: u64) -> Result<Found, MapError> {
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
    pub(super) fn fill(&mut self, virt: u64, phys: u64, size: u64, flags: Flags) -> Result<(), MapError> {
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
    pub(super) fn clear(&mut self, start: u64, end: u64) {
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
}

/// Inner entries allow all; the leaf decides.
const TABLE: Flags = Flags::PRESENT.union(Flags::WRITABLE);
pub(super) const CACHE_BITS: Flags = Flags::NO_CACHE.union(Flags::WRITE_THROUGH);

pub(super) fn flags(protection: Protection, cache: Cache) -> Flags {
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

pub(super) fn protection(flags: Flags) -> Protection {
    if flags.contains(Flags::WRITABLE) {
        Protection::ReadWrite
    } else if flags.contains(Flags::NO_EXECUTE) {
        Protection::ReadOnly
    } else {
        Protection::ReadExecute
    }
}

/// How many bytes one entry of a table of this level covers.
pub(super) const fn reach(level: u32) -> u64 {
    PAGE << (9 * (level - 1))
}

fn index(virt: u64, level: u32) -> usize {
    (virt / reach(level)) as usize & 511
}

/// Makes the processor forget what it remembers of an address.
pub(super) fn flush(virt: u64) {
    #[cfg(target_os = "none")]
    x86_64::instructions::tlb::flush(x86_64::VirtAddr::new_truncate(virt));
    #[cfg(not(target_os = "none"))]
    let _ = virt;
}
