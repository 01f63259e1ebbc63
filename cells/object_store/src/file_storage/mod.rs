//! A storage on a block device: an append-only log, found again through two alternating roots.
//!
//! [`FileStorage`] is the storage; [`format`](FileStorage::format), [`open`](FileStorage::open) and
//! [`open_read_only`](FileStorage::open_read_only) are the ways to it. The crate document has the layout to the byte. By
//! file: `format` and `open` are the entry points, `recovery` decides what a log says, `commit` appends to it, `checkpoint`
//! keeps opening short, `volume` owns the device and publishes roots; the rest are the structures on it.

mod batch;
mod block_cache;
mod checkpoint;
mod checksum;
mod commit;
mod concerned;
mod current;
mod defect;
mod entry;
mod format;
mod frame;
mod geometry;
mod identity_block;
mod index;
mod loads;
mod log_cache;
mod open;
mod pack;
mod pack_body;
mod recovery;
mod report;
mod root;
mod salvage;
mod table;
mod transaction_body;
mod tree;
mod tree_block;
mod tree_writer;
mod verify;
mod volume;
mod walk;
mod window;

#[cfg(test)]
pub(crate) use defect::Defect;
pub use format::DeviceState;
pub use identity_block::FORMAT_VERSION;
pub use report::{FormatError, FormatOptions, LastBatch, OpenError, OpenReport, Refused};
pub use salvage::{Salvage, Salvaged, SalvagedChange};
pub use verify::{Damage, Verification, Verified};

use alloc::vec::Vec;

use commit::{Group, Unflushed};
use entry::{Entry, Key};
use index::{Index, Miss, View};
use pack::Pack;
use recovery::{Recovered, Tail};
use table::RunKind;
use volume::Volume;

use crate::device::BlockDevice;
use crate::{
    Clock, DeviceError, Flush, FlushSignal, Load, Metadata, Oid, PackError, PackProgress, PackRequest, Record,
    RevisionInfo, Storage, StorageError, StorageTransaction, Tid, TransactionInfo, Voted,
};

/// Object numbers that are reserved at once. Those left over when the storage is closed or cut off are never issued.
const OID_RESERVE: u64 = 1 << 13;

/// What an open storage may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Read,
    Write,
}

/// The clock of a storage that makes no transactions.
#[derive(Clone, Copy, Debug)]
pub struct NoClock;

impl Clock for NoClock {
    fn now(&mut self) -> u64 {
        0
    }
}

/// An open state file.
pub struct FileStorage<D, C> {
    volume: Volume<D>,
    clock: C,
    mode: Mode,
    index: Index,
    tail: Tail,
    /// The last transaction that is committed, and so seen.
    last: Tid,
    /// History begins here.
    horizon: Tid,
    /// It will begin here, once the pack that was started last drops what is before.
    pack_horizon: Tid,
    objects: u64,
    transactions: u64,
    next_oid: u64,
    /// Durably reserved: numbers below this may be issued.
    oid_reserved: u64,
    /// Bytes of the log behind the last checkpoint.
    since_checkpoint: u64,
    group: Option<Group>,
    /// A batch that is written and not flushed.
    unflushed: Option<Unflushed>,
    rebuilds: u32,
    pack: Option<Pack>,
}

impl<D: BlockDevice, C: Clock> FileStorage<D, C> {
    /// Opens a state file for writing. What a power cut tore is cut off, what it lost of the roots is repaired, and a root
    /// is published for the life that begins.
    ///
    /// # Errors
    /// The device is given back with the reason, untouched unless a transfer failed.
    pub fn open(device: D, clock: C) -> Result<(Self, OpenReport), Refused<D>> {
        open::open(device, clock, Mode::Write)
    }

    /// Gives the device back. Nothing is written: every commit is durable already.
    pub fn into_device(self) -> D {
        self.volume.into_device()
    }

    /// The key given at formatting, of the permutation that hides object numbers from clients.
    #[must_use]
    pub fn permutation_key(&self) -> &[u8; 16] {
        &self.volume.root().key
    }

    /// The device beneath, to look at.
    pub fn device(&self) -> &D {
        self.volume.device_ref()
    }

