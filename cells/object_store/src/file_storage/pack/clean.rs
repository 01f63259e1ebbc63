//! Cleaning: what still counts is copied out of a run of the log, and the run is freed.
//!
//! A step fills one batch with what is left of the transactions of one run or several, appends it, and frees the runs that
//! are done with. Until a root says so they stay as they were, so that a power cut leaves two copies, of which the later one
//! counts. The order of the runs is free, but for one rule: every run that holds something of a collected object is cleaned,
//! for the batch that says so may itself go with the next pack.

use alloc::vec::Vec;

use super::super::FileStorage;
use super::super::batch::{BatchHeader, BatchKind, HEADER};
use super::super::defect::Defect;
use super::super::entry::{Entry, Key, Place};
use super::super::frame::{Content, Frame};
use super::super::table::{Run, RunKind};
use super::super::transaction_body::{self, Head, Listed};
use super::super::volume::{Found, Reserve};
use super::super::window::Window;
use super::sweep::Sweep;
use crate::device::{BlockDevice, SECTOR};
use crate::{Clock, Epoch, PackReport, StorageError};

/// A run of which at least this share in percent still counts is left as it is.
const WORTH_KEEPING: u64 = 90;
/// Batches are read in a step, even if nothing of them is kept, until about this many bytes.
const STEP_BYTES: u64 = 8 << 20;

/// The runs that are still to be cleaned.
pub(super) struct Clean {
    /// Only runs of smaller generations.
    below: Epoch,
    /// What is known of each segment, if this life of the storage has swept.
    known: Option<(Vec<u64>, Vec<bool>)>,
    queue: Option<Vec<Run>>,
    done: u64,
    /// Where the first run of the queue goes on: a sector.
    sector: u64,
}

/// What was taken, and is not put down yet.
struct Taken {
    moved: Option<Moved>,
    /// Transactions of which nothing is left.
    ended: u64,
    /// Runs, from the end of the queue, of which all is taken.
    emptied: usize,
    /// Where the next run goes on: a sector.
    sector: u64,
}

/// A batch that takes in what is kept.
struct Moved {
    frame: Frame,
    count: u16,
    entries: Vec<Entry>,
}

impl Clean {
    pub(super) fn after(below: Epoch, sweep: &mut Sweep) -> Self {
        let known = (core::mem::take(&mut sweep.live), core::mem::take(&mut sweep.holds_collected));
        Self { known: Some(known), ..Self::resumed(below) }
    }

    pub(super) fn resumed(below: Epoch) -> Self {
        Self { below, known: None, queue: None, done: 0, sector: 1 }
    }

    pub(super) fn is_resumed(&self) -> bool {
        self.known.is_none()
    }

    pub(super) fn done(&self) -> u64 {
        self.done
    }

    pub(super) fn total(&self) -> u64 {
        self.done + self.queue.as_ref().map_or(0, |queue| queue.len() as u64)
    }

    /// The runs to be cleaned, the best last: that with the least to be copied.
    fn plan(&self, runs: Vec<Run>) -> Vec<Run> {
        let mut queue: Vec<(u64, Run)> = Vec::new();
        for run in runs.into_iter().filter(|run| run.generation < self.below) {
            let segments = (run.head.number()..).take(run.span as usize).map(|segment| segment as usize);
            let Some((live, holds)) = &self.known else {
                queue.push((0, run));
                continue;
            };
            let bytes: u64 = segments.clone().filter_map(|segment| live.get(segment)).sum();
            let held = segments.clone().filter_map(|segment| holds.get(segment)).any(|&holds| holds);
            let used = run.end.map_or(0, |end| u64::from(end.saturating_sub(1)) * SECTOR as u64);
            if held || bytes * 100 < used * WORTH_KEEPING {
                queue.push((bytes, run));
            }
        }
        queue.sort_by_key(|&(bytes, run)| core::cmp::Reverse((bytes, run.generation)));
        queue.into_iter().map(|(_, run)| run).collect()
    }
}

impl<D: BlockDevice, C: Clock> FileStorage<D, C> {
    /// Cleans some; answers whether everything is clean. On an error nothing has changed.
    pub(super) fn clean_step(&mut self, clean: &mut Clean, report: &mut PackReport) -> Result<bool, StorageError> {
        self.scan_from_behind(clean.below)?;
        let queue = match clean.queue.take() {
            Some(queue) => queue,
            None => clean.plan(self.volume.root().table.runs(RunKind::Log)),
        };
        let taken = self.take_one_batch(clean.sector, &queue);
        let queue = clean.queue.insert(queue);
        let taken = taken?;
        let left = queue.len() - taken.emptied;
        let emptied = queue.get(left..).unwrap_or_default();
        self.put_down(taken.moved, emptied)?;
        clean.done += emptied.len() as u64;
        clean.sector = taken.sector;
        queue.truncate(left);
        report.transactions += taken.ended;
        if left > 0 {
            return Ok(false);
        }
        let mut root = self.current_root()?;
        root.clean_below = Epoch::new(0);
        self.volume.publish(root.prepare()?)?;
        Ok(true)
    }

    /// The next opening must not need what is freed: its scan begins behind all of it.
    fn scan_from_behind(&mut self, below: Epoch) -> Result<(), StorageError> {
        let root = self.volume.root();
        let runs = root.table.runs(RunKind::Log);
        let start = root.scan.segment.and_then(|head| runs.into_iter().find(|run| run.head == head));
        if start.is_some_and(|run| run.generation >= below) || Defect::PackWithoutCheckpoint.is_planted() {
            return Ok(());
        }
        self.checkpoint()
    }

