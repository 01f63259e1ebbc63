//! From the boot loader's memory map to what is memory, what is free, and what the kernel keeps.

use crate::layout::LARGE_PAGE;
use crate::range::{PhysRange, RangeSet, TooManyRanges};

/// One entry of the boot loader's map.
#[derive(Clone, Copy, Debug)]
pub struct Area {
    /// Where.
    pub range: PhysRange,
    /// What.
    pub kind: AreaKind,
}

/// What an area is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AreaKind {
    /// Memory that nobody uses, as far as the firmware knows.
    Usable,
    /// Memory that holds the firmware's tables: to be read, never given away.
    Firmware,
    /// Anything else: devices, holes, broken memory. Not even mapped.
    Reserved,
}

/// Why there is nothing to start with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemoryMapError {
    /// The map is more scattered than the kernel can hold.
    TooManyRanges,
    /// No range below the limit has the kernel's reserve.
    TooLittleMemory,
}

impl From<TooManyRanges> for MemoryMapError {
    fn from(_: TooManyRanges) -> Self {
        Self::TooManyRanges
    }
}

/// The physical memory of the machine.
#[derive(Clone, Debug)]
pub struct MemoryMap {
    /// All that is memory, whole pages: what the physmap shows.
    pub memory: RangeSet,
    /// All that nobody uses, whole pages.
    pub free: RangeSet,
    /// What the kernel keeps for page tables, its heap and its stacks; not in `free`.
    pub reserve: PhysRange,
}

/// The least that the kernel keeps for itself.
const LEAST_RESERVE: u64 = LARGE_PAGE;
/// The kernel keeps one part of this many.
const RESERVE_PART: u64 = 64;
/// The first MiB belongs to firmware and to the past.
const LOW_MEMORY: PhysRange = PhysRange::new(0, 1 << 20);

impl MemoryMap {
    /// Digests the map. `taken` are the kernel's image, the boot information and the modules. The reserve ends at or below `limit`, so
    /// that the trampoline's page tables reach it.
    pub fn digest(
        areas: impl Iterator<Item = Area> + Clone,
        taken: impl Iterator<Item = PhysRange>,
        limit: u64,
    ) -> Result<Self, MemoryMapError> {
        let mut memory = RangeSet::new();
        let mut free = RangeSet::new();
        for area in areas.clone() {
            match area.kind {
                AreaKind::Usable => {
                    memory.insert(area.range)?;
                    free.insert(area.range)?;
                }
                AreaKind::Firmware => memory.insert(area.range)?,
                AreaKind::Reserved => {}
            }
        }
        // Where the firmware contradicts itself, the more careful word counts.
        for area in areas {
            match area.kind {
                AreaKind::Usable => {}
                AreaKind::Firmware => free.subtract(area.range.grow_to_pages())?,
                AreaKind::Reserved => {
                    memory.subtract(area.range.grow_to_pages())?;
                    free.subtract(area.range.grow_to_pages())?;
                }
            }
        }
        for range in taken.chain([LOW_MEMORY]) {
            free.subtract(range.grow_to_pages())?;
        }
        let mut free = whole_pages(&free)?;
        let memory = whole_pages(&memory)?;
        let size = (memory.size() / RESERVE_PART).max(LEAST_RESERVE).next_multiple_of(LARGE_PAGE);
        let reserve = free.carve(size, LARGE_PAGE, limit).ok_or(MemoryMapError::TooLittleMemory)?;
        Ok(Self { memory, free, reserve })
    }
}

fn whole_pages(set: &RangeSet) -> Result<RangeSet, TooManyRanges> {
    let mut result = RangeSet::new();
    for range in set.iter() {
        result.insert(range.shrink_to_pages())?;
    }
    Ok(result)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::PAGE;
    use proptest::prelude::*;

    const MIB: u64 = 1 << 20;

    fn area(start: u64, end: u64, kind: AreaKind) -> Area {
        Area { range: PhysRange::new(start, end), kind }
    }

    #[test]
    fn a_pc_of_256_mib() {
        let areas = [
            area(0, 0x9fc00, AreaKind::Usable),
            area(0x9fc00, 0xa0000, AreaKind::Reserved),
            area(0xf0000, MIB, AreaKind::Reserved),
            area(MIB, 0xffe0000, AreaKind::Usable),
            area(0xffe0000, 256 * MIB, AreaKind::Reserved),
        ];
        let kernel = PhysRange::new(MIB, 2 * MIB);
        let map = MemoryMap::digest(areas.into_iter(), [kernel].into_iter(), 4096 * MIB).unwrap();
        assert_eq!(map.reserve, PhysRange::new(250 * MIB, 254 * MIB));
        let free: Vec<_> = map.free.iter().collect();
        assert_eq!(free, [PhysRange::new(2 * MIB, 250 * MIB), PhysRange::new(254 * MIB, 0xffe0000)]);
        assert_eq!(map.memory.iter().next(), Some(PhysRange::new(0, 0x9f000)));
    }

    #[test]
    fn a_machine_without_memory_is_refused() {
        let areas = [area(MIB, 2 * MIB, AreaKind::Usable)];
        let result = MemoryMap::digest(areas.into_iter(), [].into_iter(), u64::MAX);
        assert_eq!(result.err(), Some(MemoryMapError::TooLittleMemory));
    }

    fn kind() -> impl Strategy<Value = AreaKind> {
        prop_oneof![Just(AreaKind::Usable), Just(AreaKind::Firmware), Just(AreaKind::Reserved)]
    }

    proptest! {
        #[test]
        fn free_memory_is_usable_and_nobodys(
            areas in prop::collection::vec((0u64..64 * MIB, 0u64..32 * MIB, kind()), 0..20),
            taken in prop::collection::vec((0u64..64 * MIB, 0u64..MIB), 0..6),
        ) {
            let areas: Vec<_> = areas.into_iter().map(|(at, size, kind)| area(at, at + size, kind)).collect();
            let taken: Vec<_> = taken.into_iter().map(|(at, size)| PhysRange::new(at, at + size)).collect();
            let Ok(map) = MemoryMap::digest(areas.iter().copied(), taken.iter().copied(), u64::MAX) else {
                return Ok(());
            };
            for free in map.free.iter().chain([map.reserve]) {
                prop_assert_eq!((free.start() % PAGE, free.end() % PAGE), (0, 0));
                prop_assert!(!free.overlaps(LOW_MEMORY));
                prop_assert!(taken.iter().all(|taken| taken.is_empty() || !free.overlaps(*taken)));
                let others = areas.iter().filter(|area| area.kind != AreaKind::Usable && !area.range.is_empty());
                prop_assert!(others.clone().all(|area| !free.overlaps(area.range)));
                prop_assert!(map.memory.iter().any(|memory| memory.start() <= free.start() && free.end() <= memory.end()));
            }
            prop_assert!(map.free.iter().all(|free| !free.overlaps(map.reserve)));
        }
    }
}
