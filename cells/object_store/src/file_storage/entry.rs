//! Index entries: where a revision or a transaction lies.
//!
//! An [`Entry`] belongs to a [`Key`], and keys are ordered: by object, then by transaction. The transactions themselves are
//! entries of a pseudo object behind all others, so that one structure finds both. Where several entries have the same key,
//! the newest counts: a pack moves records.

use crate::{Oid, RevisionKind, Tid};

/// The pseudo object whose revisions are the transactions. Storages stop issuing numbers before it.
pub(crate) const TRANSACTIONS: Oid = Oid::new(u64::MAX);
/// The length that says that there is nothing: an object collected by a pack, or a transaction of which nothing is left.
const GONE: u32 = u32::MAX;

/// What an entry is found by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    pub(crate) oid: Oid,
    pub(crate) tid: Tid,
}

/// Where the bytes of a key are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// The byte address of the encoded record; of the head, for a transaction; of a block, in an index block above others.
    pub(crate) address: u64,
    /// Its length; zero is a deletion.
    pub(crate) length: u32,
    /// The checksum of the record, its object and its transaction; of the block below; zero for a transaction.
    pub(crate) checksum: u32,
}

/// A key and its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) key: Key,
    pub(crate) place: Place,
}

impl Key {
    pub(crate) const fn new(oid: Oid, tid: Tid) -> Self {
        Self { oid, tid }
    }

    /// The key of a transaction.
    pub(crate) const fn transaction(tid: Tid) -> Self {
        Self::new(TRANSACTIONS, tid)
    }

    /// The next key.
    pub(crate) fn after(self) -> Option<Self> {
        match self.tid.number().checked_add(1) {
            Some(tid) => Some(Self::new(self.oid, Tid::new(tid))),
            None => Some(Self::new(Oid::new(self.oid.number().checked_add(1)?), Tid::ZERO)),
        }
    }
}

impl Place {
    /// The place of what is no more.
    pub(crate) const GONE: Self = Self { address: 0, length: GONE, checksum: 0 };

    pub(crate) fn is_gone(self) -> bool {
        self.length == GONE
    }

    pub(crate) fn kind(self) -> RevisionKind {
        match self.length {
            0 => RevisionKind::Deletion,
            bytes => RevisionKind::Data { bytes },
        }
    }
}
