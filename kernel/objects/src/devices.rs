//! Devices: interrupt lines, PCI functions, ports, and the serial line as a cell sees it.

use abi::KernelError;
use capability::{ObjectKind, Slot};
use x86::{io_apic, ports, serial};

use crate::exclusive::Exclusive;
use crate::notification::Notification;
use crate::tcb::Tcb;
use crate::vspace::{Region, VSpace};
use crate::{Failure, authority, memory, scheduler};

/// Who is told of a line's interrupts, and with which bits.
struct Line {
    notification: Slot,
    bits: core::cell::Cell<u64>,
}

impl Line {
    #[expect(clippy::declare_interior_mutable_const, reason = "each use is a new line, which is what it is for")]
    const UNBOUND: Line = Line { notification: Slot::EMPTY, bits: core::cell::Cell::new(0) };

    fn bind(&self, notification: &Slot, bits: u64) -> Result<(), Failure> {
        let _ = authority::with(|context| capability::delete(context, &self.notification, authority::BUDGET))?;
        authority::with(|context| capability::copy(context, notification, &self.notification, notification.rights()))?;
        self.bits.set(bits);
        Ok(())
    }

    fn notification(&self) -> Option<&Notification> {
        let is_bound = self.notification.is(ObjectKind::Notification);
        // SAFETY: the slot's capability keeps it alive.
        is_bound.then(|| unsafe { Notification::at(self.notification.object() as usize) })
    }

    fn signal(&self) {
        if let Some(notification) = self.notification() {
            notification.signal(self.bits.get());
        }
    }
}

static LINES: Exclusive<[Line; x86::interrupts::EXTERNAL_COUNT as usize]> =
    Exclusive::new([const { Line::UNBOUND }; x86::interrupts::EXTERNAL_COUNT as usize]);
static SERIAL: Exclusive<Line> = Exclusive::new(Line::UNBOUND);
/// Whether who watches the serial line has ever taken the log.
static LOG_TAKEN: Exclusive<core::cell::Cell<bool>> = Exclusive::new(core::cell::Cell::new(false));

/// An interrupt of a device, from the interrupt.
pub fn on_interrupt(gsi: u8) {
    if gsi == io_apic::legacy(serial::IRQ).0 {
        serial::on_interrupt();
        SERIAL.get().signal();
    } else if let Some(line) = LINES.get().get(usize::from(gsi)) {
        line.signal();
    }
}

/// Tells a notification of each interrupt of a line, and lets them through.
pub(crate) fn bind_irq(gsi: u8, notification: &Slot, bits: u64) -> Result<(), Failure> {
    let line = LINES.get().get(usize::from(gsi)).ok_or(KernelError::OutOfRange)?;
    line.bind(notification, bits)?;
    // The line of a PCI function is level-triggered; the firmware's overrides say how it signals.
    let (_, _, polarity) = io_apic::legacy(gsi);
    io_apic::route(gsi, io_apic::Trigger::Level, polarity).map_err(|_| KernelError::OutOfRange)?;
    acknowledge_irq(gsi)
}

/// Lets the next interrupt of a line through.
pub(crate) fn acknowledge_irq(gsi: u8) -> Result<(), Failure> {
    io_apic::unmask(gsi).map_err(|_| Failure(KernelError::OutOfRange, 0))
}

/// The note at the slot of a function that was written to, or of a line that was bound: whose cell ends without having used a
/// device leaves it to those who do. Lines are shared, and bridges must go on.
pub(crate) const IN_USE: [u64; 2] = [1, 0];

/// Holds a line back and forgets who was told: its driver has ended.
pub(crate) fn release_irq(gsi: u8) {
    // A line that does not exist was never bound.
    let _ = io_apic::mask(gsi);
    if let Some(line) = LINES.get().get(usize::from(gsi))
        // In the middle of an operation of the object layer the notification stays until the line is bound anew.
        && !authority::is_busy()
    {
        let _ = authority::with(|context| capability::delete(context, &line.notification, authority::BUDGET));
    }
}

