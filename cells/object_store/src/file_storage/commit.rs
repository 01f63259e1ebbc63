//! The commit: one write, one flush.
//!
//! A vote encodes the whole batch and takes all memory and space that the commit needs. Where the batch does not fit behind
//! the last one it opens a new run: its header and the batch are one write, and after the flush a root publishes the run.

use alloc::vec::Vec;

use super::batch::{BatchHeader, HEADER, RunHeader};
use super::checkpoint;
use super::defect::Defect;
use super::geometry::{BATCH_LIMIT, sectors_for};
use super::recovery::Tail;
use super::root::{Publication, Root, ScanStart};
use super::table::{Run, RunKind};
use super::transaction_body::{self, Located, Sizes};
use super::{FileStorage, Mode, OID_RESERVE};
use crate::codec::Writer;
use crate::device::{BlockDevice, SECTOR};
use crate::{Clock, Oid, StorageError, StorageTransaction, Tid, Voted};

/// A voted transaction, ready for the device.
pub(crate) struct Pending {
    tid: Tid,
    bytes: Vec<u8>,
    /// Whole sectors of the batch.
    sectors: u64,
    /// The device sector of the first byte.
    sector: u64,
    /// The root that adds the run, if it is a new one.
    publication: Option<Publication>,
    located: Located,
    oid_limit: u64,
    oid_reserved: u64,
    tail: Tail,
}

/// Where a batch goes.
struct Target {
    run: Run,
    sector: u64,
    new: bool,
}

impl<D: BlockDevice, C: Clock> FileStorage<D, C> {
    /// Refuses what a storage that is read-only, stopped or in a commit cannot do.
    pub(crate) fn check_writable(&self) -> Result<(), StorageError> {
        if self.mode == Mode::Read {
            return Err(StorageError::ReadOnly);
        }
        self.volume.check_running()?;
        if self.pending.is_some() { Err(StorageError::Busy) } else { Ok(()) }
    }

    pub(crate) fn prepare(&mut self, transaction: StorageTransaction) -> Result<Voted, StorageError> {
        self.check_writable()?;
        let oid_limit = transaction.oid_limit(Oid::new(self.next_oid))?;
        transaction.check(self, oid_limit)?;
        let tid = transaction.tid(&mut self.clock, self.last)?;
        let (metadata, changes) = transaction.into_parts();
        let sizes = Sizes::of(&metadata, &changes)?;
        let bytes = HEADER as u64 + sizes.total();
        let sectors = sectors_for(bytes);
        self.check_size(sectors)?;
        let target = self.place(sectors)?;

        let lead = if target.new { SECTOR } else { 0 };
        let place = self.volume.sector(&target.run, target.sector);
        let mut buffer = Writer::with_capacity(lead + (sectors as usize + 1) * SECTOR)?;
        if target.new {
            let header = RunHeader { run: target.run, first: self.tail.sequence };
            buffer.put(&header.encode(self.volume.seal)?)?;
        }
        buffer.pad_to(lead + HEADER)?;
        let mut buffer = buffer.into_bytes();
        let address = place * SECTOR as u64 - lead as u64;
        let seal = self.volume.seal;
        let located = transaction_body::encode(seal, tid, &metadata, &changes, &sizes, &mut buffer, address)?;
        buffer.resize(lead + sectors as usize * SECTOR, 0);
        let oid_reserved = self.wanted_reservation(oid_limit.number());
        let header = BatchHeader {
            kind: RunKind::Log,
            length: u32::try_from(bytes).map_err(|_| StorageError::OutOfMemory)?,
            sequence: self.tail.sequence,
            generation: target.run.generation,
            sector: place,
            tid,
            flushed: self.tail.sequence,
            oid_reserved,
        };
        header.seal(seal, buffer.get_mut(lead..).unwrap_or_default())?;
        // The sector behind the batch is cleared with it, so that what a later batch leaves there when torn can be told.
        if target.sector + sectors < self.volume.run_sectors(&target.run) {
            buffer.resize(buffer.len() + SECTOR, 0);
        }
        let sequence = self.tail.sequence + 1;
        let tail = Tail { run: Some(target.run), sector: target.sector + sectors, sequence };
        let publication = if target.new {
            let mut root = self.current_root()?;
            root.table.occupy(&target.run);
            root.last_tid = tid;
            root.flushed = sequence;
            root.oid_reserved = oid_reserved;
            Some(root.prepare()?)
        } else {
            None
        };
        self.index.reserve(changes.keys().copied())?;
        let sector = place - (lead / SECTOR) as u64;
        let oid_limit = oid_limit.number();
        let bytes = buffer;
        self.pending =
            Some(Pending { tid, bytes, sectors, sector, publication, located, oid_limit, oid_reserved, tail });
        Ok(Voted::new(tid))
    }

    pub(crate) fn commit(&mut self, voted: &Voted) -> Result<Tid, StorageError> {
        let pending = self.take_pending(voted)?;
        let outcome = self.write(&pending.bytes, pending.sector, pending.publication);
        if outcome.is_err() {
            self.index.forget_reserved(pending.located.revisions.iter().map(|&(oid, _)| oid));
        }
        outcome?;
        let mut sound = self.index.add_transaction(pending.located.entry);
        for (oid, revision) in pending.located.revisions {
            sound &= self.index.add_revision(oid, revision);
        }
        debug_assert!(sound, "the vote made the transaction newer than everything");
        self.since_checkpoint += pending.sectors * SECTOR as u64;
        self.tail = pending.tail;
        self.last = pending.tid;
        self.next_oid = self.next_oid.max(pending.oid_limit);
        self.oid_reserved = pending.oid_reserved;
        Ok(pending.tid)
    }

