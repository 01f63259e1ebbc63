//! Where a failure of the kernel came from: the chain of frames, and names for the addresses in it.
//!
//! Pure: [`frames`] reads memory through a function that may refuse, because the stack of a broken kernel may be anything, and
//! [`Symbols`] looks names up in the symbol table of an ELF file, wherever the boot loader put it. Neither allocates, loops for
//! long nor trusts what it reads.
#![no_std]

use core::fmt;
use core::ops::Range;

use rustc_demangle::try_demangle;

/// No trace is longer.
pub const DEEPEST: usize = 32;

/// Follows the chain of frame pointers from `frame`: each frame holds its caller's frame pointer and, above it, the address to
/// return to. The trace ends where `read` refuses, at an address outside `code`, or after [`DEEPEST`] frames.
pub fn frames(mut frame: u64, code: Range<u64>, mut read: impl FnMut(u64) -> Option<u64>) -> impl Iterator<Item = u64> {
    let next = move || {
        let (caller, address) = (read(frame)?, read(frame.checked_add(8)?)?);
        frame = caller;
        code.contains(&address).then_some(address)
    };
    core::iter::from_fn(next).take(DEEPEST)
}

/// The symbol table of an ELF file for 64 bits, and the names that it refers to.
#[derive(Clone, Copy, Debug)]
pub struct Symbols<'a> {
    /// The bytes of the section `.symtab`.
    pub table: &'a [u8],
    /// The bytes of the section `.strtab`.
    pub names: &'a [u8],
}

/// Bytes a symbol (ELF-64, figure 6).
const ENTRY: usize = 24;

impl<'a> Symbols<'a> {
    /// The nearest code symbol at or below an address.
    pub fn find(&self, address: u64) -> Option<Place<'a>> {
        let entries = self.table.chunks_exact(ENTRY).filter_map(Entry::read);
        let below = entries.filter(|entry| entry.is_code && entry.value <= address);
        let nearest = below.max_by_key(|entry| entry.value)?;
        let name = self.names.get(nearest.name..)?.split(|byte| *byte == 0).next()?;
        Some(Place { name: core::str::from_utf8(name).ok()?, offset: address - nearest.value })
    }
}

struct Entry {
    name: usize,
    is_code: bool,
    value: u64,
}

impl Entry {
    fn read(bytes: &[u8]) -> Option<Entry> {
        let (name, rest) = bytes.split_first_chunk::<4>()?;
        let (kind, section) = (rest.first()? & 15, rest.get(2..4)?);
        let (value, _) = rest.get(4..)?.split_first_chunk::<8>()?;
        // A label of assembly has no type. Neither has anything that is defined elsewhere, which has no section.
        Some(Entry {
            name: u32::from_le_bytes(*name) as usize,
            is_code: matches!(kind, 0 | 2) && section != [0, 0],
            value: u64::from_le_bytes(*value),
        })
    }
}

/// An address as a person reads it: a function and how far into it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place<'a> {
    /// The symbol's name, mangled.
    pub name: &'a str,
    /// Bytes from its start.
    pub offset: u64,
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match try_demangle(self.name) {
            // The alternate form leaves out the hashes of crates.
            Ok(name) => write!(formatter, "{name:#}+{:#x}", self.offset),
            Err(_) => write!(formatter, "{}+{:#x}", self.name, self.offset),
        }
    }
}

#[cfg(test)]
mod tests;
