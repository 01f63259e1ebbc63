//! Opening: from two root slots and a log to the last commit.
//!
//! The root with the greater epoch counts. Its index checkpoint is read, and the log scanned from where that ends. In every
//! run but the last all batches must be there. In the last, bytes that are no batch are *rot* if the batch that belongs
//! there is known to have been durable, or if a later one follows; else they are a torn tail, which is cut. Each batch says
//! that its predecessors were durable, so only the very last can be in doubt.
//!
//! If one slot is invalid, it may have held the newest root: torn in the making, or rotten. That root can have added one run
//! to the log at most, which its generation gives away; if its first batch continues the log, it is taken in.

use super::batch::{BatchHeader, HEADER};
use super::checkpoint;
use super::index::Index;
use super::report::{LastBatch, OpenError};
use super::root::ScanStart;
use super::table::{Run, RunKind};
use super::transaction_body;
use super::volume::{Batch, Found, Volume};
use crate::device::{BlockDevice, SECTOR};
use crate::{Epoch, SegmentId, StorageError, Tid};

/// Sectors that are read at once when looking for a later batch.
const SEARCH_SECTORS: u64 = 128;

/// Where the next batch goes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tail {
    /// The last run of the log.
    pub(crate) run: Option<Run>,
    /// The sector in it.
    pub(crate) sector: u64,
    /// The number that the batch will have.
    pub(crate) sequence: u64,
}

/// What a scan found.
pub(crate) struct Recovered {
    pub(crate) index: Index,
    pub(crate) tail: Tail,
    pub(crate) oid_reserved: u64,
    pub(crate) last: Tid,
    pub(crate) batches: u64,
    pub(crate) sectors: u64,
    pub(crate) last_batch: LastBatch,
    pub(crate) index_rebuilt: bool,
    /// A run that the root in force does not know.
    pub(crate) adopted: Option<Run>,
}

/// Recovers the state of a volume. Reads only.
pub(crate) fn recover<D: BlockDevice>(volume: &mut Volume<D>, slot_lost: bool) -> Result<Recovered, OpenError> {
    let root = volume.root().clone();
    let (index, start) = match checkpoint::read(volume)? {
        Some(index) => (Some(index), root.scan),
        None => (None, ScanStart { segment: None, sector: 0, sequence: 0 }),
    };
    let index_rebuilt = index.is_none();
    let runs = root.table.runs(RunKind::Log);
    let mut scan = Scan {
        volume,
        index: index.unwrap_or_default(),
        tail: Tail { run: None, sector: 0, sequence: start.sequence },
        flushed: root.flushed,
        oid_reserved: root.oid_reserved,
        batches: 0,
        sectors: 0,
        last_batch: LastBatch::None,
    };
    let first = match start.segment {
        None => 0,
        Some(head) => {
            let found = runs.iter().enumerate().find(|(_, run)| run.head == head).ok_or(OpenError::BadRoot)?;
            if !(1..=scan.volume.run_sectors(found.1)).contains(&start.sector) {
                return Err(OpenError::BadRoot);
            }
            found.0
        }
    };
    for (number, run) in runs.iter().enumerate().skip(first) {
        let from = if number == first && start.segment.is_some() { Some(start.sector) } else { None };
        scan.run(run, from, number + 1 == runs.len())?;
    }
    let adopted = if slot_lost { scan.adopt(&runs, root.epoch)? } else { None };
    scan.check_complete()?;
    Ok(Recovered {
        last: scan.index.last_tid().max(root.last_tid),
        index: scan.index,
        tail: scan.tail,
        oid_reserved: scan.oid_reserved,
        batches: scan.batches,
        sectors: scan.sectors,
        last_batch: scan.last_batch,
        index_rebuilt,
        adopted,
    })
}

struct Scan<'a, D> {
    volume: &'a mut Volume<D>,
    index: Index,
    tail: Tail,
    flushed: u64,
    oid_reserved: u64,
    batches: u64,
    sectors: u64,
    last_batch: LastBatch,
}

