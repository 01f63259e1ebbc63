//! What safe code cannot do, for tests of what the kernel does then.
//!
//! The builder puts a door to it into the wrapper of a cell whose entry in the boot set says `faults = true`, and refuses that
//! for a cell that is not for tests. Every other cell has no such code, and [`commit`] does nothing in it.

use abi::token::RawCap;
use spin::Once;

/// Something that safe code cannot do. An address is one that the cell made up, or that was its own once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// Reads the byte at an address.
    Read(usize),
    /// Writes the byte at an address.
    Write(usize),
    /// Calls what stands at an address.
    Call(usize),
    /// Executes an instruction that does not exist.
    UndefinedInstruction,
    /// Loads a segment that does not exist: a general protection fault.
    GeneralProtection,
    /// Answers whatever request the named reply object holds; brings the kernel's status.
    Reply(RawCap),
    /// Calls the named object with a label and no words, whatever it is; brings the kernel's status, or the server's.
    Send(RawCap, u32),
    /// Receives at the first object with the second, whatever they are; brings the kernel's status where that is refused.
    Receive(RawCap, RawCap),
}

static DOOR: Once<fn(Act) -> u64> = Once::new();

/// Opens the door; the generated wrapper of a cell for tests does this before the cell's `main`.
pub fn open(door: fn(Act) -> u64) {
    DOOR.call_once(|| door);
}

/// Does it, and answers what came of it, if it comes back. `None` in a cell without the door, which is all but those for
/// tests: then nothing was done.
pub fn commit(act: Act) -> Option<u64> {
    DOOR.get().map(|door| door(act))
}
