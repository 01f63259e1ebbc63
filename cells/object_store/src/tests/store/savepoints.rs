//! Savepoints, and what a transaction demands to be current.

use super::super::support::record;
use super::{begin, change, create, now, read, store};
use crate::{Oid, StoreError};

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
