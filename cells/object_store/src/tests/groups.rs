//! Commits that share a write.

use alloc::vec;
use alloc::vec::Vec;

use super::power_loss::tids;
use super::support::{TestClock, formatted, open, payload, put, record};
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
    storage.vote_more(transaction)
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
    storage.finish_all(voted).unwrap();
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
        storage.finish_all(voted).unwrap();
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
fn a_part_is_not_committed_alone() {
    let (mut storage, oids, _) = ready(2);
    let first = vote(&mut storage, oids[0], Tid::ZERO).unwrap();
    let second = vote(&mut storage, oids[1], Tid::ZERO).unwrap();
    assert_eq!(storage.finish_all(vec![Voted::new(first.tid())]), Err(StorageError::Busy));
    assert_eq!(storage.checkpoint(), Err(StorageError::Busy));
    assert_eq!(storage.pack_step().map(|_| ()), Err(StorageError::Busy));
    assert_eq!(storage.finish_all(vec![Voted::new(Tid::MAX)]), Err(StorageError::ForeignTransaction));
    storage.finish_all(vec![second, first]).unwrap();
    assert!(oids.iter().all(|&oid| exists(&mut storage, oid)));
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
    storage.finish_all(voted).unwrap();
    assert_eq!(tids(&mut open(storage.into_device())).unwrap().len(), count);
}
