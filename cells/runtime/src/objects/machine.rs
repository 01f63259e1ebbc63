//! The machine as a whole.

use abi::kernel::Operation;
use abi::token::{All, Cap, Machine};

use super::{Result, invoke_with, words};
use crate::kernel::invoke;

/// Stops the machine at once: 0 for a clean end, anything else for a failure.
pub fn halt(machine: &Cap<Machine, All>, code: u64) -> ! {
    let _ = invoke_with(Operation::Halt, machine.raw(), &[code]);
    panic!("bug: the machine did not halt")
}

/// Resets the machine: it boots again, as after the button.
pub fn reset(machine: &Cap<Machine, All>) -> ! {
    let _ = invoke_with(Operation::Reset, machine.raw(), &[]);
    panic!("bug: the machine was not reset")
}

/// What the machine is and what the kernel uses of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MachineInfo {
    /// Ticks of the time-stamp counter a second.
    pub time_stamp_frequency: u64,
    /// Bytes from the serial line that nobody fetched in time.
    pub serial_lost: u64,
    /// Bytes of the kernel's heap that are in use.
    pub kernel_heap: u64,
    /// Frames that are left for page tables.
    pub table_frames: u64,
}

/// Reads the machine's account.
///
/// # Errors
/// `InvalidCapability`.
pub fn machine_info(machine: &Cap<Machine, All>) -> Result<MachineInfo> {
    let mut words = words(&[]);
    invoke(Operation::MachineInfo, machine.raw(), &mut words)?;
    let [time_stamp_frequency, serial_lost, kernel_heap, table_frames, ..] = words;
    Ok(MachineInfo { time_stamp_frequency, serial_lost, kernel_heap, table_frames })
}

/// The boot command line, as much of it as fits; answers its length in all.
///
/// # Errors
/// `InvalidCapability`.
pub fn command_line(machine: &Cap<Machine, All>, into: &mut [u8]) -> Result<u64> {
    let given = [into.as_mut_ptr().expose_provenance() as u64, into.len() as u64];
    invoke_with(Operation::CommandLine, machine.raw(), &given)
}
