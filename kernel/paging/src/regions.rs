//! Addresses for stacks and heaps.

use crate::layout::{PAGE, REGIONS, REGIONS_END};

/// Why an arena has no addresses to give. The caller's fault if the size is 0 or absurd, else the system's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArenaError {
    /// The size is 0 or no multiple of a page.
    BadSize,
    /// No addresses are left.
    Exhausted,
    /// The kernel's heap has no room for the arena's own list.
    NoMemory,
    /// What was given back was not handed out.
    NotAllocated,
}

/// A run of addresses that belongs to whoever holds it. Nothing is mapped there yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region {
    /// The first address, a multiple of a page.
    pub start: u64,
    /// Its length in bytes, a multiple of a page.
    pub size: u64,
}

impl Region {
    /// The address after the last: where a stack begins.
    pub const fn end(self) -> u64 {
        self.start + self.size
    }
}

/// Hands out addresses upwards and never the same twice, so that a stale one faults for ever. A page on each side of every
/// region belongs to nobody and is never mapped; neighbours share the one between them.
#[derive(Debug)]
pub struct Regions {
    next: u64,
    end: u64,
}

impl Regions {
    /// All of the region arena. There is one such value in the kernel.
    pub const fn new() -> Self {
        Self { next: REGIONS, end: REGIONS_END }
    }

    /// Takes `size` bytes of addresses.
    pub fn reserve(&mut self, size: u64) -> Result<Region, ArenaError> {
        if size == 0 || !size.is_multiple_of(PAGE) {
            return Err(ArenaError::BadSize);
        }
        let start = self.next + PAGE;
        let end = start.checked_add(size).ok_or(ArenaError::Exhausted)?;
        if end.checked_add(PAGE).is_none_or(|guard_end| guard_end > self.end) {
            return Err(ArenaError::Exhausted);
        }
        self.next = end;
        Ok(Region { start, size })
    }
}

impl Default for Regions {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn regions_rise_with_a_guard_on_each_side(sizes in prop::collection::vec(1u64..1 << 20, 1..50)) {
            let mut arena = Regions::new();
            let mut last_end = REGIONS;
            for pages in sizes {
                let region = arena.reserve(pages * PAGE).unwrap();
                prop_assert_eq!(region.size, pages * PAGE);
                prop_assert!(region.start >= last_end + PAGE);
                prop_assert!(region.end() + PAGE <= REGIONS_END);
                last_end = region.end();
            }
        }
    }

    #[test]
    fn refusals_change_nothing() {
        let mut arena = Regions::new();
        assert_eq!(arena.reserve(0), Err(ArenaError::BadSize));
        assert_eq!(arena.reserve(5), Err(ArenaError::BadSize));
        assert_eq!(arena.reserve(32 << 40), Err(ArenaError::Exhausted));
        assert_eq!(arena.reserve(u64::MAX / PAGE * PAGE), Err(ArenaError::Exhausted));
        assert_eq!(arena.reserve(PAGE).unwrap().start, REGIONS + PAGE);
    }
}
