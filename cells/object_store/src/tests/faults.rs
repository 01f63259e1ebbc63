//! Devices that fail or fill up.

use alloc::vec::Vec;

use super::devices::{FailingDevice, Fault};
use super::support::{TestClock, formatted, open, payload, put, record};
use crate::{
    DeviceError, FileStorage, Load, MemoryDevice, Metadata, Oid, OpenError, PackError, PackRequest, StopReason,
    Storage, StorageError, Store, StoreError, Tid,
};

#[test]
fn a_failed_write_or_flush_stops_commits_and_not_loads() {
    let write = StopReason::Write(DeviceError::Failed);
    let flush = StopReason::Flush(DeviceError::Failed);
    for (fault, reason) in [(Fault::Write, write), (Fault::Flush, flush)] {
        let device = FailingDevice::new(formatted(8, 64));
        let (switch, writes) = (device.fault.clone(), device.writes.clone());
        let mut storage = open(device);
        let first = put(&mut storage, Oid::ROOT, record(b"1", &[])).unwrap();
        *switch.borrow_mut() = Some(fault);
        let stopped = StorageError::Stopped(reason);
        assert_eq!(put(&mut storage, Oid::ROOT, record(b"2", &[])), Err(stopped));
        *switch.borrow_mut() = None;
        let before = *writes.borrow();
        assert_eq!(storage.begin(Metadata::default()).map(|_| ()), Err(stopped));
        assert_eq!(storage.checkpoint(), Err(stopped));
        assert_eq!(storage.stopped(), Some(reason));
        assert_eq!(*writes.borrow(), before, "nothing is written after a failure");
        assert_eq!(storage.last_transaction(), first);
        assert_eq!(payload(&mut storage, Oid::ROOT, Tid::MAX).unwrap(), b"1");
        // What the device kept is decided by opening it again: the commit was not acknowledged, either outcome is right.
        let mut storage = open(storage.into_device().inner);
        let expected: &[u8] = if fault == Fault::Write { b"1" } else { b"2" };
        assert_eq!(payload(&mut storage, Oid::ROOT, Tid::MAX).unwrap(), expected);
    }
}

#[test]
fn a_transaction_in_flight_when_the_store_stops_is_refused_with_the_reason() {
    let device = FailingDevice::new(formatted(8, 64));
    let switch = device.fault.clone();
    let mut store = Store::new(open(device), 1 << 16);
    let first = store.begin(Metadata::default()).unwrap();
    store.put(first, Oid::ROOT, record(b"1", &[])).unwrap();
    store.commit(first).unwrap();
    let [lost, late] = [b"2", b"3"].map(|bytes| {
        let id = store.begin(Metadata::default()).unwrap();
        store.put(id, Oid::ROOT, record(bytes, &[])).unwrap();
        id
    });
    *switch.borrow_mut() = Some(Fault::Flush);
    let stopped = StoreError::Storage(StorageError::Stopped(StopReason::Flush(DeviceError::Failed)));
    assert_eq!(store.commit(lost), Err(stopped));
    *switch.borrow_mut() = None;
    assert_eq!(store.commit(late), Err(stopped));
    let reader = store.begin(Metadata::default()).unwrap();
    assert_eq!(store.root(reader).unwrap().payload, b"1");
}

#[test]
fn a_record_beside_a_bad_sector_is_served() {
    let device = FailingDevice::new(formatted(8, 64));
    let armed = device.countdown.clone();
    let mut storage = open(device);
    put(&mut storage, Oid::ROOT, record(b"1", &[])).unwrap();
    // The block that it stands in cannot be read as a whole.
    *armed.borrow_mut() = Some((Fault::Read, 0));
    assert_eq!(payload(&mut storage, Oid::ROOT, Tid::MAX).unwrap(), b"1");
    assert_eq!(*armed.borrow(), None);
}

#[test]
fn a_failed_read_is_the_answer_to_one_load_only() {
    let device = FailingDevice::new(formatted(8, 64));
    let switch = device.fault.clone();
    let mut storage = open(device);
    put(&mut storage, Oid::ROOT, record(b"1", &[])).unwrap();
    *switch.borrow_mut() = Some(Fault::Read);
    assert_eq!(storage.load_before(Oid::ROOT, Tid::MAX), Err(StorageError::Device(DeviceError::Failed)));
    *switch.borrow_mut() = None;
    put(&mut storage, Oid::ROOT, record(b"2", &[])).unwrap();
}

#[test]
fn a_device_that_fails_while_opening_is_given_back() {
    for fault in [Fault::Read, Fault::Write, Fault::Flush] {
        let device = FailingDevice::new(formatted(8, 64));
        *device.fault.borrow_mut() = Some(fault);
        let refused = FileStorage::open(device, TestClock::default()).map(|_| ()).unwrap_err();
        assert_eq!(refused.error, OpenError::Device(DeviceError::Failed));
        *refused.device.fault.borrow_mut() = None;
        open(refused.device);
    }
}

