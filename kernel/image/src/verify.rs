//! Verification: bytes in, a [`VerifiedImage`] or a [`Refusal`] out.
//!
//! The hashes of the sections are compared before the signature, so that damage is reported with the name of the
//! section; a refusal for either reason is final. The rules for sections, symbols and relocations hold for signed
//! images too: a builder's mistake must not reach the kernel's memory.

use object::elf;

use crate::elf::{Elf, Relocation, Section};
use crate::manifest::{self, Manifest};
use crate::refusal::{Name, Refusal, Structure};
use crate::symbols::Symbols;
use crate::{Trailer, key_id, layout::PAGE, relocation, sha256};

/// The one symbol that an image exports: `extern "C" fn(*const Start) -> !`.
pub const ENTRY: &str = "telos_cell_entry";
/// The most bytes of an image, in the file and in memory.
pub const MAX_IMAGE: u64 = 64 << 20;

/// Whom the verifier trusts and what an image may rely on.
#[derive(Clone, Copy, Debug)]
pub struct Trust<'t> {
    /// The ed25519 public key.
    pub key: [u8; 32],
    /// The hash of the kernel functions' declarations.
    pub kernel_abi: u64,
    /// The names of the kernel functions, and of the compiler helpers that the kernel lends.
    pub imports: &'t [&'t str],
}

/// A part of an image that is loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Text,
    Rodata,
    Data,
    Bss,
}

impl Place {
    pub const ALL: [Place; 4] = [Place::Text, Place::Rodata, Place::Data, Place::Bss];

    pub fn section(self) -> &'static str {
        match self {
            Place::Text => ".text",
            Place::Rodata => ".rodata",
            Place::Data => ".data",
            Place::Bss => ".bss",
        }
    }

    /// The section's name for a refusal.
    pub fn name(self) -> Name {
        Name::new(self.section())
    }

    fn relocations(self) -> &'static str {
        match self {
            Place::Text => ".rela.text",
            Place::Rodata => ".rela.rodata",
            Place::Data => ".rela.data",
            Place::Bss => ".rela.bss",
        }
    }
}

/// The bytes of one part. A part that the image does not have is empty.
#[derive(Clone, Copy)]
pub(crate) struct Part<'a> {
    /// Its place in the section table; 0 if the image does not have it.
    index: usize,
    pub bytes: &'a [u8],
    pub size: u64,
    pub alignment: u64,
}

const NO_PART: Part<'_> = Part { index: 0, bytes: &[], size: 0, alignment: 1 };

/// The four parts that are loaded.
#[derive(Clone, Copy)]
pub(crate) struct Parts<'a>([Part<'a>; 4]);

impl<'a> Parts<'a> {
    pub fn part(&self, place: Place) -> &Part<'a> {
        let [text, rodata, data, bss] = &self.0;
        match place {
            Place::Text => text,
            Place::Rodata => rodata,
            Place::Data => data,
            Place::Bss => bss,
        }
    }

    fn part_mut(&mut self, place: Place) -> &mut Part<'a> {
        let [text, rodata, data, bss] = &mut self.0;
        match place {
            Place::Text => text,
            Place::Rodata => rodata,
            Place::Data => data,
            Place::Bss => bss,
        }
    }

    /// The part that a place in the section table became.
    pub fn place(&self, index: usize) -> Option<Place> {
        Place::ALL.into_iter().find(|place| index != 0 && self.part(*place).index == index)
    }
}

/// The relocations of each part that has bytes.
#[derive(Clone, Copy, Default)]
pub(crate) struct Relocations<'a> {
    text: &'a [Relocation],
    rodata: &'a [Relocation],
    data: &'a [Relocation],
}

impl<'a> Relocations<'a> {
    pub fn iter(&self) -> impl Iterator<Item = (Place, &'a [Relocation])> {
        [(Place::Text, self.text), (Place::Rodata, self.rodata), (Place::Data, self.data)].into_iter()
    }
}

