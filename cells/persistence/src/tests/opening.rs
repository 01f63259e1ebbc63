//! What is formatted, what is opened, and what is left alone.

use std::cell::RefCell;

use object_store::{BlockDevice, DeviceError, MemoryDevice, Metadata, Oid, Record, SECTOR, Storage, Tid};

use crate::backing::Backing;
use crate::disk::{Part, Parts};
use crate::opening::{Facts, Refused, open, open_demo};

const SECTORS: usize = 16 * 2048;

fn opened(device: &mut MemoryDevice) -> (Result<Facts, Refused>, Vec<String>) {
    let lines = RefCell::new(Vec::new());
    let found = open(device, || 1_000, [7; 16], &|line| lines.borrow_mut().push(line.to_string()));
    (found.map(|opened| opened.facts), lines.into_inner())
}

#[test]
fn a_blank_disk_is_formatted_once() {
    let mut disk = MemoryDevice::zeroed(SECTORS);
    let (facts, lines) = opened(&mut disk);
    assert_eq!(facts.map(|facts| (facts.formatted, facts.capacity)), Ok((true, (SECTORS * SECTOR) as u64)));
    assert_eq!(lines, ["formatted 32768 sectors", "opened at TID 0: 0 objects, torn batches cut: 0"]);
    let (facts, lines) = opened(&mut disk);
    assert_eq!(facts.map(|facts| facts.formatted), Ok(false));
    assert_eq!(lines, ["opened at TID 0: 0 objects, torn batches cut: 0"]);
}

#[test]
fn a_demo_leaves_its_disk_as_it_is() {
    let mut disk = MemoryDevice::zeroed(SECTORS);
    let demo = |disk: MemoryDevice| {
        let lines = RefCell::new(Vec::new());
        let found = open_demo(disk, || 1_000, &|line| lines.borrow_mut().push(line.to_string()));
        (found, lines.into_inner())
    };
    let (blank, lines) = demo(disk.clone());
    assert_eq!(blank.err(), Some(Refused::Unusable));
    assert_eq!(lines, ["the disk is read-only and blank: there is no state to begin a demo on"]);

    let mut storage =
        open(&mut disk, || 1_000, [7; 16], &|_| ()).unwrap_or_else(|refused| panic!("{refused:?}")).storage;
    put(&mut storage, Oid::ROOT, Record::default());
    drop(storage);
    let before = disk.clone();
    let (opened, lines) = demo(disk);
    let (mut storage, facts) = opened.unwrap_or_else(|refused| panic!("{refused:?}"));
    assert!(facts.demo && !facts.formatted);
    assert_eq!(
        lines.last().map(String::as_str),
        Some("the disk is read-only: a demo, whose changes are thrown away at the end")
    );
    assert_eq!(storage.base().permutation_key(), &[7; 16]);
    let new = storage.new_oid().expect("a number");
    put(&mut storage, new, Record::default());
    assert_eq!((Backing::objects(&storage), Backing::transfers(&storage).writes), (2, 0));
    assert!(storage.pop().into_device().into_inner() == before);
}

/// Commits one object that is new.
fn put(storage: &mut impl Storage, oid: Oid, record: Record) {
    let mut transaction = storage.begin(Metadata::default()).expect("begun");
    storage.store(&mut transaction, oid, Tid::ZERO, record);
    let voted = storage.vote(transaction).expect("voted");
    storage.finish(voted).expect("finished");
}

#[test]
fn something_else_is_left_as_it_is() {
    let mut disk = MemoryDevice::zeroed(SECTORS);
    disk.bytes_mut()[510..512].copy_from_slice(&[0x55, 0xaa]);
    let before = disk.clone();
    let (facts, lines) = opened(&mut disk);
    assert_eq!(facts, Err(Refused::Foreign));
    assert_eq!(lines, ["the disk holds something else: refusing to touch it"]);
    assert!(disk == before);
}

#[test]
fn a_damaged_state_file_is_left_as_it_is() {
    let mut disk = MemoryDevice::zeroed(SECTORS);
    assert!(opened(&mut disk).0.is_ok());
    // Everything but the first sector, up to the first segments.
    disk.bytes_mut()[SECTOR..64 * 1024].fill(0xff);
    let before = disk.clone();
    let (facts, lines) = opened(&mut disk);
    assert_eq!(facts, Err(Refused::Damaged), "{lines:?}");
    assert_eq!(lines, ["the state file is damaged: it has no valid root"]);
    assert!(disk == before);
}

/// Stops writing after so many writes, as a power cut does.
struct Cut<'a> {
    disk: &'a mut MemoryDevice,
    writes: usize,
}

impl BlockDevice for Cut<'_> {
    fn sectors(&self) -> u64 {
        self.disk.sectors()
    }
    fn read(&mut self, sector: u64, buffer: &mut [u8]) -> Result<(), DeviceError> {
        self.disk.read(sector, buffer)
    }
    fn write(&mut self, sector: u64, data: &[u8]) -> Result<(), DeviceError> {
        self.writes = self.writes.checked_sub(1).ok_or(DeviceError::Failed)?;
        self.disk.write(sector, data)
    }
    fn flush(&mut self) -> Result<(), DeviceError> {
        Ok(())
    }
}

#[test]
fn formatting_is_taken_up_again_where_it_was_interrupted() {
    for writes in 0..3 {
        let mut disk = MemoryDevice::zeroed(SECTORS);
        let cut = open(Cut { disk: &mut disk, writes }, || 0, [7; 16], &|_| ()).map(|opened| opened.facts);
        assert_eq!(cut, Err(Refused::Unusable));
        let (facts, lines) = opened(&mut disk);
        assert_eq!(facts.map(|facts| facts.formatted), Ok(true));
        let resumed = lines.iter().any(|line| line == "formatting was interrupted: formatting again");
        assert_eq!(resumed, writes > 0, "{lines:?}");
    }
}

#[test]
fn a_flipped_bit_is_repaired_and_never_taken_for_another_version() {
    let mut disk = MemoryDevice::zeroed(SECTORS);
    assert!(opened(&mut disk).0.is_ok());
    for place in [20, 4096 + 20, 8192 + 20] {
        let mut flipped = disk.clone();
        flipped.bytes_mut()[place] ^= 1;
        let (facts, lines) = opened(&mut flipped);
        assert!(facts.is_ok(), "{place}: {lines:?}");
    }
}

#[test]
fn transfers_are_cut_into_parts_that_fit() {
    let room = 3 * SECTOR + 100;
    let parts: Vec<Part> = Parts::new(10, 7 * SECTOR, 17, room).expect("within the device").collect();
    let shape: Vec<(u64, usize, usize)> =
        parts.iter().map(|part| (part.sector, part.range.start, part.range.end)).collect();
    assert_eq!(shape, [(10, 0, 1536), (13, 1536, 3072), (16, 3072, 3584)]);
    assert_eq!(Parts::new(0, 0, 0, room).expect("nothing fits anywhere").count(), 0);
    for (sector, length, room) in
        [(10, 8 * SECTOR, room), (u64::MAX, SECTOR, room), (0, SECTOR + 1, room), (0, SECTOR, 511)]
    {
        assert_eq!(Parts::new(sector, length, 17, room).err(), Some(DeviceError::OutOfRange));
    }
}
