//! What a transaction can be asked for besides: undo, savepoints, numbered requests, what others changed, maintenance.

use object_store::{
    FileStorage, FormatOptions, MappingStorage, MemoryDevice, Oid, Record, SavepointId, Store, StoreError, Tid,
};

use super::kernel::FakeKernel;
use crate::backing::{Backing, Counted};
use crate::sessions::requests::Carried;
use crate::sessions::{Failure, Limits, Sender, Sessions};

const LIMITS: Limits = Limits { transactions: 8, staged_bytes: 1000 };

/// A clock that goes on by one at each look.
#[derive(Debug, Default)]
struct Ticks(u64);

impl object_store::Clock for Ticks {
    fn now(&mut self) -> u64 {
        self.0 += 1;
        self.0
    }
}

type InMemory = Sessions<MappingStorage<Ticks>, FakeKernel>;
type OnDisk = Sessions<FileStorage<Counted<MemoryDevice>, Ticks>, FakeKernel>;

fn in_memory() -> InMemory {
    Sessions::new(Store::new(MappingStorage::new(Ticks::default()), 100_000), FakeKernel::default(), LIMITS)
}

fn on_disk() -> OnDisk {
    let mut device = MemoryDevice::zeroed(32_768);
    FileStorage::format(&mut device, [7; 16], FormatOptions::default()).expect("formats");
    open(device)
}

fn open(device: MemoryDevice) -> OnDisk {
    let (storage, _) = FileStorage::open(Counted::new(device), Ticks::default()).expect("opens");
    Sessions::new(Store::new(storage, 100_000), FakeKernel::default(), LIMITS)
}

fn sender<S: Backing>(sessions: &Sessions<S, FakeKernel>, thread: u64) -> Sender {
    Sender { thread, scope: sessions.scopes().scope(thread), badge: 7 }
}

fn begin<S: Backing>(sessions: &mut Sessions<S, FakeKernel>, thread: u64) -> Sender {
    sessions.begin(sender(sessions, thread), thread).expect("begins");
    sender(sessions, thread)
}

fn record(byte: u8, references: &[Oid]) -> Record {
    Record { payload: vec![byte], references: references.to_vec(), ..Record::default() }
}

/// Writes the root in a transaction of its own.
fn write<S: Backing>(sessions: &mut Sessions<S, FakeKernel>, byte: u8, references: &[Oid]) -> Tid {
    let sender = begin(sessions, 1);
    sessions.put(sender, Oid::ROOT, record(byte, references), 6).expect("stored");
    sessions.commit(sender).expect("committed").tid
}

fn root<S: Backing>(sessions: &mut Sessions<S, FakeKernel>) -> u8 {
    let sender = sender(sessions, 99);
    sessions.get(sender, Oid::ROOT).expect("is there").payload[0]
}

#[test]
fn transactions_are_undone_in_order_and_their_watchers_hear_of_it() {
    let mut sessions = in_memory();
    let tids: Vec<Tid> = (1..=3).map(|byte| write(&mut sessions, byte, &[])).collect();
    let watcher = Sender { thread: 50, scope: 0, badge: 50 };
    let since = sessions.watch(watcher, Oid::ROOT, 50).expect("watches");
    let undoer = begin(&mut sessions, 1);
    sessions.undo(undoer, tids[2]).expect("taken");
    sessions.undo(undoer, tids[1]).expect("taken");
    let done = sessions.commit(undoer).expect("committed");
    assert_eq!((root(&mut sessions), done.objects), (1, 1));
    assert_eq!(sessions.changes(since, 9).expect("are known").1, [Oid::ROOT]);

    let before = sessions.get_at(Oid::ROOT, tids[1]).expect("stood");
    assert_eq!(before.payload, [2]);
    assert!(matches!(sessions.get_at(Oid::ROOT, done.tid.after()), Err(Failure::Store(StoreError::BeyondLast { .. }))));
    let history = sessions.history(Oid::ROOT, Tid::MAX, |_| true).expect("has one");
    let seen: Vec<Tid> = history.iter().map(|revision| revision.info.tid).collect();
    assert_eq!(seen, [done.tid, tids[2], tids[1], tids[0]]);
    let older = sessions.history(Oid::ROOT, tids[2], |_| true).expect("has one");
    assert_eq!(older.len(), 2);
}

