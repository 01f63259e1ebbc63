//! The record cache: revisions, with the time for which each is the object's state.
//!
//! An entry is exact for ever: it is known from which transaction on it holds, and a commit that ends it says so. So every
//! snapshot can share one cache. The least recently used entries leave when the budget of bytes is exceeded.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;

use crate::{Oid, Record, Tid};

/// Bytes that an entry costs beside its record.
const ENTRY_COST: usize = 160;

/// A revision in the cache.
struct Entry {
    record: Arc<Record>,
    next: Option<Tid>,
    cost: usize,
    used: u64,
}

/// The cache.
pub(crate) struct RecordCache {
    entries: BTreeMap<(Oid, Tid), Entry>,
    by_use: BTreeMap<u64, (Oid, Tid)>,
    budget: usize,
    bytes: usize,
    uses: u64,
}

impl RecordCache {
    pub(crate) fn new(budget: usize) -> Self {
        Self { entries: BTreeMap::new(), by_use: BTreeMap::new(), budget, bytes: 0, uses: 0 }
    }

    /// Bytes in use.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The state of an object just before `before`, and its revision, if it is here.
    pub(crate) fn get(&mut self, oid: Oid, before: Tid) -> Option<(Arc<Record>, Tid)> {
        let (&key, entry) = self.entries.range_mut((oid, Tid::ZERO)..(oid, before)).next_back()?;
        if entry.next.is_some_and(|next| next < before) {
            return None;
        }
        self.uses += 1;
        self.by_use.remove(&entry.used);
        entry.used = self.uses;
        self.by_use.insert(self.uses, key);
        Some((entry.record.clone(), key.1))
    }

    /// Keeps a revision, which `next` has ended if anything has.
    pub(crate) fn insert(&mut self, oid: Oid, tid: Tid, next: Option<Tid>, record: Arc<Record>) {
        let cost =
            ENTRY_COST + record.payload.len() + record.capabilities.len() + record.references.len() * size_of::<Oid>();
        if cost > self.budget {
            return;
        }
        self.remove((oid, tid));
        self.uses += 1;
        self.by_use.insert(self.uses, (oid, tid));
        self.entries.insert((oid, tid), Entry { record, next, cost, used: self.uses });
        self.bytes += cost;
        while self.bytes > self.budget
            && let Some((_, oldest)) = self.by_use.pop_first()
        {
            self.remove(oldest);
        }
    }

    /// A transaction has changed or ended the object.
    pub(crate) fn end(&mut self, oid: Oid, by: Tid) {
        if let Some((_, entry)) = self.entries.range_mut((oid, Tid::ZERO)..(oid, by)).next_back() {
            entry.next.get_or_insert(by);
        }
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        *self = Self { uses: self.uses, ..Self::new(self.budget) };
    }

    fn remove(&mut self, key: (Oid, Tid)) {
        if let Some(entry) = self.entries.remove(&key) {
            self.by_use.remove(&entry.used);
            self.bytes -= entry.cost;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(bytes: usize) -> Arc<Record> {
        Arc::new(Record { payload: alloc::vec![7; bytes], ..Record::default() })
    }

    #[test]
    fn serves_each_snapshot_its_revision() {
        let mut cache = RecordCache::new(10_000);
        let oid = Oid::new(5);
        cache.insert(oid, Tid::new(10), None, record(1));
        cache.end(oid, Tid::new(20));
        cache.insert(oid, Tid::new(20), None, record(2));
        let at = |cache: &mut RecordCache, before| cache.get(oid, Tid::new(before)).map(|(_, tid)| tid.number());
        assert_eq!(at(&mut cache, 10), None);
        assert_eq!(at(&mut cache, 11), Some(10));
        assert_eq!(at(&mut cache, 20), Some(10));
        assert_eq!(at(&mut cache, 21), Some(20));
        cache.remove((oid, Tid::new(20)));
        assert_eq!(at(&mut cache, 21), None, "the older revision has ended");
    }

    #[test]
    fn keeps_to_its_budget_and_drops_the_least_used() {
        let mut cache = RecordCache::new(3 * (ENTRY_COST + 100));
        for oid in 1..=3 {
            cache.insert(Oid::new(oid), Tid::new(1), None, record(100));
        }
        assert!(cache.get(Oid::new(1), Tid::MAX).is_some());
        cache.insert(Oid::new(4), Tid::new(1), None, record(100));
        assert!(cache.bytes() <= 3 * (ENTRY_COST + 100));
        assert!(cache.get(Oid::new(1), Tid::MAX).is_some());
        assert!(cache.get(Oid::new(2), Tid::MAX).is_none());
        cache.insert(Oid::new(5), Tid::new(1), None, record(100_000));
        assert!(cache.get(Oid::new(5), Tid::MAX).is_none());
    }
}
