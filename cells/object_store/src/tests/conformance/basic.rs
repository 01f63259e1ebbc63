//! Committing, loading, refusing, telling.

use alloc::vec;
use alloc::vec::Vec;

use super::super::support::{commit, formatted, open, payload, put, record};
use super::{Subject, on_every_storage};
use crate::{ChangeInfo, Load, Metadata, Oid, RevisionKind, Storage, StorageError, Tid};

on_every_storage! {
    an_empty_storage_has_nothing
    stores_and_loads_revisions
    absence_has_three_forms
    stale_changes_conflict
    a_new_object_conflicts_with_an_existing_one
    read_current_is_checked
    read_current_is_superseded_by_a_change
    dangling_references_are_refused
    references_within_a_transaction_hold
    numbers_must_be_issued
    numbers_of_objects_do_not_repeat
    numbers_of_transactions_increase_whatever_the_clock_does
    a_broken_clock_does_not_use_up_the_numbers
    an_aborted_transaction_leaves_no_trace
    an_empty_transaction_is_kept
    votes_are_limited
    the_last_store_of_an_object_wins
    transactions_tell_what_they_changed
    long_metadata_is_refused
    objects_are_listed_in_order
    whole_records_return
}

fn an_empty_storage_has_nothing<S: Storage>(Subject { mut storage, .. }: Subject<S>) {
    assert_eq!(storage.last_transaction(), Tid::ZERO);
    assert_eq!(storage.load_before(Oid::ROOT, Tid::MAX), Ok(Load::NeverExisted));
    assert_eq!(storage.history(Oid::ROOT, 9), Ok(vec![]));
    assert_eq!(storage.transaction_before(Tid::MAX), Ok(None));
    assert_eq!(storage.next_object(None), Ok(None));
}

fn stores_and_loads_revisions<S: Storage>(Subject { mut storage, clock }: Subject<S>) {
    clock.0.set(100);
    let first = put(&mut storage, Oid::ROOT, record(b"one", &[])).unwrap();
    clock.0.set(200);
    let second = put(&mut storage, Oid::ROOT, record(b"two", &[])).unwrap();
    assert_eq!((first, second), (Tid::new(100), Tid::new(200)));
    assert_eq!(storage.last_transaction(), second);
    let expected = |payload: &[u8], tid, next| Ok(Load::Data { record: record(payload, &[]), tid, next });
    assert_eq!(storage.load_before(Oid::ROOT, Tid::MAX), expected(b"two", second, None));
    assert_eq!(storage.load_before(Oid::ROOT, second.after()), expected(b"two", second, None));
    assert_eq!(storage.load_before(Oid::ROOT, second), expected(b"one", first, Some(second)));
    let history = storage.history(Oid::ROOT, 9).unwrap();
    assert_eq!(history.iter().map(|one| one.tid).collect::<Vec<_>>(), [second, first]);
    assert_eq!(storage.history(Oid::ROOT, 1).unwrap().len(), 1);
}

fn absence_has_three_forms<S: Storage>(Subject { mut storage, .. }: Subject<S>) {
    let early = put(&mut storage, Oid::ROOT, record(b"", &[])).unwrap();
    let oid = storage.new_oid().unwrap();
    assert_eq!(storage.load_before(oid, Tid::MAX), Ok(Load::NeverExisted));
    let created = put(&mut storage, oid, record(b"x", &[])).unwrap();
    let mut transaction = storage.begin(Metadata::default()).unwrap();
    storage.delete(&mut transaction, oid, created);
    let voted = storage.vote(transaction).unwrap();
    let deleted = storage.finish(voted).unwrap();
    assert_eq!(storage.load_before(oid, early.after()), Ok(Load::NotYet(created)));
    assert!(matches!(storage.load_before(oid, deleted), Ok(Load::Data { next: Some(next), .. }) if next == deleted));
    assert_eq!(storage.load_before(oid, Tid::MAX), Ok(Load::DeletedAt(deleted)));
    assert_eq!(storage.history(oid, 1).unwrap()[0].kind, RevisionKind::Deletion);
    let from_before = commit(&mut storage, vec![(oid, created, record(b"y", &[]))]);
    assert_eq!(from_before, Err(StorageError::Conflict { oid, yours: created, theirs: deleted }));
}

