//! Between the write of a commit and the end of its flush.

use alloc::vec::Vec;

use super::groups::vote;
use super::support::{TestClock, formatted, open, payload, put, record};
use crate::{
    BlockDevice, DeviceError, FileStorage, Flush, MemoryDevice, Oid, PackError, PackRequest, SECTOR, StopReason,
    Storage, StorageError, Tid,
};

type File = FileStorage<MemoryDevice, TestClock>;

/// A storage with two objects whose commit is written and not flushed, what the disk held before, and the objects.
fn written() -> (File, MemoryDevice, [Oid; 2]) {
    let mut storage = open(formatted(16, 64));
    put(&mut storage, Oid::ROOT, record(b"", &[])).unwrap();
    let before = storage.device_for_tests().clone();
    let oids = [storage.new_oid().unwrap(), storage.new_oid().unwrap()];
    let voted = oids.map(|oid| vote(&mut storage, oid, Tid::ZERO).unwrap());
    let (tids, flush) = storage.finish_start(voted.into()).unwrap();
    assert_eq!((tids.len(), flush), (2, Flush::Needed));
    (storage, before, oids)
}

fn are_there<D: BlockDevice>(storage: &mut FileStorage<D, TestClock>, oids: [Oid; 2]) -> [bool; 2] {
    oids.map(|oid| payload(storage, oid, Tid::MAX).is_some())
}

#[test]
fn what_is_durable_is_read_and_nothing_else_is_done() {
    let (mut storage, _, oids) = written();
    let last = storage.last_transaction();
    assert_eq!(are_there(&mut storage, oids), [false, false]);
    assert_eq!(payload(&mut storage, Oid::ROOT, Tid::MAX), Some(Vec::new()));
    assert!(matches!(vote(&mut storage, Oid::ROOT, last), Err(StorageError::Busy)));
    let request = PackRequest::until(Tid::MAX);
    assert_eq!(storage.pack_start(request), Err(PackError::Storage(StorageError::Busy)));
    // Until a reservation of numbers has to be published.
    let refused = core::iter::repeat_with(|| storage.new_oid()).take(20_000).find_map(Result::err);
    assert_eq!(refused, Some(StorageError::Busy));

    storage.finish_end(Ok(())).unwrap();
    assert_eq!(are_there(&mut storage, oids), [true, true]);
    assert!(storage.last_transaction() > last);
    put(&mut storage, oids[0], record(b"again", &[])).unwrap();
    assert_eq!(are_there(&mut open(storage.into_device()), oids), [true, true]);
}

#[test]
fn a_flush_that_failed_stops_the_storage_and_nothing_is_seen() {
    let (mut storage, _, oids) = written();
    let stopped = StorageError::Stopped(StopReason::Flush(DeviceError::Failed));
    assert_eq!(storage.finish_end(Err(DeviceError::Failed)), Err(stopped));
    assert_eq!(are_there(&mut storage, oids), [false, false]);
    assert_eq!(put(&mut storage, Oid::ROOT, record(b"later", &[])), Err(stopped));
}

#[test]
fn a_power_cut_before_the_flush_leaves_both_or_neither() {
    let (storage, before, oids) = written();
    let after = storage.into_device();
    let sectors: Vec<usize> = (0..after.bytes().len() / SECTOR)
        .filter(|&sector| before.bytes()[sector * SECTOR..][..SECTOR] != after.bytes()[sector * SECTOR..][..SECTOR])
        .collect();
    assert!((1..12).contains(&sectors.len()), "{sectors:?}");
    // Each subset of the sectors that were written may have reached the medium.
    let mut both = 0;
    for reached in 0..1_usize << sectors.len() {
        let mut cut = before.clone();
        for (_, &sector) in sectors.iter().enumerate().filter(|(bit, _)| reached >> bit & 1 == 1) {
            let range = sector * SECTOR..(sector + 1) * SECTOR;
            cut.bytes_mut()[range.clone()].copy_from_slice(&after.bytes()[range]);
        }
        let mut storage = open(cut);
        match are_there(&mut storage, oids) {
            [true, true] => both += 1,
            found => assert_eq!(found, [false, false], "{reached:b} of {sectors:?}"),
        }
        assert_eq!(payload(&mut storage, Oid::ROOT, Tid::MAX), Some(Vec::new()));
    }
    assert!(both > 0, "all of it is as good as a flush");
}
