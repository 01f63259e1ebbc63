//! Walking over transactions and objects, loading many, exact revisions.

use alloc::vec;
use alloc::vec::Vec;

use super::super::support::{commit, delete, payload, put, record};
use super::{Subject, on_every_storage};
use crate::{Load, Metadata, Oid, RecordRange, Storage, Tid, TransactionRange};

on_every_storage! {
    h1_history_gives_the_newest_first
    i1_u15_u16_transactions_are_walked_from_either_end
    i4_a_voted_transaction_is_not_shown
    i8_commits_after_the_beginning_of_a_walk_are_not_seen
    i9_ranges_are_inclusive
    f11_i2_objects_are_walked_from_either_end_without_the_deleted
    objects_are_walked_as_of_a_transaction
    v1_v4_exact_revisions_load
    v2_v3_v7_states_between_revisions
    batches_load_what_single_loads_do
}

fn h1_history_gives_the_newest_first<S: Storage>(Subject { mut storage, .. }: Subject<S>) {
    let mut tids: Vec<Tid> =
        (0..11u8).map(|byte| put(&mut storage, Oid::ROOT, record(&[byte], &[])).unwrap()).collect();
    tids.reverse();
    for size in [0, 1, 5, 11, 12] {
        let history: Vec<Tid> = storage.history(Oid::ROOT, size).unwrap().iter().map(|one| one.tid).collect();
        assert_eq!(history, tids[..size.min(11)]);
    }
}

/// Seven commits at 10, 20, ... 70.
fn seven<S: Storage>(subject: &mut Subject<S>) -> Vec<Tid> {
    let times = (1..=7).map(|turn| {
        subject.clock.0.set(turn * 10);
        put(&mut subject.storage, Oid::ROOT, record(&[turn as u8], &[])).unwrap()
    });
    times.collect()
}

fn walk<S: Storage>(storage: &mut S, mut range: TransactionRange) -> Vec<u64> {
    let mut found = Vec::new();
    while let Some(info) = range.next(storage).unwrap() {
        found.push(info.tid.number());
    }
    assert_eq!((range.next(storage), range.next_back(storage)), (Ok(None), Ok(None)));
    found
}

fn walk_back<S: Storage>(storage: &mut S, mut range: TransactionRange) -> Vec<u64> {
    let mut found = Vec::new();
    while let Some(info) = range.next_back(storage).unwrap() {
        found.push(info.tid.number());
    }
    assert_eq!((range.next(storage), range.next_back(storage)), (Ok(None), Ok(None)));
    found
}

fn i1_u15_u16_transactions_are_walked_from_either_end<S: Storage>(mut subject: Subject<S>) {
    let empty = TransactionRange::new(&subject.storage, Tid::ZERO, Tid::MAX);
    assert_eq!(walk(&mut subject.storage, empty), []);
    seven(&mut subject);
    let storage = &mut subject.storage;
    let range = TransactionRange::new(storage, Tid::ZERO, Tid::MAX);
    assert_eq!(walk(storage, range), [10, 20, 30, 40, 50, 60, 70]);
    assert_eq!(walk_back(storage, range), [70, 60, 50, 40, 30, 20, 10]);
    let mut both = range;
    assert_eq!(both.next(storage).unwrap().unwrap().tid, Tid::new(10));
    assert_eq!(both.next_back(storage).unwrap().unwrap().tid, Tid::new(70));
    assert_eq!(walk(storage, both), [20, 30, 40, 50, 60]);
    let info = storage.transaction_after(Tid::new(35)).unwrap().unwrap();
    assert_eq!(Some(&info), storage.transaction_before(Tid::new(41)).unwrap().as_ref());
    for change in info.changes {
        assert!(matches!(storage.load_revision(change.oid, info.tid), Ok(Some(Load::Data { .. }))), "i5");
    }
}

