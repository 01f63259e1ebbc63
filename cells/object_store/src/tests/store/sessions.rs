//! What clients with caches of their own are told.

use alloc::vec;

use super::super::support::record;
use super::{begin, change, create, read, store};
use crate::{INVALIDATION_LIMIT, Invalidated, Metadata, Oid, StoreError};

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
