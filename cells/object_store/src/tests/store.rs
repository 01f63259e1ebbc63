//! The transaction manager: merges, savepoints, sessions, undo, views, packing.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use super::support::{Counters, TestClock, record};
use crate::{
    CommitFailure, Conflict, Garbage, INVALIDATION_LIMIT, Invalidated, MappingStorage, Metadata, Oid, PackProgress,
    PackReport, Record, Rules, Store, StoreError, Tid, TransactionId, UndoError,
};

type Subject = Store<MappingStorage<TestClock>>;

fn store() -> Subject {
    let mut store = Store::new(MappingStorage::new(TestClock::default()), 1 << 16);
    change(&mut store, Oid::ROOT, b"root");
    store
}

fn begin(store: &mut Subject) -> TransactionId {
    store.begin(Metadata::default()).unwrap()
}

fn change(store: &mut Subject, oid: Oid, bytes: &[u8]) -> Tid {
    change_to(store, oid, record(bytes, &[]))
}

fn change_to(store: &mut Subject, oid: Oid, record: Record) -> Tid {
    let id = begin(store);
    store.put(id, oid, record).unwrap();
    store.commit(id).unwrap()
}

fn create(store: &mut Subject, bytes: &[u8]) -> Oid {
    let id = begin(store);
    let oid = store.new_oid(id).unwrap();
    store.put(id, oid, record(bytes, &[])).unwrap();
    store.commit(id).unwrap();
    oid
}

fn read(store: &mut Subject, id: TransactionId, oid: Oid) -> Vec<u8> {
    store.get(id, oid).unwrap().payload.clone()
}

fn now(store: &mut Subject, oid: Oid) -> Vec<u8> {
    store.get_before(oid, Tid::MAX).unwrap().payload.clone()
}

fn pack(store: &mut Subject, until: Tid) -> PackReport {
    store.pack_start(until, Garbage::Collect).unwrap();
    loop {
        if let PackProgress::Done(report) = store.pack_step(1).unwrap() {
            return report;
        }
    }
}

// Conflicts and merges.

#[test]
fn c1_a_conflict_names_objects_transactions_and_slots() {
    struct Slots;
    impl Rules for Slots {
        fn differing(&mut self, states: &crate::ThreeStates<'_>) -> Vec<String> {
            let payloads = [states.base, states.committed, states.proposed].map(|one| one.payload.as_slice());
            assert_eq!(payloads, [b"base".as_slice(), b"theirs", b"yours"]);
            vec!["name".into(), "size".into()]
        }
    }
    let mut store = store().with_rules(Box::new(Slots));
    let (one, other) = (create(&mut store, b"base"), create(&mut store, b"base"));
    let loser = begin(&mut store);
    for oid in [one, other] {
        store.put(loser, oid, record(b"yours", &[])).unwrap();
    }
    let yours = [one, other].map(|oid| store.history(oid, 1).unwrap()[0].tid);
    let theirs = [one, other].map(|oid| change(&mut store, oid, b"theirs"));
    let short = StoreError::Conflict { oid: one, yours: yours[0], theirs: theirs[0] };
    assert_eq!(store.commit(loser), Err(short));
    assert!(short.is_retryable());
    let conflict = |place: usize, oid| Conflict {
        oid,
        yours: yours[place],
        theirs: theirs[place],
        slots: vec!["name".into(), "size".into()],
    };
    let whole = CommitFailure::Conflicts { first: conflict(0, one), more: vec![conflict(1, other)] };
    assert_eq!(store.failure(loser), Some(&whole));
    assert_eq!(store.savepoint(loser), Err(StoreError::Failed(loser)), "case 18");
    assert_eq!(store.doom(loser), Err(StoreError::Failed(loser)));
    store.abort(loser).unwrap();
    assert_eq!(store.failure(loser), None);
}

