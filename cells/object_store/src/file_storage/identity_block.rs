//! The first sector: what this device is.
//!
//! It is written when formatting begins and when it ends, and never else but to repair it, so that an interrupted
//! formatting can be told from a damaged store. All of it fits one sector, which a device writes whole or not at all; a device
//! that was blank and holds the beginning of it alone is taken for half formatted all the same.

use alloc::vec::Vec;

use super::checksum::{plain, verified};
use crate::StorageError;
use crate::codec::{Reader, Writer};
use crate::device::SECTOR;

/// The first eight bytes of a state file.
pub(crate) const MAGIC: [u8; 8] = *b"TelOS\0id";
/// The format that this crate reads and writes.
pub const FORMAT_VERSION: u32 = 3;
/// The incompatible features that this crate knows: none yet.
pub(crate) const KNOWN_FEATURES: u32 = 0;

/// How far formatting came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// It began: nothing behind this sector counts.
    Formatting,
    /// It ended: a root is valid.
    Ready,
}

/// The identity sector's content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) version: u32,
    pub(crate) features: u32,
    pub(crate) phase: Phase,
}

impl Identity {
    pub(crate) fn current(phase: Phase) -> Self {
        Self { version: FORMAT_VERSION, features: KNOWN_FEATURES, phase }
    }

    pub(crate) fn encode(self) -> Result<Vec<u8>, StorageError> {
        let mut writer = Writer::with_capacity(SECTOR)?;
        writer.put(&MAGIC)?;
        writer.u32(self.version)?;
        writer.u32(self.features)?;
        writer.u32(match self.phase {
            Phase::Formatting => 1,
            Phase::Ready => 2,
        })?;
        writer.pad_to(SECTOR - 4)?;
        let checksum = plain(writer.bytes());
        writer.u32(checksum)?;
        Ok(writer.into_bytes())
    }

    /// Whether a sector of zeros is what the first write of a formatting left, torn: its beginning, and zeros behind.
    pub(crate) fn is_begun(sector: &[u8]) -> bool {
        let Ok(whole) = Self::current(Phase::Formatting).encode() else {
            return false;
        };
        let same = whole.iter().zip(sector).take_while(|(whole, found)| whole == found).count();
        same > 0 && sector.iter().skip(same).all(|&byte| byte == 0)
    }

    /// The identity in a sector. Where its checksum stands is the same in all versions.
    pub(crate) fn decode(sector: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(verified(sector)?);
        if reader.array()? != MAGIC {
            return None;
        }
        let (version, features) = (reader.u32()?, reader.u32()?);
        let phase = if reader.u32()? == 1 { Phase::Formatting } else { Phase::Ready };
        Some(Self { version, features, phase })
    }
}
