//! Why an image was refused: [`Refusal`] names the rule, and the section or symbol that broke it.
//!
//! A refusal is `Copy` and holds no reference into the image, so that it can be kept, logged and sent after the bytes
//! are gone. All refusals are the image's fault or its builder's, except [`Refusal::Buffer`], which is the caller's,
//! and [`Refusal::Unresolved`], which is the kernel's.

use core::fmt;

/// A name from an image, cut to what fits and with unprintable bytes replaced.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Name {
    bytes: [u8; Name::CAPACITY],
    length: u8,
}

impl Name {
    /// The most that is kept of a name, in bytes.
    pub const CAPACITY: usize = 47;

    /// The name `text`, cut to what fits.
    pub fn new(text: &str) -> Self {
        Name::from_bytes(text.as_bytes())
    }

    /// The name in `text`, which came out of a file and may be anything.
    pub fn from_bytes(text: &[u8]) -> Self {
        let mut bytes = [0; Name::CAPACITY];
        let mut length = 0;
        for (to, from) in bytes.iter_mut().zip(text) {
            *to = if from.is_ascii_graphic() { *from } else { b'?' };
            length += 1;
        }
        Name { bytes, length }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        let kept = self.bytes.get(..usize::from(self.length)).unwrap_or_default();
        core::str::from_utf8(kept).unwrap_or("?")
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

/// The part of the file format that does not hold together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Structure {
    /// The ELF header, or the place of the section table.
    Header,
    /// The section table: count, offsets, sizes.
    Sections,
    /// A table of names.
    Names,
    /// The symbol table.
    Symbols,
    /// A table of relocations.
    Relocations,
    /// The manifest, or its place.
    Manifest,
}

/// Why an image was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Larger than [`MAX_IMAGE`](crate::MAX_IMAGE), in the file or in memory.
    TooLarge,
    /// There is no trailer.
    Unsigned,
    /// The trailer is of another format.
    TrailerFormat {
        /// The format found.
        found: u32,
    },
    /// Signed by a key that is not trusted here.
    WrongKey {
        /// The id of the key that signed.
        key_id: [u8; 8],
    },
    /// The signature does not match the bytes.
    Signature,
    /// The file does not hold together.
    Structure(Structure),
    /// Not an x86-64 relocatable object.
    NotRelocatable,
    /// The manifest is of another format.
    ManifestFormat {
        /// The format found.
        found: u16,
    },
    /// Built against other kernel functions.
    KernelAbi {
        /// The hash in the manifest.
        found: u64,
        /// The hash of this kernel.
        expected: u64,
    },
    /// The section's bytes are not those that the manifest describes.
    SectionHash {
        /// The section.
        section: Name,
    },
    /// The section's name, size or flags are not those that the manifest describes.
    SectionRecord {
        /// The section.
        section: Name,
    },
    /// No image may have this section.
    ForbiddenSection {
        /// The section.
        section: Name,
    },
    /// The section is there twice.
    DuplicateSection {
        /// The section.
        section: Name,
    },
    /// The section must be there.
    MissingSection {
        /// The section.
        section: Name,
    },
    /// The section's type, flags, alignment or address are not those that its name allows.
    SectionKind {
        /// The section.
        section: Name,
    },
    /// The section would be writable and executable.
    WritableAndExecutable {
        /// The section.
        section: Name,
    },
    /// The section or symbol is thread-local.
    ThreadLocal {
        /// The section or symbol.
        name: Name,
    },
    /// The section lists code to be run before the entry, or after the end.
    InitArray {
        /// The section.
        section: Name,
    },
    /// The symbol is weak.
    Weak {
        /// The symbol.
        symbol: Name,
    },
    /// The symbol is common.
    Common {
        /// The symbol.
        symbol: Name,
    },
    /// The symbol is resolved by running code.
    IndirectFunction {
        /// The symbol.
        symbol: Name,
    },
    /// The symbol's binding or type is unknown here.
    SymbolKind {
        /// The symbol.
        symbol: Name,
    },
    /// The symbol is defined outside of the sections that are loaded.
    SymbolSection {
        /// The symbol.
        symbol: Name,
    },
    /// The symbol lies beyond the end of its section.
    SymbolBounds {
        /// The symbol.
        symbol: Name,
    },
    /// The symbol is not among the kernel functions.
    ForbiddenImport {
        /// The symbol.
        symbol: Name,
    },
    /// A second global symbol besides the entry.
    ExtraGlobal {
        /// The symbol.
        symbol: Name,
    },
    /// The entry is missing, or is not a function in `.text`.
    Entry,
    /// A kind of relocation that is not applied here.
    RelocationKind {
        /// The section that would be changed.
        section: Name,
        /// The offset in it.
        offset: u64,
        /// The kind, as in the System V ABI for x86-64.
        kind: u32,
    },
    /// A relocation that would write outside of its section.
    RelocationBounds {
        /// The section that would be changed.
        section: Name,
        /// The offset in it.
        offset: u64,
    },
    /// A relocation against no symbol, or one that is not in the table.
    RelocationSymbol {
        /// The section that would be changed.
        section: Name,
        /// The offset in it.
        offset: u64,
    },
    /// A relocation whose value does not fit.
    RelocationOverflow {
        /// The section that would be changed.
        section: Name,
        /// The offset in it.
        offset: u64,
    },
    /// The kernel function has no address. The kernel's list of imports and its table of addresses disagree.
    Unresolved {
        /// The symbol.
        symbol: Name,
    },
    /// The buffer is shorter than the layout says, or its address is not at a page.
    Buffer,
}

