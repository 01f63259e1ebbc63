//! A block device on a file whose blocks are written beforehand, so that an overwrite changes no metadata.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;

use object_store::{BlockDevice, DeviceError, SECTOR};

/// A file as a disk.
pub struct FileDevice {
    file: File,
    sectors: u64,
    next: u64,
}

impl FileDevice {
    /// A file of zeros that are really there.
    pub fn create(path: &Path, bytes: u64) -> Self {
        let file = OpenOptions::new().create(true).truncate(true).read(true).write(true).open(path);
        let file = file.expect("the file can be made");
        let zeros = vec![0; 1 << 20];
        for place in (0..bytes).step_by(zeros.len()) {
            file.write_all_at(&zeros, place).expect("there is room");
        }
        file.sync_all().expect("it can be flushed");
        Self { file, sectors: bytes / SECTOR as u64, next: 0 }
    }

    /// Overwrites so many bytes, one place after the other, so many times, with a flush each.
    pub fn overwrite(&mut self, count: u64, bytes: usize) {
        let data = vec![7; bytes];
        for _ in 0..count {
            let place = self.next % (self.sectors * SECTOR as u64 - bytes as u64);
            self.file.write_all_at(&data, place).expect("it can be written");
            self.file.sync_data().expect("it can be flushed");
            self.next += bytes as u64;
        }
    }
}

impl BlockDevice for FileDevice {
    fn sectors(&self) -> u64 {
        self.sectors
    }

    fn read(&mut self, sector: u64, buffer: &mut [u8]) -> Result<(), DeviceError> {
        self.file.read_exact_at(buffer, sector * SECTOR as u64).map_err(|_| DeviceError::Failed)
    }

    fn write(&mut self, sector: u64, data: &[u8]) -> Result<(), DeviceError> {
        self.file.write_all_at(data, sector * SECTOR as u64).map_err(|_| DeviceError::Failed)
    }

    fn flush(&mut self) -> Result<(), DeviceError> {
        self.file.sync_data().map_err(|_| DeviceError::Failed)
    }
}