/// An image for which every rule holds. It borrows the file and can be placed any number of times.
#[derive(Clone, Copy)]
pub struct VerifiedImage<'a> {
    manifest: Manifest<'a>,
    hash: [u8; 32],
    pub(crate) parts: Parts<'a>,
    pub(crate) symbols: Symbols<'a>,
    pub(crate) relocations: Relocations<'a>,
    pub(crate) entry: u64,
}

impl core::fmt::Debug for VerifiedImage<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("VerifiedImage").field("manifest", &self.manifest).finish_non_exhaustive()
    }
}

impl<'a> VerifiedImage<'a> {
    /// What the cell says about itself.
    pub fn manifest(&self) -> &Manifest<'a> {
        &self.manifest
    }

    /// The SHA-256 of the whole file, signature included: the image's identity.
    pub fn hash(&self) -> &[u8; 32] {
        &self.hash
    }

    /// The function that holds an offset in the text region and the distance from its start, for fault traces. The name
    /// is mangled.
    pub fn symbol_at(&self, offset: u64) -> Option<(&'a str, u64)> {
        self.symbols.function_at(offset, &self.parts)
    }
}

/// Decides whether the file may become a cell.
///
/// # Errors
/// The first rule that does not hold. The file is never to be loaded then; the refusal says what to do.
pub fn verify<'a>(file: &'a [u8], trust: &Trust<'_>) -> Result<VerifiedImage<'a>, Refusal> {
    examine(file, trust, None)
}

/// Reads a file anew that [`verify`] has accepted and that nobody could change since; its hash is the one that was found then. All
/// that is checked again is what reading it needs: neither hashes, nor the signature, which are by far the most of the work.
///
/// # Errors
/// As [`verify`]: there is none for a file that has not changed.
pub fn reopen<'a>(file: &'a [u8], trust: &Trust<'_>, hash: [u8; 32]) -> Result<VerifiedImage<'a>, Refusal> {
    examine(file, trust, Some(hash))
}

fn examine<'a>(file: &'a [u8], trust: &Trust<'_>, known: Option<[u8; 32]>) -> Result<VerifiedImage<'a>, Refusal> {
    if file.len() as u64 > MAX_IMAGE {
        return Err(Refusal::TooLarge);
    }
    let (object, signed, trailer) = Trailer::split(file)?;
    let elf = Elf::parse(object)?;
    let manifest = read_manifest(object, &trailer)?;
    if known.is_none() {
        check_hashes(elf, &manifest, &trailer)?;
        check_signature(signed, &trailer, &trust.key)?;
    }
    if manifest.kernel_abi != trust.kernel_abi {
        return Err(Refusal::KernelAbi { found: manifest.kernel_abi, expected: trust.kernel_abi });
    }
    let tables = sort_sections(elf, &trailer)?;
    let memory: u64 = Place::ALL.into_iter().map(|place| tables.parts.part(place).size.next_multiple_of(PAGE)).sum();
    if memory > MAX_IMAGE {
        return Err(Refusal::TooLarge);
    }
    let symbols = tables.symbols(elf)?;
    let entry = symbols.check(&tables.parts, trust.imports)?;
    let relocations = tables.relocations(elf)?;
    for (place, entries) in relocations.iter() {
        relocation::check(entries, place.name(), tables.parts.part(place).size, &symbols, &tables.parts)?;
    }
    let hash = known.unwrap_or_else(|| sha256(file));
    Ok(VerifiedImage { manifest, hash, parts: tables.parts, symbols, relocations, entry })
}

fn read_manifest<'a>(object: &'a [u8], trailer: &Trailer) -> Result<Manifest<'a>, Refusal> {
    let start = trailer.manifest_offset as usize;
    let end = start.checked_add(trailer.manifest_length as usize).ok_or(Structure::Manifest)?;
    Manifest::decode(object.get(start..end).ok_or(Structure::Manifest)?)
}

