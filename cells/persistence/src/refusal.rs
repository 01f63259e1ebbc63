//! What is answered where something is refused: a code of the interface and a detail.

use object_store::{Broken, StorageError, StoreError};
use runtime::abi::interfaces::persistence::{
    ABORTED, ALREADY_DONE, BAD_RECORD, BEYOND_LAST, BUFFER_TOO_SMALL, CHANGES_LOST, CONFLICT, INVARIANT, MUST_ABORT,
    NEVER_DONE, NO_SAVEPOINT, NO_SUCH_OBJECT, NO_SUCH_TRANSACTION, NO_TRANSACTION, NOT_POSSIBLE, NOT_THE_BEGINNER,
    NOT_UNDOABLE, OUTCOME_UNKNOWN, PACKED_AWAY, STILL_OPEN, STORE_FULL, STORE_STOPPED,
};

use crate::outcomes::Outcome;
use crate::sessions::Failure;
use crate::sessions::requests::Carried;
use crate::wire::BadRecord;

/// Code: the words or the text of the request are none of its method's.
pub const MALFORMED: u32 = 10;
/// Code: the record, the text or the transaction is too large. Detail: the most that is taken, in bytes.
pub const TOO_LARGE: u32 = 11;
/// Code: too many transactions are open, or they hold too much memory, or too many watches are kept; try again when some
/// have ended.
pub const BUSY: u32 = 12;
/// Code: the state file cannot be read at this place. Detail: the segment in the upper half, the offset in the lower.
pub const UNREADABLE: u32 = 13;

/// A code and its detail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The code.
    pub code: u32,
    /// What it says besides.
    pub detail: u64,
}

impl Refusal {
    /// A code with its detail.
    #[must_use]
    pub const fn new(code: u32, detail: u64) -> Self {
        Refusal { code, detail }
    }

    /// The record of so many bytes does not fit the memory that was lent.
    #[must_use]
    pub const fn buffer_too_small(needed: usize) -> Self {
        Self::new(BUFFER_TOO_SMALL, needed as u64)
    }
}

impl From<BadRecord> for Refusal {
    fn from(bad: BadRecord) -> Self {
        match bad {
            BadRecord::Malformed => Self::new(BAD_RECORD, 0),
            BadRecord::TooLarge { limit } => Self::new(TOO_LARGE, limit as u64),
        }
    }
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::NoTransaction => Self::new(NO_TRANSACTION, 0),
            Failure::NotTheBeginner => Self::new(NOT_THE_BEGINNER, 0),
            Failure::Doomed => Self::new(MUST_ABORT, 0),
            Failure::TooManyTransactions(most) => Self::new(BUSY, most as u64),
            Failure::TooMuchStaged(left) => Self::new(BUSY, left as u64),
            Failure::Scope(_) => Self::new(BUSY, 0),
            Failure::TooManyWatches(most) => Self::new(BUSY, most as u64),
            Failure::ChangesLost(last) => Self::new(CHANGES_LOST, last.number()),
            Failure::AlreadyDone(tid) => Self::new(ALREADY_DONE, tid.number()),
            Failure::NotPossible => Self::new(NOT_POSSIBLE, 0),
            Failure::Store(error) => error.into(),
        }
    }
}

impl Refusal {
    /// The number of the commit, or why there is none.
    ///
    /// # Errors
    /// The transaction was not committed, as far as is known.
    pub const fn of_outcome(outcome: Outcome) -> Result<u64, Self> {
        match outcome {
            Outcome::Committed(tid) => Ok(tid.number()),
            Outcome::Aborted => Err(Self::new(ABORTED, 0)),
            Outcome::Open => Err(Self::new(STILL_OPEN, 0)),
            Outcome::Unknown => Err(Self::new(OUTCOME_UNKNOWN, 0)),
        }
    }
}

impl Refusal {
    /// The number of the commit that carried a request out, or what else is known of it.
    ///
    /// # Errors
    /// None did, as far as is known.
    pub const fn of_carried(carried: Carried) -> Result<u64, Self> {
        match carried {
            Carried::Out(tid) => Ok(tid.number()),
            Carried::Never => Err(Self::new(NEVER_DONE, 0)),
            Carried::Unknown => Err(Self::new(OUTCOME_UNKNOWN, 0)),
        }
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NoTransaction(_) => Self::new(NO_TRANSACTION, 0),
            StoreError::Failed(_) | StoreError::Doomed(_) => Self::new(MUST_ABORT, 0),
            StoreError::NoSession(_) | StoreError::ReadOnlyView(_) => Self::new(MALFORMED, 0),
            StoreError::NoSavepoint(savepoint) => Self::new(NO_SAVEPOINT, savepoint.number()),
            StoreError::BeyondLast { last, .. } => Self::new(BEYOND_LAST, last.number()),
            StoreError::PackedAway { horizon, .. } => Self::new(PACKED_AWAY, horizon.number()),
            StoreError::NoSuchTransaction(tid) => Self::new(NO_SUCH_TRANSACTION, tid.number()),
            StoreError::NotUndoable(tid) => Self::new(NOT_UNDOABLE, tid.number()),
            StoreError::NeverExisted(oid) | StoreError::CreatedLater { oid, .. } | StoreError::Deleted { oid, .. } => {
                Self::new(NO_SUCH_OBJECT, oid.number())
            }
            StoreError::Conflict { oid, .. } => Self::new(CONFLICT, oid.number()),
            StoreError::Broken(Broken { oid, rule }) => Self::new(INVARIANT + u32::from(rule), oid.number()),
            StoreError::Storage(error) => error.into(),
        }
    }
}

impl From<StorageError> for Refusal {
    fn from(error: StorageError) -> Self {
        match error {
            StorageError::Conflict { oid, .. } | StorageError::ReadConflict { oid, .. } => {
                Self::new(CONFLICT, oid.number())
            }
            StorageError::Dangling { to, .. } => Self::new(BAD_RECORD, to.number()),
            StorageError::StillReferenced { oid, .. } => Self::new(CONFLICT, oid.number()),
            StorageError::NotNewer { tid, .. } => Self::new(BAD_RECORD, tid.number()),
            StorageError::OidNotIssued(oid) => Self::new(NO_SUCH_OBJECT, oid.number()),
            StorageError::TransactionTooLarge { limit, .. } => Self::new(TOO_LARGE, limit),
            StorageError::MetadataTooLarge { limit } => Self::new(TOO_LARGE, limit as u64),
            StorageError::OutOfSpace { free, .. } => Self::new(STORE_FULL, free),
            StorageError::Exhausted => Self::new(STORE_FULL, 0),
            StorageError::OutOfMemory => Self::new(BUSY, 0),
            StorageError::Stopped(_) | StorageError::ReadOnly => Self::new(STORE_STOPPED, 0),
            StorageError::Rot { segment, offset } => {
                Self::new(UNREADABLE, u64::from(segment.number()) << 32 | offset & 0xffff_ffff)
            }
            StorageError::Device(_) | StorageError::Malformed => Self::new(UNREADABLE, 0),
            StorageError::Busy | StorageError::ForeignTransaction => {
                runtime::bug!("commits overlap in one thread: {error:?}")
            }
        }
    }
}
