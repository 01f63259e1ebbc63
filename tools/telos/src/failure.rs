//! What goes wrong on the host: a sentence for the person at the terminal, with what to do.

use std::fmt;

/// Why a command did not succeed.
#[derive(Debug)]
pub struct Failure(pub String);

/// The outcome of a step.
pub type Result<T> = std::result::Result<T, Failure>;

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Says what was being done when something failed.
pub trait Context<T> {
    /// Puts `what` before the cause.
    ///
    /// # Errors
    /// The cause, if there is one.
    fn context(self, what: impl fmt::Display) -> Result<T>;
}

impl<T, E: fmt::Display> Context<T> for std::result::Result<T, E> {
    fn context(self, what: impl fmt::Display) -> Result<T> {
        self.map_err(|cause| Failure(format!("{what}: {cause}")))
    }
}

/// A failure from a formatted sentence.
#[macro_export]
macro_rules! fail {
    ($($part:tt)*) => { return Err($crate::failure::Failure(format!($($part)*))) };
}
