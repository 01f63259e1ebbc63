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
//! all. A commit is one contiguous write and one flush, however many transactions share it, but for a commit that begins a
//! run: that one publishes a root too. Numbers of objects and transactions are never issued again. Opening never refuses what
//! a power cut left, and reads the same number of blocks however large the store is. Bytes that changed on the disk are named
//! by segment and offset, or repaired; the last batch alone cannot be told from a torn one, and [`OpenReport`] says so. A disk
//! that failed a write or flush is not written again.
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
//! | 32 + *n* × *size* | segment *n*, of *size* sectors, *n* below 429 |
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
//! A state file of another version, or with a feature that is not known, is refused and stays untouched
//! ([`DeviceState::WrongVersion`] names both versions). Version 1 had the whole index in one list, and no pack.
//!
//! ## Root, one block
//!
//! | offset | length | field |
//! | --- | --- | --- |
//! | 0 | 8 | `TelOS`, zero, `rt` |
//! | 8 | 4 | format version |
//! | 12 | 4 | incompatible features |
//! | 16 | 8 | epoch, below 2^38 |
//! | 24 | 4 | sectors of a segment, 4 to 2^23 |
//! | 28 | 4 | number of segments, 1 to 429 |
//! | 32 | 16 | key, random |
//! | 48 | 8 | object numbers below this may have been issued |
//! | 56 | 8 | last transaction |
//! | 64 | 8 | batches of the log with smaller numbers are known to be flushed |
//! | 72 | 8 | scan: the number of the first batch that the index trees do not cover |
//! | 80 | 8 | scan: the sector of its run where it begins |
//! | 88 | 4 | scan: the head of its run; 0xffffffff: the first batch of the log |
//! | 92 | 4 | number of index trees, 0 to 8 |
//! | 96 | 8 | horizon: of the revisions up to this transaction only the last of each object counts |
//! | 104 | 8 | objects, deleted ones included, where the scan begins |
//! | 112 | 8 | transactions ever committed, where the scan begins |
//! | 120 | 8 | a pack has still to clean the runs of the log with smaller generations; 0: none |
//! | 144 | 64 each | index trees, newest first |
//! | 656 | 8 each | segment table, an entry a segment |
//! | 4092 | 4 | plain checksum of the 4092 bytes before |
//!
//! An index tree:
//!
//! | offset | length | field |
//! | --- | --- | --- |
//! | 0 | 8 | generation: the epoch that published it |
//! | 8 | 8 | the device sector of its top block |
//! | 16 | 8 | entries |
//! | 24 | 8 | no entry is of a later transaction |
//! | 32 | 4 | blocks |
//! | 36 | 4 | checksum of the top block |
//! | 40 | 8 | levels above the leaves, below 20 |
//! | 48 | 8 | the first object with entries |
//! | 56 | 8 | the last object with entries |
//!
//! A table entry has a kind in its top two bits: 0 free, 1 head of a run of the log, 2 segment of an index tree, 3
//! continuation of the run before. The lower 38 bits are the generation: the epoch that published the run, or the tree's; no
//! two runs of the log have the same. The 24 bits between are the sector of the run where its last batch ends, or zero while
//! the run is *open*, as the last run of the log alone is. The valid root with the greater epoch counts. Every opening for
//! writing publishes one.
//!
//! ## Run of the log: one segment or several neighbours
//!
//! | offset | length | field, in the first sector |
//! | --- | --- | --- |
//! | 0 | 8 | `TelOS`, zero, `sg` |
//! | 8 | 4 | 1 |
//! | 12 | 4 | head segment |
//! | 16 | 4 | span in segments |
//! | 24 | 8 | generation |
//! | 32 | 8 | number of the first batch |
//! | 508 | 4 | keyed checksum of the 508 bytes before |
//!
//! Batches follow from sector 1, without gaps, numbered without gaps. From one run to the next, in the order of their
//! generations, numbers grow; some are missing where a pack freed runs. With a batch the sector behind it is cleared, if the
//! run has one.
//!
//! ## Batch, whole sectors, at most 8 MiB
//!
//! | offset | length | field |
//! | --- | --- | --- |
//! | 0 | 4 | `TelB` |
//! | 4 | 2 | kind: 1 commit, 2 moved, 3 pack |
//! | 6 | 2 | transactions; none in a pack batch |
//! | 8 | 4 | length of header and body |
//! | 16 | 8 | number |
//! | 24 | 8 | generation of the run |
//! | 32 | 8 | device sector where it begins |
//! | 40 | 8 | the last transaction of the store, with this batch |
//! | 48 | 8 | batches of the log with smaller numbers were flushed |
//! | 56 | 8 | object numbers below this may have been issued |
//! | 72 | 4 | keyed checksum of the 72 bytes before |
//! | 76 | 4 | keyed checksum of the 76 bytes before, the body and the padding |
//! | 80 | | body, then zeros to whole sectors |
//!
//! ## Body of a commit batch: transactions, one behind the other
//!
//! | offset | length | field |
//! | --- | --- | --- |
//! | 0 | 8 | transaction |
//! | 8 | 4 | *m*, length of the metadata |
//! | 12 | 4 | *c*, number of changes |
//! | 16 | 4 | keyed checksum of the 16 bytes before, the metadata and the directory |
//! | 20 | *m* | metadata: postcard of user, description, extension |
//! | 20 + *m* | 16 *c* | directory: of each change the object (8), the record's length (4), its checksum (4) |
//! | 20 + *m* + 16 *c* | | the records, in the directory's order, without gaps |
//!
//! A record is postcard of schema, version, references, capabilities and payload. Its checksum is the keyed one of its object
//! (8), its transaction (8) and itself. A length of 0 is a deletion; its top bit says that the object did not exist before.
//!
//! ## Body of a moved batch: what a pack kept
//!
//! As that of a commit batch, with the numbers and metadata that the transactions had, and those of their changes that still
//! count. Where a revision stands several times in the log, the copy in the last batch counts. Without metadata and changes
//! (*m* and *c* are 0), it says that nothing is left of the transaction.
//!
//! ## Body of a pack batch
//!
//! The horizon (8), then the objects that the pack collected, ascending, each as its difference from the one before (LEB128).
//! Of these objects no revision up to the horizon counts.
//!
//! ## Index block, one block, or a segment where that is smaller
//!
//! | offset | length | field |
//! | --- | --- | --- |
//! | 0 | 4 | `TelI` |
//! | 4 | 1 | level above the leaves |
//! | 6 | 2 | number of entries, at least 1 |
//! | 8 | 8 | generation of the tree |
//! | 16 | 8 | device sector where it begins |
//! | 24 | 4 | length of the entries |
//! | 28 | 4 | keyed checksum of the 28 bytes before and all bytes behind |
//! | 32 | | entries, then zeros |
//!
//! An entry is the object, the transaction, the byte address and the length, each but the last as a difference from the entry
//! before (LEB128; all but the object's zigzag), and a checksum (4). The transactions are entries of the pseudo object
//! 2^64 − 1. In a leaf, the address is the record's on the device, or that of a transaction's first byte, whose length is then
//! 20 + *m* + 16 *c* and whose checksum is zero; a length of 2^32 − 1 says that the object was collected, or that nothing is
//! left of the transaction. Above the leaves an entry has the first key of a block below, its address and its checksum.
//! Entries are in the order of objects, then transactions; where several trees have one key, that of the newest counts.
//!
//! # Recovery
//!
//! The log is scanned from where the index trees end; a damaged tree is noticed when it is read and costs a scan of the whole
//! log. A batch is missing where the next number is expected and no batch with both checksums, its place, its run's generation
//! and that number stands. In a closed run the batches must reach its end. In the last run, a missing batch is *rot* if it is
//! known to have been flushed, by the root or any batch, or if a later batch stands behind it; else it is the tail. If one
//! root slot is invalid, the run with the next epoch's generation whose first batch continues the log is taken in, for the
//! lost root may have published it.
//!
//! A segment is written again only when neither root names it. Roots are written in the order: data, flush, root, flush.
#![no_std]
#![forbid(unsafe_code)]
extern crate alloc;
#[cfg(any(test, feature = "crash_test"))]
extern crate std;

