//! A random workload, and what it promises.

use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::Cell;

use super::promise::{Mark, Written};
use super::random::Random;
use super::recording::{Event, Log, RecordingDevice};
use crate::{
    Change, Clock, FileStorage, FormatOptions, Garbage, Load, MemoryDevice, Metadata, NoRules, Oid, PackRequest,
    Record, Staged, Storage, StorageError, StorageTransaction, Tid, Voted,
};

/// Sectors before the first segment.
const HEAD_SECTORS: usize = 32;

/// A clock that stands where it was put.
#[derive(Clone, Debug, Default)]
pub(crate) struct TestClock(pub(crate) Rc<Cell<u64>>);

impl Clock for TestClock {
    fn now(&mut self) -> u64 {
        self.0.get()
    }
}

/// The shape of a workload.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Segments of the device.
    pub segments: usize,
    /// Their sectors.
    pub segment_sectors: u32,
    /// What is done, in steps.
    pub steps: usize,
    /// The largest payload in bytes.
    pub largest: u64,
    /// One step in so many writes a checkpoint.
    pub checkpoints: u64,
    /// One step in so many begins a pack.
    pub packs: u64,
    /// One step in so many closes the storage and opens it again.
    pub lives: u64,
}

impl Shape {
    /// Room for everything.
    pub const ROOMY: Self =
        Self { segments: 40, segment_sectors: 8, steps: 60, largest: 1_500, checkpoints: 20, packs: 15, lives: 20 };
    /// So little room that segments are used again and again, and often there is none.
    pub const FULL: Self =
        Self { segments: 18, segment_sectors: 6, steps: 80, largest: 700, checkpoints: 15, packs: 8, lives: 15 };
    /// Checkpoints and packs all the time.
    pub const BUSY: Self =
        Self { segments: 32, segment_sectors: 8, steps: 60, largest: 900, checkpoints: 4, packs: 4, lives: 9 };
    /// All of them.
    pub const ALL: [Self; 3] = [Self::ROOMY, Self::FULL, Self::BUSY];
}

/// What goes wrong on purpose in the device; defects of the storage are planted elsewhere.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Faults {
    pub(crate) drops_flushes: bool,
}

/// A workload's outcome.
pub(crate) struct Run {
    pub(crate) start: MemoryDevice,
    pub(crate) log: Log<Mark>,
}

struct Work {
    storage: Option<FileStorage<RecordingDevice<Mark>, TestClock>>,
    clock: TestClock,
    log: Log<Mark>,
    random: Random,
    shape: Shape,
    tids: Vec<Tid>,
}

/// Runs a workload.
pub(crate) fn workload(seed: u64, shape: Shape, faults: Faults) -> Run {
    let mut start = MemoryDevice::zeroed(HEAD_SECTORS + shape.segments * shape.segment_sectors as usize);
    let options = FormatOptions { segment_sectors: Some(shape.segment_sectors) };
    let formatted = FileStorage::format(&mut start, *b"a key for tests.", options);
    assert!(formatted.is_ok(), "a blank device can be formatted: {formatted:?}");
    let mut device = RecordingDevice::new(start.clone());
    device.drops_flushes = faults.drops_flushes;
    let log = Rc::clone(&device.log);
    let clock = TestClock::default();
    let mut work = Work { storage: None, clock, log: Rc::clone(&log), random: Random(seed), shape, tids: Vec::new() };
    work.open(device);
    for _ in 0..shape.steps {
        work.step();
    }
    Run { start, log }
}

impl Work {
    fn mark(&self, mark: Mark) {
        self.log.borrow_mut().push(Event::Mark(mark));
    }

    fn open(&mut self, device: RecordingDevice<Mark>) {
        // With a defect planted it may well be refused; then nothing more happens.
        self.storage = FileStorage::open(device, self.clock.clone()).ok().map(|(storage, _)| storage);
    }

    fn step(&mut self) {
        let forward = self.random.below(3);
        self.clock.0.set(self.clock.0.get() + forward);
        let Some(mut storage) = self.storage.take() else {
            return;
        };
        if self.random.below(self.shape.lives) == 0 {
            self.open(storage.into_device());
            return;
        }
        if self.random.below(self.shape.checkpoints) == 0 {
            let _ = storage.checkpoint();
        }
        if self.random.below(self.shape.packs) == 0
            && let Some(&horizon) = self.random.pick(&self.tids)
        {
            self.mark(Mark::PackAttempt(horizon));
            let garbage = if self.random.below(5) == 0 { Garbage::Keep } else { Garbage::Collect };
            let _ = storage.pack_start(PackRequest { garbage, ..PackRequest::until(horizon) });
        }
        if storage.packing() && self.random.below(2) == 0 {
            self.pack_step(&mut storage);
        }
        self.commit(&mut storage);
        self.storage = Some(storage);
    }

