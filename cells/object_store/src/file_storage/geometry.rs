//! Where things are on the device.
//!
//! The first [`HEAD_SECTORS`] hold the identity block and the two root slots; segments of equal size follow. [`Geometry`]
//! turns segments and offsets into sectors, and byte addresses back into what an error names.

use crate::device::SECTOR;
use crate::{Epoch, SegmentId};

/// Sectors of a 4 KiB block.
pub(crate) const BLOCK_SECTORS: u64 = 8;
/// Bytes of a block.
pub(crate) const BLOCK: usize = BLOCK_SECTORS as usize * SECTOR;
/// Sectors before segment 0: identity, root slot 0, root slot 1, one spare block.
pub(crate) const HEAD_SECTORS: u64 = 4 * BLOCK_SECTORS;
/// The most segments that the table in a root block holds.
pub(crate) const SEGMENTS_LIMIT: u32 = 429;
/// The fewest sectors that a segment can have: its header and a small batch.
pub(crate) const SEGMENT_SECTORS_LEAST: u32 = 4;
/// The most sectors that a segment can have: the end of a run in the table has 24 bits.
const SEGMENT_SECTORS_MOST: u32 = 1 << 23;
/// A mebibyte, the segment size where the device is not too large for it.
const SEGMENT_SECTORS_USUAL: u32 = 2048;
/// The largest batch, padding included. One segment need not hold it: a run of several can.
pub(crate) const BATCH_LIMIT: u64 = 8 << 20;

/// The first sector of root slot 0 or 1.
pub(crate) fn root_slot(epoch: Epoch) -> u64 {
    BLOCK_SECTORS * (1 + epoch.number() % 2)
}

/// Whole sectors that hold `bytes`.
pub(crate) fn sectors_for(bytes: u64) -> u64 {
    bytes.div_ceil(SECTOR as u64)
}

/// The division of the device into segments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Geometry {
    pub(crate) segment_sectors: u32,
    pub(crate) segments: u32,
}

impl Geometry {
    /// A division of a device: segments of the given size, or else of a mebibyte, doubled until the table holds them all.
    pub(crate) fn plan(device_sectors: u64, segment_sectors: Option<u32>) -> Option<Self> {
        let room = device_sectors.checked_sub(HEAD_SECTORS)?;
        let mut size = segment_sectors.unwrap_or(SEGMENT_SECTORS_USUAL);
        while segment_sectors.is_none() && room / u64::from(size) > u64::from(SEGMENTS_LIMIT) {
            size = size.checked_mul(2)?;
        }
        let segments = room.checked_div(u64::from(size))?.min(u64::from(SEGMENTS_LIMIT)) as u32;
        Self { segment_sectors: size, segments }.valid()
    }

    /// Itself, if it makes sense.
    pub(crate) fn valid(self) -> Option<Self> {
        let sectors = SEGMENT_SECTORS_LEAST..=SEGMENT_SECTORS_MOST;
        let sane = sectors.contains(&self.segment_sectors) && (1..=SEGMENTS_LIMIT).contains(&self.segments);
        sane.then_some(self)
    }

    /// The sectors of an index block: a block, or a segment where that is smaller.
    pub(crate) fn index_block_sectors(self) -> u64 {
        BLOCK_SECTORS.min(u64::from(self.segment_sectors))
    }

    /// The sectors that the device must have.
    pub(crate) fn device_sectors(self) -> u64 {
        HEAD_SECTORS + u64::from(self.segments) * u64::from(self.segment_sectors)
    }

    /// The first sector of a segment.
    pub(crate) fn start(self, segment: SegmentId) -> u64 {
        HEAD_SECTORS + u64::from(segment.number()) * u64::from(self.segment_sectors)
    }

    /// Bytes of one segment.
    pub(crate) fn segment_bytes(self) -> u64 {
        u64::from(self.segment_sectors) * SECTOR as u64
    }

    /// The segment and the byte offset in it of a byte address.
    pub(crate) fn locate(self, address: u64) -> (SegmentId, u64) {
        let inside = address.saturating_sub(HEAD_SECTORS * SECTOR as u64);
        let segment = u32::try_from(inside / self.segment_bytes()).unwrap_or(u32::MAX);
        (SegmentId::new(segment), inside % self.segment_bytes())
    }
}