fn i4_a_voted_transaction_is_not_shown<S: Storage>(mut subject: Subject<S>) {
    let tids = seven(&mut subject);
    let storage = &mut subject.storage;
    let mut transaction = storage.begin(Metadata::default()).unwrap();
    storage.store(&mut transaction, Oid::ROOT, tids[6], record(b"", &[]));
    let voted = storage.vote(transaction).unwrap();
    let range = TransactionRange::new(storage, Tid::new(60), Tid::MAX);
    assert_eq!(walk(storage, range), [60, 70]);
    assert_eq!(storage.last_transaction(), tids[6]);
    assert_eq!(payload(storage, Oid::ROOT, Tid::MAX).unwrap(), [7]);
    storage.finish(voted).unwrap();
    assert_eq!(walk_back(storage, range), [70, 60]);
}

fn i8_commits_after_the_beginning_of_a_walk_are_not_seen<S: Storage>(mut subject: Subject<S>) {
    seven(&mut subject);
    let storage = &mut subject.storage;
    let mut range = TransactionRange::new(storage, Tid::new(60), Tid::MAX);
    let mut objects = RecordRange::new(storage, Oid::ROOT, Oid::new(u64::MAX));
    let oid = storage.new_oid().unwrap();
    commit(storage, vec![(Oid::ROOT, Tid::new(70), record(b"8", &[])), (oid, Tid::ZERO, record(b"", &[]))]).unwrap();
    assert_eq!(range.next(storage).unwrap().unwrap().tid, Tid::new(60));
    assert_eq!(walk(storage, range), [70]);
    assert_eq!(objects.next(storage).unwrap().unwrap().record.payload, [7]);
    assert_eq!(objects.next(storage), Ok(None));
}

fn i9_ranges_are_inclusive<S: Storage>(mut subject: Subject<S>) {
    seven(&mut subject);
    let storage = &mut subject.storage;
    let cases: [(u64, u64, &[u64]); 8] = [
        (20, 40, &[20, 30, 40]),
        (15, 45, &[20, 30, 40]),
        (30, 30, &[30]),
        (31, 39, &[]),
        (40, 20, &[]),
        (70, u64::MAX, &[70]),
        (71, u64::MAX, &[]),
        (0, 9, &[]),
    ];
    for (first, last, expected) in cases {
        let range = TransactionRange::new(storage, Tid::new(first), Tid::new(last));
        assert_eq!(walk(storage, range), expected, "{first}..={last}");
        let mut backwards = walk_back(storage, range);
        backwards.reverse();
        assert_eq!(backwards, expected, "{first}..={last}");
    }
}

fn objects<S: Storage>(storage: &mut S, mut range: RecordRange) -> Vec<Oid> {
    let mut backwards = range;
    let (mut found, mut reverse) = (Vec::new(), Vec::new());
    while let Some(one) = range.next(storage).unwrap() {
        found.push(one.oid);
    }
    while let Some(one) = backwards.next_back(storage).unwrap() {
        reverse.push(one.oid);
    }
    reverse.reverse();
    assert_eq!(found, reverse);
    assert_eq!((range.next(storage), range.next_back(storage)), (Ok(None), Ok(None)));
    found
}

fn f11_i2_objects_are_walked_from_either_end_without_the_deleted<S: Storage>(Subject { mut storage, .. }: Subject<S>) {
    let all = RecordRange::new(&storage, Oid::ROOT, Oid::new(u64::MAX));
    assert_eq!(objects(&mut storage, all), []);
    let oids: Vec<Oid> = (0..6).map(|_| storage.new_oid().unwrap()).collect();
    for &oid in oids.iter().rev() {
        put(&mut storage, oid, record(&[oid.number() as u8], &[])).unwrap();
    }
    for ended in [0, 3, 5] {
        delete(&mut storage, oids[ended]);
    }
    let all = RecordRange::new(&storage, Oid::ROOT, Oid::new(u64::MAX));
    assert_eq!(objects(&mut storage, all), [oids[1], oids[2], oids[4]]);
    let some = RecordRange::new(&storage, oids[2], oids[4]);
    assert_eq!(objects(&mut storage, some), [oids[2], oids[4]]);
    let none = RecordRange::new(&storage, oids[4], oids[2]);
    assert_eq!(objects(&mut storage, none), []);
    let mut both = all;
    assert_eq!(both.next_back(&mut storage).unwrap().unwrap().oid, oids[4]);
    assert_eq!(both.next(&mut storage).unwrap().unwrap().oid, oids[1]);
    assert_eq!(objects(&mut storage, both), [oids[2]]);
    assert_eq!(storage.previous_object(None), Ok(Some(oids[5])), "the deleted have revisions");
    assert_eq!(storage.previous_object(Some(oids[0])), Ok(None));
}

