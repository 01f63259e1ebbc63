//! Errors of running programs: what went wrong, and the stack of sends that led there.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use crate::source::SourceError;

/// What went wrong, in one word, which programs see as a symbol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The source does not compile.
    Source,
    /// No slot answers the message.
    NotUnderstood,
    /// Several slots answer it, and none overrides the others.
    Ambiguous,
    /// What was found may not be assigned.
    Constant,
    /// Only a mirror may do this.
    Structure,
    /// The result does not fit 64 bits.
    Overflow,
    /// Division by zero.
    ZeroDivide,
    /// A value of another kind is needed.
    Type,
    /// An index or key that is not there.
    Missing,
    /// A number of arguments that a block does not take.
    Arguments,
    /// `return` from a block whose method has ended.
    DeadHome,
    /// Too many sends in each other.
    Depth,
    /// More memory than one session may take.
    Memory,
    /// The fuel is used up. No program catches this.
    Fuel,
    /// The console asked to stop. No program catches this.
    Interrupted,
    /// Traits provide a selector in several ways.
    TraitConflict,
    /// A trait requires what the object lacks.
    TraitRequires,
    /// A composition that means nothing.
    Trait,
    /// Another transaction changed the same object.
    Conflict,
    /// A transaction is open that should not be, or the reverse.
    Transaction,
    /// The store refused.
    Store,
    /// What cannot be kept stands in a slot of a persistent object.
    CannotPersist,
    /// A capability that is none, or none any more.
    Void,
    /// A native method failed.
    Native,
    /// Stored bytecode does not verify, and its source does not compile.
    BadMethod,
    /// A program raised it.
    Raised,
    /// A message from another cell was answered in another form than was declared.
    Answer,
}

impl ErrorKind {
    /// Its name, as programs see it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::NotUnderstood => "notUnderstood",
            Self::Ambiguous => "ambiguous",
            Self::Constant => "constant",
            Self::Structure => "structure",
            Self::Overflow => "overflow",
            Self::ZeroDivide => "zeroDivide",
            Self::Type => "type",
            Self::Missing => "missing",
            Self::Arguments => "arguments",
            Self::DeadHome => "deadHome",
            Self::Depth => "depth",
            Self::Memory => "memory",
            Self::Fuel => "fuel",
            Self::Interrupted => "interrupted",
            Self::TraitConflict => "traitConflict",
            Self::TraitRequires => "traitRequires",
            Self::Trait => "trait",
            Self::Conflict => "conflict",
            Self::Transaction => "transaction",
            Self::Store => "store",
            Self::CannotPersist => "cannotPersist",
            Self::Void => "capVoid",
            Self::Native => "native",
            Self::BadMethod => "badMethod",
            Self::Raised => "raised",
            Self::Answer => "answer",
        }
    }

    /// Whether `catch` gets it.
    pub(crate) fn is_catchable(self) -> bool {
        !matches!(self, Self::Fuel | Self::Interrupted | Self::Memory)
    }
}

/// An error of a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// What went wrong.
    pub kind: ErrorKind,
    /// The same in words, perhaps in several lines.
    pub message: String,
    /// The sends that were open, the innermost first; a long stack has a gap.
    pub trace: Vec<Sent>,
}

/// A send that was open when an error happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// The selector of the method; that of a block is its method's.
    pub selector: String,
    /// Whether a block of the method was running.
    pub in_block: bool,
    /// The line in the method's source, from 1 on; 0: a gap, whose length `selector` tells.
    pub line: u32,
    /// That line.
    pub text: String,
}

/// An error on its way up.
pub(crate) type Raise = Box<Error>;

/// An error without its trace, which the loop adds.
pub(crate) fn raise<T>(kind: ErrorKind, message: impl Into<String>) -> Result<T, Raise> {
    Err(error(kind, message))
}

pub(crate) fn error(kind: ErrorKind, message: impl Into<String>) -> Raise {
    Box::new(Error { kind, message: message.into(), trace: Vec::new() })
}

impl From<SourceError> for Error {
    fn from(error: SourceError) -> Self {
        Self { kind: ErrorKind::Source, message: alloc::format!("{error}"), trace: Vec::new() }
    }
}

/// The kind, the message, and a line a send.
impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind.name(), self.message)?;
        for sent in &self.trace {
            if sent.line == 0 {
                write!(f, "\n  ... {}", sent.selector)?;
                continue;
            }
            let block = if sent.in_block { "a block of " } else { "" };
            write!(f, "\n  in {block}{}, line {}: {}", sent.selector, sent.line, sent.text.trim())?;
        }
        Ok(())
    }
}
