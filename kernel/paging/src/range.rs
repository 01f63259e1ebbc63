//! Ranges of physical memory.

use crate::layout::PAGE;
use arrayvec::ArrayVec;

/// From `start` up to but without `end`, in bytes; never reversed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PhysRange {
    start: u64,
    end: u64,
}

impl PhysRange {
    /// A range; empty where `end` is not above `start`.
    pub const fn new(start: u64, end: u64) -> Self {
        Self { start, end: if end > start { end } else { start } }
    }

    /// The first byte.
    pub const fn start(self) -> u64 {
        self.start
    }

    /// The byte after the last.
    pub const fn end(self) -> u64 {
        self.end
    }

    /// Its length in bytes.
    pub const fn size(self) -> u64 {
        self.end - self.start
    }

    /// Whether it holds no byte.
    pub const fn is_empty(self) -> bool {
        self.start == self.end
    }

    /// The whole pages inside.
    pub const fn shrink_to_pages(self) -> Self {
        let start = match self.start.checked_next_multiple_of(PAGE) {
            Some(start) => start,
            None => self.end,
        };
        Self::new(start, self.end / PAGE * PAGE)
    }

    /// The whole pages that it touches.
    pub const fn grow_to_pages(self) -> Self {
        let end = match self.end.checked_next_multiple_of(PAGE) {
            Some(end) => end,
            None => self.end / PAGE * PAGE,
        };
        Self::new(self.start / PAGE * PAGE, end)
    }

    /// Whether both hold some byte.
    pub const fn overlaps(self, other: Self) -> bool {
        self.start < other.end && other.start < self.end
    }
}

/// More separate ranges than there is room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooManyRanges;

/// How many separate ranges a set can hold.
const CAPACITY: usize = 128;

/// A set of bytes as sorted ranges that neither overlap nor touch.
#[derive(Clone, Debug, Default)]
pub struct RangeSet {
    ranges: ArrayVec<PhysRange, CAPACITY>,
}

impl RangeSet {
    /// The empty set.
    pub const fn new() -> Self {
        Self { ranges: ArrayVec::new_const() }
    }

    /// The ranges, lowest first.
    pub fn iter(&self) -> impl Iterator<Item = PhysRange> + '_ {
        self.ranges.iter().copied()
    }

    /// How many bytes the set holds.
    pub fn size(&self) -> u64 {
        self.iter().map(PhysRange::size).sum()
    }

    /// Adds a range. On failure the set is as it was.
    pub fn insert(&mut self, range: PhysRange) -> Result<(), TooManyRanges> {
        if range.is_empty() {
            return Ok(());
        }
        let touches = |other: &PhysRange| other.start <= range.end && range.start <= other.end;
        let (mut start, mut end) = (range.start, range.end);
        for other in self.ranges.iter().filter(|other| touches(other)) {
            start = start.min(other.start);
            end = end.max(other.end);
        }
        let merged = self.ranges.iter().filter(|other| touches(other)).count();
        if merged == 0 && self.ranges.is_full() {
            return Err(TooManyRanges);
        }
        self.ranges.retain(|other| !touches(other));
        let place = self.ranges.iter().take_while(|other| other.start < start).count();
        self.ranges.try_insert(place, PhysRange { start, end }).map_err(|_| TooManyRanges)
    }

    /// Takes a range out. On failure the set is as it was.
    pub fn subtract(&mut self, range: PhysRange) -> Result<(), TooManyRanges> {
        if range.is_empty() {
            return Ok(());
        }
        let mut result = ArrayVec::new();
        for other in self.iter() {
            let parts = [
                PhysRange::new(other.start, other.end.min(range.start)),
                PhysRange::new(other.start.max(range.end), other.end),
            ];
            for part in parts.into_iter().filter(|part| !part.is_empty()) {
                result.try_push(part).map_err(|_| TooManyRanges)?;
            }
        }
        self.ranges = result;
        Ok(())
    }

    /// Takes `size` bytes out whose address is a multiple of `align` and which end at or below `limit`, as high as possible.
    /// `None` if no range has them.
    pub fn carve(&mut self, size: u64, align: u64, limit: u64) -> Option<PhysRange> {
        let place = |range: PhysRange| {
            let start = range.end.min(limit).checked_sub(size)? / align * align;
            (start >= range.start).then_some(PhysRange::new(start, start + size))
        };
        let found = self.ranges.iter().rev().copied().find_map(place)?;
        self.subtract(found).ok()?;
        Some(found)
    }
}

