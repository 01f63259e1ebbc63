//! What the store stands on, as far as the statistics and the handover ask: a state file, or memory.

use object_store::{BlockDevice, Clock, FileStorage, MappingStorage, Oid, Storage, StorageError};

/// A storage that says how much room it has.
pub trait Backing: Storage {
    /// Bytes that can still be written; of the capacity that was found when it was opened.
    fn free_bytes(&self) -> u64;

    /// Whether another instance of this server finds in it what this one has left.
    fn outlives_the_server(&self) -> bool;

    /// Goes on issuing numbers of objects from one on: none from there on was ever issued.
    ///
    /// # Errors
    /// The storage's.
    fn go_on_numbering(&mut self, next: Oid) -> Result<(), StorageError>;
}

impl<D: BlockDevice, C: Clock> Backing for FileStorage<D, C> {
    fn free_bytes(&self) -> u64 {
        FileStorage::free_bytes(self)
    }

    fn outlives_the_server(&self) -> bool {
        true
    }

    fn go_on_numbering(&mut self, next: Oid) -> Result<(), StorageError> {
        FileStorage::go_on_numbering(self, next)
    }
}

/// Memory has no capacity of its own: it takes what the cell's heap has.
impl<C: Clock> Backing for MappingStorage<C> {
    fn free_bytes(&self) -> u64 {
        0
    }

    fn outlives_the_server(&self) -> bool {
        false
    }

    fn go_on_numbering(&mut self, _: Oid) -> Result<(), StorageError> {
        Ok(())
    }
}
