//! Devices: serial line, interrupts, PCI functions, ports, memory for DMA; and the machine as a whole.

use abi::KernelError;
use abi::token::RawCap;
use capability::{ObjectKind, Rights};
use x86::serial;

use super::{Result, Words, bytes, object, read_part, room, token, vspace};
use crate::{Failure, devices, instance, root};

/// # Safety
/// As [`super::invoke`].
pub(super) unsafe fn serial_write(raw: RawCap, words: &Words) -> Result<u64> {
    object(raw, ObjectKind::Serial, Rights::WRITE)?;
    // SAFETY: the caller's word.
    Ok(serial::send(unsafe { bytes(words[0], words[1]) }) as u64)
}

/// # Safety
/// As [`super::invoke`].
pub(super) unsafe fn serial_read(raw: RawCap, words: &Words) -> Result<u64> {
    object(raw, ObjectKind::Serial, Rights::READ)?;
    // SAFETY: the caller's word.
    Ok(serial::receive(unsafe { room(words[0], words[1]) }) as u64)
}

pub(super) fn serial_watch(raw: RawCap, words: &Words) -> Result<u64> {
    object(raw, ObjectKind::Serial, Rights::READ)?;
    let notification = object(token(words, 0), ObjectKind::Notification, Rights::SEND)?;
    devices::watch_serial(notification, words[2]).map(|()| 0)
}

/// # Safety
/// As [`super::invoke`].
pub(super) unsafe fn serial_log(raw: RawCap, words: &Words) -> Result<u64> {
    object(raw, ObjectKind::Serial, Rights::READ)?;
    // SAFETY: the caller's word.
    Ok(devices::take_log(unsafe { room(words[0], words[1]) }) as u64)
}

pub(super) fn irq_bind(raw: RawCap, words: &Words) -> Result<u64> {
    let slot = object(raw, ObjectKind::Irq, Rights::empty())?;
    let notification = object(token(words, 0), ObjectKind::Notification, Rights::SEND)?;
    devices::bind_irq(slot.object() as u8, notification, words[2])?;
    slot.set_note(devices::IN_USE)?;
    Ok(0)
}

pub(super) fn irq_acknowledge(raw: RawCap) -> Result<u64> {
    devices::acknowledge_irq(object(raw, ObjectKind::Irq, Rights::empty())?.object() as u8).map(|()| 0)
}

pub(super) fn pci_read(raw: RawCap, words: &Words) -> Result<u64> {
    let function = object(raw, ObjectKind::PciFunction, Rights::READ)?.object();
    devices::configuration(function, words[0], words[1], None)
}

pub(super) fn pci_write(raw: RawCap, words: &Words) -> Result<u64> {
    let slot = object(raw, ObjectKind::PciFunction, Rights::WRITE)?;
    slot.set_note(devices::IN_USE)?;
    devices::configuration(slot.object(), words[0], words[1], Some(words[2] as u32))
}

pub(super) fn pci_map(raw: RawCap, words: &mut Words) -> Result<u64> {
    let function = object(raw, ObjectKind::PciFunction, Rights::READ | Rights::WRITE)?.object();
    let region = devices::map_bar(function, words[0], vspace(token(words, 1))?)?;
    words[0] = region.bytes;
    Ok(region.start)
}

/// # Safety
/// As [`super::invoke`].
pub(super) unsafe fn pci_port_read(raw: RawCap, words: &Words) -> Result<u64> {
    let slot = object(raw, ObjectKind::PciFunction, Rights::READ)?;
    let port = devices::bar_port(slot, words[0], words[1])?;
    // SAFETY: the caller's word.
    for byte in unsafe { room(words[2], words[3]) } {
        *byte = devices::port(port, 1, None)? as u8;
    }
    Ok(0)
}

/// # Safety
/// As [`super::invoke`].
pub(super) unsafe fn pci_port_write(raw: RawCap, words: &Words) -> Result<u64> {
    let slot = object(raw, ObjectKind::PciFunction, Rights::WRITE)?;
    let port = devices::bar_port(slot, words[0], words[1])?;
    // SAFETY: the caller's word.
    for byte in unsafe { bytes(words[2], words[3]) } {
        devices::port(port, 1, Some((*byte).into()))?;
    }
    Ok(0)
}

pub(super) fn port_read(raw: RawCap, words: &Words) -> Result<u64> {
    devices::port(port(raw, words, Rights::READ)?, words[1], None)
}

pub(super) fn port_write(raw: RawCap, words: &Words) -> Result<u64> {
    devices::port(port(raw, words, Rights::WRITE)?, words[1], Some(words[2] as u32))
}

fn port(raw: RawCap, words: &Words, rights: Rights) -> Result<u16> {
    let slot = object(raw, ObjectKind::IoPort, rights)?;
    let (first, count, port, width) = (slot.object(), slot.badge(), words[0], words[1]);
    if port < first || port.saturating_add(width) > first + count {
        return Err(Failure(KernelError::OutOfRange, first + count - 1));
    }
    Ok(port as u16)
}

pub(super) fn dma_map(raw: RawCap, words: &mut Words) -> Result<u64> {
    let slot = object(raw, ObjectKind::DmaFrame, Rights::READ | Rights::WRITE)?;
    let region = instance::map(slot, vspace(token(words, 0))?)?;
    words[0] = crate::memory::physical(slot.object()).as_u64();
    words[1] = region.bytes;
    Ok(region.start)
}

pub(super) fn halt(raw: RawCap, words: &Words) -> Result<u64> {
    object(raw, ObjectKind::Machine, Rights::empty())?;
    serial::send_polled(&[]);
    x86::ports::exit(if words[0] == 0 { x86::ports::SUCCESS } else { words[0] as u8 })
}

pub(super) fn reset(raw: RawCap) -> Result<u64> {
    object(raw, ObjectKind::Machine, Rights::empty())?;
    serial::send_polled(&[]);
    x86::ports::reset()
}

pub(super) fn machine_info(raw: RawCap, words: &mut Words) -> Result<u64> {
    object(raw, ObjectKind::Machine, Rights::empty())?;
    words[0] = x86::clock::time_stamp_frequency();
    words[1] = serial::lost();
    (words[2], words[3]) = crate::memory::own_use();
    Ok(0)
}

/// # Safety
/// As [`super::invoke`].
pub(super) unsafe fn command_line(raw: RawCap, words: &Words) -> Result<u64> {
    object(raw, ObjectKind::Machine, Rights::empty())?;
    // SAFETY: the caller's word.
    read_part(root::command_line().as_bytes(), 0, unsafe { room(words[0], words[1]) })
}