impl<D: BlockDevice> Scan<'_, D> {
    /// Scans a run from a sector, or from its first batch.
    fn run(&mut self, run: &Run, from: Option<u64>, last: bool) -> Result<(), OpenError> {
        let header = self.volume.read_run_header(run)?.filter(|header| header.run == *run);
        let header = header.ok_or(self.rot(run, 0))?;
        if from.is_none() && header.first != self.tail.sequence {
            // Batches are missing at the end of the run before, if there was one.
            return Err(self.tail.run.map_or(self.rot(run, 0), |before| self.rot(&before, self.tail.sector)));
        }
        self.tail = Tail { run: Some(*run), sector: from.unwrap_or(1), ..self.tail };
        loop {
            match self.volume.read_batch(run, self.tail.sector, self.tail.sequence)? {
                Found::Batch(batch) => self.apply(run, &batch)?,
                _ if !last => return Ok(()),
                found => return self.end(run, &found),
            }
        }
    }

    fn apply(&mut self, run: &Run, batch: &Batch) -> Result<(), OpenError> {
        let place = self.volume.sector(run, self.tail.sector);
        let address = place * SECTOR as u64 + HEADER as u64;
        let body = batch.bytes.get(HEADER..batch.header.length as usize).unwrap_or_default();
        let rot = self.rot(run, self.tail.sector);
        let located = transaction_body::locate(self.volume.seal, body, address).ok_or(rot)?;
        let mut sound = self.index.add_transaction(located.entry);
        for (oid, revision) in located.revisions {
            sound = sound && self.index.add_revision(oid, revision);
        }
        if !sound {
            return Err(rot);
        }
        self.flushed = self.flushed.max(batch.header.flushed);
        self.oid_reserved = self.oid_reserved.max(batch.header.oid_reserved);
        self.last_batch = if self.tail.sequence < self.flushed {
            LastBatch::Confirmed(located.entry.tid)
        } else {
            LastBatch::Unconfirmed(located.entry.tid)
        };
        self.tail.sequence += 1;
        self.tail.sector += batch.header.sectors();
        self.batches += 1;
        self.sectors += batch.header.sectors();
        Ok(())
    }

    /// Judges what is no batch, in the last run.
    fn end(&mut self, run: &Run, found: &Found) -> Result<(), OpenError> {
        let sector = self.tail.sector;
        if self.tail.sequence < self.flushed || self.later_batch(run)? {
            return Err(self.rot(run, sector));
        }
        let bytes = match found {
            Found::Torn(header) => u64::from(header.length),
            _ => self.debris(run)?,
        };
        if bytes > 0 {
            let offset = sector * SECTOR as u64;
            self.last_batch = LastBatch::Cut { segment: run.head, offset, bytes };
        }
        Ok(())
    }

    /// Bytes behind the tail up to the first blank sector, which every batch leaves behind it.
    fn debris(&mut self, run: &Run) -> Result<u64, StorageError> {
        for sector in self.tail.sector..self.volume.run_sectors(run) {
            let bytes = self.volume.read_sectors(self.volume.sector(run, sector), 1)?;
            if bytes.iter().all(|&byte| byte == 0) {
                return Ok((sector - self.tail.sector) * SECTOR as u64);
            }
        }
        Ok((self.volume.run_sectors(run) - self.tail.sector) * SECTOR as u64)
    }

    /// Whether a batch that came later than the one missing at the tail stands in the rest of the run.
    fn later_batch(&mut self, run: &Run) -> Result<bool, StorageError> {
        let end = self.volume.run_sectors(run);
        let mut sector = self.tail.sector;
        while sector < end {
            let count = (end - sector).min(SEARCH_SECTORS);
            let place = self.volume.sector(run, sector);
            let bytes = self.volume.read_sectors(place, count)?;
            for (offset, candidate) in (0..).zip(bytes.chunks_exact(SECTOR)) {
                let header = BatchHeader::decode(self.volume.seal, candidate, run, place + offset);
                if header.is_some_and(|header| header.sequence > self.tail.sequence) {
                    return Ok(true);
                }
            }
            sector += count;
        }
        Ok(false)
    }

    /// Takes in the run that a lost root added, if there is one.
    fn adopt(&mut self, runs: &[Run], epoch: Epoch) -> Result<Option<Run>, OpenError> {
        let generation = Epoch::new(epoch.number().saturating_add(1));
        let mut adopted = None;
        for segment in 0..self.volume.root().geometry.segments {
            let table = &self.volume.root().table;
            if !table.is_free(segment) {
                continue;
            }
            let head = SegmentId::new(segment);
            let probe = Run { kind: RunKind::Log, head, span: 1, generation };
            let Some(header) = self.volume.read_run_header(&probe)? else {
                continue;
            };
            let run = header.run;
            let table = &self.volume.root().table;
            let fits =
                (0..run.span).all(|offset| segment.checked_add(offset).is_some_and(|index| table.is_free(index)));
            if run.generation != generation || header.first != self.tail.sequence || !fits {
                continue;
            }
            let whole = matches!(self.volume.read_batch(&run, 1, header.first)?, Found::Batch(_));
            if whole && adopted.replace(run).is_some() {
                return Err(OpenError::AmbiguousRoot);
            }
        }
        if let Some(run) = adopted.filter(|run| !runs.contains(run)) {
            self.run(&run, None, true)?;
        }
        Ok(adopted)
    }

    /// No batch that is known to be durable may be missing.
    fn check_complete(&self) -> Result<(), OpenError> {
        if self.tail.sequence >= self.flushed {
            return Ok(());
        }
        Err(self.tail.run.map_or(OpenError::BadRoot, |run| self.rot(&run, self.tail.sector)))
    }

    fn rot(&self, run: &Run, sector: u64) -> OpenError {
        OpenError::Rot { segment: run.head, offset: sector * SECTOR as u64 }
    }
}
