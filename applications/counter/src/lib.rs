//! A sample of a server that a user starts: it counts calls, for each client on its own.
//!
//! * [`Counter`]: what it serves; at the prompt `call counter 1` is [`Next`], `call counter 4` is [`Save`];
//! * [`Counts`]: what a version of it keeps, and how that goes on in another version;
//! * [`First`]: the first version; `applications/counter_next` is the next one;
//! * [`serve`]: the main loop, which is the same for all.
//!
//! The counts go on where the server is replaced while it serves: they are exported and imported (`runtime::State`). Where the
//! power is cut, or an instance fails, they are what was last saved: [`Save`] commits them to the persistent graph, in an object
//! that the process's own object refers to.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod first;
mod saved;
mod serve;

use alloc::collections::BTreeMap;

use abi::interface;
use runtime::{Environment, State, abi};

pub use first::{First, decode, encode};
pub use serve::serve;

/// Code: the counts could not be saved; nothing has changed.
pub const NOT_SAVED: u32 = 1;
/// Code: the words of the request are none of its method's.
pub const MALFORMED: u32 = 2;

interface! {
    /// What a client of the counter asks.
    Counter {
        /// Counts one up for the caller; answers its count.
        1 Next() -> u64;
        /// The caller's count.
        2 Get() -> u64;
        /// All counts together.
        3 Total() -> u64;
        /// Commits all counts to the graph; answers the TID.
        4 Save() -> u64;
        /// The version that serves.
        5 Version() -> u64;
    }
}

/// What a version of the counter keeps.
pub trait Counts: State {
    /// Its number.
    const VERSION: u64;
    /// Goes on from counts by client, a client being known by its badge.
    fn from_saved(counts: BTreeMap<u64, u64>) -> Self;
    /// The counts by client.
    fn counts(&self) -> &BTreeMap<u64, u64>;
    /// Counts one up; answers the client's count.
    fn next(&mut self, client: u64) -> u64;
    /// All together.
    fn total(&self) -> u64;
}

/// The entry of the cell.
pub fn main(environment: Environment) -> u64 {
    serve::<First>(environment)
}
