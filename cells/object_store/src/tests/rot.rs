//! Bytes that change on the disk. Whatever bit flips, a state file opens with all that was acknowledged, or names the place.

use alloc::vec::Vec;

use super::power_loss::{state_before, tids};
use super::support::{Random, TestClock, formatted, open, put, record};
use crate::{
    BlockDevice, FileStorage, LastBatch, MemoryDevice, Oid, OpenError, SECTOR, SegmentId, Storage, StorageError, Tid,
};

/// A state file of several runs with a checkpoint in the middle.
fn sample() -> MemoryDevice {
    let mut storage = open(formatted(24, 6));
    let mut random = Random(1);
    let mut oids = alloc::vec![Oid::ROOT];
    for turn in 0..40 {
        if turn % 3 == 0 {
            oids.push(storage.new_oid().unwrap());
        }
        let payload: Vec<u8> = (0..random.below(600)).map(|_| random.next() as u8).collect();
        put(&mut storage, oids[random.below(oids.len() as u64) as usize], record(&payload, &[])).unwrap();
        if turn == 30 {
            storage.checkpoint().unwrap();
        }
    }
    storage.into_device()
}

#[test]
fn a_flipped_bit_is_named_or_harmless() {
    let device = sample();
    let (mut whole, report) = FileStorage::open_read_only(device.clone()).unwrap();
    let objects = state_before(&mut whole, Tid::MAX).unwrap();
    let transactions = tids(&mut whole).unwrap();
    assert!(report.scanned_batches > 3);
    let mut random = Random(2);
    let mut outcomes = [0; 5];
    for byte in (0..device.bytes().len()).step_by(7) {
        let mut rotten = device.clone();
        rotten.bytes_mut()[byte] ^= 1 << random.below(8);
        let segment = byte.checked_sub(32 * SECTOR).map(|inside| SegmentId::new((inside / (6 * SECTOR)) as u32));
        let mut storage = match FileStorage::open(rotten, TestClock::default()) {
            Ok((storage, report)) => {
                if matches!(report.last_batch, LastBatch::Cut { .. }) {
                    // Only the last batch is ambiguous, and the report says so.
                    if report.last != transactions[39] {
                        assert_eq!(report.last, transactions[38]);
                        outcomes[0] += 1;
                        continue;
                    }
                }
                storage
            }
            Err(refused) => {
                let OpenError::Rot { segment: named, offset } = refused.error else { panic!("{:?}", refused.error) };
                assert!(named <= segment.unwrap() && offset < 4 * 6 * SECTOR as u64, "{named:?} {segment:?}");
                outcomes[1] += 1;
                continue;
            }
        };
        let named = |error: StorageError| {
            assert!(matches!(error, StorageError::Rot { segment: named, .. } if Some(named) == segment), "{error:?}");
        };
        match (state_before(&mut storage, Tid::MAX), tids(&mut storage)) {
            (Ok(found), Ok(listed)) => {
                assert_eq!((&found, &listed), (&objects, &transactions), "byte {byte}");
                outcomes[2] += 1;
            }
            (found, listed) => {
                found.map(|found| assert_eq!(found, objects)).unwrap_or_else(named);
                listed.map(|listed| assert_eq!(listed, transactions)).unwrap_or_else(named);
                outcomes[3] += 1;
            }
        }
    }
    std::println!("cut, refused, unread or repaired, named at load: {outcomes:?}");
    assert!(outcomes[..4].iter().all(|&count| count > 10), "{outcomes:?}");
}

#[test]
fn a_damaged_index_costs_only_a_scan() {
    let device = sample();
    let mut whole = FileStorage::open_read_only(device.clone()).unwrap().0;
    let (objects, transactions) = (state_before(&mut whole, Tid::MAX).unwrap(), tids(&mut whole).unwrap());
    let is_block = |place: &usize| device.bytes()[*place..].starts_with(b"TelI");
    let blocks: Vec<usize> = (0..device.bytes().len()).step_by(SECTOR).filter(is_block).collect();
    assert!(!blocks.is_empty());
    for block in blocks {
        for offset in [0, 5, 9, 17, 28, 40, 100] {
            let mut rotten = device.clone();
            rotten.bytes_mut()[block + offset] ^= 4;
            let mut storage = open(rotten);
            assert_eq!(state_before(&mut storage, Tid::MAX).unwrap(), objects);
            assert_eq!(tids(&mut storage).unwrap(), transactions);
            assert_eq!(storage.index_rebuilds(), 1, "{block} {offset}");
            // The next checkpoint replaces the damaged trees.
            assert!(storage.checkpoint_due());
            storage.checkpoint().unwrap();
            let mut storage = open(storage.into_device());
            assert_eq!(state_before(&mut storage, Tid::MAX).unwrap(), objects);
            assert_eq!(tids(&mut storage).unwrap(), transactions);
            assert_eq!(storage.index_rebuilds(), 0);
        }
    }
}

#[test]
fn a_damaged_record_is_named_and_others_are_served() {
    let mut storage = open(formatted(8, 64));
    let other = storage.new_oid().unwrap();
    put(&mut storage, Oid::ROOT, record(&[0xaa; 400], &[])).unwrap();
    put(&mut storage, other, record(b"fine", &[])).unwrap();
    storage.checkpoint().unwrap();
    let mut device = storage.into_device();
    let place = device.bytes().windows(9).position(|bytes| bytes == [0xaa; 9]).unwrap();
    device.bytes_mut()[place] ^= 1;
    let mut storage = open(device);
    let error = storage.load_before(Oid::ROOT, Tid::MAX).unwrap_err();
    assert!(matches!(error, StorageError::Rot { segment, offset } if segment == SegmentId::new(0) && offset < 1_024));
    assert_eq!(super::support::payload(&mut storage, other, Tid::MAX).unwrap(), b"fine");
    put(&mut storage, Oid::ROOT, record(b"written over", &[])).unwrap();
}

#[test]
fn a_payload_cannot_pass_for_a_batch() {
    // A whole valid batch of another state file with another key, on a sector of the log behind a torn batch.
    let mut storage = open(formatted(4, 64));
    put(&mut storage, Oid::ROOT, record(&[1; 100], &[])).unwrap();
    put(&mut storage, Oid::ROOT, record(&[2; 100], &[])).unwrap();
    let mut device = storage.into_device();
    let second = (32 + 2) * SECTOR;
    let mut forged = FileStorage::open(
        {
            let mut other = MemoryDevice::zeroed(32 + 4 * 64);
            let options = crate::FormatOptions { segment_sectors: Some(64) };
            FileStorage::format(&mut other, [9; 16], options).unwrap();
            other
        },
        TestClock::default(),
    )
    .unwrap()
    .0;
    for _ in 0..2 {
        put(&mut forged, Oid::ROOT, record(&[3; 100], &[])).unwrap();
    }
    let forged = forged.into_device();
    device.bytes_mut()[second..second + SECTOR].copy_from_slice(&forged.bytes()[second..second + SECTOR]);
    let (mut storage, report) = FileStorage::open_read_only(device).unwrap();
    assert_eq!(report.transactions, 1);
    assert_eq!(super::support::payload(&mut storage, Oid::ROOT, Tid::MAX).unwrap(), [1; 100]);
    assert!(storage.device_for_tests().sectors() > 0);
}
