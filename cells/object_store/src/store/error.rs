//! What can go wrong in a store.

use alloc::string::String;
use alloc::vec::Vec;

use super::{SavepointId, SessionId, TransactionId};
use crate::{Broken, Oid, StorageError, Tid, UndoError};

/// Why a store refused. A transaction whose commit failed refuses everything but its abort.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreError {
    /// No such transaction is open: the caller's fault.
    NoTransaction(TransactionId),
    /// No such session is open: the caller's fault.
    NoSession(SessionId),
    /// The transaction has no such savepoint, or a rollback has ended it: the caller's fault.
    NoSavepoint(SavepointId),
    /// The transaction's commit failed; the caller must abort it.
    Failed(TransactionId),
    /// The transaction was doomed; the caller must abort it.
    Doomed(TransactionId),
    /// The transaction is a view of the past and changes nothing: the caller's fault.
    ReadOnlyView(TransactionId),
    /// A view was asked for of a time to come: the caller's fault.
    BeyondLast {
        /// What was asked for.
        at: Tid,
        /// The last transaction.
        last: Tid,
    },
    /// A view or an undo was asked for of a time that may have been packed away.
    PackedAway {
        /// What was asked for.
        at: Tid,
        /// Since when the past is whole.
        horizon: Tid,
    },
    /// The object never existed, or was issued to another transaction that has not committed it: the caller's fault.
    NeverExisted(Oid),
    /// The object was created after the transaction's snapshot. A new transaction would see it.
    CreatedLater {
        /// The object.
        oid: Oid,
        /// The transaction that created it.
        by: Tid,
    },
    /// The object had been deleted at the transaction's snapshot.
    Deleted {
        /// The object.
        oid: Oid,
        /// The transaction that deleted it.
        by: Tid,
    },
    /// Another transaction committed a change first, and no rule merges the two. The caller may abort and retry.
    /// [`Store::failure`](super::Store::failure) tells of all conflicts, and which slots differ.
    Conflict {
        /// The object.
        oid: Oid,
        /// The revision in the transaction's snapshot.
        yours: Tid,
        /// The current revision.
        theirs: Tid,
    },
    /// The commit would break a rule of the graph: the caller's fault.
    Broken(Broken),
    /// There is no transaction with this number to undo: the caller's fault.
    NoSuchTransaction(Tid),
    /// What the transaction would undo has changed since. [`Store::failure`](super::Store::failure) names all objects.
    NotUndoable(Tid),
    /// Anything else that the storage says.
    Storage(StorageError),
}

impl StoreError {
    /// Whether the same work may succeed in a new transaction.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Conflict { .. } | Self::CreatedLater { .. })
    }
}

/// A change that another one was quicker than.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// The object.
    pub oid: Oid,
    /// The revision in the transaction's snapshot.
    pub yours: Tid,
    /// The current revision.
    pub theirs: Tid,
    /// The slots that differ, as far as [`Rules::differing`](crate::Rules::differing) tells.
    pub slots: Vec<String>,
}

/// Why a commit failed, in full.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CommitFailure {
    /// Others were quicker.
    Conflicts {
        /// The conflict with the smallest number of an object.
        first: Conflict,
        /// The others, in ascending order.
        more: Vec<Conflict>,
    },
    /// The commit would break a rule of the graph.
    Broken(Broken),
    /// Something cannot be undone.
    Undo(UndoError),
    /// As the storage says.
    Storage(StorageError),
}

impl CommitFailure {
    /// The same in short.
    #[must_use]
    pub fn error(&self) -> StoreError {
        match self {
            &Self::Conflicts { first: Conflict { oid, yours, theirs, .. }, .. } => {
                StoreError::Conflict { oid, yours, theirs }
            }
            &Self::Broken(broken) => StoreError::Broken(broken),
            Self::Undo(UndoError::NoSuchTransaction(tid)) => StoreError::NoSuchTransaction(*tid),
            &Self::Undo(UndoError::PackedAway { tid, horizon }) => StoreError::PackedAway { at: tid, horizon },
            Self::Undo(UndoError::Changed { tid, .. }) => StoreError::NotUndoable(*tid),
            &Self::Undo(UndoError::Storage(error)) | &Self::Storage(error) => error.into(),
        }
    }
}

impl From<StorageError> for CommitFailure {
    fn from(error: StorageError) -> Self {
        match error {
            StorageError::Conflict { oid, yours, theirs } | StorageError::ReadConflict { oid, yours, theirs } => {
                let first = Conflict { oid, yours, theirs, slots: Vec::new() };
                Self::Conflicts { first, more: Vec::new() }
            }
            other => Self::Storage(other),
        }
    }
}

impl From<StorageError> for StoreError {
    fn from(error: StorageError) -> Self {
        match error {
            StorageError::Conflict { oid, yours, theirs } | StorageError::ReadConflict { oid, yours, theirs } => {
                Self::Conflict { oid, yours, theirs }
            }
            other => Self::Storage(other),
        }
    }
}