#[test]
fn case_17_a_merge_is_committed_and_its_session_is_told() {
    let mut store = store().with_rules(Box::new(Counters));
    let oid = create(&mut store, &[10]);
    let (winner, loser) = (store.open_session(), store.open_session());
    let first = store.begin_in(winner, Metadata::default()).unwrap();
    let second = store.begin_in(loser, Metadata::default()).unwrap();
    store.put(first.id, oid, record(&[13], &[])).unwrap();
    store.put(second.id, oid, record(&[15], &[])).unwrap();
    store.commit(first.id).unwrap();
    let outcome = store.commit_many(&[second.id]).pop().unwrap().unwrap();
    assert_eq!(outcome.foreign, [oid]);
    assert_eq!(now(&mut store, oid), [18]);
    for session in [winner, loser] {
        let begun = store.begin_in(session, Metadata::default()).unwrap();
        assert_eq!(begun.invalidated, Invalidated::Objects(vec![oid]));
        assert_eq!(read(&mut store, begun.id, oid), [18]);
    }
}

#[test]
fn c2_c3_c4_what_rules_refuse_is_a_conflict() {
    let mut store = store().with_rules(Box::new(Counters));
    let oid = create(&mut store, b"no counter");
    let loser = begin(&mut store);
    store.put(loser, oid, record(&[1], &[])).unwrap();
    change(&mut store, oid, &[2]);
    assert!(matches!(store.commit(loser), Err(StoreError::Conflict { .. })));
    assert!(matches!(store.failure(loser), Some(CommitFailure::Conflicts { first, .. }) if first.slots == ["value"]));
}

#[test]
fn case_17_a_base_that_is_missing_is_a_conflict() {
    let mut store = Store::new(MappingStorage::new(TestClock::default()), 1 << 16).with_rules(Box::new(Counters));
    let (first, second) = (begin(&mut store), begin(&mut store));
    store.put(first, Oid::ROOT, record(&[1], &[])).unwrap();
    store.put(second, Oid::ROOT, record(&[2], &[])).unwrap();
    store.commit(first).unwrap();
    assert!(matches!(store.commit(second), Err(StoreError::Conflict { yours: Tid::ZERO, .. })));
}

#[test]
fn a_merge_does_not_bring_authority_back() {
    let mut store = store().with_rules(Box::new(Counters));
    let oid = create(&mut store, &[0]);
    let with = |value: u8, section: &str| Record { capabilities: section.into(), ..record(&[value], &[]) };
    // The winner's section, the loser's, and what is left, from the section "a".
    let cases = [("", "a", Some("")), ("a", "b", Some("b")), ("b", "b", Some("b")), ("b", "c", None)];
    for (winners, losers, expected) in cases {
        change_to(&mut store, oid, with(0, "a"));
        let loser = begin(&mut store);
        store.put(loser, oid, with(1, losers)).unwrap();
        change_to(&mut store, oid, with(2, winners));
        let merged = store.commit(loser).ok().map(|_| store.get_before(oid, Tid::MAX).unwrap().capabilities.clone());
        assert_eq!(merged.as_deref(), expected.map(str::as_bytes));
    }
}

// Several commits at once.

#[test]
fn several_commits_have_an_outcome_each() {
    let mut store = store().with_rules(Box::new(Counters));
    let (one, other) = (create(&mut store, &[1]), create(&mut store, b"text"));
    let ids: Vec<TransactionId> = (0..7).map(|_| begin(&mut store)).collect();
    store.put(ids[0], one, record(&[2], &[])).unwrap();
    store.put(ids[1], other, record(b"winner", &[])).unwrap();
    store.put(ids[2], other, record(b"loser", &[])).unwrap();
    store.put(ids[3], one, record(&[5], &[])).unwrap();
    store.doom(ids[5]).unwrap();
    store.put(ids[6], Oid::ROOT, record(b"last", &[])).unwrap();
    let snapshot = store.snapshot(ids[4]).unwrap();
    let outcomes = store.commit_many(&ids);
    let tids: Vec<Option<Tid>> = outcomes.iter().map(|one| one.as_ref().ok().map(|one| one.tid)).collect();
    assert!(tids[0] < tids[1] && tids[1] < tids[3] && tids[3] < tids[6], "{tids:?}");
    assert!(matches!(outcomes[2], Err(StoreError::Conflict { oid, .. }) if oid == other));
    assert_eq!(outcomes[3].as_ref().unwrap().foreign, [one]);
    assert_eq!((tids[4], &outcomes[5]), (Some(snapshot), &Err(StoreError::Doomed(ids[5]))));
    assert_eq!((now(&mut store, one), now(&mut store, other)), (vec![6], b"winner".to_vec()));
    assert_eq!(
        store.commit_many(&[ids[0], ids[2]]),
        [Err(StoreError::NoTransaction(ids[0])), Err(StoreError::Failed(ids[2]))]
    );
}