impl From<Structure> for Refusal {
    fn from(structure: Structure) -> Self {
        Refusal::Structure(structure)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const REBUILD: &str = "build the cell again with this tree's builder";
        match *self {
            Refusal::TooLarge => write!(f, "the image is larger than 64 MiB; make it smaller"),
            Refusal::Unsigned => write!(f, "the image is not signed; {REBUILD}"),
            Refusal::TrailerFormat { found } => {
                write!(f, "the trailer is of format {found}; {REBUILD}")
            }
            Refusal::WrongKey { key_id } => {
                write!(f, "signed by the key {:016x}, which this kernel does not trust; ", u64::from_be_bytes(key_id))?;
                write!(f, "build kernel and cell with the same signing key")
            }
            Refusal::Signature => {
                write!(f, "the signature does not match the bytes; copy the image again or rebuild it")
            }
            Refusal::Structure(part) => write!(f, "{} of the file does not hold together; {REBUILD}", part.noun()),
            Refusal::NotRelocatable => write!(f, "not an x86-64 relocatable object; {REBUILD}"),
            Refusal::ManifestFormat { found } => {
                write!(f, "the manifest is of format {found}; {REBUILD}")
            }
            Refusal::KernelAbi { found, expected } => {
                write!(f, "built for kernel functions {found:016x}, this kernel has {expected:016x}; {REBUILD}")
            }
            Refusal::SectionHash { section } => {
                write!(f, "section {section} is not what the manifest describes; copy the image again or rebuild it")
            }
            Refusal::SectionRecord { section } => {
                write!(f, "section {section} has another name, size or flags than in the manifest; {REBUILD}")
            }
            Refusal::ForbiddenSection { section } => {
                write!(f, "section {section} may not be in an image; {REBUILD}")
            }
            Refusal::DuplicateSection { section } => {
                write!(f, "section {section} is there twice; {REBUILD}")
            }
            Refusal::MissingSection { section } => {
                write!(f, "section {section} is missing; {REBUILD}")
            }
            Refusal::SectionKind { section } => {
                write!(f, "section {section} has a type, flags, alignment or address of another; {REBUILD}")
            }
            Refusal::WritableAndExecutable { section } => {
                write!(f, "section {section} is writable and executable; separate its code from its data")
            }
            Refusal::ThreadLocal { name } => write!(f, "{name} is thread-local; a cell has none: use a local variable"),
            Refusal::InitArray { section } => {
                write!(f, "section {section} runs code before the entry; call it from the cell's main instead")
            }
            Refusal::Weak { symbol } => write!(f, "symbol {symbol} is weak; {REBUILD}"),
            Refusal::Common { symbol } => write!(f, "symbol {symbol} is common; {REBUILD}"),
            Refusal::IndirectFunction { symbol } => {
                write!(f, "symbol {symbol} is an indirect function; {REBUILD}")
            }
            Refusal::SymbolKind { symbol } => write!(f, "symbol {symbol} has an unknown binding or type; {REBUILD}"),
            Refusal::SymbolSection { symbol } => {
                write!(f, "symbol {symbol} is in no loaded section; {REBUILD}")
            }
            Refusal::SymbolBounds { symbol } => {
                write!(f, "symbol {symbol} is beyond the end of its section; {REBUILD}")
            }
            Refusal::ForbiddenImport { symbol } => {
                write!(f, "{symbol} is not a kernel function that cells may import; see cells/abi/src/kernel.rs")
            }
            Refusal::ExtraGlobal { symbol } => {
                write!(f, "symbol {symbol} is global besides the entry; {REBUILD}")
            }
            Refusal::Entry => write!(f, "telos_cell_entry is missing or is no function in .text; {REBUILD}"),
            Refusal::RelocationKind { section, offset, kind } => {
                write!(
                    f,
                    "{section}+{offset:#x} has a relocation of kind {kind}; only 64, 32, 32S, PC32 and PLT32 are applied"
                )
            }
            Refusal::RelocationBounds { section, offset } => {
                write!(f, "a relocation at {section}+{offset:#x} is outside of the section; {REBUILD}")
            }
            Refusal::RelocationSymbol { section, offset } => {
                write!(f, "the relocation at {section}+{offset:#x} has no symbol; {REBUILD}")
            }
            Refusal::RelocationOverflow { section, offset } => {
                write!(f, "the relocation at {section}+{offset:#x} does not fit; load the cell into the top 2 GiB")
            }
            Refusal::Unresolved { symbol } => {
                write!(f, "the kernel gives {symbol} no address; this is a bug in the kernel")
            }
            Refusal::Buffer => {
                write!(f, "the buffer is shorter than the layout or not at a page; this is a bug in the loader")
            }
        }
    }
}

impl Structure {
    fn noun(self) -> &'static str {
        match self {
            Structure::Header => "the header",
            Structure::Sections => "the section table",
            Structure::Names => "a table of names",
            Structure::Symbols => "the symbol table",
            Structure::Relocations => "a table of relocations",
            Structure::Manifest => "the manifest",
        }
    }
}
