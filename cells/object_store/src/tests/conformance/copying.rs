//! Copying a history under its numbers.

use alloc::vec;

use super::super::support::{commit, delete, open, payload, put, record, undo};
use super::{Subject, mapping, on_every_storage};
use crate::{CopyError, Load, Metadata, Oid, PackRequest, Storage, StorageError, Tid};

on_every_storage! {
    y1_y4_y5_a_copy_is_identical
    y2_an_undo_of_what_was_packed_away_is_copied
    a_copy_goes_on_where_it_ended
    f7_f8_numbers_above_a_copied_one_are_free
    restored_transactions_increase
    copied_transactions_can_be_undone
}

/// A history with everything in it.
fn history<S: Storage>(storage: &mut S) -> Oid {
    let (one, other) = (storage.new_oid().unwrap(), storage.new_oid().unwrap());
    let changes = vec![
        (Oid::ROOT, Tid::ZERO, record(b"r", &[one, other])),
        (one, Tid::ZERO, record(b"1", &[])),
        (other, Tid::ZERO, record(b"2", &[])),
    ];
    commit(storage, changes).unwrap();
    let second = put(storage, one, record(b"11", &[other])).unwrap();
    let third = put(storage, other, record(b"22", &[])).unwrap();
    let undone = super::super::support::undo_with(storage, &[third, second], &mut crate::NoRules).unwrap();
    undo(storage, undone).unwrap();
    put(storage, Oid::ROOT, record(b"r", &[other])).unwrap();
    put(storage, one, record(b"", &[])).unwrap();
    delete(storage, one);
    let transaction = storage.begin(Metadata::new("ann", "an empty one")).unwrap();
    let voted = storage.vote(transaction).unwrap();
    storage.finish(voted).unwrap();
    one
}

fn assert_same<A: Storage, B: Storage>(one: &mut A, other: &mut B) {
    let mut before = Tid::MAX;
    loop {
        let info = one.transaction_before(before).unwrap();
        assert_eq!(other.transaction_before(before).unwrap(), info);
        for oid in (0..one.oid_limit().number()).map(Oid::new) {
            assert_eq!(other.load_before(oid, before), one.load_before(oid, before));
        }
        let Some(info) = info else { break };
        before = info.tid;
    }
    assert_eq!(other.last_transaction(), one.last_transaction());
    assert!(other.oid_limit() >= one.oid_limit());
}

fn y1_y4_y5_a_copy_is_identical<S: Storage>(Subject { mut storage, clock }: Subject<S>) {
    clock.0.set(1_000);
    history(&mut storage);
    let mut copy = mapping().storage;
    assert_eq!(copy.copy_transactions_from(&mut storage), Ok(9));
    assert_same(&mut storage, &mut copy);
    let mut file = super::file().storage;
    file.copy_transactions_from(&mut copy).unwrap();
    assert_same(&mut storage, &mut file);
    assert!(copy.new_oid().unwrap() >= storage.oid_limit());
}

fn y2_an_undo_of_what_was_packed_away_is_copied<S: Storage>(Subject { storage: mut target, .. }: Subject<S>) {
    let mut source = mapping().storage;
    let one = history(&mut source);
    put(&mut source, Oid::ROOT, record(b"last", &[])).unwrap();
    source.pack(PackRequest::until(Tid::MAX)).unwrap();
    target.copy_transactions_from(&mut source).unwrap();
    assert_eq!(payload(&mut target, Oid::ROOT, Tid::MAX).unwrap(), b"last");
    assert_eq!(target.load_before(one, Tid::MAX), Ok(Load::NeverExisted));
    assert!(target.new_oid().unwrap() > one, "a number that was packed away is not issued again");
}

