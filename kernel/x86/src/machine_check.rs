//! Machine checks: errors that the hardware itself found (AMD64 manual 2, chapter 9).
//!
//! Without [`install`] a processor that meets one shuts down without a word. With it the machine-check exception is raised, whose
//! handler finds in [`reports`] what the banks of error registers say.

use crate::cpu::cpuid;
use x86_64::registers::control::{Cr4, Cr4Flags};
use x86_64::registers::model_specific::Msr;

const CAPABILITIES: u32 = 0x179;
const CONTROL: u32 = 0x17b;
/// The control register of bank 0; its status and address come next, and each bank has four.
const FIRST_BANK: u32 = 0x400;
/// In `CAPABILITIES`: there is a `CONTROL`.
const HAS_CONTROL: u64 = 1 << 8;
/// In a bank's status: the rest says something, and so does the address.
const VALID: u64 = 1 << 63;
const ADDRESS_VALID: u64 = 1 << 58;

/// What a bank of error registers says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Report {
    /// Which bank.
    pub bank: u32,
    /// Its status, to be read with the processor's manual.
    pub status: u64,
    /// The address that it is about, if it is about one.
    pub address: Option<u64>,
}

/// Asks for every error that each bank can report, and for the exception. Does nothing on a processor without the registers.
pub fn install() {
    let features = cpuid(1, 0).edx;
    if features & (1 << 7) == 0 || features & (1 << 14) == 0 {
        return;
    }
    let capabilities = read(CAPABILITIES);
    if capabilities & HAS_CONTROL != 0 {
        // SAFETY: the processor says that it has the register, each bit of which turns a kind of report on.
        unsafe { Msr::new(CONTROL).write(u64::MAX) };
    }
    for bank in 0..(capabilities & 0xff) as u32 {
        // SAFETY: the bank exists, and each bit of its control register turns a kind of report on.
        unsafe { Msr::new(FIRST_BANK + 4 * bank).write(u64::MAX) };
        // SAFETY: the bank exists; to write zero to its status is to forget errors from before this boot.
        unsafe { Msr::new(FIRST_BANK + 4 * bank + 1).write(0) };
    }
    // SAFETY: the processor has the exception, and its vector a gate.
    unsafe { Cr4::update(|flags| *flags |= Cr4Flags::MACHINE_CHECK_EXCEPTION) };
}

/// What the banks say, for the handler of the exception, which only a processor with the registers raises.
pub fn reports() -> impl Iterator<Item = Report> {
    (0..(read(CAPABILITIES) & 0xff) as u32).filter_map(|bank| {
        let status = read(FIRST_BANK + 4 * bank + 1);
        let address = (status & ADDRESS_VALID != 0).then(|| read(FIRST_BANK + 4 * bank + 2));
        (status & VALID != 0).then_some(Report { bank, status, address })
    })
}

/// Reads one of the registers above, on a processor that has them.
fn read(register: u32) -> u64 {
    // SAFETY: `install` looked whether the processor has machine-check registers, and to read one has no effect.
    unsafe { Msr::new(register).read() }
}
