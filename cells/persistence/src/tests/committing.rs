//! Commits that share flushes, over a disk that loses what was not flushed.

use std::cell::RefCell;
use std::rc::Rc;

use object_store::{
    BlockDevice, DeviceError, FileStorage, FlushSignal, FormatOptions, MemoryDevice, Oid, Record, StorageError, Store,
    StoreError,
};
use proptest::prelude::*;
use runtime::abi::KernelError;

use super::kernel::{FakeKernel, Fate};
use crate::backing::Counted;
use crate::outcomes::Outcome;
use crate::sessions::{CommitEnded, Failure, Limits, Sender, Sessions};

const LIMITS: Limits = Limits { transactions: 16, staged_bytes: 10_000 };
const DONE: u64 = 1;
const FAILED: u64 = 2;

/// What a disk holds now, and what it is left with when the power goes.
#[derive(Debug)]
struct Medium {
    written: MemoryDevice,
    durable: MemoryDevice,
}

/// A disk whose flushes end when the test says so.
#[derive(Clone, Debug)]
struct Disk(Rc<RefCell<Medium>>);

impl Disk {
    fn formatted() -> Self {
        let mut device = MemoryDevice::zeroed(8_192);
        FileStorage::format(&mut device, [7; 16], FormatOptions::default()).expect("formats");
        Disk(Rc::new(RefCell::new(Medium { written: device.clone(), durable: device })))
    }

    /// The driver signals the end of a flush: what was written is durable.
    fn end_flush(&self) {
        let mut medium = self.0.borrow_mut();
        medium.durable = medium.written.clone();
    }

    fn after_a_power_cut(&self) -> MemoryDevice {
        self.0.borrow().durable.clone()
    }
}

impl BlockDevice for Disk {
    fn sectors(&self) -> u64 {
        self.0.borrow().written.sectors()
    }

    fn read(&mut self, sector: u64, buffer: &mut [u8]) -> Result<(), DeviceError> {
        self.0.borrow_mut().written.read(sector, buffer)
    }

    fn write(&mut self, sector: u64, data: &[u8]) -> Result<(), DeviceError> {
        self.0.borrow_mut().written.write(sector, data)
    }

    fn flush(&mut self) -> Result<(), DeviceError> {
        self.end_flush();
        Ok(())
    }

    fn begin_flush(&mut self) -> Option<FlushSignal> {
        Some(FlushSignal { done: DONE, failed: FAILED })
    }
}

#[derive(Debug, Default)]
struct Ticks(u64);

impl object_store::Clock for Ticks {
    fn now(&mut self) -> u64 {
        self.0 += 1;
        self.0
    }
}

type Tested = Sessions<FileStorage<Counted<Disk>, Ticks>, FakeKernel>;

fn open(disk: Disk) -> Tested {
    let (storage, _) = FileStorage::open(Counted::new(disk), Ticks::default()).expect("opens");
    Sessions::new(Store::new(storage, 100_000), FakeKernel::default(), LIMITS)
}

/// Sessions over a store with a root and objects that it refers to, and their disk.
fn sessions(objects: usize) -> (Tested, Disk, Vec<Oid>) {
    let disk = Disk::formatted();
    let mut sessions = open(disk.clone());
    let sender = begin(&mut sessions, 1);
    let oids: Vec<Oid> = (0..objects).map(|_| sessions.new_object(sender).expect("is given")).collect();
    for &oid in &oids {
        sessions.put(sender, oid, record(0, &[]), 4).expect("stored");
    }
    sessions.put(sender, Oid::ROOT, record(0, &oids), 4).expect("stored");
    sessions.commit(sender).expect("committed");
    (sessions, disk, oids)
}

fn from(sessions: &Tested, thread: u64) -> Sender {
    Sender { thread, scope: sessions.scopes().scope(thread), badge: 7 }
}

fn begin(sessions: &mut Tested, thread: u64) -> Sender {
    sessions.begin(from(sessions, thread), thread).expect("begins");
    from(sessions, thread)
}

fn record(byte: u8, references: &[Oid]) -> Record {
    Record { payload: vec![byte], references: references.to_vec(), ..Record::default() }
}

/// A thread writes an object and asks for its commit.
fn ask(sessions: &mut Tested, thread: u64, oid: Oid, byte: u8) -> Sender {
    let sender = begin(sessions, thread);
    sessions.put(sender, oid, record(byte, &[]), 4).expect("stored");
    sessions.ask_to_commit(sender).expect("is taken");
    sender
}

/// The disk flushes, and that is signalled.
fn flush(sessions: &mut Tested, disk: &Disk) -> Vec<CommitEnded> {
    disk.end_flush();
    sessions.signalled(DONE)
}

