//! A formatted device: reads, allocation of runs, publication of roots.
//!
//! [`Volume`] keeps the two rules that make a crash harmless. A segment is written again only when neither root slot names
//! it any more. And after a write or flush has failed nothing is written ever again: what the device holds is then unknown.

use alloc::vec::Vec;

use super::batch::{BatchHeader, RunHeader};
use super::checksum::Seal;
use super::defect::Defect;
use super::geometry::{BATCH_LIMIT, BLOCK, BLOCK_SECTORS, root_slot, sectors_for};
use super::log_cache::{CACHED_BLOCKS, FILLED_AT_ONCE, LogCache};
use super::root::{Publication, Root};
use super::table::{Run, RunKind, SegmentTable};
use super::window::Window;
use crate::device::{BlockDevice, SECTOR};
use crate::{Epoch, SegmentId, StopReason, StorageError};

/// Whether an allocation may take the segments that are kept for a pack and for the index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reserve {
    Kept,
    Open,
}

/// A device with a valid root.
pub(crate) struct Volume<D> {
    device: D,
    pub(crate) seal: Seal,
    root: Root,
    /// The table of the root in the other slot.
    previous: SegmentTable,
    stopped: Option<StopReason>,
    log_cache: LogCache,
    /// What a transfer into the cache goes through.
    transfer: Vec<u8>,
}

/// What stands where a batch was expected.
pub(crate) enum Found {
    /// A whole batch, which the window holds.
    Batch(BatchHeader),
    /// A header that belongs here, of a batch that is not whole.
    Torn(BatchHeader),
    Nothing,
}

impl<D: BlockDevice> Volume<D> {
    pub(crate) fn new(device: D, root: Root, previous: SegmentTable) -> Self {
        let seal = Seal::new(&root.key);
        let log_cache = LogCache::new(CACHED_BLOCKS);
        Self { device, seal, root, previous, stopped: None, log_cache, transfer: Vec::new() }
    }

    pub(crate) fn root(&self) -> &Root {
        &self.root
    }

    pub(crate) fn into_device(self) -> D {
        self.device
    }

    pub(crate) fn device(&mut self) -> &mut D {
        &mut self.device
    }

    pub(crate) fn device_ref(&self) -> &D {
        &self.device
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
        let mut buffer = Vec::new();
        self.read_into(sector, count, &mut buffer)?;
        Ok(buffer)
    }

