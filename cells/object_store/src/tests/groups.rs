//! Commits that share a write.

use alloc::vec;
use alloc::vec::Vec;

use super::power_loss::tids;
use super::support::{TestClock, formatted, open, pack, payload, put, record};
use crate::{
    BlockDevice, FileStorage, Load, MemoryDevice, Metadata, Oid, Storage, StorageError, StorageTransaction, Tid, Voted,
};

type File = FileStorage<MemoryDevice, TestClock>;

fn staged<D: BlockDevice>(storage: &mut FileStorage<D, TestClock>, oid: Oid, based_on: Tid) -> StorageTransaction {
    let mut transaction = storage.begin(Metadata::default()).unwrap();
    storage.store(&mut transaction, oid, based_on, record(&oid.number().to_le_bytes(), &[]));
    transaction
}

/// Votes for a change of an object to its own number.
pub(super) fn vote<D: BlockDevice>(
    storage: &mut FileStorage<D, TestClock>,
    oid: Oid,
    based_on: Tid,
) -> Result<Voted, StorageError> {
    let transaction = staged(storage, oid, based_on);
    storage.vote(transaction)
}

fn ready(objects: u64) -> (File, Vec<Oid>, Tid) {
    let mut storage = open(formatted(16, 64));
    let tid = put(&mut storage, Oid::ROOT, record(b"", &[])).unwrap();
    let oids = (0..objects).map(|_| storage.new_oid().unwrap()).collect();
    (storage, oids, tid)
}

fn exists(storage: &mut File, oid: Oid) -> bool {
    matches!(storage.load_before(oid, Tid::MAX), Ok(Load::Data { .. }))
}

#[test]
fn nothing_is_seen_before_all_are_committed() {
    let (mut storage, oids, last) = ready(3);
    let voted: Vec<Voted> = oids.iter().map(|&oid| vote(&mut storage, oid, Tid::ZERO).unwrap()).collect();
    let numbers: Vec<Tid> = voted.iter().map(Voted::tid).collect();
    assert!(numbers.windows(2).all(|pair| pair[0] < pair[1]) && numbers[0] > last);
    assert!(!oids.iter().any(|&oid| exists(&mut storage, oid)));
    assert_eq!((storage.last_transaction(), storage.next_object(Some(Oid::ROOT))), (last, Ok(None)));
    assert_eq!(storage.history(oids[0], 9), Ok(vec![]));
    assert_eq!(tids(&mut storage).unwrap(), [last]);
    storage.finish_many(voted).unwrap();
    assert!(oids.iter().all(|&oid| exists(&mut storage, oid)));
    assert_eq!(tids(&mut storage).unwrap()[1..], numbers);
    assert_eq!(tids(&mut open(storage.into_device())).unwrap()[1..], numbers);
}

#[test]
fn the_second_of_two_that_conflict_is_refused() {
    let (mut storage, oids, tid) = ready(1);
    let first = vote(&mut storage, Oid::ROOT, tid).unwrap();
    let theirs = first.tid();
    let conflict = StorageError::Conflict { oid: Oid::ROOT, yours: tid, theirs };
    assert_eq!(vote(&mut storage, Oid::ROOT, tid).map(|_| ()), Err(conflict));
    let other = vote(&mut storage, oids[0], Tid::ZERO).unwrap();
    storage.abort(first).unwrap();
    storage.finish(other).unwrap();
    assert_eq!(storage.revision_before(Oid::ROOT, Tid::MAX).unwrap().revision(), tid);
}

#[test]
fn one_may_be_given_up_and_the_others_commit() {
    for given_up in 0..4 {
        let (mut storage, oids, _) = ready(4);
        let mut voted: Vec<Voted> = oids.iter().map(|&oid| vote(&mut storage, oid, Tid::ZERO).unwrap()).collect();
        storage.abort(voted.remove(given_up)).unwrap();
        storage.finish_many(voted).unwrap();
        for mut storage in [open(storage.into_device())] {
            for (number, &oid) in oids.iter().enumerate() {
                let expected = (number != given_up).then(|| oid.number().to_le_bytes().to_vec());
                assert_eq!(payload(&mut storage, oid, Tid::MAX), expected);
            }
            storage.checkpoint().unwrap();
        }
    }
}

#[test]
fn the_first_may_be_committed_and_the_others_later() {
    for first in 1..4 {
        let (mut storage, oids, _) = ready(4);
        let mut voted: Vec<Voted> = oids.iter().map(|&oid| vote(&mut storage, oid, Tid::ZERO).unwrap()).collect();
        let rest = voted.split_off(first);
        storage.finish_many(voted).unwrap();
        for (number, &oid) in oids.iter().enumerate() {
            assert_eq!(exists(&mut storage, oid), number < first);
        }
        let mut cut = open(storage.device_for_tests().clone());
        assert_eq!(tids(&mut cut).unwrap().len(), 1 + first);
        for one in rest {
            storage.finish(one).unwrap();
        }
        let mut storage = open(storage.into_device());
        for &oid in &oids {
            assert_eq!(payload(&mut storage, oid, Tid::MAX).unwrap(), oid.number().to_le_bytes());
        }
    }
}

#[test]
fn votes_wait_while_the_log_goes_on() {
    let mut storage = open(formatted(40, 8));
    put(&mut storage, Oid::ROOT, record(b"", &[])).unwrap();
    let root = put(&mut storage, Oid::ROOT, record(b"", &[])).unwrap();
    let oids: Vec<Oid> = (0..4).map(|_| storage.new_oid().unwrap()).collect();
    let mut voted =
        vec![vote(&mut storage, oids[0], Tid::ZERO).unwrap(), vote(&mut storage, oids[1], Tid::ZERO).unwrap()];
    storage.checkpoint().unwrap();
    voted.push(vote(&mut storage, oids[2], Tid::ZERO).unwrap());
    assert_eq!(pack(&mut storage, Tid::MAX).unwrap().revisions, 1);
    voted.push(vote(&mut storage, oids[3], Tid::ZERO).unwrap());
    while !storage.new_oid().unwrap().number().is_multiple_of(10_000) {}
    assert_eq!(storage.last_transaction(), root);
    storage.finish_many(voted).unwrap();
    let mut storage = open(storage.into_device());
    for &oid in &oids {
        assert_eq!(payload(&mut storage, oid, Tid::MAX).unwrap(), oid.number().to_le_bytes());
    }
    assert_eq!(storage.index_rebuilds(), 0);
}

#[test]
fn a_group_is_as_large_as_its_run() {
    let mut storage = open(formatted(16, 8));
    let mut voted = Vec::new();
    let full = loop {
        let oid = storage.new_oid().unwrap();
        match vote(&mut storage, oid, Tid::ZERO) {
            Ok(one) => voted.push(one),
            Err(error) => break error,
        }
    };
    assert_eq!(full, StorageError::Busy);
    assert!(voted.len() > 40, "{}", voted.len());
    let count = voted.len();
    storage.finish_many(voted).unwrap();
    assert_eq!(tids(&mut open(storage.into_device())).unwrap().len(), count);
}
