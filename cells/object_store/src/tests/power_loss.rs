//! Power cuts, enumerated.
//!
//! A seeded workload runs on a recording device. For every point of its log of writes and flushes the disk is rebuilt with
//! subsets of the sectors that were not flushed yet, opened, and compared with what had been acknowledged by then. Then the
//! storage must go on: new numbers, one more commit, opened once more. Planted defects show that the enumeration finds them.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::devices::{Event, Log, RecordingDevice};
use super::support::{Random, TestClock, formatted, put, record};
use crate::file_storage::Defect;
use crate::{
    BlockDevice, FileStorage, LastBatch, Load, MemoryDevice, Metadata, Oid, Record, SECTOR, Storage, StorageError,
    Store, Tid,
};

/// A state that a commit made: its transactions, and what each object is.
#[derive(Clone, Debug, Default)]
struct State {
    tids: Vec<Tid>,
    objects: BTreeMap<Oid, Record>,
}

/// What the workload says between the events of its device.
#[derive(Clone, Debug)]
enum Mark {
    /// It commits; this would be the state.
    Attempt(State),
    /// The commit was acknowledged with this number.
    Acknowledged(Tid),
    /// The commit was refused.
    Refused,
    /// This object number was issued.
    Issued(Oid),
}

/// A workload's outcome.
struct Run {
    start: MemoryDevice,
    log: Log<Mark>,
}

/// What goes wrong on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Planted {
    Nothing,
    InStorage(Defect),
    FlushesDropped,
}

/// The shape of a workload.
#[derive(Clone, Copy, Debug)]
struct Shape {
    segments: usize,
    segment_sectors: u32,
    steps: usize,
    largest: u64,
    /// One step in so many writes a checkpoint.
    checkpoints: u64,
}

const SMALL: Shape = Shape { segments: 40, segment_sectors: 8, steps: 60, largest: 2_500, checkpoints: 20 };
const FULL: Shape = Shape { segments: 9, segment_sectors: 6, steps: 50, largest: 1_500, checkpoints: 20 };

/// Checkpoints all the time.
const BUSY: Shape = Shape { checkpoints: 3, ..SMALL };

fn workload(seed: u64, shape: Shape, planted: Planted) -> Run {
    let start = formatted(shape.segments, shape.segment_sectors);
    let mut device = RecordingDevice::new(start.clone());
    device.drops_flushes = planted == Planted::FlushesDropped;
    let log = device.log.clone();
    let clock = TestClock::default();
    let (storage, _) = FileStorage::open(device, clock.clone()).unwrap();
    let mut store = Store::new(storage, 4_000);
    let mut random = Random(seed);
    let mut now = State::default();
    let mark = |mark| log.borrow_mut().push(Event::Mark(mark));
    let mut open = Vec::new();
    for step in 0..shape.steps {
        clock.0.set(clock.0.get() + random.below(3));
        if step > 5 && random.below(shape.checkpoints) == 0 {
            let _ = store.storage_mut().checkpoint();
        }
        match random.below(20) {
            1 if !open.is_empty() => {
                let (id, _) = open.swap_remove(random.below(open.len() as u64) as usize);
                store.abort(id).unwrap();
            }
            2..8 => open.push((store.begin(Metadata::new("w", "step")).unwrap(), BTreeMap::new())),
            _ => {}
        }
        if open.is_empty() {
            open.push((store.begin(Metadata::default()).unwrap(), BTreeMap::new()));
        }
        let chosen = random.below(open.len() as u64) as usize;
        let (id, writes) = &mut open[chosen];
        for _ in 0..=random.below(3) {
            let known: Vec<Oid> = now.objects.keys().copied().collect();
            let payload: Vec<u8> = (0..random.below(shape.largest)).map(|_| random.next() as u8).collect();
            let oid = if known.is_empty() {
                Oid::ROOT
            } else if random.below(2) == 0 {
                let oid = store.new_oid(*id).unwrap();
                mark(Mark::Issued(oid));
                oid
            } else {
                known[random.below(known.len() as u64) as usize]
            };
            let references: Vec<Oid> = known.first().copied().into_iter().collect();
            if store.put(*id, oid, record(&payload, &references)).is_ok() {
                writes.insert(oid, record(&payload, &references));
            }
        }
        if random.below(3) > 0 {
            let (id, writes) = open.swap_remove(chosen);
            let mut next = now.clone();
            next.objects.extend(writes);
            mark(Mark::Attempt(next.clone()));
            let before = log.borrow().len();
            match store.commit(id) {
                Ok(_) if log.borrow().len() == before => mark(Mark::Refused),
                Ok(tid) => {
                    next.tids.push(tid);
                    now = next;
                    mark(Mark::Acknowledged(tid));
                }
                Err(_) => {
                    mark(Mark::Refused);
                    store.abort(id).unwrap();
                }
            }
        }
    }
    Run { start, log }
}

