//! The firmware's description of the interrupt controllers (ACPI specification 6.5, section 5.2.12: MADT).

use crate::io_apic::{Polarity, Trigger};
use acpi::sdt::madt::{Madt, MadtEntry};
use acpi::{AcpiTables, Handler, PciAddress, PhysicalMapping};
use arrayvec::ArrayVec;
use core::ptr::NonNull;
use x86_64::VirtAddr;

/// Where the tables begin, as the boot loader found it.
#[derive(Clone, Copy, Debug)]
pub struct Root {
    /// 0 for ACPI 1.0, whose root table has 32-bit pointers.
    pub revision: u8,
    /// The physical address of the RSDT or XSDT.
    pub address: u64,
}

/// What the kernel wants to know.
#[derive(Clone, Debug)]
pub struct Platform {
    /// The physical address of the local APICs' registers.
    pub local_apic: u64,
    /// The I/O APICs.
    pub io_apics: ArrayVec<IoApicAddress, 4>,
    /// Legacy interrupts that are not what they would be by default.
    pub overrides: ArrayVec<Override, 16>,
}

/// One I/O APIC.
#[derive(Clone, Copy, Debug)]
pub struct IoApicAddress {
    /// The physical address of its registers.
    pub address: u64,
    /// The global system interrupt of its first line.
    pub first_interrupt: u32,
}

/// One legacy interrupt that differs from the default (same number, edge, high).
#[derive(Clone, Copy, Debug)]
pub struct Override {
    /// The legacy line.
    pub irq: u8,
    /// Its global system interrupt.
    pub interrupt: u32,
    /// How it signals.
    pub trigger: Trigger,
    /// Its asserted state.
    pub polarity: Polarity,
}

/// Why the tables are of no use. The machine's fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AcpiError {
    /// The root table could not be read.
    Root,
    /// There is no MADT, or it names no I/O APIC.
    NoInterruptControllers,
}

/// Reads the tables.
///
/// # Safety
/// `root` comes from the firmware, and `map` makes a range of physical memory readable, for good, and says where.
pub unsafe fn read(root: Root, map: &dyn Fn(u64, u64) -> Option<VirtAddr>) -> Result<Platform, AcpiError> {
    let handler = Tables { map };
    // SAFETY: the address is the firmware's, as the caller promises.
    let tables = unsafe { AcpiTables::from_rsdt(handler, root.revision, root.address as usize) };
    let tables = tables.map_err(|_| AcpiError::Root)?;
    let madt = tables.find_table::<Madt>().ok_or(AcpiError::NoInterruptControllers)?;
    let madt = madt.get();
    let mut platform = Platform {
        local_apic: u64::from(madt.local_apic_address),
        io_apics: ArrayVec::new(),
        overrides: ArrayVec::new(),
    };
    for entry in madt.entries() {
        match entry {
            MadtEntry::LocalApicAddressOverride(entry) => platform.local_apic = entry.local_apic_address,
            MadtEntry::IoApic(entry) => {
                let chip = IoApicAddress {
                    address: u64::from(entry.io_apic_address),
                    first_interrupt: entry.global_system_interrupt_base,
                };
                // A machine with more has them for lines beyond the 24 that get vectors.
                let _ = platform.io_apics.try_push(chip);
            }
            MadtEntry::InterruptSourceOverride(entry) => {
                let entry = Override {
                    irq: entry.irq,
                    interrupt: entry.global_system_interrupt,
                    trigger: if entry.flags & 0b1100 == 0b1100 { Trigger::Level } else { Trigger::Edge },
                    polarity: if entry.flags & 0b11 == 0b11 { Polarity::Low } else { Polarity::High },
                };
                // There are 16 legacy lines, so 16 entries hold one for each.
                let _ = platform.overrides.try_push(entry);
            }
            _ => {}
        }
    }
    if platform.io_apics.is_empty() { Err(AcpiError::NoInterruptControllers) } else { Ok(platform) }
}

#[derive(Clone, Copy)]
struct Tables<'a> {
    map: &'a dyn Fn(u64, u64) -> Option<VirtAddr>,
}

/// The crate asks for all that its AML interpreter could want. That one is not built, and tables need memory only.
macro_rules! never {
    ($($name:ident($($argument:ty),*) $(-> $result:ty)?;)*) => {
        $(fn $name(&self, $(_: $argument),*) $(-> $result)? {
            crate::bug!("reading tables needs no {}", stringify!($name))
        })*
    };
}

impl Handler for Tables<'_> {
    unsafe fn map_physical_region<T>(&self, physical_address: usize, size: usize) -> PhysicalMapping<Self, T> {
        let mapped = (self.map)(physical_address as u64, size as u64);
        let Some(start) = mapped.and_then(|start| NonNull::new(start.as_mut_ptr::<T>())) else {
            panic!("the ACPI table at {physical_address:#x} cannot be mapped");
        };
        PhysicalMapping {
            physical_start: physical_address,
            virtual_start: start,
            region_length: size,
            mapped_length: size,
            handler: *self,
        }
    }

    fn unmap_physical_region<T>(_: &PhysicalMapping<Self, T>) {}

    never! {
        read_u8(usize) -> u8; read_u16(usize) -> u16; read_u32(usize) -> u32; read_u64(usize) -> u64;
        write_u8(usize, u8); write_u16(usize, u16); write_u32(usize, u32); write_u64(usize, u64);
        read_io_u8(u16) -> u8; read_io_u16(u16) -> u16; read_io_u32(u16) -> u32;
        write_io_u8(u16, u8); write_io_u16(u16, u16); write_io_u32(u16, u32);
        read_pci_u8(PciAddress, u16) -> u8; read_pci_u16(PciAddress, u16) -> u16; read_pci_u32(PciAddress, u16) -> u32;
        write_pci_u8(PciAddress, u16, u8); write_pci_u16(PciAddress, u16, u16); write_pci_u32(PciAddress, u16, u32);
        nanos_since_boot() -> u64; stall(u64); sleep(u64);
    }
}
