//! What a caller is told of a failure.

use abi::interfaces::objects as codes;
use language::{Error, ErrorKind};

/// A code of [`abi::interfaces::objects`], or the object's own, with its detail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal(pub u32, pub u64);

/// The refusal that an error is.
#[must_use]
pub fn refusal(error: &Error) -> Refusal {
    let code = match error.kind {
        // An object that raises a number refuses with it.
        ErrorKind::Raised => {
            let own = error.message.parse().ok().filter(|code| (1..codes::FIRST).contains(code));
            own.unwrap_or(codes::FAILED)
        }
        ErrorKind::NotUnderstood | ErrorKind::Ambiguous => codes::NOT_UNDERSTOOD,
        ErrorKind::Fuel | ErrorKind::Memory | ErrorKind::Depth => codes::EXHAUSTED,
        ErrorKind::Answer => codes::BAD_ANSWER,
        ErrorKind::Conflict => codes::CONTENDED,
        ErrorKind::Store => codes::STORE_FAILED,
        ErrorKind::Void | ErrorKind::Native => codes::NATIVE_FAILED,
        _ => codes::FAILED,
    };
    Refusal(code, 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(kind: ErrorKind, message: &str) -> u32 {
        refusal(&Error { kind, message: message.into(), trace: vec![] }).0
    }

    #[test]
    fn a_number_that_is_raised_is_the_code() {
        assert_eq!(of(ErrorKind::Raised, "7"), 7);
        for other in ["0", "-7", "2147483648", "'7'", "[1]"] {
            assert_eq!(of(ErrorKind::Raised, other), codes::FAILED, "{other}");
        }
    }

    #[test]
    fn kinds_have_codes() {
        assert_eq!(of(ErrorKind::NotUnderstood, ""), codes::NOT_UNDERSTOOD);
        assert_eq!(of(ErrorKind::Fuel, ""), codes::EXHAUSTED);
        assert_eq!(of(ErrorKind::Conflict, ""), codes::CONTENDED);
        assert_eq!(of(ErrorKind::ZeroDivide, "7"), codes::FAILED);
        assert_eq!(of(ErrorKind::Void, ""), codes::NATIVE_FAILED);
    }
}
