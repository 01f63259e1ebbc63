//! What commits cost on a disk: counts of writes and flushes, which the instructions of the same commits stand beside.
//!
//! The library is the one that the persistence server is made of, over a disk in memory that counts.

use object_store::{
    BlockDevice, DeviceError, FileStorage, FormatOptions, MemoryDevice, Metadata, Oid, Record, SECTOR, Store,
    StoreError,
};

use crate::fail;
use crate::failure::Result;

/// Commits that are counted.
const COMMITS: u64 = 1000;
/// Bytes of the object that each writes, as in the row `commit_object`.
const PAYLOAD: usize = 100;
/// Sectors of the disk.
const SECTORS: usize = (64 << 20) / SECTOR;

/// What so many commits of one object took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts {
    /// Commits.
    pub commits: u64,
    /// Writes to the disk.
    pub writes: u64,
    /// Flushes of it.
    pub flushes: u64,
}

#[derive(Debug)]
struct Counting {
    disk: MemoryDevice,
    writes: u64,
    flushes: u64,
}

impl BlockDevice for Counting {
    fn sectors(&self) -> u64 {
        self.disk.sectors()
    }

    fn read(&mut self, sector: u64, buffer: &mut [u8]) -> core::result::Result<(), DeviceError> {
        self.disk.read(sector, buffer)
    }

    fn write(&mut self, sector: u64, data: &[u8]) -> core::result::Result<(), DeviceError> {
        self.writes += 1;
        self.disk.write(sector, data)
    }

    fn flush(&mut self) -> core::result::Result<(), DeviceError> {
        self.flushes += 1;
        self.disk.flush()
    }
}

/// Commits one object again and again, as many as share each flush.
///
/// # Errors
/// The store refuses, which it must not.
pub fn count(together: usize) -> Result<Counts> {
    let mut disk = MemoryDevice::zeroed(SECTORS);
    if let Err(error) = FileStorage::format(&mut disk, [7; 16], FormatOptions::default()) {
        fail!("a disk in memory is not formatted: {error:?}");
    }
    let mut now = 0;
    let clock = move || {
        now += 1;
        now
    };
    let Ok((storage, _)) = FileStorage::open(Counting { disk, writes: 0, flushes: 0 }, clock) else {
        fail!("a formatted disk is not opened");
    };
    let mut store = Store::new(storage, 1 << 20);
    match commits(&mut store, together) {
        Ok(counts) => Ok(counts),
        Err(error) => fail!("a commit is refused: {error:?}"),
    }
}

fn commits<C: object_store::Clock>(
    store: &mut Store<FileStorage<Counting, C>>,
    together: usize,
) -> core::result::Result<Counts, StoreError> {
    let record =
        |references: &[Oid]| Record { payload: vec![7; PAYLOAD], references: references.to_vec(), ..Record::default() };
    let first = store.begin(Metadata::default())?;
    let mut objects = Vec::new();
    for _ in 0..together {
        let oid = store.new_oid(first)?;
        store.put(first, oid, record(&[]))?;
        objects.push(oid);
    }
    store.put(first, Oid::ROOT, record(&objects))?;
    store.commit(first)?;
    let before = (store.storage().device().writes, store.storage().device().flushes);
    for _ in 0..COMMITS / together as u64 {
        let mut group = Vec::new();
        for &oid in &objects {
            let id = store.begin(Metadata::default())?;
            store.put(id, oid, record(&[]))?;
            group.push(id);
        }
        for outcome in store.commit_many(&group) {
            outcome?;
        }
    }
    let device = store.storage().device();
    let commits = COMMITS / together as u64 * together as u64;
    Ok(Counts { commits, writes: device.writes - before.0, flushes: device.flushes - before.1 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_takes_little_more_than_one_write_and_one_flush() {
        let alone = count(1).expect("counts");
        assert_eq!(alone.commits, COMMITS);
        assert!((COMMITS..COMMITS + COMMITS / 50).contains(&alone.flushes), "{alone:?}");
        let shared = count(8).expect("counts");
        assert!(shared.flushes < alone.flushes / 7 && shared.writes < alone.writes / 7, "{shared:?}");
    }
}
