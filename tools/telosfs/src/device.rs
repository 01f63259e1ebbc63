//! Files as disks: one that can only be read, and one that is made anew.

use std::fs::File;
use std::os::unix::fs::FileExt;

use object_store::{BlockDevice, DeviceError, SECTOR};

/// A file that is only read. A last partial sector is left out, as a machine does not see it either.
#[derive(Debug)]
pub struct ReadOnlyFile {
    file: File,
    sectors: u64,
}

impl ReadOnlyFile {
    /// The disk in a file.
    ///
    /// # Errors
    /// Its size cannot be told.
    pub fn new(file: File) -> std::io::Result<ReadOnlyFile> {
        let sectors = file.metadata()?.len() / SECTOR as u64;
        Ok(ReadOnlyFile { file, sectors })
    }
}

fn offset(sector: u64) -> Result<u64, DeviceError> {
    sector.checked_mul(SECTOR as u64).ok_or(DeviceError::OutOfRange)
}

impl BlockDevice for ReadOnlyFile {
    fn sectors(&self) -> u64 {
        self.sectors
    }

    fn read(&mut self, sector: u64, buffer: &mut [u8]) -> Result<(), DeviceError> {
        self.file.read_exact_at(buffer, offset(sector)?).map_err(|_| DeviceError::Failed)
    }

    /// Refused, always.
    fn write(&mut self, _: u64, _: &[u8]) -> Result<(), DeviceError> {
        Err(DeviceError::Failed)
    }

    /// There is nothing to flush.
    fn flush(&mut self) -> Result<(), DeviceError> {
        Err(DeviceError::Failed)
    }
}

/// A file that was made for this, and is written. It is durable after the last [`File::sync_all`], not between.
#[derive(Debug)]
pub struct NewFile {
    file: File,
    sectors: u64,
}

impl NewFile {
    /// The disk in a file of so many sectors.
    ///
    /// # Errors
    /// The file cannot be made so large.
    pub fn new(file: File, sectors: u64) -> std::io::Result<NewFile> {
        file.set_len(sectors.saturating_mul(SECTOR as u64))?;
        Ok(NewFile { file, sectors })
    }

    /// Makes everything durable.
    ///
    /// # Errors
    /// The host's.
    pub fn close(self) -> std::io::Result<()> {
        self.file.sync_all()
    }
}

impl BlockDevice for NewFile {
    fn sectors(&self) -> u64 {
        self.sectors
    }

    fn read(&mut self, sector: u64, buffer: &mut [u8]) -> Result<(), DeviceError> {
        self.file.read_exact_at(buffer, offset(sector)?).map_err(|_| DeviceError::Failed)
    }

    fn write(&mut self, sector: u64, data: &[u8]) -> Result<(), DeviceError> {
        self.file.write_all_at(data, offset(sector)?).map_err(|_| DeviceError::Failed)
    }

    /// A copy that was cut short is thrown away, so that the order of its writes does not matter.
    fn flush(&mut self) -> Result<(), DeviceError> {
        Ok(())
    }
}
