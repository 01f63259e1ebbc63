//! What the store stands on, as far as the statistics ask: a state file, or memory.

use object_store::{BlockDevice, Clock, FileStorage, MappingStorage, Storage};

/// A storage that says how much room it has.
pub trait Backing: Storage {
    /// Bytes that can still be written; of the capacity that was found when it was opened.
    fn free_bytes(&self) -> u64;
}

impl<D: BlockDevice, C: Clock> Backing for FileStorage<D, C> {
    fn free_bytes(&self) -> u64 {
        FileStorage::free_bytes(self)
    }
}

/// Memory has no capacity of its own: it takes what the cell's heap has.
impl<C: Clock> Backing for MappingStorage<C> {
    fn free_bytes(&self) -> u64 {
        0
    }
}
