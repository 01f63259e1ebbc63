//! The transactional object store: records, transactions, and the log that keeps them.
//!
//! Everything that the system is stands in one graph of objects. An object has an [`Oid`] for ever and a [`Record`] for
//! each transaction that changed it; a transaction has a [`Tid`]. The crate is pure: it reaches a disk through
//! [`BlockDevice`] and the time through [`Clock`], and runs on the host as it does in the persistence cell.
//!
//! - [`Store`] is the transaction manager: snapshots, own writes, conflicts, a cache of records.
//! - [`Storage`] is what it stands on, in two phases: stage, vote, finish. [`MappingStorage`] is memory, [`FileStorage`] the
//!   state file, [`DemoStorage`] changes over any of them. One conformance suite holds for all.
//! - [`Rules`] is what the store is told about payloads, which it cannot read: merging conflicts, voiding authority.
//! - [`OidPermutation`] makes of an [`Oid`] what clients may see.
//! - [`FileStorage::open_read_only`] is for tools: [`Storage::transaction_before`], [`Storage::history`],
//!   [`Storage::next_object`] and [`Storage::load_before`] tell all there is, and nothing is written.
//!
//! # Promises
//!
//! A commit that was acknowledged is there after a power cut at any point, wholly; one that was not is there wholly or not at
//! all. A commit is one contiguous write and one flush, but for a commit that begins a run: that one publishes a root too.
//! Numbers of objects and transactions are never issued again. Opening never refuses what a power cut left. Bytes that changed
//! on the disk are named by segment and offset, or repaired; the last batch alone cannot be told from a torn one, and
//! [`OpenReport`] says so. A disk that failed a write or flush is not written again.
//!
//! # The state file
//!
//! All numbers are little-endian; offsets and lengths are in bytes, a *sector* is 512 of them, a *block* 4096. Fields that are
//! not named are zero. *Plain* checksums are CRC-32 (IEEE, as in zlib). *Keyed* ones are the same algorithm continued from the
//! plain checksum of the 16 key bytes, so that a client who chooses a payload cannot put a valid batch into it.
//!
//! | sectors | content |
//! | --- | --- |
//! | 0 | identity |
//! | 1 to 7 | zero |
//! | 8 to 15 | root slot 0: roots of even epoch |
//! | 16 to 23 | root slot 1: roots of odd epoch |
//! | 24 to 31 | zero |
//! | 32 + *n* × *size* | segment *n*, of *size* sectors, *n* below 495 |
//!
//! ## Identity, one sector
//!
//! | offset | length | field |
//! | --- | --- | --- |
//! | 0 | 8 | `TelOS`, zero, `id` |
//! | 8 | 4 | format version: [`FORMAT_VERSION`] |
//! | 12 | 4 | incompatible features, a bit each: none known |
//! | 16 | 4 | 1: formatting began; 2: formatting ended |
//! | 508 | 4 | plain checksum of the 508 bytes before; here in every version |
//!
//! Formatting writes it with 1, flushes, writes both roots (epochs 2 and 1) at once, flushes, writes it with 2, flushes. A
//! device is *blank* if its first mebibyte is zero, *half formatted* if the identity says 1, and only those are formatted.
//!
//! ## Root, one block
//!
//! | offset | length | field |
//! | --- | --- | --- |
//! | 0 | 8 | `TelOS`, zero, `rt` |
//! | 8 | 4 | format version |
//! | 12 | 4 | incompatible features |
//! | 16 | 8 | epoch, below 2^61 |
//! | 24 | 4 | sectors of a segment, at least 4 |
//! | 28 | 4 | number of segments, 1 to 495 |
//! | 32 | 16 | key, random |
//! | 48 | 8 | object numbers below this may have been issued |
//! | 56 | 8 | last transaction |
//! | 64 | 8 | batches of the log with smaller numbers are known to be flushed |
//! | 72 | 8 | scan: the number of the first batch that the index checkpoint does not cover |
//! | 80 | 8 | scan: the sector of its run where it begins |
//! | 88 | 4 | scan: the head of its run; 0xffffffff: the first batch of the log |
//! | 92 | 4 | parts of the index checkpoint; none: no checkpoint |
//! | 96 | 8 | bytes of the index checkpoint |
//! | 128 | 8 each | segment table, an entry a segment |
//! | 4092 | 4 | plain checksum of the 4092 bytes before |
//!
//! A table entry has a kind in its top two bits: 0 free, 1 head of a run of the log, 2 head of a run of the index, 3
//! continuation of the run before. The other bits are the generation of a head: the epoch that published it; no two runs of
//! the log have the same. The valid root with the greater epoch counts. Every opening for writing publishes one.
//!
//! ## Run: one segment or several neighbours
//!
//! | offset | length | field, in the first sector |
//! | --- | --- | --- |
//! | 0 | 8 | `TelOS`, zero, `sg` |
//! | 8 | 4 | kind: 1 log, 2 index |
//! | 12 | 4 | head segment |
//! | 16 | 4 | span in segments |
//! | 24 | 8 | generation |
//! | 32 | 8 | number of the first batch |
//! | 508 | 4 | keyed checksum of the 508 bytes before |
//!
//! Batches follow from sector 1, without gaps, numbered without gaps: those of the log from 0 on through all its runs in the
//! order of their generations, those of an index checkpoint from 0 on through its runs in the order of their places. With a
//! batch of the log the sector behind it is cleared, if the run has one.
//!
//! ## Batch, whole sectors, at most 8 MiB
//!
//! | offset | length | field |
//! | --- | --- | --- |
//! | 0 | 4 | `TelB` |
//! | 4 | 2 | kind: 1 log, 2 index |
//! | 6 | 2 | transactions: 1 |
//! | 8 | 4 | length of header and body |
//! | 16 | 8 | number |
//! | 24 | 8 | generation of the run |
//! | 32 | 8 | device sector where it begins |
//! | 40 | 8 | transaction; in an index the last one |
//! | 48 | 8 | batches of the log with smaller numbers were flushed |
//! | 56 | 8 | object numbers below this may have been issued |
//! | 72 | 4 | keyed checksum of the 72 bytes before |
//! | 76 | 4 | keyed checksum of the 76 bytes before, the body and the padding |
//! | 80 | | body, then zeros to whole sectors |
//!
//! ## Body of a log batch: a transaction
//!
//! | offset | length | field |
//! | --- | --- | --- |
//! | 0 | 8 | transaction |
//! | 8 | 4 | *m*, length of the metadata |
//! | 12 | 4 | *c*, number of changes |
//! | 16 | 4 | keyed checksum of the 16 bytes before, the metadata and the directory |
//! | 20 | *m* | metadata: postcard of user, description, extension |
//! | 20 + *m* | 16 *c* | directory: of each change the object (8), the record's length (4; 0 is a deletion), its checksum (4) |
//! | 20 + *m* + 16 *c* | | the records, in the directory's order, without gaps |
//!
//! A record is postcard of schema, version, references, capabilities and payload. Its checksum is the keyed one of its object
//! (8), its transaction (8) and itself.
//!
//! ## Body of an index batch: items until it ends
//!
//! Numbers here are variable (LEB128), but for the checksum. A transaction: 0, number, byte address of its body on the device,
//! length of its head (20 + *m* + 16 *c*). Revisions of an object: how many, object, and of each the transaction, the byte
//! address of the record, its length, its checksum (4 bytes). Transactions and the revisions of an object are in the order of
//! their transactions, over all parts.
//!
//! # Recovery
//!
//! The index checkpoint is read and the log scanned from where it ends; a damaged checkpoint costs a scan of the whole log.
//! A batch is missing where the next number is expected and no batch with both checksums, its place, its run's generation and
//! that number stands. In every run but the last the batches must reach the next run's first number. In the last run, a missing
//! batch is *rot* if it is known to have been flushed, by the root or any batch, or if a later batch stands behind it; else it
//! is the tail. If one root slot is invalid, the run with the next epoch's generation whose first batch continues the log is
//! taken in, for the lost root may have published it.
//!
//! A segment is written again only when neither root names it. Roots are written in the order: data, flush, root, flush.
#![no_std]
#![forbid(unsafe_code)]
extern crate alloc;
#[cfg(test)]
extern crate std;

