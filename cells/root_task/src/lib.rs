//! The root task: the first cell. It holds everything at start, builds the system, gives everything away and ends.
//!
//! Each step is logged by whoever did it, when it was done. The order is that of the design: console and block driver,
//! the persistence server on the driver, then what the graph names.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod archive;
mod boot_memory;
mod services;

use abi::token::{All, Cap, IoPort, Loader, Machine, Scheduler, Serial, Settle};
use abi::slots::FIRST_GRANTED;
use runtime::{Environment, say};

use boot_memory::BootMemory;

/// Everything that the kernel handed over.
struct Authority {
    memory: BootMemory,
    loader: Cap<Loader, All>,
    scheduler: Cap<Scheduler, All>,
    settle: Cap<Settle, All>,
    serial: Cap<Serial, All>,
    machine: Cap<Machine, All>,
    ports: Cap<IoPort, All>,
}

impl Authority {
    fn new(environment: &mut Environment) -> Self {
        let cnode = environment.cnode();
        Authority {
            loader: environment.need(FIRST_GRANTED, "the loader"),
            scheduler: environment.need(FIRST_GRANTED + 1, "the scheduler"),
            settle: environment.need(FIRST_GRANTED + 2, "the authority over scopes"),
            serial: environment.need(FIRST_GRANTED + 3, "the serial line"),
            machine: environment.need(FIRST_GRANTED + 4, "the machine"),
            ports: environment.need(FIRST_GRANTED + 5, "the ports"),
            memory: BootMemory::new(environment, cnode),
        }
    }
}

/// The entry of the cell.
pub fn main(mut environment: Environment) -> u64 {
    let mut authority = Authority::new(&mut environment);
    let console = services::console(&mut authority);
    let say = runtime::Console::new(Some(console), "root_task");
    say!(say, "console started");
    0
}