fn value(sessions: &mut Tested, oid: Oid) -> u8 {
    let reader = from(sessions, 99);
    sessions.get(reader, oid).expect("is there").payload[0]
}

#[test]
fn a_commit_ends_with_its_flush_and_is_read_from_then_on() {
    let (mut sessions, disk, oids) = sessions(1);
    let sender = ask(&mut sessions, 1, oids[0], 1);
    assert_eq!(sessions.write_commits(), []);
    assert!(sessions.is_flushing());
    // Readers are served, and see what is durable; the transaction takes nothing any more.
    assert_eq!(value(&mut sessions, oids[0]), 0);
    assert_eq!(sessions.get(sender, oids[0]), Err(Failure::Committing));
    assert_eq!(sessions.abort(sender), Err(Failure::Committing));
    assert_eq!(sessions.ask_to_commit(sender), Err(Failure::Committing));
    assert_eq!(sessions.scopes().fates[&sender.scope], Fate::Open);
    assert_eq!(sessions.signalled(1 << 63), []);

    let ended = flush(&mut sessions, &disk);
    let done = ended[0].outcome.expect("committed");
    assert_eq!((ended.len(), ended[0].identity, done.objects), (1, sender.scope, 1));
    assert_eq!(value(&mut sessions, oids[0]), 1);
    assert_eq!(sessions.scopes().fates[&sender.scope], Fate::Settled);
    assert_eq!(sessions.outcome(done.transaction), Outcome::Committed(done.tid));
    assert!(!sessions.is_flushing());
}

#[test]
fn commits_that_are_asked_for_during_a_flush_share_the_next_one() {
    let (mut sessions, disk, oids) = sessions(5);
    let before = flushes(&sessions);
    ask(&mut sessions, 1, oids[0], 1);
    assert_eq!(sessions.write_commits(), []);
    for (thread, &oid) in (2..).zip(&oids[1..]) {
        ask(&mut sessions, thread, oid, 1);
        assert_eq!(sessions.write_commits(), []);
    }
    assert_eq!(flush(&mut sessions, &disk).len(), 1);
    assert_eq!(sessions.write_commits(), []);
    let ended = flush(&mut sessions, &disk);
    assert_eq!(ended.len(), 4);
    assert!(ended.is_sorted_by_key(|ended| ended.outcome.expect("committed").tid));
    assert_eq!(flushes(&sessions) - before, 2);
    assert_eq!((sessions.groups().shared, sessions.groups().most), (1, 4));
}

fn flushes(sessions: &Tested) -> u64 {
    use crate::backing::Backing;
    sessions.store().storage().transfers().flushes
}

#[test]
fn of_two_that_change_the_same_object_the_first_is_committed() {
    let (mut sessions, disk, oids) = sessions(2);
    let first = begin(&mut sessions, 1);
    let second = begin(&mut sessions, 2);
    let third = begin(&mut sessions, 3);
    sessions.put(first, oids[0], record(1, &[]), 4).expect("stored");
    sessions.put(second, oids[0], record(2, &[]), 4).expect("stored");
    sessions.put(third, oids[1], record(3, &[]), 4).expect("stored");
    for sender in [first, second, third] {
        sessions.ask_to_commit(sender).expect("is taken");
    }
    // The second is judged once the first is committed, and the third keeps its place behind it.
    assert_eq!(sessions.write_commits(), []);
    let ended = flush(&mut sessions, &disk);
    assert_eq!(ended.iter().map(|ended| ended.identity).collect::<Vec<_>>(), [first.scope]);
    let refused = sessions.write_commits();
    assert_eq!(refused[0].identity, second.scope);
    assert!(matches!(refused[0].outcome, Err(Failure::Store(StoreError::Conflict { oid, .. })) if oid == oids[0]));
    assert_eq!(flush(&mut sessions, &disk)[0].identity, third.scope);
    assert!(sessions.abort(second).is_ok());
    assert_eq!((value(&mut sessions, oids[0]), value(&mut sessions, oids[1])), (1, 3));
}

