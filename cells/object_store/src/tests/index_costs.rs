//! What the index costs on the device: opening, look-ups, checkpoints. Counts, so they hold on any machine.

use alloc::vec::Vec;
use std::cell::Cell;
use std::rc::Rc;

use super::support::{commit, formatted, open, put, record};
use crate::{BlockDevice, DeviceError, FileStorage, Load, MemoryDevice, Oid, SECTOR, Storage, Tid};

/// A device that counts transfers and their sectors.
struct CountingDevice {
    inner: MemoryDevice,
    counts: Rc<Cell<Counts>>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counts {
    reads: u64,
    sectors_read: u64,
    sectors_written: u64,
}

impl CountingDevice {
    fn new(inner: MemoryDevice) -> (Self, Rc<Cell<Counts>>) {
        let counts = Rc::default();
        (Self { inner, counts: Rc::clone(&counts) }, counts)
    }

    fn count(&self, change: impl FnOnce(&mut Counts)) {
        let mut counts = self.counts.get();
        change(&mut counts);
        self.counts.set(counts);
    }
}

impl BlockDevice for CountingDevice {
    fn sectors(&self) -> u64 {
        self.inner.sectors()
    }

    fn read(&mut self, sector: u64, buffer: &mut [u8]) -> Result<(), DeviceError> {
        self.count(|counts| {
            counts.reads += 1;
            counts.sectors_read += (buffer.len() / SECTOR) as u64;
        });
        self.inner.read(sector, buffer)
    }

    fn write(&mut self, sector: u64, data: &[u8]) -> Result<(), DeviceError> {
        self.count(|counts| counts.sectors_written += (data.len() / SECTOR) as u64);
        self.inner.write(sector, data)
    }

    fn flush(&mut self) -> Result<(), DeviceError> {
        Ok(())
    }
}

/// A state file with this many objects of 100 bytes, a thousand in a transaction, all in the checkpoint.
fn filled(objects: u64) -> MemoryDevice {
    let mut storage = open(formatted(8 + objects as usize / 6_000, 2_048));
    let mut oids = alloc::vec![Oid::ROOT];
    oids.extend((1..objects).map(|_| storage.new_oid().unwrap()));
    for some in oids.chunks(1_000) {
        commit(&mut storage, some.iter().map(|&oid| (oid, Tid::ZERO, record(&[7; 100], &[]))).collect()).unwrap();
    }
    // Whatever came before, the log ends at the same place of a run.
    put(&mut storage, Oid::ROOT, record(&[7; 1_000_000], &[])).unwrap();
    storage.checkpoint().unwrap();
    storage.into_device()
}

#[test]
fn opening_reads_the_same_however_large_the_store_is() {
    let mut seen = Vec::new();
    for objects in [1_000, 100_000, 1_000_000] {
        let (device, counts) = CountingDevice::new(filled(objects));
        let (mut storage, report) = FileStorage::open_read_only(device).map_err(|refused| refused.error).unwrap();
        assert_eq!((report.objects, report.scanned_batches), (objects, 0));
        seen.push(counts.take());
        let middle = Oid::new(objects / 2);
        assert!(matches!(storage.load_before(middle, Tid::MAX), Ok(Load::Data { .. })));
        // One block for each level of each tree, and the record.
        std::println!("{objects} objects: opening {:?}, the first load {:?}", seen.last(), counts.get());
        assert!(counts.get().reads <= 10, "{:?}", counts.get());
    }
    assert!(seen.windows(2).all(|pair| pair[0] == pair[1]), "{seen:?}");
    assert!(seen[2].sectors_read <= 600, "{seen:?}");
}

#[test]
fn checkpoints_write_an_entry_a_few_times_and_not_each_time() {
    let (device, counts) = CountingDevice::new(formatted(120, 256));
    let mut storage = open(device);
    let mut index = 0;
    let turns = 400;
    for _ in 0..turns {
        let oids: Vec<Oid> = (0..200).map(|_| storage.new_oid().unwrap()).collect();
        commit(&mut storage, oids.iter().map(|&oid| (oid, Tid::ZERO, record(&[7; 9], &[]))).collect()).unwrap();
        counts.take();
        storage.checkpoint().unwrap();
        index += counts.get().sectors_written;
    }
    let least = turns * 200 * 10 / SECTOR as u64;
    std::println!("{index} sectors for {turns} checkpoints; the entries once are about {least}");
    assert!(index < 14 * least, "{index} {least}");
    let mut storage = open(storage.into_device().inner);
    assert!(matches!(storage.load_before(Oid::new(40_000), Tid::MAX), Ok(Load::Data { .. })));
    assert_eq!(storage.index_rebuilds(), 0);
}

#[test]
fn the_cache_of_the_index_is_bounded_and_small_ones_still_serve() {
    let mut storage = open(filled(20_000));
    for blocks in [1, 1_000] {
        storage.set_index_cache(blocks);
        for number in (0..20_000).step_by(997) {
            assert!(matches!(storage.load_before(Oid::new(number), Tid::MAX), Ok(Load::Data { .. })));
        }
    }
    let tid = put(&mut storage, Oid::new(77), record(b"new", &[])).unwrap();
    assert!(matches!(storage.load_before(Oid::new(77), tid), Ok(Load::Data { next: Some(next), .. }) if next == tid));
}

#[test]
fn neighbours_are_loaded_with_few_transfers() {
    let (device, counts) = CountingDevice::new(filled(20_000));
    let mut storage = open(device);
    // In the index, so that only the reads of records are counted.
    let oids: Vec<Oid> = (1..10_001).rev().map(Oid::new).collect();
    for &oid in &oids {
        assert!(matches!(storage.revision_before(oid, Tid::MAX), Ok(Load::Data { .. })));
    }
    counts.take();
    let loads = storage.load_many(&oids, Tid::MAX).unwrap();
    let record = record(&[7; 100], &[]);
    assert!(loads.iter().all(|load| matches!(load, Load::Data { record: found, .. } if *found == record)));
    // 10 000 records of 107 bytes and their directories are 1 245 KB: transfers of 256 KiB, and not one for each record.
    std::println!("10000 loads: {:?}", counts.get());
    assert!(counts.get().reads <= 8 && counts.get().sectors_read <= 2_700, "{:?}", counts.get());
    // What is announced costs no transfer any more.
    let some = &oids[..1_000];
    storage.prefetch(some, Tid::MAX);
    counts.take();
    for &oid in some {
        assert!(matches!(storage.load_before(oid, Tid::MAX), Ok(Load::Data { .. })));
    }
    assert_eq!(counts.get().reads, 0);
}
