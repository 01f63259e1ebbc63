//! Index trees: immutable sorted structures on the device, each written once, whole, and freed whole.
//!
//! A [`Tree`] is what a root says of one. A look-up goes from its top block to a leaf, one block a level.

use alloc::vec::{self, Vec};

use super::block_cache::{self, BlockCache};
use super::entry::{Entry, Key, TRANSACTIONS};
use super::geometry::{Geometry, HEAD_SECTORS};
use super::index::Miss;
use super::tree_block::BlockName;
use super::volume::Volume;
use crate::codec::{Reader, Writer};
use crate::device::{BlockDevice, SECTOR};
use crate::{Epoch, Oid, StorageError, Tid};

/// The most trees that a root lists.
pub(crate) const TREES_LIMIT: usize = 8;
/// The most levels of a tree: more than 2^64 entries need.
const LEVELS_LIMIT: u8 = 20;

/// An index tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tree {
    /// The epoch that published it, and the generation of its runs.
    pub(crate) generation: Epoch,
    /// The device sector of its top block.
    pub(crate) top: u64,
    /// Its entries.
    pub(crate) entries: u64,
    /// The first and the last object that it has entries of; it has no object where the last is smaller.
    pub(crate) objects: (Oid, Oid),
    /// No entry is of a later transaction.
    pub(crate) newest: Tid,
    /// Its blocks.
    pub(crate) blocks: u32,
    /// The checksum of its top block.
    pub(crate) checksum: u32,
    /// The height of its top block above the leaves.
    pub(crate) level: u8,
}

impl Tree {
    /// Bytes in a root.
    pub(crate) const BYTES: usize = 64;

    pub(crate) fn encode(&self, writer: &mut Writer) -> Result<(), StorageError> {
        writer.u64(self.generation.number())?;
        writer.u64(self.top)?;
        writer.u64(self.entries)?;
        writer.u64(self.newest.number())?;
        writer.u32(self.blocks)?;
        writer.u32(self.checksum)?;
        writer.u64(u64::from(self.level))?;
        writer.u64(self.objects.0.number())?;
        writer.u64(self.objects.1.number())?;
        Ok(())
    }

    pub(crate) fn decode(reader: &mut Reader<'_>, geometry: Geometry) -> Option<Self> {
        let tree = Self {
            generation: Epoch::new(reader.u64()?),
            top: reader.u64()?,
            entries: reader.u64()?,
            newest: Tid::new(reader.u64()?),
            blocks: reader.u32()?,
            checksum: reader.u32()?,
            level: u8::try_from(reader.u64()?).ok()?,
            objects: (Oid::new(reader.u64()?), Oid::new(reader.u64()?)),
        };
        let places = HEAD_SECTORS..geometry.device_sectors();
        (places.contains(&tree.top) && tree.level < LEVELS_LIMIT).then_some(tree)
    }

    /// Whether it may have entries of an object.
    pub(crate) fn may_have(&self, oid: Oid) -> bool {
        oid == TRANSACTIONS || (self.objects.0 <= oid && oid <= self.objects.1)
    }

    /// Whether it may have entries of an object or, but for transactions, of one behind it.
    pub(crate) fn may_have_from(&self, oid: Oid) -> bool {
        oid == TRANSACTIONS || oid <= self.objects.1
    }

    /// It has no entries of objects from this number on.
    pub(crate) fn objects_end(&self) -> u64 {
        if self.objects.0 <= self.objects.1 { self.objects.1.number().saturating_add(1) } else { 0 }
    }

    fn top_block(&self) -> BlockName {
        BlockName { tree: self.generation, sector: self.top, level: self.level, checksum: self.checksum }
    }

    /// The block below that an entry of a block names.
    fn below(&self, entry: &Entry, level: u8) -> BlockName {
        let sector = entry.place.address / SECTOR as u64;
        BlockName { tree: self.generation, sector, level, checksum: entry.place.checksum }
    }

    /// The entry with the greatest key below `key`.
    pub(crate) fn before<D: BlockDevice>(
        &self,
        volume: &mut Volume<D>,
        cache: &mut BlockCache,
        key: Key,
    ) -> Result<Option<Entry>, Miss> {
        let mut name = self.top_block();
        loop {
            let block = cache.get(volume, name)?;
            let end = block.partition_point(|entry| entry.key < key);
            let Some(entry) = end.checked_sub(1).and_then(|last| block.get(last)).copied() else {
                return Ok(None);
            };
            match name.level.checked_sub(1) {
                None => return Ok(Some(entry)),
                Some(level) => name = self.below(&entry, level),
            }
        }
    }

    /// The entry with the smallest key that is not below `key`.
    pub(crate) fn from<D: BlockDevice>(
        &self,
        volume: &mut Volume<D>,
        cache: &mut BlockCache,
        key: Key,
    ) -> Result<Option<Entry>, Miss> {
        let (leaf, right) = self.leaf(volume, cache, key)?;
        let block = cache.get(volume, leaf)?;
        let found = block.get(block.partition_point(|entry| entry.key < key)).copied();
        match (found, right) {
            // The first key of the block to the right is the next one: look it up for what it holds.
            (None, Some(next)) => {
                let (leaf, _) = self.leaf(volume, cache, next)?;
                Ok(cache.get(volume, leaf)?.first().copied())
            }
            (found, _) => Ok(found),
        }
    }

    /// The leaf where `key` belongs, and the first key behind that leaf.
    fn leaf<D: BlockDevice>(
        &self,
        volume: &mut Volume<D>,
        cache: &mut BlockCache,
        key: Key,
    ) -> Result<(BlockName, Option<Key>), Miss> {
        let mut name = self.top_block();
        let mut right = None;
        while let Some(level) = name.level.checked_sub(1) {
            let block = cache.get(volume, name)?;
            let end = block.partition_point(|entry| entry.key <= key).max(1);
            let Some(entry) = block.get(end - 1).copied() else {
                return Err(Miss::Damaged);
            };
            right = block.get(end).map(|entry| entry.key).or(right);
            name = self.below(&entry, level);
        }
        Ok((name, right))
    }
}

/// A walk through the entries of a tree in the order of their keys, leaf by leaf. Leaves do not go through the cache.
pub(crate) struct Cursor {
    tree: Tree,
    leaf: vec::IntoIter<Entry>,
    /// Where the next leaf begins.
    next: Option<Key>,
}

impl Cursor {
    /// A walk from the first key that is not below `from`.
    pub(crate) fn new(tree: Tree, from: Key) -> Self {
        Self { tree, leaf: Vec::new().into_iter(), next: Some(from) }
    }

    /// The next entry, without taking it.
    pub(crate) fn peek<D: BlockDevice>(
        &mut self,
        volume: &mut Volume<D>,
        cache: &mut BlockCache,
    ) -> Result<Option<Entry>, Miss> {
        while self.leaf.as_slice().is_empty() {
            let Some(key) = self.next else {
                return Ok(None);
            };
            let (leaf, right) = self.tree.leaf(volume, cache, key)?;
            let mut entries = block_cache::read(volume, leaf)?;
            entries.drain(..entries.partition_point(|entry| entry.key < key));
            self.leaf = entries.into_iter();
            self.next = right;
        }
        Ok(self.leaf.as_slice().first().copied())
    }

    /// Goes on behind the entry that was looked at.
    pub(crate) fn advance(&mut self) {
        self.leaf.next();
    }
}
