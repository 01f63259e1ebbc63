//! Batches and run headers: the self-validating units of the log.
//!
//! A batch is one contiguous, sector-aligned write. Its header says where it stands, which batch of the log it is and in
//! which life of its segment it was written, under a checksum of its own; a second checksum covers all of it, padding
//! included. What does not fit its place in every respect is not a batch.

use alloc::vec::Vec;

use super::checksum::Seal;
use super::defect::Defect;
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

/// What a batch holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BatchKind {
    /// Transactions, in the order of their numbers, all greater than those before.
    Commit,
    /// What a pack keeps of older transactions, copied from runs that it frees. The later copy counts.
    Moved,
    /// Where history begins from now on, and objects that ended with what came before.
    Pack,
}

impl BatchKind {
    fn number(self) -> u16 {
        match self {
            Self::Commit => 1,
            Self::Moved => 2,
            Self::Pack => 3,
        }
    }

    fn from_number(number: u16) -> Option<Self> {
        [Self::Commit, Self::Moved, Self::Pack].into_iter().find(|kind| kind.number() == number)
    }
}

/// The header of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BatchHeader {
    pub(crate) kind: BatchKind,
    /// Transactions, or what is left of some; none in a pack batch.
    pub(crate) transactions: u16,
    /// Header and body in bytes, without the padding to whole sectors.
    pub(crate) length: u32,
    pub(crate) sequence: u64,
    pub(crate) generation: Epoch,
    /// The device sector where it begins.
    pub(crate) sector: u64,
    /// The last transaction of the storage, with this batch.
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

    /// Writes header and checksums over the first bytes of `batch`, which is padded to whole sectors. Takes no memory.
    pub(crate) fn seal(&self, seal: Seal, batch: &mut [u8]) -> Result<(), StorageError> {
        let (header, body) = batch.split_at_mut_checked(HEADER).ok_or(StorageError::Malformed)?;
        let fields: [&[u8]; 10] = [
            &MAGIC,
            &self.kind.number().to_le_bytes(),
            &self.transactions.to_le_bytes(),
            &u64::from(self.length).to_le_bytes(),
            &self.sequence.to_le_bytes(),
            &self.generation.number().to_le_bytes(),
            &self.sector.to_le_bytes(),
            &self.tid.number().to_le_bytes(),
            &self.flushed.to_le_bytes(),
            &self.oid_reserved.to_le_bytes(),
        ];
        header.fill(0);
        let mut rest = &mut *header;
        for field in fields {
            let (place, behind) = rest.split_at_mut_checked(field.len()).ok_or(StorageError::Malformed)?;
            place.copy_from_slice(field);
            rest = behind;
        }
        let (covered, checksums) = header.split_at_mut_checked(HEADER_CHECKSUM).ok_or(StorageError::Malformed)?;
        let (own, whole) = checksums.split_at_mut_checked(4).ok_or(StorageError::Malformed)?;
        own.copy_from_slice(&seal.over(&[covered]).to_le_bytes());
        whole.copy_from_slice(&seal.over(&[covered, own, body]).to_le_bytes());
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
        let known = reader.array()? == MAGIC;
        let kind = BatchKind::from_number(reader.u16()?)?;
        let (transactions, length, _) = (reader.u16()?, reader.u32()?, reader.u32()?);
        let header = Self {
            kind,
            transactions,
            length,
            sequence: reader.u64()?,
            generation: Epoch::new(reader.u64()?),
            sector: reader.u64()?,
            tid: Tid::new(reader.u64()?),
            flushed: reader.u64()?,
            oid_reserved: reader.u64()?,
        };
        let sane = header.sequence < COUNT_LIMIT && u64::from(length) <= BATCH_LIMIT && length as usize >= HEADER;
        let life = header.generation == run.generation || Defect::StaleBatchBelieved.is_planted();
        (known && sane && life && header.sector == sector).then_some(header)
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

/// The header of a run of the log, in its first sector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RunHeader {
    /// The run, open.
    pub(crate) run: Run,
    /// The number of the first batch.
    pub(crate) first: u64,
}

impl RunHeader {
    pub(crate) fn encode(&self, seal: Seal) -> Result<Vec<u8>, StorageError> {
        let mut writer = Writer::with_capacity(SECTOR)?;
        writer.put(&RUN_MAGIC)?;
        writer.u32(1)?;
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

    /// The header in a sector, if it is whole and its place is `head`.
    pub(crate) fn decode(seal: Seal, sector: &[u8], head: crate::SegmentId) -> Option<Self> {
        let (covered, checksum) = sector.split_last_chunk::<4>()?;
        let mut reader = Reader::new(covered);
        let known = seal.over(&[covered]) == u32::from_le_bytes(*checksum)
            && reader.array()? == RUN_MAGIC
            && reader.u32()? == 1
            && reader.u32()? == head.number();
        let (span, _) = (reader.u32()?, reader.u32()?);
        let generation = Epoch::new(reader.u64()?);
        let first = Some(reader.u64()?).filter(|&first| first < COUNT_LIMIT)?;
        (known && span > 0)
            .then_some(Self { run: Run { kind: RunKind::Log, head, span, generation, end: None }, first })
    }
}
