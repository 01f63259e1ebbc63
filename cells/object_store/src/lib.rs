//! The transactional object store.
#![no_std]
#![forbid(unsafe_code)]
extern crate alloc;
#[cfg(test)]
extern crate std;

mod clock;
mod codec;
mod device;
mod error;
mod file_storage;
mod identity;
mod mapping_storage;
mod record;
mod storage;
mod storage_transaction;
mod store;

#[cfg(test)]
mod tests;

pub use clock::{Clock, next_tid};
pub use device::{BlockDevice, DeviceError, MemoryDevice, SECTOR};
pub use error::{StopReason, StorageError};
pub use file_storage::{
    DeviceState, FORMAT_VERSION, FileStorage, FormatError, FormatOptions, LastBatch, NoClock, OpenError, OpenReport,
    Refused,
};
pub use identity::{Epoch, Oid, SegmentId, Tid};
pub use mapping_storage::MappingStorage;
pub use record::{METADATA_LIMIT, Metadata, Record};
pub use storage::{ChangeInfo, Load, RevisionInfo, RevisionKind, Storage, TransactionInfo};
pub use storage_transaction::{Change, Staged, StorageTransaction, Voted};
pub use store::{Store, StoreError, TransactionId};