fn objects_are_walked_as_of_a_transaction<S: Storage>(Subject { mut storage, .. }: Subject<S>) {
    let first = put(&mut storage, Oid::ROOT, record(b"old", &[])).unwrap();
    let oid = storage.new_oid().unwrap();
    put(&mut storage, oid, record(b"later", &[])).unwrap();
    put(&mut storage, Oid::ROOT, record(b"new", &[])).unwrap();
    let mut range = RecordRange::at(first, Oid::ROOT, Oid::new(u64::MAX));
    let found = range.next(&mut storage).unwrap().unwrap();
    assert_eq!((found.oid, found.tid, found.record.payload.as_slice()), (Oid::ROOT, first, b"old".as_slice()));
    assert_eq!(range.next(&mut storage), Ok(None));
}

fn v1_v4_exact_revisions_load<S: Storage>(Subject { mut storage, .. }: Subject<S>) {
    let tids: Vec<Tid> = (0..50u8).map(|byte| put(&mut storage, Oid::ROOT, record(&[byte], &[])).unwrap()).collect();
    for (byte, &tid) in tids.iter().enumerate() {
        let found = storage.load_revision(Oid::ROOT, tid).unwrap().unwrap();
        let next = tids.get(byte + 1).copied();
        assert_eq!(found, Load::Data { record: record(&[byte as u8], &[]), tid, next });
    }
    let oid = storage.new_oid().unwrap();
    let other = put(&mut storage, oid, record(b"", &[])).unwrap();
    for none in [other, other.after(), Tid::MAX, Tid::ZERO] {
        assert_eq!(storage.load_revision(Oid::ROOT, none), Ok(None));
    }
    let ended = delete(&mut storage, oid);
    assert_eq!(storage.load_revision(oid, ended), Ok(Some(Load::DeletedAt(ended))));
}

fn v2_v3_v7_states_between_revisions<S: Storage>(mut subject: Subject<S>) {
    assert_eq!(subject.storage.load_before(Oid::ROOT, Tid::MAX), Ok(Load::NeverExisted));
    seven(&mut subject);
    let storage = &mut subject.storage;
    assert_eq!(storage.load_before(Oid::ROOT, Tid::ZERO), Ok(Load::NotYet(Tid::new(10))));
    assert_eq!(storage.load_before(Oid::ROOT, Tid::new(10)), Ok(Load::NotYet(Tid::new(10))));
    for turn in 1..=7u8 {
        let tid = Tid::new(u64::from(turn) * 10);
        let next = Some(Tid::new(u64::from(turn) * 10 + 10)).filter(|_| turn < 7);
        let between = storage.load_before(Oid::ROOT, Tid::new(u64::from(turn) * 10 + 5));
        assert_eq!(between, Ok(Load::Data { record: record(&[turn], &[]), tid, next }));
    }
}

fn batches_load_what_single_loads_do<S: Storage>(Subject { mut storage, .. }: Subject<S>) {
    let mut oids = vec![Oid::new(99_999), Oid::ROOT];
    for turn in 0..5u8 {
        oids.push(storage.new_oid().unwrap());
        put(&mut storage, oids[usize::from(turn) + 2], record(&[turn], &[])).unwrap();
    }
    delete(&mut storage, oids[3]);
    oids.push(oids[4]);
    for before in [Tid::ZERO, Tid::new(3), Tid::MAX] {
        storage.prefetch(&oids, before);
        let single: Vec<Load> = oids.iter().map(|&oid| storage.load_before(oid, before).unwrap()).collect();
        assert_eq!(storage.load_many(&oids, before), Ok(single));
    }
}
