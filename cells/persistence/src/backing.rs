//! What the store stands on, as far as statistics, maintenance and the handover ask: a state file, or memory.

use object_store::{
    BlockDevice, Clock, Damage, DeviceError, FileStorage, FlushSignal, MappingStorage, Oid, Storage, StorageError,
    Verification,
};

/// How often a device was used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Transfers {
    /// Reads.
    pub reads: u64,
    /// Writes.
    pub writes: u64,
    /// Flushes.
    pub flushes: u64,
}

/// A device that counts how often it is used.
#[derive(Clone, Debug)]
pub struct Counted<D> {
    device: D,
    transfers: Transfers,
}

impl<D> Counted<D> {
    /// The device, not used yet.
    pub fn new(device: D) -> Self {
        Counted { device, transfers: Transfers::default() }
    }

    /// The device itself.
    pub fn into_inner(self) -> D {
        self.device
    }
}

impl<D: BlockDevice> BlockDevice for Counted<D> {
    fn sectors(&self) -> u64 {
        self.device.sectors()
    }

    fn read(&mut self, sector: u64, buffer: &mut [u8]) -> Result<(), DeviceError> {
        self.transfers.reads += 1;
        self.device.read(sector, buffer)
    }

    fn write(&mut self, sector: u64, data: &[u8]) -> Result<(), DeviceError> {
        self.transfers.writes += 1;
        self.device.write(sector, data)
    }

    fn flush(&mut self) -> Result<(), DeviceError> {
        self.transfers.flushes += 1;
        self.device.flush()
    }

    fn begin_flush(&mut self) -> Option<FlushSignal> {
        let begun = self.device.begin_flush();
        self.transfers.flushes += u64::from(begun.is_some());
        begun
    }
}

/// A storage that can be looked after.
pub trait Backing: Storage {
    /// Whether another instance of this server finds in it what this one has left.
    const OUTLIVES_THE_SERVER: bool;

    /// Objects that exist.
    fn objects(&self) -> u64;

    /// Bytes of the log, and bytes that can still be written; of the capacity that was found when it was opened.
    fn room(&self) -> (u64, u64);

    /// How often its device was used.
    fn transfers(&self) -> Transfers;

    /// Begins the flush that a commit needs, whose end the device tells by a signal. `None` where it does not:
    /// [`flush`](Self::flush) it is.
    fn begin_flush(&mut self) -> Option<FlushSignal>;

    /// Flushes the device.
    ///
    /// # Errors
    /// For [`Storage::finish_end`] to hear of.
    fn flush(&mut self) -> Result<(), DeviceError>;

    /// Begins to read and check everything. `None` where nothing can be damaged.
    fn verify_start(&self) -> Option<Verification>;

    /// Goes on with that for about so many records.
    ///
    /// # Errors
    /// As [`FileStorage::verify_step`].
    fn verify_step(
        &mut self,
        verification: &mut Verification,
        budget: usize,
        tell: &mut dyn FnMut(Damage),
    ) -> Result<(), StorageError>;

    /// How far that is, in thousandths.
    fn verify_progress(&self, verification: &Verification) -> u64;

    /// Goes on issuing numbers of objects from one on: none from there on was ever issued.
    ///
    /// # Errors
    /// The storage's.
    fn go_on_numbering(&mut self, next: Oid) -> Result<(), StorageError>;
}

impl<D: BlockDevice, C: Clock> Backing for FileStorage<Counted<D>, C> {
    const OUTLIVES_THE_SERVER: bool = true;

    fn objects(&self) -> u64 {
        self.object_count()
    }

    fn room(&self) -> (u64, u64) {
        (self.log_bytes(), self.free_bytes())
    }

    fn transfers(&self) -> Transfers {
        self.device().transfers
    }

    fn begin_flush(&mut self) -> Option<FlushSignal> {
        FileStorage::begin_flush(self)
    }

    fn flush(&mut self) -> Result<(), DeviceError> {
        self.flush_device()
    }

    fn verify_start(&self) -> Option<Verification> {
        Some(FileStorage::verify_start(self))
    }

    fn verify_step(
        &mut self,
        verification: &mut Verification,
        budget: usize,
        mut tell: &mut dyn FnMut(Damage),
    ) -> Result<(), StorageError> {
        FileStorage::verify_step(self, verification, budget, &mut tell)
    }

    fn verify_progress(&self, verification: &Verification) -> u64 {
        FileStorage::verify_progress(self, verification)
    }

    fn go_on_numbering(&mut self, next: Oid) -> Result<(), StorageError> {
        FileStorage::go_on_numbering(self, next)
    }
}

/// Memory has no capacity of its own: it takes what the cell's heap has.
impl<C: Clock> Backing for MappingStorage<C> {
    const OUTLIVES_THE_SERVER: bool = false;

    fn objects(&self) -> u64 {
        self.object_count()
    }

    fn room(&self) -> (u64, u64) {
        (0, 0)
    }

    fn transfers(&self) -> Transfers {
        Transfers::default()
    }

    fn begin_flush(&mut self) -> Option<FlushSignal> {
        None
    }

    fn flush(&mut self) -> Result<(), DeviceError> {
        Ok(())
    }

    fn verify_start(&self) -> Option<Verification> {
        None
    }

    fn verify_step(&mut self, _: &mut Verification, _: usize, _: &mut dyn FnMut(Damage)) -> Result<(), StorageError> {
        Ok(())
    }

    fn verify_progress(&self, _: &Verification) -> u64 {
        1000
    }

    fn go_on_numbering(&mut self, _: Oid) -> Result<(), StorageError> {
        Ok(())
    }
}
