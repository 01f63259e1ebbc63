//! A formatted device: reads, allocation of runs, publication of roots.
//!
//! [`Volume`] keeps the two rules that make a crash harmless. A segment is written again only when neither root slot names
//! it any more. And after a write or flush has failed nothing is written ever again: what the device holds is then unknown.

use alloc::vec::Vec;

use super::batch::{BatchHeader, RunHeader};
use super::checksum::Seal;
use super::defect::Defect;
use super::geometry::{BATCH_LIMIT, root_slot, sectors_for};
use super::root::{Publication, Root};
use super::table::{Run, RunKind, SegmentTable};
use crate::device::{BlockDevice, SECTOR};
use crate::{Epoch, StopReason, StorageError};

/// A device with a valid root.
pub(crate) struct Volume<D> {
    device: D,
    pub(crate) seal: Seal,
    root: Root,
    /// The table of the root in the other slot.
    previous: SegmentTable,
    stopped: Option<StopReason>,
}

/// A batch that was read and is whole.
pub(crate) struct Batch {
    pub(crate) header: BatchHeader,
    /// Header, body and padding.
    pub(crate) bytes: Vec<u8>,
}

/// What stands where a batch was expected.
pub(crate) enum Found {
    Batch(Batch),
    /// A header that belongs here, of a batch that is not whole.
    Torn(BatchHeader),
    Nothing,
}

impl<D: BlockDevice> Volume<D> {
    pub(crate) fn new(device: D, root: Root, previous: SegmentTable) -> Self {
        let seal = Seal::new(&root.key);
        Self { device, seal, root, previous, stopped: None }
    }

    pub(crate) fn root(&self) -> &Root {
        &self.root
    }

    pub(crate) fn into_device(self) -> D {
        self.device
    }

    #[cfg(test)]
    pub(crate) fn device(&mut self) -> &mut D {
        &mut self.device
    }

    pub(crate) fn stopped(&self) -> Option<StopReason> {
        self.stopped
    }

    /// The error that names what is at a byte address.
    pub(crate) fn rot(&self, address: u64) -> StorageError {
        let (segment, offset) = self.root.geometry.locate(address);
        StorageError::Rot { segment, offset }
    }

    /// The device sector of a sector of a run.
    pub(crate) fn sector(&self, run: &Run, sector: u64) -> u64 {
        self.root.geometry.start(run.head) + sector
    }

    /// The sectors of a run.
    pub(crate) fn run_sectors(&self, run: &Run) -> u64 {
        u64::from(run.span) * u64::from(self.root.geometry.segment_sectors)
    }

    /// Reads sectors.
    pub(crate) fn read_sectors(&mut self, sector: u64, count: u64) -> Result<Vec<u8>, StorageError> {
        let bytes = count.min(sectors_for(BATCH_LIMIT)) as usize * SECTOR;
        let mut buffer = Vec::new();
        buffer.try_reserve_exact(bytes)?;
        buffer.resize(bytes, 0);
        self.device.read(sector, &mut buffer)?;
        Ok(buffer)
    }

    /// Reads bytes at any address; none beyond the largest batch.
    pub(crate) fn read_bytes(&mut self, address: u64, length: u32) -> Result<Vec<u8>, StorageError> {
        let skip = address % SECTOR as u64;
        let span = skip + u64::from(length);
        if span > BATCH_LIMIT {
            return Err(self.rot(address));
        }
        let mut bytes = self.read_sectors(address / SECTOR as u64, sectors_for(span))?;
        bytes.truncate(span as usize);
        bytes.drain(..(skip as usize).min(bytes.len()));
        Ok(bytes)
    }

    /// Reads the header of a run, if it is there and whole.
    pub(crate) fn read_run_header(&mut self, run: &Run) -> Result<Option<RunHeader>, StorageError> {
        let sector = self.sector(run, 0);
        let bytes = self.read_sectors(sector, 1)?;
        Ok(RunHeader::decode(self.seal, &bytes, run.kind, run.head))
    }

