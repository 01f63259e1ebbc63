//! Several transactions between vote and finish, for the storages that take them. Elsewhere, one.

use alloc::vec;
use alloc::vec::Vec;

use super::super::support::{payload, put, record};
use super::{Subject, on_every_storage};
use crate::{Metadata, NoRules, Oid, Storage, StorageError, StorageTransaction, Tid, Voted};

on_every_storage! {
    s3_s7_what_is_dropped_or_aborted_leaves_the_storage_free
    b7_an_abort_behind_the_vote_leaves_others_intact
    groups_commit_in_the_order_of_their_votes
    later_votes_see_the_earlier_as_committed
    b15_a_demand_holds_until_the_commit
    a_group_out_of_order_is_given_up
}

fn begin<S: Storage>(storage: &mut S) -> StorageTransaction {
    storage.begin(Metadata::default()).unwrap()
}

fn s3_s7_what_is_dropped_or_aborted_leaves_the_storage_free<S: Storage>(Subject { mut storage, .. }: Subject<S>) {
    drop(begin(&mut storage));
    for _ in 0..3 {
        let mut transaction = begin(&mut storage);
        storage.store(&mut transaction, Oid::ROOT, Tid::ZERO, record(b"given up", &[]));
        let voted = storage.vote(transaction).unwrap();
        let forged = Voted::new(Tid::new(voted.tid().number() + 1));
        assert_eq!(storage.abort(forged), Err(StorageError::ForeignTransaction));
        storage.abort(voted).unwrap();
    }
    put(&mut storage, Oid::ROOT, record(b"1", &[])).unwrap();
}

fn b7_an_abort_behind_the_vote_leaves_others_intact<S: Storage>(Subject { mut storage, .. }: Subject<S>) {
    let first = put(&mut storage, Oid::ROOT, record(b"1", &[])).unwrap();
    let mut transaction = begin(&mut storage);
    storage.store(&mut transaction, Oid::ROOT, first, record(b"2", &[]));
    let voted = storage.vote(transaction).unwrap();
    storage.abort(voted).unwrap();
    assert_eq!(payload(&mut storage, Oid::ROOT, Tid::MAX).unwrap(), b"1");
    assert!(put(&mut storage, Oid::ROOT, record(b"3", &[])).unwrap() > first);
}

fn groups_commit_in_the_order_of_their_votes<S: Storage>(Subject { mut storage, .. }: Subject<S>) {
    let mut voted = Vec::new();
    let mut oids = Vec::new();
    for _ in 0..storage.vote_limit().min(5) {
        oids.push(storage.new_oid().unwrap());
        let mut transaction = begin(&mut storage);
        storage.store(&mut transaction, *oids.last().unwrap(), Tid::ZERO, record(b"x", &[]));
        voted.push(storage.vote(transaction).unwrap());
    }
    assert!(voted.is_sorted_by_key(Voted::tid));
    assert_eq!(storage.last_transaction(), Tid::ZERO);
    let tids = storage.finish_many(voted).unwrap();
    assert_eq!(storage.last_transaction(), *tids.last().unwrap());
    for (oid, tid) in oids.into_iter().zip(tids) {
        assert_eq!(storage.revision_before(oid, Tid::MAX).unwrap().revision(), tid);
        assert_eq!(storage.transaction_before(tid.after()).unwrap().unwrap().changes.len(), 1);
    }
}

fn later_votes_see_the_earlier_as_committed<S: Storage>(Subject { mut storage, .. }: Subject<S>) {
    let (oid, ended) = (storage.new_oid().unwrap(), storage.new_oid().unwrap());
    let root = put(&mut storage, Oid::ROOT, record(b"1", &[])).unwrap();
    let created = put(&mut storage, oid, record(b"1", &[])).unwrap();
    let doomed = put(&mut storage, ended, record(b"1", &[])).unwrap();
    if storage.vote_limit() < 3 {
        return;
    }
    let fresh = storage.new_oid().unwrap();
    let mut first = begin(&mut storage);
    storage.store(&mut first, Oid::ROOT, root, record(b"2", &[oid]));
    storage.store(&mut first, fresh, Tid::ZERO, record(b"2", &[]));
    storage.delete(&mut first, ended, doomed);
    let first = storage.vote(first).unwrap();
    let theirs = first.tid();

    let refused = |storage: &mut S, transaction| storage.vote(transaction).map(|_| ()).unwrap_err();
    let mut same = begin(&mut storage);
    storage.store(&mut same, Oid::ROOT, root, record(b"3", &[]));
    assert_eq!(refused(&mut storage, same), StorageError::Conflict { oid: Oid::ROOT, yours: root, theirs });
    let mut reader = begin(&mut storage);
    storage.store(&mut reader, oid, created, record(b"3", &[]));
    storage.read_current(&mut reader, Oid::ROOT, root);
    assert_eq!(refused(&mut storage, reader), StorageError::ReadConflict { oid: Oid::ROOT, yours: root, theirs });
    for to in [ended, fresh] {
        let mut referrer = begin(&mut storage);
        storage.store(&mut referrer, oid, created, record(b"3", &[to]));
        assert_eq!(refused(&mut storage, referrer), StorageError::Dangling { from: oid, to });
    }
    let mut undoing = begin(&mut storage);
    storage.undo(&mut undoing, created, &mut NoRules).unwrap();
    assert_eq!(refused(&mut storage, undoing), StorageError::StillReferenced { oid, by: Oid::ROOT });

    let mut other = begin(&mut storage);
    storage.store(&mut other, oid, created, record(b"3", &[]));
    let other = storage.vote(other).unwrap();
    storage.abort(first).unwrap();
    storage.finish(other).unwrap();
    assert_eq!(payload(&mut storage, Oid::ROOT, Tid::MAX).unwrap(), b"1");
    assert_eq!(payload(&mut storage, oid, Tid::MAX).unwrap(), b"3");
}

/// Whoever writes what a voted transaction demanded to be current is numbered after it.
fn b15_a_demand_holds_until_the_commit<S: Storage>(Subject { mut storage, .. }: Subject<S>) {
    let root = put(&mut storage, Oid::ROOT, record(b"1", &[])).unwrap();
    let oid = storage.new_oid().unwrap();
    let mut reader = begin(&mut storage);
    storage.store(&mut reader, oid, Tid::ZERO, record(b"", &[]));
    storage.read_current(&mut reader, Oid::ROOT, root);
    let reader = storage.vote(reader).unwrap();
    let mut writer = begin(&mut storage);
    storage.store(&mut writer, Oid::ROOT, root, record(b"2", &[]));
    match storage.vote(writer) {
        Ok(writer) => {
            assert!(writer.tid() > reader.tid());
            storage.finish_many(vec![reader, writer]).unwrap();
        }
        Err(error) => {
            assert_eq!((error, storage.vote_limit()), (StorageError::Busy, 1));
            storage.finish(reader).unwrap();
        }
    }
}

fn a_group_out_of_order_is_given_up<S: Storage>(Subject { mut storage, .. }: Subject<S>) {
    if storage.vote_limit() < 2 {
        return;
    }
    let (first, second) = (begin(&mut storage), begin(&mut storage));
    let (first, second) = (storage.vote(first).unwrap(), storage.vote(second).unwrap());
    assert_eq!(storage.finish_many(vec![second, first]), Err(StorageError::ForeignTransaction));
    assert_eq!(storage.last_transaction(), Tid::ZERO);
    put(&mut storage, Oid::ROOT, record(b"1", &[])).unwrap();
}
