//! What can go wrong in a storage, and whose fault it is.
//!
//! The caller's faults leave the storage as it was. [`StorageError::Stopped`] is final: only opening the storage again can
//! tell what the device kept.

use alloc::collections::TryReserveError;

use serde::{Deserialize, Serialize};

use crate::{DeviceError, Oid, SegmentId, Tid};

/// Why a storage refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum StorageError {
    /// Another transaction changed the object first. The caller may begin again and retry.
    Conflict {
        /// The object.
        oid: Oid,
        /// The revision that the change was based on.
        yours: Tid,
        /// The current revision.
        theirs: Tid,
    },
    /// An object that had to be current at the commit is not. The caller may begin again and retry.
    ReadConflict {
        /// The object.
        oid: Oid,
        /// The revision that was read.
        yours: Tid,
        /// The current revision.
        theirs: Tid,
    },
    /// A record refers to an object that neither exists nor is committed with it: the caller's fault.
    Dangling {
        /// The object whose record it is.
        from: Oid,
        /// The object that is missing.
        to: Oid,
    },
    /// The creation of an object cannot be undone, for another object refers to it: the caller's fault.
    StillReferenced {
        /// The object that would end.
        oid: Oid,
        /// An object whose record refers to it.
        by: Oid,
    },
    /// A copied transaction is not newer than what is here: the caller's fault.
    NotNewer {
        /// Its number.
        tid: Tid,
        /// The last one here.
        last: Tid,
    },
    /// The number was never issued by `new_oid`: the caller's fault.
    OidNotIssued(Oid),
    /// The transaction can never fit: the caller must split it.
    TransactionTooLarge {
        /// The bytes that it takes in the log.
        bytes: u64,
        /// The most that this storage takes.
        limit: u64,
    },
    /// A metadata field is longer than the limit, in bytes: the caller's fault.
    MetadataTooLarge {
        /// The most bytes a field may have.
        limit: usize,
    },
    /// As many transactions as the storage takes are between vote and finish.
    Busy,
    /// This transaction was not voted here: the caller's fault.
    ForeignTransaction,
    /// The storage was opened for reading only.
    ReadOnly,
    /// The device is full. The transaction is refused, everything else goes on; a pack may free space.
    OutOfSpace {
        /// The bytes that were asked for.
        needed: u64,
        /// The bytes in free segments.
        free: u64,
    },
    /// Memory is short. The transaction is refused, everything else goes on.
    OutOfMemory,
    /// No greater object or transaction number is left.
    Exhausted,
    /// A write or flush failed, so what the device holds is unknown. Loads are still served, commits never again.
    Stopped(StopReason),
    /// A read failed: the device's fault.
    Device(DeviceError),
    /// Durable bytes have changed: the device's fault. Other objects can still be read.
    Rot {
        /// The segment.
        segment: SegmentId,
        /// The byte offset in it of the damaged structure.
        offset: u64,
    },
    /// Bytes are not an encoded record: their writer's fault.
    Malformed,
}

/// What stopped a storage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum StopReason {
    /// A write failed.
    Write(DeviceError),
    /// A flush failed.
    Flush(DeviceError),
}

impl From<TryReserveError> for StorageError {
    fn from(_: TryReserveError) -> Self {
        Self::OutOfMemory
    }
}

impl From<DeviceError> for StorageError {
    fn from(error: DeviceError) -> Self {
        Self::Device(error)
    }
}
