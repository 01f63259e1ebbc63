//! What operations cost on the device. These are counts, so they are asserted exactly.

use alloc::vec;
use alloc::vec::Vec;

use super::devices::{Event, RecordingDevice};
use super::groups::vote;
use super::support::{commit, formatted, open, put, record};
use crate::{Oid, Storage, StorageError, Tid};

/// Writes and flushes in order, as letters, since the last call.
fn events(storage: &mut crate::FileStorage<RecordingDevice<()>, super::support::TestClock>) -> alloc::string::String {
    let device = storage.device_for_tests();
    device.log.borrow_mut().drain(..).map(|event| if matches!(event, Event::Flush) { 'F' } else { 'W' }).collect()
}

#[test]
fn a_commit_is_one_write_and_one_flush() {
    let mut storage = open(RecordingDevice::new(formatted(16, 64)));
    put(&mut storage, Oid::ROOT, record(b"", &[])).unwrap();
    events(&mut storage);
    for _ in 0..20 {
        let oids: Vec<Oid> = (0..5).map(|_| storage.new_oid().unwrap()).collect();
        assert_eq!(events(&mut storage), "");
        commit(&mut storage, oids.iter().map(|&oid| (oid, Tid::ZERO, record(&[1; 100], &[]))).collect()).unwrap();
        assert_eq!(events(&mut storage), "WF");
    }
}

#[test]
fn a_new_run_is_published_after_its_data() {
    let mut storage = open(RecordingDevice::new(formatted(16, 8)));
    events(&mut storage);
    put(&mut storage, Oid::ROOT, record(&[0; 1_000], &[])).unwrap();
    assert_eq!(events(&mut storage), "WFWF");
    put(&mut storage, Oid::ROOT, record(&[0; 1_000], &[])).unwrap();
    assert_eq!(events(&mut storage), "WF");
    put(&mut storage, Oid::ROOT, record(&[0; 1_000], &[])).unwrap();
    assert_eq!(events(&mut storage), "WFWF");
}

#[test]
fn refused_aborted_and_reading_transactions_cost_nothing() {
    let mut storage = open(RecordingDevice::new(formatted(16, 64)));
    let tid = put(&mut storage, Oid::ROOT, record(b"", &[])).unwrap();
    events(&mut storage);
    assert!(commit(&mut storage, vec![(Oid::ROOT, Tid::ZERO, record(b"", &[]))]).is_err());
    let mut transaction = storage.begin(crate::Metadata::default()).unwrap();
    storage.store(&mut transaction, Oid::ROOT, tid, record(b"", &[]));
    let voted = storage.vote(transaction).unwrap();
    storage.abort(voted).unwrap();
    storage.load_before(Oid::ROOT, Tid::MAX).unwrap();
    assert_eq!(events(&mut storage), "");
}

#[test]
fn opening_scans_only_behind_the_checkpoint() {
    let mut storage = open(formatted(64, 64));
    for _ in 0..50 {
        put(&mut storage, Oid::ROOT, record(&[0; 100], &[])).unwrap();
    }
    storage.checkpoint().unwrap();
    for _ in 0..3 {
        put(&mut storage, Oid::ROOT, record(&[0; 100], &[])).unwrap();
    }
    let (_, report) = crate::FileStorage::open_read_only(storage.into_device()).unwrap();
    assert_eq!((report.scanned_batches, report.transactions), (3, 53));
}

#[test]
fn checkpoints_come_by_themselves_and_free_the_older_ones() {
    let mut storage = open(formatted(100, 8));
    for turn in 0..300u32 {
        put(&mut storage, Oid::ROOT, record(&turn.to_le_bytes(), &[])).unwrap();
    }
    // 300 batches of one sector fill 43 runs of 7; one index of about 20 bytes a batch takes 3 or 4 runs, and the one
    // before it may still be held.
    assert!(storage.free_bytes() / 4096 >= 100 - 43 - 8, "{}", storage.free_bytes() / 4096);
    let (_, report) = crate::FileStorage::open_read_only(storage.into_device()).unwrap();
    assert!(report.scanned_batches < 100, "{}", report.scanned_batches);
    assert_eq!(report.transactions, 300);
}

