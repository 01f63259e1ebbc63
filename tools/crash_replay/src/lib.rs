//! Power cuts of a real machine: its disk's log of writes and flushes, replayed and cut everywhere.
//!
//! Ending QEMU never loses a write, so it proves little of what a power cut leaves. Here the log that QEMU's `blklogwrites` filter
//! wrote while a load ran is read ([`log`]), and the disk is rebuilt as it could be after a cut behind each event ([`disk`]): what
//! was flushed is there, of the rest any bounded choice of sectors, some of them torn, by the same enumeration as that of
//! the store's own crash tests. Each such disk is opened and compared ([`mod@check`]) with what there is at the end of the
//! log ([`history`]) and with what had been acknowledged by then ([`evidence`]); [`replay`] goes through all of it.
//!
//! # How it is known what was acknowledged
//!
//! The log has no acknowledgements in it, and times on a console prove nothing. But a client of the load writes into each
//! transaction the TID of its last commit that was acknowledged. So whoever finds the later transaction in a write of the log
//! knows that the earlier one was acknowledged before that write was issued: from there on it must be in every state, whatever
//! is lost. The commits that nothing came after are those that the machine's console told of: they must be in the last state.
#![forbid(unsafe_code)]

pub mod check;
pub mod disk;
pub mod evidence;
pub mod history;
pub mod log;
pub mod replay;

#[cfg(test)]
mod tests;

pub use disk::Event;
pub use log::{BadLog, Log};
pub use replay::{Bounds, Tally, replay};