// Savepoints.

#[test]
fn case_19_a_rollback_takes_back_what_came_later() {
    let mut store = store();
    let old = create(&mut store, b"old");
    let id = begin(&mut store);
    store.put(id, Oid::ROOT, record(b"1", &[])).unwrap();
    let kept = store.new_oid(id).unwrap();
    store.put(id, kept, record(b"kept", &[])).unwrap();
    let first = store.savepoint(id).unwrap();
    store.put(id, Oid::ROOT, record(b"2", &[])).unwrap();
    let second = store.savepoint(id).unwrap();
    let new = store.new_oid(id).unwrap();
    store.put(id, new, record(b"new", &[])).unwrap();
    store.put(id, Oid::ROOT, record(b"3", &[new])).unwrap();
    store.put(id, old, record(b"changed", &[])).unwrap();
    let third = store.savepoint(id).unwrap();
    change(&mut store, old, b"others'");

    store.roll_back(id, second).unwrap();
    assert_eq!(read(&mut store, id, Oid::ROOT), b"2");
    assert_eq!(read(&mut store, id, old), b"old", "nothing of others comes in");
    assert_eq!(store.get(id, new).unwrap_err(), StoreError::NeverExisted(new));
    assert_eq!(store.put(id, new, record(b"", &[])), Err(StoreError::NeverExisted(new)), "it is disowned");
    assert_eq!(store.roll_back(id, third), Err(StoreError::NoSavepoint(third)), "later savepoints end");
    store.roll_back(id, second).unwrap();
    store.roll_back(id, first).unwrap();
    assert_eq!(read(&mut store, id, Oid::ROOT), b"1");
    store.commit(id).unwrap();
    assert_eq!((now(&mut store, Oid::ROOT), now(&mut store, kept)), (b"1".to_vec(), b"kept".to_vec()));
    assert_eq!(now(&mut store, old), b"others'");
}

#[test]
fn case_16_a_demand_survives_the_rollback_of_a_later_write() {
    let mut store = store();
    let (read_only, other) = (create(&mut store, b"r"), create(&mut store, b"o"));
    let id = begin(&mut store);
    store.read_current(id, read_only).unwrap();
    let savepoint = store.savepoint(id).unwrap();
    store.put(id, read_only, record(b"written", &[])).unwrap();
    store.read_current(id, other).unwrap();
    store.roll_back(id, savepoint).unwrap();
    store.put(id, Oid::ROOT, record(b"", &[])).unwrap();
    change(&mut store, other, b"free");
    let theirs = change(&mut store, read_only, b"theirs");
    assert!(
        matches!(store.commit(id), Err(StoreError::Conflict { oid, theirs: by, .. }) if (oid, by) == (read_only, theirs))
    );
}

#[test]
fn case_16_demands_of_new_objects_are_none() {
    let mut store = store();
    let id = begin(&mut store);
    let savepoint = store.savepoint(id).unwrap();
    let new = store.new_oid(id).unwrap();
    store.read_current(id, new).unwrap();
    store.put(id, new, record(b"", &[])).unwrap();
    store.roll_back(id, savepoint).unwrap();
    store.put(id, Oid::ROOT, record(b"", &[])).unwrap();
    store.commit(id).unwrap();
}

#[test]
fn case_16_a_demand_is_of_the_snapshot() {
    let mut store = store();
    let oid = create(&mut store, b"1");
    let early = begin(&mut store);
    change(&mut store, oid, b"2");
    let late = begin(&mut store);
    for (id, expected) in [(early, false), (late, true)] {
        store.read_current(id, oid).unwrap();
        store.put(id, Oid::ROOT, record(b"", &[])).unwrap();
        assert_eq!(store.commit(id).is_ok(), expected);
    }
}

