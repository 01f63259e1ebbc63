//! Making a device a state file, and telling what a device is.
//!
//! Formatting writes the identity with phase *formatting*, flushes, writes both roots, flushes, writes the identity with
//! phase *ready* and flushes. A cut before the end leaves a device that says so; nothing else is ever formatted but zeros.

use alloc::vec::Vec;

use super::geometry::{BLOCK, BLOCK_SECTORS, Geometry, root_slot};
use super::identity_block::{FORMAT_VERSION, Identity, KNOWN_FEATURES, MAGIC, Phase};
use super::root::{Root, Slot};
use super::{FormatError, FormatOptions};
use crate::Epoch;
use crate::device::{BlockDevice, DeviceError, SECTOR};

/// Bytes that must be zero for a device to count as blank. The superblocks of other systems lie well within.
const BLANK_BYTES: u64 = 1 << 20;

/// What a device is, as far as its first blocks tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceState {
    /// The first mebibyte is zero: it may be formatted.
    Blank,
    /// Formatting was interrupted, and says so: it may be formatted.
    HalfFormatted,
    /// A state file of the supported version with a valid root.
    Valid,
    /// A state file of another version.
    WrongVersion {
        /// Its version.
        found: u32,
        /// The version that this crate reads.
        supported: u32,
    },
    /// A state file that uses features which this crate does not know; their bits.
    UnknownFeatures(u32),
    /// A state file without a valid root: damaged.
    NoRoot,
    /// Something else, which is none of our business.
    Foreign,
}

/// The first blocks of a device.
pub(crate) struct Head {
    pub(crate) state: DeviceState,
    /// Whether the identity sector is what formatting left.
    pub(crate) identity_intact: bool,
    pub(crate) slots: [Slot; 2],
}

/// Reads the first blocks. Reads only.
pub(crate) fn inspect<D: BlockDevice>(device: &mut D) -> Result<Head, DeviceError> {
    if device.sectors() < super::geometry::HEAD_SECTORS {
        let state = if is_blank(device, 0)? { DeviceState::Blank } else { DeviceState::Foreign };
        return Ok(Head { state, identity_intact: false, slots: [Slot::Invalid, Slot::Invalid] });
    }
    let mut sector = [0; SECTOR];
    device.read(0, &mut sector)?;
    let identity = Identity::decode(&sector);
    let slots = [read_slot(device, 0)?, read_slot(device, 1)?];
    let other = slots.iter().find_map(|slot| match *slot {
        Slot::Other { version, features } => Some((version, features)),
        _ => None,
    });
    let valid = slots.iter().any(|slot| matches!(slot, Slot::Valid(_)));
    let state = match (identity, other) {
        (Some(identity), _) if identity.version != FORMAT_VERSION || identity.features & !KNOWN_FEATURES != 0 => {
            foreign_version(identity.version, identity.features)
        }
        (Some(Identity { phase: Phase::Formatting, .. }), _) => DeviceState::HalfFormatted,
        _ if valid => DeviceState::Valid,
        (_, Some((version, features))) => foreign_version(version, features),
        (Some(_), None) => DeviceState::NoRoot,
        (None, None) if Identity::is_begun(&sector) && is_blank(device, 1)? => DeviceState::HalfFormatted,
        (None, None) if sector.starts_with(&MAGIC) => DeviceState::NoRoot,
        (None, None) if is_blank(device, 0)? => DeviceState::Blank,
        (None, None) => DeviceState::Foreign,
    };
    Ok(Head { state, identity_intact: identity.is_some(), slots })
}

fn foreign_version(found: u32, features: u32) -> DeviceState {
    if found == FORMAT_VERSION {
        DeviceState::UnknownFeatures(features & !KNOWN_FEATURES)
    } else {
        DeviceState::WrongVersion { found, supported: FORMAT_VERSION }
    }
}

fn read_slot<D: BlockDevice>(device: &mut D, slot: u64) -> Result<Slot, DeviceError> {
    let mut block = [0; BLOCK];
    device.read(root_slot(Epoch::new(slot)), &mut block)?;
    Ok(Root::decode(&block))
}

/// Whether what counts of a device is zero from a sector on.
fn is_blank<D: BlockDevice>(device: &mut D, mut sector: u64) -> Result<bool, DeviceError> {
    let sectors = device.sectors().min(BLANK_BYTES / SECTOR as u64);
    let mut block = [0; BLOCK];
    while sector < sectors {
        let count = (sectors - sector).min(BLOCK_SECTORS);
        let part = block.get_mut(..count as usize * SECTOR).unwrap_or_default();
        device.read(sector, part)?;
        if part.iter().any(|&byte| byte != 0) {
            return Ok(false);
        }
        sector += count;
    }
    Ok(true)
}

/// Formats a device that is blank or half formatted.
pub(crate) fn format<D: BlockDevice>(device: &mut D, key: [u8; 16], options: FormatOptions) -> Result<(), FormatError> {
    match inspect(device)?.state {
        DeviceState::Blank | DeviceState::HalfFormatted => {}
        state => return Err(FormatError::InUse(state)),
    }
    let sectors = device.sectors();
    let geometry = Geometry::plan(sectors, options.segment_sectors).ok_or(FormatError::TooSmall { sectors })?;
    let identity = |phase| Identity::current(phase).encode().map_err(|_| FormatError::OutOfMemory);
    // Both roots in one write, so that from the first day a slot without a valid root is a fault.
    let mut roots = Vec::new();
    for epoch in [2, 1] {
        let root = Root::first(geometry, key, Epoch::new(epoch)).and_then(|root| root.encode());
        roots.extend(root.map_err(|_| FormatError::OutOfMemory)?);
    }
    device.write(0, &identity(Phase::Formatting)?)?;
    device.flush()?;
    device.write(root_slot(Epoch::new(2)), &roots)?;
    device.flush()?;
    device.write(0, &identity(Phase::Ready)?)?;
    device.flush()?;
    Ok(())
}
