//! Who may do what to a transaction.

use object_store::{MappingStorage, Oid, Record, Store, StoreError};
use runtime::abi::KernelError;

use super::kernel::{FakeKernel, Fate};
use crate::sessions::{Aborted, Begun, Failure, Limits, Sender, Sessions};

type Tested = Sessions<MappingStorage<fn() -> u64>, FakeKernel>;

const LIMITS: Limits = Limits { transactions: 4, staged_bytes: 1000 };

fn sessions() -> Tested {
    let storage = MappingStorage::new((|| 0) as fn() -> u64);
    Sessions::new(Store::new(storage, 100_000), FakeKernel::default(), LIMITS, 0)
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
    assert!(matches!(sessions.get(client, Oid::ROOT), Err(Failure::Store(StoreError::NeverExisted(_)))));
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
    assert_eq!(sessions.get(second, Oid::ROOT).expect("is there").payload, [1]);
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
fn only_a_silent_suspect_gives_its_place() {
    let mut sessions = sessions();
    let senders: Vec<Sender> = (1..=4).map(|thread| begin(&mut sessions, thread)).collect();
    assert_eq!(sessions.begin(from(&sessions, 5), 5), Err(Failure::TooManyTransactions(4)));
    assert_eq!(sessions.reclaim(from(&sessions, 5)), None, "nobody has died");

    sessions.beginner_died();
    for sender in [senders[0], senders[2], senders[3]] {
        assert!(sessions.note(sender, "alive").is_ok());
    }
    assert!(sessions.reclaim(from(&sessions, 5)).is_some());
    assert_eq!(sessions.scopes().fates[&senders[1].scope], Fate::Aborted, "it alone was silent");
    assert_eq!(sessions.commit(senders[1]), Err(Failure::NoTransaction));
    assert_eq!(sessions.reclaim(from(&sessions, 5)), None, "all others are alive");
    begin(&mut sessions, 5);
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
