//! The cache of log blocks: bytes of the device as they are, from which records are read.
//!
//! Neighbouring records share a block, so that one read serves many loads, and what a caller announces is read in few large
//! transfers. A block's number is its place, modulo the size of the cache. What the volume writes is dropped here first, so
//! that a block that is found is what the device holds; its records are verified at each load all the same.

use alloc::vec::Vec;

use super::geometry::{BLOCK, BLOCK_SECTORS};
use crate::StorageError;
use crate::device::SECTOR;

/// Blocks that are cached unless something else is asked for: a mebibyte.
pub(crate) const CACHED_BLOCKS: usize = 256;
/// Blocks that one transfer fills; a cache has at least as many.
pub(crate) const FILLED_AT_ONCE: u64 = 64;

/// Cached blocks.
#[derive(Debug)]
pub(crate) struct LogCache {
    places: Vec<Place>,
    /// Zero or a power of two.
    limit: usize,
}

#[derive(Debug, Default)]
struct Place {
    /// The block's number, if there is one.
    block: Option<u64>,
    bytes: Vec<u8>,
}

impl LogCache {
    /// A cache of at most this many blocks, rounded up to a power of two; without any, it is off. It takes memory as it fills.
    pub(crate) fn new(blocks: usize) -> Self {
        let limit = if blocks == 0 { 0 } else { blocks.max(FILLED_AT_ONCE as usize).next_power_of_two() };
        Self { places: Vec::new(), limit }
    }

    /// Whether nothing is cached.
    pub(crate) fn is_off(&self) -> bool {
        self.limit == 0
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        self.places = Vec::new();
    }

    /// The block of a sector.
    pub(crate) fn block_of(sector: u64) -> u64 {
        sector / BLOCK_SECTORS
    }

    /// The first sector of a block.
    pub(crate) fn sector_of(block: u64) -> u64 {
        block * BLOCK_SECTORS
    }

    /// The bytes of a block, if they are here.
    pub(crate) fn get(&self, block: u64) -> Option<&[u8]> {
        let place = self.places.get(self.place_of(block))?;
        (place.block == Some(block)).then_some(place.bytes.as_slice())
    }

    /// Takes in the bytes of neighbouring blocks.
    pub(crate) fn put(&mut self, first: u64, bytes: &[u8]) -> Result<(), StorageError> {
        if self.places.is_empty() {
            self.places.try_reserve_exact(self.limit)?;
            self.places.resize_with(self.limit, Place::default);
        }
        for (block, bytes) in (first..).zip(bytes.chunks_exact(BLOCK)) {
            let place = self.place_of(block);
            let Some(place) = self.places.get_mut(place) else { continue };
            place.block = None;
            place.bytes.clear();
            place.bytes.try_reserve_exact(BLOCK)?;
            place.bytes.extend_from_slice(bytes);
            place.block = Some(block);
        }
        Ok(())
    }

    /// Drops the blocks of sectors that are about to be written.
    pub(crate) fn drop_written(&mut self, sector: u64, bytes: usize) {
        if self.places.is_empty() || bytes == 0 {
            return;
        }
        let last = Self::block_of(sector + (bytes.div_ceil(SECTOR) as u64 - 1));
        for block in Self::block_of(sector)..=last {
            let place = self.place_of(block);
            if let Some(place) = self.places.get_mut(place).filter(|place| place.block == Some(block)) {
                place.block = None;
            }
        }
    }

    fn place_of(&self, block: u64) -> usize {
        block as usize & self.limit.saturating_sub(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_found_until_its_sectors_are_written_or_another_takes_its_place() {
        let mut cache = LogCache::new(1);
        let blocks: Vec<u8> = (0..3 * BLOCK).map(|byte| (byte / BLOCK) as u8).collect();
        cache.put(10, &blocks).unwrap();
        assert!((10..13).all(|block| cache.get(block).is_some_and(|bytes| bytes == [(block - 10) as u8; BLOCK])));
        cache.drop_written(11 * BLOCK_SECTORS - 1, 1);
        assert_eq!([10, 11, 12].map(|block| cache.get(block).is_some()), [false, true, true]);
        cache.drop_written(11 * BLOCK_SECTORS + 7, SECTOR + 1);
        assert_eq!([10, 11, 12].map(|block| cache.get(block).is_some()), [false, false, false]);
        cache.put(10, &blocks).unwrap();
        cache.put(10 + FILLED_AT_ONCE, &blocks[..BLOCK]).unwrap();
        assert_eq!([10, 11, 10 + FILLED_AT_ONCE].map(|block| cache.get(block).is_some()), [false, true, true]);
    }
}