fn stale_changes_conflict<S: Storage>(Subject { mut storage, .. }: Subject<S>) {
    let first = put(&mut storage, Oid::ROOT, record(b"1", &[])).unwrap();
    let second = put(&mut storage, Oid::ROOT, record(b"2", &[])).unwrap();
    let outcome = commit(&mut storage, vec![(Oid::ROOT, first, record(b"3", &[]))]);
    assert_eq!(outcome, Err(StorageError::Conflict { oid: Oid::ROOT, yours: first, theirs: second }));
    assert_eq!(payload(&mut storage, Oid::ROOT, Tid::MAX).unwrap(), b"2");
    commit(&mut storage, vec![(Oid::ROOT, second, record(b"3", &[]))]).unwrap();
}

fn a_new_object_conflicts_with_an_existing_one<S: Storage>(Subject { mut storage, .. }: Subject<S>) {
    let theirs = put(&mut storage, Oid::ROOT, record(b"1", &[])).unwrap();
    let outcome = commit(&mut storage, vec![(Oid::ROOT, Tid::ZERO, record(b"2", &[]))]);
    assert_eq!(outcome, Err(StorageError::Conflict { oid: Oid::ROOT, yours: Tid::ZERO, theirs }));
}

fn read_current_is_checked<S: Storage>(Subject { mut storage, .. }: Subject<S>) {
    let first = put(&mut storage, Oid::ROOT, record(b"1", &[])).unwrap();
    let other = storage.new_oid().unwrap();
    for (expected, revision) in [(true, first), (false, Tid::ZERO)] {
        let mut transaction = storage.begin(Metadata::default()).unwrap();
        let based_on = storage.revision_before(other, Tid::MAX).unwrap().revision();
        storage.store(&mut transaction, other, based_on, record(b"", &[]));
        storage.read_current(&mut transaction, Oid::ROOT, revision);
        match storage.vote(transaction) {
            Ok(voted) => {
                assert!(expected);
                storage.finish(voted).unwrap();
            }
            Err(error) => {
                assert!(!expected);
                assert_eq!(error, StorageError::ReadConflict { oid: Oid::ROOT, yours: revision, theirs: first });
            }
        }
    }
}

fn read_current_is_superseded_by_a_change<S: Storage>(Subject { mut storage, .. }: Subject<S>) {
    let first = put(&mut storage, Oid::ROOT, record(b"1", &[])).unwrap();
    let mut transaction = storage.begin(Metadata::default()).unwrap();
    storage.read_current(&mut transaction, Oid::ROOT, Tid::ZERO);
    storage.store(&mut transaction, Oid::ROOT, first, record(b"2", &[]));
    let voted = storage.vote(transaction).unwrap();
    storage.finish(voted).unwrap();
}

fn dangling_references_are_refused<S: Storage>(Subject { mut storage, .. }: Subject<S>) {
    let missing = storage.new_oid().unwrap();
    let dangling = |to| Err(StorageError::Dangling { from: Oid::ROOT, to });
    assert_eq!(put(&mut storage, Oid::ROOT, record(b"", &[missing])), dangling(missing));
    assert_eq!(put(&mut storage, Oid::ROOT, record(b"", &[Oid::new(1 << 40)])), dangling(Oid::new(1 << 40)));
    assert_eq!(storage.last_transaction(), Tid::ZERO);

    let created = put(&mut storage, missing, record(b"", &[])).unwrap();
    let root = put(&mut storage, Oid::ROOT, record(b"", &[missing])).unwrap();
    let mut transaction = storage.begin(Metadata::default()).unwrap();
    storage.delete(&mut transaction, missing, created);
    storage.store(&mut transaction, Oid::ROOT, root, record(b"", &[missing]));
    assert_eq!(storage.vote(transaction).map(|_| ()), dangling(missing).map(|_| ()));
}

fn references_within_a_transaction_hold<S: Storage>(Subject { mut storage, .. }: Subject<S>) {
    let (a, b) = (storage.new_oid().unwrap(), storage.new_oid().unwrap());
    let changes = vec![
        (Oid::ROOT, Tid::ZERO, record(b"", &[a, Oid::ROOT])),
        (a, Tid::ZERO, record(b"", &[b])),
        (b, Tid::ZERO, record(b"", &[a])),
    ];
    commit(&mut storage, changes).unwrap();
}

