//! Why a request was refused.

use object_store::{StorageError, StoreError, Tid};
use runtime::abi::KernelError;

/// Why a request was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// No open transaction travels with the request.
    NoTransaction,
    /// Another thread began the transaction.
    NotTheBeginner,
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
