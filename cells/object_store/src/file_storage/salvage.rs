//! Salvage: what can still be read of a state file that may be too damaged to be opened.
//!
//! The log is read without its index. Each transaction's head and each record have checksums of their own, so that a batch
//! which is not whole still gives what is whole in it, and a batch whose header is lost is searched for the heads of its
//! transactions. What a pack dropped stays dropped, as far as the batch that says so can be read.
//!
//! A valid root is needed: it holds the key of all other checksums.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::batch::{BatchHeader, BatchKind, HEADER};
use super::entry::Place;
use super::geometry::BATCH_LIMIT;
use super::open::{choose, read_head};
use super::pack_body;
use super::report::{OpenError, Refused};
use super::root::Root;
use super::table::{Run, RunKind};
use super::transaction_body::{Head, record_checksum};
use super::verify::Damage;
use super::volume::Volume;
use crate::device::{BlockDevice, SECTOR};
use crate::{Metadata, Oid, Record, RevisionKind, SegmentId, StorageError, Tid};

/// How many times its length a damaged body is gone over at most, in search of heads.
const SEARCH_EFFORT: u64 = 64;

/// A damaged state file, read as far as it can be.
pub struct Salvage<D> {
    volume: Volume<D>,
    transactions: BTreeMap<Tid, Found>,
    damages: Vec<Damage>,
    horizon: Tid,
    /// Objects that packs collected, with the horizon of the pack.
    collected: BTreeMap<Oid, Tid>,
    oid_limit: Oid,
    flushed: u64,
}

/// What was found of a transaction.
#[derive(Default)]
struct Found {
    metadata: Metadata,
    changes: BTreeMap<Oid, Revision>,
}

#[derive(Clone, Copy)]
struct Revision {
    place: Place,
    readable: bool,
}

/// What is left of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Salvaged {
    /// Its number.
    pub tid: Tid,
    /// What it says of itself.
    pub metadata: Metadata,
    /// Its changes that count, ascending.
    pub changes: Vec<SalvagedChange>,
}

/// A change of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SalvagedChange {
    /// The object.
    pub oid: Oid,
    /// What was done to it.
    pub kind: RevisionKind,
    /// Whether its record can be read. An end has none, and can.
    pub readable: bool,
}

impl<D: BlockDevice> Salvage<D> {
    /// Reads the whole log. Nothing is written.
    ///
    /// # Errors
    /// The device is given back with the reason: without a root of this version nothing can be told.
    pub fn read(mut device: D) -> Result<Self, Refused<D>> {
        let head = match read_head(&mut device) {
            Ok(head) => head,
            Err(error) => return Err(Refused { device, error }),
        };
        let mut damages = Vec::new();
        if !head.identity_intact {
            damages.push(Damage::Identity);
        }
        let valid = |slot: &super::root::Slot| matches!(slot, super::root::Slot::Valid(_));
        damages.extend((0..).zip(&head.slots).filter(|(_, slot)| !valid(slot)).map(|(number, _)| Damage::Root(number)));
        let (root, previous) = match choose(head.slots, device.sectors()) {
            Ok((root, other)) => {
                let previous = other.map_or_else(|| root.table.clone(), |other| other.table);
                (root, previous)
            }
            Err(error) => return Err(Refused { device, error }),
        };
        let mut salvage = Self {
            horizon: root.horizon,
            oid_limit: Oid::new(root.oid_reserved),
            flushed: root.flushed,
            volume: Volume::new(device, root.clone(), previous),
            transactions: BTreeMap::new(),
            damages,
            collected: BTreeMap::new(),
        };
        match salvage.scan(&root) {
            Ok(()) => Ok(salvage),
            Err(error) => Err(Refused { device: salvage.volume.into_device(), error: OpenError::from(error) }),
        }
    }

    /// Gives the device back.
    pub fn into_device(self) -> D {
        self.volume.into_device()
    }

    /// What is damaged beside the records that [`lost`](Self::lost) tells: identity, roots, batches and headers of runs.
    #[must_use]
    pub fn damages(&self) -> &[Damage] {
        &self.damages
    }

    /// The key of the permutation of object numbers.
    #[must_use]
    pub fn permutation_key(&self) -> &[u8; 16] {
        &self.volume.root().key
    }

    /// Up to where the past was packed away.
    #[must_use]
    pub fn horizon(&self) -> Tid {
        self.horizon
    }

    /// No object number at or above this was issued, as far as is known.
    #[must_use]
    pub fn oid_limit(&self) -> Oid {
        self.oid_limit
    }

    /// Sectors of a segment, as it was formatted.
    #[must_use]
    pub fn segment_sectors(&self) -> u32 {
        self.volume.root().geometry.segment_sectors
    }

    /// The byte of the device at an offset in a segment, or in a run that begins there.
    #[must_use]
    pub fn device_address(&self, segment: SegmentId, offset: u64) -> u64 {
        (self.volume.root().geometry.start(segment) * SECTOR as u64).saturating_add(offset)
    }

