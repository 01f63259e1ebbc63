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
use crate::{Clock, Epoch, Oid, SegmentId, StorageError, Tid};

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

/// A verification that is carried out in steps, while the storage is used.
#[derive(Debug)]
pub struct Verification {
    place: Place,
    verified: Verified,
    /// How often the index had been made anew when it began.
    rebuilds: u32,
    /// Sectors of the log that were read.
    sectors: u64,
}

/// How far a verification is.
#[derive(Clone, Copy, Debug)]
enum Place {
    Head,
    /// The run to go on with, or the first one behind it, and the sector.
    Runs(RunKey, u64),
    Entries(Key),
    Over,
}

/// What runs of the log are ordered by.
type RunKey = (Epoch, SegmentId);

/// The first run of all.
const FIRST_RUN: RunKey = (Epoch::new(0), SegmentId::new(0));

impl Verification {
    /// What was read so far.
    #[must_use]
    pub fn verified(&self) -> Verified {
        self.verified
    }

    /// Whether all was read.
    #[must_use]
    pub fn is_over(&self) -> bool {
        matches!(self.place, Place::Over)
    }
}

impl<D: BlockDevice, C: Clock> FileStorage<D, C> {
    /// Reads everything and tells each damage. What is not named is as it was written, but for free segments and what is behind
    /// the last batch of a run, which nothing reads before it is written again.
    ///
    /// # Errors
    /// [`StorageError::Device`], [`StorageError::OutOfMemory`]. [`StorageError::Rot`]: the index is damaged, and so is the log
    /// that would replace it.
    pub fn verify(&mut self, mut tell: impl FnMut(Damage)) -> Result<Verified, StorageError> {
        let mut verification = self.verify_start();
        while !verification.is_over() {
            self.verify_step(&mut verification, CHUNK, &mut tell)?;
        }
        Ok(verification.verified())
    }

    /// Begins a verification. While it goes on transactions may be committed: what they write is read too, or not.
    #[must_use]
    pub fn verify_start(&self) -> Verification {
        Verification { place: Place::Head, verified: Verified::default(), rebuilds: self.rebuilds, sectors: 0 }
    }

    /// Goes on with a verification for about `budget` batches or records, at least one.
    ///
    /// # Errors
    /// As for [`verify`](Self::verify); it is over then.
    pub fn verify_step(
        &mut self,
        verification: &mut Verification,
        budget: usize,
        tell: &mut impl FnMut(Damage),
    ) -> Result<(), StorageError> {
        let mut damages = 0;
        let mut tell = |damage| {
            damages += 1;
            tell(damage);
        };
        let place = core::mem::replace(&mut verification.place, Place::Over);
        let next = match place {
            Place::Head => {
                self.verify_head(&mut tell)?;
                self.volume.clear_log_cache();
                Place::Runs(FIRST_RUN, 1)
            }
            Place::Runs(run, sector) => self.verify_runs(verification, (run, sector), budget, &mut tell)?,
            Place::Entries(from) => {
                let next = self.verify_entries(&mut verification.verified, from, budget, &mut tell)?;
                if next.is_none() && self.rebuilds > verification.rebuilds {
                    tell(Damage::Index);
                }
                next.map_or(Place::Over, Place::Entries)
            }
            Place::Over => Place::Over,
        };
        verification.verified.damages += damages;
        verification.place = next;
        Ok(())
    }

    /// How far a verification is, in thousandths.
    #[must_use]
    pub fn verify_progress(&self, verification: &Verification) -> u64 {
        let Verified { records, transactions, .. } = verification.verified;
        let share = |done: u64, all: u64| 499 * done.min(all) / all.max(1);
        match verification.place {
            Place::Head => 0,
            Place::Runs(..) => share(verification.sectors, self.log_bytes() / SECTOR as u64),
            // There is a record for each object at the least.
            Place::Entries(_) => 500 + share(records + transactions, self.objects + self.transactions),
            Place::Over => 1000,
        }
    }

    fn verify_head(&mut self, tell: &mut impl FnMut(Damage)) -> Result<(), StorageError> {
        let head = inspect(self.volume.device())?;
        if !head.identity_intact {
            tell(Damage::Identity);
        }
        for (number, _) in (0..).zip(&head.slots).filter(|(_, slot)| !matches!(slot, Slot::Valid(_))) {
            tell(Damage::Root(number));
        }
        Ok(())
    }

    fn verify_runs(
        &mut self,
        verification: &mut Verification,
        (key, mut sector): (RunKey, u64),
        budget: usize,
        tell: &mut impl FnMut(Damage),
    ) -> Result<Place, StorageError> {
        let runs = self.volume.root().table.runs(RunKind::Log);
        let Some(run) = runs.into_iter().find(|run| (run.generation, run.head) >= key) else {
            return Ok(Place::Entries(FIRST));
        };
        let found = (run.generation, run.head);
        if found != key {
            sector = 1;
        }
        let mut window = Window::default();
        let damage = |sector: u64| Damage::Batch { segment: run.head, offset: sector * SECTOR as u64 };
        if sector == 1 {
            let header = self.volume.read_run_header(run.head)?;
            if header.is_none_or(|header| header.run.generation != run.generation) {
                tell(damage(0));
            }
        }
        let end = run.end.map_or(self.tail.sector, u64::from);
        for _ in 0..budget.max(1) {
            if sector >= end {
                break;
            }
            let sectors = match self.volume.read_batch(&mut window, &run, sector, None)? {
                Found::Batch(header) => {
                    verification.verified.batches += 1;
                    header.sectors()
                }
                Found::Torn(header) => {
                    tell(damage(sector));
                    header.sectors()
                }
                Found::Nothing => {
                    // Without its header nobody knows how long it is. The records in it are read through the index.
                    tell(damage(sector));
                    end - sector
                }
            };
            sector += sectors;
            verification.sectors += sectors;
        }
        let (generation, head) = found;
        Ok(match sector >= end {
            true => Place::Runs((generation, SegmentId::new(head.number() + 1)), 1),
            false => Place::Runs(found, sector),
        })
    }

    /// Answers where to go on.
    fn verify_entries(
        &mut self,
        verified: &mut Verified,
        from: Key,
        budget: usize,
        tell: &mut impl FnMut(Damage),
    ) -> Result<Option<Key>, StorageError> {
        let budget = budget.clamp(1, CHUNK);
        let entries = self.consult(|index, volume, _| index.some_from(volume, from, budget))?;
        let next = if entries.len() < budget { None } else { entries.last().and_then(|entry| entry.key.after()) };
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
                let whole = |bytes: Vec<u8>| Head::decode(self.volume.seal, &bytes).is_some_and(|head| head.tid == tid);
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
        Ok(next)
    }
}

/// Whether something was read as it was written.
fn sound(read: Result<bool, StorageError>) -> Result<bool, StorageError> {
    match read {
        Err(StorageError::Rot { .. } | StorageError::Malformed) => Ok(false),
        read => read,
    }
}
