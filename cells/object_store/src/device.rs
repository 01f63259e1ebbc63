//! The seam to a disk.
//!
//! [`BlockDevice`] is synchronous; the persistence cell implements it by messages to a driver cell, the host by a file, a
//! test by memory. The contract is that of a disk with a volatile cache: a write may be lost, torn between sectors or
//! overtaken by a later one until a flush that began after it has succeeded; a single sector is written whole or not at all.

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

/// Bytes in a sector, the unit of every transfer.
pub const SECTOR: usize = 512;

/// Why a transfer failed; the fault is the device's, but for [`DeviceError::OutOfRange`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DeviceError {
    /// The transfer does not lie within the device, or is not a whole number of sectors: the caller's fault.
    OutOfRange,
    /// The device reported a failure, or did not answer. What a failed write left behind is unknown.
    Failed,
}

/// The bits of the signal by which the end of a flush is told to whoever has begun it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlushSignal {
    /// Everything is durable.
    pub done: u64,
    /// The device failed.
    pub failed: u64,
}

/// A disk of 512-byte sectors.
pub trait BlockDevice {
    /// How many sectors there are.
    fn sectors(&self) -> u64;

    /// Fills `buffer`, a whole number of sectors, from `sector` on.
    ///
    /// # Errors
    /// As [`DeviceError`] says; the buffer's content is then unspecified.
    fn read(&mut self, sector: u64, buffer: &mut [u8]) -> Result<(), DeviceError>;

    /// Writes `data`, a whole number of sectors, from `sector` on. Durable only after a [`flush`](Self::flush).
    ///
    /// # Errors
    /// As [`DeviceError`] says; any subset of the sectors may have been written.
    fn write(&mut self, sector: u64, data: &[u8]) -> Result<(), DeviceError>;

    /// Returns once every completed write is durable.
    ///
    /// # Errors
    /// As [`DeviceError`] says; then nothing is known of any write since the last successful flush.
    fn flush(&mut self) -> Result<(), DeviceError>;

    /// Begins a flush of every completed write and returns at once, where its end is told by a signal. `None` where it is not,
    /// or the flush cannot be begun: then [`flush`](Self::flush) it is.
    fn begin_flush(&mut self) -> Option<FlushSignal> {
        None
    }
}

impl<D: BlockDevice + ?Sized> BlockDevice for &mut D {
    fn sectors(&self) -> u64 {
        (**self).sectors()
    }

    fn read(&mut self, sector: u64, buffer: &mut [u8]) -> Result<(), DeviceError> {
        (**self).read(sector, buffer)
    }

    fn write(&mut self, sector: u64, data: &[u8]) -> Result<(), DeviceError> {
        (**self).write(sector, data)
    }

    fn flush(&mut self) -> Result<(), DeviceError> {
        (**self).flush()
    }

    fn begin_flush(&mut self) -> Option<FlushSignal> {
        (**self).begin_flush()
    }
}

/// A device in memory, whose every write is durable at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemoryDevice {
    bytes: Vec<u8>,
}

impl MemoryDevice {
    /// A device over these bytes; a last partial sector is cut off.
    #[must_use]
    pub fn from_bytes(mut bytes: Vec<u8>) -> Self {
        bytes.truncate(bytes.len() / SECTOR * SECTOR);
        Self { bytes }
    }

    /// A device of zeros.
    #[must_use]
    pub fn zeroed(sectors: usize) -> Self {
        Self { bytes: alloc::vec![0; sectors.saturating_mul(SECTOR)] }
    }

    /// The content.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The content, to be changed behind the store's back.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.bytes
    }

    /// The bytes from `sector` on, `length` of them.
    fn window(&mut self, sector: u64, length: usize) -> Result<&mut [u8], DeviceError> {
        let range = || {
            let start = usize::try_from(sector).ok()?.checked_mul(SECTOR)?;
            let end = start.checked_add(length)?;
            length.is_multiple_of(SECTOR).then_some(start..end)
        };
        range().and_then(|range| self.bytes.get_mut(range)).ok_or(DeviceError::OutOfRange)
    }
}

impl BlockDevice for MemoryDevice {
    fn sectors(&self) -> u64 {
        (self.bytes.len() / SECTOR) as u64
    }

    fn read(&mut self, sector: u64, buffer: &mut [u8]) -> Result<(), DeviceError> {
        buffer.copy_from_slice(self.window(sector, buffer.len())?);
        Ok(())
    }

    fn write(&mut self, sector: u64, data: &[u8]) -> Result<(), DeviceError> {
        self.window(sector, data.len())?.copy_from_slice(data);
        Ok(())
    }

    fn flush(&mut self) -> Result<(), DeviceError> {
        Ok(())
    }
}