mod client_cache;
mod clock;
mod codec;
mod copy;
#[cfg(any(test, feature = "crash_test"))]
pub mod crash_test;
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
    Damage, DeviceState, FORMAT_VERSION, FileStorage, FormatError, FormatOptions, LastBatch, NoClock, OpenError,
    OpenReport, Refused, Verification, Verified,
};
pub use identity::{Epoch, Oid, SegmentId, Tid};
pub use mapping_storage::MappingStorage;
pub use oid_permutation::{OidPermutation, PublicOid};
pub use pack::{DANGLING_LISTED, DanglingReference, Garbage, PackError, PackProgress, PackReport, PackRequest};
pub use ranges::{CurrentRecord, RecordRange, TransactionRange};
pub use record::{METADATA_LIMIT, Metadata, Record};
pub use revision::{ChangeInfo, Load, RevisionInfo, RevisionKind, TransactionInfo};
pub use rules::{Broken, NoRules, Prospect, Rules, RulesBySchema, ThreeStates, Unresolved, merged_section, revive};
pub use storage::Storage;
pub use storage_transaction::{Change, Flush, Staged, StorageTransaction, Voted};
pub use store::{
    Begun, CommitFailure, Committed, Conflict, Ended, Flushing, INVALIDATION_LIMIT, Invalidated, SavepointId,
    SessionId, Started, Store, StoreError, TransactionId,
};
pub use undo::UndoError;
