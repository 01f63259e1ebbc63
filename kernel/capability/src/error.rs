//! What an operation can answer: the errors, all of them the caller's to mend, and the progress of a
//! resumable one.

/// Why an operation was refused. Nothing was changed: every operation checks first and acts afterwards.
///
/// The names and numbers are those of seL4's `seL4_Error` and its message registers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Error {
    /// A number is outside of what would be accepted.
    RangeError {
        /// Smallest number that would be accepted.
        min: u64,
        /// Largest number that would be accepted.
        max: u64,
    },
    /// The argument with this position (from 0, the invoked capability not counted) makes no sense.
    InvalidArgument(u8),
    /// The invoked capability is not of the kind that the operation needs.
    InvalidCapability,
    /// A destination slot holds a capability: delete it first.
    DeleteFirst,
    /// A slot that should hold a capability (or a CNode) does not.
    FailedLookup,
    /// The untyped has not enough memory behind its watermark.
    NotEnoughMemory {
        /// Bytes between the watermark and the end.
        bytes_left: u64,
    },
    /// The capability has descendants: revoke it first.
    RevokeFirst,
    /// The capability exists and is of the right kind, and still this is never allowed with it.
    IllegalOperation,
}

/// Why a look-up by index and generation found nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum LookupError {
    /// The index is not one of this CNode's.
    OutOfRange,
    /// The slot is empty, or holds another capability than the one the generation was given out for.
    Stale,
}

impl From<LookupError> for Error {
    fn from(_: LookupError) -> Self {
        Error::FailedLookup
    }
}

/// How far a resumable operation came within its budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Progress {
    /// All is done.
    Done,
    /// The budget is used up: serve interrupts, look the slot up again, call again.
    More,
    /// All is done that can be: what is left is pinned, and goes by [`unpin`](crate::unpin) alone.
    Pinned,
}