/// Takes the bus from a function (bit 2 of the command register, section 6.2.2): its driver has ended, and what it was told to
/// write to may belong to others soon.
pub(crate) fn silence(function: u64) {
    if let Ok(command) = raw_configuration(function, COMMAND, 2, None) {
        let _ = raw_configuration(function, COMMAND, 2, Some(command as u32 & !BUS_MASTER));
    }
}

/// Tells a notification when the serial line has news.
pub(crate) fn watch_serial(notification: &Slot, bits: u64) -> Result<(), Failure> {
    LOG_TAKEN.get().set(false);
    SERIAL.get().bind(notification, bits)
}

/// Takes what was kept of the kernel's log. From the first time on it is kept for who watches the serial line.
pub(crate) fn take_log(into: &mut [u8]) -> usize {
    LOG_TAKEN.get().set(true);
    serial::take_log(into)
}

/// Whether a thread lives that takes the kernel's log: not where that thread is the one that runs, which may be about to
/// end. Call it with interrupts off.
pub fn is_log_read() -> bool {
    let reader = SERIAL.get().notification().and_then(Notification::thread);
    let is_other = |reader: &Tcb| scheduler::try_current().is_some_and(|me| !core::ptr::eq(me, reader));
    LOG_TAKEN.get().get() && reader.is_some_and(is_other)
}

/// Tells who takes the kernel's log that there is more. Call it with interrupts off.
pub fn signal_log() {
    SERIAL.get().signal();
}

/// Reads or writes a port of a width.
pub(crate) fn port(port: u16, width: u64, write: Option<u32>) -> Result<u64, Failure> {
    match (width, write) {
        // SAFETY: here and below: the capability that was invoked covers the port, and whoever granted it answers for the
        // device behind.
        (1, None) => Ok(unsafe { ports::read::<u8>(port) }.into()),
        // SAFETY: as above.
        (2, None) => Ok(unsafe { ports::read::<u16>(port) }.into()),
        // SAFETY: as above.
        (4, None) => Ok(unsafe { ports::read::<u32>(port) }.into()),
        (1, Some(value)) => {
            // SAFETY: as above.
            unsafe { ports::write(port, value as u8) };
            Ok(0)
        }
        (2, Some(value)) => {
            // SAFETY: as above.
            unsafe { ports::write(port, value as u16) };
            Ok(0)
        }
        (4, Some(value)) => {
            // SAFETY: as above.
            unsafe { ports::write(port, value) };
            Ok(0)
        }
        _ => Err(KernelError::InvalidArgument.into()),
    }
}

const CONFIG_ADDRESS: u16 = 0xcf8;
const CONFIG_DATA: u16 = 0xcfc;
const FIRST_BAR: u16 = 0x10;
const LAST_BAR: u16 = 0x24;
const CONFIG_BYTES: u16 = 256;
const COMMAND: u16 = 4;
const BUS_MASTER: u32 = 1 << 2;

/// Reads or writes a function's configuration space (PCI Local Bus 3.0, section 3.2.2.3.2). `function` is bus, device and
/// function in the form of the address register.
pub(crate) fn configuration(function: u64, offset: u64, width: u64, write: Option<u32>) -> Result<u64, Failure> {
    let offset = u16::try_from(offset).map_err(|_| KernelError::OutOfRange)?;
    if offset >= CONFIG_BYTES || !matches!(width, 1 | 2 | 4) || u64::from(offset) % width != 0 {
        return Err(Failure(KernelError::OutOfRange, u64::from(CONFIG_BYTES) - 1));
    }
    let is_bar = (FIRST_BAR..LAST_BAR + 4).contains(&offset);
    if write.is_some() && is_bar {
        return Err(KernelError::IllegalOperation.into());
    }
    raw_configuration(function, offset, width, write)
}

fn raw_configuration(function: u64, offset: u16, width: u64, write: Option<u32>) -> Result<u64, Failure> {
    let address = 0x8000_0000 | (function as u32) << 8 | u32::from(offset & !3);
    port(CONFIG_ADDRESS, 4, Some(address))?;
    port(CONFIG_DATA + (offset & 3), width, write)
}

