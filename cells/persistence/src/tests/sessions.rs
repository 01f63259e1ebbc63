//! Who may do what to a transaction.

use std::cell::Cell;

use object_store::{
    BlockDevice, DeviceError, MappingStorage, MemoryDevice, Oid, Record, StorageError, Store, StoreError, Tid,
    TransactionId,
};
use runtime::abi::KernelError;

use super::kernel::{FakeKernel, Fate};
use crate::outcomes::Outcome;
use crate::sessions::{Aborted, Begun, Failure, Limits, Sender, Sessions};
use crate::watches;

type Tested = Sessions<MappingStorage<fn() -> u64>, FakeKernel>;

const LIMITS: Limits = Limits { transactions: 4, staged_bytes: 1000 };

fn sessions() -> Tested {
    let storage = MappingStorage::new((|| 0) as fn() -> u64);
    Sessions::new(Store::new(storage, 100_000), FakeKernel::default(), LIMITS)
}

/// A thread that calls by itself.
fn from(sessions: &Tested, thread: u64) -> Sender {
    Sender { thread, scope: sessions.scopes().scope(thread), badge: 7 }
}

/// A server's thread that calls for a client.
fn on_behalf(sessions: &Tested, server: u64, client: u64) -> Sender {
    Sender { thread: server, ..from(sessions, client) }
}

fn begin(sessions: &mut Tested, thread: u64) -> Sender {
    sessions.begin(from(sessions, thread), thread).expect("begins");
    from(sessions, thread)
}

fn record(byte: u8) -> Record {
    Record { payload: vec![byte], ..Record::default() }
}

#[test]
fn a_commit_settles_and_an_abort_revokes() {
    let mut sessions = sessions();
    let first = begin(&mut sessions, 1);
    sessions.put(first, Oid::ROOT, record(1), 6).expect("stored");
    let done = sessions.commit(first).expect("committed");
    assert_eq!((done.objects, sessions.objects()), (1, 1));
    assert_eq!(sessions.scopes().fates[&first.scope], Fate::Settled);

    let second = begin(&mut sessions, 1);
    sessions.put(second, Oid::ROOT, record(2), 6).expect("stored");
    assert!(matches!(sessions.abort(second), Ok(Aborted::Ended(_))));
    assert_eq!(sessions.scopes().fates[&second.scope], Fate::Aborted);
    assert_eq!(sessions.get(from(&sessions, 1), Oid::ROOT).expect("is there").payload, [1]);
    assert_eq!((sessions.open_transactions(), sessions.room()), (0, 1000));
}

#[test]
fn what_a_server_stores_joins_its_caller_s_transaction() {
    let mut sessions = sessions();
    let client = begin(&mut sessions, 1);
    let server = on_behalf(&sessions, 2, 1);
    let joined = sessions.begin(server, 2).expect("joins");
    assert!(matches!(joined, Begun::Joined(_)));
    sessions.put(server, Oid::ROOT, record(3), 6).expect("stored");
    assert_eq!(sessions.commit(server), Err(Failure::NotTheBeginner));
    assert_eq!(sessions.commit(client).expect("committed").transaction, joined.transaction());
    assert_eq!(sessions.get(from(&sessions, 3), Oid::ROOT).expect("is there").payload, [3]);
}

#[test]
fn a_server_that_gives_up_dooms_its_caller_s_transaction() {
    let mut sessions = sessions();
    let client = begin(&mut sessions, 1);
    let server = on_behalf(&sessions, 2, 1);
    sessions.put(server, Oid::ROOT, record(3), 6).expect("stored");
    assert!(matches!(sessions.abort(server), Ok(Aborted::Doomed(_))));
    assert_eq!(sessions.scopes().fates[&client.scope], Fate::Open);
    assert_eq!(sessions.put(client, Oid::ROOT, record(4), 6), Err(Failure::Doomed));
    assert_eq!(sessions.commit(client), Err(Failure::Doomed));
    assert!(matches!(sessions.abort(client), Ok(Aborted::Ended(_))));
    let afterwards = sessions.get(from(&sessions, 1), Oid::ROOT);
    assert!(matches!(afterwards, Err(Failure::Store(StoreError::NeverExisted(_)))));
}

