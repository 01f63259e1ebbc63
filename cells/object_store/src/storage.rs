//! The storage interface: what a store stands on.
//!
//! A storage keeps every revision of every object under the transaction that wrote it. A commit has two phases: changes are
//! staged in a [`StorageTransaction`] without touching the storage; [`Storage::vote`] checks them against the current state
//! and reserves whatever the commit needs; [`Storage::finish`] makes them durable and can then fail only through the device.
//! At most one transaction is between vote and finish.
//!
//! Every implementation keeps these invariants, and one conformance suite checks them: a transaction is there wholly or not
//! at all; numbers of objects and transactions never repeat or go back; each reference of a current record names an object
//! that existed when the record was committed.

use alloc::vec::Vec;

use crate::{Metadata, Oid, Record, StorageError, StorageTransaction, Tid, Voted};

/// What a look-up found; `T` is the record, or `()` where only the revision was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Load<T = Record> {
    /// The object had this state.
    Data {
        /// The state.
        record: T,
        /// The transaction that wrote it.
        tid: Tid,
        /// The transaction that ended it, unless it is current.
        next: Option<Tid>,
    },
    /// The object had been deleted by this transaction.
    DeletedAt(Tid),
    /// The object was created later, by this transaction.
    NotYet(Tid),
    /// The object never existed.
    NeverExisted,
}

impl<T> Load<T> {
    /// The revision that a change of what was found must be based on.
    #[must_use]
    pub fn revision(&self) -> Tid {
        match self {
            Self::Data { tid, .. } | Self::DeletedAt(tid) => *tid,
            Self::NotYet(_) | Self::NeverExisted => Tid::ZERO,
        }
    }

    /// The same finding with another record.
    pub(crate) fn map<U>(self, change: impl FnOnce(T) -> U) -> Load<U> {
        match self {
            Self::Data { record, tid, next } => Load::Data { record: change(record), tid, next },
            Self::DeletedAt(tid) => Load::DeletedAt(tid),
            Self::NotYet(tid) => Load::NotYet(tid),
            Self::NeverExisted => Load::NeverExisted,
        }
    }
}

/// A committed transaction, as the log tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransactionInfo {
    /// Its number.
    pub tid: Tid,
    /// What it says of itself.
    pub metadata: Metadata,
    /// What it changed, in ascending order.
    pub changes: Vec<ChangeInfo>,
}

/// One change of a committed transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChangeInfo {
    /// The object.
    pub oid: Oid,
    /// What it did to the object.
    pub kind: RevisionKind,
}

/// One revision of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RevisionInfo {
    /// The transaction that wrote it.
    pub tid: Tid,
    /// What was written.
    pub kind: RevisionKind,
}

/// What a revision is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RevisionKind {
    /// A record of this many encoded bytes.
    Data {
        /// The length in bytes.
        bytes: u32,
    },
    /// The end of the object.
    Deletion,
}

/// A place that keeps transactions.
pub trait Storage {
    /// Opens a storage transaction.
    ///
    /// # Errors
    /// [`StorageError::Stopped`], [`StorageError::ReadOnly`], [`StorageError::MetadataTooLarge`].
    fn begin(&mut self, metadata: Metadata) -> Result<StorageTransaction, StorageError>;

    /// Stages a new state of an object, based on revision `based_on` ([`Tid::ZERO`] for a new object). The last one wins.
    fn store(&mut self, transaction: &mut StorageTransaction, oid: Oid, based_on: Tid, record: Record) {
        transaction.stage_record(oid, based_on, record);
    }

    /// Stages the end of an object. The garbage collector's: nothing here checks that no other object refers to it.
    fn delete(&mut self, transaction: &mut StorageTransaction, oid: Oid, based_on: Tid) {
        transaction.stage_deletion(oid, based_on);
    }

    /// Demands that an object which the transaction does not change is still at `revision` when it commits.
    fn read_current(&mut self, transaction: &mut StorageTransaction, oid: Oid, revision: Tid) {
        transaction.demand_current(oid, revision);
    }

    /// Checks the transaction and reserves what its commit needs. An error discards the transaction without a trace.
    ///
    /// # Errors
    /// [`StorageError::Conflict`], [`StorageError::ReadConflict`], [`StorageError::Dangling`],
    /// [`StorageError::OidNotIssued`], [`StorageError::TransactionTooLarge`], [`StorageError::OutOfSpace`],
    /// [`StorageError::OutOfMemory`], [`StorageError::Busy`], [`StorageError::Stopped`], [`StorageError::Exhausted`].
    fn vote(&mut self, transaction: StorageTransaction) -> Result<Voted, StorageError>;

    /// Commits: on return the transaction is durable and visible.
    ///
    /// # Errors
    /// [`StorageError::Stopped`]: the outcome is unknown until the storage is opened again.
    /// [`StorageError::ForeignTransaction`].
    fn finish(&mut self, voted: Voted) -> Result<Tid, StorageError>;

    /// Gives a voted transaction up without a trace. One that is not voted yet is simply dropped.
    ///
    /// # Errors
    /// [`StorageError::ForeignTransaction`].
    fn abort(&mut self, voted: Voted) -> Result<(), StorageError>;

    /// The state of an object just before `before`: its last revision with a smaller number.
    ///
    /// # Errors
    /// [`StorageError::Device`], [`StorageError::Rot`], [`StorageError::OutOfMemory`].
    fn load_before(&mut self, oid: Oid, before: Tid) -> Result<Load, StorageError>;

    /// As [`load_before`](Self::load_before), without the record.
    ///
    /// # Errors
    /// As there.
    fn revision_before(&mut self, oid: Oid, before: Tid) -> Result<Load<()>, StorageError>;

    /// The revisions of an object, newest first, `limit` at most.
    ///
    /// # Errors
    /// As [`load_before`](Self::load_before).
    fn history(&mut self, oid: Oid, limit: usize) -> Result<Vec<RevisionInfo>, StorageError>;

    /// The newest transaction with a number smaller than `before`.
    ///
    /// # Errors
    /// As [`load_before`](Self::load_before).
    fn transaction_before(&mut self, before: Tid) -> Result<Option<TransactionInfo>, StorageError>;

    /// A number that no object has, had or will be given again.
    ///
    /// # Errors
    /// [`StorageError::Exhausted`]; as for [`begin`](Self::begin), for a reservation may have to be made durable.
    fn new_oid(&mut self) -> Result<Oid, StorageError>;

    /// The smallest object number that is greater than `after` and was ever stored; `None` starts at the beginning. Objects
    /// that a pack collected are left out.
    ///
    /// # Errors
    /// As [`load_before`](Self::load_before).
    fn next_object(&mut self, after: Option<Oid>) -> Result<Option<Oid>, StorageError>;

    /// The last committed transaction, or [`Tid::ZERO`].
    fn last_transaction(&self) -> Tid;
}
