//! A window on the log: sectors read ahead, so that a scan takes few reads.

use alloc::vec::Vec;

use super::volume::Volume;
use crate::StorageError;
use crate::device::{BlockDevice, SECTOR};

/// Sectors that are read ahead.
const AHEAD: u64 = 512;

/// Consecutive sectors of the device.
#[derive(Debug, Default)]
pub(crate) struct Window {
    first: u64,
    bytes: Vec<u8>,
}

impl Window {
    /// These sectors. What is read for them ends before `end`, or with them.
    pub(crate) fn get<D: BlockDevice>(
        &mut self,
        volume: &mut Volume<D>,
        sector: u64,
        count: u64,
        end: u64,
    ) -> Result<&[u8], StorageError> {
        let held = self.first..self.first + (self.bytes.len() / SECTOR) as u64;
        if sector < held.start || sector + count > held.end {
            self.first = sector;
            let ahead = AHEAD.min(end.saturating_sub(sector));
            let outcome = volume.read_into(sector, count.max(ahead), &mut self.bytes);
            if outcome.is_err() {
                self.bytes.clear();
            }
            outcome?;
        }
        let start = (sector - self.first) as usize * SECTOR;
        Ok(self.bytes.get(start..start + count as usize * SECTOR).unwrap_or_default())
    }
}
