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

/// Ends the machine with the process status `2 * code + 1`. Where there is no such device, stops for good.
pub fn exit(code: u8) -> ! {
    // SAFETY: the port is that of the debug-exit device, or of none, which ignores writes. Neither touches memory.
    unsafe { write(DEBUG_EXIT, u32::from(code)) };
    crate::cpu::halt()
}
