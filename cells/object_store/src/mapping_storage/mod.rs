//! A storage in memory: the simplest thing that keeps the contract, and the oracle for the others.

mod pack;

use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;
use core::ops::Bound;

use pack::Pack;

use crate::{
    Change, ChangeInfo, Clock, Load, Metadata, Oid, PackError, PackProgress, PackRequest, Record, RevisionInfo,
    RevisionKind, Staged, Storage, StorageError, StorageTransaction, Tid, TransactionInfo, Voted,
};

/// How many transactions may be voted at once.
const VOTE_LIMIT: usize = 64;

/// Every revision of every object, in maps. Nothing survives it.
pub struct MappingStorage<C> {
    clock: C,
    objects: BTreeMap<Oid, Vec<Revision>>,
    transactions: BTreeMap<Tid, TransactionInfo>,
    /// Voted transactions, in the order of their votes.
    pending: VecDeque<Pending>,
    last: Tid,
    next_oid: u64,
    /// The horizon that the last pack carried out.
    packed: Tid,
    horizon: Tid,
    pack: Option<Pack>,
}

struct Revision {
    tid: Tid,
    state: Option<Record>,
    kind: RevisionKind,
}

struct Pending {
    info: TransactionInfo,
    changes: BTreeMap<Oid, Staged>,
    oid_limit: u64,
}

impl<C> MappingStorage<C> {
    /// An empty storage.
    pub fn new(clock: C) -> Self {
        Self::above(clock, Tid::ZERO, Oid::new(1))
    }

    /// An empty storage whose transactions are after `last`, and whose numbers of objects begin at `oid_limit`.
    pub(crate) fn above(clock: C, last: Tid, oid_limit: Oid) -> Self {
        Self {
            clock,
            objects: BTreeMap::new(),
            transactions: BTreeMap::new(),
            pending: VecDeque::new(),
            last,
            next_oid: oid_limit.number(),
            packed: Tid::ZERO,
            horizon: Tid::ZERO,
            pack: None,
        }
    }

    /// Objects that exist. They are counted.
    #[must_use]
    pub fn object_count(&self) -> u64 {
        let exists = |revisions: &&Vec<Revision>| revisions.last().is_some_and(|last| last.state.is_some());
        self.objects.values().filter(exists).count() as u64
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

    /// Takes what was voted for: the oldest votes, in their order. Others are given up.
    fn take_oldest(&mut self, voted: &[Voted]) -> Result<Vec<Pending>, StorageError> {
        let oldest = self.pending.iter().map(|pending| pending.info.tid).take(voted.len());
        if oldest.eq(voted.iter().map(Voted::tid)) {
            return Ok(self.pending.drain(..voted.len()).collect());
        }
        self.pending.retain(|pending| !voted.iter().any(|one| one.tid() == pending.info.tid));
        Err(StorageError::ForeignTransaction)
    }

    fn enter(&mut self, pending: Pending) -> Tid {
        let tid = pending.info.tid;
        for (change, staged) in pending.info.changes.iter().zip(pending.changes.into_values()) {
            let state = if let Change::Record(record) = staged.change { Some(record) } else { None };
            self.objects.entry(change.oid).or_default().push(Revision { tid, state, kind: change.kind });
        }
        self.transactions.insert(tid, pending.info);
        self.next_oid = self.next_oid.max(pending.oid_limit);
        self.last = tid;
        tid
    }
}

impl<C: Clock> MappingStorage<C> {
    /// Votes for a transaction that was checked already.
    pub(crate) fn accept(&mut self, transaction: StorageTransaction) -> Result<Voted, StorageError> {
        let last = self.pending.back().map_or(self.last, |pending| pending.info.tid);
        let tid = transaction.tid(&mut self.clock, last)?;
        let oid_limit = transaction.oid_limit(Oid::new(self.next_oid))?.number();
        let (metadata, changes) = transaction.into_parts();
        let mut info = TransactionInfo { tid, metadata, changes: Vec::new() };
        for (&oid, staged) in &changes {
            let kind = match &staged.change {
                Change::Record(record) => {
                    let bytes = u32::try_from(record.encoded_length()).map_err(|_| StorageError::OutOfMemory)?;
                    RevisionKind::Data { bytes }
                }
                Change::Deletion => RevisionKind::Deletion,
            };
            info.changes.push(ChangeInfo { oid, kind });
        }
        self.pending.push_back(Pending { info, changes, oid_limit });
        Ok(Voted::new(tid))
    }

