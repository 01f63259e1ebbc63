//! The open transactions, and which of them were touched since they were told last.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::mem;

use super::TransactionId;
use super::transaction::Transaction;

/// The open transactions by name.
///
/// While they are recorded, every transaction that was put in, taken out or lent to be changed counts as touched: nobody has to
/// remember to say so.
#[derive(Default)]
pub(super) struct OpenTransactions {
    transactions: BTreeMap<TransactionId, Transaction>,
    touched: Option<BTreeMap<TransactionId, Touch>>,
}

/// How much of a transaction has to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Touch {
    /// All of it, or that it is gone.
    Whole,
    /// What it recorded, and what is not recorded.
    Since,
}

impl OpenTransactions {
    pub(super) fn of(transactions: BTreeMap<TransactionId, Transaction>) -> Self {
        Self { transactions, touched: None }
    }

    pub(super) fn all(&self) -> &BTreeMap<TransactionId, Transaction> {
        &self.transactions
    }

    pub(super) fn get(&self, id: &TransactionId) -> Option<&Transaction> {
        self.transactions.get(id)
    }

    pub(super) fn get_mut(&mut self, id: &TransactionId) -> Option<&mut Transaction> {
        let transaction = self.transactions.get_mut(id)?;
        if let Some(touched) = &mut self.touched {
            touched.entry(*id).or_insert(Touch::Since);
        }
        Some(transaction)
    }

    pub(super) fn insert(&mut self, id: TransactionId, mut transaction: Transaction) {
        if let Some(touched) = &mut self.touched {
            touched.insert(id, Touch::Whole);
            transaction.changes.record();
        }
        self.transactions.insert(id, transaction);
    }

    pub(super) fn remove(&mut self, id: &TransactionId) -> Option<Transaction> {
        let transaction = self.transactions.remove(id)?;
        if let Some(touched) = &mut self.touched {
            touched.insert(*id, Touch::Whole);
        }
        Some(transaction)
    }

    pub(super) fn values(&self) -> impl Iterator<Item = &Transaction> {
        self.transactions.values()
    }

    /// Takes out those of which something holds.
    pub(super) fn remove_if(&mut self, holds: impl Fn(&Transaction) -> bool) {
        let found = self.transactions.iter().filter(|(_, transaction)| holds(transaction));
        for id in found.map(|(id, _)| *id).collect::<Vec<_>>() {
            self.remove(&id);
        }
    }

    /// What is touched is recorded from now on: nothing is so far.
    pub(super) fn record(&mut self) {
        self.touched = Some(BTreeMap::new());
        self.transactions.values_mut().for_each(|transaction| transaction.changes.record());
    }

    /// Nothing is recorded any more.
    pub(super) fn stop_recording(&mut self) {
        self.touched = None;
        self.transactions.values_mut().for_each(|transaction| transaction.changes.stop_recording());
    }

    pub(super) fn is_recorded(&self) -> bool {
        self.touched.is_some()
    }

    /// Those that were touched since the last time, with what is recorded of them.
    pub(super) fn take_touched(&mut self) -> BTreeMap<TransactionId, Touch> {
        self.touched.as_mut().map(mem::take).unwrap_or_default()
    }

    /// A transaction whose recorded changes are taken, which does not touch it.
    pub(super) fn telling(&mut self, id: &TransactionId) -> Option<&mut Transaction> {
        self.transactions.get_mut(id)
    }
}
