//! The physmap's aliases of frames that are mapped elsewhere: writable exactly where the other mapping is.

use super::tree::{CACHE_BITS, Found, flags, flush};
use super::{Cache, MapError, Mapper, Protection};
use crate::layout::PHYSMAP;
use crate::range::PhysRange;
use crate::table::Entry;
use x86_64::structures::paging::PageTableFlags as Flags;

impl Mapper {
    pub(super) fn check_alias_writable(&self, frames: PhysRange) -> Result<(), MapError> {
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
    pub(super) fn protect_alias(&mut self, frames: PhysRange) -> Result<(), MapError> {
        self.set_alias(frames, Protection::ReadOnly)
            .inspect_err(|&(_, done)| self.release_alias(PhysRange::new(frames.start(), done)))
            .map_err(|(error, _)| error)
    }

    /// Makes the physmap's alias writable again. It was made read-only page by page, so nothing is left to split or to fail.
    pub(super) fn release_alias(&mut self, frames: PhysRange) {
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
