//! Benchmarks of the kernel instead of the system, where the kernel's command line asks for them.

use abi::KernelError;
use abi::slots::{CONSOLE, ENDPOINT, FIRST_GRANTED, NOTIFICATION, REPLY};
use abi::token::{All, CallOnly, Cap, Endpoint, Image, Machine, Notification, Reply, Rights, Tcb, Untyped};
use runtime::objects::{self, Share};
use spawner::{Instance, Memory};

use crate::services::Service;
use crate::{Authority, archive};

/// The word of the command line, and the name of the cell.
const NAME: &str = "bench";
/// More than any command line that is used has.
const LINE: usize = 512;

/// Slots of the cell beyond the fixed ones; it has the same.
mod slot {
    use super::FIRST_GRANTED;

    pub const MACHINE: u32 = FIRST_GRANTED;
    pub const SCHEDULER: u32 = FIRST_GRANTED + 1;
    pub const MEMORY: u32 = FIRST_GRANTED + 2;
    pub const SERVER: u32 = FIRST_GRANTED + 3;
    pub const SIGNAL: u32 = FIRST_GRANTED + 4;
    pub const YIELDER: u32 = FIRST_GRANTED + 5;
    pub const PARTS: u32 = FIRST_GRANTED + 6;
    pub const LOADER: u32 = FIRST_GRANTED + 10;
    pub const IMAGE: u32 = FIRST_GRANTED + 11;
    pub const WORKSHOP: u32 = FIRST_GRANTED + 12;
    pub const SERVER_THREAD: u32 = FIRST_GRANTED + 13;
}

/// What the instances are told that they are, in the order of the cell's roles.
mod role {
    pub const DRIVER: u64 = 0;
    pub const SERVER: u64 = 1;
    pub const YIELDER: u64 = 2;
    pub const WAITER: u64 = 3;
    pub const STANDS_STILL: u64 = 4;
}

/// Bytes of memory for the objects that are made, in bits.
const MEMORY_BITS: u8 = 23;
/// Bytes of memory for one instance, in bits.
const WORKSHOP_BITS: u8 = 20;
/// Of driver, server and yielder.
const SHARE: Share = Share::unlimited(30);
/// Of the waiter, which is to run at once when it is signalled.
const ABOVE: Share = Share::unlimited(SHARE.priority + 1);
/// Badge of the server's clients.
const BADGE: u64 = 1;

/// Whether the command line asks for the benchmarks.
pub fn is_wanted(machine: &Cap<Machine, All>) -> bool {
    has_word(machine, NAME)
}

/// Whether the command line has a word.
pub fn has_word(machine: &Cap<Machine, All>, word: &str) -> bool {
    let mut line = [0; LINE];
    let length = objects::command_line(machine, &mut line).unwrap_or(0) as usize;
    let line = line.get(..length).unwrap_or(&line);
    core::str::from_utf8(line).is_ok_and(|line| line.split_whitespace().any(|given| given == word))
}

/// Starts the benchmarks; they halt the machine when they are done.
///
/// # Panics
/// Where they cannot be started.
pub fn start(authority: Authority, console: &Service) -> u64 {
    if let Err(error) = try_start(authority, console) {
        panic!("the benchmarks cannot be started: {error:?}");
    }
    0
}

fn try_start(mut authority: Authority, console: &Service) -> Result<(), KernelError> {
    let Some(entry) = archive::find(&authority.loader, NAME) else {
        panic!("the boot archive has no image of {NAME}: it was built without it")
    };
    let image = spawner::image(&mut authority.memory, &entry.bytes)?;
    let endpoint: Cap<Endpoint, All> = authority.memory.make(0)?;
    let signal: Cap<Notification, All> = authority.memory.make(0)?;
    let call = |instance: &Instance, slot, cap: &Cap<Endpoint, All>, badge| {
        objects::copy(cap, &instance.cnode, slot, CallOnly::BITS, badge).map(drop)
    };

    let server = instance(&mut authority, &image)?;
    server.grant(ENDPOINT, &endpoint, 0)?;
    let reply: Cap<Reply, All> = authority.memory.make(0)?;
    server.give(REPLY, reply)?;
    launch(&authority, &server, SHARE, role::SERVER)?;

    let waiter = instance(&mut authority, &image)?;
    call(&waiter, slot::SERVER, &endpoint, BADGE)?;
    waiter.grant(NOTIFICATION, &signal, 0)?;
    launch(&authority, &waiter, ABOVE, role::WAITER)?;

    let yielder = instance(&mut authority, &image)?;
    call(&yielder, slot::SERVER, &endpoint, BADGE)?;
    yielder.configure(&authority.scheduler, SHARE, role::YIELDER)?;

    let driver = instance(&mut authority, &image)?;
    let parts = instance(&mut authority, &image)?;
    // A thread of its own, which never runs: with its last thread an instance would have ended.
    parts.configure(&authority.scheduler, SHARE, role::STANDS_STILL)?;
    let Instance { cnode, vspace, frames: [_, stack, heap], .. } = parts;
    let memory: Cap<Untyped, All> = authority.memory.make(MEMORY_BITS)?;
    call(&driver, CONSOLE, &console.endpoint, 0)?;
    call(&driver, slot::SERVER, &endpoint, BADGE)?;
    driver.grant(slot::SCHEDULER, &authority.scheduler, 0)?;
    driver.grant::<Tcb, All>(slot::YIELDER, &yielder.tcb, 0)?;
    driver.grant::<Tcb, All>(slot::SERVER_THREAD, &server.tcb, 0)?;
    driver.give(slot::SIGNAL, signal)?;
    driver.give(slot::MEMORY, memory)?;
    driver.give(slot::PARTS, cnode)?;
    driver.give(slot::PARTS + 1, vspace)?;
    driver.give(slot::PARTS + 2, stack)?;
    driver.give(slot::PARTS + 3, heap)?;
    let workshop: Cap<Untyped, All> = authority.memory.make(WORKSHOP_BITS)?;
    driver.give(slot::WORKSHOP, workshop)?;
    driver.give(slot::IMAGE, image)?;
    driver.give(slot::LOADER, authority.loader)?;
    driver.configure(&authority.scheduler, SHARE, role::DRIVER)?;
    driver.give(slot::MACHINE, authority.machine)?;
    driver.start()
}

fn instance(authority: &mut Authority, image: &Cap<Image, All>) -> Result<Instance, KernelError> {
    Instance::new(&mut authority.memory, &authority.loader, image)
}

fn launch(authority: &Authority, instance: &Instance, share: Share, role: u64) -> Result<(), KernelError> {
    instance.configure(&authority.scheduler, share, role)?;
    instance.start()
}
