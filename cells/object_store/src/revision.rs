//! What a storage answers about revisions and transactions.

use alloc::vec::Vec;

use crate::{Metadata, Oid, Record, Tid};

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
