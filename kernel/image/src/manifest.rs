//! The manifest: what a cell says about itself, and the hash of every other section.
//!
//! The section `.telos.manifest` holds the postcard encoding of a [`Manifest`] and then the SHA-256 of that encoding,
//! so that damage to the manifest is told apart from damage elsewhere. Sizes, flags and hashes have a fixed width: the
//! builder knows the length of the section before it knows the hashes.

use serde::{Deserialize, Serialize};

use crate::refusal::{Name, Refusal, Structure};
use crate::{List, sha256};

/// The version of this format that is written and read.
pub const MANIFEST_FORMAT: u16 = 1;

/// The section that holds the manifest.
pub(crate) const SECTION: &str = ".telos.manifest";

/// What a cell says about itself.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Manifest<'a> {
    /// [`MANIFEST_FORMAT`].
    pub format: u16,
    /// The cell's name: that of its folder, in lower case, at most 32 bytes.
    pub name: &'a str,
    /// The crate's version, as semver.
    pub version: &'a str,
    /// Stands for what the image holds: it grows when a build of this name gives another object or another description, and a build
    /// that gives the same keeps number and bytes. So an image that comes twice is one image.
    pub build: u64,
    /// What `rustc --version` says of the compiler.
    pub compiler: &'a str,
    /// The first eight bytes, little endian, of the SHA-256 of the compiler flags.
    pub flags_hash: u64,
    /// The hash of the kernel functions that the cell was compiled against.
    pub kernel_abi: u64,
    /// The labels that the cell serves.
    #[serde(borrow)]
    pub labels: List<'a, Label>,
    /// The schema in which the cell exports its state.
    pub schema_written: u32,
    /// The schemas that it can import.
    #[serde(borrow)]
    pub schemas_readable: List<'a, u32>,
    /// What it asks for.
    #[serde(borrow)]
    pub demands: List<'a, Demand<'a>>,
    /// The crates that were compiled in.
    #[serde(borrow)]
    pub dependencies: List<'a, Dependency<'a>>,
    /// Every other section, in the order of the section table and without its null entry.
    #[serde(borrow)]
    pub sections: List<'a, SectionRecord<'a>>,
}

/// A label and the signature that the cell gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Label {
    /// The number that a caller puts in the message; with the highest bit set, a request of it can be given to the next instance as
    /// long as it is not answered.
    pub label: u32,
    /// The hash of the request's and the reply's types.
    pub signature: u64,
}

impl Label {
    const REPLAYABLE: u32 = 1 << 31;

    /// The number that a caller puts in the message.
    pub fn number(&self) -> u32 {
        self.label & !Self::REPLAYABLE
    }

    /// Whether a request of it can be given to the next instance as long as it is not answered.
    pub fn is_replayable(&self) -> bool {
        self.label & Self::REPLAYABLE != 0
    }
}

/// Something that a cell asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Demand<'a> {
    /// Heap, in bytes.
    Heap(u64),
    /// The stack of its first thread, in bytes.
    Stack(u64),
    /// Slots of its capability table.
    Slots(u32),
    /// A capability by name, as the boot set or the parent grants it.
    Capability(&'a str),
}

/// A crate that was compiled into the cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dependency<'a> {
    /// The package's name.
    pub name: &'a str,
    /// Its version, as semver.
    pub version: &'a str,
}

/// What the builder saw of one section.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SectionRecord<'a> {
    /// The section's name.
    pub name: &'a str,
    /// Its `sh_flags`.
    #[serde(with = "postcard::fixint::le")]
    pub flags: u64,
    /// Its size in memory, in bytes.
    #[serde(with = "postcard::fixint::le")]
    pub size: u64,
    /// The SHA-256 of its bytes in the file; of nothing for a section without bytes.
    pub hash: [u8; 32],
}

impl<'a> Manifest<'a> {
    /// Reads the contents of the manifest's section.
    ///
    /// # Errors
    /// [`Refusal::SectionHash`] naming the manifest if it is damaged, else what is wrong with it.
    pub fn decode(section: &'a [u8]) -> Result<Self, Refusal> {
        let (encoded, hash) = section.split_last_chunk::<32>().ok_or(Structure::Manifest)?;
        if sha256(encoded) != *hash {
            return Err(Refusal::SectionHash { section: Name::new(SECTION) });
        }
        let (format, _) = postcard::take_from_bytes::<u16>(encoded).map_err(|_| Structure::Manifest)?;
        if format != MANIFEST_FORMAT {
            return Err(Refusal::ManifestFormat { found: format });
        }
        let (manifest, rest) = postcard::take_from_bytes::<Manifest<'a>>(encoded).map_err(|_| Structure::Manifest)?;
        let lists = manifest.labels.check()
            && manifest.schemas_readable.check()
            && manifest.demands.check()
            && manifest.dependencies.check()
            && manifest.sections.check();
        if !lists || !rest.is_empty() || !is_name(manifest.name) {
            return Err(Structure::Manifest.into());
        }
        Ok(manifest)
    }

    /// The heap that the cell asks for, in bytes; nothing said is none.
    pub fn heap(&self) -> u64 {
        self.demands
            .iter()
            .find_map(|demand| if let Demand::Heap(bytes) = demand { Some(bytes) } else { None })
            .unwrap_or(0)
    }

    /// The stack that the cell asks for, in bytes; nothing said is none.
    pub fn stack(&self) -> u64 {
        self.demands
            .iter()
            .find_map(|demand| if let Demand::Stack(bytes) = demand { Some(bytes) } else { None })
            .unwrap_or(0)
    }

    /// The slots of the capability table that the cell asks for; nothing said is none.
    pub fn slots(&self) -> u32 {
        self.demands
            .iter()
            .find_map(|demand| if let Demand::Slots(count) = demand { Some(count) } else { None })
            .unwrap_or(0)
    }
}

/// True for what may name a cell: 1 to 32 of `a-z`, `0-9` and `_`.
pub(crate) fn is_name(name: &str) -> bool {
    (1..=32).contains(&name.len()) && name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_'))
}
