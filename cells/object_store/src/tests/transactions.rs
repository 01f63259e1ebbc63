//! The transaction manager on a storage in memory.

use alloc::vec::Vec;

use super::support::{TestClock, formatted, open, put, record};
use crate::{MappingStorage, Metadata, Oid, Storage, StorageError, Store, StoreError, Tid, TransactionId};

type Subject = Store<MappingStorage<TestClock>>;

fn store() -> Subject {
    let mut store = Store::new(MappingStorage::new(TestClock::default()), 1 << 16);
    let id = begin(&mut store);
    store.put(id, Oid::ROOT, record(b"root", &[])).unwrap();
    store.commit(id).unwrap();
    store
}

fn begin(store: &mut Subject) -> TransactionId {
    store.begin(Metadata::default()).unwrap()
}

fn read(store: &mut Subject, id: TransactionId, oid: Oid) -> Vec<u8> {
    store.get(id, oid).unwrap().payload.clone()
}

#[test]
fn snapshots_stand_still_and_own_writes_show() {
    let mut store = store();
    let (reader, writer) = (begin(&mut store), begin(&mut store));
    store.put(writer, Oid::ROOT, record(b"new", &[])).unwrap();
    assert_eq!(read(&mut store, writer, Oid::ROOT), b"new");
    assert_eq!(read(&mut store, reader, Oid::ROOT), b"root");
    let tid = store.commit(writer).unwrap();
    assert_eq!(read(&mut store, reader, Oid::ROOT), b"root");
    let later = begin(&mut store);
    assert_eq!(store.snapshot(later), Ok(tid));
    assert_eq!(read(&mut store, later, Oid::ROOT), b"new");
    assert_eq!(store.root(later).unwrap().payload, b"new");
}

#[test]
fn snapshots_stand_still_without_a_cache_too() {
    let mut store = Store::new(store().into_storage(), 0);
    let (reader, writer) = (begin(&mut store), begin(&mut store));
    store.put(writer, Oid::ROOT, record(b"new", &[])).unwrap();
    store.commit(writer).unwrap();
    assert_eq!(read(&mut store, reader, Oid::ROOT), b"root");
    assert_eq!(store.cached_bytes(), 0);
}

#[test]
fn the_second_writer_conflicts_and_stays_failed_until_its_abort() {
    let mut store = store();
    let (first, second) = (begin(&mut store), begin(&mut store));
    let yours = store.snapshot(second).unwrap();
    store.put(first, Oid::ROOT, record(b"1", &[])).unwrap();
    store.put(second, Oid::ROOT, record(b"2", &[])).unwrap();
    let theirs = store.commit(first).unwrap();
    assert_eq!(store.commit(second), Err(StoreError::Conflict { oid: Oid::ROOT, yours, theirs }));
    let failed = StoreError::Failed(second);
    assert_eq!(store.commit(second), Err(failed));
    assert_eq!(store.get(second, Oid::ROOT).unwrap_err(), failed);
    assert_eq!(store.put(second, Oid::ROOT, record(b"", &[])), Err(failed));
    assert_eq!(store.new_oid(second), Err(failed));
    store.abort(second).unwrap();
    assert_eq!(store.commit(second), Err(StoreError::NoTransaction(second)));
    let third = begin(&mut store);
    assert_eq!(read(&mut store, third, Oid::ROOT), b"1");
}

#[test]
fn write_skew_commits_unless_reads_must_be_current() {
    for demand in [false, true] {
        let mut store = store();
        let setup = begin(&mut store);
        let (a, b) = (store.new_oid(setup).unwrap(), store.new_oid(setup).unwrap());
        store.put(setup, a, record(b"a", &[])).unwrap();
        store.put(setup, b, record(b"b", &[])).unwrap();
        store.commit(setup).unwrap();
        let (first, second) = (begin(&mut store), begin(&mut store));
        store.put(first, a, record(b"", &[])).unwrap();
        store.put(second, b, record(b"", &[])).unwrap();
        if demand {
            store.read_current(second, a).unwrap();
        }
        store.commit(first).unwrap();
        assert_eq!(store.commit(second).is_err(), demand);
    }
}

#[test]
fn read_current_alone_checks_nothing() {
    let mut store = store();
    let (first, second) = (begin(&mut store), begin(&mut store));
    store.read_current(second, Oid::ROOT).unwrap();
    store.put(first, Oid::ROOT, record(b"", &[])).unwrap();
    store.commit(first).unwrap();
    assert!(store.commit(second).is_ok());
}

#[test]
fn objects_of_others_are_told_apart_from_none() {
    let mut store = store();
    let (early, writer) = (begin(&mut store), begin(&mut store));
    let oid = store.new_oid(writer).unwrap();
    assert_eq!(store.get(early, oid).unwrap_err(), StoreError::NeverExisted(oid));
    assert_eq!(store.put(early, oid, record(b"", &[])), Err(StoreError::NeverExisted(oid)));
    store.put(writer, oid, record(b"", &[])).unwrap();
    let by = store.commit(writer).unwrap();
    assert_eq!(store.get(early, oid).unwrap_err(), StoreError::CreatedLater { oid, by });
    assert_eq!(store.put(early, oid, record(b"", &[])), Err(StoreError::CreatedLater { oid, by }));
}