#[test]
fn undos_are_taken_back_too() {
    let mut store = store();
    let second = change(&mut store, Oid::ROOT, b"2");
    let id = begin(&mut store);
    let savepoint = store.savepoint(id).unwrap();
    store.undo(id, second).unwrap();
    store.roll_back(id, savepoint).unwrap();
    store.commit(id).unwrap();
    assert_eq!(now(&mut store, Oid::ROOT), b"2");
}

// Sessions.

#[test]
fn case_14_a_begin_takes_snapshot_and_invalidations_together() {
    let mut store = store();
    let oids = [create(&mut store, b"1"), create(&mut store, b"1")];
    let session = store.open_session();
    let begun = store.begin_in(session, Metadata::default()).unwrap();
    assert_eq!(begun.invalidated, Invalidated::Objects(vec![]));
    change(&mut store, oids[1], b"2");
    let last = change(&mut store, oids[0], b"2");
    assert_eq!(read(&mut store, begun.id, oids[0]), b"1", "case 15: new state comes with the next begin");
    let next = store.begin_in(session, Metadata::default()).unwrap();
    assert_eq!((next.snapshot, next.invalidated), (last, Invalidated::Objects(oids.to_vec())));
    let after = store.begin_in(session, Metadata::default()).unwrap();
    assert_eq!(after.invalidated, Invalidated::Objects(vec![]), "it was drained");
}

#[test]
fn a_session_is_not_told_of_its_own_commits_but_of_its_undos() {
    let mut store = store();
    let (own, other) = (store.open_session(), store.open_session());
    let begun = store.begin_in(own, Metadata::default()).unwrap();
    store.put(begun.id, Oid::ROOT, record(b"2", &[])).unwrap();
    let tid = store.commit(begun.id).unwrap();
    let begun = store.begin_in(own, Metadata::default()).unwrap();
    assert_eq!(begun.invalidated, Invalidated::Objects(vec![]));
    store.undo(begun.id, tid).unwrap();
    store.commit(begun.id).unwrap();
    for session in [own, other] {
        let begun = store.begin_in(session, Metadata::default()).unwrap();
        assert_eq!(begun.invalidated, Invalidated::Objects(vec![Oid::ROOT]));
        assert_eq!(read(&mut store, begun.id, Oid::ROOT), b"root");
    }
}

#[test]
fn a_queue_that_overflows_says_everything() {
    let mut store = store();
    let session = store.open_session();
    let id = begin(&mut store);
    for _ in 0..=INVALIDATION_LIMIT {
        let oid = store.new_oid(id).unwrap();
        store.put(id, oid, record(b"", &[])).unwrap();
    }
    store.commit(id).unwrap();
    change(&mut store, Oid::ROOT, b"2");
    let begun = store.begin_in(session, Metadata::default()).unwrap();
    assert_eq!(begun.invalidated, Invalidated::Everything);
    change(&mut store, Oid::ROOT, b"3");
    let begun = store.begin_in(session, Metadata::default()).unwrap();
    assert_eq!(begun.invalidated, Invalidated::Objects(vec![Oid::ROOT]), "it starts anew");
}

#[test]
fn the_end_of_a_session_aborts_its_transactions() {
    let mut store = store();
    let session = store.open_session();
    let begun = store.begin_in(session, Metadata::default()).unwrap();
    let other = begin(&mut store);
    store.close_session(session).unwrap();
    assert_eq!(store.commit(begun.id), Err(StoreError::NoTransaction(begun.id)));
    assert_eq!(store.begin_in(session, Metadata::default()), Err(StoreError::NoSession(session)));
    assert_eq!(store.close_session(session), Err(StoreError::NoSession(session)));
    store.commit(other).unwrap();
}

// Undo.