#[test]
fn a_conflict_sticks_until_the_abort() {
    let mut sessions = sessions();
    let (first, second) = (begin(&mut sessions, 1), begin(&mut sessions, 2));
    sessions.put(first, Oid::ROOT, record(1), 6).expect("stored");
    sessions.put(second, Oid::ROOT, record(2), 6).expect("stored");
    sessions.commit(first).expect("committed");
    let conflict = sessions.commit(second);
    assert!(matches!(conflict, Err(Failure::Store(StoreError::Conflict { oid: Oid::ROOT, .. }))), "{conflict:?}");
    assert!(matches!(sessions.commit(second), Err(Failure::Store(StoreError::Failed(_)))));
    assert_eq!(sessions.scopes().fates[&second.scope], Fate::Open);
    assert!(sessions.abort(second).is_ok());
    assert_eq!(sessions.get(from(&sessions, 2), Oid::ROOT).expect("is there").payload, [1]);
}

#[test]
fn nothing_is_written_outside_a_transaction() {
    let mut sessions = sessions();
    for scope in [0, 99] {
        let sender = Sender { thread: 1, scope, badge: 0 };
        assert_eq!(sessions.put(sender, Oid::ROOT, record(1), 6), Err(Failure::NoTransaction));
        assert_eq!(sessions.new_object(sender), Err(Failure::NoTransaction));
        assert_eq!(sessions.note(sender, "x"), Err(Failure::NoTransaction));
        assert_eq!(sessions.commit(sender), Err(Failure::NoTransaction));
        assert_eq!(sessions.abort(sender), Err(Failure::NoTransaction));
    }
    let foreign = Sender { thread: 1, scope: 99, badge: 0 };
    assert_eq!(sessions.begin(foreign, 1), Err(Failure::NoTransaction));
}

#[test]
fn a_begin_that_the_kernel_refuses_leaves_nothing_open() {
    let mut sessions = sessions();
    sessions.scopes_mut().out_of_memory = true;
    let refused = sessions.begin(from(&sessions, 1), 1);
    assert_eq!(refused, Err(Failure::Scope(KernelError::NotEnoughMemory)));
    assert_eq!(sessions.open_transactions(), 0);
}

#[test]
fn open_transactions_keep_to_their_memory() {
    let mut sessions = sessions();
    let first = begin(&mut sessions, 1);
    sessions.put(first, Oid::ROOT, record(1), 600).expect("stored");
    sessions.put(first, Oid::ROOT, record(1), 900).expect("takes the place of what it stored before");
    let second = begin(&mut sessions, 2);
    assert_eq!(sessions.put(second, Oid::ROOT, record(1), 101), Err(Failure::TooMuchStaged(100)));
    sessions.abort(first).expect("aborted");
    sessions.put(second, Oid::ROOT, record(1), 1000).expect("stored");
}

#[test]
fn only_transactions_without_a_beginner_are_aborted() {
    let mut sessions = sessions();
    let senders: Vec<Sender> = (1..=4).map(|thread| begin(&mut sessions, thread)).collect();
    sessions.put(senders[1], Oid::ROOT, record(1), 600).expect("stored");
    assert_eq!(sessions.begin(from(&sessions, 5), 5), Err(Failure::TooManyTransactions(4)));
    assert_eq!(sessions.beginner_died(), [], "all are alive");

    sessions.scopes_mut().die(2);
    sessions.scopes_mut().die(4);
    let aborted = sessions.beginner_died();
    assert_eq!(aborted.len(), 2);
    for id in aborted {
        assert_eq!(sessions.outcome(id), Outcome::Aborted);
    }
    for dead in [1, 3] {
        assert_eq!(sessions.scopes().fates[&senders[dead].scope], Fate::Aborted);
        assert_eq!(sessions.commit(senders[dead]), Err(Failure::NoTransaction));
    }
    assert_eq!((sessions.open_transactions(), sessions.room()), (2, 1000));
    begin(&mut sessions, 5);
    sessions.commit(senders[0]).expect("this one's beginner lives");
}

#[test]
fn a_server_at_work_for_a_dead_beginner_finds_no_transaction() {
    let mut sessions = sessions();
    begin(&mut sessions, 1);
    let server = on_behalf(&sessions, 2, 1);
    sessions.put(server, Oid::ROOT, record(3), 6).expect("stored");
    sessions.scopes_mut().die(1);
    sessions.beginner_died();
    assert_eq!(sessions.begin(server, 2), Err(Failure::NoTransaction), "it does not begin one of its own");
    assert_eq!(sessions.put(server, Oid::ROOT, record(4), 6), Err(Failure::NoTransaction));
    assert_eq!(sessions.get(server, Oid::ROOT), Err(Failure::NoTransaction));
    assert_eq!(sessions.abort(server), Err(Failure::NoTransaction));
}

