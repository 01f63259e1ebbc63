//! What the tests share: small records, a clock that is told the time, seeded random numbers, ready storages.

use alloc::vec::Vec;

pub(crate) use crate::crash_test::{Random, TestClock};
use crate::{
    BlockDevice, Clock, FileStorage, FormatOptions, Load, MemoryDevice, Metadata, Oid, PackPhase, PackReport, Record,
    Storage, StorageError, Tid,
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

/// Packs to the end.
pub(crate) fn pack<D: BlockDevice, C: Clock>(
    storage: &mut FileStorage<D, C>,
    horizon: Tid,
) -> Result<PackReport, StorageError> {
    storage.pack_begin(horizon, &[])?;
    loop {
        let progress = storage.pack_step()?;
        if progress.phase == PackPhase::Done {
            return Ok(progress.report);
        }
    }
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

/// The payload of an object just before a transaction.
pub(crate) fn payload<S: Storage>(storage: &mut S, oid: Oid, before: Tid) -> Option<Vec<u8>> {
    match storage.load_before(oid, before).unwrap() {
        Load::Data { record, .. } => Some(record.payload),
        _ => None,
    }
}
