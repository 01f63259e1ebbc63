//! Opening: from two root slots and a log to the last commit.
//!
//! The root with the greater epoch counts. Its index trees cover the log up to a place, and the log is scanned from there. In
//! a closed run every batch must be there up to its end. In the last run, bytes that are no batch are *rot* if the batch that
//! belongs there is known to have been durable, or if a later one follows; else they are a torn tail, which is cut. Each batch
//! says that its predecessors were durable, so only the very last can be in doubt.
//!
//! If one slot is invalid, it may have held the newest root: torn in the making, or rotten. That root can have added one run
//! to the log at most, which its generation gives away; if its first batch continues the log, it is taken in.

use alloc::vec::Vec;

use super::batch::{BatchHeader, BatchKind, HEADER};
use super::defect::Defect;
use super::entry::Entry;
use super::index::Index;
use super::pack_body;
use super::report::{LastBatch, OpenError};
use super::root::{Root, ScanStart};
use super::table::Run;
use super::transaction_body::Head;
use super::volume::{Found, Volume};
use super::walk::Alive;
use super::window::Window;
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

/// Where a scan begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum From {
    /// Where the index trees end.
    Checkpoint,
    /// At the beginning of the log, because the trees are damaged.
    Start,
}

/// What a scan found.
pub(crate) struct Recovered {
    pub(crate) index: Index,
    pub(crate) tail: Tail,
    pub(crate) oid_reserved: u64,
    pub(crate) last: Tid,
    pub(crate) horizon: Tid,
    /// Runs of smaller generations are to be cleaned by the pack that moved the horizon, if the root does not know it.
    pub(crate) clean_below: Option<Epoch>,
    pub(crate) objects: u64,
    pub(crate) transactions: u64,
    pub(crate) batches: u64,
    pub(crate) sectors: u64,
    pub(crate) last_batch: LastBatch,
    /// A run that the root in force does not know, and where the run before it ends.
    pub(crate) adopted: Option<Adopted>,
}

/// A run that was taken in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Adopted {
    pub(crate) run: Run,
    /// The run before it, and the sector behind its last batch.
    pub(crate) before: Option<(Run, u64)>,
}

/// Recovers the state of a volume. Reads only.
pub(crate) fn recover<D: BlockDevice>(
    volume: &mut Volume<D>,
    from: From,
    slot_lost: bool,
) -> Result<Recovered, OpenError> {
    let root = volume.root().clone();
    let start = match from {
        From::Checkpoint => root.scan,
        From::Start => ScanStart { segment: None, sector: 0, sequence: 0 },
    };
    let runs = root.table.runs(super::table::RunKind::Log);
    let first = match start.segment {
        None => 0,
        Some(head) => {
            let found = runs.iter().enumerate().find(|(_, run)| run.head == head).ok_or(OpenError::BadRoot)?;
            if !(1..=volume.run_sectors(found.1)).contains(&start.sector) {
                return Err(OpenError::BadRoot);
            }
            found.0
        }
    };
    let mut scan = Scan::new(volume, &root, start.sequence);
    for (number, run) in runs.iter().enumerate().skip(first) {
        let start = if number == first && start.segment.is_some() { Some(start.sector) } else { None };
        scan.run(run, start)?;
    }
    let adopted = if slot_lost { scan.adopt(&runs, root.epoch)? } else { None };
    scan.check_complete()?;
    let trees = if from == From::Checkpoint { root.trees } else { Vec::new() };
    scan.recovered(trees, adopted)
}

struct Scan<'a, D> {
    volume: &'a mut Volume<D>,
    window: Window,
    /// What the batches tell, in their order.
    entries: Vec<Entry>,
    tail: Tail,
    flushed: u64,
    oid_reserved: u64,
    /// The last transaction of the scan; numbers of commits grow.
    last: Tid,
    horizon: Tid,
    clean_below: Option<Epoch>,
    /// The counts, as of the root's checkpoint: batches before it are in them.
    counted: u64,
    objects: u64,
    transactions: u64,
    root_last: Tid,
    batches: u64,
    sectors: u64,
    last_batch: LastBatch,
}

impl<'a, D: BlockDevice> Scan<'a, D> {
    fn new(volume: &'a mut Volume<D>, root: &Root, sequence: u64) -> Self {
        Self {
            volume,
            window: Window::default(),
            entries: Vec::new(),
            tail: Tail { run: None, sector: 0, sequence },
            flushed: root.flushed,
            oid_reserved: root.oid_reserved,
            last: Tid::ZERO,
            horizon: if Defect::HorizonForgotten.is_planted() { Tid::ZERO } else { root.horizon },
            clean_below: None,
            counted: root.scan.sequence,
            objects: root.objects,
            transactions: root.transactions,
            root_last: root.last_tid,
            batches: 0,
            sectors: 0,
            last_batch: LastBatch::None,
        }
    }

    /// Scans a run from a sector, or from its first batch.
    fn run(&mut self, run: &Run, from: Option<u64>) -> Result<(), OpenError> {
        let header = self.volume.read_run_header(run.head)?;
        let right = |found: &Run| found.generation == run.generation && found.span == run.span;
        let header = header.filter(|header| right(&header.run)).ok_or(self.rot(run, 0))?;
        let sequence = match from {
            Some(_) => self.tail.sequence,
            // Numbers are missing where a pack freed runs, and never repeat.
            None if header.first >= self.tail.sequence => header.first,
            None => return Err(self.rot(run, 0)),
        };
        self.tail = Tail { run: Some(*run), sector: from.unwrap_or(1), sequence };
        loop {
            if run.end.is_some_and(|end| self.tail.sector == u64::from(end)) {
                return Ok(());
            }
            match self.volume.read_batch(&mut self.window, run, self.tail.sector, Some(self.tail.sequence))? {
                Found::Batch(header) => self.apply(run, &header)?,
                _ if run.end.is_some() => return Err(self.rot(run, self.tail.sector)),
                found => return self.end(run, &found),
            }
        }
    }

