//! The rules for symbols, and what a symbol stands for once they hold.
//!
//! After [`Symbols::check`], each symbol is a place inside a loaded section, a kernel function by name, or a label
//! that no relocation may use (file names).

use object::LittleEndian as LE;
use object::elf;
use object::read::elf::Sym;

use crate::elf::{Symbol, string};
use crate::refusal::{Name, Refusal};
use crate::verify::{ENTRY, Parts, Place};

/// The symbol table of an image and its names.
#[derive(Clone, Copy)]
pub(crate) struct Symbols<'a> {
    pub table: &'a [Symbol],
    pub names: &'a [u8],
}

/// What a relocation may refer to.
pub(crate) enum Target<'a> {
    /// An offset in a loaded section.
    Here(Place, u64),
    /// A kernel function.
    Import(&'a str),
}

impl<'a> Symbols<'a> {
    /// The symbol's name, as bytes that are not yet known to be text.
    fn raw_name(&self, symbol: &Symbol) -> Result<&'a [u8], Refusal> {
        string(self.names, symbol.st_name(LE))
    }

    /// Checks every symbol. Returns the offset of the entry in `.text`.
    pub fn check(&self, parts: &Parts<'a>, imports: &[&str]) -> Result<u64, Refusal> {
        let mut entry = None;
        for symbol in self.table.iter().skip(1) {
            let raw = self.raw_name(symbol)?;
            let name = Name::from_bytes(raw);
            check_kind(symbol, name)?;
            let section = symbol.st_shndx(LE);
            let kind = symbol.st_type();
            if kind == elf::STT_FILE {
                // A label only: it is local and in no section.
                if symbol.st_bind() != elf::STB_LOCAL || section != elf::SHN_ABS {
                    return Err(Refusal::SymbolKind { symbol: name });
                }
            } else if section == elf::SHN_UNDEF {
                if !imports.iter().any(|import| import.as_bytes() == raw) {
                    return Err(Refusal::ForbiddenImport { symbol: name });
                }
            } else {
                let place = parts.place(usize::from(section.0)).ok_or(Refusal::SymbolSection { symbol: name })?;
                let end = symbol.st_value(LE).checked_add(symbol.st_size(LE));
                if end.is_none_or(|end| end > parts.part(place).size) {
                    return Err(Refusal::SymbolBounds { symbol: name });
                }
                if symbol.st_bind() == elf::STB_GLOBAL {
                    if raw != ENTRY.as_bytes() || entry.is_some() {
                        return Err(Refusal::ExtraGlobal { symbol: name });
                    }
                    // One past the end is in bounds for a symbol, but no place to start at.
                    if place != Place::Text || kind != elf::STT_FUNC || symbol.st_value(LE) >= parts.part(place).size {
                        return Err(Refusal::Entry);
                    }
                    entry = Some(symbol.st_value(LE));
                }
            }
        }
        entry.ok_or(Refusal::Entry)
    }

    /// What the symbol at `index` stands for, if a relocation may refer to it.
    pub fn target(&self, index: u32, parts: &Parts<'a>) -> Option<Target<'a>> {
        let symbol = self.table.get(index as usize).filter(|_| index != 0)?;
        let section = symbol.st_shndx(LE);
        if symbol.st_type() == elf::STT_FILE {
            return None;
        }
        if section == elf::SHN_UNDEF {
            return core::str::from_utf8(self.raw_name(symbol).ok()?).ok().map(Target::Import);
        }
        parts.place(usize::from(section.0)).map(|place| Target::Here(place, symbol.st_value(LE)))
    }

    /// The function that holds an offset in `.text`, with the distance from its start.
    pub fn function_at(&self, offset: u64, parts: &Parts<'a>) -> Option<(&'a str, u64)> {
        let holds = |symbol: &&Symbol| {
            let start = symbol.st_value(LE);
            symbol.st_type() == elf::STT_FUNC
                && parts.place(usize::from(symbol.st_shndx(LE).0)) == Some(Place::Text)
                && start <= offset
                && offset - start < symbol.st_size(LE)
        };
        let symbol = self.table.iter().find(holds)?;
        let name = core::str::from_utf8(self.raw_name(symbol).ok()?).ok()?;
        Some((name, offset - symbol.st_value(LE)))
    }
}

/// Refuses the kinds of symbols that would need more than an address.
fn check_kind(symbol: &Symbol, name: Name) -> Result<(), Refusal> {
    match symbol.st_bind() {
        elf::STB_LOCAL | elf::STB_GLOBAL => {}
        elf::STB_WEAK => return Err(Refusal::Weak { symbol: name }),
        _ => return Err(Refusal::SymbolKind { symbol: name }),
    }
    match symbol.st_type() {
        elf::STT_NOTYPE | elf::STT_OBJECT | elf::STT_FUNC | elf::STT_SECTION | elf::STT_FILE => {}
        elf::STT_TLS => return Err(Refusal::ThreadLocal { name }),
        elf::STT_COMMON => return Err(Refusal::Common { symbol: name }),
        elf::STT_GNU_IFUNC => return Err(Refusal::IndirectFunction { symbol: name }),
        _ => return Err(Refusal::SymbolKind { symbol: name }),
    }
    if symbol.st_shndx(LE) == elf::SHN_COMMON {
        return Err(Refusal::Common { symbol: name });
    }
    Ok(())
}
