//! The index: where each revision of each object lies, and each transaction.
//!
//! It is held in memory, filled from its checkpoint and the log behind it. Every entry is in the order of transaction
//! numbers; an object without entries is one whose commit is reserved and not made.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::ops::Bound;

use crate::{Load, Oid, RevisionInfo, RevisionKind, StorageError, Tid};

/// A revision in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Revision {
    pub(crate) tid: Tid,
    /// The byte address of the encoded record.
    pub(crate) address: u64,
    /// Its length; zero is a deletion.
    pub(crate) length: u32,
    /// The checksum of its encoding, its object and its transaction.
    pub(crate) checksum: u32,
}

/// A transaction in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TransactionEntry {
    pub(crate) tid: Tid,
    /// The byte address of its head.
    pub(crate) address: u64,
    /// The length of its head.
    pub(crate) length: u32,
}

impl Revision {
    pub(crate) fn kind(&self) -> RevisionKind {
        match self.length {
            0 => RevisionKind::Deletion,
            bytes => RevisionKind::Data { bytes },
        }
    }
}

/// The index of a log.
#[derive(Debug, Default)]
pub(crate) struct Index {
    objects: BTreeMap<Oid, Vec<Revision>>,
    transactions: Vec<TransactionEntry>,
}

impl Index {
    /// The revision of an object just before `before`.
    pub(crate) fn find(&self, oid: Oid, before: Tid) -> Load<Revision> {
        let revisions = self.objects.get(&oid).map(Vec::as_slice).unwrap_or_default();
        let end = revisions.partition_point(|revision| revision.tid < before);
        let next = revisions.get(end).map(|revision| revision.tid);
        match (end.checked_sub(1).and_then(|last| revisions.get(last)), next) {
            (Some(&record), next) if record.length > 0 => Load::Data { record, tid: record.tid, next },
            (Some(deletion), _) => Load::DeletedAt(deletion.tid),
            (None, Some(created)) => Load::NotYet(created),
            (None, None) => Load::NeverExisted,
        }
    }

    /// The revisions of an object, newest first.
    pub(crate) fn history(&self, oid: Oid, limit: usize) -> Result<Vec<RevisionInfo>, StorageError> {
        let revisions = self.objects.get(&oid).map(Vec::as_slice).unwrap_or_default();
        let mut history = Vec::new();
        history.try_reserve(revisions.len().min(limit))?;
        history.extend(revisions.iter().rev().take(limit).map(|one| RevisionInfo { tid: one.tid, kind: one.kind() }));
        Ok(history)
    }

    /// The newest transaction before `before`.
    pub(crate) fn transaction_before(&self, before: Tid) -> Option<TransactionEntry> {
        let end = self.transactions.partition_point(|entry| entry.tid < before);
        self.transactions.get(end.checked_sub(1)?).copied()
    }

    /// The oldest transaction after `after`.
    pub(crate) fn transaction_after(&self, after: Tid) -> Option<TransactionEntry> {
        let start = self.transactions.partition_point(|entry| entry.tid <= after);
        self.transactions.get(start).copied()
    }

    /// The last object before `before` that has a revision.
    pub(crate) fn previous_object(&self, before: Option<Oid>) -> Option<Oid> {
        let end = before.map_or(Bound::Unbounded, Bound::Excluded);
        let mut below = self.objects.range((Bound::Unbounded, end)).rev();
        below.find(|(_, revisions)| !revisions.is_empty()).map(|(&oid, _)| oid)
    }

    /// The first object after `after` that has a revision.
    pub(crate) fn next_object(&self, after: Option<Oid>) -> Option<Oid> {
        let least = after.map_or(Some(0), |oid| oid.number().checked_add(1))?;
        self.objects.range(Oid::new(least)..).find(|(_, revisions)| !revisions.is_empty()).map(|(&oid, _)| oid)
    }

    /// All objects and their revisions.
    pub(crate) fn objects(&self) -> impl Iterator<Item = (Oid, &[Revision])> {
        self.objects.iter().map(|(&oid, revisions)| (oid, revisions.as_slice()))
    }

    /// All transactions, oldest first.
    pub(crate) fn transactions(&self) -> &[TransactionEntry] {
        &self.transactions
    }

    /// How many objects there are, deleted ones included.
    pub(crate) fn object_count(&self) -> u64 {
        self.objects.values().filter(|revisions| !revisions.is_empty()).count() as u64
    }

    /// Takes the memory that entering one more revision of each object will need.
    pub(crate) fn reserve(&mut self, objects: impl Iterator<Item = Oid>) -> Result<(), StorageError> {
        self.transactions.try_reserve(1)?;
        for oid in objects {
            self.objects.entry(oid).or_default().try_reserve(1)?;
        }
        Ok(())
    }

    /// Forgets objects that were reserved and got no revision.
    pub(crate) fn forget_reserved(&mut self, objects: impl Iterator<Item = Oid>) {
        for oid in objects {
            if self.objects.get(&oid).is_some_and(Vec::is_empty) {
                self.objects.remove(&oid);
            }
        }
    }

    /// Enters a revision; `false`, and nothing done, if it is not newer than the object's last.
    #[must_use]
    pub(crate) fn add_revision(&mut self, oid: Oid, revision: Revision) -> bool {
        let revisions = self.objects.entry(oid).or_default();
        let newer = revisions.last().is_none_or(|last| last.tid < revision.tid);
        if newer {
            revisions.push(revision);
        }
        newer
    }

    /// Enters a transaction; `false`, and nothing done, if it is not newer than the last.
    #[must_use]
    pub(crate) fn add_transaction(&mut self, entry: TransactionEntry) -> bool {
        let newer = self.last_tid() < entry.tid;
        if newer {
            self.transactions.push(entry);
        }
        newer
    }

    /// The newest transaction.
    pub(crate) fn last_tid(&self) -> Tid {
        self.transactions.last().map_or(Tid::ZERO, |entry| entry.tid)
    }
}
