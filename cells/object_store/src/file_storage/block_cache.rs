//! The cache of index blocks: a fixed number of decoded blocks, each of which has four places where it may be.
//!
//! Where a block may be follows from its sector, so that there is no map to keep; neighbouring blocks never compete. A
//! look-up moves the block one place forward, and a new block takes the last place.

use alloc::vec::Vec;

use super::entry::Entry;
use super::index::Miss;
use super::tree_block::{self, BlockName};
use super::volume::Volume;
use crate::device::BlockDevice;

/// Places that a block can have.
const WAYS: usize = 4;

/// Decoded index blocks. A block is at most about 18 KiB of memory, and usually half of that.
#[derive(Debug)]
pub(crate) struct BlockCache {
    places: Vec<Option<(BlockName, Vec<Entry>)>>,
    /// A power of two.
    sets: usize,
}

impl BlockCache {
    /// A cache of up to `blocks` blocks, rounded up to four times a power of two. It takes memory as it fills.
    pub(crate) fn new(blocks: usize) -> Self {
        Self { places: Vec::new(), sets: blocks.div_ceil(WAYS).next_power_of_two() }
    }

    /// The entries of a block, read if need be.
    pub(crate) fn get<D: BlockDevice>(&mut self, volume: &mut Volume<D>, name: BlockName) -> Result<&[Entry], Miss> {
        if self.places.is_empty() {
            self.places
                .try_reserve_exact(self.sets * WAYS)
                .map_err(|_| Miss::Storage(crate::StorageError::OutOfMemory))?;
            self.places.resize_with(self.sets * WAYS, || None);
        }
        let block = name.sector / volume.root().geometry.index_block_sectors();
        let first = (block as usize & (self.sets - 1)) * WAYS;
        let set = self.places.get_mut(first..first + WAYS).unwrap_or_default();
        let held = |place: &Option<(BlockName, Vec<Entry>)>| place.as_ref().is_some_and(|(held, _)| *held == name);
        let place = match set.iter().position(held) {
            Some(place @ 1..) => {
                set.swap(place - 1, place);
                place - 1
            }
            Some(place) => place,
            None => {
                let entries = read(volume, name)?;
                let place = set.iter().position(Option::is_none).unwrap_or(WAYS - 1);
                if let Some(free) = set.get_mut(place) {
                    *free = Some((name, entries));
                }
                place
            }
        };
        Ok(set.get(place).and_then(Option::as_ref).map(|(_, entries)| entries.as_slice()).unwrap_or_default())
    }
}

/// Reads a block past the cache.
pub(crate) fn read<D: BlockDevice>(volume: &mut Volume<D>, name: BlockName) -> Result<Vec<Entry>, Miss> {
    let sectors = volume.root().geometry.index_block_sectors();
    let bytes = volume.read_sectors(name.sector, sectors)?;
    tree_block::decode(volume.seal, name, &bytes).ok_or(Miss::Damaged)
}
