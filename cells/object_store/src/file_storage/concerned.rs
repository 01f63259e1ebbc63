//! What stands in a damaged place: for tools that name the objects beside the segment and the offset.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use core::ops::Range;

use super::FileStorage;
use super::batch::BatchHeader;
use super::entry::TRANSACTIONS;
use super::table::{Run, RunKind};
use super::verify::Damage;
use super::walk::FIRST;
use crate::device::{BlockDevice, SECTOR};
use crate::{Clock, Oid, SegmentId, StorageError, Tid};

/// Index entries that are looked at together.
const CHUNK: usize = 4_096;

/// What of the store a damage touches.
enum Touched {
    Object(Oid),
    Transaction(Tid),
    /// Byte addresses of the device.
    Bytes(Range<u64>),
    Nothing,
}

impl<D: BlockDevice, C: Clock> FileStorage<D, C> {
    /// The byte of the device at an offset in a segment, or in a run that begins there, as a [`Damage`] names it.
    #[must_use]
    pub fn device_address(&self, segment: SegmentId, offset: u64) -> u64 {
        (self.volume.root().geometry.start(segment) * SECTOR as u64).saturating_add(offset)
    }

    /// Of each damage the objects of which a revision that counts stands in the damaged place, ascending. The record of such a
    /// revision may be whole: one that is not has a [`Damage::Record`] of its own.
    ///
    /// # Errors
    /// As for [`verify`](Self::verify).
    pub fn concerned(&mut self, damages: &[Damage]) -> Result<Vec<Vec<Oid>>, StorageError> {
        let mut touched = Vec::new();
        for damage in damages {
            touched.push(match *damage {
                Damage::Record { oid, .. } => Touched::Object(oid),
                Damage::Transaction { tid, .. } => Touched::Transaction(tid),
                Damage::Batch { segment, offset } => self.batch_bytes(segment, offset)?,
                Damage::Identity | Damage::Root(_) | Damage::Index => Touched::Nothing,
            });
        }
        let mut found: Vec<BTreeSet<Oid>> = touched.iter().map(|_| BTreeSet::new()).collect();
        let (last, horizon) = (self.last, self.horizon);
        let mut next = Some(FIRST);
        while let Some(from) = next {
            let entries = self.consult(|index, volume, _| index.some_from(volume, from, CHUNK))?;
            next = if entries.len() < CHUNK { None } else { entries.last().and_then(|entry| entry.key.after()) };
            for entry in entries.iter().filter(|entry| entry.key.oid != TRANSACTIONS && entry.key.tid <= last) {
                let hit = |one: &Touched| match one {
                    Touched::Object(oid) => *oid == entry.key.oid,
                    Touched::Transaction(tid) => *tid == entry.key.tid,
                    Touched::Bytes(bytes) => entry.place.length > 0 && bytes.contains(&entry.place.address),
                    Touched::Nothing => false,
                };
                if !touched.iter().any(hit) {
                    continue;
                }
                let alive = self.consult(|index, volume, _| index.is_alive(volume, entry.key, horizon))?;
                if alive == Some(entry.place) {
                    for (_, oids) in touched.iter().zip(&mut found).filter(|(one, _)| hit(one)) {
                        oids.insert(entry.key.oid);
                    }
                }
            }
        }
        Ok(found.into_iter().map(|oids| oids.into_iter().collect()).collect())
    }

    /// The bytes of a batch: as many as its header says, or else those up to the next batch of the run.
    fn batch_bytes(&mut self, head: SegmentId, offset: u64) -> Result<Touched, StorageError> {
        let runs = self.volume.root().table.runs(RunKind::Log);
        let (Some(run), true) = (runs.iter().find(|run| run.head == head), offset > 0) else {
            return Ok(Touched::Nothing);
        };
        let end = run.end.map_or(self.tail.sector, u64::from);
        let first = offset / SECTOR as u64;
        let mut behind = first + 1;
        match self.batch_header(run, first)? {
            Some(header) => behind = first + header.sectors(),
            None => {
                while behind < end && self.batch_header(run, behind)?.is_none() {
                    behind += 1;
                }
            }
        }
        let byte = |sector| self.volume.sector(run, sector) * SECTOR as u64;
        Ok(Touched::Bytes(byte(first)..byte(behind)))
    }

    fn batch_header(&mut self, run: &Run, sector: u64) -> Result<Option<BatchHeader>, StorageError> {
        let place = self.volume.sector(run, sector);
        let bytes = self.volume.read_sectors(place, 1)?;
        Ok(BatchHeader::decode(self.volume.seal, &bytes, run, place))
    }
}
