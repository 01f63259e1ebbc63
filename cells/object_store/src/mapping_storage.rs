//! A storage in memory: the simplest thing that keeps the contract, and the oracle for the others.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use crate::clock::next_tid;
use crate::{
    Change, ChangeInfo, Clock, Load, Metadata, Oid, Record, RevisionInfo, RevisionKind, Storage, StorageError,
    StorageTransaction, Tid, TransactionInfo, Voted,
};

/// Every revision of every object, in maps. Nothing survives it.
pub struct MappingStorage<C> {
    clock: C,
    objects: BTreeMap<Oid, Vec<Revision>>,
    transactions: BTreeMap<Tid, TransactionInfo>,
    pending: Option<Pending>,
    next_oid: u64,
}

struct Revision {
    tid: Tid,
    state: Option<Record>,
    kind: RevisionKind,
}

struct Pending {
    info: TransactionInfo,
    states: Vec<Option<Record>>,
}

impl<C: Clock> MappingStorage<C> {
    /// An empty storage.
    pub fn new(clock: C) -> Self {
        Self { clock, objects: BTreeMap::new(), transactions: BTreeMap::new(), pending: None, next_oid: 1 }
    }

    fn revision(&self, oid: Oid, before: Tid) -> Load<&Revision> {
        let Some(revisions) = self.objects.get(&oid) else {
            return Load::NeverExisted;
        };
        let end = revisions.partition_point(|revision| revision.tid < before);
        let next = revisions.get(end).map(|revision| revision.tid);
        match (end.checked_sub(1).and_then(|last| revisions.get(last)), next) {
            (Some(revision), next) if revision.state.is_some() => {
                Load::Data { record: revision, tid: revision.tid, next }
            }
            (Some(revision), _) => Load::DeletedAt(revision.tid),
            (None, Some(created)) => Load::NotYet(created),
            (None, None) => Load::NeverExisted,
        }
    }

    fn take_pending(&mut self, voted: &Voted) -> Result<Pending, StorageError> {
        self.pending.take_if(|pending| pending.info.tid == voted.tid()).ok_or(StorageError::ForeignTransaction)
    }
}

impl<C: Clock> Storage for MappingStorage<C> {
    fn begin(&mut self, metadata: Metadata) -> Result<StorageTransaction, StorageError> {
        StorageTransaction::new(metadata)
    }

    fn vote(&mut self, transaction: StorageTransaction) -> Result<Voted, StorageError> {
        if self.pending.is_some() {
            return Err(StorageError::Busy);
        }
        let next_oid = Oid::new(self.next_oid);
        transaction.check(self, next_oid)?;
        let last = self.last_transaction();
        let tid = next_tid(&mut self.clock, last)?;
        let (metadata, staged) = transaction.into_parts();
        let mut pending = Pending { info: TransactionInfo { tid, metadata, changes: Vec::new() }, states: Vec::new() };
        for (oid, staged) in staged {
            let (state, kind) = match staged.change {
                Change::Record(record) => {
                    let bytes = u32::try_from(record.encoded_length()?).map_err(|_| StorageError::OutOfMemory)?;
                    (Some(record), RevisionKind::Data { bytes })
                }
                Change::Deletion => (None, RevisionKind::Deletion),
            };
            pending.info.changes.push(ChangeInfo { oid, kind });
            pending.states.push(state);
        }
        self.pending = Some(pending);
        Ok(Voted::new(tid))
    }

    fn finish(&mut self, voted: Voted) -> Result<Tid, StorageError> {
        let pending = self.take_pending(&voted)?;
        let tid = pending.info.tid;
        for (change, state) in pending.info.changes.iter().zip(pending.states) {
            self.objects.entry(change.oid).or_default().push(Revision { tid, state, kind: change.kind });
        }
        self.transactions.insert(tid, pending.info);
        Ok(tid)
    }

    fn abort(&mut self, voted: Voted) -> Result<(), StorageError> {
        self.take_pending(&voted).map(|_| ())
    }

    fn load_before(&mut self, oid: Oid, before: Tid) -> Result<Load, StorageError> {
        Ok(self.revision(oid, before).map(|revision| revision.state.clone().unwrap_or_default()))
    }

    fn revision_before(&mut self, oid: Oid, before: Tid) -> Result<Load<()>, StorageError> {
        Ok(self.revision(oid, before).map(|_| ()))
    }

    fn history(&mut self, oid: Oid, limit: usize) -> Result<Vec<RevisionInfo>, StorageError> {
        let revisions = self.objects.get(&oid).map(Vec::as_slice).unwrap_or_default();
        Ok(revisions.iter().rev().take(limit).map(|one| RevisionInfo { tid: one.tid, kind: one.kind }).collect())
    }

    fn transaction_before(&mut self, before: Tid) -> Result<Option<TransactionInfo>, StorageError> {
        Ok(self.transactions.range(..before).next_back().map(|(_, info)| info.clone()))
    }

    fn new_oid(&mut self) -> Result<Oid, StorageError> {
        let oid = Oid::new(self.next_oid);
        self.next_oid = self.next_oid.checked_add(1).ok_or(StorageError::Exhausted)?;
        Ok(oid)
    }

    fn next_object(&mut self, after: Option<Oid>) -> Result<Option<Oid>, StorageError> {
        let least = after.map_or(Some(0), |oid| oid.number().checked_add(1));
        Ok(least.and_then(|least| self.objects.range(Oid::new(least)..).next().map(|(&oid, _)| oid)))
    }

    fn last_transaction(&self) -> Tid {
        self.transactions.last_key_value().map_or(Tid::ZERO, |(&tid, _)| tid)
    }
}
