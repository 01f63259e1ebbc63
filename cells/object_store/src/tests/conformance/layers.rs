//! Changes over a base that has something in it.

use alloc::vec;
use alloc::vec::Vec;

use proptest::prelude::*;

use super::super::support::{TestClock, delete, payload, put, record, undo};
use super::{file, mapping};
use crate::{DemoStorage, FileStorage, Load, Oid, PackError, PackRequest, Storage, StorageError, Tid};

/// A base of three objects, and two of them.
fn base() -> (DemoStorage<FileStorage<crate::MemoryDevice, crate::NoClock>, TestClock>, Oid, Oid) {
    let mut storage = file().storage;
    let (one, other) = (storage.new_oid().unwrap(), storage.new_oid().unwrap());
    for oid in [Oid::ROOT, one, other] {
        put(&mut storage, oid, record(&[oid.number() as u8], &[])).unwrap();
    }
    let (reader, _) = FileStorage::open_read_only(storage.into_device()).map_err(|refused| refused.error).unwrap();
    (DemoStorage::over(reader, TestClock::default()), one, other)
}

#[test]
fn numbers_are_above_those_of_the_base() {
    let (mut demo, ..) = base();
    let (last, limit) = (demo.base().last_transaction(), demo.base().oid_limit());
    assert!(demo.new_oid().unwrap() >= limit);
    assert_eq!(demo.last_transaction(), last);
    assert!(put(&mut demo, Oid::ROOT, record(b"", &[])).unwrap() > last);
}

#[test]
fn changes_hide_the_base_and_leave_it_as_it_was() {
    let (mut demo, one, other) = base();
    let created = demo.revision_before(one, Tid::MAX).unwrap().revision();
    let changed = put(&mut demo, one, record(b"changed", &[])).unwrap();
    let ended = delete(&mut demo, other);
    let new = demo.new_oid().unwrap();
    put(&mut demo, new, record(b"new", &[one])).unwrap();
    assert_eq!(payload(&mut demo, one, Tid::MAX).unwrap(), b"changed");
    let before = Load::Data { record: record(&[1], &[]), tid: created, next: Some(changed) };
    assert_eq!(demo.load_before(one, changed), Ok(before));
    assert_eq!(demo.load_before(other, Tid::MAX), Ok(Load::DeletedAt(ended)), "a deletion hides the base");
    let dangling = put(&mut demo, one, record(b"", &[other]));
    assert_eq!(dangling, Err(StorageError::Dangling { from: one, to: other }));
    let history: Vec<Tid> = demo.history(one, 9).unwrap().iter().map(|revision| revision.tid).collect();
    assert_eq!(history, [changed, created]);
    assert_eq!(demo.history(one, 1).unwrap().len(), 1);
    let mut reader = demo.pop();
    assert_eq!(payload(&mut reader, one, Tid::MAX).unwrap(), [1]);
    assert_eq!(payload(&mut reader, other, Tid::MAX).unwrap(), [2]);
    assert_eq!(reader.load_before(new, Tid::MAX), Ok(Load::NeverExisted));
}

#[test]
fn objects_are_counted_above_the_base() {
    let (mut demo, one, other) = base();
    assert_eq!(demo.more_objects(), 0);
    put(&mut demo, one, record(b"changed", &[])).unwrap();
    assert_eq!(demo.more_objects(), 0, "a change is none more");
    let new = demo.new_oid().unwrap();
    put(&mut demo, new, record(b"new", &[])).unwrap();
    assert_eq!(demo.more_objects(), 1);
    let ended = delete(&mut demo, other);
    delete(&mut demo, new);
    assert_eq!(demo.more_objects(), -1);
    undo(&mut demo, ended).unwrap();
    assert_eq!(demo.more_objects(), 0);
}

