//! Addresses for the text and data of cells.

use crate::layout::{IMAGES, IMAGES_END, PAGE};
use crate::regions::{ArenaError, Region};
use alloc::vec::Vec;

/// Gaps that there is room for from the first: more cells than a small system runs.
const FIRST_GAPS: usize = 64;

/// First fit over a sorted free list. Unlike regions these addresses are used again: the top 2 GiB are small, and a retired
/// image is only given back when nothing can reach it.
///
/// Invariant: `free` is sorted, its entries neither overlap nor touch, and its capacity is above the number of live
/// allocations, so that giving back never needs memory.
#[derive(Debug)]
pub struct ImageArena {
    free: Vec<Region>,
    live: usize,
}

impl ImageArena {
    /// All of the image arena. There is one such value in the kernel.
    pub fn new() -> Result<Self, ArenaError> {
        let mut free = Vec::new();
        free.try_reserve(FIRST_GAPS).map_err(|_| ArenaError::NoMemory)?;
        free.push(Region { start: IMAGES, size: IMAGES_END - IMAGES });
        Ok(Self { free, live: 0 })
    }

    /// Takes `size` bytes of addresses, the lowest that fit.
    pub fn allocate(&mut self, size: u64) -> Result<Region, ArenaError> {
        if size == 0 || !size.is_multiple_of(PAGE) {
            return Err(ArenaError::BadSize);
        }
        // With `n` live allocations there are at most `n + 1` gaps.
        let room = (self.live + 2).saturating_sub(self.free.len());
        self.free.try_reserve(room).map_err(|_| ArenaError::NoMemory)?;
        let place = self.free.iter().position(|gap| gap.size >= size).ok_or(ArenaError::Exhausted)?;
        let gap = self.free.get_mut(place).ok_or(ArenaError::Exhausted)?;
        let found = Region { start: gap.start, size };
        *gap = Region { start: gap.start + size, size: gap.size - size };
        if gap.size == 0 {
            self.free.remove(place);
        }
        self.live += 1;
        Ok(found)
    }

    /// Gives back what [`allocate`](Self::allocate) returned. Nothing may be mapped there any more.
    pub fn free(&mut self, region: Region) -> Result<(), ArenaError> {
        let end = region.start.checked_add(region.size).ok_or(ArenaError::NotAllocated)?;
        let inside = region.start >= IMAGES && end <= IMAGES_END && region.size > 0;
        let place = self.free.partition_point(|gap| gap.start < region.start);
        let before = place.checked_sub(1).and_then(|index| self.free.get(index)).copied();
        let after = self.free.get(place).copied();
        let overlaps = before.is_some_and(|gap| gap.end() > region.start) || after.is_some_and(|gap| gap.start < end);
        if !inside || overlaps || self.live == 0 {
            return Err(ArenaError::NotAllocated);
        }
        let joins_before = before.is_some_and(|gap| gap.end() == region.start);
        let joins_after = after.is_some_and(|gap| gap.start == end);
        let start = before.filter(|_| joins_before).map_or(region.start, |gap| gap.start);
        let end = after.filter(|_| joins_after).map_or(end, |gap| gap.end());
        let first = if joins_before { place - 1 } else { place };
        let last = if joins_after { place + 1 } else { place };
        self.free.splice(first..last, [Region { start, size: end - start }]);
        self.live -= 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn allocations_never_overlap_and_all_comes_back(
            steps in prop::collection::vec((any::<bool>(), 1u64..64, any::<prop::sample::Index>()), 0..200),
        ) {
            let mut arena = ImageArena::new().unwrap();
            let mut live: Vec<Region> = Vec::new();
            for (take, pages, which) in steps {
                if take || live.is_empty() {
                    let region = arena.allocate(pages * PAGE).unwrap();
                    prop_assert!(region.start >= IMAGES && region.end() <= IMAGES_END);
                    prop_assert!(live.iter().all(|other| other.end() <= region.start || region.end() <= other.start));
                    live.push(region);
                } else {
                    let region = live.swap_remove(which.index(live.len()));
                    let capacity = arena.free.capacity();
                    arena.free(region).unwrap();
                    prop_assert_eq!(arena.free.capacity(), capacity);
                    prop_assert_eq!(arena.free(region), Err(ArenaError::NotAllocated));
                }
                for pair in arena.free.windows(2) {
                    prop_assert!(pair[0].end() < pair[1].start);
                }
            }
            for region in live {
                arena.free(region).unwrap();
            }
            prop_assert_eq!(arena.free, [Region { start: IMAGES, size: IMAGES_END - IMAGES }]);
        }
    }

    #[test]
    fn the_arena_ends() {
        let mut arena = ImageArena::new().unwrap();
        assert_eq!(arena.allocate(IMAGES_END - IMAGES + PAGE), Err(ArenaError::Exhausted));
        let all = arena.allocate(IMAGES_END - IMAGES).unwrap();
        assert_eq!(arena.allocate(PAGE), Err(ArenaError::Exhausted));
        arena.free(all).unwrap();
        assert_eq!(arena.allocate(PAGE).unwrap().start, IMAGES);
    }
}
