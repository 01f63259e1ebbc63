//! A batch on its way: where it goes, its bytes, and the write that makes it part of the log.
//!
//! A batch goes behind the last one if it fits the rest of that run. Else it opens a new run: the run's header and the batch
//! are one write, and after the flush a root publishes the run and closes the one before.

use alloc::vec::Vec;

use super::FileStorage;
use super::batch::{BatchHeader, BatchKind, HEADER, RunHeader};
use super::defect::Defect;
use super::geometry::{BATCH_LIMIT, sectors_for};
use super::recovery::Tail;
use super::root::{Publication, Root};
use super::table::Run;
use super::volume::Reserve;
use crate::codec::Writer;
use crate::device::{BlockDevice, SECTOR};
use crate::{Clock, StorageError, Tid};

/// A batch that is being filled.
pub(crate) struct Frame {
    run: Run,
    /// The sector of the run where the batch begins.
    sector: u64,
    /// Whether the run is new.
    pub(crate) opens_run: bool,
    /// The device sector of the batch.
    place: u64,
    /// The sectors from the batch to the end of the run.
    room: u64,
    /// The run's header, if it is new; then the batch.
    bytes: Vec<u8>,
}

impl Frame {
    /// Bytes before the batch.
    fn lead(&self) -> usize {
        if self.opens_run { SECTOR } else { 0 }
    }

    /// Header and body so far, in bytes.
    pub(crate) fn length(&self) -> u64 {
        (self.bytes.len() - self.lead()) as u64
    }

    /// The byte address of the first byte of [`body`](Self::body)'s buffer, to which its offsets add up.
    pub(crate) fn origin(&self) -> u64 {
        self.place * SECTOR as u64 - self.lead() as u64
    }

    /// The buffer to whose end the body goes.
    pub(crate) fn body(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// Whether a batch of this length fits the run, or as many sectors.
    pub(crate) fn fits(&self, length: u64, sectors: u64) -> bool {
        length <= BATCH_LIMIT && sectors_for(length).max(sectors) <= self.room
    }

    /// The byte address of an offset in the batch.
    pub(crate) fn origin_of(&self, offset: u64) -> u64 {
        self.place * SECTOR as u64 + offset
    }

    /// The bytes from an offset in the batch on.
    pub(crate) fn tail(&self, offset: u64) -> &[u8] {
        self.bytes.get(self.lead() + offset as usize..).unwrap_or_default()
    }

    /// The batch behind this one, if this one ends at a length.
    pub(crate) fn behind(&self, length: u64) -> Result<Self, StorageError> {
        let sectors = sectors_for(length);
        let mut bytes = Writer::default();
        bytes.pad_to(HEADER)?;
        let (sector, place, room) = (self.sector + sectors, self.place + sectors, self.room - sectors);
        Ok(Self { run: self.run, sector, opens_run: false, place, room, bytes: bytes.into_bytes() })
    }

    /// Takes the memory that padding a batch of this length will need.
    pub(crate) fn reserve(&mut self, length: u64) -> Result<(), StorageError> {
        let bytes = (sectors_for(length) as usize + 1) * SECTOR + self.lead();
        Ok(self.bytes.try_reserve(bytes.saturating_sub(self.bytes.len()))?)
    }

    /// Shortens the body to what it was at a length.
    pub(crate) fn truncate(&mut self, length: u64) {
        self.bytes.truncate(self.lead() + length as usize);
    }

    /// Takes a part out of the body.
    pub(crate) fn remove(&mut self, start: u64, length: u64) {
        let start = self.lead() + start as usize;
        let end = (start + length as usize).min(self.bytes.len());
        self.bytes.drain(start.min(end)..end);
    }
}

/// What the header of a batch says of its content.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Content {
    pub(crate) kind: BatchKind,
    pub(crate) transactions: u16,
    /// The last transaction of the storage, with this batch.
    pub(crate) last: Tid,
    pub(crate) oid_reserved: u64,
}

/// A batch that was written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Appended {
    /// Where the next batch goes.
    tail: Tail,
    sectors: u64,
    oid_reserved: u64,
    /// Whether it is durable only once a flush has succeeded.
    pub(crate) needs_flush: bool,
}

impl<D: BlockDevice, C: Clock> FileStorage<D, C> {
    /// Begins a batch for at least `length` bytes, header included.
    pub(crate) fn frame(&mut self, length: u64, reserve: Reserve) -> Result<Frame, StorageError> {
        match self.tail.run {
            Some(run) if self.tail.sector + sectors_for(length) <= self.volume.run_sectors(&run) => {
                self.frame_at(run, self.tail.sector, false, length)
            }
            _ => self.frame_in_new_run(length, reserve),
        }
    }

