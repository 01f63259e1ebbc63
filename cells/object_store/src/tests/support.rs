//! What the tests share: small records, a clock that is told the time, seeded random numbers, ready storages.

use alloc::string::String;
use alloc::vec::Vec;

pub(crate) use crate::crash_test::{Random, TestClock};
use crate::{
    BlockDevice, FileStorage, FormatOptions, Load, MemoryDevice, Metadata, NoRules, Oid, PackError, PackReport,
    PackRequest, Record, Rules, Storage, StorageError, ThreeStates, Tid, UndoError, Unresolved,
};

/// The key of every test's state file.
pub(crate) const KEY: [u8; 16] = *b"a key for tests.";

/// A record with a payload and references.
pub(crate) fn record(payload: &[u8], references: &[Oid]) -> Record {
    Record {
        schema: 1,
        version: 1,
        references: references.to_vec(),
        capabilities: Vec::new(),
        payload: payload.to_vec(),
    }
}

/// A formatted device of segments with this many sectors.
pub(crate) fn formatted(segments: usize, segment_sectors: u32) -> MemoryDevice {
    let mut device = MemoryDevice::zeroed(32 + segments * segment_sectors as usize);
    FileStorage::format(&mut device, KEY, FormatOptions { segment_sectors: Some(segment_sectors) }).unwrap();
    device
}

/// Opens a device that must open, with a clock at zero.
pub(crate) fn open<D: BlockDevice>(device: D) -> FileStorage<D, TestClock> {
    FileStorage::open(device, TestClock::default()).map_err(|refused| refused.error).unwrap().0
}

/// Commits changes, each with the revision that it is based on.
pub(crate) fn commit<S: Storage>(storage: &mut S, changes: Vec<(Oid, Tid, Record)>) -> Result<Tid, StorageError> {
    let mut transaction = storage.begin(Metadata::default())?;
    for (oid, based_on, record) in changes {
        storage.store(&mut transaction, oid, based_on, record);
    }
    let voted = storage.vote(transaction)?;
    storage.finish(voted)
}

/// Commits one change of an object, based on its current revision.
pub(crate) fn put<S: Storage>(storage: &mut S, oid: Oid, record: Record) -> Result<Tid, StorageError> {
    let based_on = storage.revision_before(oid, Tid::MAX)?.revision();
    commit(storage, alloc::vec![(oid, based_on, record)])
}

/// Packs to the end.
pub(crate) fn pack<S: Storage>(storage: &mut S, until: Tid) -> Result<PackReport, PackError> {
    storage.pack(PackRequest::until(until))
}

/// Commits the end of an object.
pub(crate) fn delete<S: Storage>(storage: &mut S, oid: Oid) -> Tid {
    let based_on = storage.revision_before(oid, Tid::MAX).unwrap().revision();
    let mut transaction = storage.begin(Metadata::default()).unwrap();
    storage.delete(&mut transaction, oid, based_on);
    let voted = storage.vote(transaction).unwrap();
    storage.finish(voted).unwrap()
}

/// Commits the undoing of a transaction.
pub(crate) fn undo<S: Storage>(storage: &mut S, tid: Tid) -> Result<Tid, UndoError> {
    undo_with(storage, &[tid], &mut NoRules)
}

/// Commits the undoing of transactions, one after the other.
pub(crate) fn undo_with<S: Storage>(storage: &mut S, tids: &[Tid], rules: &mut dyn Rules) -> Result<Tid, UndoError> {
    let mut transaction = storage.begin(Metadata::default())?;
    for &tid in tids {
        storage.undo(&mut transaction, tid, rules)?;
    }
    let voted = storage.vote(transaction)?;
    Ok(storage.finish(voted)?)
}

/// The payload is a number: two changes of it add up.
pub(crate) struct Counters;

impl Rules for Counters {
    fn resolve(&mut self, states: &ThreeStates<'_>) -> Result<Record, Unresolved> {
        let value = |record: &Record| match record.payload.as_slice() {
            &[value] => Ok(value),
            _ => Err(Unresolved),
        };
        let (base, committed, proposed) = (value(states.base)?, value(states.committed)?, value(states.proposed)?);
        let sum = committed.checked_add(proposed).and_then(|sum| sum.checked_sub(base)).ok_or(Unresolved)?;
        Ok(Record { payload: alloc::vec![sum], ..states.committed.clone() })
    }

    fn differing(&mut self, _states: &ThreeStates<'_>) -> Vec<String> {
        alloc::vec!["value".into()]
    }
}

/// The payload of an object just before a transaction.
pub(crate) fn payload<S: Storage>(storage: &mut S, oid: Oid, before: Tid) -> Option<Vec<u8>> {
    match storage.load_before(oid, before).unwrap() {
        Load::Data { record, .. } => Some(record.payload),
        _ => None,
    }
}