    /// Begins the flush that [`Storage::finish_start`] asks for. `None` where the device does that in one piece, by
    /// [`flush_device`](Self::flush_device).
    pub fn begin_flush(&mut self) -> Option<FlushSignal> {
        self.volume.device().begin_flush()
    }

    /// Flushes the device, which makes durable whatever was written.
    ///
    /// # Errors
    /// For [`Storage::finish_end`] to hear of.
    pub fn flush_device(&mut self) -> Result<(), DeviceError> {
        self.volume.device().flush()
    }

    /// Objects that exist.
    #[must_use]
    pub fn object_count(&self) -> u64 {
        self.objects
    }

    /// Bytes in segments that are free.
    #[must_use]
    pub fn free_bytes(&self) -> u64 {
        self.volume.free_bytes()
    }

    /// Bytes of the log's batches, without what is free or holds the index.
    #[must_use]
    pub fn log_bytes(&self) -> u64 {
        let runs = self.volume.root().table.runs(RunKind::Log);
        let sectors = runs.iter().map(|run| run.end.map_or(self.tail.sector, u64::from)).sum::<u64>();
        sectors * crate::device::SECTOR as u64
    }

    /// Why the storage stopped, if it did.
    #[must_use]
    pub fn stopped(&self) -> Option<crate::StopReason> {
        self.volume.stopped()
    }

    /// The device, for tests to look at.
    #[cfg(test)]
    pub(crate) fn device_for_tests(&mut self) -> &mut D {
        self.volume.device()
    }

    /// Goes on issuing object numbers where an earlier life of the storage has stopped, which says that it issued none from `next`
    /// on: else the numbers that it had reserved are skipped. It never goes back behind a number that an object has.
    ///
    /// # Errors
    /// Those of [`Storage::previous_object`]; nothing has changed then.
    pub fn go_on_numbering(&mut self, next: Oid) -> Result<(), StorageError> {
        let greatest = self.previous_object(None)?.map_or(0, Oid::number);
        self.next_oid = next.number().max(greatest.saturating_add(1)).min(self.next_oid);
        Ok(())
    }

    /// How often a damaged index was made anew from the log since opening.
    #[must_use]
    pub fn index_rebuilds(&self) -> u32 {
        self.rebuilds
    }

    /// Bounds the cache of the index: at most about this many blocks of 4 KiB, which take two to four times as much memory,
    /// and for each of them the places of the last revisions of 128 objects, another 4 KiB.
    pub fn set_index_cache(&mut self, blocks: usize) {
        self.index.set_cache(blocks);
    }

    /// Bounds the cache of the log, from which records are read: at most about this many blocks of 4 KiB, and at least 64.
    /// With none, each record is read by itself.
    pub fn set_log_cache(&mut self, blocks: usize) {
        self.volume.set_log_cache(blocks);
    }

    /// The sectors of each run of the log behind its last batch.
    #[cfg(test)]
    pub(crate) fn rests_of_runs_for_tests(&self) -> Vec<core::ops::Range<u64>> {
        let rest = |run: &table::Run| {
            let end = run.end.map_or(self.tail.sector, u64::from);
            self.volume.sector(run, end)..self.volume.sector(run, self.volume.run_sectors(run))
        };
        self.volume.root().table.runs(RunKind::Log).iter().map(rest).collect()
    }

    fn assemble(volume: Volume<D>, clock: C, mode: Mode, found: Recovered, next_oid: u64) -> Self {
        let below = volume.root().clean_below;
        let resumes = mode == Mode::Write && below > crate::Epoch::new(0);
        let pack = resumes.then(|| Pack::resumed(found.horizon, below, None));
        Self {
            volume,
            clock,
            mode,
            index: found.index,
            tail: found.tail,
            last: found.last,
            horizon: found.horizon,
            pack_horizon: found.horizon,
            objects: found.objects,
            transactions: found.transactions,
            next_oid,
            oid_reserved: found.oid_reserved,
            since_checkpoint: found.sectors * crate::device::SECTOR as u64,
            group: None,
            unflushed: None,
            rebuilds: 0,
            pack,
        }
    }

