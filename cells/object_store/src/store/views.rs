//! The past: views of it, its history, and packing it away.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::transaction::{Kind, Transaction};
use super::{Store, StoreError, TransactionId};
use crate::{
    Garbage, Metadata, Oid, PackError, PackProgress, PackRequest, Record, RevisionInfo, Storage, StorageError, Tid,
    TransactionInfo, revive,
};

impl<S: Storage> Store<S> {
    /// Opens a view of the state as of a transaction. It changes nothing; a commit or an abort ends it. No pack takes away
    /// what it sees.
    ///
    /// # Errors
    /// [`StoreError::BeyondLast`], [`StoreError::PackedAway`].
    pub fn view_at(&mut self, at: Tid) -> Result<TransactionId, StoreError> {
        let (last, horizon) = (self.storage.last_transaction(), self.storage.horizon());
        if at > last {
            return Err(StoreError::BeyondLast { at, last });
        }
        if at < horizon {
            return Err(StoreError::PackedAway { at, horizon });
        }
        Ok(self.enter_new(Transaction::new(at, Kind::View, None, Metadata::default())))
    }

    /// The state of an object just before a transaction. One that is not current holds no authority but what the object
    /// still has.
    ///
    /// # Errors
    /// As for [`get`](Self::get); [`StoreError::PackedAway`].
    pub fn get_before(&mut self, oid: Oid, before: Tid) -> Result<Arc<Record>, StoreError> {
        let horizon = self.storage.horizon();
        if before <= horizon && horizon > Tid::ZERO {
            return Err(StoreError::PackedAway { at: Tid::new(before.number().saturating_sub(1)), horizon });
        }
        let record = self.load(oid, before)?;
        if record.capabilities.is_empty() || before > self.storage.last_transaction() {
            return Ok(record);
        }
        let current = match self.load(oid, Tid::MAX) {
            Ok(current) => Some(current),
            Err(StoreError::Deleted { .. }) => None,
            Err(error) => return Err(error),
        };
        if current.as_ref().is_some_and(|current| current.capabilities == record.capabilities) {
            return Ok(record);
        }
        Ok(Arc::new(revive(&mut *self.rules, Record::clone(&record), current.as_deref())))
    }

    /// The committed transactions, newest first. After an error it ends.
    pub fn transactions(&mut self) -> Transactions<'_, S> {
        Transactions { storage: &mut self.storage, before: Some(Tid::MAX) }
    }

    /// The revisions of an object, newest first.
    ///
    /// # Errors
    /// Those of [`Storage::history`].
    pub fn history(&mut self, oid: Oid, limit: usize) -> Result<Vec<RevisionInfo>, StoreError> {
        Ok(self.storage.history(oid, limit)?)
    }

    /// Begins a pack that leaves alone what open transactions and views see, have changed and refer to.
    ///
    /// # Errors
    /// Those of [`Storage::pack_start`].
    pub fn pack_start(&mut self, until: Tid, garbage: Garbage) -> Result<(), PackError> {
        let pins = self.open.values().map(|transaction| transaction.snapshot).collect();
        let mut in_flight = Vec::new();
        for transaction in self.open.values() {
            for (&oid, write) in transaction.changes.writes() {
                in_flight.push(oid);
                in_flight.extend(&write.record.references);
            }
            in_flight.extend(transaction.changes.demands().map(|(oid, _)| oid));
        }
        self.storage.pack_start(PackRequest { until, pins, in_flight, garbage })
    }

    /// Goes on with the pack. What was kept in caches of what it drops is forgotten.
    ///
    /// # Errors
    /// Those of [`Storage::pack_step`].
    pub fn pack_step(&mut self, budget: usize) -> Result<PackProgress, PackError> {
        let outcome = self.storage.pack_step(budget);
        self.cache.clear();
        if !matches!(outcome, Ok(PackProgress::Working { .. })) {
            self.sessions.invalidate_all();
        }
        outcome
    }
}

/// Committed transactions, newest first.
pub struct Transactions<'a, S> {
    storage: &'a mut S,
    before: Option<Tid>,
}

impl<S: Storage> Iterator for Transactions<'_, S> {
    type Item = Result<TransactionInfo, StorageError>;

    fn next(&mut self) -> Option<Self::Item> {
        let found = self.storage.transaction_before(self.before.take()?).transpose()?;
        if let Ok(info) = &found {
            self.before = Some(info.tid);
        }
        Some(found)
    }
}
