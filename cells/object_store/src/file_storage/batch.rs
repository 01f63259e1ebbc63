//! Batches and segment headers: the self-validating units of the log.
//!
//! A batch is one contiguous, sector-aligned write. Its header says where it stands, which batch of the log it is and in
//! which life of its segment it was written, under a checksum of its own; a second checksum covers all of it, padding
//! included. What does not fit its place in every respect is not a batch.

use alloc::vec::Vec;

use super::checksum::Seal;
use super::geometry::{BATCH_LIMIT, sectors_for};
use super::root::COUNT_LIMIT;
use super::table::{Run, RunKind};
use crate::codec::{Reader, Writer};
use crate::device::SECTOR;
use crate::{Epoch, StorageError, Tid};

/// The first four bytes of a batch.
const MAGIC: [u8; 4] = *b"TelB";
/// The first eight bytes of a run's header.
const RUN_MAGIC: [u8; 8] = *b"TelOS\0sg";
/// Bytes of a batch header.
pub(crate) const HEADER: usize = 80;
/// Where the header's checksum stands; the one of the whole batch follows it.
const HEADER_CHECKSUM: usize = 72;

/// The header of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BatchHeader {
    pub(crate) kind: RunKind,
    /// Header and body in bytes, without the padding to whole sectors.
    pub(crate) length: u32,
    pub(crate) sequence: u64,
    pub(crate) generation: Epoch,
    /// The device sector where it begins.
    pub(crate) sector: u64,
    pub(crate) tid: Tid,
    /// Batches with smaller numbers were durable when this one was written.
    pub(crate) flushed: u64,
    /// No object number at or above this was issued before the next batch.
    pub(crate) oid_reserved: u64,
}

impl BatchHeader {
    /// Whole sectors of the batch.
    pub(crate) fn sectors(&self) -> u64 {
        sectors_for(u64::from(self.length))
    }

    /// Writes header and checksums over the first bytes of `batch`, which is padded to whole sectors.
    pub(crate) fn seal(&self, seal: Seal, batch: &mut [u8]) -> Result<(), StorageError> {
        let mut writer = Writer::with_capacity(HEADER)?;
        writer.put(&MAGIC)?;
        writer.u16(self.kind.number())?;
        writer.u16(1)?;
        writer.u32(self.length)?;
        writer.u32(0)?;
        writer.u64(self.sequence)?;
        writer.u64(self.generation.number())?;
        writer.u64(self.sector)?;
        writer.u64(self.tid.number())?;
        writer.u64(self.flushed)?;
        writer.u64(self.oid_reserved)?;
        writer.pad_to(HEADER_CHECKSUM)?;
        let checksum = seal.over(&[writer.bytes()]);
        writer.u32(checksum)?;
        let (header, body) = batch.split_at_mut_checked(HEADER).ok_or(StorageError::Malformed)?;
        let checksum = seal.over(&[writer.bytes(), body]);
        writer.u32(checksum)?;
        header.copy_from_slice(writer.bytes());
        Ok(())
    }

    /// The header at the start of `sector_bytes`, if its checksum is right and it belongs at `sector`.
    pub(crate) fn decode(seal: Seal, sector_bytes: &[u8], run: &Run, sector: u64) -> Option<Self> {
        let mut reader = Reader::new(sector_bytes);
        let covered = reader.take(HEADER_CHECKSUM)?;
        if reader.u32()? != seal.over(&[covered]) {
            return None;
        }
        let mut reader = Reader::new(covered);
        let known = reader.array()? == MAGIC && reader.u16()? == run.kind.number() && reader.u16()? == 1;
        let (length, _) = (reader.u32()?, reader.u32()?);
        let header = Self {
            kind: run.kind,
            length,
            sequence: reader.u64()?,
            generation: Epoch::new(reader.u64()?),
            sector: reader.u64()?,
            tid: Tid::new(reader.u64()?),
            flushed: reader.u64()?,
            oid_reserved: reader.u64()?,
        };
        let sane = header.sequence < COUNT_LIMIT && u64::from(length) <= BATCH_LIMIT && length as usize >= HEADER;
        (known && sane && header.generation == run.generation && header.sector == sector).then_some(header)
    }

    /// Whether a whole batch, padding included, has the checksum that it claims.
    pub(crate) fn verify(seal: Seal, batch: &[u8]) -> bool {
        let parts = || {
            let (header, body) = batch.split_at_checked(HEADER)?;
            let (covered, checksum) = header.split_last_chunk::<4>()?;
            Some(seal.over(&[covered, body]) == u32::from_le_bytes(*checksum))
        };
        parts() == Some(true)
    }
}

/// The header of a run, in its first sector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RunHeader {
    pub(crate) run: Run,
    /// The number of the first batch.
    pub(crate) first: u64,
}

impl RunHeader {
    pub(crate) fn encode(&self, seal: Seal) -> Result<Vec<u8>, StorageError> {
        let mut writer = Writer::with_capacity(SECTOR)?;
        writer.put(&RUN_MAGIC)?;
        writer.u32(u32::from(self.run.kind.number()))?;
        writer.u32(self.run.head.number())?;
        writer.u32(self.run.span)?;
        writer.u32(0)?;
        writer.u64(self.run.generation.number())?;
        writer.u64(self.first)?;
        writer.pad_to(SECTOR - 4)?;
        let checksum = seal.over(&[writer.bytes()]);
        writer.u32(checksum)?;
        Ok(writer.into_bytes())
    }

    /// The header in a sector, if it is whole and the run's kind and place are `kind` and `head`.
    pub(crate) fn decode(seal: Seal, sector: &[u8], kind: RunKind, head: crate::SegmentId) -> Option<Self> {
        let (covered, checksum) = sector.split_last_chunk::<4>()?;
        let mut reader = Reader::new(covered);
        let known = seal.over(&[covered]) == u32::from_le_bytes(*checksum)
            && reader.array()? == RUN_MAGIC
            && reader.u32()? == u32::from(kind.number())
            && reader.u32()? == head.number();
        let (span, _) = (reader.u32()?, reader.u32()?);
        let generation = Epoch::new(reader.u64()?);
        let first = reader.u64()?;
        (known && span > 0).then_some(Self { run: Run { kind, head, span, generation }, first })
    }
}
