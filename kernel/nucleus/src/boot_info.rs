//! What the boot loader left, in the kernel's words.

use crate::memory::PHYSMAP;
use multiboot2::{BootInformation, BootInformationHeader, MemoryAreaType, ModuleTag};
use paging::{Area, AreaKind, PhysRange};
use spin::Once;
use x86::acpi::Root;

static INFO: Once<BootInfo> = Once::new();

/// The boot information, which stays where it is for good: its frames and those of the modules are never free.
pub struct BootInfo {
    information: BootInformation<'static>,
}

/// The first boot module.
#[derive(Clone, Copy, Debug)]
pub struct Module {
    /// Its bytes.
    pub bytes: &'static [u8],
}

impl BootInfo {
    /// Reads what stands at a physical address, by way of the physmap (at first the trampoline's).
    ///
    /// # Safety
    /// The address is the one that the loader passed, below 4 GiB, and nothing has written there since.
    pub unsafe fn read(address: u32) -> &'static Self {
        let start = (PHYSMAP + u64::from(address)) as *const BootInformationHeader;
        // SAFETY: the loader wrote valid boot information there, the physmap shows the first 4 GiB from the trampoline on and all
        // memory later, and the digest of the memory map takes it out of what is free.
        match unsafe { BootInformation::load(start) } {
            Ok(information) => INFO.call_once(|| Self { information }),
            Err(error) => panic!("the boot information at {address:#x} is no good: {error:?}"),
        }
    }

    /// The words after the kernel's name in `grub.cfg`.
    pub fn command_line(&self) -> &str {
        self.information.command_line_tag().and_then(|tag| tag.cmdline().ok()).unwrap_or_default()
    }

    /// The memory map.
    pub fn areas(&self) -> impl Iterator<Item = Area> + Clone {
        let areas = self.information.memory_map_tag().map(|tag| tag.memory_areas()).unwrap_or_default();
        areas.iter().map(|area| Area {
            range: PhysRange::new(area.start_address(), area.start_address().saturating_add(area.size())),
            kind: match area.typ() {
                MemoryAreaType::Available => AreaKind::Usable,
                MemoryAreaType::AcpiAvailable | MemoryAreaType::ReservedHibernate => AreaKind::Firmware,
                _ => AreaKind::Reserved,
            },
        })
    }

    /// What the loader put into usable memory: modules and the boot information itself.
    pub fn taken(&self) -> impl Iterator<Item = PhysRange> + '_ {
        let start = self.information.start_address() as u64 - PHYSMAP;
        let own = PhysRange::new(start, start + self.information.total_size() as u64);
        self.information.module_tags().map(range).chain([own])
    }

    /// The first module, if there is one.
    pub fn module(&'static self) -> Option<Module> {
        let tag = self.information.module_tags().next()?;
        let range = range(tag);
        let start = (PHYSMAP + range.start()) as *const u8;
        // SAFETY: the loader put the module there; its frames are memory, so that the physmap shows them, and are not among the
        // free ones, so that nobody ever writes to them.
        let bytes = unsafe { core::slice::from_raw_parts(start, range.size() as usize) };
        Some(Module { bytes })
    }

    /// Where the ACPI tables begin.
    pub fn acpi_root(&self) -> Option<Root> {
        let new = self
            .information
            .rsdp_v2_tag()
            .map(|tag| Root { revision: tag.revision(), address: tag.xsdt_address() as u64 });
        let old = self.information.rsdp_v1_tag().map(|tag| Root { revision: 0, address: tag.rsdt_address() as u64 });
        new.filter(|root| root.revision > 0 && root.address != 0).or(old)
    }
}

fn range(tag: &ModuleTag) -> PhysRange {
    PhysRange::new(u64::from(tag.start_address()), u64::from(tag.end_address()))
}
