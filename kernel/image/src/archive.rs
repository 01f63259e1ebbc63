//! The boot archive: many images in one file, in boot order.
//!
//! Little endian, without padding in the tables: magic (8), format (4), count (4), then for each image its name
//! (32, zero-filled), offset (8), length (8) and SHA-256 (32). Images start at multiples of 16 and do not overlap the
//! tables. The archive is a container: each image inside is still verified by itself.

use crate::manifest::is_name;
use crate::{Name, sha256};

/// The version of this format that is written and read.
pub(crate) const FORMAT: u32 = 1;
pub(crate) const MAGIC: [u8; 8] = *b"TelOSarc";
pub(crate) const HEAD: usize = 16;
pub(crate) const ENTRY: usize = 80;
/// The most images in an archive.
const MAX_COUNT: u32 = 1024;

/// What is wrong with an archive: the builder's fault, or a damaged boot medium.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArchiveError {
    /// Not an archive.
    Magic,
    /// An archive of another format.
    Format(u32),
    /// The tables do not lie within the file, or there are too many images.
    Table,
    /// An entry's name is not that of a cell, or is there twice.
    EntryName(u32),
    /// An entry's bytes lie outside of the file or inside the tables.
    EntryBounds(u32),
    /// The image's bytes are not those that were packed.
    Hash(Name),
}

impl core::fmt::Display for ArchiveError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        const REBUILD: &str = "build the boot archive again";
        match self {
            ArchiveError::Magic => write!(f, "not a boot archive; {REBUILD}"),
            ArchiveError::Format(found) => write!(f, "a boot archive of format {found}; {REBUILD}"),
            ArchiveError::Table => write!(f, "the boot archive's table does not hold together; {REBUILD}"),
            ArchiveError::EntryName(index) => write!(f, "entry {index} of the boot archive has a bad name; {REBUILD}"),
            ArchiveError::EntryBounds(index) => {
                write!(f, "entry {index} of the boot archive is out of bounds; {REBUILD}")
            }
            ArchiveError::Hash(name) => {
                write!(f, "image {name} of the boot archive is damaged; {REBUILD}")
            }
        }
    }
}

/// An archive whose tables have been checked.
#[derive(Clone, Copy, Debug)]
pub struct Archive<'a> {
    bytes: &'a [u8],
    count: u32,
}

/// One image of an archive.
#[derive(Clone, Copy, Debug)]
pub struct ArchiveImage<'a> {
    /// The cell's name.
    pub name: &'a str,
    /// The file, as it was packed if [`ArchiveImage::check`] says so.
    pub bytes: &'a [u8],
    hash: &'a [u8; 32],
}

impl<'a> Archive<'a> {
    /// Checks the tables: after this, iterating cannot fail. The images' hashes are not computed yet.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn open(bytes: &'a [u8]) -> Result<Self, ArchiveError> {
        let (head, _) = bytes.split_first_chunk::<HEAD>().ok_or(ArchiveError::Magic)?;
        let [magic @ .., f0, f1, f2, f3, c0, c1, c2, c3] = *head;
        if magic != MAGIC {
            return Err(ArchiveError::Magic);
        }
        let format = u32::from_le_bytes([f0, f1, f2, f3]);
        if format != FORMAT {
            return Err(ArchiveError::Format(format));
        }
        let count = u32::from_le_bytes([c0, c1, c2, c3]);
        let archive = Archive { bytes, count };
        if count > MAX_COUNT || archive.table_end() > bytes.len() {
            return Err(ArchiveError::Table);
        }
        for index in 0..count {
            let image = archive.entry(index)?;
            let seen = (0..index).any(|other| archive.entry(other).is_ok_and(|other| other.name == image.name));
            if seen {
                return Err(ArchiveError::EntryName(index));
            }
        }
        Ok(archive)
    }

    /// How many images there are.
    pub fn len(&self) -> usize {
        self.count as usize
    }

    /// True if there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The images in boot order.
    pub fn iter(&self) -> impl Iterator<Item = ArchiveImage<'a>> + use<'a> {
        let archive = *self;
        (0..self.count).filter_map(move |index| archive.entry(index).ok())
    }

    /// The image of a cell.
    pub fn find(&self, name: &str) -> Option<ArchiveImage<'a>> {
        self.iter().find(|image| image.name == name)
    }

    fn table_end(&self) -> usize {
        HEAD + self.count as usize * ENTRY
    }

    fn entry(&self, index: u32) -> Result<ArchiveImage<'a>, ArchiveError> {
        let start = HEAD + index as usize * ENTRY;
        let rest = self.bytes.get(start..).ok_or(ArchiveError::Table)?;
        let (name, rest) = rest.split_first_chunk::<32>().ok_or(ArchiveError::Table)?;
        let (offset, rest) = rest.split_first_chunk::<8>().ok_or(ArchiveError::Table)?;
        let (length, rest) = rest.split_first_chunk::<8>().ok_or(ArchiveError::Table)?;
        let (hash, _) = rest.split_first_chunk::<32>().ok_or(ArchiveError::Table)?;
        let used = name.iter().position(|byte| *byte == 0).unwrap_or(name.len());
        let (used, fill) = name.split_at_checked(used).ok_or(ArchiveError::Table)?;
        let name = core::str::from_utf8(used).map_err(|_| ArchiveError::EntryName(index))?;
        if !is_name(name) || fill.iter().any(|byte| *byte != 0) {
            return Err(ArchiveError::EntryName(index));
        }
        let out = ArchiveError::EntryBounds(index);
        let offset = usize::try_from(u64::from_le_bytes(*offset)).map_err(|_| out)?;
        let length = usize::try_from(u64::from_le_bytes(*length)).map_err(|_| out)?;
        let end = offset.checked_add(length).ok_or(out)?;
        if offset < self.table_end() {
            return Err(out);
        }
        let bytes = self.bytes.get(offset..end).ok_or(out)?;
        Ok(ArchiveImage { name, bytes, hash })
    }
}

impl ArchiveImage<'_> {
    /// Compares the bytes with the hash in the table.
    ///
    /// # Errors
    /// [`ArchiveError::Hash`] if the boot medium is damaged.
    pub fn check(&self) -> Result<(), ArchiveError> {
        if sha256(self.bytes) == *self.hash { Ok(()) } else { Err(ArchiveError::Hash(Name::new(self.name))) }
    }
}
