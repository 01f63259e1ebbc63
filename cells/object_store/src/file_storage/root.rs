//! The root block: from where everything else is found.
//!
//! There are two, in fixed slots; epoch *n* goes to slot *n* mod 2, so that a torn root leaves its predecessor whole. A root
//! is published only after everything that it speaks of is durable, and in force only once it is durable itself.

use alloc::vec::Vec;

use super::checksum::{plain, verified};
use super::geometry::{BLOCK, Geometry};
use super::identity_block::{FORMAT_VERSION, KNOWN_FEATURES};
use super::table::SegmentTable;
use crate::codec::{Reader, Writer};
use crate::{Epoch, SegmentId, StorageError, Tid};

/// The first eight bytes of a root block.
const MAGIC: [u8; 8] = *b"TelOS\0rt";
/// Where the segment table begins.
const TABLE_OFFSET: usize = 128;
/// Epochs and batch numbers stay below this: two bits of a table entry are taken, and counting on cannot overflow.
pub(crate) const COUNT_LIMIT: u64 = 1 << 61;
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
    /// The index checkpoint covers the log up to here.
    pub(crate) scan: ScanStart,
    /// How many parts the index checkpoint has; none means that there is no checkpoint.
    pub(crate) index_parts: u32,
    /// Bytes of the index checkpoint.
    pub(crate) index_bytes: u64,
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
    pub(crate) fn prepare(self) -> Result<Publication, StorageError> {
        let block = self.encode()?;
        Ok(Publication { root: self, block })
    }

    pub(crate) fn encode(&self) -> Result<Vec<u8>, StorageError> {
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
        writer.u32(self.index_parts)?;
        writer.u64(self.index_bytes)?;
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
        let epoch = Epoch::new(Some(reader.u64()?).filter(|&epoch| epoch < COUNT_LIMIT)?);
        let geometry = Geometry { segment_sectors: reader.u32()?, segments: reader.u32()? }.valid()?;
        let key = reader.array()?;
        let (oid_reserved, last_tid, flushed) = (reader.u64()?, Tid::new(reader.u64()?), reader.u64()?);
        let (sequence, sector) = (reader.u64()?, reader.u64()?);
        if sequence.max(flushed) >= COUNT_LIMIT {
            return None;
        }
        let segment = Some(reader.u32()?).filter(|&segment| segment != NO_SEGMENT).map(SegmentId::new);
        let (index_parts, index_bytes) = (reader.u32()?, reader.u64()?);
        let table = SegmentTable::decode(&mut Reader::new(content.get(TABLE_OFFSET..)?), geometry.segments, epoch)?;
        let scan = ScanStart { segment, sector, sequence };
        Some(Self { epoch, geometry, key, oid_reserved, last_tid, flushed, scan, index_parts, index_bytes, table })
    }
}