/// A naturally aligned power of two of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    /// Its address, a multiple of its size.
    pub base: u64,
    /// The logarithm of its size.
    pub bits: u32,
}

/// Splits a range into the fewest naturally aligned blocks of powers of two, lowest first.
pub fn blocks(range: PhysRange) -> impl Iterator<Item = Block> {
    let mut base = range.start;
    core::iter::from_fn(move || {
        let left = range.end - base;
        if left == 0 {
            return None;
        }
        let bits = base.trailing_zeros().min(left.ilog2());
        let block = Block { base, bits };
        base += 1 << bits;
        Some(block)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn bytes(set: &RangeSet) -> BTreeSet<u64> {
        set.iter().flat_map(|range| range.start..range.end).collect()
    }

    proptest! {
        #[test]
        fn a_set_of_ranges_is_a_set_of_bytes(steps in prop::collection::vec((any::<bool>(), 0u64..200, 0u64..40), 0..40)) {
            let mut set = RangeSet::new();
            let mut model = BTreeSet::new();
            for (add, start, size) in steps {
                let range = PhysRange::new(start, start + size);
                if add {
                    set.insert(range).unwrap();
                    model.extend(start..start + size);
                } else {
                    set.subtract(range).unwrap();
                    model.retain(|byte| !(start..start + size).contains(byte));
                }
                prop_assert_eq!(&bytes(&set), &model);
                for pair in set.ranges.windows(2) {
                    prop_assert!(pair[0].end < pair[1].start);
                }
            }
        }

        #[test]
        fn carving_takes_what_it_returns(start in 0u64..5000, size in 1u64..5000, want in 1u64..600, bits in 0u32..8, limit in 0u64..9000) {
            let mut set = RangeSet::new();
            set.insert(PhysRange::new(start, start + size)).unwrap();
            let before = bytes(&set);
            match set.carve(want, 1 << bits, limit) {
                Some(range) => {
                    prop_assert_eq!(range.size(), want);
                    prop_assert_eq!(range.start() % (1 << bits), 0);
                    prop_assert!(range.end() <= limit);
                    let after = bytes(&set);
                    prop_assert!(after.iter().all(|byte| !(range.start..range.end).contains(byte)));
                    prop_assert_eq!(after.len() as u64 + want, before.len() as u64);
                }
                None => {
                    let fits = |base: u64| base + want <= limit.min(start + size);
                    prop_assert!(!(start..start + size).any(|base| base % (1 << bits) == 0 && fits(base)));
                }
            }
        }

        #[test]
        fn blocks_cover_the_range_and_are_aligned(start in 0u64..1 << 40, size in 0u64..1 << 40) {
            let mut next = start;
            for block in blocks(PhysRange::new(start, start + size)) {
                prop_assert_eq!(block.base, next);
                prop_assert_eq!(block.base % (1 << block.bits), 0);
                next += 1 << block.bits;
            }
            prop_assert_eq!(next, start + size);
        }
    }

    #[test]
    fn a_full_set_refuses_and_stays_whole() {
        let mut set = RangeSet::new();
        for index in 0..CAPACITY as u64 {
            set.insert(PhysRange::new(index * 10, index * 10 + 5)).unwrap();
        }
        let before = bytes(&set);
        assert_eq!(set.insert(PhysRange::new(5000, 5001)), Err(TooManyRanges));
        assert_eq!(set.subtract(PhysRange::new(2, 3)), Err(TooManyRanges));
        assert_eq!(bytes(&set), before);
    }

    #[test]
    fn pages_at_the_top_of_the_address_space() {
        let top = PhysRange::new(u64::MAX - 10, u64::MAX);
        assert!(top.shrink_to_pages().is_empty());
        assert_eq!(PhysRange::new(1, 2 * PAGE + 1).shrink_to_pages(), PhysRange::new(PAGE, 2 * PAGE));
        assert_eq!(PhysRange::new(1, PAGE + 1).grow_to_pages(), PhysRange::new(0, 2 * PAGE));
    }
}
