//! A transaction on its way into a storage, and the checks that every storage makes of it.
//!
//! The phases are types: a [`StorageTransaction`] collects changes, a vote turns it into a [`Voted`], and only that can be
//! finished. Neither can be copied, so that a transaction commits at most once.

use alloc::collections::{BTreeMap, BTreeSet};

use crate::clock::next_tid;
use crate::referrers;
use crate::{Clock, Load, Metadata, Oid, Record, Storage, StorageError, Tid};

/// Copied transactions cannot have objects from this number on, so that they cannot use up the numbers.
const OID_LIMIT: u64 = 1 << 62;

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
    /// Objects that end and that nothing may refer to.
    uncreated: BTreeSet<Oid>,
    restored_as: Option<Restored>,
}

/// What a copy keeps of the storage which it is copied from.
#[derive(Clone, Copy, Debug)]
struct Restored {
    tid: Tid,
    oid_limit: Oid,
}

/// A transaction that passed the vote: finish it or abort it.
#[derive(Debug)]
#[must_use]
pub struct Voted {
    tid: Tid,
}

/// Whether a flush of the device is still needed before transactions are durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flush {
    /// It is.
    Needed,
    /// They are.
    Done,
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
        let (changes, current, uncreated) = (BTreeMap::new(), BTreeMap::new(), BTreeSet::new());
        Ok(Self { metadata, changes, current, uncreated, restored_as: None })
    }

    /// The number that it gets in a storage whose last transaction, committed or voted, is `last`.
    ///
    /// # Errors
    /// [`StorageError::NotNewer`], [`StorageError::Exhausted`].
    pub fn tid(&self, clock: &mut impl Clock, last: Tid) -> Result<Tid, StorageError> {
        match self.restored_as {
            None => next_tid(clock, last),
            Some(Restored { tid, .. }) if tid > last && tid < Tid::MAX => Ok(tid),
            Some(Restored { tid, .. }) => Err(StorageError::NotNewer { tid, last }),
        }
    }

    /// The numbers issued, `limit`, and those that a copy of another storage's transaction takes for issued.
    ///
    /// # Errors
    /// [`StorageError::Exhausted`].
    pub fn oid_limit(&self, limit: Oid) -> Result<Oid, StorageError> {
        let Some(restored) = self.restored_as else {
            return Ok(limit);
        };
        let above = self.changes.last_key_value().map_or(Some(0), |(oid, _)| oid.number().checked_add(1));
        let above = Oid::new(above.ok_or(StorageError::Exhausted)?);
        let limit = limit.max(restored.oid_limit).max(above);
        if limit.number() <= OID_LIMIT { Ok(limit) } else { Err(StorageError::Exhausted) }
    }

    /// Whether it is a copy of another storage's transaction, and so does not say what it is based on.
    pub(crate) fn is_restored(&self) -> bool {
        self.restored_as.is_some()
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

    pub(crate) fn restore_as(&mut self, tid: Tid, oid_limit: Oid) {
        self.restored_as = Some(Restored { tid, oid_limit });
    }

    pub(crate) fn stage_record(&mut self, oid: Oid, based_on: Tid, record: Record) {
        self.uncreated.remove(&oid);
        self.changes.insert(oid, Staged { based_on, change: Change::Record(record) });
    }

    pub(crate) fn stage_deletion(&mut self, oid: Oid, based_on: Tid) {
        self.uncreated.remove(&oid);
        self.changes.insert(oid, Staged { based_on, change: Change::Deletion });
    }

    /// A deletion that is refused while another object refers to this one.
    pub(crate) fn stage_uncreation(&mut self, oid: Oid, based_on: Tid) {
        self.stage_deletion(oid, based_on);
        self.uncreated.insert(oid);
    }

    pub(crate) fn demand_current(&mut self, oid: Oid, revision: Tid) {
        self.current.insert(oid, revision);
    }

    /// The checks of a vote: numbers issued below `next_oid`, no conflict, demanded objects current, no reference dangling,
    /// none to an object whose creation is undone. A copy of another storage's transaction passes.
    ///
    /// # Errors
    /// [`StorageError::OidNotIssued`], [`StorageError::Conflict`], [`StorageError::ReadConflict`],
    /// [`StorageError::Dangling`], [`StorageError::StillReferenced`]; those of [`Storage::revision_before`].
    pub fn check<S: Storage>(&self, storage: &mut S, next_oid: Oid) -> Result<(), StorageError> {
        if self.restored_as.is_some() {
            return Ok(());
        }
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
        self.check_references(storage)?;
        referrers::check(storage, &self.uncreated, &self.changes)
    }

    /// The checks of a vote against a transaction that is voted and not yet finished, as if it were committed.
    ///
    /// # Errors
    /// As for [`check`](Self::check).
    pub fn check_behind(&self, theirs: Tid, changes: &BTreeMap<Oid, Staged>) -> Result<(), StorageError> {
        if self.restored_as.is_some() {
            return Ok(());
        }
        for (&oid, change) in changes {
            if let Some(staged) = self.changes.get(&oid) {
                return Err(StorageError::Conflict { oid, yours: staged.based_on, theirs });
            }
            if let Some(&yours) = self.current.get(&oid) {
                return Err(StorageError::ReadConflict { oid, yours, theirs });
            }
            if let Change::Record(record) = &change.change
                && let Some(&to) = record.references.iter().find(|to| self.uncreated.contains(to))
            {
                return Err(StorageError::StillReferenced { oid: to, by: oid });
            }
        }
        let ends = |to: &Oid| changes.get(to).is_some_and(|staged| matches!(staged.change, Change::Deletion));
        for (&from, staged) in &self.changes {
            if let Change::Record(record) = &staged.change
                && let Some(&to) = record.references.iter().find(|&to| ends(to))
            {
                return Err(StorageError::Dangling { from, to });
            }
        }
        Ok(())
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
