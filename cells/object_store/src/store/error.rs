//! What can go wrong in a store.

use super::TransactionId;
use crate::{Oid, StorageError, Tid};

/// Why a store refused. A transaction whose commit failed refuses everything but its abort.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreError {
    /// No such transaction is open: the caller's fault.
    NoTransaction(TransactionId),
    /// The transaction's commit failed; the caller must abort it.
    Failed(TransactionId),
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
    /// Another transaction committed a change first. The caller may abort and retry.
    Conflict {
        /// The object.
        oid: Oid,
        /// The revision in the transaction's snapshot.
        yours: Tid,
        /// The current revision.
        theirs: Tid,
    },
    /// Anything else that the storage says.
    Storage(StorageError),
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
