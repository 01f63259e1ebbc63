//! What is on the disk, and whether it may be opened or formatted.
//!
//! Only a device whose beginning is blank, or which says itself that formatting was interrupted, is ever formatted. What is
//! something else, or is damaged, is left as it is for its owner to look at.

use core::fmt;

use object_store::{
    BlockDevice, Clock, DeviceError, DeviceState, FileStorage, FormatError, FormatOptions, LastBatch, OpenError,
    OpenReport, SECTOR,
};

use serde::{Deserialize, Serialize};

use crate::backing::Counted;
use crate::{DAMAGED, FOREIGN, OTHER_VERSION, UNUSABLE};

/// A state file at work.
pub struct Opened<D, C> {
    /// The storage.
    pub storage: FileStorage<Counted<D>, C>,
    /// What opening found.
    pub report: OpenReport,
    /// What the statistics tell of it.
    pub facts: Facts,
}

/// What does not change while the server runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// Bytes of the device.
    pub capacity: u64,
    /// Whether it was formatted just now.
    pub formatted: bool,
    /// Torn batches that were cut off.
    pub torn: u32,
}

impl Facts {
    /// Of a store in memory, which is always new and has no capacity of its own.
    pub const OF_MEMORY: Facts = Facts { capacity: 0, formatted: true, torn: 0 };
}

/// Why the disk is not served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// It holds something else.
    Foreign,
    /// It is a state file of another version, or uses unknown features.
    OtherVersion,
    /// It is a damaged state file.
    Damaged,
    /// It fails, is too small, or memory is short.
    Unusable,
}

impl Refused {
    /// The cell's status.
    #[must_use]
    pub fn status(self) -> u64 {
        match self {
            Self::Foreign => FOREIGN,
            Self::OtherVersion => OTHER_VERSION,
            Self::Damaged => DAMAGED,
            Self::Unusable => UNUSABLE,
        }
    }
}

type Log<'a> = &'a dyn Fn(fmt::Arguments<'_>);

/// Opens the state file on a device, or formats a blank one. Each step and each refusal has its line in the log.
///
/// # Errors
/// [`Refused`]; a device with anything on it is then as it was, unless a repair failed in the middle.
pub fn open<D: BlockDevice, C: Clock>(
    mut device: D,
    clock: C,
    key: [u8; 16],
    log: Log<'_>,
) -> Result<Opened<D, C>, Refused> {
    let state = FileStorage::probe(&mut device).map_err(|error| device_failed(error, log))?;
    let formatted = match state {
        DeviceState::Blank => format(&mut device, key, log)?,
        DeviceState::HalfFormatted => {
            log(format_args!("formatting was interrupted: formatting again"));
            format(&mut device, key, log)?
        }
        DeviceState::Valid => false,
        other => return Err(unsuitable(other, log)),
    };
    let capacity = device.sectors().saturating_mul(SECTOR as u64);
    match FileStorage::open(Counted::new(device), clock) {
        Ok((storage, report)) => {
            let torn = tell(&report, log);
            Ok(Opened { storage, report, facts: Facts { capacity, formatted, torn } })
        }
        Err(refused) => Err(not_opened(refused.error, log)),
    }
}

fn format<D: BlockDevice>(device: &mut D, key: [u8; 16], log: Log<'_>) -> Result<bool, Refused> {
    match FileStorage::format(device, key, FormatOptions::default()) {
        Ok(()) => {
            log(format_args!("formatted {} sectors", device.sectors()));
            Ok(true)
        }
        Err(FormatError::InUse(state)) => Err(unsuitable(state, log)),
        Err(FormatError::TooSmall { sectors }) => {
            log(format_args!("the disk is too small: {sectors} sectors"));
            Err(Refused::Unusable)
        }
        Err(FormatError::Device(error)) => Err(device_failed(error, log)),
        Err(FormatError::OutOfMemory) => Err(out_of_memory(log)),
    }
}

/// A device that is neither to be formatted nor to be opened.
fn unsuitable(state: DeviceState, log: Log<'_>) -> Refused {
    match state {
        DeviceState::WrongVersion { found, supported } => {
            log(format_args!(
                "the state file has version {found}, this server reads {supported}: refusing to touch it"
            ));
            Refused::OtherVersion
        }
        DeviceState::UnknownFeatures(bits) => {
            log(format_args!("the state file uses unknown features {bits:#x}: refusing to touch it"));
            Refused::OtherVersion
        }
        DeviceState::NoRoot => {
            log(format_args!("the state file is damaged: it has no valid root"));
            Refused::Damaged
        }
        DeviceState::Foreign | DeviceState::Blank | DeviceState::HalfFormatted | DeviceState::Valid => {
            log(format_args!("the disk holds something else: refusing to touch it"));
            Refused::Foreign
        }
    }
}

fn not_opened(error: OpenError, log: Log<'_>) -> Refused {
    match error {
        OpenError::State(state) => return unsuitable(state, log),
        OpenError::Device(error) => return device_failed(error, log),
        OpenError::OutOfMemory => return out_of_memory(log),
        OpenError::TooSmall { needed, found } => {
            log(format_args!("the state file is damaged: {found} sectors are left of {needed}"));
        }
        OpenError::BadRoot => log(format_args!("the state file is damaged: its root contradicts itself")),
        OpenError::AmbiguousRoot => {
            log(format_args!("the state file is damaged: a root is lost, and its log continues in two ways"));
        }
        OpenError::Rot { segment, offset } => {
            log(format_args!("the state file is damaged: segment {}, offset {offset}", segment.number()));
        }
    }
    Refused::Damaged
}

fn device_failed(error: DeviceError, log: Log<'_>) -> Refused {
    log(format_args!("the disk failed: {error:?}"));
    Refused::Unusable
}

fn out_of_memory(log: Log<'_>) -> Refused {
    log(format_args!("the state file needs more memory than this server has"));
    Refused::Unusable
}

/// Logs what opening found; answers how many torn batches were cut off.
fn tell(report: &OpenReport, log: Log<'_>) -> u32 {
    let torn = match report.last_batch {
        LastBatch::Cut { segment, offset, bytes } => {
            log(format_args!("cut {bytes} bytes of a torn batch: segment {}, offset {offset}", segment.number()));
            1
        }
        LastBatch::None | LastBatch::Confirmed(_) | LastBatch::Unconfirmed(_) => 0,
    };
    let repairs = [
        (report.root_slot_lost, "a root was damaged: repaired it from the other"),
        (report.rolled_forward, "the damaged root's part of the log was found again"),
        (report.identity_lost, "the first sector was damaged: repaired it"),
    ];
    for (_, line) in repairs.iter().filter(|(happened, _)| *happened) {
        log(format_args!("{line}"));
    }
    let (last, objects) = (report.last.number(), report.objects);
    log(format_args!("opened at TID {last}: {objects} objects, torn batches cut: {torn}"));
    torn
}
