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
use abi::token::{All, Buf as BufObject, Cap, Loader, Machine, Scheduler, VSpace};
use clients::Graph;
use runtime::{Buf, Console, Environment, say};
use spawner::Memory;

use boot_memory::BootMemory;

/// Everything that the kernel handed over and that is not given away at once.
struct Authority {
    memory: BootMemory,
    loader: Cap<Loader, All>,
    scheduler: Cap<Scheduler, All>,
    machine: Cap<Machine, All>,
}

/// The entry of the cell.
pub fn main(mut environment: Environment) -> u64 {
    let cnode = environment.cnode();
    let mut authority = Authority {
        loader: environment.need(FIRST_GRANTED, "the loader"),
        scheduler: environment.need(FIRST_GRANTED + 1, "the scheduler"),
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
    let settle = environment.need(FIRST_GRANTED + 2, "the authority over scopes");
    let persistence = services::persistence(&mut authority, settle, &block, &console);
    say!(say, "persistence started at its endpoint");
    let vspace: Cap<VSpace, All> = environment.need(abi::slots::VSPACE, "its VSpace");
    let buf: Cap<BufObject, All> =
        authority.memory.make(BUF_BITS).unwrap_or_else(|error| panic!("no memory for a Buf: {error:?}"));
    let buf = Buf::map(buf, &vspace).unwrap_or_else(|error| panic!("a Buf cannot be mapped: {error:?}"));
    let graph = Graph::new(persistence.client(&authority, badge::ROOT_TASK), Some(buf));
    match graph.root() {
        Ok(root) => say!(say, "the root mapping is #{}", root.number()),
        Err(error) => {
            say!(say, "the persistence server does not serve: {error}");
            return 2;
        }
    }
    let (memory, delegated) = services::memory(&mut authority, &console);
    say!(say, "untyped of {delegated} bytes delegated to the memory server");
    memory.start(&authority, services::priority::MEMORY);
    say!(say, "memory started at its endpoint");
    0
}

/// Bytes of the Buf in which large records travel: the largest image.
const BUF_BITS: u8 = 20;

/// Badges of the clients that the root task itself hands out.
mod badge {
    pub const ROOT_TASK: u64 = 1;
    pub const PROCESS: u64 = 2;
}