    /// The transactions of which something is left, in the order of their numbers.
    #[must_use]
    pub fn transactions(&self) -> Vec<Salvaged> {
        let mut newest: BTreeMap<Oid, Tid> = BTreeMap::new();
        for (&tid, found) in self.transactions.range(..=self.horizon) {
            newest.extend(found.changes.keys().map(|&oid| (oid, tid)));
        }
        let counts = |oid: &Oid, tid: Tid| {
            let collected = self.collected.get(oid).is_some_and(|&horizon| tid <= horizon);
            !collected && (tid > self.horizon || newest.get(oid) == Some(&tid))
        };
        let salvaged = |(&tid, found): (&Tid, &Found)| {
            let changes: Vec<SalvagedChange> = found
                .changes
                .iter()
                .filter(|(oid, _)| counts(oid, tid))
                .map(|(&oid, one)| SalvagedChange { oid, kind: one.place.kind(), readable: one.readable })
                .collect();
            let packed = changes.is_empty() && tid <= self.horizon;
            (!packed).then(|| Salvaged { tid, metadata: found.metadata.clone(), changes })
        };
        self.transactions.iter().filter_map(salvaged).collect()
    }

    /// A record that a transaction wrote; `None` where it is lost, or was none.
    ///
    /// # Errors
    /// [`StorageError::Device`], [`StorageError::OutOfMemory`].
    pub fn record(&mut self, oid: Oid, tid: Tid) -> Result<Option<Record>, StorageError> {
        let found = self.transactions.get(&tid).and_then(|found| found.changes.get(&oid)).copied();
        match found.filter(|found| found.readable && found.place.length > 0) {
            Some(found) => self.read_record(oid, tid, found.place),
            None => Ok(None),
        }
    }

    fn read_record(&mut self, oid: Oid, tid: Tid, place: Place) -> Result<Option<Record>, StorageError> {
        let bytes = match self.volume.read_bytes(place.address, place.length) {
            Err(StorageError::Rot { .. } | StorageError::Device(_)) => return Ok(None),
            read => read?,
        };
        let right = record_checksum(self.volume.seal, oid, tid, &bytes) == place.checksum;
        Ok(if right { Record::decode(&bytes).ok() } else { None })
    }

    fn scan(&mut self, root: &Root) -> Result<(), StorageError> {
        let mut runs = root.table.runs(RunKind::Log);
        // A root that was lost may have added a run.
        for segment in (0..root.geometry.segments).filter(|&segment| root.table.is_free(segment)) {
            let header = self.volume.read_run_header(SegmentId::new(segment))?;
            let later = header.filter(|header| header.run.generation > root.epoch);
            let fits = |run: &Run| (0..run.span).all(|more| root.table.is_free(segment.saturating_add(more)));
            runs.extend(later.map(|header| header.run).filter(fits));
        }
        let mut batches = Vec::new();
        for run in &runs {
            batches.push(self.headers(run)?);
        }
        let last = runs.len().checked_sub(1);
        for (number, (run, batches)) in runs.iter().zip(&batches).enumerate() {
            let header = self.volume.read_run_header(run.head)?;
            if header.is_none_or(|header| header.run.generation != run.generation) {
                self.damages.push(Damage::Batch { segment: run.head, offset: 0 });
            }
            self.scan_run(run, batches, Some(number) == last)?;
        }
        Ok(())
    }

    /// Every sector of a run where the header of a batch stands, with the header.
    fn headers(&mut self, run: &Run) -> Result<Vec<(u64, BatchHeader)>, StorageError> {
        let mut found = Vec::new();
        let end = run.end.map_or(self.volume.run_sectors(run), u64::from);
        let mut sector = 1;
        while sector < end {
            let place = self.volume.sector(run, sector);
            let bytes = self.read_or_zeros(place, 1)?;
            match BatchHeader::decode(self.volume.seal, &bytes, run, place) {
                Some(header) if header.sectors() <= end - sector => {
                    self.flushed = self.flushed.max(header.flushed);
                    self.oid_limit = self.oid_limit.max(Oid::new(header.oid_reserved));
                    found.push((sector, header));
                    sector += header.sectors();
                }
                _ => sector += 1,
            }
        }
        Ok(found)
    }

