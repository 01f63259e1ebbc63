//! Counts the instructions of kernel operations.
//!
//! Under QEMU with `-icount shift=0` one tick of the time-stamp counter is one executed instruction, so a sample is the
//! difference of two readings, with the cost of reading in it (the row `empty`). One image plays all the parts, chosen by
//! the argument of the instance ([`Role`]):
//!
//! * [`driver`]: takes the samples and reports them, one line an operation, for the builder to print as a table; those of whole
//!   instances are in [`instances`];
//! * [`system`]: the same for operations of the system, as a process of it, with a store in memory;
//! * [`server`]: answers calls, as any server does;
//! * [`partner`]: the other ends of a yield, a signal and the start of a thread.
//!
//! Nothing is sampled while anything is printed.
//!
//! # Capabilities
//! See [`slot`]; the root task grants them.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod driver;
mod instances;
mod partner;
mod samples;
mod server;
mod system;

use runtime::Environment;

/// Slots beyond the fixed ones; the root task's module for benchmarks has the same.
mod slot {
    use abi::slots::FIRST_GRANTED;

    /// The machine, to be halted at the end.
    pub const MACHINE: u32 = FIRST_GRANTED;
    /// Authority over priorities.
    pub const SCHEDULER: u32 = FIRST_GRANTED + 1;
    /// Memory for objects.
    pub const MEMORY: u32 = FIRST_GRANTED + 2;
    /// The server, to call.
    pub const SERVER: u32 = FIRST_GRANTED + 3;
    /// What the waiter waits for.
    pub const SIGNAL: u32 = FIRST_GRANTED + 4;
    /// The thread of the yielder.
    pub const YIELDER: u32 = FIRST_GRANTED + 5;
    /// What a new thread is made of: CNode, VSpace, stack and heap.
    pub const PARTS: u32 = FIRST_GRANTED + 6;
    /// Authority to make instances.
    pub const LOADER: u32 = FIRST_GRANTED + 10;
    /// The image of these.
    pub const IMAGE: u32 = FIRST_GRANTED + 11;
    /// Memory for one instance.
    pub const WORKSHOP: u32 = FIRST_GRANTED + 12;
    /// The thread of the server.
    pub const SERVER_THREAD: u32 = FIRST_GRANTED + 13;
}

/// What an instance is there for.
struct Role;

impl Role {
    const DRIVER: u64 = 0;
    const SERVER: u64 = 1;
    const YIELDER: u64 = 2;
    const WAITER: u64 = 3;
    const STANDS_STILL: u64 = 4;
}

/// The entry of the cell.
pub fn main(environment: Environment) -> u64 {
    match environment.argument() {
        Role::DRIVER => driver::run(environment),
        Role::SERVER => server::run(environment),
        Role::YIELDER => partner::yields(environment),
        Role::WAITER => partner::waits(environment),
        Role::STANDS_STILL => partner::stands_still(),
        // The number of an object in the graph: this is a process of the system.
        _ => system::run(environment),
    }
}