#[test]
fn undo_happens_at_the_commit_against_what_is_current() {
    let mut store = store();
    let oid = create(&mut store, b"1");
    let second = change(&mut store, oid, b"2");
    let third = change(&mut store, oid, b"3");
    let id = begin(&mut store);
    store.undo(id, third).unwrap();
    store.undo(id, second).unwrap();
    assert_eq!(read(&mut store, id, oid), b"3", "it does not show before");
    store.put(id, Oid::ROOT, record(b"besides", &[])).unwrap();
    let undone = store.commit(id).unwrap();
    assert_eq!((now(&mut store, oid), now(&mut store, Oid::ROOT)), (b"1".to_vec(), b"besides".to_vec()));

    let late = begin(&mut store);
    store.undo(late, undone).unwrap();
    change(&mut store, oid, b"4");
    assert_eq!(store.commit(late), Err(StoreError::NotUndoable(undone)));
    let objects = vec![oid];
    assert_eq!(store.failure(late), Some(&CommitFailure::Undo(UndoError::Changed { tid: undone, objects })));
    assert_eq!(now(&mut store, Oid::ROOT), b"besides", "all objects or none");
    let none = begin(&mut store);
    store.undo(none, Tid::new(9_999)).unwrap();
    assert_eq!(store.commit(none), Err(StoreError::NoSuchTransaction(Tid::new(9_999))));
}

// The past.

#[test]
fn a_view_shows_the_past_and_changes_nothing() {
    let mut store = store();
    let oid = create(&mut store, b"1");
    let at = store.history(oid, 1).unwrap()[0].tid;
    let later = create(&mut store, b"later");
    let last = change(&mut store, oid, b"2");
    let view = store.view_at(at).unwrap();
    assert_eq!(read(&mut store, view, oid), b"1");
    assert!(matches!(store.get(view, later), Err(StoreError::CreatedLater { .. })));
    let refused = StoreError::ReadOnlyView(view);
    assert_eq!(store.put(view, oid, record(b"", &[])), Err(refused));
    assert_eq!(store.new_oid(view), Err(refused));
    assert_eq!(store.read_current(view, oid), Err(refused));
    assert_eq!(store.undo(view, at), Err(refused));
    assert_eq!(store.savepoint(view), Err(refused));
    assert_eq!(store.commit(view), Ok(at));
    assert_eq!(store.view_at(last.after()), Err(StoreError::BeyondLast { at: last.after(), last }));
    let now = store.view_at(last).unwrap();
    assert_eq!(read(&mut store, now, oid), b"2");
    let genesis = store.view_at(Tid::ZERO).unwrap();
    assert!(matches!(store.root(genesis), Err(StoreError::CreatedLater { .. })));
}

#[test]
fn the_past_holds_no_authority_that_was_lost() {
    let mut store = store();
    let with = |bytes: &[u8], section: &[u8]| Record { capabilities: section.to_vec(), ..record(bytes, &[]) };
    let first = change_to(&mut store, Oid::ROOT, with(b"1", b"key"));
    let second = change_to(&mut store, Oid::ROOT, with(b"2", b"key"));
    let section = |store: &mut Subject, at| {
        let view = store.view_at(at).unwrap();
        store.get(view, Oid::ROOT).unwrap().capabilities.clone()
    };
    assert_eq!(section(&mut store, first), b"key", "what is held still is shown");
    change_to(&mut store, Oid::ROOT, with(b"3", b""));
    for at in [first, second] {
        assert_eq!(section(&mut store, at), b"");
        assert_eq!(store.get_before(Oid::ROOT, at.after()).unwrap().capabilities, b"");
    }
}

