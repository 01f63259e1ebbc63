//! What the boot loader left, in the kernel's words.

use crate::memory::PHYSMAP;
use multiboot2::{BootInformation, BootInformationHeader, ElfSectionExt, ElfSectionType, MemoryAreaType, ModuleTag};
use paging::{Area, AreaKind, PhysRange};
use spin::Once;
use trace::Symbols;
use x86::acpi::Root;

/// Bytes a section header of an ELF file for 64 bits.
const SECTION_HEADER: u32 = 64;
/// The loader uses memory below 4 GiB alone.
const LOADER_REACH: u64 = 4 << 30;

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
        let symbols = self.symbol_sections().map(|(table, names)| [table, names]);
        self.information.module_tags().map(range).chain([own]).chain(symbols.into_iter().flatten())
    }

    /// The kernel's own symbols, if the loader put them into memory.
    pub fn symbols(&'static self) -> Option<Symbols<'static>> {
        let (table, names) = self.symbol_sections()?;
        // SAFETY: the loader put the section there.
        let table = unsafe { loaded(table) };
        // SAFETY: as above.
        let names = unsafe { loaded(names) };
        Some(Symbols { table, names })
    }

    /// Where the loader put the sections of the kernel's file that nothing but a report needs: symbols, and their names.
    fn symbol_sections(&self) -> Option<(PhysRange, PhysRange)> {
        let tag = self.information.elf_sections_tag().filter(|tag| tag.entry_size() == SECTION_HEADER)?;
        let place = |start: u64, size: u64| {
            let end = start.checked_add(size)?;
            (start != 0 && end <= LOADER_REACH).then_some(PhysRange::new(start, end))
        };
        let table = tag.sections().find(|each| each.section_type() == ElfSectionType::LinkerSymbolTable)?;
        let names = tag.sections().nth(table.sh_link as usize)?;
        Some((place(table.sh_addr, table.sh_size)?, place(names.sh_addr, names.sh_size)?))
    }

    /// The first module, if there is one.
    pub fn module(&'static self) -> Option<Module> {
        let tag = self.information.module_tags().next()?;
        // SAFETY: the loader put the module there.
        let bytes = unsafe { loaded(range(tag)) };
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

/// What the loader put into memory.
///
/// # Safety
/// The range is one that [`BootInfo::taken`] names.
unsafe fn loaded(range: PhysRange) -> &'static [u8] {
    let start = (PHYSMAP + range.start()) as *const u8;
    // SAFETY: its frames are memory, so that the physmap shows them, and as taken ones are not among the free, so that nobody ever
    // writes to them.
    unsafe { core::slice::from_raw_parts(start, range.size() as usize) }
}

fn range(tag: &ModuleTag) -> PhysRange {
    PhysRange::new(u64::from(tag.start_address()), u64::from(tag.end_address()))
}