#[test]
fn two_makers_of_the_root_conflict() {
    let mut store = Store::new(MappingStorage::new(TestClock::default()), 1 << 16);
    let (first, second) = (begin(&mut store), begin(&mut store));
    assert_eq!(store.root(first).unwrap_err(), StoreError::NeverExisted(Oid::ROOT));
    store.put(first, Oid::ROOT, record(b"1", &[])).unwrap();
    let theirs = store.commit(first).unwrap();
    store.put(second, Oid::ROOT, record(b"2", &[])).unwrap();
    let conflict = StoreError::Conflict { oid: Oid::ROOT, yours: Tid::ZERO, theirs };
    assert_eq!(store.commit(second), Err(conflict));
}

#[test]
fn a_dangling_reference_fails_the_commit() {
    let mut store = store();
    let id = begin(&mut store);
    let missing = store.new_oid(id).unwrap();
    store.put(id, Oid::ROOT, record(b"", &[missing])).unwrap();
    let dangling = StorageError::Dangling { from: Oid::ROOT, to: missing };
    assert_eq!(store.commit(id), Err(StoreError::Storage(dangling)));
}

#[test]
fn a_commit_without_changes_leaves_no_trace() {
    let mut store = store();
    let id = begin(&mut store);
    let snapshot = store.snapshot(id).unwrap();
    assert_eq!(store.commit(id), Ok(snapshot));
    assert_eq!(store.transactions().count(), 1);
}

#[test]
fn the_log_is_told_newest_first_with_its_notes() {
    let mut store = store();
    let id = store.begin(Metadata::new("ann", "one")).unwrap();
    store.note(id, "two").unwrap();
    store.put(id, Oid::ROOT, record(b"x", &[])).unwrap();
    let tid = store.commit(id).unwrap();
    let log: Vec<_> = store.transactions().map(Result::unwrap).collect();
    assert_eq!(log.len(), 2);
    assert_eq!((log[0].tid, log[0].metadata.description.as_str()), (tid, "one\ntwo"));
    assert!(log[1].tid < tid);
    assert_eq!(store.history(Oid::ROOT, 9).unwrap().len(), 2);
}

#[test]
fn a_note_that_is_too_long_changes_nothing() {
    let mut store = store();
    let id = store.begin(Metadata::new("", "one")).unwrap();
    let long = "x".repeat(70_000);
    assert!(store.note(id, &long).is_err());
    store.put(id, Oid::ROOT, record(b"x", &[])).unwrap();
    store.commit(id).unwrap();
    let newest = store.transactions().next().unwrap().unwrap();
    assert_eq!(newest.metadata.description, "one");
}

#[test]
fn the_past_can_be_read() {
    let mut store = store();
    let id = begin(&mut store);
    store.put(id, Oid::ROOT, record(b"new", &[])).unwrap();
    let tid = store.commit(id).unwrap();
    assert_eq!(store.get_before(Oid::ROOT, tid).unwrap().payload, b"root");
    assert_eq!(store.get_before(Oid::ROOT, tid.after()).unwrap().payload, b"new");
}

#[test]
fn each_life_of_a_server_numbers_its_transactions_anew() {
    let mut store = store().numbered_from(500);
    let (first, second) = (begin(&mut store), begin(&mut store));
    assert_eq!((first.number(), second.number()), (500, 501));
}

#[test]
fn many_are_got_as_each_would_be() {
    for cache in [0, 1 << 16] {
        let mut store = Store::new(store().into_storage(), cache);
        let setup = begin(&mut store);
        let oids: Vec<Oid> = (0..4).map(|_| store.new_oid(setup).unwrap()).collect();
        for &oid in &oids[..3] {
            store.put(setup, oid, record(&[oid.number() as u8], &[])).unwrap();
        }
        let early = begin(&mut store);
        let at = store.commit(setup).unwrap();
        let later = begin(&mut store);
        store.put(later, oids[1], record(b"own", &[])).unwrap();
        let view = store.view_at(at).unwrap();
        let asked = [oids[2], oids[1], Oid::ROOT, oids[3], oids[2], Oid::new(999)];
        for id in [early, later, view] {
            let each: Vec<_> = asked.iter().map(|&oid| store.get(id, oid)).collect();
            assert_eq!(store.get_many(id, &asked), Ok(each));
        }
        assert_eq!(store.get_many(setup, &asked), Err(StoreError::NoTransaction(setup)));
    }
}

#[test]
fn a_rotten_one_of_many_leaves_the_others() {
    let mut storage = open(formatted(16, 64));
    let oids = [storage.new_oid().unwrap(), storage.new_oid().unwrap()];
    put(&mut storage, oids[0], record(b"the sound one", &[])).unwrap();
    put(&mut storage, oids[1], record(b"the rotten one", &[])).unwrap();
    let bytes = storage.device_for_tests().bytes_mut();
    let place = bytes.windows(14).position(|window| window == b"the rotten one").unwrap();
    bytes[place] ^= 1;
    let mut store = Store::new(storage, 0);
    let id = store.begin(Metadata::default()).unwrap();
    let answers = store.get_many(id, &oids).unwrap();
    assert_eq!(answers[0].as_ref().unwrap().payload, b"the sound one");
    assert!(matches!(answers[1], Err(StoreError::Storage(StorageError::Rot { .. }))));
}
