//! Input and output ports.

use x86_64::instructions::port::{Port, PortRead, PortWrite};

/// Reads from a port.
///
/// # Safety
/// The port must belong to a device that the caller owns, and what the device does on this read must not break memory safety.
pub unsafe fn read<T: PortRead>(port: u16) -> T {
    // SAFETY: the caller's promise is the same as that of `Port::read`.
    unsafe { Port::new(port).read() }
}

/// Writes to a port.
///
/// # Safety
/// The port must belong to a device that the caller owns, and what the device does on this write must not break memory safety
/// (no DMA to memory that is not the device's, for instance).
pub unsafe fn write<T: PortWrite>(port: u16, value: T) {
    // SAFETY: the caller's promise is the same as that of `Port::write`.
    unsafe { Port::new(port).write(value) }
}

/// The port of QEMU's `isa-debug-exit` device, as the runner configures it.
const DEBUG_EXIT: u16 = 0xf4;

/// The code for success; QEMU ends with status 33.
pub const SUCCESS: u8 = 0x10;
/// The code for failure; QEMU ends with status 35.
pub const FAILURE: u8 = 0x11;

/// The reset control register (Intel 82371AB data sheet, 4.3.1: PIIX4, and later chipsets alike).
const RESET_CONTROL: u16 = 0xcf9;
/// The keyboard controller's command register, for machines without the other one.
const KEYBOARD_COMMAND: u16 = 0x64;

/// Resets the machine, as the button does: the firmware starts anew. Where the machine has neither of the two means, stops for good.
pub fn reset() -> ! {
    crate::cpu::disable_interrupts();
    // A hard reset: chosen first (bit 1), then begun (bit 2).
    for value in [0x02, 0x06u8] {
        // SAFETY: the register belongs to the chipset, or to nothing; nothing runs after the reset whose memory could be hurt.
        unsafe { write(RESET_CONTROL, value) };
    }
    // SAFETY: the command pulses the processor's reset line, and touches no memory.
    unsafe { write(KEYBOARD_COMMAND, 0xfeu8) };
    crate::cpu::halt()
}

/// Ends the machine with the process status `2 * code + 1`. Where there is no such device, stops for good.
pub fn exit(code: u8) -> ! {
    // SAFETY: the port is that of the debug-exit device, or of none, which ignores writes. Neither touches memory.
    unsafe { write(DEBUG_EXIT, u32::from(code)) };
    crate::cpu::halt()
}
