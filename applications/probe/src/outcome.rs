//! What a test comes to.

use alloc::format;
use alloc::string::String;
use core::fmt::{self, Debug, Display, Formatter};

use abi::{CallError, KernelError};

/// Why a test failed.
#[derive(Debug)]
pub enum Failure {
    /// The kernel refused what it should have done.
    Kernel(KernelError),
    /// A call that should have succeeded did not.
    Call(CallError),
    /// Something else was found than expected.
    Wrong(String),
}

/// What a test comes to.
pub type Outcome = Result<(), Failure>;

impl From<KernelError> for Failure {
    fn from(error: KernelError) -> Self {
        Failure::Kernel(error)
    }
}

impl From<CallError> for Failure {
    fn from(error: CallError) -> Self {
        Failure::Call(error)
    }
}

impl Display for Failure {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Kernel(error) => write!(f, "the kernel refused: {error:?}"),
            Failure::Call(error) => write!(f, "a call failed: {error}"),
            Failure::Wrong(what) => f.write_str(what),
        }
    }
}

/// Fails unless what was found is what was expected.
///
/// # Errors
/// Names both.
pub fn equal<T: PartialEq + Debug>(what: &str, found: T, expected: T) -> Outcome {
    if found == expected {
        return Ok(());
    }
    Err(Failure::Wrong(format!("{what}: {found:?} instead of {expected:?}")))
}

/// Fails unless something holds.
///
/// # Errors
/// Says that it does not.
pub fn holds(what: &str, found: bool) -> Outcome {
    if found { Ok(()) } else { Err(Failure::Wrong(format!("it does not hold that {what}"))) }
}
