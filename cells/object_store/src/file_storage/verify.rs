//! Verification: everything that counts is read once, and what has changed on the device is named.

use alloc::vec::Vec;

use super::FileStorage;
use super::entry::{Key, TRANSACTIONS};
use super::format::inspect;
use super::root::Slot;
use super::table::RunKind;
use super::transaction_body::Head;
use super::volume::Found;
use super::walk::FIRST;
use super::window::Window;
use crate::device::{BlockDevice, SECTOR};
use crate::{Clock, Oid, SegmentId, StorageError, Tid};

/// Index entries that are looked at together.
const CHUNK: usize = 4_096;

/// What has changed on the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Damage {
    /// The identity sector; opening for writing repairs it.
    Identity,
    /// One of the two root slots, by its number; opening for writing repairs it.
    Root(u8),
    /// A block of the index; the log has all of it.
    Index,
    /// A record.
    Record {
        /// The object.
        oid: Oid,
        /// The revision.
        tid: Tid,
        /// Where the record is.
        segment: SegmentId,
        /// Where it is in the segment, in bytes.
        offset: u64,
    },
    /// What a transaction says of itself; its records may be whole.
    Transaction {
        /// The transaction.
        tid: Tid,
        /// Where it is.
        segment: SegmentId,
        /// Where it is in the segment, in bytes.
        offset: u64,
    },
    /// A batch or the header of a run: something in it, if only a byte that nothing needs any more.
    Batch {
        /// The head of the run.
        segment: SegmentId,
        /// Where it begins in the run, in bytes.
        offset: u64,
    },
}

/// What was read, all of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    /// Records that count.
    pub records: u64,
    /// Transactions of which something is left.
    pub transactions: u64,
    /// Batches of the log.
    pub batches: u64,
    /// Damages that were told.
    pub damages: u64,
}

impl<D: BlockDevice, C: Clock> FileStorage<D, C> {
    /// Reads everything and tells each damage. What is not named is as it was written, but for free segments and what is behind
    /// the last batch of a run, which nothing reads before it is written again.
    ///
    /// # Errors
    /// [`StorageError::Device`], [`StorageError::OutOfMemory`]. [`StorageError::Rot`]: the index is damaged, and so is the log
    /// that would replace it.
    pub fn verify(&mut self, mut tell: impl FnMut(Damage)) -> Result<Verified, StorageError> {
        let mut verified = Verified::default();
        let mut damages = 0;
        let mut tell = |damage| {
            damages += 1;
            tell(damage);
        };
        let head = inspect(self.volume.device())?;
        if !head.identity_intact {
            tell(Damage::Identity);
        }
        for (number, _) in (0..).zip(&head.slots).filter(|(_, slot)| !matches!(slot, Slot::Valid(_))) {
            tell(Damage::Root(number));
        }
        self.verify_runs(&mut verified, &mut tell)?;
        self.verify_entries(&mut verified, &mut tell)?;
        verified.damages = damages;
        Ok(verified)
    }

    fn verify_runs(&mut self, verified: &mut Verified, tell: &mut impl FnMut(Damage)) -> Result<(), StorageError> {
        let mut window = Window::default();
        for run in self.volume.root().table.runs(RunKind::Log) {
            let damage = |sector: u64| Damage::Batch { segment: run.head, offset: sector * SECTOR as u64 };
            let header = self.volume.read_run_header(run.head)?;
            if header.is_none_or(|header| header.run.generation != run.generation) {
                tell(damage(0));
            }
            let end = run.end.map_or(self.tail.sector, u64::from);
            let mut sector = 1;
            while sector < end {
                match self.volume.read_batch(&mut window, &run, sector, None)? {
                    Found::Batch(header) => {
                        verified.batches += 1;
                        sector += header.sectors();
                    }
                    Found::Torn(header) => {
                        tell(damage(sector));
                        sector += header.sectors();
                    }
                    Found::Nothing => {
                        // Without its header nobody knows how long it is. The records in it are read through the index.
                        tell(damage(sector));
                        break;
                    }
                }
            }
        }
        Ok(())
    }

    fn verify_entries(&mut self, verified: &mut Verified, tell: &mut impl FnMut(Damage)) -> Result<(), StorageError> {
        let rebuilds = self.rebuilds;
        let mut next = Some(FIRST);
        while let Some(from) = next {
            let entries = self.consult(|index, volume, _| index.some_from(volume, from, CHUNK))?;
            next = if entries.len() < CHUNK { None } else { entries.last().and_then(|entry| entry.key.after()) };
            let last = self.last;
            for entry in entries.iter().filter(|entry| entry.key.tid <= last) {
                let Key { oid, tid } = entry.key;
                let (segment, offset) = self.volume.root().geometry.locate(entry.place.address);
                let horizon = self.horizon;
                let alive = self.consult(|index, volume, _| index.is_alive(volume, entry.key, horizon))?;
                if alive != Some(entry.place) {
                    continue;
                }
                if oid == TRANSACTIONS {
                    let bytes = self.volume.read_bytes(entry.place.address, entry.place.length);
                    let whole =
                        |bytes: Vec<u8>| Head::decode(self.volume.seal, &bytes).is_some_and(|head| head.tid == tid);
                    verified.transactions += 1;
                    if !sound(bytes.map(whole))? {
                        tell(Damage::Transaction { tid, segment, offset });
                    }
                } else if entry.place.length > 0 {
                    verified.records += 1;
                    if !sound(self.read_record(entry).map(|_| true))? {
                        tell(Damage::Record { oid, tid, segment, offset });
                    }
                }
            }
        }
        if self.rebuilds > rebuilds {
            tell(Damage::Index);
        }
        Ok(())
    }
}

/// Whether something was read as it was written.
fn sound(read: Result<bool, StorageError>) -> Result<bool, StorageError> {
    match read {
        Err(StorageError::Rot { .. } | StorageError::Malformed) => Ok(false),
        read => read,
    }
}