#[test]
fn an_undo_that_cannot_be_names_what_is_in_its_way() {
    let mut sessions = in_memory();
    write(&mut sessions, 1, &[]);
    let second = write(&mut sessions, 2, &[]);
    write(&mut sessions, 3, &[]);
    let undoer = begin(&mut sessions, 1);
    sessions.undo(undoer, second).expect("taken");
    assert_eq!(sessions.commit(undoer), Err(Failure::Store(StoreError::NotUndoable(second))));
    let conflicts = sessions.conflicts(undoer).expect("are kept");
    assert_eq!(conflicts.iter().map(|conflict| conflict.oid).collect::<Vec<_>>(), [Oid::ROOT]);
    sessions.abort(undoer).expect("aborts");
    let unknown = begin(&mut sessions, 1);
    sessions.undo(unknown, Tid::new(9_999)).expect("taken");
    assert!(matches!(sessions.commit(unknown), Err(Failure::Store(StoreError::NoSuchTransaction(_)))));
}

#[test]
fn a_rollback_gives_back_what_was_staged() {
    let mut sessions = in_memory();
    write(&mut sessions, 1, &[]);
    let sender = begin(&mut sessions, 1);
    sessions.put(sender, Oid::ROOT, record(2, &[]), 100).expect("stored");
    let savepoint = sessions.savepoint(sender).expect("set");
    let oid = sessions.new_object(sender).expect("is new");
    sessions.put(sender, oid, record(3, &[]), 200).expect("stored");
    sessions.put(sender, Oid::ROOT, record(4, &[oid]), 300).expect("stored");
    assert_eq!(sessions.room(), 500);
    sessions.roll_back(sender, savepoint).expect("rolls back");
    assert_eq!(sessions.room(), 900);
    assert!(matches!(
        sessions.roll_back(sender, SavepointId::new(99)),
        Err(Failure::Store(StoreError::NoSavepoint(_)))
    ));
    assert_eq!(sessions.commit(sender).expect("committed").objects, 1);
    assert_eq!((root(&mut sessions), sessions.objects(), sessions.room()), (2, 1, 1000));
}

#[test]
fn write_skew_commits_without_read_current_and_fails_with_it() {
    for demands in [false, true] {
        let mut sessions = in_memory();
        let first = begin(&mut sessions, 1);
        let other = sessions.new_object(first).expect("is new");
        sessions.put(first, other, record(0, &[]), 6).expect("stored");
        sessions.put(first, Oid::ROOT, record(0, &[other]), 6).expect("stored");
        sessions.commit(first).expect("committed");

        let (left, right) = (begin(&mut sessions, 1), begin(&mut sessions, 2));
        if demands {
            sessions.read_current(left, other).expect("taken");
            sessions.read_current(right, Oid::ROOT).expect("taken");
        }
        sessions.put(left, Oid::ROOT, record(1, &[other]), 6).expect("stored");
        sessions.put(right, other, record(1, &[]), 6).expect("stored");
        sessions.commit(left).expect("committed");
        assert_eq!(sessions.commit(right).is_err(), demands);
    }
}

#[test]
fn a_doomed_transaction_takes_nothing_and_a_user_is_named() {
    let mut sessions = in_memory();
    let named = begin(&mut sessions, 1);
    sessions.set_user(named, "somebody").expect("taken");
    sessions.put(named, Oid::ROOT, record(1, &[]), 6).expect("stored");
    sessions.commit(named).expect("committed");
    let history = sessions.history(Oid::ROOT, Tid::MAX, |_| true).expect("has one");
    assert_eq!(history[0].metadata.user, "somebody");
    let doomed = begin(&mut sessions, 1);
    sessions.doom(doomed).expect("taken");
    assert_eq!(sessions.set_user(doomed, "x"), Err(Failure::Doomed));
    assert_eq!(sessions.commit(doomed), Err(Failure::Doomed));
}

#[test]
fn a_numbered_request_is_carried_out_once_also_over_a_power_cut() {
    let mut sessions = on_disk();
    let sender = begin(&mut sessions, 1);
    sessions.identify(sender, 5).expect("is new");
    assert_eq!(sessions.outcome_of(sender, 5), Carried::Unknown, "it is open");
    sessions.put(sender, Oid::ROOT, record(1, &[]), 6).expect("stored");
    let tid = sessions.commit(sender).expect("committed").tid;
    assert_eq!(sessions.outcome_of(sender, 5), Carried::Out(tid));

    let aborted = begin(&mut sessions, 1);
    sessions.identify(aborted, 6).expect("is new");
    sessions.put(aborted, Oid::ROOT, record(2, &[]), 6).expect("stored");
    sessions.abort(aborted).expect("aborts");

    let mut sessions = open(sessions.into_store().into_storage().into_device().into_inner());
    let again = begin(&mut sessions, 1);
    assert_eq!(sessions.outcome_of(again, 5), Carried::Out(tid));
    assert_eq!(sessions.outcome_of(again, 6), Carried::Never);
    assert_eq!(sessions.identify(again, 5), Err(Failure::AlreadyDone(tid)));
    assert_eq!(sessions.outcome_of(Sender { badge: 8, ..again }, 5), Carried::Never, "another client's");
}

