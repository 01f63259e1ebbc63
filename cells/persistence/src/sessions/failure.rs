//! Why a request was refused.

use object_store::{PackError, StorageError, StoreError, Tid};
use runtime::abi::KernelError;

/// Why a request was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// No open transaction travels with the request.
    NoTransaction,
    /// Another thread began the transaction.
    NotTheBeginner,
    /// The transaction's commit was asked for, and has not ended yet.
    Committing,
    /// A server that took part gave the transaction up: it must be aborted.
    Doomed,
    /// As many transactions are open as may be; the number.
    TooManyTransactions(usize),
    /// Open transactions hold too much; bytes that are left.
    TooMuchStaged(usize),
    /// The kernel gave the thread no scope.
    Scope(KernelError),
    /// As many watches are kept as may be; the number.
    TooManyWatches(usize),
    /// Not all changes that were asked for are remembered; the last commit.
    ChangesLost(Tid),
    /// The client's request was carried out before, by this transaction.
    AlreadyDone(Tid),
    /// A pack or a verification is under way already, or the storage cannot do it.
    NotPossible,
    /// The store refused.
    Store(StoreError),
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NoTransaction(_) => Self::NoTransaction,
            other => Self::Store(other),
        }
    }
}

impl From<StorageError> for Failure {
    fn from(error: StorageError) -> Self {
        Self::Store(error.into())
    }
}

impl From<PackError> for Failure {
    fn from(error: PackError) -> Self {
        match error {
            PackError::Running | PackError::NotRunning | PackError::Unsupported => Self::NotPossible,
            PackError::Storage(error) => error.into(),
        }
    }
}