    fn write(&mut self, bytes: &[u8], sector: u64, publication: Option<Publication>) -> Result<(), StorageError> {
        if Defect::FlushSkipped.is_planted() && publication.is_none() {
            return self.volume.write(sector, bytes);
        }
        if Defect::RootBeforeData.is_planted()
            && let Some(publication) = publication
        {
            self.volume.publish(publication)?;
            self.volume.write(sector, bytes)?;
            return self.volume.flush();
        }
        self.volume.write(sector, bytes)?;
        self.volume.flush()?;
        publication.map_or(Ok(()), |publication| self.volume.publish(publication))
    }

    pub(crate) fn discard(&mut self, voted: &Voted) -> Result<(), StorageError> {
        let pending = self.take_pending(voted)?;
        self.index.forget_reserved(pending.located.revisions.iter().map(|&(oid, _)| oid));
        Ok(())
    }

    fn take_pending(&mut self, voted: &Voted) -> Result<Pending, StorageError> {
        self.pending.take_if(|pending| pending.tid == voted.tid()).ok_or(StorageError::ForeignTransaction)
    }

    fn check_size(&self, sectors: u64) -> Result<(), StorageError> {
        let geometry = self.volume.root().geometry;
        let device = u64::from(geometry.segments) * u64::from(geometry.segment_sectors) - 1;
        let limit = device.min(sectors_for(BATCH_LIMIT));
        if sectors <= limit {
            return Ok(());
        }
        let bytes = |sectors: u64| sectors.saturating_mul(SECTOR as u64);
        Err(StorageError::TransactionTooLarge { bytes: bytes(sectors), limit: bytes(limit) })
    }

    /// Finds the place of a batch: behind the last one, or in a new run.
    fn place(&mut self, sectors: u64) -> Result<Target, StorageError> {
        if let Some(run) = self.tail.run
            && self.tail.sector + sectors <= self.volume.run_sectors(&run)
        {
            return Ok(Target { run, sector: self.tail.sector, new: false });
        }
        if self.checkpoint_due() {
            match self.checkpoint() {
                Ok(()) | Err(StorageError::OutOfSpace { .. } | StorageError::OutOfMemory) => {}
                Err(error) => return Err(error),
            }
        }
        let table = self.volume.root().table.clone();
        let run = match self.volume.find_run(&table, RunKind::Log, sectors) {
            Err(StorageError::OutOfSpace { .. }) if self.volume.holds_back() => {
                self.republish()?;
                self.volume.find_run(&table, RunKind::Log, sectors)?
            }
            found => found?,
        };
        Ok(Target { run, sector: 1, new: true })
    }

    /// The next root, saying what is true now.
    pub(crate) fn current_root(&self) -> Result<Root, StorageError> {
        let mut root = self.volume.next_root()?;
        root.flushed = self.tail.sequence;
        root.last_tid = self.last;
        root.oid_reserved = self.oid_reserved;
        Ok(root)
    }

    /// The reservation that the next batch carries: enough that `new_oid` seldom has to publish a root for one.
    fn wanted_reservation(&self, next_oid: u64) -> u64 {
        let left = self.oid_reserved.saturating_sub(next_oid);
        if left < OID_RESERVE / 2 {
            self.oid_reserved.max(next_oid).saturating_add(OID_RESERVE)
        } else {
            self.oid_reserved
        }
    }

    /// Whether an index checkpoint would now save more scanning than it costs.
    #[must_use]
    pub fn checkpoint_due(&self) -> bool {
        let segment = self.volume.root().geometry.segment_bytes();
        let index = self.volume.root().index_bytes;
        let room = self.volume.free_bytes() > index.saturating_mul(2).saturating_add(4 * segment);
        room && self.since_checkpoint >= (4 * segment).max(index.saturating_mul(4))
    }

    /// Writes the index to the log, so that the next opening scans from here.
    ///
    /// # Errors
    /// [`StorageError::OutOfSpace`] and [`StorageError::OutOfMemory`]: nothing has changed, and the older checkpoint still
    /// serves. [`StorageError::Stopped`], [`StorageError::ReadOnly`], [`StorageError::Busy`].
    pub fn checkpoint(&mut self) -> Result<(), StorageError> {
        self.check_writable()?;
        match self.write_checkpoint() {
            Err(StorageError::OutOfSpace { .. }) if self.volume.holds_back() => {
                self.republish()?;
                self.write_checkpoint()?;
            }
            outcome => outcome?,
        }
        self.since_checkpoint = 0;
        Ok(())
    }

    fn write_checkpoint(&mut self) -> Result<(), StorageError> {
        let Tail { run, sector, sequence } = self.tail;
        let mut root = self.current_root()?;
        root.scan = ScanStart { segment: run.map(|run| run.head), sector, sequence };
        checkpoint::write(&mut self.volume, &self.index, root)
    }

    /// Publishes the root once more: what only the older one keeps becomes free.
    fn republish(&mut self) -> Result<(), StorageError> {
        let publication = self.current_root()?.prepare()?;
        self.volume.publish(publication)
    }
}