/// Compares every section except the manifest with its record. Names come from the manifest, since the table of names
/// may be what is damaged.
fn check_hashes(elf: Elf<'_>, manifest: &Manifest<'_>, trailer: &Trailer) -> Result<(), Refusal> {
    let others = || elf.sections().filter(|section| !is_manifest(section, trailer));
    if others().count() != manifest.sections.iter().count() || others().count() + 1 != elf.sections().count() {
        return Err(Structure::Sections.into());
    }
    for (section, record) in others().zip(manifest.sections.iter()) {
        if sha256(section.data()?) != record.hash {
            return Err(Refusal::SectionHash { section: Name::new(record.name) });
        }
    }
    for (section, record) in others().zip(manifest.sections.iter()) {
        if section.raw_name()? != record.name.as_bytes()
            || section.size() != record.size
            || section.flags() != record.flags
        {
            return Err(Refusal::SectionRecord { section: Name::new(record.name) });
        }
    }
    Ok(())
}

/// True for the section that the trailer points at.
fn is_manifest(section: &Section<'_>, trailer: &Trailer) -> bool {
    section.kind() == elf::SHT_PROGBITS
        && section.offset() == u64::from(trailer.manifest_offset)
        && section.size() == u64::from(trailer.manifest_length)
}

fn check_signature(signed: &[u8], trailer: &Trailer, key: &[u8; 32]) -> Result<(), Refusal> {
    if trailer.key_id != key_id(key) {
        return Err(Refusal::WrongKey { key_id: trailer.key_id });
    }
    let signature = ed25519_compact::Signature::new(trailer.signature);
    ed25519_compact::PublicKey::new(*key).verify(signed, &signature).map_err(|_| Refusal::Signature)
}

/// Where each allowed section stands in the section table; 0 for one that is not there.
struct Tables<'a> {
    parts: Parts<'a>,
    relocations: [usize; 4],
    manifest: usize,
    symtab: usize,
    strtab: usize,
    shstrtab: usize,
}

/// Sorts the sections by name and refuses those that no image may have.
fn sort_sections<'a>(elf: Elf<'a>, trailer: &Trailer) -> Result<Tables<'a>, Refusal> {
    let mut tables =
        Tables { parts: Parts([NO_PART; 4]), relocations: [0; 4], manifest: 0, symtab: 0, strtab: 0, shstrtab: 0 };
    for section in elf.sections() {
        refuse_kind(&section)?;
        let name = section.raw_name()?;
        if let Some(place) = Place::ALL.into_iter().find(|place| place.section().as_bytes() == name) {
            let part = tables.parts.part_mut(place);
            if part.index != 0 {
                return Err(Refusal::DuplicateSection { section: section.name() });
            }
            *part = read_part(&section, place)?;
            continue;
        }
        let (slot, kind) = if let Some(place) =
            Place::ALL.into_iter().find(|place| place.relocations().as_bytes() == name)
        {
            (tables.relocations.get_mut(place as usize), elf::SHT_RELA)
        } else {
            match name {
                b".symtab" => (Some(&mut tables.symtab), elf::SHT_SYMTAB),
                b".strtab" => (Some(&mut tables.strtab), elf::SHT_STRTAB),
                b".shstrtab" => (Some(&mut tables.shstrtab), elf::SHT_STRTAB),
                b".telos.manifest" if is_manifest(&section, trailer) => (Some(&mut tables.manifest), elf::SHT_PROGBITS),
                _ => {
                    return Err(Refusal::ForbiddenSection { section: section.name() });
                }
            }
        };
        let slot = slot.ok_or(Structure::Sections)?;
        if *slot != 0 {
            return Err(Refusal::DuplicateSection { section: section.name() });
        }
        // None of these is loaded.
        if section.kind() != kind || section.flags() & !elf::SHF_INFO_LINK.0 != 0 {
            return Err(Refusal::SectionKind { section: section.name() });
        }
        *slot = section.index;
    }
    for (found, name) in [
        (tables.manifest, manifest::SECTION),
        (tables.parts.part(Place::Text).index, ".text"),
        (tables.symtab, ".symtab"),
        (tables.strtab, ".strtab"),
    ] {
        if found == 0 {
            return Err(Refusal::MissingSection { section: Name::new(name) });
        }
    }
    Ok(tables)
}