#[test]
fn a_begin_tells_what_others_changed() {
    let mut sessions = in_memory();
    let first = write(&mut sessions, 1, &[]);
    let reader = begin(&mut sessions, 2);
    assert_eq!(sessions.invalidations(reader, Tid::ZERO, 9), Ok((first, vec![Oid::ROOT])));
    let second = write(&mut sessions, 2, &[]);
    assert_eq!(sessions.invalidations(reader, first, 9), Ok((first, vec![])), "behind its snapshot");
    sessions.abort(reader).expect("aborts");
    let own = begin(&mut sessions, 1);
    assert_eq!(sessions.invalidations(own, first, 9), Ok((second, vec![])), "its own");
    assert_eq!(sessions.invalidations(own, Tid::ZERO, 0), Ok((second, vec![])));
    sessions.abort(own).expect("aborts");
    let reader = begin(&mut sessions, 2);
    assert_eq!(sessions.invalidations(reader, first, 9), Ok((second, vec![Oid::ROOT])));
    assert_eq!(sessions.invalidations(reader, first, 0), Err(Failure::ChangesLost(second)));
}

#[test]
fn a_begin_tells_what_a_server_has_put_for_its_client() {
    let mut sessions = in_memory();
    let first = write(&mut sessions, 1, &[]);
    let client = begin(&mut sessions, 1);
    let server = Sender { thread: 2, ..client };
    sessions.put(server, Oid::ROOT, record(2, &[]), 6).expect("stored");
    let second = sessions.commit(client).expect("committed").tid;
    let again = begin(&mut sessions, 1);
    assert_eq!(sessions.invalidations(again, first, 9), Ok((second, vec![Oid::ROOT])));
    // What it has put itself in place of that is its own.
    sessions.put(Sender { thread: 2, ..again }, Oid::ROOT, record(3, &[]), 6).expect("stored");
    sessions.put(again, Oid::ROOT, record(4, &[]), 6).expect("stored");
    let third = sessions.commit(again).expect("committed").tid;
    let last = begin(&mut sessions, 1);
    assert_eq!(sessions.invalidations(last, second, 9), Ok((third, vec![])));
}

fn packs<S: Backing>(mut sessions: Sessions<S, FakeKernel>) {
    let sender = begin(&mut sessions, 1);
    let oid = sessions.new_object(sender).expect("is new");
    sessions.put(sender, oid, record(9, &[]), 6).expect("stored");
    sessions.put(sender, Oid::ROOT, record(1, &[oid]), 6).expect("stored");
    sessions.commit(sender).expect("committed");
    for byte in 2..40 {
        write(&mut sessions, byte, &[]);
    }
    assert_eq!(sessions.objects(), 2);
    sessions.pack(Tid::MAX).expect("begins");
    assert_eq!(sessions.pack(Tid::MAX), Err(Failure::NotPossible));
    assert_eq!(sessions.verify(), Err(Failure::NotPossible));
    let mut steps = 0;
    while !sessions.work(true) {
        steps += 1;
        assert!(steps < 1000 && sessions.maintenance().pack_progress() < 1000);
        if steps == 1 {
            write(&mut sessions, 50, &[]);
        }
    }
    let packed = sessions.maintenance().packed();
    let report = packed.report.as_ref().expect("has ended");
    assert_eq!((report.objects, packed.failure), (1, None));
    assert!(report.revisions >= 38, "{report:?}");
    assert_eq!(sessions.objects(), 1);
    assert!(!sessions.maintenance().is_under_way());
}

#[test]
fn a_pack_goes_on_between_requests() {
    packs(in_memory());
    packs(on_disk());
}

#[test]
fn a_verification_reads_everything_between_requests() {
    let mut sessions = on_disk();
    for byte in 1..20 {
        write(&mut sessions, byte, &[]);
    }
    let verify = |sessions: &mut OnDisk| {
        sessions.verify().expect("begins");
        let mut last = 0;
        while !sessions.work(true) {
            assert!(sessions.verify_progress() >= last);
            last = sessions.verify_progress();
        }
        *sessions.maintenance().verifying()
    };
    let whole = verify(&mut sessions);
    assert_eq!((whole.verified.records, whole.verified.damages, whole.failure), (19, 0, None));
    assert!(sessions.store().storage().transfers().flushes > 19);
}