#[test]
fn an_object_takes_few_bytes() {
    let mut storage = open(RecordingDevice::<()>::new(formatted(16, 2048)));
    let oids: Vec<Oid> = (0..1_000).map(|_| storage.new_oid().unwrap()).collect();
    storage.device_for_tests().log.borrow_mut().clear();
    commit(&mut storage, oids.iter().map(|&oid| (oid, Tid::ZERO, record(&[1; 100], &[]))).collect()).unwrap();
    let log = storage.device_for_tests().log.borrow();
    let Some(Event::Write { data, .. }) = log.first() else { panic!() };
    // Without the run's header and the blank sector behind the batch.
    let bytes = data.len() - 1_024;
    std::println!("{bytes} bytes for 1000 objects of 100 bytes in one transaction");
    assert!(bytes <= 122_000, "{bytes}");
}

#[test]
fn large_transactions_take_neighbouring_segments() {
    let mut storage = open(formatted(24, 2048));
    for megabytes in [1, 4, 7] {
        let big = record(&vec![7; megabytes << 20], &[]);
        put(&mut storage, Oid::ROOT, big.clone()).unwrap();
        assert!(
            matches!(storage.load_before(Oid::ROOT, Tid::MAX), Ok(crate::Load::Data { record, .. }) if record == big)
        );
    }
    let limit = 8 << 20;
    let error = put(&mut storage, Oid::ROOT, record(&vec![0; limit], &[]));
    assert!(matches!(error, Err(StorageError::TransactionTooLarge { limit: l, .. }) if l == limit as u64), "{error:?}");
    let mut storage = open(storage.into_device());
    assert_eq!(super::support::payload(&mut storage, Oid::ROOT, Tid::MAX).unwrap().len(), 7 << 20);
}

#[test]
fn a_group_of_commits_is_one_write_and_one_flush() {
    let mut storage = open(RecordingDevice::new(formatted(16, 64)));
    put(&mut storage, Oid::ROOT, record(b"", &[])).unwrap();
    events(&mut storage);
    let oids: Vec<Oid> = (0..8).map(|_| storage.new_oid().unwrap()).collect();
    let voted = oids.iter().map(|&oid| vote(&mut storage, oid, Tid::ZERO).unwrap()).collect();
    assert_eq!(events(&mut storage), "");
    storage.finish_many(voted).unwrap();
    assert_eq!(events(&mut storage), "WF");
    let mut storage = open(storage.into_device());
    for &oid in &oids {
        assert_eq!(super::support::payload(&mut storage, oid, Tid::MAX).unwrap(), oid.number().to_le_bytes());
    }
}

#[test]
fn a_commit_writes_what_it_says_and_little_else() {
    let mut storage = open(RecordingDevice::<()>::new(formatted(16, 2048)));
    let oids: Vec<Oid> = (0..100).map(|_| storage.new_oid().unwrap()).collect();
    let mut written = Vec::new();
    for count in [100, 1, 100] {
        storage.device_for_tests().log.borrow_mut().clear();
        let mut changes = Vec::new();
        for &oid in &oids[..count] {
            let revision = storage.revision_before(oid, Tid::MAX).unwrap().revision();
            changes.push((oid, revision, record(&[1; 100], &[])));
        }
        commit(&mut storage, changes).unwrap();
        let log = storage.device_for_tests().log.borrow();
        written.push(log.iter().map(|event| if let Event::Write { data, .. } = event { data.len() } else { 0 }).sum());
    }
    // One sector for one object, 24 for a hundred, and the blank one behind; a new run has a header and a root besides.
    let [first, one, hundred]: [usize; 3] = written.try_into().unwrap();
    assert_eq!((first - hundred, one, hundred), (512 + 4_096, 2 * 512, 25 * 512));
}
