//! The servers as their clients see them: records instead of bytes, tokens instead of numbers.
//!
//! * [`Graph`]: the persistence server;
//! * [`MemoryServer`]: the memory server, as a source of objects for the spawner;
//! * [`processes`]: the process server.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod graph;
mod memory;
pub mod processes;

pub use graph::{Changed, Graph, GraphError, Outcome};
pub use memory::{Allocation, MemoryServer, NoMemory, Owner};