#[test]
fn transactions_of_the_base_are_undone_above_it() {
    let (mut demo, one, _) = base();
    let created = demo.revision_before(one, Tid::MAX).unwrap().revision();
    let ended = undo(&mut demo, created).unwrap();
    assert_eq!(demo.load_before(one, Tid::MAX), Ok(Load::DeletedAt(ended)));
    undo(&mut demo, ended).unwrap();
    assert_eq!(payload(&mut demo, one, Tid::MAX).unwrap(), [1]);
}

#[test]
fn layers_are_pushed_and_popped() {
    let (mut demo, one, _) = base();
    put(&mut demo, one, record(b"first", &[])).unwrap();
    let mut second = demo.push(TestClock::default());
    let tid = put(&mut second, one, record(b"second", &[])).unwrap();
    let burnt = second.new_oid().unwrap();
    assert_eq!(payload(&mut second, one, tid).unwrap(), b"first");
    assert_eq!(payload(&mut second, one, Tid::MAX).unwrap(), b"second");
    let mut demo = second.pop();
    assert_eq!(payload(&mut demo, one, Tid::MAX).unwrap(), b"first");
    assert!(demo.new_oid().unwrap() <= burnt, "the layer's numbers went with it");
}

#[test]
fn changes_over_something_are_not_packed() {
    let (mut demo, ..) = base();
    assert_eq!(demo.pack(PackRequest::until(Tid::MAX)), Err(PackError::Unsupported));
}

/// A step of a history: an object by number, and a new payload or its end.
type Step = (u8, Option<u8>);

fn apply<S: Storage>(storage: &mut S, oids: &[Oid], (object, payload): Step) -> Result<Tid, StorageError> {
    let oid = oids[usize::from(object) % oids.len()];
    match payload {
        Some(byte) => put(storage, oid, record(&[byte], &[])),
        None if matches!(storage.revision_before(oid, Tid::MAX)?, Load::Data { .. }) => Ok(delete(storage, oid)),
        None => Ok(Tid::ZERO),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    /// A history that is cut into layers anywhere reads as one that is not.
    #[test]
    fn layers_agree_with_one_storage(
        steps in prop::collection::vec((any::<u8>(), prop::option::weighted(0.8, any::<u8>())), 1..40),
        cuts in [any::<prop::sample::Index>(), any::<prop::sample::Index>()],
    ) {
        let mut oracle = mapping().storage;
        let mut bottom = mapping().storage;
        let oids: Vec<Oid> = (0..6).map(|_| oracle.new_oid().unwrap()).collect();
        (0..6).for_each(|_| { bottom.new_oid().unwrap(); });
        let mut cuts = cuts.map(|cut| cut.index(steps.len()));
        cuts.sort_unstable();
        for &step in &steps {
            apply(&mut oracle, &oids, step).unwrap();
        }
        for &step in &steps[..cuts[0]] {
            apply(&mut bottom, &oids, step).unwrap();
        }
        let mut middle = DemoStorage::over(bottom, TestClock::default());
        for &step in &steps[cuts[0]..cuts[1]] {
            apply(&mut middle, &oids, step).unwrap();
        }
        let mut top = middle.push(TestClock::default());
        for &step in &steps[cuts[1]..] {
            apply(&mut top, &oids, step).unwrap();
        }
        let mut before = Tid::MAX;
        loop {
            let info = oracle.transaction_before(before).unwrap();
            prop_assert_eq!(&top.transaction_before(before).unwrap(), &info);
            prop_assert_eq!(top.transaction_after(before), oracle.transaction_after(before));
            for &oid in &oids {
                prop_assert_eq!(top.load_before(oid, before), oracle.load_before(oid, before));
            }
            let Some(info) = info else { break };
            before = info.tid;
        }
        for &oid in oids.iter().chain(&vec![Oid::ROOT, Oid::new(99)]) {
            prop_assert_eq!(top.history(oid, 99), oracle.history(oid, 99));
            prop_assert_eq!(top.next_object(Some(oid)), oracle.next_object(Some(oid)));
            prop_assert_eq!(top.previous_object(Some(oid)), oracle.previous_object(Some(oid)));
        }
    }
}