    /// Reads sectors into a buffer that is used again; none beyond the largest batch.
    pub(crate) fn read_into(&mut self, sector: u64, count: u64, buffer: &mut Vec<u8>) -> Result<(), StorageError> {
        let bytes = count.min(sectors_for(BATCH_LIMIT)) as usize * SECTOR;
        buffer.clear();
        buffer.try_reserve(bytes)?;
        buffer.resize(bytes, 0);
        Ok(self.device.read(sector, buffer)?)
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

    /// Has everything read from the device again.
    pub(crate) fn clear_log_cache(&mut self) {
        self.log_cache.clear();
    }

    /// Bounds the cache of log blocks.
    pub(crate) fn set_log_cache(&mut self, blocks: usize) {
        self.log_cache = LogCache::new(blocks);
    }

    /// Gives bytes at any address, cached if they are few, to a reader; none beyond the largest batch.
    pub(crate) fn with_bytes<T>(
        &mut self,
        address: u64,
        length: u32,
        read: impl FnOnce(&[u8]) -> T,
    ) -> Result<T, StorageError> {
        let skip = (address % BLOCK as u64) as usize;
        let end = skip + length as usize;
        let first = LogCache::block_of(address / SECTOR as u64);
        let last = first + (end.max(1) - 1) as u64 / BLOCK as u64;
        if self.log_cache.is_off() || last - first >= 2 || self.fill(first, last).is_err() {
            return Ok(read(&self.read_bytes(address, length)?));
        }
        if let Some(bytes) = self.log_cache.get(first).and_then(|block| block.get(skip..end)) {
            return Ok(read(bytes));
        }
        // It stands in two blocks.
        let halves = self.log_cache.get(first).zip(self.log_cache.get(last));
        let halves = halves.and_then(|(first, last)| Some((first.get(skip..)?, last.get(..end.checked_sub(BLOCK)?)?)));
        let Some((head, tail)) = halves else {
            return Ok(read(&self.read_bytes(address, length)?));
        };
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(length as usize)?;
        bytes.extend_from_slice(head);
        bytes.extend_from_slice(tail);
        Ok(read(&bytes))
    }

    /// Has neighbouring blocks in the cache, with one transfer for what is missing. Blocks that the device has not whole,
    /// and more than are filled at once, are left out.
    pub(crate) fn fill(&mut self, first: u64, last: u64) -> Result<(), StorageError> {
        if self.log_cache.is_off() {
            return Ok(());
        }
        let last = last.min(first + FILLED_AT_ONCE - 1).min((self.device.sectors() / BLOCK_SECTORS).saturating_sub(1));
        let missing = |block: &u64| self.log_cache.get(*block).is_none();
        let Some(from) = (first..=last).find(missing) else {
            return Ok(());
        };
        let to = (from..=last).rfind(missing).unwrap_or(from);
        let mut bytes = core::mem::take(&mut self.transfer);
        let read = self.read_into(LogCache::sector_of(from), (to - from + 1) * BLOCK_SECTORS, &mut bytes);
        let filled = read.and_then(|()| self.log_cache.put(from, &bytes));
        self.transfer = bytes;
        filled
    }

    /// Reads the header of a run that begins in a segment, if it is there and whole.
    pub(crate) fn read_run_header(&mut self, head: SegmentId) -> Result<Option<RunHeader>, StorageError> {
        let bytes = self.read_sectors(self.root.geometry.start(head), 1)?;
        Ok(RunHeader::decode(self.seal, &bytes, head))
    }

    /// Reads the batch with number `sequence`, or with any, at a sector of a run.
    pub(crate) fn read_batch(
        &mut self,
        window: &mut Window,
        run: &Run,
        sector: u64,
        sequence: Option<u64>,
    ) -> Result<Found, StorageError> {
        let end = self.sector(run, self.run_sectors(run));
        let place = self.sector(run, sector);
        if place >= end {
            return Ok(Found::Nothing);
        }
        let seal = self.seal;
        let header = BatchHeader::decode(seal, window.get(self, place, 1, end)?, run, place);
        let expected = |header: &BatchHeader| {
            let any = Defect::StaleBatchBelieved.is_planted();
            any || sequence.is_none_or(|sequence| header.sequence == sequence)
        };
        let Some(header) = header.filter(|header| expected(header) && header.sectors() <= end - place) else {
            return Ok(Found::Nothing);
        };
        let whole = BatchHeader::verify(seal, window.get(self, place, header.sectors(), end)?);
        Ok(if whole || Defect::BodyUnchecked.is_planted() { Found::Batch(header) } else { Found::Torn(header) })
    }

    /// Refuses once the volume has stopped.
    pub(crate) fn check_running(&self) -> Result<(), StorageError> {
        self.stopped.map_or(Ok(()), |reason| Err(StorageError::Stopped(reason)))
    }

    /// Writes sectors; a failure stops the volume.
    pub(crate) fn write(&mut self, sector: u64, data: &[u8]) -> Result<(), StorageError> {
        self.check_running()?;
        self.log_cache.drop_written(sector, data.len());
        let outcome = self.device.write(sector, data);
        self.stop_on(outcome.map_err(StopReason::Write))
    }

    /// Makes all writes durable; a failure stops the volume.
    pub(crate) fn flush(&mut self) -> Result<(), StorageError> {
        self.check_running()?;
        let outcome = self.device.flush();
        self.flushed(outcome)
    }

    /// The same for a flush that somebody else has had done.
    pub(crate) fn flushed(&mut self, outcome: Result<(), crate::DeviceError>) -> Result<(), StorageError> {
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

    /// Segments that are free now, in the view of both roots.
    pub(crate) fn segments_left(&self) -> u64 {
        let free = |&index: &u32| self.root.table.is_free(index) && self.previous.is_free(index);
        (0..self.root.geometry.segments).filter(free).count() as u64
    }

    /// Segments that ordinary commits leave free, so that a pack and an index checkpoint of a full disk have some.
    pub(crate) fn reserve(&self) -> u32 {
        (self.root.geometry.segments / 16).min(4)
    }

    /// Finds free neighbours beside those in `table`, for the next root. Nothing is written or entered.
    ///
    /// # Errors
    /// [`StorageError::OutOfSpace`].
    pub(crate) fn find_segments(
        &self,
        table: &SegmentTable,
        span: u64,
        reserve: Reserve,
    ) -> Result<SegmentId, StorageError> {
        let kept = if reserve == Reserve::Kept { self.reserve() } else { 0 };
        let enough = span.saturating_add(u64::from(kept)) <= u64::from(table.free());
        let found = u32::try_from(span).ok().filter(|_| enough).and_then(|span| table.find_free(&self.previous, span));
        found.ok_or(StorageError::OutOfSpace {
            needed: span.saturating_mul(self.root.geometry.segment_bytes()),
            free: u64::from(table.free().saturating_sub(kept)) * self.root.geometry.segment_bytes(),
        })
    }

    /// Finds room for a run of the log with `sectors` beside its header, for the next root.
    ///
    /// # Errors
    /// [`StorageError::OutOfSpace`].
    pub(crate) fn find_run(&self, table: &SegmentTable, sectors: u64, reserve: Reserve) -> Result<Run, StorageError> {
        let generation = self.next_root()?.epoch;
        let span = self.span_for(sectors);
        let head = self.find_segments(table, span, reserve)?;
        Ok(Run { kind: RunKind::Log, head, span: span as u32, generation, end: None })
    }

    /// Whether the other root slot alone keeps segments from being used again.
    pub(crate) fn holds_back(&self) -> bool {
        (0..self.root.geometry.segments).any(|index| self.root.table.is_free(index) && !self.previous.is_free(index))
    }
}