    fn pack_step(&mut self, storage: &mut FileStorage<RecordingDevice<Mark>, TestClock>) {
        let before = (storage.packed_up_to(), objects(storage).unwrap_or_default());
        let budget = [1, 10, usize::MAX].get(self.random.below(3) as usize).copied().unwrap_or(1);
        if storage.pack_step(budget).is_ok() && storage.packed_up_to() > before.0 {
            let left = objects(storage).unwrap_or_default();
            let gone = before.1.into_iter().filter(|oid| !left.contains(oid)).collect();
            self.mark(Mark::Packed(storage.packed_up_to(), gone));
        }
    }

    /// Votes for one to three transactions, aborts some, commits the others.
    fn commit(&mut self, storage: &mut FileStorage<RecordingDevice<Mark>, TestClock>) {
        let mut written: Vec<Written> = Vec::new();
        let mut voted = Vec::new();
        let many = self.random.below(6).saturating_sub(2).max(1);
        for _ in 0..many {
            let transaction = match self.random.below(8) {
                0 => self.undoing(storage),
                _ => self.transaction(storage),
            };
            let Ok(transaction) = transaction else {
                continue;
            };
            let state = |staged: &Staged| match &staged.change {
                Change::Record(record) => Some(record.clone()),
                Change::Deletion => None,
            };
            let changes = transaction.changes().iter().map(|(&oid, staged)| (oid, state(staged))).collect();
            let Ok(vote) = storage.vote(transaction) else {
                continue;
            };
            if self.random.below(6) == 0 {
                let _ = storage.abort(vote);
                continue;
            }
            written.push((vote.tid(), changes));
            voted.push(vote);
        }
        if voted.is_empty() {
            return;
        }
        if self.random.below(4) == 0 && storage.packing() {
            // A pack goes on while they are voted.
            self.pack_step(storage);
        }
        // Either all at once, or the first by itself.
        let rest = if self.random.below(3) == 0 { voted.split_off(1) } else { Vec::new() };
        let written_later = written.split_off(voted.len());
        self.finish(storage, voted, written);
        if !rest.is_empty() {
            self.finish(storage, rest, written_later);
        }
    }

    fn finish(
        &mut self,
        storage: &mut FileStorage<RecordingDevice<Mark>, TestClock>,
        voted: Vec<Voted>,
        written: Vec<Written>,
    ) {
        let tids: Vec<Tid> = written.iter().map(|(tid, _)| *tid).collect();
        self.mark(Mark::Attempt(written));
        if storage.finish_many(voted).is_ok() {
            self.tids.extend(tids);
            self.mark(Mark::Acknowledged);
        }
    }

    /// Stages the undoing of a transaction, which may be refused.
    fn undoing(
        &mut self,
        storage: &mut FileStorage<RecordingDevice<Mark>, TestClock>,
    ) -> Result<StorageTransaction, StorageError> {
        let mut transaction = storage.begin(Metadata::new("w", "undo"))?;
        let tid = self.random.pick(&self.tids).copied().unwrap_or(Tid::ZERO);
        let undone = storage.undo(&mut transaction, tid, &mut NoRules);
        undone.map(|_| transaction).map_err(|_| StorageError::Malformed)
    }

    /// Stages one to three changes.
    fn transaction(
        &mut self,
        storage: &mut FileStorage<RecordingDevice<Mark>, TestClock>,
    ) -> Result<StorageTransaction, StorageError> {
        let known = objects(storage)?;
        let mut transaction = storage.begin(Metadata::new("w", "step"))?;
        for _ in 0..=self.random.below(3) {
            let new = !known.is_empty() && self.random.below(3) == 0;
            let oid = if new { storage.new_oid()? } else { self.random.pick(&known).copied().unwrap_or(Oid::ROOT) };
            if new {
                self.mark(Mark::Issued(oid));
            }
            let mut based_on = storage.revision_before(oid, Tid::MAX)?.revision();
            if self.random.below(12) == 0 {
                // Stale: a conflict.
                based_on = storage.revision_before(oid, based_on)?.revision();
            }
            let payload = (0..self.random.below(self.shape.largest)).map(|_| self.random.next() as u8).collect();
            let mut references: Vec<Oid> =
                (0..self.random.below(4)).filter_map(|_| self.random.pick(&known).copied()).collect();
            references.extend(transaction.changes().keys().copied().filter(|_| oid == Oid::ROOT));
            let record = Record { schema: 1, version: 1, references, capabilities: Vec::new(), payload };
            storage.store(&mut transaction, oid, based_on, record);
        }
        Ok(transaction)
    }
}

/// The objects that exist.
fn objects<S: Storage>(storage: &mut S) -> Result<Vec<Oid>, StorageError> {
    let mut objects = Vec::new();
    let mut at = None;
    while let Some(oid) = storage.next_object(at)? {
        if matches!(storage.revision_before(oid, Tid::MAX)?, Load::Data { .. }) {
            objects.push(oid);
        }
        at = Some(oid);
    }
    Ok(objects)
}