/// The disk while the power may fail: what is durable, and what is not yet.
struct Disk {
    durable: MemoryDevice,
    digest: u64,
    window: Vec<(u64, Vec<u8>)>,
}

fn sector_digest(sector: u64, data: &[u8]) -> u64 {
    let checksum = u64::from(crc32fast::hash(data));
    Random(sector << 32 | checksum).next()
}

impl Disk {
    fn apply(&mut self, subset: &[bool]) -> (MemoryDevice, u64) {
        let (mut image, mut digest) = (self.durable.clone(), self.digest);
        for ((sector, data), _) in self.window.iter().zip(subset).filter(|(_, kept)| **kept) {
            let place = *sector as usize * SECTOR;
            let old = &mut image.bytes_mut()[place..place + SECTOR];
            digest ^= sector_digest(*sector, old) ^ sector_digest(*sector, data);
            old.copy_from_slice(data);
        }
        (image, digest)
    }

    fn write(&mut self, sector: u64, data: &[u8]) {
        self.window.extend((sector..).zip(data.chunks(SECTOR).map(<[u8]>::to_vec)));
    }

    fn flush(&mut self) {
        (self.durable, self.digest) = self.apply(&alloc::vec![true; self.window.len()]);
        self.window.clear();
    }

    /// The subsets of the window that are tried: all of a small one, else prefixes, suffixes, all but one, one alone and
    /// some at random.
    fn subsets(&self, random: &mut Random) -> Vec<Vec<bool>> {
        let count = self.window.len();
        if count <= 5 {
            return (0..1u32 << count).map(|bits| (0..count).map(|bit| bits >> bit & 1 == 1).collect()).collect();
        }
        let mut subsets = Vec::new();
        let step = count.div_ceil(24);
        for edge in (0..=count).step_by(step) {
            subsets.push((0..count).map(|at| at < edge).collect());
            subsets.push((0..count).map(|at| at >= edge).collect());
            subsets.push((0..count).map(|at| at != edge).collect());
            subsets.push((0..count).map(|at| at == edge).collect());
        }
        for _ in 0..12 {
            subsets.push((0..count).map(|_| random.below(2) == 0).collect());
        }
        subsets
    }
}

/// What must be there after a cut.
#[derive(Clone, Debug, Default)]
struct Promise {
    acknowledged: State,
    attempt: Option<State>,
    issued: Option<Oid>,
    /// Every earlier state, by the number of its last transaction.
    past: Vec<State>,
}

impl Promise {
    fn mark(&mut self, mark: &Mark) {
        match mark {
            Mark::Attempt(state) => self.attempt = Some(state.clone()),
            Mark::Refused => self.attempt = None,
            Mark::Issued(oid) => self.issued = self.issued.max(Some(*oid)),
            Mark::Acknowledged(tid) => {
                let mut state = self.attempt.take().unwrap();
                state.tids = self.acknowledged.tids.clone();
                state.tids.push(*tid);
                self.past.push(core::mem::replace(&mut self.acknowledged, state));
            }
        }
    }
}

/// The state in a storage just before a transaction.
pub(super) fn state_before<S: Storage>(storage: &mut S, before: Tid) -> Result<BTreeMap<Oid, Record>, StorageError> {
    let mut objects = BTreeMap::new();
    let mut at = None;
    while let Some(oid) = storage.next_object(at).unwrap() {
        if let Load::Data { record, .. } = storage.load_before(oid, before)? {
            objects.insert(oid, record);
        }
        at = Some(oid);
    }
    Ok(objects)
}

/// The transactions in a storage, oldest first.
pub(super) fn tids<S: Storage>(storage: &mut S) -> Result<Vec<Tid>, StorageError> {
    let mut tids = Vec::new();
    let mut before = Tid::MAX;
    while let Some(info) = storage.transaction_before(before)? {
        before = info.tid;
        tids.insert(0, info.tid);
    }
    Ok(tids)
}

