//! What goes wrong: an exit status, and a sentence that says what, where, and what to do.

/// How a command ended; its number is the exit status of the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Status {
    /// Everything is as it should be.
    Fine = 0,
    /// Damage was found, or got in the way.
    Damage = 1,
    /// The command line makes no sense.
    Usage = 2,
    /// The file cannot be read, or holds no state that this program reads.
    CannotOpen = 3,
    /// There is no such object or transaction.
    NotFound = 4,
    /// The answer cannot be written.
    CannotWrite = 5,
}

/// Why a command was not carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The exit status.
    pub status: Status,
    /// The reason, for the person at the terminal.
    pub text: String,
}

impl Failure {
    /// A failure with a status and a reason.
    pub fn new(status: Status, text: impl Into<String>) -> Failure {
        Failure { status, text: text.into() }
    }

    /// The command line makes no sense.
    pub fn usage(text: impl Into<String>) -> Failure {
        Failure::new(Status::Usage, text)
    }

    /// There is no such thing.
    pub fn not_found(text: impl Into<String>) -> Failure {
        Failure::new(Status::NotFound, text)
    }
}

/// Writing the answer failed.
impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Failure {
        Failure::new(Status::CannotWrite, format!("the answer cannot be written: {error}"))
    }
}
