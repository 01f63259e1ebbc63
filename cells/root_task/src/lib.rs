//! The root task: the first cell. It holds everything at start, builds the system, gives everything away and ends.
//!
//! Each step is logged by whoever did it, when it was done. The order is that of the design: console and block driver,
//! the persistence server on the driver, then what the graph names.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod archive;
mod boot_memory;
mod pci;
mod services;

use abi::slots::FIRST_GRANTED;
use abi::token::{All, Cap, Loader, Machine, Scheduler, Settle};
use runtime::{Console, Environment, say};

use boot_memory::BootMemory;

/// Everything that the kernel handed over and that is not given away at once.
struct Authority {
    memory: BootMemory,
    loader: Cap<Loader, All>,
    scheduler: Cap<Scheduler, All>,
    settle: Cap<Settle, All>,
    machine: Cap<Machine, All>,
}

/// The entry of the cell.
pub fn main(mut environment: Environment) -> u64 {
    let cnode = environment.cnode();
    let mut authority = Authority {
        loader: environment.need(FIRST_GRANTED, "the loader"),
        scheduler: environment.need(FIRST_GRANTED + 1, "the scheduler"),
        settle: environment.need(FIRST_GRANTED + 2, "the authority over scopes"),
        machine: environment.need(FIRST_GRANTED + 4, "the machine"),
        memory: BootMemory::new(&mut environment, cnode),
    };
    let serial = environment.need(FIRST_GRANTED + 3, "the serial line");
    let console = services::console(&mut authority, serial);
    let say = Console::new(Some(console.client(&authority, 0)), "root_task");
    say!(say, "console started at its endpoint");
    let Some(block) = services::block(&mut authority, &mut environment, &console) else {
        say!(say, "no virtio block device: give the machine a disk (-drive id=p_disk,...)");
        return 1;
    };
    let _ = block;
    0
}
