//! The persistence server.
//!
//! Codes: [`CONFLICT`] and its like. A record travels as the bytes of the request's or reply's body, or in the lent
//! Buf where it is longer; the value word of GetObject tells its length, and it stands in the Buf whenever one is lent.

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

/// What was asked for lies before what is kept of the past; detail: the TID from which on the past is whole.
pub const PACKED_AWAY: u32 = 18;
/// What was asked for lies in a time to come; detail: the last TID.
pub const BEYOND_LAST: u32 = 19;
/// There is no transaction with this TID; detail: the TID.
pub const NO_SUCH_TRANSACTION: u32 = 20;
/// What the transaction did was changed since and cannot be undone; detail: the TID. [`ConflictDetails`] names the objects.
pub const NOT_UNDOABLE: u32 = 21;
/// The transaction has no such savepoint, or a rollback has ended it; detail: its number.
pub const NO_SAVEPOINT: u32 = 22;
/// A pack or a verification is under way already, or the store cannot do it.
pub const NOT_POSSIBLE: u32 = 23;
/// The request of this sequence was committed before; detail: its TID.
pub const ALREADY_DONE: u32 = 24;
/// The client's request of this sequence was not committed, and the server remembers all that were since.
pub const NEVER_DONE: u32 = 25;

/// A progress that nobody has seen: asks for the present one.
pub const UNSEEN: u64 = u64::MAX;
/// The progress of what is over, or was never begun.
pub const COMPLETE: u64 = 1000;

/// The commit would break a rule of the graph, and nothing of it was committed: the code is this number and that of the rule. Detail: the
/// object that breaks it. The rules are: 1 what was an object is one; 2 the root keeps its version and what it names; 3 directories
/// name what they are for; 4 an image keeps its bytes; 5 a process keeps its slots; 6 a server keeps its endpoint; 7 parents
/// lead not back; 8 slots come from the traits that an object is composed of; 9 no recipe is forged.
pub const INVARIANT: u32 = 256;

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

/// One revision of an object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RevisionSummary<'a> {
    /// The transaction that wrote it.
    pub tid: u64,
    /// Whether it is the object's end.
    pub deleted: bool,
    /// Bytes of the encoded record; 0 for an end.
    pub bytes: u32,
    /// Who wrote it.
    pub user: &'a str,
    /// What for.
    pub description: &'a str,
}

/// Why a commit failed where others were quicker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConflictSummary<'a> {
    /// The object.
    pub oid: u64,
    /// The revision that the transaction saw.
    pub yours: u64,
    /// The revision that is current; 0 where that is not known.
    pub theirs: u64,
    /// The slots that differ, as far as the object's schema tells, separated by line feeds.
    pub slots: &'a str,
}

/// What the running pack, or else the last one, has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackState {
    /// Units of work done, and in all as far as is known.
    pub work: (u64, u64),
    /// The TID from which on the past is whole.
    pub horizon: u64,
    /// Objects, revisions and transactions that were dropped.
    pub dropped: (u64, u64, u64),
    /// Bytes of the encoded records that were dropped.
    pub bytes: u64,
    /// References to objects that do not exist.
    pub dangling: u64,
    /// The first of them: the object that refers, and the one that is missing.
    pub first_dangling: Option<(u64, u64)>,
    /// The code with which it failed; 0 where it did not.
    pub failure: u32,
}

/// What a damage is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Damaged {
    /// The identity sector, or a root: opening the state file repairs it.
    Head,
    /// A block of the index: the log has all of it.
    Index,
    /// The record of an object as a transaction wrote it.
    Record(u64, u64),
    /// What a transaction says of itself.
    Transaction(u64),
    /// Something in a batch of the log, if only a byte that nothing needs any more.
    Batch,
}

/// What the running verification, or else the last one, has found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerifyState {
    /// Records, transactions and batches that were read.
    pub read: (u64, u64, u64),
    /// Damages.
    pub damages: u64,
    /// The first of them, with segment and offset in bytes.
    pub first: Option<(Damaged, u32, u64)>,
    /// The code with which it failed; 0 where it did not.
    pub failure: u32,
}

/// What the store does with its device and its memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoreStatistics {
    /// Bytes of the log, free bytes, and bytes of the device; 0 in memory.
    pub log: u64,
    /// As said.
    pub free: u64,
    /// As said.
    pub capacity: u64,
    /// Bytes of records in the cache, and how many it may hold.
    pub cache: (u64, u64),
    /// Records that were found in the cache, and that were not.
    pub loads: (u64, u64),
    /// Transactions that were committed since the server began.
    pub commits: u64,
    /// Commits of several transactions with one flush, and the most that one had.
    pub groups: (u64, u32),
    /// Reads, writes and flushes of the device since the server began.
    pub device: (u64, u64, u64),
    /// The TID from which on the past is whole.
    pub horizon: u64,
    /// Whether changes are thrown away at the end.
    pub demo: bool,
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
        /// The revisions of an object before a TID (0: from the newest), newest first, as many as fit the reply: a list of
        /// [`RevisionSummary`].
        16 History(oid: u64, before: u64) -> u64;
        /// Undoes a committed transaction in the caller's open one, when that commits, in the order of the requests. What
        /// is wrong with it is told by the commit.
        17 Undo(tid: u64);
        /// As GetObject, as the object stood after a transaction.
        18 GetObjectAt(oid: u64, tid: u64) -> u64;
        /// Drops the past before a TID (0: all of it) and what is not reachable. The answer comes when that is done: bytes
        /// of dropped records.
        19 Pack(before: u64) -> u64;
        /// How far the pack is, in thousandths. The answer comes when that differs from what was seen ([`UNSEEN`]: at
        /// once); [`COMPLETE`] where none is under way.
        20 PackProgress(seen: u64) -> u64, PackState;
        /// Demands that an object is still what the caller's transaction sees when it commits.
        21 ReadCurrent(oid: u64);
        /// A point to which the caller's transaction can be rolled back.
        22 Savepoint() -> u64;
        /// Takes back all that was stored since a savepoint.
        23 RollBack(savepoint: u64);
        /// The caller's transaction must not commit any more.
        24 Doom();
        /// The body's text is the user of the caller's transaction.
        25 SetUser();
        /// The caller's transaction is this client's request of a sequence, which stands in the commit. Refused with
        /// [`ALREADY_DONE`] where that was committed before.
        26 Identify(sequence: u64) -> u64;
        /// The TID of the calling client's request of a sequence; [`NEVER_DONE`], or [`OUTCOME_UNKNOWN`] where it may be
        /// older than what is remembered.
        27 OutcomeOf(sequence: u64) -> u64;
        /// Why the commit of the caller's transaction failed: a list of [`ConflictSummary`], as many as fit the reply. Answers
        /// how many there are.
        28 ConflictDetails() -> u64;
        /// What others changed after a TID and up to the snapshot of the caller's transaction: OIDs of 8 bytes,
        /// little-endian, in the body. Answers the snapshot's TID; [`CHANGES_LOST`] where everything may have changed.
        29 Invalidations(since: u64) -> u64;
        /// Has the whole store read and checked, if that is not under way, where `seen` is [`UNSEEN`]. Answers how far
        /// that is, as PackProgress does.
        30 Verify(seen: u64) -> u64, VerifyState;
        /// What the store does with its device and its memory.
        31 GetStoreStatistics() -> u64, StoreStatistics;
    }
}
