//! A client that keeps the store busy: `spawn load`, as often as there are to be clients.
//!
//! Each moves amounts between the `accounts`, for ever: some of its transactions it aborts, some conflict with those of other
//! clients, the others are committed, with records of all sizes beside them. It says of each commit that it was
//! acknowledged, once it was. Before each transaction it looks whether all accounts are as they must be; so a client that comes
//! back after a power cut says what it has found.
//!
//! * `client`: one transaction after the other;
//! * `random`: what it does in each.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod client;
mod random;

use abi::slots;
use clients::Graph;
use runtime::{Console, Environment, say};

use client::{Client, End};

/// The cell's status when the store has stopped.
pub const STOPPED: u64 = 1;
/// The cell's status when the store is full.
pub const FULL: u64 = 2;
/// The cell's status when the accounts are not as they must be.
pub const BROKEN: u64 = 3;
/// The cell's status when a call failed for another reason.
pub const FAILED: u64 = 4;

/// The entry of the cell.
pub fn main(mut environment: Environment) -> u64 {
    let console = Console::new(environment.take(slots::CONSOLE), "load");
    let graph = Graph::new(environment.need(slots::PERSISTENCE, "the persistence server"), None);
    let number = environment.argument();
    match Client::run(graph, &console, number) {
        End::Stopped => {
            say!(console, "client {number:x} ends: the store has stopped");
            STOPPED
        }
        End::Full { readable } => {
            say!(console, "client {number:x} ends: the store is full, {readable} accounts can be read");
            FULL
        }
        End::Broken(what) => {
            say!(console, "client {number:x} ends: BROKEN: {what}");
            BROKEN
        }
        End::Failed(error) => {
            say!(console, "client {number:x} ends: {error}");
            FAILED
        }
    }
}