/// Refuses what has no place in an image whatever it is called.
fn refuse_kind(section: &Section<'_>) -> Result<(), Refusal> {
    let name = section.name();
    if section.flags() & elf::SHF_TLS.0 != 0 {
        return Err(Refusal::ThreadLocal { name });
    }
    if matches!(section.kind(), elf::SHT_INIT_ARRAY | elf::SHT_FINI_ARRAY | elf::SHT_PREINIT_ARRAY) {
        return Err(Refusal::InitArray { section: name });
    }
    let both = elf::SHF_WRITE.0 | elf::SHF_EXECINSTR.0;
    if section.flags() & both == both {
        return Err(Refusal::WritableAndExecutable { section: name });
    }
    Ok(())
}

fn read_part<'a>(section: &Section<'a>, place: Place) -> Result<Part<'a>, Refusal> {
    let (alloc, write, exec) = (elf::SHF_ALLOC.0, elf::SHF_WRITE.0, elf::SHF_EXECINSTR.0);
    // A merged section is loaded as it stands; the flags only tell a linker what it could still fold.
    let folding = elf::SHF_MERGE.0 | elf::SHF_STRINGS.0;
    let (kind, flags) = match place {
        Place::Text => (elf::SHT_PROGBITS, alloc | exec),
        Place::Rodata => (elf::SHT_PROGBITS, alloc | section.flags() & folding),
        Place::Data => (elf::SHT_PROGBITS, alloc | write),
        Place::Bss => (elf::SHT_NOBITS, alloc | write),
    };
    let alignment = section.alignment().max(1);
    let fits = alignment.is_power_of_two() && alignment <= PAGE && section.address() == 0;
    if section.kind() != kind || section.flags() != flags || !fits {
        return Err(Refusal::SectionKind { section: place.name() });
    }
    if section.size() > MAX_IMAGE {
        return Err(Refusal::TooLarge);
    }
    Ok(Part { index: section.index, bytes: section.data()?, size: section.size(), alignment })
}

impl<'a> Tables<'a> {
    fn symbols(&self, elf: Elf<'a>) -> Result<Symbols<'a>, Refusal> {
        let table = elf.section(self.symtab).ok_or(Structure::Symbols)?;
        if table.link() != self.strtab {
            return Err(Structure::Symbols.into());
        }
        let names = elf.section(self.strtab).ok_or(Structure::Names)?.data()?;
        Ok(Symbols { table: table.table(Structure::Symbols)?, names })
    }

    fn relocations(&self, elf: Elf<'a>) -> Result<Relocations<'a>, Refusal> {
        let read = |place: Place| -> Result<&'a [Relocation], Refusal> {
            let index = self.relocations.get(place as usize).copied().unwrap_or(0);
            let Some(section) = elf.section(index) else {
                return Ok(&[]);
            };
            // The table must be for the part that its name says, and refer to the one symbol table.
            if section.info() != self.parts.part(place).index || section.info() == 0 || section.link() != self.symtab {
                return Err(Structure::Relocations.into());
            }
            section.table(Structure::Relocations)
        };
        // There are no bytes to change in a zeroed part.
        if !read(Place::Bss)?.is_empty() {
            return Err(Refusal::RelocationBounds { section: Place::Bss.name(), offset: 0 });
        }
        Ok(Relocations { text: read(Place::Text)?, rodata: read(Place::Rodata)?, data: read(Place::Data)? })
    }
}
