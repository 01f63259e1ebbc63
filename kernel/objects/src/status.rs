//! Failures of kernel functions on their way to the caller's registers.

use abi::KernelError;
use abi::kernel::Answer;
use capability::{Error, LookupError};

/// A kernel error with its detail word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failure(pub KernelError, pub u64);

impl From<KernelError> for Failure {
    fn from(error: KernelError) -> Self {
        Failure(error, 0)
    }
}

impl From<LookupError> for Failure {
    #[inline(always)]
    fn from(_: LookupError) -> Self {
        Failure(KernelError::InvalidCapability, 0)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            Error::RangeError { max, .. } => Failure(KernelError::OutOfRange, max),
            Error::InvalidArgument(which) => Failure(KernelError::InvalidArgument, which.into()),
            Error::InvalidCapability => Failure(KernelError::WrongKind, 0),
            Error::DeleteFirst => Failure(KernelError::DeleteFirst, 0),
            Error::FailedLookup => Failure(KernelError::InvalidCapability, 0),
            Error::NotEnoughMemory { bytes_left } => Failure(KernelError::NotEnoughMemory, bytes_left),
            Error::RevokeFirst => Failure(KernelError::RevokeFirst, 0),
            Error::IllegalOperation => Failure(KernelError::IllegalOperation, 0),
        }
    }
}

impl From<paging::MapError> for Failure {
    fn from(error: paging::MapError) -> Self {
        match error {
            paging::MapError::Exhausted => Failure(KernelError::OutOfKernelMemory, 0),
            _ => Failure(KernelError::IllegalOperation, 0),
        }
    }
}

/// Success with a value.
#[inline(always)]
pub const fn ok(value: u64) -> Answer {
    Answer { status: 0, value }
}

impl From<Failure> for Answer {
    #[inline(always)]
    fn from(failure: Failure) -> Self {
        Answer { status: failure.0.to_status(), value: failure.1 }
    }
}
