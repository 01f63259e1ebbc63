//! Walks over a storage, from either end and in both directions at once.
//!
//! A range is a value of its own and does not hold the storage, so that a walk can be kept between requests. It shows the
//! storage as it was when the range was made: later commits are not seen. What a pack drops meanwhile is left out.

use crate::{Load, Oid, Record, Storage, StorageError, Tid, TransactionInfo};

/// A walk over committed transactions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransactionRange {
    after: Tid,
    before: Tid,
}

impl TransactionRange {
    /// Over the transactions from `first` to `last`, both included, that are committed now.
    pub fn new<S: Storage>(storage: &S, first: Tid, last: Tid) -> Self {
        let after = Tid::new(first.number().saturating_sub(1));
        Self { after, before: last.min(storage.last_transaction()).after() }
    }

    /// The oldest that was not told yet.
    ///
    /// # Errors
    /// Those of [`Storage::transaction_after`]; the walk can be tried again.
    pub fn next<S: Storage>(&mut self, storage: &mut S) -> Result<Option<TransactionInfo>, StorageError> {
        let found = storage.transaction_after(self.after)?.filter(|info| info.tid < self.before);
        self.after = found.as_ref().map_or(self.before, |info| info.tid);
        Ok(found)
    }

    /// The newest that was not told yet.
    ///
    /// # Errors
    /// Those of [`Storage::transaction_before`]; the walk can be tried again.
    pub fn next_back<S: Storage>(&mut self, storage: &mut S) -> Result<Option<TransactionInfo>, StorageError> {
        let found = storage.transaction_before(self.before)?.filter(|info| info.tid > self.after);
        self.before = found.as_ref().map_or(self.after, |info| info.tid);
        Ok(found)
    }
}

/// A walk over the objects that exist as of a transaction, in the order of their numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordRange {
    at: Tid,
    after: Option<Oid>,
    before: Option<Oid>,
    over: bool,
}

/// An object in a walk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CurrentRecord {
    /// The object.
    pub oid: Oid,
    /// The transaction that wrote its state.
    pub tid: Tid,
    /// Its state.
    pub record: Record,
}

impl RecordRange {
    /// Over the objects from `first` to `last`, both included, with their states as of now.
    pub fn new<S: Storage>(storage: &S, first: Oid, last: Oid) -> Self {
        Self::at(storage.last_transaction(), first, last)
    }

    /// The same, with their states as of a transaction.
    #[must_use]
    pub fn at(at: Tid, first: Oid, last: Oid) -> Self {
        let after = first.number().checked_sub(1).map(Oid::new);
        Self { at, after, before: last.number().checked_add(1).map(Oid::new), over: first > last }
    }

    /// The object with the smallest number that was not told yet.
    ///
    /// # Errors
    /// Those of [`Storage::load_before`]; the next call goes on behind the object.
    pub fn next<S: Storage>(&mut self, storage: &mut S) -> Result<Option<CurrentRecord>, StorageError> {
        while !self.over {
            match storage.next_object(self.after)? {
                Some(oid) if self.before.is_none_or(|before| oid < before) => {
                    self.after = Some(oid);
                    if let Some(found) = self.load(storage, oid)? {
                        return Ok(Some(found));
                    }
                }
                _ => self.over = true,
            }
        }
        Ok(None)
    }

    /// The object with the greatest number that was not told yet.
    ///
    /// # Errors
    /// Those of [`Storage::load_before`]; the next call goes on before the object.
    pub fn next_back<S: Storage>(&mut self, storage: &mut S) -> Result<Option<CurrentRecord>, StorageError> {
        while !self.over {
            match storage.previous_object(self.before)? {
                Some(oid) if self.after.is_none_or(|after| oid > after) => {
                    self.before = Some(oid);
                    if let Some(found) = self.load(storage, oid)? {
                        return Ok(Some(found));
                    }
                }
                _ => self.over = true,
            }
        }
        Ok(None)
    }

    fn load<S: Storage>(&self, storage: &mut S, oid: Oid) -> Result<Option<CurrentRecord>, StorageError> {
        Ok(match storage.load_before(oid, self.at.after())? {
            Load::Data { record, tid, .. } => Some(CurrentRecord { oid, tid, record }),
            _ => None,
        })
    }
}
