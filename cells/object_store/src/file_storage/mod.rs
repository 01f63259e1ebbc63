//! A storage on a block device: an append-only log, found again through two alternating roots.
//!
//! [`FileStorage`] is the storage; [`format`](FileStorage::format), [`open`](FileStorage::open) and
//! [`open_read_only`](FileStorage::open_read_only) are the ways to it. The crate document has the layout to the byte. By
//! file: `format` and `open` are the entry points, `recovery` decides what a log says, `commit` appends to it, `checkpoint`
//! keeps opening short, `volume` owns the device and publishes roots; the rest are the structures on it.

mod batch;
mod checkpoint;
mod checksum;
mod commit;
mod defect;
mod format;
mod geometry;
mod identity_block;
mod index;
mod open;
mod recovery;
mod report;
mod root;
mod table;
mod transaction_body;
mod volume;

#[cfg(test)]
pub(crate) use defect::Defect;
pub use format::DeviceState;
pub use identity_block::FORMAT_VERSION;
pub use report::{FormatError, FormatOptions, LastBatch, OpenError, OpenReport, Refused};

use alloc::vec::Vec;

use commit::Pending;
use index::{Index, Revision, TransactionEntry};
use recovery::{Recovered, Tail};
use volume::Volume;

use crate::device::BlockDevice;
use crate::{
    Clock, DeviceError, Load, Metadata, Oid, PackError, PackProgress, PackRequest, Record, RevisionInfo, Storage,
    StorageError, StorageTransaction, Tid, TransactionInfo, Voted,
};

/// Object numbers that are reserved at once. Those left over when the storage is closed or cut off are never issued.
const OID_RESERVE: u64 = 1024;

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
    last: Tid,
    next_oid: u64,
    /// Durably reserved: numbers below this may be issued.
    oid_reserved: u64,
    since_checkpoint: u64,
    pending: Option<Pending>,
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

    /// Bytes in segments that are free.
    #[must_use]
    pub fn free_bytes(&self) -> u64 {
        self.volume.free_bytes()
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

    fn assemble(volume: Volume<D>, clock: C, mode: Mode, found: Recovered, next_oid: u64) -> Self {
        Self {
            volume,
            clock,
            mode,
            index: found.index,
            tail: found.tail,
            last: found.last,
            next_oid,
            oid_reserved: found.oid_reserved,
            since_checkpoint: found.sectors * crate::device::SECTOR as u64,
            pending: None,
        }
    }

    fn describe(&mut self, entry: TransactionEntry) -> Result<TransactionInfo, StorageError> {
        let bytes = self.volume.read_bytes(entry.address, entry.length)?;
        let info = transaction_body::describe(self.volume.seal, &bytes).filter(|info| info.tid == entry.tid);
        info.ok_or(self.volume.rot(entry.address))
    }

    fn read_record(&mut self, oid: Oid, revision: &Revision) -> Result<Record, StorageError> {
        let bytes = self.volume.read_bytes(revision.address, revision.length)?;
        let checksum = transaction_body::record_checksum(self.volume.seal, oid, revision.tid, &bytes);
        if checksum != revision.checksum {
            return Err(self.volume.rot(revision.address));
        }
        Record::decode(&bytes)
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
        match self.check_writable() {
            Ok(()) | Err(StorageError::Busy) => StorageTransaction::new(metadata),
            Err(error) => Err(error),
        }
    }

    fn vote(&mut self, transaction: StorageTransaction) -> Result<Voted, StorageError> {
        self.prepare(transaction)
    }

    fn finish(&mut self, voted: Voted) -> Result<Tid, StorageError> {
        self.commit(&voted)
    }

    fn abort(&mut self, voted: Voted) -> Result<(), StorageError> {
        self.discard(&voted)
    }

    fn load_before(&mut self, oid: Oid, before: Tid) -> Result<Load, StorageError> {
        Ok(match self.index.find(oid, before) {
            Load::Data { record, tid, next } => Load::Data { record: self.read_record(oid, &record)?, tid, next },
            nothing => nothing.map(|_| Record::default()),
        })
    }

    fn revision_before(&mut self, oid: Oid, before: Tid) -> Result<Load<()>, StorageError> {
        Ok(self.index.find(oid, before).map(|_| ()))
    }

    fn history(&mut self, oid: Oid, limit: usize) -> Result<Vec<RevisionInfo>, StorageError> {
        self.index.history(oid, limit)
    }

    fn transaction_before(&mut self, before: Tid) -> Result<Option<TransactionInfo>, StorageError> {
        self.index.transaction_before(before).map(|entry| self.describe(entry)).transpose()
    }

    fn transaction_after(&mut self, after: Tid) -> Result<Option<TransactionInfo>, StorageError> {
        self.index.transaction_after(after).map(|entry| self.describe(entry)).transpose()
    }

    fn oid_limit(&self) -> Oid {
        Oid::new(self.next_oid)
    }

    fn new_oid(&mut self) -> Result<Oid, StorageError> {
        if self.next_oid >= self.oid_reserved {
            self.check_writable()?;
            let mut root = self.current_root()?;
            root.oid_reserved = root.oid_reserved.checked_add(OID_RESERVE).ok_or(StorageError::Exhausted)?;
            let reserved = root.oid_reserved;
            self.volume.publish(root.prepare()?)?;
            self.oid_reserved = reserved;
        }
        let oid = Oid::new(self.next_oid);
        self.next_oid += 1;
        Ok(oid)
    }

    fn next_object(&mut self, after: Option<Oid>) -> Result<Option<Oid>, StorageError> {
        Ok(self.index.next_object(after))
    }

    fn previous_object(&mut self, before: Option<Oid>) -> Result<Option<Oid>, StorageError> {
        Ok(self.index.previous_object(before))
    }

    fn last_transaction(&self) -> Tid {
        self.last
    }

    fn horizon(&self) -> Tid {
        Tid::ZERO
    }

    /// The log is never packed: always [`PackError::Unsupported`].
    fn pack_start(&mut self, _request: PackRequest) -> Result<(), PackError> {
        Err(PackError::Unsupported)
    }

    fn pack_step(&mut self, _budget: usize) -> Result<PackProgress, PackError> {
        Err(PackError::NotRunning)
    }
}
