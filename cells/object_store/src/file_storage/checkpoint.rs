//! The index checkpoint: what is new in the index becomes a tree on the device, so that opening need not read the log.
//!
//! A checkpoint writes one tree: of the entries in memory, merged with those newer trees that are not much larger. So trees
//! grow by a factor towards the oldest, there are few of them, and an entry is written again a few times for each such factor
//! and not at each checkpoint. Losing a tree costs time only, for the log holds all of it.

use alloc::vec::Vec;

use super::FileStorage;
use super::block_cache::BlockCache;
use super::defect::Defect;
use super::index::Miss;
use super::recovery::{From, recover};
use super::report::OpenError;
use super::root::ScanStart;
use super::tree::{TREES_LIMIT, Tree};
use super::tree_writer::TreeWriter;
use super::walk::{Alive, FIRST, Walk};
use crate::device::{BlockDevice, SECTOR};
use crate::{Clock, StorageError};

/// A tree is merged if it has at most this many times the entries of everything newer.
const FACTOR: u64 = 3;
/// Entries in memory that make a checkpoint due.
const RECENT_LIMIT: usize = 1 << 16;
/// Segments of the log behind the last checkpoint that make one due.
const SEGMENTS_BETWEEN: u64 = 4;
/// Blocks above the leaves that a merge keeps at hand.
const MERGE_BLOCKS: usize = 64;

impl<D: BlockDevice, C: Clock> FileStorage<D, C> {
    /// Whether opening would now scan so much, or so much of the index is in memory, that a checkpoint is worth its cost.
    #[must_use]
    pub fn checkpoint_due(&self) -> bool {
        let segment = self.volume.root().geometry.segment_bytes();
        self.since_checkpoint >= SEGMENTS_BETWEEN * segment || self.index.recent() >= RECENT_LIMIT
    }

    /// Writes what is new in the index to the device, so that the next opening scans from here.
    ///
    /// # Errors
    /// [`StorageError::OutOfSpace`] and [`StorageError::OutOfMemory`]: nothing has changed, and the older checkpoint still
    /// serves. [`StorageError::Stopped`], [`StorageError::ReadOnly`], [`StorageError::Busy`].
    pub fn checkpoint(&mut self) -> Result<(), StorageError> {
        self.check_running()?;
        self.with_group_aside(Self::checkpoint_alone)
    }

    fn checkpoint_alone(&mut self) -> Result<(), StorageError> {
        let merged = self.trees_to_merge();
        match self.checkpoint_merging(merged) {
            Err(StorageError::OutOfSpace { .. }) if self.volume.holds_back() => {
                self.republish()?;
                self.checkpoint_merging(self.trees_to_merge())
            }
            outcome => outcome,
        }
        .or_else(|error| match error {
            // A merge needs room for its result beside its sources; the new entries alone need less.
            StorageError::OutOfSpace { .. } if merged > 0 && self.index.trees().len() < TREES_LIMIT => {
                self.checkpoint_merging(0)
            }
            error => Err(error),
        })
    }

    /// A checkpoint, if there is room for it.
    pub(crate) fn try_checkpoint(&mut self) -> Result<(), StorageError> {
        match self.checkpoint() {
            Err(StorageError::OutOfSpace { .. } | StorageError::OutOfMemory) => Ok(()),
            outcome => outcome,
        }
    }

    /// How many of the trees, from the newest on, the next checkpoint merges.
    fn trees_to_merge(&self) -> usize {
        let (mut merged, mut entries) = (0, self.index.recent() as u64);
        for tree in self.index.trees() {
            let many = self.index.trees().len() - merged >= TREES_LIMIT;
            if !many && tree.entries > entries.saturating_mul(FACTOR) {
                break;
            }
            merged += 1;
            entries += tree.entries;
        }
        merged
    }

    fn checkpoint_merging(&mut self, merged: usize) -> Result<(), StorageError> {
        match self.write_checkpoint(merged) {
            Err(Miss::Damaged) => {
                self.rebuild()?;
                self.write_checkpoint(0).map_err(|miss| match miss {
                    Miss::Storage(error) => error,
                    Miss::Damaged => StorageError::Malformed,
                })
            }
            Err(Miss::Storage(error)) => Err(error),
            Ok(()) => Ok(()),
        }
    }

    fn write_checkpoint(&mut self, merged: usize) -> Result<(), Miss> {
        let mut root = self.current_root()?;
        let tail = self.tail;
        root.scan = ScanStart { segment: tail.run.map(|run| run.head), sector: tail.sector, sequence: tail.sequence };
        root.objects = self.objects;
        root.transactions = self.transactions;
        let (old, kept) = self.index.trees().split_at_checked(merged).unwrap_or((self.index.trees(), &[]));
        let mut alive = Alive::new(self.horizon, kept.is_empty());
        // What is voted and not committed stays in memory.
        let recent = self.index.recent_entries().filter(|entry| entry.key.tid <= self.last);
        let mut walk = Walk::new(recent, old, FIRST);
        let mut cache = BlockCache::new(MERGE_BLOCKS);
        let mut writer = TreeWriter::new(&mut self.volume, &mut root);
        while let Some(entry) = walk.next(writer.volume(), &mut cache)? {
            if Defect::IndexAhead.is_planted() && entry.key.tid == self.last {
                continue;
            }
            if let Some(entry) = alive.push(entry) {
                writer.push(&entry)?;
            }
        }
        if let Some(entry) = alive.finish() {
            writer.push(&entry)?;
        }
        let mut trees: Vec<Tree> = writer.finish()?.into_iter().collect();
        trees.extend_from_slice(kept);
        drop(walk);
        for tree in core::mem::take(&mut root.trees) {
            if !trees.contains(&tree) {
                root.table.release_tree(tree.generation);
            }
        }
        root.trees.clone_from(&trees);
        let publication = root.prepare()?;
        if !Defect::IndexUnflushed.is_planted() {
            self.volume.flush()?;
        }
        self.volume.publish(publication)?;
        self.index.replace_trees(trees, self.last);
        self.since_checkpoint = 0;
        Ok(())
    }

    /// Makes the index anew from the log, because a tree is damaged. The trees serve no more; the next checkpoint, which is
    /// due, frees them.
    pub(crate) fn rebuild(&mut self) -> Result<(), StorageError> {
        let found = recover(&mut self.volume, From::Start, false).map_err(|error| match error {
            OpenError::Device(error) => StorageError::Device(error),
            OpenError::Rot { segment, offset } => StorageError::Rot { segment, offset },
            OpenError::OutOfMemory => StorageError::OutOfMemory,
            _ => StorageError::Malformed,
        })?;
        let entries: Vec<_> = found.index.recent_entries().collect();
        self.index.replace_all(entries);
        self.index.insert(self.group.iter().flat_map(|group| group.entries()));
        self.rebuilds += 1;
        self.since_checkpoint = u64::MAX / 2 / SECTOR as u64;
        Ok(())
    }
}
