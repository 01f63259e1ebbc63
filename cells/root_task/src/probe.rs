//! The tests of the kernel through real cells instead of the system, where the kernel's command line asks for them.

use abi::KernelError;
use abi::slots::{CONSOLE, FIRST_GRANTED, NOTIFICATION};
use abi::token::{All, CallOnly, Cap, Machine, Notification, Rights, Settle, Untyped};
use runtime::Environment;
use runtime::objects::{self, Share};
use spawner::{Instance, Memory};

use crate::pci::{self, Functions};
use crate::services::Service;
use crate::{Authority, archive, bench};

/// The word of the command line, and the name of the cell.
const NAME: &str = "probe";

/// Slots of the cell beyond the fixed ones; it has the same.
mod slot {
    use super::FIRST_GRANTED;

    pub const MACHINE: u32 = FIRST_GRANTED;
    pub const SCHEDULER: u32 = FIRST_GRANTED + 1;
    pub const MEMORY: u32 = FIRST_GRANTED + 2;
    pub const LOADER: u32 = FIRST_GRANTED + 3;
    pub const SETTLE: u32 = FIRST_GRANTED + 4;
    pub const IMAGE: u32 = FIRST_GRANTED + 5;
    pub const LINE: u32 = FIRST_GRANTED + 6;
}

/// Bytes of memory for the tests, in bits: twice the room of one.
const MEMORY_BITS: u8 = 26;
/// Below everything that the tests start.
const SHARE: Share = Share::unlimited(1);

/// Whether the command line has the word.
pub fn is_wanted(machine: &Cap<Machine, All>) -> bool {
    bench::has_word(machine, NAME)
}

/// Starts the tests; they halt the machine when they are done.
///
/// # Panics
/// Where they cannot be started.
pub fn start(authority: Authority, environment: &mut Environment, console: &Service) -> u64 {
    if let Err(error) = try_start(authority, environment, console) {
        panic!("the tests of the kernel cannot be started: {error:?}");
    }
    0
}

fn try_start(mut authority: Authority, environment: &mut Environment, console: &Service) -> Result<(), KernelError> {
    let settle: Cap<Settle, All> = environment.need(FIRST_GRANTED + 2, "the authority over scopes");
    let Some((_, line)) = Functions::new(environment).find(environment, pci::VIRTIO, &pci::BLOCK) else {
        panic!("the tests need the interrupt line of a block device: give the machine a disk")
    };
    let Some(entry) = archive::find(&authority.loader, NAME) else {
        panic!("the boot archive has no image of {NAME}: it was built without it")
    };
    let image = spawner::image(&mut authority.memory, &entry.bytes)?;
    let tests = Instance::new(&mut authority.memory, &authority.loader, &image)?;
    let memory: Cap<Untyped, All> = authority.memory.make(MEMORY_BITS)?;
    let notification: Cap<Notification, All> = authority.memory.make(0)?;
    objects::copy(&console.endpoint, &tests.cnode, CONSOLE, CallOnly::BITS, 0)?;
    tests.give(NOTIFICATION, notification)?;
    tests.grant(slot::SCHEDULER, &authority.scheduler, 0)?;
    tests.configure(&authority.scheduler, SHARE, 0)?;
    tests.give(slot::MEMORY, memory)?;
    tests.give(slot::IMAGE, image)?;
    tests.give(slot::SETTLE, settle)?;
    tests.give(slot::LINE, line)?;
    tests.give(slot::MACHINE, authority.machine)?;
    tests.give(slot::LOADER, authority.loader)?;
    tests.start()
}
