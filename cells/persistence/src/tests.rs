//! Tests on the host: the transactions over a storage in memory and a kernel that is played, the disk over one in memory.

mod committing;
mod details;
mod handover;
mod kernel;
mod names;
mod opening;
mod sessions;
mod transactions;
mod wire;
