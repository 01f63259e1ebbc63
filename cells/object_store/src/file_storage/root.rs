//! The root block: from where everything else is found.
//!
//! There are two, in fixed slots; epoch *n* goes to slot *n* mod 2, so that a torn root leaves its predecessor whole. A root
//! is published only after everything that it speaks of is durable, and in force only once it is durable itself.

use alloc::vec::Vec;

use super::checksum::{plain, verified};
use super::geometry::{BLOCK, Geometry};
use super::identity_block::{FORMAT_VERSION, KNOWN_FEATURES};
use super::table::SegmentTable;
use super::tree::{TREES_LIMIT, Tree};
use crate::codec::{Reader, Writer};
use crate::{Epoch, SegmentId, StorageError, Tid};

/// The first eight bytes of a root block.
const MAGIC: [u8; 8] = *b"TelOS\0rt";
/// Where the list of index trees begins.
const TREES_OFFSET: usize = 144;
/// Where the segment table begins.
const TABLE_OFFSET: usize = TREES_OFFSET + TREES_LIMIT * Tree::BYTES;
/// Batch numbers and counts stay below this, so that counting on cannot overflow.
pub(crate) const COUNT_LIMIT: u64 = 1 << 61;
/// Epochs stay below this: a table entry has 38 bits for a generation. A root a millisecond uses them up in eight years; a
/// root goes with a mebibyte of log, so a disk would have been written some 10^17 bytes by then.
const EPOCH_LIMIT: u64 = 1 << 38;
/// Marks "no segment".
const NO_SEGMENT: u32 = u32::MAX;

/// A place in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ScanStart {
    /// The head of the run, or `None` for the oldest run's first batch.
    pub(crate) segment: Option<SegmentId>,
    /// The sector in that run.
    pub(crate) sector: u64,
    /// The number of the batch that belongs there.
    pub(crate) sequence: u64,
}

/// The content of a root block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Root {
    pub(crate) epoch: Epoch,
    pub(crate) geometry: Geometry,
    /// Of the permutation of object numbers, and of the checksums.
    pub(crate) key: [u8; 16],
    /// No object number at or above this was ever issued.
    pub(crate) oid_reserved: u64,
    pub(crate) last_tid: Tid,
    /// Batches with smaller numbers are known to be durable.
    pub(crate) flushed: u64,
    /// The index trees cover the log up to here.
    pub(crate) scan: ScanStart,
    /// History begins here: of the revisions up to this transaction only the last of each object counts.
    pub(crate) horizon: Tid,
    /// Objects, deleted ones included, where the scan starts.
    pub(crate) objects: u64,
    /// Transactions ever committed, where the scan starts.
    pub(crate) transactions: u64,
    /// Runs of the log of smaller generations are still to be cleaned by the pack that set the horizon; zero: none.
    pub(crate) clean_below: Epoch,
    /// The index, newest tree first.
    pub(crate) trees: Vec<Tree>,
    pub(crate) table: SegmentTable,
}

/// What a root slot holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Slot {
    Valid(Root),
    /// A root, whole, of another format.
    Other {
        version: u32,
        features: u32,
    },
    Invalid,
}

/// A root and its block, so that publishing it needs no more memory.
pub(crate) struct Publication {
    pub(crate) root: Root,
    pub(crate) block: Vec<u8>,
}

impl Root {
    /// The first root of a state file.
    pub(crate) fn first(geometry: Geometry, key: [u8; 16], epoch: Epoch) -> Result<Self, StorageError> {
        Ok(Self {
            epoch,
            geometry,
            key,
            oid_reserved: 1,
            last_tid: Tid::ZERO,
            flushed: 0,
            scan: ScanStart { segment: None, sector: 0, sequence: 0 },
            horizon: Tid::ZERO,
            objects: 0,
            transactions: 0,
            clean_below: Epoch::new(0),
            trees: Vec::new(),
            table: SegmentTable::new(geometry.segments)?,
        })
    }

    pub(crate) fn prepare(self) -> Result<Publication, StorageError> {
        let block = self.encode()?;
        Ok(Publication { root: self, block })
    }

