//! The transaction manager: merges, savepoints, sessions, undo, views, packing.

mod conflicts;
mod past;
mod savepoints;
mod sessions;

use alloc::vec::Vec;

use super::support::{TestClock, record};
use crate::{Garbage, MappingStorage, Metadata, Oid, PackProgress, PackReport, Record, Store, Tid, TransactionId};

type Subject = Store<MappingStorage<TestClock>>;

fn store() -> Subject {
    let mut store = Store::new(MappingStorage::new(TestClock::default()), 1 << 16);
    change(&mut store, Oid::ROOT, b"root");
    store
}

fn begin(store: &mut Subject) -> TransactionId {
    store.begin(Metadata::default()).unwrap()
}

fn change(store: &mut Subject, oid: Oid, bytes: &[u8]) -> Tid {
    change_to(store, oid, record(bytes, &[]))
}

fn change_to(store: &mut Subject, oid: Oid, record: Record) -> Tid {
    let id = begin(store);
    store.put(id, oid, record).unwrap();
    store.commit(id).unwrap()
}

fn create(store: &mut Subject, bytes: &[u8]) -> Oid {
    let id = begin(store);
    let oid = store.new_oid(id).unwrap();
    store.put(id, oid, record(bytes, &[])).unwrap();
    store.commit(id).unwrap();
    oid
}

fn read(store: &mut Subject, id: TransactionId, oid: Oid) -> Vec<u8> {
    store.get(id, oid).unwrap().payload.clone()
}

fn now(store: &mut Subject, oid: Oid) -> Vec<u8> {
    store.get_before(oid, Tid::MAX).unwrap().payload.clone()
}

fn pack(store: &mut Subject, until: Tid) -> PackReport {
    store.pack_start(until, Garbage::Collect).unwrap();
    loop {
        if let PackProgress::Done(report) = store.pack_step(1).unwrap() {
            return report;
        }
    }
}
