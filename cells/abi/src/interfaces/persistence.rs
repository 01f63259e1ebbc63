//! The persistence server.
//!
//! Codes: [`CONFLICT`] and its like. A record travels as the bytes of the request's or reply's body, or in the lent
//! Buf where it is longer; the value word of GetObject tells its length, and it stands in the Buf whenever one is lent.
//!
//! OIDs are numbers of 64 bits without an order: whoever was given one can pass it on, and nobody can guess one.

use serde::{Deserialize, Serialize};

/// Another transaction changed the object first; detail: its OID.
pub const CONFLICT: u32 = 1;
/// There is no such object; detail: the OID.
pub const NO_SUCH_OBJECT: u32 = 2;
/// The calling thread has no open transaction.
pub const NO_TRANSACTION: u32 = 3;
/// The transaction joined another's: only its beginner may commit.
pub const NOT_THE_BEGINNER: u32 = 4;
/// The record is malformed, or refers to an object that does not exist; detail: that OID.
pub const BAD_RECORD: u32 = 5;
/// The record fits neither a body nor the lent Buf; detail: its bytes.
pub const BUFFER_TOO_SMALL: u32 = 6;
/// The state file is full; the transaction is aborted, the store serves on.
pub const STORE_FULL: u32 = 7;
/// The device failed: the store has stopped and acknowledges nothing any more.
pub const STORE_STOPPED: u32 = 8;
/// A commit failed; the transaction must be aborted first.
pub const MUST_ABORT: u32 = 9;

/// The transaction was aborted: nothing of it was committed, and nothing will be.
pub const ABORTED: u32 = 14;
/// The transaction has not ended yet.
pub const STILL_OPEN: u32 = 15;
/// What became of the transaction is not known here (any more): it ended long ago, the device failed in its commit, or the
/// server was started anew. The graph tells.
pub const OUTCOME_UNKNOWN: u32 = 16;
/// Not all changes since then are remembered: everything may have changed. Detail: the TID to ask from next.
pub const CHANGES_LOST: u32 = 17;

/// The least OID: a smaller number names no object. In messages 0 stands for none, and badges below this are those of services.
pub const FIRST_OID: u64 = 1 << 16;

/// The most OIDs that one answer to Changes lists.
pub const CHANGES_MAX: usize = crate::kernel::BODY_MAX / 8;

/// One line of the transaction log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransactionSummary<'a> {
    /// Its TID.
    pub tid: u64,
    /// How many objects it wrote.
    pub objects: u32,
    /// Who.
    pub user: &'a str,
    /// What for.
    pub description: &'a str,
}

/// What the store holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statistics {
    /// Objects.
    pub objects: u64,
    /// The last TID.
    pub last: u64,
    /// Bytes of log in use.
    pub used: u64,
    /// Bytes that the device has.
    pub capacity: u64,
    /// Whether this boot formatted the device.
    pub formatted: bool,
    /// Batches cut off at open because they were torn.
    pub torn: u32,
}

/// What the server itself has in use, for tests that look for what is left behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Open transactions.
    pub open: u32,
    /// Bytes that they may still store.
    pub room: u64,
    /// Scope objects.
    pub scopes: u32,
    /// Watches.
    pub watches: u32,
    /// Capabilities in its CNode.
    pub capabilities: u32,
    /// Bytes of its heap.
    pub heap: u64,
}

crate::interface! {
    /// What a client of the persistence server asks.
    Persistence {
        /// Begins a transaction of the calling thread, or joins the one that travels with the call.
        1 BeginTransaction() -> u64;
        /// Commits it; answers the TID.
        2 Commit() -> u64;
        /// Aborts it.
        3 Abort();
        /// The object's record in the caller's snapshot; answers its length.
        4 GetObject(oid: u64) -> u64;
        /// Stores a record of so many bytes (0: they are the body; otherwise they stand in the lent Buf).
        5 StoreObject(oid: u64, length: u64);
        /// A new OID, never used before.
        6 NewObject() -> u64;
        /// The OID of the root mapping.
        7 Root() -> u64;
        /// Adds the body's text to the transaction's description.
        8 Note();
        /// Committed transactions before a TID (0: from the newest), newest first, as many as fit the reply.
        9 Transactions(before: u64) -> u64;
        /// What there is.
        10 GetStatistics() -> u64, Statistics;
        /// What became of a transaction: answers its TID, or one of the codes from [`ABORTED`] to [`OUTCOME_UNKNOWN`].
        11 Outcome(transaction: u64) -> u64;
        /// Signals the notification that travels with the request, by its badge, whenever a transaction ends that wrote the
        /// object or one that refers to it. Answers the last TID. A client has one watch of an object; a later one takes
        /// its place.
        12 Watch(oid: u64) -> u64;
        /// The objects that are watched, or refer to one that is, and changed after a TID: OIDs of 8 bytes, little-endian, in
        /// the body. Answers the TID to ask from next; there is more as long as OIDs come.
        13 Changes(since: u64) -> u64;
        /// What the server itself has in use.
        14 GetUsage() -> u64, Usage;
        /// The TID of the transaction that wrote the newest committed state of an object.
        15 Revision(oid: u64) -> u64;
    }
}