fn numbers_must_be_issued<S: Storage>(Subject { mut storage, .. }: Subject<S>) {
    let issued = storage.new_oid().unwrap();
    let unissued = Oid::new(issued.number() + 1);
    assert_eq!(put(&mut storage, unissued, record(b"", &[])), Err(StorageError::OidNotIssued(unissued)));
    put(&mut storage, issued, record(b"", &[])).unwrap();
}

fn numbers_of_objects_do_not_repeat<S: Storage>(Subject { mut storage, .. }: Subject<S>) {
    let mut last = Oid::ROOT;
    for turn in 0..5_000 {
        let oid = storage.new_oid().unwrap();
        assert!(oid > last);
        last = oid;
        if turn % 1_000 == 0 {
            put(&mut storage, oid, record(b"", &[])).unwrap();
        }
    }
}

fn numbers_of_transactions_increase_whatever_the_clock_does<S: Storage>(Subject { mut storage, clock }: Subject<S>) {
    let mut tids = Vec::new();
    for time in [500, 500, 100, 0, 501, 502, 503, 9_000] {
        clock.0.set(time);
        tids.push(put(&mut storage, Oid::ROOT, record(b"", &[])).unwrap().number());
    }
    assert_eq!(tids, [500, 501, 502, 503, 504, 505, 506, 9_000]);
}

fn a_broken_clock_does_not_use_up_the_numbers<S: Storage>(Subject { mut storage, clock }: Subject<S>) {
    clock.0.set(u64::MAX);
    let first = put(&mut storage, Oid::ROOT, record(b"", &[])).unwrap();
    let second = put(&mut storage, Oid::ROOT, record(b"", &[])).unwrap();
    assert_eq!(second.number(), first.number() + 1);
}

fn an_aborted_transaction_leaves_no_trace<S: Storage>(Subject { mut storage, .. }: Subject<S>) {
    let oid = storage.new_oid().unwrap();
    let mut transaction = storage.begin(Metadata::default()).unwrap();
    storage.store(&mut transaction, oid, Tid::ZERO, record(b"", &[]));
    let voted = storage.vote(transaction).unwrap();
    storage.abort(voted).unwrap();
    assert_eq!(storage.load_before(oid, Tid::MAX), Ok(Load::NeverExisted));
    assert_eq!(storage.next_object(None), Ok(None));
    assert_eq!(storage.last_transaction(), Tid::ZERO);
    assert!(storage.new_oid().unwrap() > oid);
    put(&mut storage, oid, record(b"", &[])).unwrap();
}

fn an_empty_transaction_is_kept<S: Storage>(Subject { mut storage, .. }: Subject<S>) {
    let tid = commit(&mut storage, vec![]).unwrap();
    assert_eq!(storage.last_transaction(), tid);
    assert_eq!(storage.transaction_before(Tid::MAX).unwrap().unwrap().tid, tid);
}

fn votes_are_limited<S: Storage>(Subject { mut storage, .. }: Subject<S>) {
    let mut voted = Vec::new();
    for _ in 0..storage.vote_limit() {
        let transaction = storage.begin(Metadata::default()).unwrap();
        voted.push(storage.vote(transaction).unwrap());
    }
    let (one_more, later) = (storage.begin(Metadata::default()).unwrap(), storage.begin(Metadata::default()).unwrap());
    assert_eq!(storage.vote(one_more).map(|_| ()), Err(StorageError::Busy));
    let expected: Vec<Tid> = voted.iter().map(crate::Voted::tid).collect();
    assert_eq!(storage.finish_many(voted), Ok(expected));
    let voted = storage.vote(later).unwrap();
    storage.abort(voted).unwrap();
    let forged = crate::Voted::new(Tid::new(77));
    assert_eq!(storage.finish(forged), Err(StorageError::ForeignTransaction));
}

fn the_last_store_of_an_object_wins<S: Storage>(Subject { mut storage, .. }: Subject<S>) {
    let changes = vec![(Oid::ROOT, Tid::ZERO, record(b"1", &[])), (Oid::ROOT, Tid::ZERO, record(b"2", &[]))];
    commit(&mut storage, changes).unwrap();
    assert_eq!(payload(&mut storage, Oid::ROOT, Tid::MAX).unwrap(), b"2");
    assert_eq!(storage.history(Oid::ROOT, 9).unwrap().len(), 1);
}