    /// Reads the batch with number `sequence` at a sector of a run.
    pub(crate) fn read_batch(&mut self, run: &Run, sector: u64, sequence: u64) -> Result<Found, StorageError> {
        let room = self.run_sectors(run).saturating_sub(sector);
        if room == 0 {
            return Ok(Found::Nothing);
        }
        let place = self.sector(run, sector);
        let first = self.read_sectors(place, 1)?;
        let header = BatchHeader::decode(self.seal, &first, run, place);
        let Some(header) = header.filter(|header| header.sequence == sequence && header.sectors() <= room) else {
            return Ok(Found::Nothing);
        };
        let bytes = self.read_sectors(place, header.sectors())?;
        if Defect::BodyUnchecked.is_planted() {
            return Ok(Found::Batch(Batch { header, bytes }));
        }
        let whole = BatchHeader::verify(self.seal, &bytes);
        Ok(if whole { Found::Batch(Batch { header, bytes }) } else { Found::Torn(header) })
    }

    /// Refuses once the volume has stopped.
    pub(crate) fn check_running(&self) -> Result<(), StorageError> {
        self.stopped.map_or(Ok(()), |reason| Err(StorageError::Stopped(reason)))
    }

    /// Writes sectors; a failure stops the volume.
    pub(crate) fn write(&mut self, sector: u64, data: &[u8]) -> Result<(), StorageError> {
        self.check_running()?;
        let outcome = self.device.write(sector, data);
        self.stop_on(outcome.map_err(StopReason::Write))
    }

    /// Makes all writes durable; a failure stops the volume.
    pub(crate) fn flush(&mut self) -> Result<(), StorageError> {
        self.check_running()?;
        let outcome = self.device.flush();
        self.stop_on(outcome.map_err(StopReason::Flush))
    }

    fn stop_on(&mut self, outcome: Result<(), StopReason>) -> Result<(), StorageError> {
        outcome.map_err(|reason| {
            self.stopped = Some(reason);
            StorageError::Stopped(reason)
        })
    }

    /// Publishes a root: what it speaks of must be durable. It goes to the slot of its epoch. Only the device can fail.
    pub(crate) fn publish(&mut self, Publication { root, block }: Publication) -> Result<(), StorageError> {
        self.write(root_slot(root.epoch), &block)?;
        self.flush()?;
        self.previous = core::mem::replace(&mut self.root, root).table;
        Ok(())
    }

    /// A copy of the root in force, to be changed and published: its epoch is the next.
    pub(crate) fn next_root(&self) -> Result<Root, StorageError> {
        let epoch = self.root.epoch.number().checked_add(1).ok_or(StorageError::Exhausted)?;
        Ok(Root { epoch: Epoch::new(epoch), ..self.root.clone() })
    }

    /// Bytes in segments that are free in the root in force.
    pub(crate) fn free_bytes(&self) -> u64 {
        u64::from(self.root.table.free()) * self.root.geometry.segment_bytes()
    }

    /// Segments that a run header and `sectors` more take.
    pub(crate) fn span_for(&self, sectors: u64) -> u64 {
        (sectors + 1).div_ceil(u64::from(self.root.geometry.segment_sectors))
    }

    /// Finds room for a run beside those in `table`, for the next root. Nothing is written or entered.
    ///
    /// # Errors
    /// [`StorageError::OutOfSpace`].
    pub(crate) fn find_run(&mut self, table: &SegmentTable, kind: RunKind, sectors: u64) -> Result<Run, StorageError> {
        let generation = self.next_root()?.epoch;
        let span = self.span_for(sectors);
        let found = u32::try_from(span).ok().and_then(|span| Some((table.find_free(&self.previous, span)?, span)));
        let (head, span) = found.ok_or(StorageError::OutOfSpace {
            needed: span.saturating_mul(self.root.geometry.segment_bytes()),
            free: self.free_bytes(),
        })?;
        Ok(Run { kind, head, span, generation })
    }

    /// Whether the other root slot alone keeps segments from being used again.
    pub(crate) fn holds_back(&self) -> bool {
        (0..self.root.geometry.segments).any(|index| self.root.table.is_free(index) && !self.previous.is_free(index))
    }
}
