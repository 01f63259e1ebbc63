//! Bytes that change on the disk. Whatever bit flips, a state file opens with all that was acknowledged, or names the place.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use super::power_loss::{state_before, tids};
use super::support::{Random, TestClock, formatted, open, pack, put, record};
use crate::{
    BlockDevice, Damage, DeviceError, FileStorage, LastBatch, MemoryDevice, Oid, OpenError, SECTOR, SegmentId, Storage,
    StorageError, Tid,
};

/// A state file of several runs, with two index trees and a pack behind it, and something after all of that.
fn sample() -> MemoryDevice {
    let mut storage = open(formatted(SEGMENTS, SEGMENT_SECTORS));
    let mut random = Random(1);
    let mut oids = alloc::vec![Oid::ROOT];
    for turn in 0..52 {
        if turn % 3 == 0 {
            oids.push(storage.new_oid().unwrap());
        }
        let payload: Vec<u8> = (0..random.below(600)).map(|_| random.next() as u8).collect();
        let oid = if turn == 0 { Oid::ROOT } else { oids[random.below(oids.len() as u64) as usize] };
        put(&mut storage, oid, record(&payload, &[])).unwrap();
        if turn == 25 {
            let all: Vec<Oid> = oids.iter().copied().filter(|&oid| exists(&mut storage, oid)).collect();
            put(&mut storage, Oid::ROOT, record(b"all", &all[..all.len() / 2])).unwrap();
            assert!(pack(&mut storage, Tid::MAX).unwrap().objects > 2);
            oids.truncate(all.len() / 2);
        }
        if turn == 42 {
            storage.checkpoint().unwrap();
        }
    }
    // The last batch does not open a run, so no root knows of it.
    for _ in 0..2 {
        put(&mut storage, Oid::ROOT, record(b"last", &[])).unwrap();
    }
    storage.into_device()
}

const SEGMENTS: usize = 40;
const SEGMENT_SECTORS: u32 = 6;

fn exists(storage: &mut FileStorage<MemoryDevice, TestClock>, oid: Oid) -> bool {
    matches!(storage.load_before(oid, Tid::MAX), Ok(crate::Load::Data { .. }))
}

/// A device that remembers which sectors were read.
struct Watched {
    inner: MemoryDevice,
    read: BTreeSet<u64>,
}

impl BlockDevice for Watched {
    fn sectors(&self) -> u64 {
        self.inner.sectors()
    }

    fn read(&mut self, sector: u64, buffer: &mut [u8]) -> Result<(), DeviceError> {
        self.read.extend(sector..sector + (buffer.len() / SECTOR) as u64);
        self.inner.read(sector, buffer)
    }

    fn write(&mut self, sector: u64, data: &[u8]) -> Result<(), DeviceError> {
        self.inner.write(sector, data)
    }

    fn flush(&mut self) -> Result<(), DeviceError> {
        Ok(())
    }
}

/// The segment of a byte.
fn segment_of(byte: usize) -> Option<SegmentId> {
    let inside = byte.checked_sub(32 * SECTOR)?;
    Some(SegmentId::new((inside / (SEGMENT_SECTORS as usize * SECTOR)) as u32))
}

/// The sectors that opening and verifying read, without what is behind the last batch of a run, which holds nothing.
fn sectors_in_use(device: &MemoryDevice) -> BTreeSet<u64> {
    let watched = Watched { inner: device.clone(), read: BTreeSet::new() };
    let (mut storage, _) = FileStorage::open_read_only(watched).map_err(|refused| refused.error).unwrap();
    // What stands beside a record is read with it, and is not needed.
    storage.set_log_cache(0);
    let verified = storage.verify(|damage| panic!("{damage:?}")).unwrap();
    assert!(verified.records > 20 && verified.transactions > 20 && verified.batches > 20, "{verified:?}");
    let rests = storage.rests_of_runs_for_tests();
    let in_use = |sector: &u64| !rests.iter().any(|rest| rest.contains(sector));
    storage.into_device().read.into_iter().filter(in_use).collect()
}

#[test]
fn a_flipped_bit_is_named_or_never_read() {
    let device = sample();
    let used = sectors_in_use(&device);
    let (mut whole, report) = FileStorage::open_read_only(device.clone()).unwrap();
    let objects = state_before(&mut whole, Tid::MAX).unwrap();
    let transactions = tids(&mut whole).unwrap();
    assert!(report.scanned_batches > 3);
    let mut random = Random(2);
    let (mut cut, mut refused, mut repaired, mut named, mut unread) = (0, 0, 0, 0, 0);
    for byte in (0..device.bytes().len()).step_by(5) {
        let mut rotten = device.clone();
        rotten.bytes_mut()[byte] ^= 1 << random.below(8);
        let segment = segment_of(byte);
        let (mut storage, report) = match FileStorage::open(rotten, TestClock::default()) {
            Ok(opened) => opened,
            Err(refusal) => {
                let OpenError::Rot { segment: found, offset } = refusal.error else { panic!("{:?}", refusal.error) };
                let head = segment.unwrap().number().checked_sub(found.number()).unwrap();
                assert!(head < 4 && offset < 4 * u64::from(SEGMENT_SECTORS) * SECTOR as u64, "{found:?} {segment:?}");
                refused += 1;
                continue;
            }
        };
        if report.last != *transactions.last().unwrap() {
            // Only the last batch is ambiguous, and the report says so.
            assert!(matches!(report.last_batch, LastBatch::Cut { .. }));
            assert_eq!(report.last, transactions[transactions.len() - 2]);
            cut += 1;
            continue;
        }
        let mut damages = Vec::new();
        storage.verify(|damage| damages.push(damage)).unwrap();
        let mut lost = Vec::new();
        for damage in &damages {
            match *damage {
                Damage::Identity | Damage::Root(_) => panic!("opening repairs these"),
                Damage::Index => {}
                Damage::Record { oid, segment: at, .. } => {
                    assert_eq!(Some(at), segment, "byte {byte}");
                    lost.push(oid);
                }
                Damage::Transaction { segment: at, .. } => assert_eq!(Some(at), segment, "byte {byte}"),
                Damage::Batch { segment: at, .. } => assert!(segment.is_some_and(|segment| at <= segment)),
            }
        }
        match (damages.is_empty(), report.root_slot_lost || report.identity_lost) {
            (false, _) => named += 1,
            (true, true) => repaired += 1,
            (true, false) => {
                assert!(!used.contains(&((byte / SECTOR) as u64)), "byte {byte} was read and not missed");
                unread += 1;
            }
        }
        // Everything else is served as it was.
        for (&oid, object) in &objects {
            match storage.load_before(oid, Tid::MAX) {
                Ok(crate::Load::Data { record, .. }) => assert_eq!(&record, object, "byte {byte}"),
                Err(StorageError::Rot { segment: at, .. }) if lost.contains(&oid) => assert_eq!(Some(at), segment),
                other => panic!("byte {byte}: {other:?}"),
            }
        }
    }
    std::println!("cut {cut}, refused {refused}, repaired {repaired}, named {named}, never read {unread}");
    assert!([cut, refused, repaired, named, unread].iter().all(|&count| count > 10));
}

#[test]
fn a_damaged_index_costs_only_a_scan() {
    let device = sample();
    let mut whole = FileStorage::open_read_only(device.clone()).unwrap().0;
    let (objects, transactions) = (state_before(&mut whole, Tid::MAX).unwrap(), tids(&mut whole).unwrap());
    let used = sectors_in_use(&device);
    let is_block =
        |place: &usize| device.bytes()[*place..].starts_with(b"TelI") && used.contains(&((place / SECTOR) as u64));
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