    pub(crate) fn encode(&self) -> Result<Vec<u8>, StorageError> {
        if self.epoch.number() >= EPOCH_LIMIT {
            return Err(StorageError::Exhausted);
        }
        let mut writer = Writer::with_capacity(BLOCK)?;
        writer.put(&MAGIC)?;
        writer.u32(FORMAT_VERSION)?;
        writer.u32(KNOWN_FEATURES)?;
        writer.u64(self.epoch.number())?;
        writer.u32(self.geometry.segment_sectors)?;
        writer.u32(self.geometry.segments)?;
        writer.put(&self.key)?;
        writer.u64(self.oid_reserved)?;
        writer.u64(self.last_tid.number())?;
        writer.u64(self.flushed)?;
        writer.u64(self.scan.sequence)?;
        writer.u64(self.scan.sector)?;
        writer.u32(self.scan.segment.map_or(NO_SEGMENT, SegmentId::number))?;
        writer.u32(self.trees.len() as u32)?;
        writer.u64(self.horizon.number())?;
        writer.u64(self.objects)?;
        writer.u64(self.transactions)?;
        writer.u64(self.clean_below.number())?;
        writer.pad_to(TREES_OFFSET)?;
        for tree in &self.trees {
            tree.encode(&mut writer)?;
        }
        writer.pad_to(TABLE_OFFSET)?;
        self.table.encode(&mut writer)?;
        writer.pad_to(BLOCK - 4)?;
        let checksum = plain(writer.bytes());
        writer.u32(checksum)?;
        Ok(writer.into_bytes())
    }

    /// Reads the block of a slot.
    pub(crate) fn decode(block: &[u8]) -> Slot {
        let Some(content) = verified(block) else {
            return Slot::Invalid;
        };
        let mut reader = Reader::new(content);
        match (reader.array(), reader.u32(), reader.u32()) {
            (Some(MAGIC), Some(FORMAT_VERSION), Some(KNOWN_FEATURES)) => {
                Self::decode_fields(content, reader).map_or(Slot::Invalid, Slot::Valid)
            }
            (Some(MAGIC), Some(version), Some(features)) => Slot::Other { version, features },
            _ => Slot::Invalid,
        }
    }

    fn decode_fields(content: &[u8], mut reader: Reader<'_>) -> Option<Self> {
        let epoch = Epoch::new(Some(reader.u64()?).filter(|&epoch| epoch < EPOCH_LIMIT)?);
        let geometry = Geometry { segment_sectors: reader.u32()?, segments: reader.u32()? }.valid()?;
        let key = reader.array()?;
        let (oid_reserved, last_tid, flushed) = (reader.u64()?, Tid::new(reader.u64()?), reader.u64()?);
        let (sequence, sector) = (reader.u64()?, reader.u64()?);
        let segment = Some(reader.u32()?).filter(|&segment| segment != NO_SEGMENT).map(SegmentId::new);
        let trees = reader.u32()? as usize;
        let horizon = Tid::new(reader.u64()?);
        let (objects, transactions) = (reader.u64()?, reader.u64()?);
        let clean_below = Epoch::new(Some(reader.u64()?).filter(|&below| below <= epoch.number())?);
        if sequence.max(flushed).max(objects).max(transactions) >= COUNT_LIMIT || trees > TREES_LIMIT {
            return None;
        }
        let mut listed = Reader::new(content.get(TREES_OFFSET..)?);
        let trees = (0..trees).map(|_| Tree::decode(&mut listed, geometry)).collect::<Option<Vec<_>>>()?;
        let table = SegmentTable::decode(&mut Reader::new(content.get(TABLE_OFFSET..)?), geometry.segments, epoch)?;
        let scan = ScanStart { segment, sector, sequence };
        Some(Self {
            epoch,
            geometry,
            key,
            oid_reserved,
            last_tid,
            flushed,
            scan,
            horizon,
            objects,
            transactions,
            clean_below,
            trees,
            table,
        })
    }
}