fn transactions_tell_what_they_changed<S: Storage>(Subject { mut storage, .. }: Subject<S>) {
    let oid = storage.new_oid().unwrap();
    let metadata = Metadata { extension: vec![0, 255], ..Metadata::new("ann", "builds\nit") };
    let mut transaction = storage.begin(metadata.clone()).unwrap();
    storage.store(&mut transaction, oid, Tid::ZERO, record(b"abc", &[]));
    storage.store(&mut transaction, Oid::ROOT, Tid::ZERO, record(b"", &[oid]));
    let voted = storage.vote(transaction).unwrap();
    let first = storage.finish(voted).unwrap();
    let second = put(&mut storage, oid, record(b"", &[])).unwrap();
    let info = storage.transaction_before(second).unwrap().unwrap();
    assert_eq!((info.tid, &info.metadata), (first, &metadata));
    let bytes = |references: &[Oid], payload: &[u8]| RevisionKind::Data {
        bytes: record(payload, references).encoded_length() as u32,
    };
    let expected =
        [ChangeInfo { oid: Oid::ROOT, kind: bytes(&[oid], b"") }, ChangeInfo { oid, kind: bytes(&[], b"abc") }];
    assert_eq!(info.changes, expected);
    assert_eq!(storage.transaction_before(first).unwrap(), None);
    assert_eq!(storage.transaction_before(Tid::MAX).unwrap().unwrap().tid, second);
}

fn long_metadata_is_refused<S: Storage>(Subject { mut storage, .. }: Subject<S>) {
    let metadata = Metadata { extension: vec![0; 65_536], ..Metadata::default() };
    assert_eq!(storage.begin(metadata).map(|_| ()), Err(StorageError::MetadataTooLarge { limit: 65_535 }));
    let metadata = Metadata { extension: vec![0; 65_535], ..Metadata::default() };
    assert!(storage.begin(metadata).is_ok());
}

fn objects_are_listed_in_order<S: Storage>(Subject { mut storage, .. }: Subject<S>) {
    let mut oids: Vec<Oid> = (0..9).map(|_| storage.new_oid().unwrap()).collect();
    for &oid in oids.iter().rev() {
        put(&mut storage, oid, record(b"", &[])).unwrap();
    }
    oids.sort();
    let mut listed = Vec::new();
    while let Some(oid) = storage.next_object(listed.last().copied()).unwrap() {
        listed.push(oid);
    }
    assert_eq!(listed, oids);
    assert_eq!(storage.next_object(Some(Oid::new(u64::MAX))), Ok(None));
}

fn whole_records_return<S: Storage>(Subject { mut storage, .. }: Subject<S>) {
    let oid = storage.new_oid().unwrap();
    let whole = crate::Record {
        schema: 0xfffe,
        version: 300,
        references: vec![oid, Oid::ROOT, oid],
        capabilities: vec![9; 700],
        payload: (0..2_000u32).map(|byte| byte as u8).collect(),
    };
    let changes = vec![(oid, Tid::ZERO, whole.clone()), (Oid::ROOT, Tid::ZERO, record(b"", &[]))];
    let tid = commit(&mut storage, changes).unwrap();
    assert_eq!(storage.load_before(oid, Tid::MAX), Ok(Load::Data { record: whole, tid, next: None }));
}

#[test]
fn a_file_keeps_everything_over_reopening() {
    let mut storage = open(formatted(40, 8));
    let mut expected = Vec::new();
    for turn in 0..60u8 {
        let oid = if turn == 0 { Oid::ROOT } else { storage.new_oid().unwrap() };
        let metadata = Metadata::new("ann", &alloc::format!("{turn}"));
        let mut transaction = storage.begin(metadata).unwrap();
        storage.store(&mut transaction, oid, Tid::ZERO, record(&[turn; 50], &[]));
        let voted = storage.vote(transaction).unwrap();
        expected.push((oid, storage.finish(voted).unwrap(), turn));
        if turn % 7 == 0 {
            let issued = storage.new_oid().unwrap();
            storage = open(storage.into_device());
            assert!(storage.new_oid().unwrap() > issued);
        }
        if turn == 33 {
            storage.checkpoint().unwrap();
        }
    }
    for &(oid, tid, turn) in &expected {
        let load = storage.load_before(oid, Tid::MAX);
        assert_eq!(load, Ok(Load::Data { record: record(&[turn; 50], &[]), tid, next: None }));
        let info = storage.transaction_before(tid.after()).unwrap().unwrap();
        assert_eq!(info.metadata.description, alloc::format!("{turn}"));
    }
}
