//! A map with a budget: what was used least recently leaves when it is exceeded.

use alloc::collections::BTreeMap;
use core::ops::RangeBounds;

use crate::{Oid, Record};

/// Bytes that an entry costs beside its record.
const ENTRY_COST: usize = 160;

/// The map. Bytes are as its users count them.
pub(crate) struct LeastUsed<K, V> {
    entries: BTreeMap<K, Entry<V>>,
    by_use: BTreeMap<u64, K>,
    budget: usize,
    bytes: usize,
    uses: u64,
}

struct Entry<V> {
    value: V,
    cost: usize,
    used: u64,
}

/// Bytes that a record costs in a cache.
pub(crate) fn cost(record: &Record) -> usize {
    ENTRY_COST + record.payload.len() + record.capabilities.len() + record.references.len() * size_of::<Oid>()
}

impl<K: Copy + Ord, V> LeastUsed<K, V> {
    pub(crate) fn new(budget: usize) -> Self {
        Self { entries: BTreeMap::new(), by_use: BTreeMap::new(), budget, bytes: 0, uses: 0 }
    }

    /// Bytes in use.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The last entry in a range, without counting as a use.
    pub(crate) fn last_in(&mut self, range: impl RangeBounds<K>) -> Option<(K, &mut V)> {
        self.entries.range_mut(range).next_back().map(|(&key, entry)| (key, &mut entry.value))
    }

    /// An entry; it was used now.
    pub(crate) fn get(&mut self, key: K) -> Option<&V> {
        let entry = self.entries.get_mut(&key)?;
        self.uses += 1;
        self.by_use.remove(&entry.used);
        entry.used = self.uses;
        self.by_use.insert(self.uses, key);
        Some(&entry.value)
    }

    /// Keeps an entry, unless it alone exceeds the budget. Others leave until it is kept to.
    pub(crate) fn insert(&mut self, key: K, value: V, cost: usize) {
        self.remove(key);
        if cost > self.budget {
            return;
        }
        self.uses += 1;
        self.by_use.insert(self.uses, key);
        self.entries.insert(key, Entry { value, cost, used: self.uses });
        self.bytes += cost;
        while self.bytes > self.budget
            && let Some((_, oldest)) = self.by_use.pop_first()
        {
            self.remove(oldest);
        }
    }

    pub(crate) fn remove(&mut self, key: K) {
        if let Some(entry) = self.entries.remove(&key) {
            self.by_use.remove(&entry.used);
            self.bytes -= entry.cost;
        }
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        self.entries.clear();
        self.by_use.clear();
        self.bytes = 0;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        /// Against a list in the order of use.
        #[test]
        fn the_least_used_leave(
            steps in prop::collection::vec((0..8u8, prop::option::of(0..60usize), any::<bool>()), 0..60),
        ) {
            let mut map = LeastUsed::new(100);
            let mut model: alloc::vec::Vec<(u8, usize)> = alloc::vec::Vec::new();
            for (key, cost, remove) in steps {
                match cost {
                    Some(cost) if !remove => {
                        map.insert(key, cost, cost * 2);
                        model.retain(|(known, _)| *known != key);
                        if cost * 2 <= 100 {
                            model.push((key, cost));
                        }
                        while model.iter().map(|(_, cost)| cost * 2).sum::<usize>() > 100 {
                            model.remove(0);
                        }
                    }
                    Some(_) => {
                        map.remove(key);
                        model.retain(|(known, _)| *known != key);
                    }
                    None => {
                        let place = model.iter().position(|(known, _)| *known == key);
                        let expected = place.map(|place| model.remove(place));
                        model.extend(expected);
                        prop_assert_eq!(map.get(key).copied(), expected.map(|(_, cost)| cost));
                    }
                }
                prop_assert_eq!(map.bytes(), model.iter().map(|(_, cost)| cost * 2).sum::<usize>());
            }
        }
    }
}