    fn scan_run(&mut self, run: &Run, batches: &[(u64, BatchHeader)], is_last: bool) -> Result<(), StorageError> {
        let mut expected = 1;
        for &(sector, header) in batches {
            if sector > expected {
                self.gap(run, expected, sector)?;
            }
            let place = self.volume.sector(run, sector);
            let bytes = self.read_or_zeros(place, header.sectors())?;
            let whole = BatchHeader::verify(self.volume.seal, &bytes);
            let in_doubt = is_last && header.sequence >= self.flushed && batches.last() == Some(&(sector, header));
            expected = sector + header.sectors();
            if !whole {
                self.damages.push(Damage::Batch { segment: run.head, offset: sector * SECTOR as u64 });
                // The last batch alone may be one that a power cut tore, which was never a commit.
                if in_doubt {
                    continue;
                }
            }
            let body = bytes.get(HEADER..(header.length as usize).min(bytes.len())).unwrap_or_default();
            match header.kind {
                BatchKind::Pack if whole => self.take_pack(body),
                BatchKind::Pack => {}
                _ => self.take_body(body, place * SECTOR as u64 + HEADER as u64)?,
            }
        }
        let end = run.end.map(u64::from).filter(|&end| end > expected);
        if let Some(end) = end {
            self.gap(run, expected, end)?;
        }
        Ok(())
    }

    /// Sectors of this life of the run in which no header of a batch is left.
    fn gap(&mut self, run: &Run, from: u64, to: u64) -> Result<(), StorageError> {
        self.damages.push(Damage::Batch { segment: run.head, offset: from * SECTOR as u64 });
        let limit = BATCH_LIMIT / SECTOR as u64;
        let mut sector = from;
        while sector < to {
            let count = (to - sector).min(limit);
            let place = self.volume.sector(run, sector);
            let bytes = self.read_or_zeros(place, count)?;
            self.take_body(&bytes, place * SECTOR as u64)?;
            sector += count;
        }
        Ok(())
    }

    fn take_pack(&mut self, body: &[u8]) {
        if let Some(pack) = pack_body::decode(body) {
            self.horizon = self.horizon.max(pack.horizon);
            self.collected.extend(pack.collected.into_iter().map(|oid| (oid, pack.horizon)));
        }
    }

    /// Takes what is whole in a body, whose first byte stands at an address. Behind what is not, the next head is searched.
    fn take_body(&mut self, body: &[u8], address: u64) -> Result<(), StorageError> {
        let mut position = 0;
        // What looks like a head is only known by its checksum, and a file may be made so that everything looks like one.
        let mut effort = (body.len() as u64).saturating_mul(SEARCH_EFFORT);
        while let Some(rest) = body.get(position..).filter(|rest| !rest.is_empty()) {
            let length = Head::claimed_length(rest).filter(|&length| length <= rest.len() as u64);
            effort = effort.saturating_sub(length.unwrap_or(0));
            if effort == 0 {
                return Ok(());
            }
            let head = length.and_then(|_| Head::decode(self.volume.seal, rest)).filter(|head| head.tid != Tid::ZERO);
            let Some(head) = head else {
                position += 1;
                continue;
            };
            self.take_transaction(&head, address.saturating_add(position as u64))?;
            // A record that is lost has its length in the head all the same.
            position = position.saturating_add(usize::try_from(head.total()).unwrap_or(usize::MAX));
        }
        Ok(())
    }

    /// Reads sectors. Those that the device does not give any more are zeros, as good as any other damage.
    fn read_or_zeros(&mut self, sector: u64, count: u64) -> Result<Vec<u8>, StorageError> {
        match self.volume.read_sectors(sector, count) {
            Err(StorageError::Device(_)) => {}
            read => return read,
        }
        let mut bytes = Vec::new();
        for one in sector..sector.saturating_add(count) {
            bytes.try_reserve(SECTOR)?;
            match self.volume.read_sectors(one, 1) {
                Ok(read) => bytes.extend(read),
                Err(StorageError::Device(_)) => bytes.resize(bytes.len() + SECTOR, 0),
                Err(error) => return Err(error),
            }
        }
        Ok(bytes)
    }

    fn take_transaction(&mut self, head: &Head<'_>, address: u64) -> Result<(), StorageError> {
        if head.is_tombstone() {
            return Ok(());
        }
        let tid = head.tid;
        let listed: Vec<_> = head.listed(address).collect();
        for change in listed {
            let known = self.transactions.get(&tid).and_then(|found| found.changes.get(&change.oid));
            if known.is_some_and(|known| known.readable) {
                continue;
            }
            let place = change.place;
            let readable = place.length == 0 || self.read_record(change.oid, tid, place)?.is_some();
            let found = self.transactions.entry(tid).or_default();
            found.changes.insert(change.oid, Revision { place, readable });
        }
        let found = self.transactions.entry(tid).or_default();
        if let Some(metadata) = head.metadata() {
            found.metadata = metadata;
        }
        Ok(())
    }

    /// The records that count and cannot be read.
    #[must_use]
    pub fn lost(&self) -> Vec<Damage> {
        let mut lost = Vec::new();
        for one in self.transactions() {
            for change in one.changes.iter().filter(|change| !change.readable) {
                let found = self.transactions.get(&one.tid).and_then(|found| found.changes.get(&change.oid));
                if let Some(found) = found {
                    let (segment, offset) = self.volume.root().geometry.locate(found.place.address);
                    lost.push(Damage::Record { oid: change.oid, tid: one.tid, segment, offset });
                }
            }
        }
        lost
    }
}
