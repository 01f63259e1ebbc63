//! The language of persistent objects.
//!
//! Everything is an object or a value, and everything is done by sending messages; objects delegate to parents, are made by
//! cloning and by literals, and are composed of traits. `GUIDE.md` beside this crate teaches it; its examples are run by the
//! tests. This crate is pure: it knows no system calls, and runs on the host as in a cell.
//!
//! # How it works
//!
//! Source goes through the scanner and the compiler into a *unit* of bytecode; the verifier looks at a unit before it is
//! linked, whoever made it; linking gives each place that sends a cache; the loop runs linked code. A method is kept as its
//! source with the unit beside it: a unit of another version, or one that does not verify, is made anew from the source.
//!
//! A [`Session`] is a world in memory. Objects there have *shapes*, which say what slots there are and hold methods and
//! parents; equal shapes are one. A site's cache holds for a shape what look-up found ([`object_model::search`] is the rule),
//! so that a send costs the same however deep the slot stands; whatever could change an answer makes all caches stale at
//! once. Objects come from a [`Store`] when they are first touched, and go back at a commit with everything new that they
//! lead to; an abort puts memory back as it was. Native methods go through a [`Host`].
//!
//! # What holds
//!
//! * No source, bytecode or record makes the crate panic or run without end: depth, fuel, memory and sizes are bounded
//!   ([`Limits`]), and a program that exceeds them is an [`Error`].
//! * Values are copied, and all but objects are immutable, so that an object changes only by an assignment to it.
//! * An assignment writes the receiver. The structure of an object that is whole changes only through a mirror.
//! * Capabilities come from the store's recipes and from the host's replies, never from data; copies of them are void.
//!   Private slots answer only what the object that holds them sends to itself.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod code;
mod compiler;
mod error;
mod host;
mod names;
mod prelude;
mod runtime;
mod sent;
mod session;
mod source;
#[cfg(test)]
mod tests;
mod token;
mod verify;

pub use code::BYTECODE_VERSION;
pub use compiler::{CompiledMethod, compile_method};
pub use error::{Error, ErrorKind, Sent};
pub use host::{Argument, Call, Host, Refused, Reply, Store};
pub use sent::selectors_sent;
pub use session::{Limits, Outcome, Session};
pub use source::{SOURCE_LIMIT, SourceError};
pub use token::is_open;
pub use verify::BadCode;
