//! Writing an index tree: leaves first, each level above as its blocks fill up, the top block last.

use alloc::vec::Vec;

use super::entry::{Entry, Place, TRANSACTIONS};
use super::root::Root;
use super::table::{Run, RunKind};
use super::tree::Tree;
use super::tree_block::{BlockBuilder, block_bytes};
use super::volume::{Reserve, Volume};
use crate::device::{BlockDevice, SECTOR};
use crate::{Oid, SegmentId, StorageError, Tid};

/// Blocks are collected up to about this many bytes and written at once.
const WRITE_BYTES: usize = 256 << 10;

/// A tree on its way to the device. The segments that it takes are entered into the table of `root`.
pub(crate) struct TreeWriter<'a, D> {
    volume: &'a mut Volume<D>,
    root: &'a mut Root,
    levels: Vec<BlockBuilder>,
    segment: Option<SegmentId>,
    /// The sector in the segment where the next block goes.
    sector: u64,
    /// Blocks that are not written yet, and where they go.
    buffer: Vec<u8>,
    buffer_sector: u64,
    entries: u64,
    objects: Option<(Oid, Oid)>,
    newest: Tid,
    blocks: u32,
}

impl<'a, D: BlockDevice> TreeWriter<'a, D> {
    /// Begins a tree that `root` will publish.
    pub(crate) fn new(volume: &'a mut Volume<D>, root: &'a mut Root) -> Self {
        let (levels, buffer) = (Vec::new(), Vec::new());
        Self {
            volume,
            root,
            levels,
            segment: None,
            sector: 0,
            buffer,
            buffer_sector: 0,
            entries: 0,
            objects: None,
            newest: Tid::ZERO,
            blocks: 0,
        }
    }

    /// The device, to read what is merged from.
    pub(crate) fn volume(&mut self) -> &mut Volume<D> {
        self.volume
    }

    /// Adds an entry with a key greater than those before.
    pub(crate) fn push(&mut self, entry: &Entry) -> Result<(), StorageError> {
        self.entries += 1;
        self.newest = self.newest.max(entry.key.tid);
        if entry.key.oid != TRANSACTIONS {
            self.objects.get_or_insert((entry.key.oid, entry.key.oid)).1 = entry.key.oid;
        }
        self.push_at(0, entry)
    }

    /// Writes the rest, and answers the tree; `None` if it has no entries. Nothing is flushed.
    pub(crate) fn finish(mut self) -> Result<Option<Tree>, StorageError> {
        if self.entries == 0 {
            return Ok(None);
        }
        let mut level = 0;
        loop {
            let top = level + 1 == self.levels.len();
            let place = self.finish_block(level, top)?;
            if top {
                self.write()?;
                return Ok(Some(Tree {
                    generation: self.root.epoch,
                    top: place.address / SECTOR as u64,
                    entries: self.entries,
                    objects: self.objects.unwrap_or((TRANSACTIONS, Oid::new(0))),
                    newest: self.newest,
                    blocks: self.blocks,
                    checksum: place.checksum,
                    level: level as u8,
                }));
            }
            level += 1;
        }
    }

    fn push_at(&mut self, level: usize, entry: &Entry) -> Result<(), StorageError> {
        let bytes = block_bytes(self.root.geometry.index_block_sectors());
        if self.levels.get(level).is_some_and(|builder| !builder.has_room(bytes)) {
            self.finish_block(level, false)?;
        }
        if self.levels.len() == level {
            self.levels.try_reserve(1)?;
            self.levels.push(BlockBuilder::default());
        }
        self.levels.get_mut(level).map_or(Ok(()), |builder| builder.push(entry))
    }

    /// Ends the block of a level and, unless it is the top, enters it in the level above.
    fn finish_block(&mut self, level: usize, top: bool) -> Result<Place, StorageError> {
        let sectors = self.root.geometry.index_block_sectors();
        let sector = self.next_block(sectors)?;
        let (seal, tree) = (self.volume.seal, self.root.epoch);
        let builder = self.levels.get_mut(level).ok_or(StorageError::Malformed)?;
        let key = builder.first().ok_or(StorageError::Malformed)?;
        let checksum = builder.finish(seal, tree, sector, level as u8, block_bytes(sectors), &mut self.buffer)?;
        self.blocks = self.blocks.checked_add(1).ok_or(StorageError::Exhausted)?;
        let place = Place { address: sector * SECTOR as u64, length: 0, checksum };
        if !top {
            self.push_at(level + 1, &Entry { key, place })?;
        }
        Ok(place)
    }

    /// The device sector of the next block, behind the last one or in a new segment.
    fn next_block(&mut self, sectors: u64) -> Result<u64, StorageError> {
        let geometry = self.root.geometry;
        if self.buffer.len() >= WRITE_BYTES {
            self.write()?;
        }
        let segment = match self.segment {
            Some(segment) if self.sector + sectors <= u64::from(geometry.segment_sectors) => segment,
            _ => {
                self.write()?;
                let head = self.volume.find_segments(&self.root.table, 1, Reserve::Open)?;
                let run = Run { kind: RunKind::Index, head, span: 1, generation: self.root.epoch, end: None };
                self.root.table.occupy(&run);
                self.segment = Some(head);
                self.sector = 0;
                head
            }
        };
        let sector = geometry.start(segment) + self.sector;
        if self.buffer.is_empty() {
            self.buffer_sector = sector;
        }
        self.sector += sectors;
        Ok(sector)
    }

    fn write(&mut self) -> Result<(), StorageError> {
        if !self.buffer.is_empty() {
            self.volume.write(self.buffer_sector, &self.buffer)?;
            self.buffer.clear();
        }
        Ok(())
    }
}
