//! What opening and formatting answer.

use crate::{DeviceError, DeviceState, Epoch, SegmentId, StopReason, StorageError, Tid};

/// How formatting divides a device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FormatOptions {
    /// Sectors of a segment, at least four; by default a mebibyte, or more on a device of over 429 mebibytes.
    pub segment_sectors: Option<u32>,
}

/// Why a device was not formatted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FormatError {
    /// It is neither blank nor half formatted: untouched.
    InUse(DeviceState),
    /// It has no room for a segment: untouched.
    TooSmall {
        /// Its size.
        sectors: u64,
    },
    /// A transfer failed. The device is blank or half formatted, and can be formatted again.
    Device(DeviceError),
    /// Memory is short.
    OutOfMemory,
}

impl From<DeviceError> for FormatError {
    fn from(error: DeviceError) -> Self {
        Self::Device(error)
    }
}

/// Why a device was not opened. It is untouched in every case but a failed repair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenError {
    /// It holds no state that can be opened; what it holds instead. Never [`DeviceState::Valid`].
    State(DeviceState),
    /// It has fewer sectors than when it was formatted.
    TooSmall {
        /// The sectors that it had.
        needed: u64,
        /// The sectors that it has.
        found: u64,
    },
    /// Its root contradicts itself, though its checksum is right: not written by this crate.
    BadRoot,
    /// A root slot is damaged, and two runs claim to be what it had added: nothing can be said for certain.
    AmbiguousRoot,
    /// Durable bytes of the log have changed.
    Rot {
        /// The segment.
        segment: SegmentId,
        /// The byte offset in it where a batch or header is missing or damaged.
        offset: u64,
    },
    /// A transfer failed.
    Device(DeviceError),
    /// Memory is short.
    OutOfMemory,
}

impl From<StorageError> for OpenError {
    fn from(error: StorageError) -> Self {
        match error {
            StorageError::Device(error)
            | StorageError::Stopped(StopReason::Write(error) | StopReason::Flush(error)) => Self::Device(error),
            StorageError::OutOfMemory => Self::OutOfMemory,
            StorageError::Rot { segment, offset } => Self::Rot { segment, offset },
            _ => Self::BadRoot,
        }
    }
}

impl From<DeviceError> for OpenError {
    fn from(error: DeviceError) -> Self {
        Self::Device(error)
    }
}

/// A device that was not opened, given back with the reason.
#[derive(Debug)]
pub struct Refused<D> {
    /// The device.
    pub device: D,
    /// The reason.
    pub error: OpenError,
}

/// The state of the last batch of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LastBatch {
    /// Nothing was scanned behind the index checkpoint.
    None,
    /// Whole, and known to have been durable.
    Confirmed(Tid),
    /// Whole, and so committed; whether its commit was ever acknowledged cannot be told.
    Unconfirmed(Tid),
    /// Bytes behind the last whole batch that are none, cut off: a batch torn by a power cut before it was acknowledged; or
    /// the one acknowledged batch, the last, whose rot cannot be told from that; or, if the power cut tore off the blank
    /// sector behind a batch, what an earlier life of the segment left. They stay on the device until the next commit.
    Cut {
        /// The head of its run.
        segment: SegmentId,
        /// The byte offset in the run.
        offset: u64,
        /// How many bytes were cut.
        bytes: u64,
    },
}

/// What opening found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenReport {
    /// The epoch of the root that was found.
    pub epoch: Epoch,
    /// The last transaction.
    pub last: Tid,
    /// Transactions ever committed.
    pub transactions: u64,
    /// Objects, deleted ones included.
    pub objects: u64,
    /// Batches that were scanned behind the index checkpoint.
    pub scanned_batches: u64,
    /// Their sectors.
    pub scanned_sectors: u64,
    /// The state of the last batch.
    pub last_batch: LastBatch,
    /// One root slot was damaged; opening for writing repaired it.
    pub root_slot_lost: bool,
    /// The run which the lost root had added to the log was found and taken in.
    pub rolled_forward: bool,
    /// The identity sector was damaged; opening for writing repaired it.
    pub identity_lost: bool,
}
