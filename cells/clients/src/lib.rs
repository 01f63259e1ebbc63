//! The servers as their clients see them: records instead of bytes, tokens instead of numbers.
//!
//! * [`Graph`]: the persistence server; what a transaction can be asked for besides is in `details`, the past in `time`, packing and
//!   verification in `maintenance`, and `snapshots` are states that it keeps between transactions;
//! * [`MemoryServer`]: the memory server, as a source of objects for the spawner;
//! * [`processes`]: the process server.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod details;
mod graph;
mod maintenance;
mod memory;
pub mod processes;
mod snapshots;
mod time;

pub use details::{Carried, Conflict};
pub use graph::{Changed, Graph, GraphError, Outcome};
pub use memory::{Allocation, MemoryServer, NoMemory, Owner};
pub use time::Revision;