    fn apply(&mut self, run: &Run, header: &BatchHeader) -> Result<(), OpenError> {
        let rot = self.rot(run, self.tail.sector);
        let place = self.volume.sector(run, self.tail.sector);
        let address = place * SECTOR as u64 + HEADER as u64;
        let end = self.volume.sector(run, self.volume.run_sectors(run));
        let bytes = self.window.get(self.volume, place, header.sectors(), end)?;
        let body = bytes.get(HEADER..header.length as usize).unwrap_or_default();
        let counts = self.tail.sequence >= self.counted;
        let mut last = self.last;
        if header.kind == BatchKind::Pack {
            let pack = pack_body::decode(body).ok_or(rot)?;
            if pack.horizon > self.horizon && !Defect::HorizonForgotten.is_planted() {
                self.horizon = pack.horizon;
                self.clean_below = Some(run.generation);
            }
            self.objects = self.objects.saturating_sub(if counts { pack.collected.len() as u64 } else { 0 });
            self.entries.try_reserve(pack.collected.len()).map_err(StorageError::from)?;
            if !Defect::CollectedReturns.is_planted() {
                self.entries.extend(pack.entries());
            }
        } else {
            let mut rest = body;
            let cut = Defect::GroupCutShort.is_planted() && header.kind == BatchKind::Commit;
            for _ in 0..if cut { 1 } else { header.transactions } {
                let head = Head::decode(self.volume.seal, rest).ok_or(rot)?;
                let position = (body.len() - rest.len()) as u64;
                let total = usize::try_from(head.total()).map_err(|_| rot)?;
                rest = rest.get(total..).ok_or(rot)?;
                let located = head.locate(address + position)?;
                if header.kind == BatchKind::Commit {
                    if head.tid <= last {
                        return Err(rot);
                    }
                    last = head.tid;
                    self.objects += if counts { located.created } else { 0 };
                    self.transactions += u64::from(counts);
                }
                if Defect::CopiesIgnored.is_planted() && header.kind == BatchKind::Moved {
                    continue;
                }
                self.entries.try_reserve(located.entries.len()).map_err(StorageError::from)?;
                self.entries.extend(located.entries);
            }
        }
        self.last = last;
        self.flushed = self.flushed.max(header.flushed);
        self.oid_reserved = self.oid_reserved.max(header.oid_reserved);
        self.root_last = self.root_last.max(header.tid);
        self.last_batch = match self.tail.sequence < self.flushed {
            true => LastBatch::Confirmed(header.tid),
            false => LastBatch::Unconfirmed(header.tid),
        };
        self.tail.sequence += 1;
        self.tail.sector += header.sectors();
        self.batches += 1;
        self.sectors += header.sectors();
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
    fn adopt(&mut self, runs: &[Run], epoch: Epoch) -> Result<Option<Adopted>, OpenError> {
        let generation = Epoch::new(epoch.number().saturating_add(1));
        let mut adopted = None;
        for segment in 0..self.volume.root().geometry.segments {
            if !self.volume.root().table.is_free(segment) {
                continue;
            }
            let Some(header) = self.volume.read_run_header(SegmentId::new(segment))? else {
                continue;
            };
            let run = header.run;
            let table = &self.volume.root().table;
            let fits =
                (0..run.span).all(|offset| segment.checked_add(offset).is_some_and(|index| table.is_free(index)));
            if run.generation != generation || header.first != self.tail.sequence || !fits {
                continue;
            }
            let found = self.volume.read_batch(&mut self.window, &run, 1, Some(header.first))?;
            if matches!(found, Found::Batch(_)) && adopted.replace(run).is_some() {
                return Err(OpenError::AmbiguousRoot);
            }
        }
        let Some(run) = adopted.filter(|run| !runs.contains(run)) else {
            return Ok(None);
        };
        let before = self.tail.run.map(|before| (before, self.tail.sector));
        self.run(&run, None)?;
        Ok(Some(Adopted { run, before }))
    }

    /// No batch that is known to be durable may be missing.
    fn check_complete(&self) -> Result<(), OpenError> {
        if self.tail.sequence >= self.flushed {
            return Ok(());
        }
        Err(self.tail.run.map_or(OpenError::BadRoot, |run| self.rot(&run, self.tail.sector)))
    }

    fn recovered(self, trees: Vec<super::tree::Tree>, adopted: Option<Adopted>) -> Result<Recovered, OpenError> {
        let complete = trees.is_empty();
        let mut index = Index::new(self.entries, trees);
        if complete && self.horizon > Tid::ZERO {
            let mut alive = Alive::new(self.horizon, true);
            let mut entries: Vec<Entry> = index.recent_entries().filter_map(|entry| alive.push(entry)).collect();
            entries.extend(alive.finish());
            index = Index::new(entries, Vec::new());
        }
        Ok(Recovered {
            index,
            tail: self.tail,
            oid_reserved: self.oid_reserved,
            last: if Defect::TidsReused.is_planted() { self.last } else { self.root_last },
            horizon: self.horizon,
            clean_below: self.clean_below,
            objects: self.objects,
            transactions: self.transactions,
            batches: self.batches,
            sectors: self.sectors,
            last_batch: self.last_batch,
            adopted,
        })
    }

    fn rot(&self, run: &Run, sector: u64) -> OpenError {
        OpenError::Rot { segment: run.head, offset: sector * SECTOR as u64 }
    }
}