    /// The checks of a vote that concern those that were voted for before it.
    pub(crate) fn check_pending(&self, transaction: &StorageTransaction) -> Result<(), StorageError> {
        if self.pending.len() >= VOTE_LIMIT {
            return Err(StorageError::Busy);
        }
        self.pending.iter().try_for_each(|pending| transaction.check_behind(pending.info.tid, &pending.changes))
    }
}

impl<C: Clock> Storage for MappingStorage<C> {
    fn begin(&mut self, metadata: Metadata) -> Result<StorageTransaction, StorageError> {
        StorageTransaction::new(metadata)
    }

    fn vote(&mut self, transaction: StorageTransaction) -> Result<Voted, StorageError> {
        self.check_pending(&transaction)?;
        let oid_limit = transaction.oid_limit(Oid::new(self.next_oid))?;
        transaction.check(self, oid_limit)?;
        self.accept(transaction)
    }

    fn finish(&mut self, voted: Voted) -> Result<Tid, StorageError> {
        self.take_oldest(&[voted])?
            .into_iter()
            .map(|one| self.enter(one))
            .last()
            .ok_or(StorageError::ForeignTransaction)
    }

    fn vote_limit(&self) -> usize {
        VOTE_LIMIT
    }

    fn finish_many(&mut self, voted: Vec<Voted>) -> Result<Vec<Tid>, StorageError> {
        Ok(self.take_oldest(&voted)?.into_iter().map(|one| self.enter(one)).collect())
    }

    fn abort(&mut self, voted: Voted) -> Result<(), StorageError> {
        let place = self.pending.iter().position(|pending| pending.info.tid == voted.tid());
        place.and_then(|place| self.pending.remove(place)).map(|_| ()).ok_or(StorageError::ForeignTransaction)
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

    fn transaction_after(&mut self, after: Tid) -> Result<Option<TransactionInfo>, StorageError> {
        let later = (Bound::Excluded(after), Bound::Unbounded);
        Ok(self.transactions.range(later).next().map(|(_, info)| info.clone()))
    }

    fn new_oid(&mut self) -> Result<Oid, StorageError> {
        let oid = Oid::new(self.next_oid);
        self.next_oid = self.next_oid.checked_add(1).ok_or(StorageError::Exhausted)?;
        Ok(oid)
    }

    fn oid_limit(&self) -> Oid {
        Oid::new(self.next_oid)
    }

    fn next_object(&mut self, after: Option<Oid>) -> Result<Option<Oid>, StorageError> {
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        Ok(self.objects.range((start, Bound::Unbounded)).next().map(|(&oid, _)| oid))
    }

    fn previous_object(&mut self, before: Option<Oid>) -> Result<Option<Oid>, StorageError> {
        let end = before.map_or(Bound::Unbounded, Bound::Excluded);
        Ok(self.objects.range((Bound::Unbounded, end)).next_back().map(|(&oid, _)| oid))
    }

    fn last_transaction(&self) -> Tid {
        self.last
    }

    fn horizon(&self) -> Tid {
        self.horizon
    }

    fn pack_start(&mut self, request: PackRequest) -> Result<(), PackError> {
        if self.pack.is_some() {
            return Err(PackError::Running);
        }
        let horizon = request.horizon(self.last);
        self.horizon = self.horizon.max(horizon);
        self.pack = Some(Pack::new(request, horizon));
        Ok(())
    }

    /// One step does it all.
    fn pack_step(&mut self, _budget: usize) -> Result<PackProgress, PackError> {
        let pack = self.pack.take().ok_or(PackError::NotRunning)?;
        Ok(PackProgress::Done(self.carry_out(pack)))
    }
}