#[test]
fn a_commit_goes_on_without_its_beginner() {
    let (mut sessions, disk, oids) = sessions(2);
    let flushing = ask(&mut sessions, 1, oids[0], 1);
    assert_eq!(sessions.write_commits(), []);
    let waiting = ask(&mut sessions, 2, oids[1], 2);
    let loser = begin(&mut sessions, 3);
    sessions.put(loser, oids[0], record(9, &[]), 4).expect("stored");
    sessions.ask_to_commit(loser).expect("is taken");
    for thread in [1, 2, 3] {
        sessions.scopes_mut().die(thread);
    }
    assert_eq!(sessions.beginner_died(), []);
    assert_eq!(flush(&mut sessions, &disk).len(), 1);
    // What fails has nobody left to abort it.
    let refused = sessions.write_commits();
    assert_eq!(refused.len(), 0, "the loser comes behind the one that waited");
    assert_eq!(flush(&mut sessions, &disk).len(), 1);
    let refused = sessions.write_commits();
    assert!(refused.len() == 1 && refused[0].outcome.is_err());
    let fates = &sessions.scopes().fates;
    assert_eq!(
        [flushing, waiting, loser].map(|sender| fates[&sender.scope]),
        [Fate::Settled, Fate::Settled, Fate::Aborted]
    );
    assert_eq!((sessions.open_transactions(), sessions.room()), (0, LIMITS.staged_bytes));
}

#[test]
fn a_flush_that_fails_acknowledges_nothing_and_stops_the_store() {
    let (mut sessions, _, oids) = sessions(1);
    let sender = ask(&mut sessions, 1, oids[0], 1);
    assert_eq!(sessions.write_commits(), []);
    let waiting = begin(&mut sessions, 2);
    sessions.put(waiting, oids[0], record(2, &[]), 4).expect("stored");
    sessions.ask_to_commit(waiting).expect("is taken");
    let ended = sessions.signalled(FAILED);
    let stopped = |ended: &[CommitEnded]| {
        matches!(
            ended,
            [CommitEnded { outcome: Err(Failure::Store(StoreError::Storage(StorageError::Stopped(_)))), .. }]
        )
    };
    assert!(stopped(&ended), "{ended:?}");
    let ended = sessions.write_commits();
    assert!(stopped(&ended), "{ended:?}");
    assert_eq!(value(&mut sessions, oids[0]), 0);
    assert!(sessions.abort(sender).is_ok());
}

#[test]
fn what_has_to_append_meanwhile_has_the_flush_done_first() {
    let (mut sessions, _, oids) = sessions(1);
    let other = begin(&mut sessions, 2);
    let sender = ask(&mut sessions, 1, oids[0], 1);
    assert_eq!(sessions.write_commits(), []);
    // More objects than are reserved at once.
    for _ in 0..20_000 {
        sessions.new_object(other).expect("is given");
    }
    let ended = sessions.take_ended();
    assert_eq!(ended.iter().map(|ended| ended.identity).collect::<Vec<_>>(), [sender.scope]);
    // Its signal comes late, and is nobody's.
    assert_eq!(sessions.signalled(DONE), []);
    assert_eq!(value(&mut sessions, oids[0]), 1);
    sessions.scopes_mut().out_of_memory = true;
    assert!(matches!(sessions.begin(from(&sessions, 3), 3), Err(Failure::Scope(KernelError::NotEnoughMemory))));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whenever the power goes, what was acknowledged is there, and of what was not each transaction is there wholly or not at all.
    #[test]
    fn a_power_cut_loses_nothing_that_was_answered(steps in prop::collection::vec(0_u8..6, 1..40)) {
        let (mut sessions, disk, oids) = sessions(4);
        let mut acknowledged = [0_u8; 4];
        let mut asked = [0_u8; 4];
        let mut written = 0;
        for step in steps {
            let ended = match step {
                // A thread of each object writes it, unless its commit is under way.
                0..4 => {
                    let (thread, place) = (u64::from(step) + 1, usize::from(step));
                    if sessions.scopes().scope(thread) == 0 {
                        written += 1;
                        asked[place] = written;
                        ask(&mut sessions, thread, oids[place], written);
                    }
                    Vec::new()
                }
                4 => sessions.write_commits(),
                _ if sessions.is_flushing() => flush(&mut sessions, &disk),
                _ => Vec::new(),
            };
            if !ended.is_empty() {
                for place in 0..4 {
                    if sessions.scopes().scope(place as u64 + 1) == 0 {
                        acknowledged[place] = asked[place];
                    }
                }
            }
        }
        let (storage, _) = FileStorage::open(Counted::new(disk.after_a_power_cut()), Ticks(1_000)).expect("opens");
        let mut again = Sessions::new(Store::new(storage, 100_000), FakeKernel::default(), LIMITS);
        for (place, &oid) in oids.iter().enumerate() {
            let reader = Sender { thread: 1, scope: 0, badge: 7 };
            let found = again.get(reader, oid).expect("is there").payload[0];
            prop_assert!(found == acknowledged[place] || found == asked[place], "{found} of {acknowledged:?}, {asked:?}");
            if sessions.scopes().scope(place as u64 + 1) == 0 {
                prop_assert_eq!(found, acknowledged[place]);
            }
        }
    }
}