/// Opens an image and checks it; says what is wrong.
fn check(image: MemoryDevice, promise: &Promise) -> Result<MemoryDevice, String> {
    let wrong = |what: &str| Err(String::from(what));
    let failed = |error: StorageError| alloc::format!("cannot be read: {error:?}");
    let (mut storage, report) = match FileStorage::open(image, TestClock::default()) {
        Ok(opened) => opened,
        Err(refused) => return Err(alloc::format!("refused: {:?}", refused.error)),
    };
    let found = tids(&mut storage).map_err(failed)?;
    let kept = promise.acknowledged.tids.len();
    let attempted = found.len() == kept + 1 && promise.attempt.is_some();
    if found.get(..kept) != Some(&promise.acknowledged.tids) || (found.len() != kept && !attempted) {
        return wrong("acknowledged transactions are missing, or others are there");
    }
    let expected = if attempted { promise.attempt.as_ref().unwrap() } else { &promise.acknowledged };
    if state_before(&mut storage, Tid::MAX).map_err(failed)? != expected.objects {
        return wrong("objects differ");
    }
    if attempted && matches!(report.last_batch, LastBatch::None) {
        return wrong("the report does not tell of the last batch");
    }
    if let Some(past) = promise.past.get(kept / 2) {
        let before = past.tids.last().map_or(Tid::new(1), |tid| tid.after());
        if state_before(&mut storage, before).map_err(failed)? != past.objects {
            return wrong("the past differs");
        }
    }
    if Some(storage.new_oid().unwrap()) <= promise.issued {
        return wrong("an object number repeats");
    }
    // It goes on: one more commit, if there is room, and opened again.
    let mut expected = expected.clone();
    let last = storage.last_transaction();
    if let Ok(tid) = put(&mut storage, Oid::ROOT, record(b"after the cut", &[])) {
        if tid <= last {
            return wrong("a transaction number repeats");
        }
        expected.objects.insert(Oid::ROOT, record(b"after the cut", &[]));
    }
    let device = storage.into_device();
    let (mut storage, _) =
        FileStorage::open_read_only(device.clone()).map_err(|refused| alloc::format!("again: {:?}", refused.error))?;
    if state_before(&mut storage, Tid::MAX).map_err(failed)? != expected.objects {
        return wrong("objects differ after the next commit");
    }
    Ok(device)
}

/// What an enumeration came to.
#[derive(Debug, Default)]
struct Tally {
    states: BTreeSet<(u64, usize, bool)>,
    events: usize,
    violations: Vec<String>,
}

/// Cuts the power everywhere.
fn enumerate(run: &Run, seed: u64, tally: &mut Tally) {
    let mut random = Random(seed ^ 0x5eed);
    let mut disk = Disk { durable: run.start.clone(), digest: seed, window: Vec::new() };
    let mut promise = Promise::default();
    for event in run.log.borrow().iter() {
        tally.events += 1;
        match event {
            Event::Write { sector, data } => disk.write(*sector, data),
            Event::Flush => disk.flush(),
            Event::Mark(mark) => promise.mark(mark),
        }
        for subset in disk.subsets(&mut random) {
            let (image, digest) = disk.apply(&subset);
            if !tally.states.insert((digest, promise.acknowledged.tids.len(), promise.attempt.is_some())) {
                continue;
            }
            let outcome = catch_unwind(AssertUnwindSafe(|| check(image, &promise)));
            match outcome {
                Ok(Ok(_)) => {}
                Ok(Err(what)) => tally.violations.push(what),
                Err(_) => tally.violations.push("panic".into()),
            }
        }
    }
}

fn enumerate_all(seeds: core::ops::Range<u64>, shape: Shape, planted: Planted) -> Tally {
    let mut tally = Tally::default();
    for seed in seeds {
        let defect = if let Planted::InStorage(defect) = planted { Some(defect) } else { None };
        let run = Defect::plant(defect, || workload(seed, shape, planted));
        Defect::plant(defect, || enumerate(&run, seed, &mut tally));
    }
    std::println!("{planted:?}: {} states, {} violations", tally.states.len(), tally.violations.len());
    tally
}

#[test]
fn every_cut_leaves_what_was_acknowledged() {
    let tally = enumerate_all(0..3, SMALL, Planted::Nothing);
    assert_eq!(tally.violations, Vec::<String>::new());
    assert!(tally.states.len() > 3_000, "{}", tally.states.len());
}

