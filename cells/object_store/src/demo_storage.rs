//! A storage of changes over a base that is only read.
//!
//! Everything that is committed stays in memory, over the base and apart from it: dropping the changes leaves the base as it
//! was. A change hides the base's state of the object, an end hides the object. Numbers of transactions and objects are all
//! above the base's. A [`DemoStorage`] is a base like any other, so that changes can be pushed and popped like a stack.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use crate::{
    Change, Clock, Load, MappingStorage, Metadata, Oid, PackError, PackProgress, PackRequest, RevisionInfo, Storage,
    StorageError, StorageTransaction, Tid, TransactionInfo, Voted,
};

/// Changes over a base. Nobody else may commit to the base meanwhile.
pub struct DemoStorage<B, C> {
    base: B,
    changes: MappingStorage<C>,
    base_last: Tid,
    /// How many more objects there are than in the base.
    more: i64,
    /// By how many each voted transaction changes that.
    pending: BTreeMap<Tid, i64>,
}

impl<B: Storage, C: Clock> DemoStorage<B, C> {
    /// No changes over a base, which may be open for reading only.
    pub fn over(base: B, clock: C) -> Self {
        let base_last = base.last_transaction();
        let changes = MappingStorage::above(clock, base_last, base.oid_limit().max(Oid::new(1)));
        Self { base, changes, base_last, more: 0, pending: BTreeMap::new() }
    }

    /// Begins another layer of changes over these.
    pub fn push<N: Clock>(self, clock: N) -> DemoStorage<Self, N> {
        DemoStorage::over(self, clock)
    }

    /// Throws the changes away and gives the base back.
    pub fn pop(self) -> B {
        self.base
    }

    /// The base beneath.
    pub fn base(&self) -> &B {
        &self.base
    }

    /// The base beneath, to read in.
    pub fn base_mut(&mut self) -> &mut B {
        &mut self.base
    }

    /// How many more objects there are than in the base; fewer where it is negative.
    pub fn more_objects(&self) -> i64 {
        self.more
    }

    /// By how many objects a transaction makes them more.
    fn difference(&mut self, transaction: &StorageTransaction) -> Result<i64, StorageError> {
        let mut difference = 0;
        for (oid, staged) in transaction.changes() {
            let exists = matches!(self.revision_before(*oid, Tid::MAX)?, Load::Data { .. });
            difference += match (&staged.change, exists) {
                (Change::Record(_), false) => 1,
                (Change::Deletion, true) => -1,
                (Change::Record(_), true) | (Change::Deletion, false) => 0,
            };
        }
        Ok(difference)
    }

    fn base_is_empty(&mut self) -> Result<bool, StorageError> {
        Ok(self.base_last == Tid::ZERO && self.base.next_object(None)?.is_none())
    }
}

/// What the changes say of an object; where they say nothing, what the base does.
fn layered<T>(change: Load<T>, base: impl FnOnce() -> Result<Load<T>, StorageError>) -> Result<Load<T>, StorageError> {
    match change {
        Load::NotYet(created) => Ok(match base()? {
            Load::Data { record, tid, next } => Load::Data { record, tid, next: next.or(Some(created)) },
            Load::NeverExisted => Load::NotYet(created),
            other => other,
        }),
        Load::NeverExisted => base(),
        found => Ok(found),
    }
}

impl<B: Storage, C: Clock> Storage for DemoStorage<B, C> {
    fn begin(&mut self, metadata: Metadata) -> Result<StorageTransaction, StorageError> {
        self.changes.begin(metadata)
    }

    fn vote(&mut self, transaction: StorageTransaction) -> Result<Voted, StorageError> {
        self.changes.check_pending(&transaction)?;
        let oid_limit = transaction.oid_limit(self.changes.oid_limit())?;
        transaction.check(self, oid_limit)?;
        let difference = self.difference(&transaction)?;
        let voted = self.changes.accept(transaction)?;
        self.pending.insert(voted.tid(), difference);
        Ok(voted)
    }

    fn finish(&mut self, voted: Voted) -> Result<Tid, StorageError> {
        let difference = self.pending.remove(&voted.tid()).unwrap_or(0);
        let finished = self.changes.finish(voted)?;
        self.more += difference;
        Ok(finished)
    }

    fn vote_limit(&self) -> usize {
        self.changes.vote_limit()
    }

    fn finish_many(&mut self, voted: Vec<Voted>) -> Result<Vec<Tid>, StorageError> {
        let difference: i64 = voted.iter().filter_map(|voted| self.pending.remove(&voted.tid())).sum();
        let finished = self.changes.finish_many(voted)?;
        self.more += difference;
        Ok(finished)
    }

    fn abort(&mut self, voted: Voted) -> Result<(), StorageError> {
        self.pending.remove(&voted.tid());
        self.changes.abort(voted)
    }

    fn load_before(&mut self, oid: Oid, before: Tid) -> Result<Load, StorageError> {
        layered(self.changes.load_before(oid, before)?, || self.base.load_before(oid, before))
    }

    fn prefetch(&mut self, oids: &[Oid], before: Tid) {
        self.base.prefetch(oids, before);
    }

    fn revision_before(&mut self, oid: Oid, before: Tid) -> Result<Load<()>, StorageError> {
        layered(self.changes.revision_before(oid, before)?, || self.base.revision_before(oid, before))
    }

    fn history(&mut self, oid: Oid, limit: usize) -> Result<Vec<RevisionInfo>, StorageError> {
        let mut history = self.changes.history(oid, limit)?;
        let older = self.base.history(oid, limit.saturating_sub(history.len()))?;
        history.try_reserve(older.len())?;
        history.extend(older);
        Ok(history)
    }

    fn transaction_before(&mut self, before: Tid) -> Result<Option<TransactionInfo>, StorageError> {
        match self.changes.transaction_before(before)? {
            None => self.base.transaction_before(before),
            found => Ok(found),
        }
    }

    fn transaction_after(&mut self, after: Tid) -> Result<Option<TransactionInfo>, StorageError> {
        match self.base.transaction_after(after)? {
            None => self.changes.transaction_after(after),
            found => Ok(found),
        }
    }

    fn new_oid(&mut self) -> Result<Oid, StorageError> {
        self.changes.new_oid()
    }

    fn oid_limit(&self) -> Oid {
        self.changes.oid_limit()
    }

    fn next_object(&mut self, after: Option<Oid>) -> Result<Option<Oid>, StorageError> {
        let (changed, base) = (self.changes.next_object(after)?, self.base.next_object(after)?);
        Ok(changed.into_iter().chain(base).min())
    }

    fn previous_object(&mut self, before: Option<Oid>) -> Result<Option<Oid>, StorageError> {
        Ok(self.changes.previous_object(before)?.max(self.base.previous_object(before)?))
    }

    fn last_transaction(&self) -> Tid {
        self.changes.last_transaction()
    }

    fn horizon(&self) -> Tid {
        self.changes.horizon().max(self.base.horizon())
    }

    /// Over a base that has anything in it, [`PackError::Unsupported`]: what the changes do not refer to, the base may.
    fn pack_start(&mut self, request: PackRequest) -> Result<(), PackError> {
        if self.base_is_empty()? { self.changes.pack_start(request) } else { Err(PackError::Unsupported) }
    }

    fn pack_step(&mut self, budget: usize) -> Result<PackProgress, PackError> {
        self.changes.pack_step(budget)
    }
}
