//! Opening a state file, for writing or for reading only.

use super::defect::Defect;
use super::format::{Head, inspect};
use super::identity_block::{Identity, Phase};
use super::recovery::{From, Recovered, recover};
use super::report::{OpenError, OpenReport, Refused};
use super::root::{Root, Slot};
use super::volume::Volume;
use super::{DeviceState, FileStorage, Mode, OID_RESERVE};
use crate::Clock;
use crate::device::BlockDevice;

/// Opens a device.
pub(crate) fn open<D: BlockDevice, C: Clock>(
    mut device: D,
    clock: C,
    mode: Mode,
) -> Result<(FileStorage<D, C>, OpenReport), Refused<D>> {
    let head = match read_head(&mut device) {
        Ok(head) => head,
        Err(error) => return Err(Refused { device, error }),
    };
    let (root, other) = match choose(head.slots, device.sectors()) {
        Ok(roots) => roots,
        Err(error) => return Err(Refused { device, error }),
    };
    let slot_lost = other.is_none();
    let previous = other.map_or_else(|| root.table.clone(), |other| other.table);
    let mut volume = Volume::new(device, root, previous);
    let mut recovered = match recover(&mut volume, From::Checkpoint, slot_lost) {
        Ok(recovered) => recovered,
        Err(error) => {
            return Err(Refused { device: volume.into_device(), error });
        }
    };
    if slot_lost {
        // The lost root may have reserved more object numbers, in the step that every reservation has.
        recovered.oid_reserved = recovered.oid_reserved.saturating_add(OID_RESERVE);
    }
    let unheeded = if Defect::OidsReused.is_planted() { OID_RESERVE } else { 0 };
    let next_oid = recovered.oid_reserved.saturating_sub(unheeded).max(1);
    let report = report(&volume, &recovered, slot_lost, !head.identity_intact);
    if mode == Mode::Write
        && let Err(error) = settle(&mut volume, &mut recovered, &report)
    {
        return Err(Refused { device: volume.into_device(), error });
    }
    Ok((FileStorage::assemble(volume, clock, mode, recovered, next_oid), report))
}

/// The first blocks of a device that is a state file of this version with a valid root.
pub(crate) fn read_head<D: BlockDevice>(device: &mut D) -> Result<Head, OpenError> {
    let head = inspect(device)?;
    match head.state {
        DeviceState::Valid => Ok(head),
        state => Err(OpenError::State(state)),
    }
}

/// The root in force, and the one before it if its slot is valid.
pub(crate) fn choose([first, second]: [Slot; 2], sectors: u64) -> Result<(Root, Option<Root>), OpenError> {
    let valid = |slot| {
        if let Slot::Valid(root) = slot { Some(root) } else { None }
    };
    let (root, other) = match (valid(first), valid(second)) {
        (Some(first), Some(second)) if (first.epoch > second.epoch) != Defect::RootEpochIgnored.is_planted() => {
            (first, Some(second))
        }
        (Some(first), Some(second)) => (second, Some(first)),
        (Some(only), None) | (None, Some(only)) => (only, None),
        (None, None) => return Err(OpenError::State(DeviceState::NoRoot)),
    };
    let needed = root.geometry.device_sectors();
    if needed > sectors {
        return Err(OpenError::TooSmall { needed, found: sectors });
    }
    let consistent = other.as_ref().is_none_or(|other| other.geometry == root.geometry && other.key == root.key);
    if consistent { Ok((root, other)) } else { Err(OpenError::BadRoot) }
}

/// Begins a life of the storage: makes durable what was found, for it will be served; repairs what was lost; and publishes
/// a root, so that nothing which an earlier life left unpublished can pass for something of this one.
fn settle<D: BlockDevice>(volume: &mut Volume<D>, found: &mut Recovered, report: &OpenReport) -> Result<(), OpenError> {
    volume.flush()?;
    let mut root = volume.next_root()?;
    if let Some(adopted) = &found.adopted {
        if let Some((before, end)) = &adopted.before {
            root.table.close(before, *end);
        }
        root.table.occupy(&adopted.run);
    }
    root.flushed = found.tail.sequence;
    root.last_tid = found.last;
    root.horizon = found.horizon;
    root.clean_below = found.clean_below.unwrap_or(root.clean_below);
    root.oid_reserved = found.oid_reserved.checked_add(OID_RESERVE).ok_or(OpenError::BadRoot)?;
    found.oid_reserved = root.oid_reserved;
    let publication = root.prepare()?;
    volume.publish(publication)?;
    if report.identity_lost {
        let sector = Identity::current(Phase::Ready).encode()?;
        volume.write(0, &sector)?;
        volume.flush()?;
    }
    Ok(())
}

fn report<D: BlockDevice>(
    volume: &Volume<D>,
    found: &Recovered,
    root_slot_lost: bool,
    identity_lost: bool,
) -> OpenReport {
    OpenReport {
        epoch: volume.root().epoch,
        last: found.last,
        transactions: found.transactions,
        objects: found.objects,
        scanned_batches: found.batches,
        scanned_sectors: found.sectors,
        last_batch: found.last_batch,
        root_slot_lost,
        rolled_forward: found.adopted.is_some(),
        identity_lost,
    }
}
