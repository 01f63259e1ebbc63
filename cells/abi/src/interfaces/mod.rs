//! The interfaces of the servers: the message ABI of the design, section 5, in one place.
//!
//! The first labels of each server are the plan's and are fixed; the rest continues the numbering.

pub mod block;
pub mod console;
pub mod memory;
pub mod objects;
pub mod persistence;
pub mod process;