    /// Asks the index; if that is damaged, it is made anew and asked again.
    fn consult<T>(
        &mut self,
        ask: impl Fn(&mut Index, &mut Volume<D>, View) -> Result<T, Miss>,
    ) -> Result<T, StorageError> {
        let view = View { last: self.last, horizon: self.horizon };
        match ask(&mut self.index, &mut self.volume, view) {
            Err(Miss::Damaged) => self.rebuild()?,
            Err(Miss::Storage(error)) => return Err(error),
            Ok(answer) => return Ok(answer),
        }
        ask(&mut self.index, &mut self.volume, view).map_err(|miss| match miss {
            Miss::Storage(error) => error,
            Miss::Damaged => StorageError::Malformed,
        })
    }

    fn find(&mut self, oid: Oid, before: Tid) -> Result<Load<Entry>, StorageError> {
        self.consult(|index, volume, view| index.find(volume, oid, before, view))
    }

    fn reserve_oids(&mut self) -> Result<(), StorageError> {
        let mut root = self.current_root()?;
        root.oid_reserved = root.oid_reserved.checked_add(OID_RESERVE).ok_or(StorageError::Exhausted)?;
        let reserved = root.oid_reserved;
        self.volume.publish(root.prepare()?)?;
        self.oid_reserved = reserved;
        Ok(())
    }

    /// What the log says of a transaction; `None` if a pack left nothing of it.
    fn describe(&mut self, entry: &Entry) -> Result<Option<TransactionInfo>, StorageError> {
        let bytes = self.volume.read_bytes(entry.place.address, entry.place.length)?;
        let info = transaction_body::describe(self.volume.seal, &bytes).filter(|info| info.tid == entry.key.tid);
        let mut info = info.ok_or(self.volume.rot(entry.place.address))?;
        if info.tid > self.horizon {
            return Ok(Some(info));
        }
        let mut kept = Vec::new();
        kept.try_reserve(info.changes.len())?;
        for change in core::mem::take(&mut info.changes) {
            let key = Key::new(change.oid, info.tid);
            if self.consult(|index, volume, view| index.is_alive(volume, key, view.horizon))?.is_some() {
                kept.push(change);
            }
        }
        info.changes = kept;
        Ok((!info.changes.is_empty()).then_some(info))
    }
}

impl<D: BlockDevice> FileStorage<D, NoClock> {
    /// Opens a state file to look at it: nothing is ever written, and every commit is refused.
    ///
    /// # Errors
    /// The device is given back with the reason.
    pub fn open_read_only(device: D) -> Result<(Self, OpenReport), Refused<D>> {
        open::open(device, NoClock, Mode::Read)
    }

    /// Tells what a device is. Reads only.
    ///
    /// # Errors
    /// As the device says.
    pub fn probe(device: &mut D) -> Result<DeviceState, DeviceError> {
        Ok(format::inspect(device)?.state)
    }

    /// Makes a blank or half formatted device a state file without objects. `key` must be random, and is kept in it.
    ///
    /// # Errors
    /// [`FormatError`]; a device in use is untouched.
    pub fn format(device: &mut D, key: [u8; 16], options: FormatOptions) -> Result<(), FormatError> {
        format::format(device, key, options)
    }
}

impl<D: BlockDevice, C: Clock> Storage for FileStorage<D, C> {
    fn begin(&mut self, metadata: Metadata) -> Result<StorageTransaction, StorageError> {
        self.check_running()?;
        StorageTransaction::new(metadata)
    }

    fn vote(&mut self, transaction: StorageTransaction) -> Result<Voted, StorageError> {
        self.prepare(transaction)
    }

    fn finish(&mut self, voted: Voted) -> Result<Tid, StorageError> {
        let tid = voted.tid();
        self.commit(&[voted])?;
        Ok(tid)
    }

    fn vote_limit(&self) -> usize {
        commit::GROUP_LIMIT
    }

