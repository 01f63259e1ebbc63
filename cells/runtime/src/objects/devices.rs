//! Devices: serial line, interrupts, PCI functions, ports, memory for DMA.

use abi::kernel::Operation;
use abi::token::{All, Cap, DmaFrame, IoPort, Irq, Notification, PciFunction, Serial, VSpace};

use super::{Result, invoke_with, words};
use crate::kernel::invoke;

/// Writes bytes to the serial console; answers how many were taken.
///
/// # Errors
/// `InvalidCapability`.
pub fn serial_write(serial: &Cap<Serial, All>, bytes: &[u8]) -> Result<u64> {
    invoke_with(Operation::SerialWrite, serial.raw(), &[bytes.as_ptr().expose_provenance() as u64, bytes.len() as u64])
}

/// Reads what has been typed; answers the number of bytes, 0 for none.
///
/// # Errors
/// `InvalidCapability`.
pub fn serial_read(serial: &Cap<Serial, All>, into: &mut [u8]) -> Result<u64> {
    let given = [into.as_mut_ptr().expose_provenance() as u64, into.len() as u64];
    invoke_with(Operation::SerialRead, serial.raw(), &given)
}

/// Takes what the kernel has logged, whole lines of it if there is room for all; answers the number of bytes, 0 for none. From
/// the first use on the log comes this way alone.
///
/// # Errors
/// `InvalidCapability`.
pub fn serial_log(serial: &Cap<Serial, All>, into: &mut [u8]) -> Result<u64> {
    let given = [into.as_mut_ptr().expose_provenance() as u64, into.len() as u64];
    invoke_with(Operation::SerialLog, serial.raw(), &given)
}

/// Signals `bits` when bytes arrive at the console, room for output, or a line of the kernel's log.
///
/// # Errors
/// `InvalidCapability`.
pub fn serial_watch(serial: &Cap<Serial, All>, notification: &Cap<Notification, All>, bits: u64) -> Result<()> {
    let notification = notification.raw();
    invoke_with(Operation::SerialWatch, serial.raw(), &[notification.slot, notification.generation, bits]).map(drop)
}

/// Signals `bits` at each interrupt of a line.
///
/// # Errors
/// `InvalidCapability`.
pub fn irq_bind(irq: &Cap<Irq, All>, notification: &Cap<Notification, All>, bits: u64) -> Result<()> {
    let notification = notification.raw();
    invoke_with(Operation::IrqBind, irq.raw(), &[notification.slot, notification.generation, bits]).map(drop)
}

/// Reads bytes of one port of a function.
///
/// # Errors
/// `OutOfRange` outside of its BAR, or where that is of memory.
pub fn pci_port_read(function: &Cap<PciFunction, All>, bar: u64, offset: u64, into: &mut [u8]) -> Result<()> {
    let given = [bar, offset, into.as_mut_ptr().expose_provenance() as u64, into.len() as u64];
    invoke_with(Operation::PciPortRead, function.raw(), &given).map(drop)
}

/// Writes bytes to one port of a function.
///
/// # Errors
/// As [`pci_port_read`].
pub fn pci_port_write(function: &Cap<PciFunction, All>, bar: u64, offset: u64, bytes: &[u8]) -> Result<()> {
    let given = [bar, offset, bytes.as_ptr().expose_provenance() as u64, bytes.len() as u64];
    invoke_with(Operation::PciPortWrite, function.raw(), &given).map(drop)
}

/// Lets the next interrupt of a line through.
///
/// # Errors
/// `InvalidCapability`.
pub fn irq_acknowledge(irq: &Cap<Irq, All>) -> Result<()> {
    invoke_with(Operation::IrqAcknowledge, irq.raw(), &[]).map(drop)
}

/// Reads a register of a function's configuration space; `width` is 1, 2 or 4.
///
/// # Errors
/// `OutOfRange`.
pub fn pci_read(function: &Cap<PciFunction, All>, offset: u16, width: u8) -> Result<u32> {
    invoke_with(Operation::PciRead, function.raw(), &[offset.into(), width.into()]).map(|value| value as u32)
}

/// Writes a register of a function's configuration space. The kernel refuses to move BARs.
///
/// # Errors
/// `OutOfRange`, `IllegalOperation`.
pub fn pci_write(function: &Cap<PciFunction, All>, offset: u16, width: u8, value: u32) -> Result<()> {
    invoke_with(Operation::PciWrite, function.raw(), &[offset.into(), width.into(), value.into()]).map(drop)
}

/// Maps a BAR uncached; answers address and length.
///
/// # Errors
/// `InvalidArgument` for a BAR that is not memory.
pub fn pci_map(function: &Cap<PciFunction, All>, bar: u8, vspace: &Cap<VSpace, All>) -> Result<(u64, u64)> {
    let vspace = vspace.raw();
    let mut words = words(&[bar.into(), vspace.slot, vspace.generation]);
    let address = invoke(Operation::PciMap, function.raw(), &mut words)?;
    Ok((address, words[0]))
}

/// Reads a port; `width` is 1, 2 or 4.
///
/// # Errors
/// `OutOfRange`.
pub fn port_read(ports: &Cap<IoPort, All>, port: u16, width: u8) -> Result<u32> {
    invoke_with(Operation::PortRead, ports.raw(), &[port.into(), width.into()]).map(|value| value as u32)
}

/// Writes a port.
///
/// # Errors
/// `OutOfRange`.
pub fn port_write(ports: &Cap<IoPort, All>, port: u16, width: u8, value: u32) -> Result<()> {
    invoke_with(Operation::PortWrite, ports.raw(), &[port.into(), width.into(), value.into()]).map(drop)
}

/// Maps a DMA frame; answers its address, its physical address and its length.
///
/// # Errors
/// `IllegalOperation` where it is mapped already.
pub fn dma_map(frame: &Cap<DmaFrame, All>, vspace: &Cap<VSpace, All>) -> Result<(u64, u64, u64)> {
    let vspace = vspace.raw();
    let mut words = words(&[vspace.slot, vspace.generation]);
    let address = invoke(Operation::DmaMap, frame.raw(), &mut words)?;
    Ok((address, words[0], words[1]))
}
