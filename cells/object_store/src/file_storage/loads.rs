//! Loads: records are read through the cache of log blocks, and several of them in the order of their places.

use alloc::vec::Vec;

use super::FileStorage;
use super::entry::Entry;
use super::log_cache::{FILLED_AT_ONCE, LogCache};
use super::transaction_body::record_checksum;
use crate::device::{BlockDevice, SECTOR};
use crate::{Clock, Load, Oid, Record, StorageError, Tid};

/// Blocks between two records up to which it is better to read what is between them than to begin another transfer.
const GAP_BLOCKS: u64 = 4;

impl<D: BlockDevice, C: Clock> FileStorage<D, C> {
    /// The record of an entry.
    pub(crate) fn read_record(&mut self, entry: &Entry) -> Result<Record, StorageError> {
        self.with_record(entry, Record::decode)?
    }

    /// Gives the verified bytes of a record to a reader.
    pub(crate) fn with_record<T>(&mut self, entry: &Entry, read: impl FnOnce(&[u8]) -> T) -> Result<T, StorageError> {
        let (key, place, seal) = (entry.key, entry.place, self.volume.seal);
        let whole = |bytes: &[u8]| record_checksum(seal, key.oid, key.tid, bytes) == place.checksum;
        let read = self.volume.with_bytes(place.address, place.length, |bytes| whole(bytes).then(|| read(bytes)))?;
        read.ok_or_else(|| self.volume.rot(place.address))
    }

    /// Reads records, those near to each other with one transfer, in the order of their places.
    pub(crate) fn read_in_order<T>(
        &mut self,
        mut wanted: Vec<(T, Entry)>,
        mut read: impl FnMut(&mut Self, T, Entry) -> Result<(), StorageError>,
    ) -> Result<(), StorageError> {
        wanted.sort_unstable_by_key(|(_, entry)| entry.place.address);
        let mut filled = None;
        let places: Vec<(u64, u64)> = wanted.iter().map(|(_, entry)| blocks_of(entry)).collect();
        for (number, (what, entry)) in wanted.into_iter().enumerate() {
            let rest = places.get(number..).unwrap_or_default();
            if let Some(&(first, last)) = rest.first()
                && filled.is_none_or(|filled| filled < last)
            {
                let end = together(first, rest);
                // A transfer that fails is tried again for each record alone, which then names itself.
                let _ = self.volume.fill(first, end);
                filled = Some(end);
            }
            read(self, what, entry)?;
        }
        Ok(())
    }

    pub(crate) fn load_all(&mut self, oids: &[Oid], before: Tid) -> Result<Vec<Load>, StorageError> {
        let mut loads = Vec::new();
        loads.try_reserve_exact(oids.len())?;
        let mut wanted = Vec::new();
        wanted.try_reserve_exact(oids.len())?;
        for (number, &oid) in oids.iter().enumerate() {
            let found = self.find(oid, before)?;
            if let Load::Data { record, .. } = &found {
                wanted.push((number, *record));
            }
            loads.push(found.map(|_| Record::default()));
        }
        self.read_in_order(wanted, |storage, number, entry| {
            let read = storage.read_record(&entry)?;
            if let Some(Load::Data { record, .. }) = loads.get_mut(number) {
                *record = read;
            }
            Ok(())
        })?;
        Ok(loads)
    }

    pub(crate) fn announce(&mut self, oids: &[Oid], before: Tid) -> Result<(), StorageError> {
        let mut wanted = Vec::new();
        wanted.try_reserve_exact(oids.len())?;
        for &oid in oids {
            if let Load::Data { record, .. } = self.find(oid, before)? {
                wanted.push(((), record));
            }
        }
        self.read_in_order(wanted, |_, (), _| Ok(()))
    }
}

/// The first and the last block of a record.
fn blocks_of(entry: &Entry) -> (u64, u64) {
    let last = entry.place.address + u64::from(entry.place.length.max(1)) - 1;
    (LogCache::block_of(entry.place.address / SECTOR as u64), LogCache::block_of(last / SECTOR as u64))
}

/// The last block of the records, in their order, that are read with one transfer from a block on.
fn together(first: u64, records: &[(u64, u64)]) -> u64 {
    let mut end = first;
    for &(from, last) in records {
        if from > end + 1 + GAP_BLOCKS || last - first >= FILLED_AT_ONCE {
            break;
        }
        end = end.max(last);
    }
    end
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_are_read_together_and_what_is_far_is_not() {
        assert_eq!(together(5, &[(5, 5), (5, 6), (7, 7), (12, 12), (18, 18)]), 12);
        assert_eq!(
            together(0, &[(0, 0), (1, FILLED_AT_ONCE - 1), (FILLED_AT_ONCE, FILLED_AT_ONCE)]),
            FILLED_AT_ONCE - 1
        );
        assert_eq!(together(3, &[(3, 3 + 2 * FILLED_AT_ONCE)]), 3);
    }
}