    /// Begins a batch as [`frame`](Self::frame) does, but always in a run of its own.
    pub(crate) fn frame_in_new_run(&mut self, length: u64, reserve: Reserve) -> Result<Frame, StorageError> {
        let run = self.new_run(sectors_for(length), reserve)?;
        self.frame_at(run, 1, true, length)
    }

    fn frame_at(&self, run: Run, sector: u64, opens_run: bool, length: u64) -> Result<Frame, StorageError> {
        let place = self.volume.sector(&run, sector);
        let room = self.volume.run_sectors(&run) - sector;
        let mut bytes = Writer::default();
        if opens_run {
            bytes.put(&RunHeader { run, first: self.tail.sequence }.encode(self.volume.seal)?)?;
        }
        bytes.pad_to(bytes.len() + HEADER)?;
        let mut frame = Frame { run, sector, opens_run, place, room, bytes: bytes.into_bytes() };
        frame.reserve(length)?;
        Ok(frame)
    }

    fn new_run(&mut self, sectors: u64, reserve: Reserve) -> Result<Run, StorageError> {
        if self.checkpoint_due() {
            self.try_checkpoint()?;
        }
        match self.volume.find_run(&self.volume.root().table, sectors, reserve) {
            Err(StorageError::OutOfSpace { .. }) if self.volume.holds_back() => {
                self.republish()?;
                self.volume.find_run(&self.volume.root().table, sectors, reserve)
            }
            found => found,
        }
    }

    /// The root that publishes a frame's run; it may be changed further.
    pub(crate) fn root_of(&self, frame: &Frame, last: Tid, oid_reserved: u64) -> Result<Root, StorageError> {
        let mut root = self.current_root()?;
        if let Some(before) = &self.tail.run {
            root.table.close(before, self.tail.sector);
        }
        root.table.occupy(&frame.run);
        root.last_tid = last;
        root.oid_reserved = oid_reserved;
        root.flushed = self.tail.sequence + 1;
        Ok(root)
    }

    /// Makes a batch durable, and publishes the root that knows its run. Only the device can fail.
    pub(crate) fn append(
        &mut self,
        frame: Frame,
        content: Content,
        publication: Option<Publication>,
    ) -> Result<(), StorageError> {
        let appended = self.append_start(frame, content, publication)?;
        if appended.needs_flush {
            self.volume.flush()?;
        }
        self.append_end(&appended);
        Ok(())
    }

    /// Writes a batch. Where it opens a run it is durable, and its root is published; else it is once a flush has succeeded.
    pub(crate) fn append_start(
        &mut self,
        mut frame: Frame,
        content: Content,
        publication: Option<Publication>,
    ) -> Result<Appended, StorageError> {
        let length = frame.length();
        let sectors = sectors_for(length);
        let header = BatchHeader {
            kind: content.kind,
            transactions: content.transactions,
            length: u32::try_from(length).map_err(|_| StorageError::OutOfMemory)?,
            sequence: self.tail.sequence,
            generation: frame.run.generation,
            sector: frame.place,
            tid: content.last,
            flushed: self.tail.sequence,
            oid_reserved: content.oid_reserved,
        };
        let lead = frame.lead();
        frame.bytes.resize(lead + sectors as usize * SECTOR, 0);
        header.seal(self.volume.seal, frame.bytes.get_mut(lead..).unwrap_or_default())?;
        // The sector behind the batch is cleared with it, so that what a later batch leaves there when torn can be told.
        if sectors < frame.room {
            frame.bytes.resize(frame.bytes.len() + SECTOR, 0);
        }
        let needs_flush = self.write(&frame.bytes, frame.place - (lead / SECTOR) as u64, publication)?;
        let tail = Tail { run: Some(frame.run), sector: frame.sector + sectors, sequence: self.tail.sequence + 1 };
        Ok(Appended { tail, sectors, oid_reserved: content.oid_reserved, needs_flush })
    }

    /// A batch that was written is durable: the next one goes behind it.
    pub(crate) fn append_end(&mut self, appended: &Appended) {
        self.since_checkpoint += appended.sectors * SECTOR as u64;
        self.tail = appended.tail;
        self.oid_reserved = appended.oid_reserved;
    }

    /// Answers whether a flush must follow.
    fn write(&mut self, bytes: &[u8], sector: u64, publication: Option<Publication>) -> Result<bool, StorageError> {
        let Some(publication) = publication else {
            self.volume.write(sector, bytes)?;
            return Ok(!Defect::FlushSkipped.is_planted());
        };
        if Defect::RootBeforeData.is_planted() {
            self.volume.publish(publication)?;
            self.volume.write(sector, bytes)?;
            return Ok(true);
        }
        self.volume.write(sector, bytes)?;
        if !Defect::RootBesideData.is_planted() {
            self.volume.flush()?;
        }
        self.volume.publish(publication)?;
        Ok(false)
    }
}
