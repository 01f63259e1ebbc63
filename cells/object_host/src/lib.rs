//! What the language of objects runs in, made of the servers: its store is the graph, its native methods are messages.
//!
//! * [`GraphStore`]: the persistence server as a [`language::Store`], over anything that keeps [`Objects`];
//! * [`ServerHost`]: endpoints as a [`language::Host`];
//! * [`request`]: which words and bytes a native method's message carries, by service and label;
//! * [`answer`]: what comes back as a value;
//! * [`held`]: capabilities that came with replies, for as long as the cell lives;
//! * [`refusal`]: what the servers' codes mean, in words.
//!
//! # Authority
//! A native method reaches what the embedding cell itself may call, and nothing else: a recipe of an endpoint names a
//! service, and the three servers are the fixed capabilities of the cell; any other the process server connects it to, or
//! refuses. A capability that a server grants stays in the cell's table, and the program has a recipe that names its place by a
//! number that no other object or capability ever has: it opens nothing in another cell, nor in a later boot.
//!
//! The session's transaction belongs to the cell's thread, so that what a server makes for a native method joins it, and goes
//! with it where it is given up.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod answer;
pub mod held;
mod host;
pub mod refusal;
pub mod request;
mod store;

pub use host::{Endpoints, ServerHost};
pub use store::{GraphStore, Objects};