#[test]
fn a_commit_that_outlives_its_beginner_is_whole_and_told() {
    let mut sessions = sessions();
    let sender = begin(&mut sessions, 1);
    sessions.put(sender, Oid::ROOT, record(1), 6).expect("stored");
    sessions.scopes_mut().die(1);
    // The commit was under way: the server hears of the death after it.
    let done = sessions.commit(sender).expect("committed");
    assert_eq!(sessions.beginner_died(), []);
    assert_eq!(sessions.scopes().fates[&sender.scope], Fate::Settled);
    assert_eq!(sessions.outcome(done.transaction), Outcome::Committed(done.tid));
}

#[test]
fn outcomes_are_told_before_and_after_the_end() {
    let mut sessions = sessions();
    let (first, second) = (begin(&mut sessions, 1), begin(&mut sessions, 2));
    sessions.put(first, Oid::ROOT, record(1), 6).expect("stored");
    sessions.put(second, Oid::ROOT, record(2), 6).expect("stored");
    let id = TransactionId::new(2);
    assert_eq!(sessions.outcome(id), Outcome::Open);
    sessions.commit(first).expect("committed");
    assert!(sessions.commit(second).is_err(), "a conflict");
    assert_eq!(sessions.outcome(id), Outcome::Open, "its beginner has not ended it");
    sessions.abort(second).expect("aborted");
    assert_eq!(sessions.outcome(id), Outcome::Aborted);
    assert_eq!(sessions.outcome(TransactionId::new(3)), Outcome::Unknown);
}

#[test]
fn a_thousand_dead_beginners_leave_nothing() {
    let mut sessions = sessions();
    for thread in 1..=1000 {
        let sender = begin(&mut sessions, thread);
        let oid = sessions.new_object(sender).expect("made");
        sessions.put(sender, oid, record(1), 900).expect("there is room each time");
        sessions.scopes_mut().die(thread);
        assert_eq!(sessions.beginner_died().len(), 1);
        assert_eq!((sessions.open_transactions(), sessions.room()), (0, 1000));
    }
    assert_eq!(sessions.objects(), 0);
    assert!(sessions.scopes().fates.values().all(|fate| *fate == Fate::Aborted));
}

/// A disk that fails its flushes when it is told to.
struct Failing<'a> {
    disk: MemoryDevice,
    fails: &'a Cell<bool>,
}

impl BlockDevice for Failing<'_> {
    fn sectors(&self) -> u64 {
        self.disk.sectors()
    }

    fn read(&mut self, sector: u64, buffer: &mut [u8]) -> Result<(), DeviceError> {
        self.disk.read(sector, buffer)
    }

    fn write(&mut self, sector: u64, data: &[u8]) -> Result<(), DeviceError> {
        self.disk.write(sector, data)
    }

    fn flush(&mut self) -> Result<(), DeviceError> {
        if self.fails.get() { Err(DeviceError::Failed) } else { self.disk.flush() }
    }
}

#[test]
fn nobody_is_told_what_became_of_a_commit_whose_flush_failed() {
    let fails = Cell::new(false);
    let device = Failing { disk: MemoryDevice::zeroed(16 * 2048), fails: &fails };
    let opened = crate::opening::open(device, || 1_000, [7; 16], &|_| {}).expect("opens");
    let mut sessions = Sessions::new(Store::new(opened.storage, 100_000), FakeKernel::default(), LIMITS);
    sessions.begin(Sender { thread: 1, scope: 0, badge: 7 }, 1).expect("begins");
    let sender = Sender { thread: 1, scope: sessions.scopes().scope(1), badge: 7 };
    sessions.put(sender, Oid::ROOT, record(1), 6).expect("stored");
    fails.set(true);
    let failed = sessions.commit(sender);
    assert!(matches!(failed, Err(Failure::Store(StoreError::Storage(StorageError::Stopped(_))))), "{failed:?}");
    assert_eq!(sessions.outcome(TransactionId::new(1)), Outcome::Unknown);
    sessions.abort(sender).expect("aborted");
    assert_eq!(sessions.outcome(TransactionId::new(1)), Outcome::Unknown);
}

const PROTOTYPE: Oid = Oid::ROOT;
const WATCHER: u64 = 70;

fn referring(oid: Oid) -> Record {
    Record { references: vec![oid], payload: vec![1], ..Record::default() }
}

/// Sessions with a root object, which is watched; and the last commit.
fn watched() -> (Tested, Tid) {
    let mut sessions = sessions();
    let sender = begin(&mut sessions, 1);
    sessions.put(sender, PROTOTYPE, record(1), 6).expect("stored");
    let tid = sessions.commit(sender).expect("committed").tid;
    let watcher = Sender { thread: 9, scope: 0, badge: 2 };
    assert_eq!(sessions.watch(watcher, PROTOTYPE, WATCHER), Ok(tid));
    (sessions, tid)
}