/// The functions that answer on bus 0 to 255, with the interrupt line that the firmware noted, to `found`.
pub(crate) fn enumerate(mut found: impl FnMut(u64, u8)) {
    for function in 0..=u64::from(u16::MAX) {
        let bus = function >> 8;
        // Bridges are not followed: the firmware numbers few buses, and one with nothing at device 0 has nothing.
        if bus > 0 && (function & 0xff) > 0 && !answers(bus << 8) {
            continue;
        }
        if bus > 3 {
            return;
        }
        if answers(function) {
            let line = raw_configuration(function, 0x3c, 1, None).unwrap_or(0xff);
            found(function, line as u8);
        }
    }
}

fn answers(function: u64) -> bool {
    raw_configuration(function, 0, 2, None).is_ok_and(|vendor| vendor != 0xffff)
}

/// The number of the port at an offset into a BAR of ports (section 6.2.5.1). How many there are is asked once, which takes the device
/// off the bus for a moment, and noted with the capability that it is in use.
pub(crate) fn bar_port(slot: &Slot, bar: u64, offset: u64) -> Result<u16, Failure> {
    let at = u16::try_from(bar).ok().filter(|bar| *bar < 6).ok_or(KernelError::InvalidArgument)? * 4 + FIRST_BAR;
    let function = slot.object();
    let base = raw_configuration(function, at, 4, None)? as u32;
    if base & 1 == 0 || base & !3 == 0 {
        return Err(KernelError::InvalidArgument.into());
    }
    let ports = match slot.note() {
        [_, noted] if noted >> 32 == bar + 1 => noted & u64::from(u32::MAX),
        _ => {
            let mask = sizes(function, at, base)? | 0xffff_0000;
            let ports = u64::from(!(mask & !3)) + 1;
            let [in_use, _] = IN_USE;
            slot.set_note([in_use, (bar + 1) << 32 | ports])?;
            ports
        }
    };
    if offset >= ports {
        return Err(Failure(KernelError::OutOfRange, ports - 1));
    }
    u16::try_from(u64::from(base & !3) + offset).map_err(|_| KernelError::OutOfRange.into())
}

/// What a base address register reads back of all ones; the device does not decode meanwhile (section 6.2.5.1).
fn sizes(function: u64, at: u16, base: u32) -> Result<u32, Failure> {
    let command = raw_configuration(function, COMMAND, 2, None)? as u32;
    raw_configuration(function, COMMAND, 2, Some(command & !3))?;
    raw_configuration(function, at, 4, Some(u32::MAX))?;
    let mask = raw_configuration(function, at, 4, None)? as u32;
    raw_configuration(function, at, 4, Some(base))?;
    raw_configuration(function, COMMAND, 2, Some(command))?;
    Ok(mask)
}

/// Whether a capability says that the device is in use.
pub(crate) fn is_in_use(slot: &Slot) -> bool {
    let ([noted, _], [in_use, _]) = (slot.note(), IN_USE);
    noted == in_use
}

/// Maps a memory BAR of a function uncached.
pub(crate) fn map_bar(function: u64, bar: u64, vspace: &VSpace) -> Result<Region, Failure> {
    let bar = u16::try_from(bar).ok().filter(|bar| *bar < 6).ok_or(KernelError::InvalidArgument)?;
    let offset = FIRST_BAR + 4 * bar;
    let low = raw_configuration(function, offset, 4, None)? as u32;
    if low & 1 != 0 {
        return Err(KernelError::InvalidArgument.into());
    }
    let is_wide = low >> 1 & 3 == 2;
    let high = if is_wide { raw_configuration(function, offset + 4, 4, None)? } else { 0 };
    let physical = high << 32 | u64::from(low & !15);
    if physical == 0 {
        return Err(KernelError::InvalidArgument.into());
    }
    let mask = sizes(function, offset, low)?;
    let bytes = u64::from(!(mask & !15)) + 1;
    let page = paging::layout::PAGE;
    let first = physical & !(page - 1);
    let whole = (physical + bytes - first).next_multiple_of(page);
    // An instance that begins again finds the registers where the one before it had them.
    let region = match vspace.device(first, whole) {
        Some(region) => region,
        None => {
            let region = memory::map_device(first, whole)?;
            vspace.add(region)?;
            region
        }
    };
    Ok(Region { start: region.start + (physical - first), bytes })
}
