//! Packing, on every storage that packs.

use alloc::vec;
use alloc::vec::Vec;

use super::super::support::{commit, delete, payload, put, record, undo};
use crate::{
    DanglingReference, Garbage, Load, Metadata, Oid, PackError, PackProgress, PackRequest, Storage, StorageError, Tid,
    UndoError,
};

macro_rules! cases {
    ($($name:ident)*) => {
        mod on_mapping { $(#[test] fn $name() { super::$name(super::super::mapping().storage); })* }
        mod on_file { $(#[test] fn $name() { super::$name(super::super::file().storage); })* }
        mod on_narrow_file { $(#[test] fn $name() { super::$name(super::super::narrow_file().storage); })* }
        mod on_demo { $(#[test] fn $name() { super::$name(super::super::demo().storage); })* }
    };
}

cases! {
    k1_an_empty_store_packs
    k2_k3_a_pack_to_the_future_or_the_past_loses_nothing
    k4_k6_commits_go_on_during_a_pack
    k8_garbage_goes
    k9_k10_only_old_states_go
    k11_garbage_can_be_kept
    k12_u10_an_unlinking_after_the_horizon_is_undone
    k13_earlier_repeated_and_simultaneous_packs
    k14_packed_transactions_leave_the_log
    case_4_undo_is_told_by_transaction_and_reaches_back_to_the_horizon
    case_5_an_object_that_was_linked_again_survives
    case_6_an_open_snapshot_goes_on
    case_7_what_is_in_flight_survives
    u9_u11_u12_undoing_and_packing_take_turns
    case_12_the_last_transaction_does_not_go_back
    case_13_numbers_of_dropped_objects_are_not_issued_again
    dangling_references_are_reported_and_in_nobodys_way
    a_deleted_object_goes_with_its_end
}

fn until(tid: Tid) -> PackRequest {
    PackRequest::until(tid)
}

/// The root and a child that it refers to.
fn family<S: Storage>(storage: &mut S) -> (Oid, Tid) {
    let child = storage.new_oid().unwrap();
    let changes = vec![(Oid::ROOT, Tid::ZERO, record(b"r", &[child])), (child, Tid::ZERO, record(b"c", &[]))];
    let tid = commit(storage, changes).unwrap();
    (child, tid)
}

fn k1_an_empty_store_packs<S: Storage>(mut storage: S) {
    let report = storage.pack(until(Tid::MAX)).unwrap();
    assert_eq!((report.horizon, report.revisions), (Tid::ZERO, 0));
    family(&mut storage);
}

fn k2_k3_a_pack_to_the_future_or_the_past_loses_nothing<S: Storage>(mut storage: S) {
    let (child, first) = family(&mut storage);
    let second = put(&mut storage, child, record(b"2", &[])).unwrap();
    assert_eq!(storage.pack(until(Tid::new(first.number() - 1))).unwrap().revisions, 0);
    assert_eq!(payload(&mut storage, child, second).unwrap(), b"c");
    let report = storage.pack(until(Tid::MAX)).unwrap();
    assert_eq!((report.horizon, report.revisions, storage.horizon()), (second, 1, second));
    assert_eq!(payload(&mut storage, child, Tid::MAX).unwrap(), b"2");
    assert_eq!(storage.load_before(child, second), Ok(Load::NotYet(second)));
}

fn k4_k6_commits_go_on_during_a_pack<S: Storage>(mut storage: S) {
    let (child, _) = family(&mut storage);
    for turn in 0..5u8 {
        put(&mut storage, child, record(&[turn], &[])).unwrap();
        storage.pack_start(until(Tid::MAX)).unwrap();
        assert_eq!(storage.pack_start(until(Tid::MAX)), Err(PackError::Running));
        let during = put(&mut storage, child, record(&[turn, 1], &[])).unwrap();
        let mut made = Vec::new();
        loop {
            let oid = storage.new_oid().unwrap();
            made.push((oid, put(&mut storage, oid, record(&[turn, 2], &[child])).unwrap()));
            if let PackProgress::Done(_) = storage.pack_step(1).unwrap() {
                break;
            }
        }
        assert_eq!(payload(&mut storage, child, during).unwrap(), [turn]);
        assert_eq!(payload(&mut storage, child, Tid::MAX).unwrap(), [turn, 1]);
        for (oid, tid) in made {
            assert_eq!(payload(&mut storage, oid, Tid::MAX).unwrap(), [turn, 2]);
            assert_eq!(storage.transaction_before(tid.after()).unwrap().unwrap().tid, tid);
        }
    }
    assert_eq!(storage.pack_step(1), Err(PackError::NotRunning));
}

fn k8_garbage_goes<S: Storage>(mut storage: S) {
    let (child, _) = family(&mut storage);
    put(&mut storage, child, record(b"2", &[])).unwrap();
    put(&mut storage, Oid::ROOT, record(b"alone", &[])).unwrap();
    let report = storage.pack(until(Tid::MAX)).unwrap();
    assert_eq!((report.objects, report.revisions), (1, 3));
    assert_eq!(storage.load_before(child, Tid::MAX), Ok(Load::NeverExisted));
    assert_eq!(storage.history(child, 9), Ok(vec![]));
    let again = put(&mut storage, Oid::ROOT, record(b"", &[child]));
    assert_eq!(again, Err(StorageError::Dangling { from: Oid::ROOT, to: child }));
}

fn k9_k10_only_old_states_go<S: Storage>(mut storage: S) {
    let (child, _) = family(&mut storage);
    let kept = put(&mut storage, child, record(b"2", &[])).unwrap();
    let horizon = put(&mut storage, Oid::ROOT, record(b"r2", &[child])).unwrap();
    let after = put(&mut storage, child, record(b"3", &[])).unwrap();
    let report = storage.pack(until(horizon)).unwrap();
    assert_eq!((report.objects, report.revisions), (0, 2));
    let tids: Vec<Tid> = storage.history(child, 9).unwrap().iter().map(|one| one.tid).collect();
    assert_eq!(tids, [after, kept]);
    assert_eq!(storage.history(Oid::ROOT, 9).unwrap().len(), 1);
    assert_eq!(payload(&mut storage, child, horizon.after()).unwrap(), b"2");
}

fn k11_garbage_can_be_kept<S: Storage>(mut storage: S) {
    let (child, _) = family(&mut storage);
    put(&mut storage, child, record(b"2", &[])).unwrap();
    put(&mut storage, Oid::ROOT, record(b"alone", &[])).unwrap();
    storage.pack(PackRequest { garbage: Garbage::Keep, ..until(Tid::MAX) }).unwrap();
    assert_eq!(payload(&mut storage, child, Tid::MAX).unwrap(), b"2");
    assert_eq!(storage.history(child, 9).unwrap().len(), 1);
}

fn k12_u10_an_unlinking_after_the_horizon_is_undone<S: Storage>(mut storage: S) {
    let (child, _) = family(&mut storage);
    let horizon = put(&mut storage, child, record(b"2", &[])).unwrap();
    let unlinked = put(&mut storage, Oid::ROOT, record(b"alone", &[])).unwrap();
    delete(&mut storage, child);
    storage.pack(until(horizon)).unwrap();
    let ended = storage.last_transaction();
    super::super::support::undo_with(&mut storage, &[ended, unlinked], &mut crate::NoRules).unwrap();
    assert_eq!(payload(&mut storage, child, Tid::MAX).unwrap(), b"2");
    assert_eq!(payload(&mut storage, Oid::ROOT, Tid::MAX).unwrap(), b"r");
    assert_eq!(storage.pack(until(Tid::MAX)).unwrap().objects, 0);
    assert_eq!(payload(&mut storage, child, Tid::MAX).unwrap(), b"2");
}

fn u9_u11_u12_undoing_and_packing_take_turns<S: Storage>(mut storage: S) {
    let (child, _) = family(&mut storage);
    let mut last = put(&mut storage, child, record(b"2", &[])).unwrap();
    for turn in 0..10 {
        let before = storage.last_transaction();
        last = undo(&mut storage, last).unwrap();
        let expected: &[u8] = if turn % 2 == 0 { b"c" } else { b"2" };
        storage.pack(until(before)).unwrap();
        assert_eq!(payload(&mut storage, child, Tid::MAX).unwrap(), expected);
        assert_eq!(storage.history(child, 9).unwrap().len(), 2);
    }
}

fn k13_earlier_repeated_and_simultaneous_packs<S: Storage>(mut storage: S) {
    let (child, first) = family(&mut storage);
    let second = put(&mut storage, child, record(b"2", &[])).unwrap();
    let third = put(&mut storage, child, record(b"3", &[])).unwrap();
    storage.pack(until(second)).unwrap();
    for repeated in [first, second] {
        let report = storage.pack(until(repeated)).unwrap();
        assert_eq!((report.horizon, report.revisions), (second, 0));
    }
    assert_eq!(payload(&mut storage, child, third).unwrap(), b"2");
    assert_eq!(storage.horizon(), second);
}

fn k14_packed_transactions_leave_the_log<S: Storage>(mut storage: S) {
    let (child, first) = family(&mut storage);
    put(&mut storage, child, record(b"2", &[])).unwrap();
    let third = put(&mut storage, child, record(b"3", &[])).unwrap();
    let report = storage.pack(until(third)).unwrap();
    assert_eq!(report.transactions, 1);
    let newest = storage.transaction_before(Tid::MAX).unwrap().unwrap();
    assert_eq!(newest.tid, third);
    let oldest = storage.transaction_before(third).unwrap().unwrap();
    assert_eq!((oldest.tid, oldest.changes.len(), oldest.changes[0].oid), (first, 1, Oid::ROOT));
    assert_eq!(storage.transaction_before(first), Ok(None));
}

fn case_4_undo_is_told_by_transaction_and_reaches_back_to_the_horizon<S: Storage>(mut storage: S) {
    let (child, _) = family(&mut storage);
    let second = put(&mut storage, child, record(b"2", &[])).unwrap();
    let unlink = put(&mut storage, Oid::ROOT, record(b"alone", &[])).unwrap();
    storage.pack(until(second)).unwrap();
    let packed = UndoError::PackedAway { tid: second, horizon: second };
    assert_eq!(undo(&mut storage, second), Err(packed));
    undo(&mut storage, unlink).unwrap();
    assert_eq!(payload(&mut storage, Oid::ROOT, Tid::MAX).unwrap(), b"r");
    assert_eq!(payload(&mut storage, child, Tid::MAX).unwrap(), b"2");
}

fn case_5_an_object_that_was_linked_again_survives<S: Storage>(mut storage: S) {
    let (child, _) = family(&mut storage);
    let below = storage.new_oid().unwrap();
    put(&mut storage, below, record(b"b", &[])).unwrap();
    put(&mut storage, child, record(b"c", &[below])).unwrap();
    let unlinked = put(&mut storage, Oid::ROOT, record(b"alone", &[])).unwrap();
    put(&mut storage, Oid::ROOT, record(b"again", &[child])).unwrap();
    storage.pack(until(unlinked)).unwrap();
    assert_eq!(payload(&mut storage, child, Tid::MAX).unwrap(), b"c");
    assert_eq!(payload(&mut storage, below, Tid::MAX).unwrap(), b"b");
}

fn case_6_an_open_snapshot_goes_on<S: Storage>(mut storage: S) {
    let (child, snapshot) = family(&mut storage);
    put(&mut storage, child, record(b"2", &[])).unwrap();
    put(&mut storage, Oid::ROOT, record(b"alone", &[])).unwrap();
    let report = storage.pack(PackRequest { pins: vec![Tid::MAX, snapshot], ..until(Tid::MAX) }).unwrap();
    assert_eq!((report.horizon, report.revisions), (snapshot, 0));
    assert_eq!(payload(&mut storage, child, snapshot.after()).unwrap(), b"c");
    assert_eq!(payload(&mut storage, Oid::ROOT, snapshot.after()).unwrap(), b"r");
}

fn case_7_what_is_in_flight_survives<S: Storage>(mut storage: S) {
    let (child, _) = family(&mut storage);
    let (second, third) = (storage.new_oid().unwrap(), storage.new_oid().unwrap());
    for oid in [second, third] {
        put(&mut storage, oid, record(b"new", &[])).unwrap();
    }
    let root = put(&mut storage, Oid::ROOT, record(b"alone", &[])).unwrap();
    let mut transaction = storage.begin(Metadata::default()).unwrap();
    storage.store(&mut transaction, Oid::ROOT, root, record(b"again", &[child]));
    let voted = storage.vote(transaction).unwrap();
    storage.pack_start(PackRequest { in_flight: vec![second], ..until(Tid::MAX) }).unwrap();
    while matches!(storage.pack_step(1).unwrap(), PackProgress::Working { .. }) {}
    storage.finish(voted).unwrap();
    assert_eq!(payload(&mut storage, child, Tid::MAX).unwrap(), b"c");
    assert_eq!(payload(&mut storage, second, Tid::MAX).unwrap(), b"new");
    assert_eq!(payload(&mut storage, third, Tid::MAX), None);
}

fn case_12_the_last_transaction_does_not_go_back<S: Storage>(mut storage: S) {
    family(&mut storage);
    let empty = commit(&mut storage, vec![]).unwrap();
    storage.pack(until(Tid::MAX)).unwrap();
    assert_eq!(storage.last_transaction(), empty);
    assert!(storage.transaction_before(Tid::MAX).unwrap().unwrap().tid < empty);
    assert!(commit(&mut storage, vec![]).unwrap() > empty);
}

fn case_13_numbers_of_dropped_objects_are_not_issued_again<S: Storage>(mut storage: S) {
    let (child, _) = family(&mut storage);
    put(&mut storage, Oid::ROOT, record(b"alone", &[])).unwrap();
    storage.pack(until(Tid::MAX)).unwrap();
    assert!(storage.oid_limit() > child);
    assert!(storage.new_oid().unwrap() > child);
}

fn dangling_references_are_reported_and_in_nobodys_way<S: Storage>(mut storage: S) {
    let (child, _) = family(&mut storage);
    let other = storage.new_oid().unwrap();
    put(&mut storage, other, record(b"o", &[child])).unwrap();
    put(&mut storage, Oid::ROOT, record(b"r", &[child, other, child])).unwrap();
    delete(&mut storage, child);
    let report = storage.pack(until(Tid::MAX)).unwrap();
    let expected = [Oid::ROOT, other].map(|from| DanglingReference { from, to: child });
    assert_eq!((report.dangling.as_slice(), report.dangling_count), (expected.as_slice(), 2));
    assert_eq!(payload(&mut storage, other, Tid::MAX).unwrap(), b"o");
}

fn a_deleted_object_goes_with_its_end<S: Storage>(mut storage: S) {
    let (child, _) = family(&mut storage);
    put(&mut storage, Oid::ROOT, record(b"alone", &[])).unwrap();
    delete(&mut storage, child);
    storage.pack(until(Tid::MAX)).unwrap();
    assert_eq!(storage.load_before(child, Tid::MAX), Ok(Load::NeverExisted));
}
