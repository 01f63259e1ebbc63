//! Conflicts, merges, several commits at once, failure.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use super::super::support::{Counters, TestClock, record};
use super::{Subject, begin, change, change_to, create, now, read, store};
use crate::{
    CommitFailure, Conflict, Invalidated, MappingStorage, Metadata, Oid, Record, Rules, Store, StoreError, Tid,
    TransactionId,
};

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
fn case_18_new_objects_of_a_failed_commit_are_nobodys() {
    let mut store = store();
    let loser = begin(&mut store);
    let new = store.new_oid(loser).unwrap();
    store.put(loser, new, record(b"new", &[])).unwrap();
    store.put(loser, Oid::ROOT, record(b"loser", &[new])).unwrap();
    let reader = begin(&mut store);
    change(&mut store, Oid::ROOT, b"winner");
    assert!(store.commit(loser).is_err());
    store.abort(loser).unwrap();
    let again = begin(&mut store);
    assert_eq!(read(&mut store, again, Oid::ROOT), b"winner");
    assert_eq!(store.put(again, new, record(b"new", &[])), Err(StoreError::NeverExisted(new)));
    let other = store.new_oid(again).unwrap();
    assert!(other > new);
    store.put(again, other, record(b"new", &[])).unwrap();
    store.put(again, Oid::ROOT, record(b"again", &[new])).unwrap();
    let dangling = crate::StorageError::Dangling { from: Oid::ROOT, to: new };
    assert_eq!(store.commit(again), Err(StoreError::Storage(dangling)));
    assert_eq!(store.failure(again), Some(&CommitFailure::Storage(dangling)));
    assert_eq!(read(&mut store, reader, Oid::ROOT), b"root", "the caches of others are untouched");
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
