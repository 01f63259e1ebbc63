//! Bringing a block device up: reset, features, geometry. Virtio 1.1, sections 3.1.1 and 5.2.

use virtio_drivers::transport::{DeviceStatus, DeviceType, Transport};

use crate::error::Error;
use crate::queue::SECTOR;

/// Feature bits: 5.2.3 for the block device's own, 6 for the rest.
const SIZE_MAX: u64 = 1 << 1;
const READ_ONLY: u64 = 1 << 5;
const FLUSH: u64 = 1 << 9;
const VERSION_1: u64 = 1 << 32;

/// Offsets in the device's configuration: 5.2.4.
const CAPACITY_LOW: usize = 0;
const CAPACITY_HIGH: usize = 4;
const SEGMENT_MAX: usize = 8;

/// Reads of the status register until a reset counts as failed. One is enough for every device seen.
const RESET_TRIES: usize = 1000;

/// What the device is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Geometry {
    /// Sectors of 512 bytes.
    pub(crate) sectors: u64,
    /// The most bytes of data that one request may carry.
    pub(crate) largest: usize,
    /// Whether the device refuses to be written.
    pub(crate) is_read_only: bool,
}

/// Resets the device. It forgets its queues, and touches memory no more.
///
/// # Errors
/// `NoReset`.
pub(crate) fn reset(transport: &mut impl Transport) -> Result<(), Error> {
    transport.set_status(DeviceStatus::empty());
    (0..RESET_TRIES).any(|_| transport.get_status() == DeviceStatus::empty()).then_some(()).ok_or(Error::NoReset)
}

/// Agrees on features with a device that was reset. Its queue may be set up next, then [`finish`] starts it.
///
/// # Errors
/// `NotBlock`, `NoVersion1`, `NoFlush`, `FeaturesRefused`, `SegmentTooSmall`. The device is told that the driver gave up.
pub(crate) fn agree(transport: &mut impl Transport) -> Result<Geometry, Error> {
    transport.set_status(DeviceStatus::ACKNOWLEDGE | DeviceStatus::DRIVER);
    agree_or_refuse(transport).inspect_err(|_| {
        let status = transport.get_status();
        transport.set_status(status | DeviceStatus::FAILED);
    })
}

fn agree_or_refuse(transport: &mut impl Transport) -> Result<Geometry, Error> {
    if transport.device_type() != DeviceType::Block {
        return Err(Error::NotBlock);
    }
    let offered = transport.read_device_features();
    if offered & VERSION_1 == 0 {
        return Err(Error::NoVersion1);
    }
    let is_read_only = offered & READ_ONLY != 0;
    // What cannot be written needs no flush.
    if offered & FLUSH == 0 && !is_read_only {
        return Err(Error::NoFlush);
    }
    transport.write_driver_features(offered & (VERSION_1 | FLUSH | SIZE_MAX | READ_ONLY));
    let agreed = DeviceStatus::ACKNOWLEDGE | DeviceStatus::DRIVER | DeviceStatus::FEATURES_OK;
    transport.set_status(agreed);
    if !transport.get_status().contains(DeviceStatus::FEATURES_OK) {
        return Err(Error::FeaturesRefused);
    }
    let sectors = transport.read_consistent(|| {
        let low: u32 = transport.read_config_space(CAPACITY_LOW)?;
        let high: u32 = transport.read_config_space(CAPACITY_HIGH)?;
        Ok(u64::from(high) << 32 | u64::from(low))
    })?;
    let largest = match offered & SIZE_MAX {
        0 => usize::MAX,
        _ => transport.read_config_space::<u32>(SEGMENT_MAX)? as usize,
    };
    if largest < SECTOR {
        return Err(Error::SegmentTooSmall);
    }
    Ok(Geometry { sectors, largest, is_read_only })
}

/// Starts the device, its queue being set up.
pub(crate) fn finish(transport: &mut impl Transport) {
    transport.set_status(
        DeviceStatus::ACKNOWLEDGE | DeviceStatus::DRIVER | DeviceStatus::FEATURES_OK | DeviceStatus::DRIVER_OK,
    );
}
