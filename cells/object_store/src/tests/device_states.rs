//! What a device can be when it is opened, and formatting.

use super::devices::{Event, RecordingDevice};
use super::support::{KEY, TestClock, formatted, open, put, record};
use crate::{
    BlockDevice, DeviceState, FORMAT_VERSION, FileStorage, FormatError, FormatOptions, MemoryDevice, Oid, OpenError,
    SECTOR, Storage, StorageError,
};

const OPTIONS: FormatOptions = FormatOptions { segment_sectors: Some(8) };

fn refusal(device: MemoryDevice) -> OpenError {
    let before = device.clone();
    let refused = FileStorage::open(device, TestClock::default()).map(|_| ()).unwrap_err();
    assert_eq!(refused.device, before, "a refused device is untouched");
    refused.error
}

/// Changes the identity sector and makes its checksum right again.
fn with_identity(mut device: MemoryDevice, change: impl FnOnce(&mut [u8])) -> MemoryDevice {
    let sector = &mut device.bytes_mut()[..SECTOR];
    change(sector);
    let checksum = crc32fast::hash(&sector[..SECTOR - 4]);
    sector[SECTOR - 4..].copy_from_slice(&checksum.to_le_bytes());
    device
}

#[test]
fn a_blank_device_may_be_formatted_and_is_not_opened() {
    let mut device = MemoryDevice::zeroed(4_096);
    assert_eq!(FileStorage::probe(&mut device), Ok(DeviceState::Blank));
    assert_eq!(refusal(device.clone()), OpenError::State(DeviceState::Blank));
    FileStorage::format(&mut device, KEY, FormatOptions::default()).unwrap();
    assert_eq!(FileStorage::probe(&mut device), Ok(DeviceState::Valid));
    assert_eq!(open(device).permutation_key(), &KEY);
}

#[test]
fn a_foreign_device_is_never_touched() {
    for place in [0, 511, 1024, 65_600, (1 << 20) - 1] {
        let mut device = MemoryDevice::zeroed(4_096);
        device.bytes_mut()[place] = 1;
        let before = device.clone();
        let in_use = FormatError::InUse(DeviceState::Foreign);
        assert_eq!(FileStorage::format(&mut device, KEY, OPTIONS), Err(in_use));
        assert_eq!(device, before);
        assert_eq!(refusal(device), OpenError::State(DeviceState::Foreign));
    }
}

#[test]
fn a_torn_first_write_may_be_formatted_and_a_damaged_store_may_not() {
    let mut half = MemoryDevice::zeroed(4_096);
    FileStorage::format(&mut half, KEY, OPTIONS).unwrap();
    let ready = half.bytes()[..SECTOR].to_vec();
    let formatting = with_identity(half, |sector| sector[16] = 1).bytes()[..SECTOR].to_vec();
    for bytes in 1..SECTOR {
        let mut device = MemoryDevice::zeroed(4_096);
        device.bytes_mut()[..bytes].copy_from_slice(&formatting[..bytes]);
        assert_eq!(FileStorage::probe(&mut device), Ok(DeviceState::HalfFormatted), "{bytes}");
        // Anything behind it says that this is something else.
        device.bytes_mut()[70_000] = 1;
        assert_ne!(FileStorage::probe(&mut device), Ok(DeviceState::HalfFormatted), "{bytes}");
        device.bytes_mut()[70_000] = 0;
        FileStorage::format(&mut device, KEY, OPTIONS).unwrap();
        assert_eq!(device.bytes()[..SECTOR], ready);
    }
}

#[test]
fn a_state_file_is_not_formatted_again() {
    let mut device = formatted(8, 8);
    let before = device.clone();
    assert_eq!(FileStorage::format(&mut device, KEY, OPTIONS), Err(FormatError::InUse(DeviceState::Valid)));
    assert_eq!(device, before);
}

#[test]
fn formatting_may_be_cut_off_anywhere_and_done_again() {
    let mut recording = RecordingDevice::<()>::new(MemoryDevice::zeroed(200));
    FileStorage::format(&mut recording, KEY, OPTIONS).unwrap();
    let events = recording.log.borrow().clone();
    let mut durable = MemoryDevice::zeroed(200);
    let mut window = alloc::vec::Vec::new();
    let mut seen = alloc::vec::Vec::new();
    for event in &events {
        match event {
            Event::Write { sector, data } => window.extend((*sector..).zip(data.chunks(SECTOR))),
            Event::Flush => window.drain(..).for_each(|(sector, data)| durable.write(sector, data).unwrap()),
            Event::Mark(()) => {}
        }
        for kept in 0..1u64 << window.len().min(16) {
            let mut device = durable.clone();
            for (bit, (sector, data)) in window.iter().enumerate() {
                if kept >> bit & 1 == 1 {
                    device.write(*sector, data).unwrap();
                }
            }
            let state = FileStorage::probe(&mut device).unwrap();
            seen.push(state);
            if state != DeviceState::Valid {
                assert!(matches!(state, DeviceState::Blank | DeviceState::HalfFormatted), "{state:?}");
                if kept % 97 == 0 {
                    assert_eq!(refusal(device.clone()), OpenError::State(state));
                    FileStorage::format(&mut device, KEY, OPTIONS).unwrap();
                    open(device);
                }
            }
            if kept > 3_000 {
                break;
            }
        }
    }
    for state in [DeviceState::Blank, DeviceState::HalfFormatted, DeviceState::Valid] {
        assert!(seen.contains(&state), "{state:?}");
    }
}

