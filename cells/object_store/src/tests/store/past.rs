//! Undo, views of the past, and packing under open transactions.

use alloc::vec;

use super::super::support::record;
use super::{Subject, begin, change, change_to, create, now, pack, read, store};
use crate::{CommitFailure, Oid, Record, StoreError, Tid, UndoError};

#[test]
fn undo_happens_at_the_commit_against_what_is_current() {
    let mut store = store();
    let oid = create(&mut store, b"1");
    let second = change(&mut store, oid, b"2");
    let third = change(&mut store, oid, b"3");
    let id = begin(&mut store);
    store.undo(id, third).unwrap();
    store.undo(id, second).unwrap();
    assert_eq!(read(&mut store, id, oid), b"3", "it does not show before");
    store.put(id, Oid::ROOT, record(b"besides", &[])).unwrap();
    let undone = store.commit(id).unwrap();
    assert_eq!((now(&mut store, oid), now(&mut store, Oid::ROOT)), (b"1".to_vec(), b"besides".to_vec()));

    let late = begin(&mut store);
    store.undo(late, undone).unwrap();
    change(&mut store, oid, b"4");
    assert_eq!(store.commit(late), Err(StoreError::NotUndoable(undone)));
    let objects = vec![oid];
    assert_eq!(store.failure(late), Some(&CommitFailure::Undo(UndoError::Changed { tid: undone, objects })));
    assert_eq!(now(&mut store, Oid::ROOT), b"besides", "all objects or none");
    let none = begin(&mut store);
    store.undo(none, Tid::new(9_999)).unwrap();
    assert_eq!(store.commit(none), Err(StoreError::NoSuchTransaction(Tid::new(9_999))));
}

#[test]
fn a_view_shows_the_past_and_changes_nothing() {
    let mut store = store();
    let oid = create(&mut store, b"1");
    let at = store.history(oid, 1).unwrap()[0].tid;
    let later = create(&mut store, b"later");
    let last = change(&mut store, oid, b"2");
    let view = store.view_at(at).unwrap();
    assert_eq!(read(&mut store, view, oid), b"1");
    assert!(matches!(store.get(view, later), Err(StoreError::CreatedLater { .. })));
    let refused = StoreError::ReadOnlyView(view);
    assert_eq!(store.put(view, oid, record(b"", &[])), Err(refused));
    assert_eq!(store.new_oid(view), Err(refused));
    assert_eq!(store.read_current(view, oid), Err(refused));
    assert_eq!(store.undo(view, at), Err(refused));
    assert_eq!(store.savepoint(view), Err(refused));
    assert_eq!(store.commit(view), Ok(at));
    assert_eq!(store.view_at(last.after()), Err(StoreError::BeyondLast { at: last.after(), last }));
    let now = store.view_at(last).unwrap();
    assert_eq!(read(&mut store, now, oid), b"2");
    let genesis = store.view_at(Tid::ZERO).unwrap();
    assert!(matches!(store.root(genesis), Err(StoreError::CreatedLater { .. })));
}

#[test]
fn the_past_holds_no_authority_that_was_lost() {
    let mut store = store();
    let with = |bytes: &[u8], section: &[u8]| Record { capabilities: section.to_vec(), ..record(bytes, &[]) };
    let first = change_to(&mut store, Oid::ROOT, with(b"1", b"key"));
    let second = change_to(&mut store, Oid::ROOT, with(b"2", b"key"));
    let section = |store: &mut Subject, at| {
        let view = store.view_at(at).unwrap();
        store.get(view, Oid::ROOT).unwrap().capabilities.clone()
    };
    assert_eq!(section(&mut store, first), b"key", "what is held still is shown");
    change_to(&mut store, Oid::ROOT, with(b"3", b""));
    for at in [first, second] {
        assert_eq!(section(&mut store, at), b"");
        assert_eq!(store.get_before(Oid::ROOT, at.after()).unwrap().capabilities, b"");
    }
}

#[test]
fn case_6_a_pack_leaves_open_snapshots_and_views_alone() {
    let mut store = store();
    let oid = create(&mut store, b"1");
    let linked = change_to(&mut store, Oid::ROOT, record(b"linked", &[oid]));
    let reader = begin(&mut store);
    change(&mut store, oid, b"2");
    change(&mut store, Oid::ROOT, b"alone");
    let report = pack(&mut store, Tid::MAX);
    assert_eq!((report.horizon, report.objects), (linked, 0));
    assert_eq!(
        (read(&mut store, reader, oid), read(&mut store, reader, Oid::ROOT)),
        (b"1".to_vec(), b"linked".to_vec())
    );
    store.abort(reader).unwrap();
    let view = store.view_at(linked).unwrap();
    pack(&mut store, Tid::MAX);
    assert_eq!(read(&mut store, view, oid), b"1");
    store.abort(view).unwrap();
    let horizon = pack(&mut store, Tid::MAX).horizon;
    assert_eq!(store.view_at(linked), Err(StoreError::PackedAway { at: linked, horizon }));
    assert_eq!(store.get_before(oid, linked.after()), Err(StoreError::PackedAway { at: linked, horizon }));
    store.view_at(horizon).unwrap();
    let late = begin(&mut store);
    assert_eq!(store.get(late, oid).unwrap_err(), StoreError::NeverExisted(oid), "the cache has forgotten it too");
}

#[test]
fn case_7_what_open_transactions_refer_to_survives() {
    let mut store = store();
    let oid = create(&mut store, b"nobody's");
    let other = create(&mut store, b"nobody's either");
    let id = begin(&mut store);
    store.put(id, Oid::ROOT, record(b"mine", &[oid])).unwrap();
    pack(&mut store, Tid::MAX);
    store.commit(id).unwrap();
    assert_eq!(now(&mut store, oid), b"nobody's");
    assert_eq!(store.get_before(other, Tid::MAX).unwrap_err(), StoreError::NeverExisted(other));
}