    /// Takes what is kept of the runs at the end of the queue, as much as one batch holds, beginning at a sector of the last.
    fn take_one_batch(&mut self, sector: u64, queue: &[Run]) -> Result<Taken, StorageError> {
        let mut taken = Taken { moved: None, ended: 0, emptied: 0, sector };
        let mut window = Window::default();
        let mut read = 0;
        for run in queue.iter().rev() {
            let end = run.end.map_or(1, u64::from);
            while taken.sector < end {
                if read >= STEP_BYTES {
                    return Ok(taken);
                }
                let found = self.volume.read_batch(&mut window, run, taken.sector, None)?;
                let Found::Batch(header) = found else {
                    return Err(StorageError::Rot { segment: run.head, offset: taken.sector * SECTOR as u64 });
                };
                if header.kind != BatchKind::Pack && !self.take_of_batch(&mut taken, run, &header, &mut window)? {
                    return Ok(taken);
                }
                taken.sector += header.sectors();
                read += header.sectors() * SECTOR as u64;
            }
            taken.emptied += 1;
            taken.sector = 1;
        }
        Ok(taken)
    }

    /// Takes what is kept of one batch; `false` if there was no room for all of it. What was taken and put down is not
    /// taken again: the index then names the copy.
    fn take_of_batch(
        &mut self,
        taken: &mut Taken,
        run: &Run,
        header: &BatchHeader,
        window: &mut Window,
    ) -> Result<bool, StorageError> {
        let seal = self.volume.seal;
        let address = header.sector * SECTOR as u64;
        let rot = self.volume.rot(address);
        let end = self.volume.sector(run, self.volume.run_sectors(run));
        let batch = window.get(&mut self.volume, header.sector, header.sectors(), end)?;
        let batch = batch.get(..header.length as usize).ok_or(rot)?;
        let mut position = HEADER;
        for _ in 0..header.transactions {
            let head = Head::decode(seal, batch.get(position..).ok_or(rot)?).ok_or(rot)?;
            let place = address + position as u64;
            let kept = self.kept(&head, place)?;
            let names = |found: Option<Place>, place: u64| found.is_some_and(|found| found.address == place);
            let key = Key::transaction(head.tid);
            let indexed = self.consult(|index, volume, view| index.is_alive(volume, key, view.horizon))?;
            // If nothing is kept, that must stand in the log too, until no index names the transaction any more.
            let rest = if kept.is_empty() && head.tid <= self.horizon { head.tombstone() } else { head };
            if (!kept.is_empty() || names(indexed, place)) && !self.take(taken, &rest, &kept, batch, address)? {
                return Ok(false);
            }
            taken.ended += u64::from(rest.is_tombstone() && names(indexed, place));
            position += usize::try_from(head.total()).map_err(|_| rot)?;
        }
        Ok(true)
    }

    /// The changes of a transaction that count, of those that stand here.
    fn kept(&mut self, head: &Head<'_>, place: u64) -> Result<Vec<Listed>, StorageError> {
        let mut kept = Vec::new();
        kept.try_reserve(head.changes())?;
        for change in head.listed(place) {
            let key = Key::new(change.oid, head.tid);
            let found = self.consult(|index, volume, view| index.is_alive(volume, key, view.horizon))?;
            if found.is_some_and(|found| found.address == change.place.address) {
                kept.push(change);
            }
        }
        Ok(kept)
    }

    /// Takes what is kept of a transaction into the batch; `false` if there is no room.
    fn take(
        &mut self,
        taken: &mut Taken,
        head: &Head<'_>,
        kept: &[Listed],
        batch: &[u8],
        address: u64,
    ) -> Result<bool, StorageError> {
        let needed = transaction_body::rest_length(head, kept);
        let moved = match &mut taken.moved {
            Some(moved) if moved.count == u16::MAX || !moved.frame.fits(moved.frame.length() + needed, 0) => {
                return Ok(false);
            }
            Some(moved) => moved,
            None => {
                let frame = self.frame(HEADER as u64 + needed, Reserve::Open)?;
                taken.moved.insert(Moved { frame, count: 0, entries: Vec::new() })
            }
        };
        let record_of = |change: &Listed| {
            let start = usize::try_from(change.place.address - address).ok()?;
            batch.get(start..start + change.place.length as usize)
        };
        let origin = moved.frame.origin();
        let located =
            transaction_body::encode_rest(self.volume.seal, head, kept, record_of, moved.frame.body(), origin)?;
        moved.entries.try_reserve(located.entries.len())?;
        moved.entries.extend(located.entries);
        moved.count += 1;
        Ok(true)
    }

    /// Makes a batch durable and frees the runs that are done with.
    fn put_down(&mut self, moved: Option<Moved>, emptied: &[Run]) -> Result<(), StorageError> {
        let oid_reserved = self.oid_reserved;
        let early = Defect::FreedBeforeCopy.is_planted();
        let mut published = false;
        if let Some(moved) = moved {
            let publication = if moved.frame.opens_run {
                let mut root = self.root_of(&moved.frame, self.last, oid_reserved)?;
                emptied.iter().for_each(|run| root.table.release(run));
                published = true;
                Some(root.prepare()?)
            } else {
                if early {
                    self.free(emptied)?;
                }
                None
            };
            let content = Content { kind: BatchKind::Moved, transactions: moved.count, last: self.last, oid_reserved };
            let mut frame = moved.frame;
            frame.reserve(frame.length())?;
            self.append(frame, content, publication)?;
            self.index.insert(moved.entries);
        }
        if published || emptied.is_empty() {
            return Ok(());
        }
        self.free(emptied)
    }

    fn free(&mut self, runs: &[Run]) -> Result<(), StorageError> {
        let mut root = self.current_root()?;
        runs.iter().for_each(|run| root.table.release(run));
        self.volume.publish(root.prepare()?)
    }
}
