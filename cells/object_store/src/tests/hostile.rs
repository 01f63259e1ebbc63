//! Devices that somebody else wrote: random bytes, and state files changed under checksums made right again.
//!
//! Whatever they hold, opening ends, without a panic, without memory beyond what the device could fill, and a refused
//! device is untouched.

use alloc::vec::Vec;

use super::power_loss::{state_before, tids};
use super::support::{KEY, Random, TestClock, formatted, open, put, record};
use crate::{BlockDevice, DeviceError, FileStorage, MemoryDevice, Oid, RevisionKind, SECTOR, Salvage, Storage, Tid};

/// A device that refuses reads which no honest store would make, and remembers whether it was written.
#[derive(Debug)]
struct Watched {
    inner: MemoryDevice,
    writes: u32,
}

impl BlockDevice for Watched {
    fn sectors(&self) -> u64 {
        self.inner.sectors()
    }

    fn read(&mut self, sector: u64, buffer: &mut [u8]) -> Result<(), DeviceError> {
        assert!(buffer.len() <= (8 << 20) + SECTOR, "{} bytes", buffer.len());
        self.inner.read(sector, buffer)
    }

    fn write(&mut self, sector: u64, data: &[u8]) -> Result<(), DeviceError> {
        self.writes += 1;
        self.inner.write(sector, data)
    }

    fn flush(&mut self) -> Result<(), DeviceError> {
        Ok(())
    }
}

/// Reads what a salvage finds in an image.
fn salvage(image: MemoryDevice) {
    let device = match Salvage::read(Watched { inner: image, writes: 0 }) {
        Ok(mut salvage) => {
            for found in salvage.transactions() {
                for change in found.changes.iter().filter(|change| change.readable) {
                    let record = salvage.record(change.oid, found.tid).unwrap();
                    assert_eq!(record.is_some(), change.kind != RevisionKind::Deletion);
                }
            }
            let _ = (salvage.lost(), salvage.damages().len());
            salvage.into_device()
        }
        Err(refused) => refused.device,
    };
    assert_eq!(device.writes, 0);
}

/// Opens an image, reads all of it, goes on with it.
fn exercise(image: MemoryDevice) -> bool {
    salvage(image.clone());
    match FileStorage::open(Watched { inner: image.clone(), writes: 0 }, TestClock::default()) {
        Ok((mut storage, _)) => {
            let _ = state_before(&mut storage, Tid::MAX);
            let _ = tids(&mut storage);
            let _ = storage.new_oid();
            let _ = put(&mut storage, Oid::ROOT, record(b"after", &[]));
            let _ = storage.checkpoint();
            let _ = storage.verify(|_| {});
            let _ = super::support::pack(&mut storage, Tid::MAX);
            let _ = put(&mut storage, Oid::ROOT, record(b"after the pack", &[]));
            let _ = tids(&mut storage);
            true
        }
        Err(refused) => {
            assert_eq!(refused.device.writes, 0);
            assert_eq!(refused.device.inner, image);
            false
        }
    }
}

fn sample() -> MemoryDevice {
    let mut storage = open(formatted(12, 6));
    for turn in 0..16u8 {
        let oid = if turn == 0 { Oid::ROOT } else { storage.new_oid().unwrap() };
        put(&mut storage, oid, record(&[turn; 90], &[])).unwrap();
        if turn == 8 {
            storage.checkpoint().unwrap();
        }
    }
    storage.into_device()
}

/// Makes right the checksums of all structures that still look like some.
fn repair(device: &mut MemoryDevice) {
    let seal = crc32fast::hash(&KEY);
    let sealed = |parts: &[&[u8]]| {
        let mut hasher = crc32fast::Hasher::new_with_initial(seal);
        parts.iter().for_each(|part| hasher.update(part));
        hasher.finalize().to_le_bytes()
    };
    let bytes = device.bytes_mut();
    for (start, end) in [(0, SECTOR), (8 * SECTOR, 16 * SECTOR), (16 * SECTOR, 24 * SECTOR)] {
        let checksum = crc32fast::hash(&bytes[start..end - 4]).to_le_bytes();
        bytes[end - 4..end].copy_from_slice(&checksum);
    }
    for start in (32 * SECTOR..bytes.len()).step_by(SECTOR) {
        let (_, rest) = bytes.split_at_mut(start);
        if rest.starts_with(b"TelOS\0sg") {
            let checksum = sealed(&[&rest[..SECTOR - 4]]);
            rest[SECTOR - 4..SECTOR].copy_from_slice(&checksum);
        } else if rest.starts_with(b"TelB") {
            let length = u32::from_le_bytes(rest[8..12].try_into().unwrap()) as usize;
            let end = length.clamp(80, rest.len()).next_multiple_of(SECTOR).min(rest.len());
            // The head of the transaction has a checksum of its own.
            let metadata = u32::from_le_bytes(rest[88..92].try_into().unwrap()) as usize;
            let changes = u32::from_le_bytes(rest[92..96].try_into().unwrap()) as usize;
            let head = 100usize.checked_add(metadata).and_then(|at| at.checked_add(changes.checked_mul(16)?));
            if rest[4] == 1 && head.is_some_and(|head| head <= rest.len()) {
                let checksum = sealed(&[&rest[80..96], &rest[100..head.unwrap()]]);
                rest[96..100].copy_from_slice(&checksum);
            }
            let checksum = sealed(&[&rest[..72]]);
            rest[72..76].copy_from_slice(&checksum);
            let checksum = sealed(&[&rest[..76], &rest[80..end]]);
            rest[76..80].copy_from_slice(&checksum);
        }
    }
}

#[test]
fn the_repair_repairs() {
    let device = sample();
    let mut repaired = device.clone();
    repair(&mut repaired);
    assert_eq!(repaired, device);
}

#[test]
fn random_devices_are_refused() {
    let mut random = Random(11);
    for turn in 0..300u64 {
        let mut bytes: Vec<u8> =
            (0..(30 + turn) * SECTOR as u64 / 8).flat_map(|_| random.next().to_le_bytes()).collect();
        if turn % 3 == 0 {
            bytes[..8].copy_from_slice(b"TelOS\0id");
        }
        assert!(!exercise(MemoryDevice::from_bytes(bytes)));
    }
}

#[test]
fn mutated_devices_are_survived() {
    let device = sample();
    let interesting = [0, 1, 0x7f, 0x80, 0xff];
    let (mut random, mut opened) = (Random(12), 0);
    for turn in 0..2_500 {
        let mut mutated = device.clone();
        let length = mutated.bytes().len() as u64;
        for _ in 0..=random.below(4) {
            // Most changes where the structures are: the first bytes of a sector, or the roots.
            let place = match random.below(4) {
                0 => 8 * SECTOR as u64 + random.below(2) * 4096 + random.below(256),
                1 => random.below(length),
                _ => random.below(length / SECTOR as u64) * SECTOR as u64 + random.below(130),
            };
            let width = [1, 4, 8][random.below(3) as usize].min(length - place);
            let value = interesting[random.below(5) as usize];
            mutated.bytes_mut()[place as usize..(place + width) as usize].fill(value);
        }
        if turn % 5 > 0 {
            repair(&mut mutated);
        }
        opened += u32::from(exercise(mutated));
    }
    std::println!("{opened} of 2500 mutated devices opened");
    assert!((100..2_400).contains(&opened), "{opened}");
}