#[test]
fn every_cut_on_a_full_disk_leaves_what_was_acknowledged() {
    let tally = enumerate_all(100..106, FULL, Planted::Nothing);
    assert_eq!(tally.violations, Vec::<String>::new());
    assert!(tally.states.len() > 1_000, "{}", tally.states.len());
}

#[test]
fn dropped_flushes_are_found() {
    assert!(!enumerate_all(0..1, FULL, Planted::FlushesDropped).violations.is_empty());
}

#[test]
fn an_acknowledgement_before_the_flush_is_found() {
    assert!(!enumerate_all(0..1, FULL, Planted::InStorage(Defect::FlushSkipped)).violations.is_empty());
}

#[test]
fn a_root_before_its_data_is_found() {
    assert!(!enumerate_all(0..1, FULL, Planted::InStorage(Defect::RootBeforeData)).violations.is_empty());
}

#[test]
fn an_unchecked_batch_is_found() {
    assert!(!enumerate_all(0..1, FULL, Planted::InStorage(Defect::BodyUnchecked)).violations.is_empty());
}

/// Cuts the power at every event and damages one root slot as well: rot and a power cut at once.
fn lose_each_root(shape: Shape, seed: u64) -> Tally {
    let mut tally = Tally::default();
    let run = workload(seed, shape, Planted::Nothing);
    let mut promise = Promise::default();
    let mut image = run.start.clone();
    for event in run.log.borrow().iter() {
        tally.events += 1;
        match event {
            Event::Write { sector, data } => image.write(*sector, data).unwrap(),
            Event::Flush => continue,
            Event::Mark(mark) => promise.mark(mark),
        }
        for slot in [8, 16] {
            let mut rotten = image.clone();
            rotten.bytes_mut()[slot * SECTOR + 40] ^= 1;
            let outcome = match FileStorage::open_read_only(rotten.clone()) {
                Ok((_, report)) if !report.root_slot_lost => Err("the loss is not told".into()),
                Ok((_, report)) if report.index_rebuilt => Err("the checkpoint was lost with the root".into()),
                _ => check(rotten, &promise).and_then(|device| match FileStorage::open_read_only(device) {
                    Ok((_, report)) if !report.root_slot_lost => Ok(()),
                    _ => Err("not repaired".into()),
                }),
            };
            tally.violations.extend(outcome.err());
        }
    }
    tally
}

#[test]
fn a_lost_root_loses_nothing() {
    for (shape, seed) in [(BUSY, 20), (FULL, 21)] {
        let tally = lose_each_root(shape, seed);
        assert_eq!(tally.violations, Vec::<String>::new());
        assert!(tally.events > 100, "{}", tally.events);
    }
}

#[test]
fn early_reuse_of_segments_is_found() {
    let tally = Defect::plant(Some(Defect::SegmentReusedEarly), || lose_each_root(BUSY, 20));
    assert!(!tally.violations.is_empty());
}

#[test]
fn a_power_cut_while_opening_changes_nothing() {
    let mut states = 0;
    let run = workload(7, SMALL, Planted::Nothing);
    let mut random = Random(7);
    let mut disk = Disk { durable: run.start.clone(), digest: 0, window: Vec::new() };
    let mut promise = Promise::default();
    for event in run.log.borrow().iter() {
        match event {
            Event::Write { sector, data } => disk.write(*sector, data),
            Event::Flush => disk.flush(),
            Event::Mark(mark) => promise.mark(mark),
        }
        if disk.window.is_empty() || random.below(2) == 0 {
            continue;
        }
        let subset: Vec<bool> = disk.window.iter().map(|_| random.below(2) == 0).collect();
        let (image, _) = disk.apply(&subset);
        let device = RecordingDevice::<()>::new(image.clone());
        let log = device.log.clone();
        drop(FileStorage::open(device, TestClock::default()).map_err(|refused| refused.error).unwrap());
        let mut reopening = Disk { durable: image, digest: 0, window: Vec::new() };
        for event in log.borrow().iter() {
            match event {
                Event::Write { sector, data } => reopening.write(*sector, data),
                Event::Flush => reopening.flush(),
                Event::Mark(()) => {}
            }
            for subset in reopening.subsets(&mut random) {
                states += 1;
                check(reopening.apply(&subset).0, &promise).unwrap();
            }
        }
    }
    assert!(states > 500, "{states}");
}