mod client_cache;
mod clock;
mod codec;
mod copy;
mod demo_storage;
mod device;
mod error;
mod file_storage;
mod identity;
mod least_used;
mod mapping_storage;
mod oid_permutation;
mod pack;
mod ranges;
mod record;
mod referrers;
mod revision;
mod rules;
mod storage;
mod storage_transaction;
mod store;
mod undo;

#[cfg(test)]
mod tests;

pub use client_cache::ClientCache;
pub use clock::{Clock, next_tid};
pub use copy::CopyError;
pub use demo_storage::DemoStorage;
pub use device::{BlockDevice, DeviceError, MemoryDevice, SECTOR};
pub use error::{StopReason, StorageError};
pub use file_storage::{
    DeviceState, FORMAT_VERSION, FileStorage, FormatError, FormatOptions, LastBatch, NoClock, OpenError, OpenReport,
    Refused,
};
pub use identity::{Epoch, Oid, SegmentId, Tid};
pub use mapping_storage::MappingStorage;
pub use oid_permutation::{OidPermutation, PublicOid};
pub use pack::{DANGLING_LISTED, DanglingReference, Garbage, PackError, PackProgress, PackReport, PackRequest};
pub use ranges::{CurrentRecord, RecordRange, TransactionRange};
pub use record::{METADATA_LIMIT, Metadata, Record};
pub use revision::{ChangeInfo, Load, RevisionInfo, RevisionKind, TransactionInfo};
pub use rules::{NoRules, Rules, RulesBySchema, ThreeStates, Unresolved, merged_section, revive};
pub use storage::Storage;
pub use storage_transaction::{Change, Staged, StorageTransaction, Voted};
pub use store::{
    Begun, CommitFailure, Committed, Conflict, INVALIDATION_LIMIT, Invalidated, SavepointId, SessionId, Store,
    StoreError, TransactionId,
};
pub use undo::UndoError;
