//! The object as a table of sections, with every access bounds-checked.
//!
//! This layer knows how an ELF file holds together and nothing about what an image may contain: that is
//! [`verify`](mod@crate::verify).

use core::ffi::CStr;

use object::elf::{self, FileHeader64, Rela64, SectionHeader64, Sym64};
use object::read::ReadRef;
use object::read::elf::{FileHeader, SectionHeader};
use object::{LittleEndian as LE, Pod};

use crate::refusal::{Name, Refusal, Structure};

/// The most sections that an object may have; an image has at most thirteen.
pub(crate) const MAX_SECTIONS: usize = 24;

pub(crate) type Symbol = Sym64<LE>;
pub(crate) type Relocation = Rela64<LE>;
type Header = SectionHeader64<LE>;

/// A relocatable object for x86-64 whose section table lies within the file.
#[derive(Clone, Copy)]
pub(crate) struct Elf<'a> {
    bytes: &'a [u8],
    headers: &'a [Header],
    names: usize,
}

/// One section header.
#[derive(Clone, Copy)]
pub(crate) struct Section<'a> {
    /// Its place in the section table.
    pub index: usize,
    elf: Elf<'a>,
    header: &'a Header,
}

impl<'a> Elf<'a> {
    /// Finds the section table.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Refusal> {
        let header = FileHeader64::<LE>::parse(bytes).map_err(|_| Structure::Header)?;
        if header.e_type(LE) != elf::ET_REL || header.e_machine(LE) != elf::EM_X86_64 || !header.is_little_endian() {
            return Err(Refusal::NotRelocatable);
        }
        // More would be counted in the first section header instead.
        if !(1..=MAX_SECTIONS).contains(&usize::from(header.e_shnum(LE))) || header.e_phnum(LE) != 0 {
            return Err(Structure::Sections.into());
        }
        let headers = header.section_headers(LE, bytes).map_err(|_| Structure::Sections)?;
        let names = header.section_strings_index(LE, bytes).map_err(|_| Structure::Names)?.0;
        Ok(Elf { bytes, headers, names })
    }

    /// The sections in the order of the table, without the null entry.
    pub fn sections(self) -> impl Iterator<Item = Section<'a>> {
        self.headers.iter().enumerate().skip(1).map(move |(index, header)| Section { index, elf: self, header })
    }

    /// The section at a place in the table that is not the null entry.
    pub fn section(self, index: usize) -> Option<Section<'a>> {
        let header = self.headers.get(index).filter(|_| index != 0)?;
        Some(Section { index, elf: self, header })
    }
}

impl<'a> Section<'a> {
    /// The name, as bytes that are not yet known to be text.
    pub fn raw_name(&self) -> Result<&'a [u8], Refusal> {
        let names = self.elf.section(self.elf.names).ok_or(Structure::Names)?.data()?;
        string(names, self.header.sh_name(LE))
    }

    /// The name for a refusal.
    pub fn name(&self) -> Name {
        self.raw_name().map(Name::from_bytes).unwrap_or(Name::new("?"))
    }

    pub fn kind(&self) -> elf::SectionType {
        self.header.sh_type(LE)
    }

    pub fn flags(&self) -> u64 {
        self.header.sh_flags(LE).0
    }

    pub fn size(&self) -> u64 {
        self.header.sh_size(LE)
    }

    pub fn offset(&self) -> u64 {
        self.header.sh_offset(LE)
    }

    pub fn address(&self) -> u64 {
        self.header.sh_addr(LE)
    }

    pub fn alignment(&self) -> u64 {
        self.header.sh_addralign(LE)
    }

    pub fn link(&self) -> usize {
        self.header.sh_link(LE) as usize
    }

    pub fn info(&self) -> usize {
        self.header.sh_info(LE) as usize
    }

    /// The bytes in the file; none for a section that has only a size.
    pub fn data(&self) -> Result<&'a [u8], Refusal> {
        if self.kind() == elf::SHT_NOBITS {
            return Ok(&[]);
        }
        self.elf.bytes.read_bytes_at(self.offset(), self.size()).map_err(|()| Structure::Sections.into())
    }

    /// The bytes as a table of fixed entries.
    pub fn table<T: Pod>(&self, part: Structure) -> Result<&'a [T], Refusal> {
        if self.header.sh_entsize(LE) != size_of::<T>() as u64 {
            return Err(part.into());
        }
        object::pod::slice_from_all_bytes(self.data()?).map_err(|()| part.into())
    }
}

/// The zero-terminated string at `offset` of a table of names.
pub(crate) fn string(table: &[u8], offset: u32) -> Result<&[u8], Refusal> {
    let rest = table.get(offset as usize..).ok_or(Structure::Names)?;
    CStr::from_bytes_until_nul(rest).map(CStr::to_bytes).map_err(|_| Structure::Names.into())
}