#[test]
fn watchers_hear_of_ends_that_concern_them_and_of_no_others() {
    let (mut sessions, start) = watched();
    let sender = begin(&mut sessions, 1);
    let (clone, other) = (sessions.new_object(sender).expect("made"), sessions.new_object(sender).expect("made"));
    sessions.put(sender, other, record(1), 6).expect("stored");
    sessions.put(sender, clone, referring(PROTOTYPE), 6).expect("stored");
    assert_eq!(sessions.scopes().signals(WATCHER), 0, "nothing has ended");
    let tid = sessions.commit(sender).expect("committed").tid;
    assert_eq!(sessions.scopes().signals(WATCHER), 1);
    assert_eq!(sessions.changes(start, 9), Ok((tid, vec![clone])));

    let sender = begin(&mut sessions, 1);
    sessions.put(sender, other, record(2), 6).expect("stored");
    let last = sessions.commit(sender).expect("committed").tid;
    assert_eq!(sessions.scopes().signals(WATCHER), 1, "this concerns nobody");
    assert_eq!(sessions.changes(tid, 9), Ok((last, vec![])));

    let sender = begin(&mut sessions, 1);
    sessions.put(sender, clone, record(2), 6).expect("stored");
    assert_eq!(sessions.scopes().signals(WATCHER), 1);
    sessions.put(sender, PROTOTYPE, record(2), 6).expect("stored");
    sessions.abort(sender).expect("aborted");
    assert_eq!(sessions.scopes().signals(WATCHER), 2, "who took part hears of the abort");
    assert_eq!(sessions.changes(tid, 9), Ok((last, vec![])), "and nothing has changed");
}

#[test]
fn a_dead_beginner_s_transaction_is_signalled_to_those_it_concerns() {
    let (mut sessions, _) = watched();
    let sender = begin(&mut sessions, 1);
    let clone = sessions.new_object(sender).expect("made");
    sessions.put(sender, clone, referring(PROTOTYPE), 6).expect("stored");
    sessions.scopes_mut().die(1);
    sessions.beginner_died();
    assert_eq!(sessions.scopes().signals(WATCHER), 1);
}

#[test]
fn a_watch_covers_what_open_transactions_have_stored() {
    let (mut sessions, _) = watched();
    let sender = begin(&mut sessions, 1);
    let clone = sessions.new_object(sender).expect("made");
    sessions.put(sender, clone, record(1), 6).expect("stored");
    let late = Sender { thread: 9, scope: 0, badge: 3 };
    let since = sessions.watch(late, clone, 71).expect("watched");
    let tid = sessions.commit(sender).expect("committed").tid;
    assert_eq!((sessions.scopes().signals(71), sessions.changes(since, 9)), (1, Ok((tid, vec![clone]))));
}

#[test]
fn a_watch_is_replaced_and_one_that_nobody_hears_goes() {
    let (mut sessions, _) = watched();
    let watcher = Sender { thread: 9, scope: 0, badge: 2 };
    sessions.watch(watcher, PROTOTYPE, 72).expect("watched");
    assert_eq!((sessions.watches(), sessions.scopes().forgotten.as_slice()), (1, [WATCHER].as_slice()));
    sessions.scopes_mut().gone.insert(72);
    for number in 1..watches::MOST as u64 {
        sessions.watch(watcher, Oid::new(100 + number), 73).expect("watched");
    }
    sessions.watch(watcher, Oid::new(99), 73).expect("the one that is gone makes room");
    assert_eq!(sessions.scopes().forgotten, [WATCHER, 72]);
    let refused = sessions.watch(watcher, Oid::new(98), 74);
    assert_eq!(refused, Err(Failure::TooManyWatches(watches::MOST)));
    assert_eq!(sessions.scopes().forgotten, [WATCHER, 72, 74]);
}

#[test]
fn the_log_is_told_newest_first_for_as_long_as_it_fits() {
    let mut sessions = sessions();
    for number in 0..5u8 {
        let sender = begin(&mut sessions, 1);
        sessions.put(sender, Oid::ROOT, record(number), 6).expect("stored");
        sessions.note(sender, &format!("step {number}")).expect("noted");
        sessions.commit(sender).expect("committed");
    }
    let mut left = 3;
    let fits = |_: &_| {
        left -= 1;
        left >= 0
    };
    let found = sessions.transactions(object_store::Tid::MAX, fits).expect("readable");
    let texts: Vec<&str> = found.iter().map(|info| info.metadata.description.as_str()).collect();
    assert_eq!(texts, ["step 4", "step 3", "step 2"]);
    let rest = sessions.transactions(found[2].tid, |_| true).expect("readable");
    assert_eq!(rest.len(), 2);
}
