//! Relocations: which are allowed, and how one is applied.
//!
//! Formulas and widths are those of the System V ABI for AMD64, section 4.4.1. Five kinds are applied; PLT32 is PC32,
//! since there is no procedure linkage table. `R_X86_64_NONE`, which `ld -r` leaves behind, does nothing.

use object::LittleEndian as LE;
use object::elf;
use object::read::elf::Rela;

use crate::elf::Relocation;
use crate::refusal::{Name, Refusal};
use crate::symbols::Symbols;
use crate::verify::Parts;

/// The kinds that are applied.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// S + A, 64 bits.
    Absolute64,
    /// S + A, 32 bits, zero-extended by the processor.
    Absolute32,
    /// S + A, 32 bits, sign-extended by the processor.
    Absolute32Signed,
    /// S + A - P, 32 bits, sign-extended by the processor.
    Relative32,
}

impl Kind {
    /// The kind of a relocation, or `None` for one that does nothing.
    fn of(entry: &Relocation, section: Name) -> Result<Option<Kind>, Refusal> {
        match entry.r_type(LE, false) {
            elf::R_X86_64_NONE => Ok(None),
            elf::R_X86_64_64 => Ok(Some(Kind::Absolute64)),
            elf::R_X86_64_32 => Ok(Some(Kind::Absolute32)),
            elf::R_X86_64_32S => Ok(Some(Kind::Absolute32Signed)),
            elf::R_X86_64_PC32 | elf::R_X86_64_PLT32 => Ok(Some(Kind::Relative32)),
            other => Err(Refusal::RelocationKind { section, offset: entry.r_offset(LE), kind: other.0 }),
        }
    }

    /// How many bytes it writes.
    fn width(self) -> u64 {
        if self == Kind::Absolute64 { 8 } else { 4 }
    }
}

/// One relocation that keeps to the rules.
pub(crate) struct Step {
    pub kind: Kind,
    pub offset: u64,
    pub symbol: u32,
    pub addend: i64,
}

/// Reads one relocation of a section of `size` bytes, or `None` if it does nothing.
pub(crate) fn step(entry: &Relocation, section: Name, size: u64) -> Result<Option<Step>, Refusal> {
    let Some(kind) = Kind::of(entry, section)? else {
        return Ok(None);
    };
    let offset = entry.r_offset(LE);
    if offset.checked_add(kind.width()).is_none_or(|end| end > size) {
        return Err(Refusal::RelocationBounds { section, offset });
    }
    Ok(Some(Step { kind, offset, symbol: entry.r_sym(LE, false), addend: entry.r_addend(LE) }))
}

/// Checks every relocation of a section.
pub(crate) fn check<'a>(
    entries: &[Relocation],
    section: Name,
    size: u64,
    symbols: &Symbols<'a>,
    parts: &Parts<'a>,
) -> Result<(), Refusal> {
    for entry in entries {
        let Some(step) = step(entry, section, size)? else {
            continue;
        };
        if symbols.target(step.symbol, parts).is_none() {
            return Err(Refusal::RelocationSymbol { section, offset: step.offset });
        }
    }
    Ok(())
}

impl Step {
    /// Writes the relocation into the section's bytes. `symbol` is the run-time address of its symbol, `place` that of
    /// the bytes that it changes. `None` if the value does not fit.
    #[must_use]
    pub fn apply(&self, bytes: &mut [u8], symbol: u64, place: u64) -> Option<()> {
        // Wide enough that no sum of an address, an addend and an address can wrap.
        let absolute = i128::from(symbol) + i128::from(self.addend);
        let start = usize::try_from(self.offset).ok()?;
        let wide;
        let narrow;
        let value: &[u8] = match self.kind {
            Kind::Absolute64 => {
                wide = u64::try_from(absolute).ok()?.to_le_bytes();
                &wide
            }
            Kind::Absolute32 => {
                narrow = u32::try_from(absolute).ok()?.to_le_bytes();
                &narrow
            }
            // The processor sign-extends to 64 bits, so the address is taken as a signed number.
            Kind::Absolute32Signed => {
                let address = u64::try_from(absolute).ok()?.cast_signed();
                narrow = i32::try_from(address).ok()?.to_le_bytes();
                &narrow
            }
            Kind::Relative32 => {
                narrow = i32::try_from(absolute - i128::from(place)).ok()?.to_le_bytes();
                &narrow
            }
        };
        bytes.get_mut(start..start.checked_add(value.len())?)?.copy_from_slice(value);
        Some(())
    }
}