#[test]
fn other_versions_are_named_and_untouched() {
    for found in [1, 7] {
        let other = with_identity(formatted(8, 8), |sector| sector[8] = found);
        let wrong = DeviceState::WrongVersion { found: found.into(), supported: FORMAT_VERSION };
        assert_eq!(refusal(other.clone()), OpenError::State(wrong));
        assert_eq!(FileStorage::format(&mut other.clone(), KEY, OPTIONS), Err(FormatError::InUse(wrong)));
    }
    let features = with_identity(formatted(8, 8), |sector| sector[13] = 2);
    assert_eq!(refusal(features), OpenError::State(DeviceState::UnknownFeatures(0x200)));
}

#[test]
fn a_lost_identity_is_repaired_from_the_roots() {
    for lost in [0, 9, 300] {
        let mut device = formatted(8, 8);
        device.bytes_mut()[lost] ^= 0x10;
        let (storage, report) = FileStorage::open(device, TestClock::default()).unwrap();
        assert!(report.identity_lost);
        let (_, report) = FileStorage::open_read_only(storage.into_device()).unwrap();
        assert!(!report.identity_lost);
    }
}

#[test]
fn without_a_root_nothing_is_opened_or_formatted() {
    let mut device = formatted(8, 8);
    device.bytes_mut()[8 * SECTOR..24 * SECTOR].fill(0);
    assert_eq!(refusal(device.clone()), OpenError::State(DeviceState::NoRoot));
    assert_eq!(FileStorage::format(&mut device, KEY, OPTIONS), Err(FormatError::InUse(DeviceState::NoRoot)));
}

#[test]
fn a_device_that_shrank_is_refused() {
    let mut bytes = formatted(8, 8).bytes().to_vec();
    bytes.truncate(90 * SECTOR);
    assert_eq!(refusal(MemoryDevice::from_bytes(bytes)), OpenError::TooSmall { needed: 96, found: 90 });
}

#[test]
fn small_devices_are_refused() {
    for sectors in [0, 1, 31, 32, 35] {
        let mut device = MemoryDevice::zeroed(sectors);
        let too_small = FormatError::TooSmall { sectors: sectors as u64 };
        assert_eq!(FileStorage::format(&mut device, KEY, FormatOptions { segment_sectors: Some(4) }), Err(too_small));
        assert_eq!(refusal(device), OpenError::State(DeviceState::Blank));
    }
    let mut device = MemoryDevice::zeroed(400);
    for segment_sectors in [0, 3, u32::MAX] {
        let options = FormatOptions { segment_sectors: Some(segment_sectors) };
        assert_eq!(FileStorage::format(&mut device, KEY, options), Err(FormatError::TooSmall { sectors: 400 }));
    }
}

#[test]
fn reading_only_writes_nothing() {
    let mut storage = open(formatted(8, 8));
    let oid = storage.new_oid().unwrap();
    put(&mut storage, Oid::ROOT, record(b"kept", &[])).unwrap();
    let device = RecordingDevice::<()>::new(storage.into_device());
    let log = device.log.clone();
    let (mut storage, _) = FileStorage::open_read_only(device).unwrap();
    assert_eq!(super::support::payload(&mut storage, Oid::ROOT, crate::Tid::MAX).unwrap(), b"kept");
    assert_eq!(put(&mut storage, oid, record(b"", &[])), Err(StorageError::ReadOnly));
    assert_eq!(storage.new_oid(), Err(StorageError::ReadOnly));
    assert_eq!(storage.checkpoint(), Err(StorageError::ReadOnly));
    assert!(log.borrow().is_empty());
}

/// A change of this number is a change of the format: it needs a new version, or was not meant.
#[test]
fn the_format_stands_still() {
    let mut storage = open(formatted(8, 8));
    let oid = storage.new_oid().unwrap();
    put(&mut storage, oid, record(b"two", &[])).unwrap();
    put(&mut storage, Oid::ROOT, record(b"one", &[oid])).unwrap();
    storage.checkpoint().unwrap();
    let device = storage.into_device();
    assert_eq!(FORMAT_VERSION, 3);
    // Not a CRC: that of a block with its own CRC behind it says nothing of the block.
    let digest = device
        .bytes()
        .iter()
        .fold(0xcbf2_9ce4_8422_2325u64, |digest, &byte| (digest ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
    assert_eq!(digest, 14_438_309_092_785_357_148);
}
