//! Packing: what is asked for and what is answered.
//!
//! [`Storage::pack_start`](crate::Storage::pack_start) says what a pack keeps.

use alloc::vec::Vec;

use crate::{Oid, StorageError, Tid};

/// The most dangling references that a [`PackReport`] lists; it counts them all.
pub const DANGLING_LISTED: usize = 1_024;

/// What to pack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackRequest {
    /// States that were over before this transaction's are given up. A number after the last transaction is taken as that.
    pub until: Tid,
    /// Snapshots that somebody still reads: the states as of these transactions stay.
    pub pins: Vec<Tid>,
    /// Objects that open transactions have changed or refer to.
    pub in_flight: Vec<Oid>,
    /// What becomes of objects that are not reachable.
    pub garbage: Garbage,
}

impl PackRequest {
    /// A pack that collects garbage, while no transaction is open.
    #[must_use]
    pub fn until(until: Tid) -> Self {
        Self { until, pins: Vec::new(), in_flight: Vec::new(), garbage: Garbage::Collect }
    }

    /// The horizon that it leads to, in a storage with this last transaction.
    #[must_use]
    pub fn horizon(&self, last: Tid) -> Tid {
        self.pins.iter().copied().fold(self.until.min(last), Tid::min)
    }
}

/// What becomes of objects that are not reachable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Garbage {
    /// They are dropped.
    Collect,
    /// They stay; only past states are dropped.
    Keep,
}

/// How far a pack is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PackProgress {
    /// It goes on.
    Working {
        /// Units of work done.
        done: u64,
        /// Units of work in all, as far as is known.
        total: u64,
    },
    /// It has ended.
    Done(PackReport),
}

/// What a pack did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackReport {
    /// The horizon that the storage now has.
    pub horizon: Tid,
    /// Objects that were dropped with all their revisions.
    pub objects: u64,
    /// Revisions that were dropped, those of dropped objects included.
    pub revisions: u64,
    /// Transactions of which nothing is left.
    pub transactions: u64,
    /// Bytes of the encoded records that were dropped.
    pub bytes: u64,
    /// References to objects that do not exist, [`DANGLING_LISTED`] at most, in ascending order.
    pub dangling: Vec<DanglingReference>,
    /// How many of those there are.
    pub dangling_count: u64,
}

impl PackReport {
    /// Of a pack up to `horizon` that has dropped nothing yet.
    pub(crate) fn new(horizon: Tid) -> Self {
        let (objects, revisions, transactions, bytes) = (0, 0, 0, 0);
        Self { horizon, objects, revisions, transactions, bytes, dangling: Vec::new(), dangling_count: 0 }
    }

    /// Enters a dangling reference.
    pub(crate) fn note_dangling(&mut self, from: Oid, to: Oid) {
        self.dangling_count += 1;
        if self.dangling.len() < DANGLING_LISTED {
            self.dangling.push(DanglingReference { from, to });
        }
    }
}

/// A reference to an object that does not exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DanglingReference {
    /// The object whose record it is in.
    pub from: Oid,
    /// The object that is missing.
    pub to: Oid,
}

/// Why a pack was refused or ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PackError {
    /// Another pack is going on.
    Running,
    /// None is going on.
    NotRunning,
    /// This storage does not pack.
    Unsupported,
    /// As the storage says.
    Storage(StorageError),
}

impl From<StorageError> for PackError {
    fn from(error: StorageError) -> Self {
        Self::Storage(error)
    }
}