#[test]
fn a_full_disk_refuses_and_goes_on_serving() {
    let mut storage = open(formatted(6, 8));
    let mut kept = 0u32;
    let error = loop {
        match put(&mut storage, Oid::ROOT, record(&[kept as u8; 1_000], &[])) {
            Ok(_) => kept += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(error, StorageError::OutOfSpace { needed: 4096, free: 0 }), "{error:?}");
    assert!(kept >= 10, "{kept}");
    assert_eq!(storage.stopped(), None);
    assert_eq!(payload(&mut storage, Oid::ROOT, Tid::MAX).unwrap(), [kept as u8 - 1; 1_000]);
    // What still fits behind the last batch is taken.
    put(&mut storage, Oid::ROOT, record(b"small", &[])).unwrap();
    let oid = storage.new_oid().unwrap();
    assert!(put(&mut storage, oid, record(&[0; 3_000], &[])).is_err());
    let mut storage = open(storage.into_device());
    assert_eq!(storage.history(Oid::ROOT, 1_000).unwrap().len() as u32, kept + 1);
    assert_eq!(payload(&mut storage, Oid::ROOT, Tid::MAX).unwrap(), b"small");
    assert!(matches!(storage.checkpoint(), Err(StorageError::OutOfSpace { .. })));
    assert!(matches!(put(&mut storage, oid, record(&[0; 3_000], &[])), Err(StorageError::OutOfSpace { .. })));
}

#[test]
fn a_batch_for_more_than_the_device_is_too_large() {
    let mut storage = open(formatted(6, 8));
    let error = put(&mut storage, Oid::ROOT, record(&[0; 100_000], &[])).unwrap_err();
    assert!(matches!(error, StorageError::TransactionTooLarge { limit, .. } if limit == 47 * 512), "{error:?}");
}

/// What a storage does until its device fails at the `countdown`-th transfer of a kind: commits, groups, checkpoints, packs.
fn until_it_fails(fault: Fault, countdown: u64) -> (Option<StorageError>, MemoryDevice, Vec<(Oid, Tid)>) {
    let device = FailingDevice::new(formatted(24, 8));
    let (armed, inner) = (device.countdown.clone(), device);
    let mut storage = open(inner);
    // A transfer into the cache would be tried again.
    storage.set_log_cache(0);
    *armed.borrow_mut() = Some((fault, countdown));
    let mut acknowledged = Vec::new();
    let mut work = || -> Result<(), PackError> {
        let mut oids = alloc::vec![Oid::ROOT];
        for turn in 0..40u64 {
            if turn % 3 == 1 {
                oids.push(storage.new_oid()?);
            }
            let oid = oids[(turn as usize * 7) % oids.len()];
            let tid = put(&mut storage, oid, record(&[turn as u8; 600], &[]))?;
            acknowledged.push((oid, tid));
            if turn % 11 == 7 {
                storage.checkpoint()?;
            }
            if turn % 13 == 9 {
                storage.pack_start(PackRequest { in_flight: oids.clone(), ..PackRequest::until(Tid::MAX) })?;
            }
            if storage.packing() {
                storage.pack_step(usize::MAX)?;
            }
        }
        Ok(())
    };
    let error = work().err().map(|error| match error {
        PackError::Storage(error) => error,
        other => panic!("{other:?}"),
    });
    *armed.borrow_mut() = None;
    if matches!(error, Some(StorageError::Stopped(_))) {
        // It serves what it has and takes nothing any more.
        for &(oid, _) in &acknowledged {
            assert!(matches!(storage.load_before(oid, Tid::MAX), Ok(Load::Data { .. })));
        }
        assert_eq!(storage.begin(Metadata::default()).map(|_| ()), Err(error.unwrap()));
        assert_eq!(storage.checkpoint(), Err(error.unwrap()));
        assert_eq!(storage.pack_step(1), Err(PackError::Storage(error.unwrap())));
    } else if let Some(error) = error {
        // A failed read is the answer to one question only: everything goes on.
        assert_eq!(error, StorageError::Device(DeviceError::Failed));
        put(&mut storage, Oid::ROOT, record(b"on", &[])).unwrap();
        storage.checkpoint().unwrap();
        let in_flight = acknowledged.iter().map(|&(oid, _)| oid).collect();
        storage.pack(PackRequest { in_flight, ..PackRequest::until(Tid::MAX) }).unwrap();
    }
    (error, storage.into_device().inner, acknowledged)
}

#[test]
fn whatever_fails_nothing_acknowledged_is_lost() {
    for fault in [Fault::Read, Fault::Write, Fault::Flush] {
        let mut failures = 0;
        for countdown in 0.. {
            let (error, device, acknowledged) = until_it_fails(fault, countdown);
            let mut storage = open(device);
            for &(oid, tid) in &acknowledged {
                let newest = acknowledged.iter().rev().find(|(other, _)| *other == oid).unwrap().1;
                let Ok(Load::Data { tid: found, .. }) = storage.load_before(oid, Tid::MAX) else {
                    panic!("{fault:?} {countdown}: {oid:?} is missing");
                };
                assert!(found >= newest && newest >= tid, "{fault:?} {countdown}");
            }
            assert_eq!(storage.index_rebuilds(), 0);
            if error.is_none() {
                break;
            }
            failures += 1;
        }
        assert!(failures > 40, "{fault:?}: {failures}");
    }
}
