//! The index checkpoint: the index as bytes, so that opening need not read the whole log.
//!
//! It lies in runs of its own as numbered parts, each an ordinary batch. A part is a list of items: `0` and a transaction,
//! or a number of revisions, their object and themselves. Losing it costs time only, for the log holds all of it.

use super::batch::{BatchHeader, HEADER, RunHeader};
use super::geometry::sectors_for;
use super::index::{Index, Revision, TransactionEntry};
use super::root::Root;
use super::table::{Run, RunKind};
use super::volume::{Found, Volume};
use crate::codec::{Reader, Writer};
use crate::device::{BlockDevice, SECTOR};
use crate::{Oid, StorageError, Tid};

/// A part is closed once it is longer than this.
const PART_BYTES: usize = 48 << 10;
/// The most bytes of an item with a single revision, and so how far a part may exceed its limit.
const ITEM_BYTES: usize = 64;

/// Writes the index and publishes `root` with it. On an error nothing is published.
pub(crate) fn write<D: BlockDevice>(volume: &mut Volume<D>, index: &Index, mut root: Root) -> Result<(), StorageError> {
    let old = root.table.runs(RunKind::Index);
    let segment = root.geometry.segment_sectors as usize;
    let limit = PART_BYTES.min((segment - 1) * SECTOR - ITEM_BYTES);
    root.index_parts = 0;
    root.index_bytes = 0;
    let mut output = Output { volume, root: &mut root, run: None, sector: 0, part: Writer::default(), limit };
    output.start_part()?;
    for entry in index.transactions() {
        output.transaction(entry)?;
    }
    for (oid, revisions) in index.objects() {
        output.revisions(oid, revisions)?;
    }
    output.finish_part()?;
    for run in &old {
        root.table.release(run);
    }
    volume.flush()?;
    volume.publish(root.prepare()?)
}

/// Parts on their way to the device.
struct Output<'a, D> {
    volume: &'a mut Volume<D>,
    root: &'a mut Root,
    run: Option<Run>,
    sector: u64,
    part: Writer,
    limit: usize,
}

impl<D: BlockDevice> Output<'_, D> {
    fn transaction(&mut self, entry: &TransactionEntry) -> Result<(), StorageError> {
        self.part.variable(0)?;
        self.part.variable(entry.tid.number())?;
        self.part.variable(entry.address)?;
        self.part.variable(u64::from(entry.length))?;
        self.close_if_full()
    }

    fn revisions(&mut self, oid: Oid, mut revisions: &[Revision]) -> Result<(), StorageError> {
        while !revisions.is_empty() {
            let room = self.limit.saturating_sub(self.part.len()) / ITEM_BYTES + 1;
            let (some, rest) = revisions.split_at(room.min(revisions.len()));
            self.part.variable(some.len() as u64)?;
            self.part.variable(oid.number())?;
            for revision in some {
                self.part.variable(revision.tid.number())?;
                self.part.variable(revision.address)?;
                self.part.variable(u64::from(revision.length))?;
                self.part.u32(revision.checksum)?;
            }
            self.close_if_full()?;
            revisions = rest;
        }
        Ok(())
    }

    fn close_if_full(&mut self) -> Result<(), StorageError> {
        if self.part.len() > self.limit {
            self.finish_part()?;
            self.start_part()?;
        }
        Ok(())
    }

    fn start_part(&mut self) -> Result<(), StorageError> {
        self.part = Writer::default();
        Ok(self.part.pad_to(HEADER)?)
    }

    fn finish_part(&mut self) -> Result<(), StorageError> {
        let length = self.part.len();
        let sectors = sectors_for(length as u64);
        self.part.pad_to(sectors as usize * SECTOR)?;
        let mut bytes = core::mem::take(&mut self.part).into_bytes();
        let (run, sector) = self.place(sectors)?;
        let place = self.volume.sector(&run, sector);
        let header = BatchHeader {
            kind: RunKind::Index,
            length: length as u32,
            sequence: u64::from(self.root.index_parts),
            generation: run.generation,
            sector: place,
            tid: self.root.last_tid,
            flushed: 0,
            oid_reserved: 0,
        };
        header.seal(self.volume.seal, &mut bytes)?;
        self.volume.write(place, &bytes)?;
        self.root.index_parts += 1;
        self.root.index_bytes += bytes.len() as u64;
        self.sector = sector + sectors;
        Ok(())
    }

    /// Where the next part goes: behind the last one, or in a new run.
    fn place(&mut self, sectors: u64) -> Result<(Run, u64), StorageError> {
        match self.run {
            Some(run) if self.sector + sectors <= self.volume.run_sectors(&run) => Ok((run, self.sector)),
            _ => {
                let run = self.volume.find_run(&self.root.table, RunKind::Index, sectors)?;
                let first = u64::from(self.root.index_parts);
                let header = RunHeader { run, first }.encode(self.volume.seal)?;
                self.volume.write(self.volume.sector(&run, 0), &header)?;
                self.root.table.occupy(&run);
                self.run = Some(run);
                Ok((run, 1))
            }
        }
    }
}

/// Reads the index checkpoint of the root in force; `None` if it is damaged.
pub(crate) fn read<D: BlockDevice>(volume: &mut Volume<D>) -> Result<Option<Index>, StorageError> {
    let mut index = Index::default();
    let parts = u64::from(volume.root().index_parts);
    let runs = volume.root().table.runs(RunKind::Index);
    let mut next = 0;
    for (number, run) in runs.iter().enumerate() {
        // Behind the last part of a run may stand one of an attempt that was given up: the next run says where to stop.
        let end = match runs.get(number + 1) {
            Some(following) => match volume.read_run_header(following)? {
                Some(header) if header.run == *following => header.first,
                _ => return Ok(None),
            },
            None => parts,
        };
        let mut sector = 1;
        while next < end.min(parts) {
            let Found::Batch(batch) = volume.read_batch(run, sector, next)? else {
                return Ok(None);
            };
            let body = batch.bytes.get(HEADER..batch.header.length as usize).unwrap_or_default();
            if apply(&mut index, body).is_none() {
                return Ok(None);
            }
            sector += batch.header.sectors();
            next += 1;
        }
    }
    Ok((next == parts).then_some(index))
}

fn apply(index: &mut Index, part: &[u8]) -> Option<()> {
    let mut reader = Reader::new(part);
    while !reader.is_empty() {
        match reader.variable()? {
            0 => {
                let (tid, address) = (Tid::new(reader.variable()?), reader.variable()?);
                let entry = TransactionEntry { tid, address, length: u32::try_from(reader.variable()?).ok()? };
                index.add_transaction(entry).then_some(())?;
            }
            revisions => {
                let oid = Oid::new(reader.variable()?);
                for _ in 0..revisions {
                    let (tid, address) = (Tid::new(reader.variable()?), reader.variable()?);
                    let (length, checksum) = (u32::try_from(reader.variable()?).ok()?, reader.u32()?);
                    index.add_revision(oid, Revision { tid, address, length, checksum }).then_some(())?;
                }
            }
        }
    }
    Some(())
}