#[test]
fn case_6_a_pack_leaves_open_snapshots_and_views_alone() {
    let mut store = store();
    let oid = create(&mut store, b"1");
    let linked = change_to(&mut store, Oid::ROOT, record(b"linked", &[oid]));
    let reader = begin(&mut store);
    change(&mut store, oid, b"2");
    change(&mut store, Oid::ROOT, b"alone");
    let report = pack(&mut store, Tid::MAX);
    assert_eq!((report.horizon, report.objects), (linked, 0));
    assert_eq!(
        (read(&mut store, reader, oid), read(&mut store, reader, Oid::ROOT)),
        (b"1".to_vec(), b"linked".to_vec())
    );
    store.abort(reader).unwrap();
    let view = store.view_at(linked).unwrap();
    pack(&mut store, Tid::MAX);
    assert_eq!(read(&mut store, view, oid), b"1");
    store.abort(view).unwrap();
    let horizon = pack(&mut store, Tid::MAX).horizon;
    assert_eq!(store.view_at(linked), Err(StoreError::PackedAway { at: linked, horizon }));
    assert_eq!(store.get_before(oid, linked.after()), Err(StoreError::PackedAway { at: linked, horizon }));
    store.view_at(horizon).unwrap();
    let late = begin(&mut store);
    assert_eq!(store.get(late, oid).unwrap_err(), StoreError::NeverExisted(oid), "the cache has forgotten it too");
}

#[test]
fn case_7_what_open_transactions_refer_to_survives() {
    let mut store = store();
    let oid = create(&mut store, b"nobody's");
    let other = create(&mut store, b"nobody's either");
    let id = begin(&mut store);
    store.put(id, Oid::ROOT, record(b"mine", &[oid])).unwrap();
    pack(&mut store, Tid::MAX);
    store.commit(id).unwrap();
    assert_eq!(now(&mut store, oid), b"nobody's");
    assert_eq!(store.get_before(other, Tid::MAX).unwrap_err(), StoreError::NeverExisted(other));
}

// The rest.

#[test]
fn a_doomed_transaction_goes_on_and_does_not_commit() {
    let mut store = store();
    let id = begin(&mut store);
    store.doom(id).unwrap();
    store.put(id, Oid::ROOT, record(b"2", &[])).unwrap();
    assert_eq!(read(&mut store, id, Oid::ROOT), b"2");
    assert_eq!(store.commit(id), Err(StoreError::Doomed(id)));
    assert_eq!(store.commit(id), Err(StoreError::Doomed(id)));
    store.abort(id).unwrap();
    assert_eq!(now(&mut store, Oid::ROOT), b"root");
}

#[test]
fn a_transaction_tells_of_itself() {
    let mut store = store();
    let id = store.begin(Metadata::new("ann", "")).unwrap();
    store.note(id, "one").unwrap();
    store.describe(id, |metadata| metadata.extension = vec![1, 2]).unwrap();
    assert!(store.describe(id, |metadata| metadata.user = "x".repeat(70_000)).is_err());
    store.put(id, Oid::ROOT, record(b"", &[])).unwrap();
    store.commit(id).unwrap();
    let expected = Metadata { extension: vec![1, 2], ..Metadata::new("ann", "one") };
    assert_eq!(store.transactions().next().unwrap().unwrap().metadata, expected);
}

#[test]
fn work_is_done_again_where_others_were_quicker() {
    let mut store = store();
    let oid = create(&mut store, &[0]);
    let mut tries = 0;
    let work = |store: &mut Subject, id| {
        tries += 1;
        let value = store.get(id, oid)?.payload[0];
        if tries < 3 {
            change(store, oid, &[value + 10]);
        }
        store.put(id, oid, record(&[value + 1], &[]))?;
        Ok(value)
    };
    assert!(matches!(store.run(3, &Metadata::default(), work), Ok((20, _))));
    assert_eq!((tries, now(&mut store, oid)), (3, vec![21]));
    let mut tries = 0;
    let hopeless = store.run(2, &Metadata::default(), |store, id| {
        tries += 1;
        change(store, oid, &[tries]);
        store.put(id, oid, record(b"", &[]))
    });
    assert!(matches!(hopeless, Err(StoreError::Conflict { .. })));
    assert_eq!(tries, 2);
    let mut tries = 0;
    let wrong = store.run(9, &Metadata::default(), |store, id| {
        tries += 1;
        store.put(id, Oid::new(9_999), record(b"", &[]))
    });
    assert_eq!((wrong.unwrap_err(), tries), (StoreError::NeverExisted(Oid::new(9_999)), 1));
}