fn a_copy_goes_on_where_it_ended<S: Storage>(Subject { storage: mut target, .. }: Subject<S>) {
    let mut source = mapping().storage;
    history(&mut source);
    target.copy_transactions_from(&mut source).unwrap();
    put(&mut source, Oid::ROOT, record(b"more", &[])).unwrap();
    assert_eq!(target.copy_transactions_from(&mut source), Ok(1));
    assert_same(&mut source, &mut target);
}

fn f7_f8_numbers_above_a_copied_one_are_free<S: Storage>(Subject { mut storage, .. }: Subject<S>) {
    for (tid, giant, expected) in [(5, 1 << 40, true), (6, 1 << 62, false), (7, u64::MAX, false)] {
        let mut transaction = storage.begin_restore(Tid::new(tid), Oid::ROOT, Metadata::default()).unwrap();
        storage.store(&mut transaction, Oid::new(giant), Tid::ZERO, record(b"g", &[]));
        match storage.vote(transaction) {
            Ok(voted) => {
                assert!(expected);
                storage.finish(voted).unwrap();
            }
            Err(error) => assert_eq!((expected, error), (false, StorageError::Exhausted)),
        }
    }
    assert!(storage.new_oid().unwrap() > Oid::new(1 << 40));
}

fn restored_transactions_increase<S: Storage>(Subject { mut storage, clock }: Subject<S>) {
    clock.0.set(100);
    let last = put(&mut storage, Oid::ROOT, record(b"", &[])).unwrap();
    for tid in [last, Tid::new(7), Tid::MAX] {
        let transaction = storage.begin_restore(tid, Oid::ROOT, Metadata::default()).unwrap();
        assert_eq!(storage.vote(transaction).map(|_| ()), Err(StorageError::NotNewer { tid, last }));
    }
    let mut other = mapping().storage;
    put(&mut other, Oid::ROOT, record(b"", &[])).unwrap();
    assert_eq!(storage.copy_transactions_from(&mut other), Ok(0));
    let transaction = storage.begin_restore(Tid::new(5_000), Oid::ROOT, Metadata::default()).unwrap();
    let voted = storage.vote(transaction).unwrap();
    assert_eq!(storage.finish(voted), Ok(Tid::new(5_000)));
    assert_eq!(put(&mut storage, Oid::ROOT, record(b"", &[])), Ok(Tid::new(5_001)), "m4");
}

fn copied_transactions_can_be_undone<S: Storage>(Subject { storage: mut target, .. }: Subject<S>) {
    let mut source = mapping().storage;
    put(&mut source, Oid::ROOT, record(b"1", &[])).unwrap();
    let second = put(&mut source, Oid::ROOT, record(b"2", &[])).unwrap();
    target.copy_transactions_from(&mut source).unwrap();
    undo(&mut target, second).unwrap();
    assert_eq!(payload(&mut target, Oid::ROOT, Tid::MAX).unwrap(), b"1");
}

#[test]
fn a_copied_file_opens_with_its_numbers() {
    let mut file = super::file().storage;
    let mut transaction = file.begin_restore(Tid::new(5), Oid::new(1 << 50), Metadata::default()).unwrap();
    file.store(&mut transaction, Oid::new(1 << 40), Tid::ZERO, record(b"g", &[]));
    let voted = file.vote(transaction).unwrap();
    file.finish(voted).unwrap();
    let mut file = open(file.into_device());
    assert!(file.new_oid().unwrap() >= Oid::new(1 << 50));
    assert_eq!(payload(&mut file, Oid::new(1 << 40), Tid::MAX).unwrap(), b"g");
}

#[test]
fn a_copy_tells_whose_fault_it_is() {
    let mut source = mapping().storage;
    put(&mut source, Oid::ROOT, record(b"", &[])).unwrap();
    let device = super::file().storage.into_device();
    let (mut reader, _) = crate::FileStorage::open_read_only(device).map_err(|refused| refused.error).unwrap();
    assert_eq!(reader.copy_transactions_from(&mut source), Err(CopyError::Target(StorageError::ReadOnly)));
}
