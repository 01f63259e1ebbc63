//! The record cache: revisions, with the time for which each is the object's state.
//!
//! An entry is exact for ever: it is known from which transaction on it holds, and a commit that ends it says so. So every
//! snapshot can share one cache. The least recently used entries leave when the budget of bytes is exceeded.

use alloc::sync::Arc;

use crate::least_used::{LeastUsed, cost};
use crate::{Oid, Record, Tid};

/// A revision in the cache.
struct Revision {
    record: Arc<Record>,
    next: Option<Tid>,
}

/// The cache.
pub(crate) struct RecordCache {
    revisions: LeastUsed<(Oid, Tid), Revision>,
    found: u64,
    missed: u64,
}

impl RecordCache {
    pub(crate) fn new(budget: usize) -> Self {
        Self { revisions: LeastUsed::new(budget), found: 0, missed: 0 }
    }

    /// How often a state was found here, and how often not.
    pub(crate) fn counts(&self) -> (u64, u64) {
        (self.found, self.missed)
    }

    /// Bytes in use.
    pub(crate) fn bytes(&self) -> usize {
        self.revisions.bytes()
    }

    /// The state of an object just before `before`, and its revision, if it is here.
    pub(crate) fn get(&mut self, oid: Oid, before: Tid) -> Option<(Arc<Record>, Tid)> {
        let found = self.find(oid, before);
        match found {
            Some(_) => self.found += 1,
            None => self.missed += 1,
        }
        found
    }

    /// The same, without being counted.
    pub(crate) fn find(&mut self, oid: Oid, before: Tid) -> Option<(Arc<Record>, Tid)> {
        let (key, revision) = self.revisions.last_in((oid, Tid::ZERO)..(oid, before))?;
        if revision.next.is_some_and(|next| next < before) {
            return None;
        }
        self.revisions.get(key).map(|revision| (revision.record.clone(), key.1))
    }

    /// Keeps a revision, which `next` has ended if anything has.
    pub(crate) fn insert(&mut self, oid: Oid, tid: Tid, next: Option<Tid>, record: Arc<Record>) {
        let cost = cost(&record);
        self.revisions.insert((oid, tid), Revision { record, next }, cost);
    }

    /// A transaction has changed or ended the object.
    pub(crate) fn end(&mut self, oid: Oid, by: Tid) {
        if let Some((_, revision)) = self.revisions.last_in((oid, Tid::ZERO)..(oid, by)) {
            revision.next.get_or_insert(by);
        }
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        self.revisions.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a record without payload costs.
    fn entry_cost() -> usize {
        cost(&Record::default())
    }

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
        cache.revisions.remove((oid, Tid::new(20)));
        assert_eq!(at(&mut cache, 21), None, "the older revision has ended");
    }

    #[test]
    fn keeps_to_its_budget_and_drops_the_least_used() {
        let mut cache = RecordCache::new(3 * (entry_cost() + 100));
        for oid in 1..=3 {
            cache.insert(Oid::new(oid), Tid::new(1), None, record(100));
        }
        assert!(cache.get(Oid::new(1), Tid::MAX).is_some());
        cache.insert(Oid::new(4), Tid::new(1), None, record(100));
        assert!(cache.bytes() <= 3 * (entry_cost() + 100));
        assert!(cache.get(Oid::new(1), Tid::MAX).is_some());
        assert!(cache.get(Oid::new(2), Tid::MAX).is_none());
        cache.insert(Oid::new(5), Tid::new(1), None, record(100_000));
        assert!(cache.get(Oid::new(5), Tid::MAX).is_none());
    }
}
