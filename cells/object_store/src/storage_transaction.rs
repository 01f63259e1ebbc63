//! A transaction on its way into a storage, and the checks that every storage makes of it.
//!
//! The phases are types: a [`StorageTransaction`] collects changes, a vote turns it into a [`Voted`], and only that can be
//! finished. Neither can be copied, so that a transaction commits at most once.

use alloc::collections::BTreeMap;

use crate::{Load, Metadata, Oid, Record, Storage, StorageError, Tid};

/// What happens to one object.
#[derive(Debug)]
pub enum Change {
    /// It gets this state.
    Record(Record),
    /// It ends.
    Deletion,
}

/// A change and the revision that it assumes.
#[derive(Debug)]
pub struct Staged {
    /// The revision that must be current at the vote.
    pub based_on: Tid,
    /// The change.
    pub change: Change,
}

/// Changes that are collected for one commit. Dropping it gives them up.
#[derive(Debug)]
#[must_use]
pub struct StorageTransaction {
    metadata: Metadata,
    changes: BTreeMap<Oid, Staged>,
    current: BTreeMap<Oid, Tid>,
}

/// A transaction that passed the vote: finish it or abort it.
#[derive(Debug)]
#[must_use]
pub struct Voted {
    tid: Tid,
}

impl Voted {
    /// The proof that the storage, which calls this, voted for the transaction that will be `tid`.
    pub fn new(tid: Tid) -> Self {
        Self { tid }
    }

    /// The number that the transaction will have.
    #[must_use]
    pub fn tid(&self) -> Tid {
        self.tid
    }
}

impl StorageTransaction {
    /// An empty transaction, for a storage's `begin`.
    ///
    /// # Errors
    /// [`StorageError::MetadataTooLarge`].
    pub fn new(metadata: Metadata) -> Result<Self, StorageError> {
        metadata.check()?;
        Ok(Self { metadata, changes: BTreeMap::new(), current: BTreeMap::new() })
    }

    /// What the transaction says of itself.
    #[must_use]
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// The changes, by object.
    #[must_use]
    pub fn changes(&self) -> &BTreeMap<Oid, Staged> {
        &self.changes
    }

    /// Takes it apart, for a storage's `vote`.
    #[must_use]
    pub fn into_parts(self) -> (Metadata, BTreeMap<Oid, Staged>) {
        (self.metadata, self.changes)
    }

    pub(crate) fn stage_record(&mut self, oid: Oid, based_on: Tid, record: Record) {
        self.changes.insert(oid, Staged { based_on, change: Change::Record(record) });
    }

    pub(crate) fn stage_deletion(&mut self, oid: Oid, based_on: Tid) {
        self.changes.insert(oid, Staged { based_on, change: Change::Deletion });
    }

    pub(crate) fn demand_current(&mut self, oid: Oid, revision: Tid) {
        self.current.insert(oid, revision);
    }

    /// The checks of a vote: numbers issued below `next_oid`, no conflict, demanded objects current, no reference dangling.
    ///
    /// # Errors
    /// [`StorageError::OidNotIssued`], [`StorageError::Conflict`], [`StorageError::ReadConflict`],
    /// [`StorageError::Dangling`]; those of [`Storage::revision_before`].
    pub fn check<S: Storage>(&self, storage: &mut S, next_oid: Oid) -> Result<(), StorageError> {
        for (&oid, staged) in &self.changes {
            if oid >= next_oid {
                return Err(StorageError::OidNotIssued(oid));
            }
            let theirs = storage.revision_before(oid, Tid::MAX)?.revision();
            if theirs != staged.based_on {
                return Err(StorageError::Conflict { oid, yours: staged.based_on, theirs });
            }
        }
        for (&oid, &yours) in self.current.iter().filter(|(oid, _)| !self.changes.contains_key(oid)) {
            let theirs = storage.revision_before(oid, Tid::MAX)?.revision();
            if theirs != yours {
                return Err(StorageError::ReadConflict { oid, yours, theirs });
            }
        }
        self.check_references(storage)
    }

    fn check_references<S: Storage>(&self, storage: &mut S) -> Result<(), StorageError> {
        for (&from, staged) in &self.changes {
            let Change::Record(record) = &staged.change else {
                continue;
            };
            for &to in &record.references {
                let exists = match self.changes.get(&to).map(|target| &target.change) {
                    Some(Change::Record(_)) => true,
                    Some(Change::Deletion) => false,
                    None => matches!(storage.revision_before(to, Tid::MAX)?, Load::Data { .. }),
                };
                if !exists {
                    return Err(StorageError::Dangling { from, to });
                }
            }
        }
        Ok(())
    }
}
