//! Tests of the whole crate: conformance of the storages, transactions, and what a disk can do to a state file.

mod clients;
mod conformance;
mod counts;
mod device_states;
mod devices;
mod equivalence;
mod faults;
mod flushes;
mod groups;
mod handover;
mod hostile;
mod index_costs;
mod pack;
mod power_loss;
mod rot;
mod store;
mod support;
mod transactions;
