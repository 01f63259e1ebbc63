//! Counts the instructions of kernel operations.
//!
//! Under QEMU with `-icount shift=0` one tick of the time-stamp counter is one executed instruction, so a sample is the
//! difference of two readings, with the cost of reading in it (the row `empty`). One image plays all the parts, chosen by
//! the argument of the instance ([`Role`]):
//!
//! * [`driver`]: takes the samples and reports them, one line an operation, for the builder to print as a table;
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
mod partner;
mod samples;
mod server;

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
        _ => partner::stands_still(),
    }
}
