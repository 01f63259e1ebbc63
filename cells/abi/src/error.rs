//! What a kernel function or a call can fail with.
//!
//! A status of 0 is success. Server codes are below 2^32 and belong to the server's interface. Kernel errors have the
//! top bit set; they say whose fault it was by their name, and carry one detail word beside.

/// An error that the kernel itself answers.
#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KernelError {
    /// The caller's token names no live capability: it was deleted, moved or revoked.
    InvalidCapability = 1,
    /// The capability is of another kind than the operation works on.
    WrongKind = 2,
    /// The capability lacks a right that the operation needs.
    MissingRight = 3,
    /// The endpoint does not serve this label.
    UnknownLabel = 4,
    /// The endpoint serves this label with another signature.
    WrongSignature = 5,
    /// The time was up before the answer came.
    TimedOut = 6,
    /// The server died while it held the request. Detail: its new epoch. The request may or may not have taken effect.
    ServerDied = 7,
    /// The endpoint was destroyed.
    EndpointGone = 8,
    /// A number is outside its range. Detail: the largest allowed.
    OutOfRange = 9,
    /// The destination slot is occupied.
    DeleteFirst = 10,
    /// The untyped has live children.
    RevokeFirst = 11,
    /// The untyped has too little left. Detail: the bytes left.
    NotEnoughMemory = 12,
    /// The object does not allow this, now or ever.
    IllegalOperation = 13,
    /// The bytes are not an image that this kernel accepts. Detail: the rule.
    ImageRefused = 14,
    /// The body, list or buffer is too long. Detail: the largest allowed.
    TooLarge = 15,
    /// There is no room left in a table that the caller paid for (CNode, VSpace).
    TableFull = 16,
    /// A frame that was lent is still in its server's hands.
    Pinned = 17,
    /// The operation has no such number or argument.
    InvalidArgument = 18,
    /// The wait was cancelled because its object or thread went away.
    Cancelled = 19,
    /// The kernel has no page-table memory left.
    OutOfKernelMemory = 20,
    /// The transaction that the thread works in has ended meanwhile: what is made now would belong to nobody.
    TransactionOver = 21,
    /// The call was still parked when a signal came that the thread wants to hear of at once. It had no effect: send it again.
    Interrupted = 22,
}

impl KernelError {
    const FLAG: u64 = 1 << 63;

    /// As the status word of an answer.
    pub const fn to_status(self) -> u64 {
        Self::FLAG | self as u64
    }

    /// From a status word; `None` where it is success or a server's code.
    pub const fn from_status(status: u64) -> Option<Self> {
        if status & Self::FLAG == 0 {
            return None;
        }
        Some(match status & 0xff {
            1 => Self::InvalidCapability,
            2 => Self::WrongKind,
            3 => Self::MissingRight,
            4 => Self::UnknownLabel,
            5 => Self::WrongSignature,
            6 => Self::TimedOut,
            7 => Self::ServerDied,
            8 => Self::EndpointGone,
            9 => Self::OutOfRange,
            10 => Self::DeleteFirst,
            11 => Self::RevokeFirst,
            12 => Self::NotEnoughMemory,
            13 => Self::IllegalOperation,
            14 => Self::ImageRefused,
            15 => Self::TooLarge,
            16 => Self::TableFull,
            17 => Self::Pinned,
            19 => Self::Cancelled,
            20 => Self::OutOfKernelMemory,
            21 => Self::TransactionOver,
            22 => Self::Interrupted,
            _ => Self::InvalidArgument,
        })
    }
}

/// Why a call brought no result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallError {
    /// The kernel refused or gave up, with its detail word.
    Kernel(KernelError, u64),
    /// The server refused, with its code and a detail word; the interface names them.
    Server(u32, u64),
    /// A body could not be encoded or decoded: the two sides disagree, or it is longer than a message allows.
    Malformed,
}

impl CallError {
    /// The error of an answer; `None` for success.
    pub const fn from_answer(status: u64, value: u64) -> Option<Self> {
        if status == 0 {
            return None;
        }
        match KernelError::from_status(status) {
            Some(error) => Some(Self::Kernel(error, value)),
            None => Some(Self::Server(status as u32, value)),
        }
    }
}

impl core::fmt::Display for CallError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Kernel(error, detail) => write!(f, "kernel: {error:?} ({detail})"),
            Self::Server(code, detail) => write!(f, "server: code {code} ({detail})"),
            Self::Malformed => write!(f, "message malformed or too long"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_survive_the_round_trip() {
        for code in 1..=22u64 {
            let error = KernelError::from_status(KernelError::FLAG | code).expect("kernel error");
            assert_eq!(error.to_status(), KernelError::FLAG | code);
        }
        assert_eq!(KernelError::from_status(7), None);
    }
}