    /// One write and one flush for all.
    fn finish_many(&mut self, voted: Vec<Voted>) -> Result<Vec<Tid>, StorageError> {
        let mut tids = Vec::new();
        tids.try_reserve_exact(voted.len())?;
        tids.extend(voted.iter().map(Voted::tid));
        self.commit(&voted)?;
        Ok(tids)
    }

    fn finish_start(&mut self, voted: Vec<Voted>) -> Result<(Vec<Tid>, Flush), StorageError> {
        let mut tids = Vec::new();
        tids.try_reserve_exact(voted.len())?;
        tids.extend(voted.iter().map(Voted::tid));
        Ok((tids, self.commit_start(&voted)?))
    }

    fn finish_end(&mut self, flushed: Result<(), DeviceError>) -> Result<(), StorageError> {
        let flushed = self.volume.flushed(flushed);
        self.commit_end(flushed)
    }

    fn abort(&mut self, voted: Voted) -> Result<(), StorageError> {
        self.discard(&voted)
    }

    fn load_before(&mut self, oid: Oid, before: Tid) -> Result<Load, StorageError> {
        Ok(match self.find(oid, before)? {
            Load::Data { record, tid, next } => Load::Data { record: self.read_record(&record)?, tid, next },
            nothing => nothing.map(|_| Record::default()),
        })
    }

    /// Read in the order of their places in the log, those near to each other with one transfer.
    fn load_many(&mut self, oids: &[Oid], before: Tid) -> Result<Vec<Load>, StorageError> {
        self.load_all(oids, before)
    }

    /// Reads them into the cache of the log, as far as that holds them.
    fn prefetch(&mut self, oids: &[Oid], before: Tid) {
        // What fails here fails again where it is wanted.
        let _ = self.announce(oids, before);
    }

    fn revision_before(&mut self, oid: Oid, before: Tid) -> Result<Load<()>, StorageError> {
        Ok(self.find(oid, before)?.map(|_| ()))
    }

    fn history(&mut self, oid: Oid, limit: usize) -> Result<Vec<RevisionInfo>, StorageError> {
        self.consult(|index, volume, view| index.history(volume, oid, limit, view))
    }

    fn transaction_before(&mut self, before: Tid) -> Result<Option<TransactionInfo>, StorageError> {
        let mut before = before;
        loop {
            let found = self.consult(|index, volume, view| index.transaction_before(volume, before, view))?;
            let Some(entry) = found else {
                return Ok(None);
            };
            if let Some(info) = self.describe(&entry)? {
                return Ok(Some(info));
            }
            before = entry.key.tid;
        }
    }

    fn transaction_after(&mut self, after: Tid) -> Result<Option<TransactionInfo>, StorageError> {
        let mut after = after;
        loop {
            let found = self.consult(|index, volume, view| index.transaction_after(volume, after, view))?;
            let Some(entry) = found else {
                return Ok(None);
            };
            if let Some(info) = self.describe(&entry)? {
                return Ok(Some(info));
            }
            after = entry.key.tid;
        }
    }

    fn new_oid(&mut self) -> Result<Oid, StorageError> {
        if self.next_oid >= self.oid_reserved {
            self.check_running()?;
            self.with_group_aside(Self::reserve_oids)?;
        }
        let oid = Oid::new(self.next_oid);
        self.next_oid += 1;
        Ok(oid)
    }

    fn oid_limit(&self) -> Oid {
        Oid::new(self.next_oid)
    }

    fn next_object(&mut self, after: Option<Oid>) -> Result<Option<Oid>, StorageError> {
        self.consult(|index, volume, view| index.next_object(volume, after, view))
    }

    fn previous_object(&mut self, before: Option<Oid>) -> Result<Option<Oid>, StorageError> {
        self.consult(|index, volume, view| index.previous_object(volume, before, view))
    }

    fn last_transaction(&self) -> Tid {
        self.last
    }

    fn horizon(&self) -> Tid {
        self.pack_horizon.max(self.horizon)
    }

    fn pack_start(&mut self, request: PackRequest) -> Result<(), PackError> {
        self.begin_pack(request)
    }

    fn pack_step(&mut self, budget: usize) -> Result<PackProgress, PackError> {
        self.go_on_packing(budget)
    }
}
