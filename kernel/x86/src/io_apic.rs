//! The I/O APIC: which device interrupts whom.

use crate::acpi::{Override, Platform};
use crate::interrupts::{APIC_ERROR, EXTERNAL, EXTERNAL_COUNT};
use crate::lock::IrqMutex;
use crate::{local_apic, pic};
use arrayvec::ArrayVec;
use core::sync::atomic::{AtomicU32, Ordering};
use x2apic::ioapic::{IoApic, IrqFlags, IrqMode, RedirectionTableEntry};
use x86_64::VirtAddr;

static CHIPS: IrqMutex<ArrayVec<Chip, 4>> = IrqMutex::new(ArrayVec::new_const());
static OVERRIDES: IrqMutex<ArrayVec<Override, 16>> = IrqMutex::new(ArrayVec::new_const());
/// A bit for each global system interrupt that is level-triggered.
static LEVEL: AtomicU32 = AtomicU32::new(0);

struct Chip {
    first: u32,
    count: u32,
    registers: IoApic,
}

/// How a device signals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// By a change of the line.
    Edge,
    /// For as long as the line is asserted.
    Level,
}

/// Which state of the line is "asserted".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Polarity {
    /// High.
    High,
    /// Low.
    Low,
}

/// No I/O APIC has this global system interrupt, or no vector is set aside for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoSuchInterrupt(pub u32);

/// Masks the legacy controllers, and takes the I/O APICs with all their lines masked.
///
/// # Safety
/// `map` gives, for the physical address of an I/O APIC's registers, where they are mapped, writable and uncached, for good; and
/// nothing else uses them.
pub unsafe fn install(platform: &Platform, map: impl Fn(u64) -> Option<VirtAddr>) {
    pic::mask();
    for chip in &platform.io_apics {
        let Some(registers) = map(chip.address) else {
            continue;
        };
        // SAFETY: mapped, uncached and unused by others, as the caller promises.
        let mut registers = unsafe { IoApic::new(registers.as_u64()) };
        // SAFETY: reads the version register.
        let last = unsafe { registers.max_table_entry() };
        for line in 0..=last {
            // What the firmware left there leads nowhere now: masked, and with a vector that is only acknowledged.
            let mut entry = RedirectionTableEntry::default();
            entry.set_vector(APIC_ERROR);
            entry.set_mode(IrqMode::Fixed);
            entry.set_flags(IrqFlags::MASKED);
            // SAFETY: `line` is within the table, by the chip's own word.
            unsafe { registers.set_table_entry(line, entry) };
        }
        let chip = Chip { first: chip.first_interrupt, count: u32::from(last) + 1, registers };
        if CHIPS.lock().try_push(chip).is_err() {
            return;
        }
    }
    *OVERRIDES.lock() = platform.overrides.clone();
}

/// Which global system interrupt a legacy interrupt line is, and how it signals.
pub fn legacy(irq: u8) -> (u8, Trigger, Polarity) {
    let overrides = OVERRIDES.lock();
    match overrides.iter().find(|entry| entry.irq == irq) {
        Some(entry) => (entry.interrupt as u8, entry.trigger, entry.polarity),
        None => (irq, Trigger::Edge, Polarity::High),
    }
}

/// Sends a global system interrupt to this CPU, at the vector `interrupts::EXTERNAL + gsi`. It stays masked.
pub fn route(gsi: u8, trigger: Trigger, polarity: Polarity) -> Result<(), NoSuchInterrupt> {
    if gsi >= EXTERNAL_COUNT {
        return Err(NoSuchInterrupt(u32::from(gsi)));
    }
    let bit = 1 << gsi;
    match trigger {
        Trigger::Level => LEVEL.fetch_or(bit, Ordering::Relaxed),
        Trigger::Edge => LEVEL.fetch_and(!bit, Ordering::Relaxed),
    };
    let mut flags = IrqFlags::MASKED;
    flags.set(IrqFlags::LEVEL_TRIGGERED, trigger == Trigger::Level);
    flags.set(IrqFlags::LOW_ACTIVE, polarity == Polarity::Low);
    let mut entry = RedirectionTableEntry::default();
    entry.set_vector(EXTERNAL + gsi);
    entry.set_mode(IrqMode::Fixed);
    entry.set_flags(flags);
    entry.set_dest(local_apic::id());
    with_line(gsi, |chip, line| {
        // SAFETY: the line exists, and its vector has a stub that leads to a handler.
        unsafe { chip.set_table_entry(line, entry) };
    })
}

/// Lets a routed interrupt through.
pub fn unmask(gsi: u8) -> Result<(), NoSuchInterrupt> {
    // SAFETY: the line exists, and its vector has a stub: that of `route`, or from `install` one that is only acknowledged.
    with_line(gsi, |chip, line| unsafe { chip.enable_irq(line) })
}

/// Holds an interrupt back. An edge that comes meanwhile is lost; a level is not.
pub fn mask(gsi: u8) -> Result<(), NoSuchInterrupt> {
    // SAFETY: the line exists.
    with_line(gsi, |chip, line| unsafe { chip.disable_irq(line) })
}

/// Masks a level-triggered interrupt, which would otherwise come again as soon as it is acknowledged.
pub(crate) fn hold_if_level(gsi: u8) {
    if LEVEL.load(Ordering::Relaxed) & (1 << gsi) != 0 {
        // It was delivered, so its line exists.
        let _ = mask(gsi);
    }
}

fn with_line<R>(gsi: u8, f: impl FnOnce(&mut IoApic, u8) -> R) -> Result<R, NoSuchInterrupt> {
    let gsi = u32::from(gsi);
    let mut chips = CHIPS.lock();
    let chip = chips.iter_mut().find(|chip| gsi >= chip.first && gsi - chip.first < chip.count);
    let chip = chip.ok_or(NoSuchInterrupt(gsi))?;
    // The table has at most 256 entries.
    Ok(f(&mut chip.registers, (gsi - chip.first) as u8))
}
