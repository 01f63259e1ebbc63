//! The last revision of objects, at hand: what a commit checks against, what most loads ask for.
//!
//! An object's number is its place, modulo the size of the table, so that there is nothing to search: numbers are issued
//! densely, and a table that is as large as the store forgets nothing. What it has is exact: the entry with the greatest key
//! of the object in all sources of the index, those of transactions that are voted for included. What it has not must be
//! looked up.

use alloc::vec::Vec;

use super::entry::{Entry, Key, Place, TRANSACTIONS};
use crate::{Oid, Tid};

/// Places at the beginning.
const LEAST: usize = 64;
/// A place without an object.
const EMPTY: Entry = Entry { key: Key::new(TRANSACTIONS, Tid::ZERO), place: Place::GONE };

/// The table.
#[derive(Debug)]
pub(crate) struct CurrentTable {
    /// Their number is zero or a power of two.
    places: Vec<Entry>,
    limit: usize,
    /// No entry of the index is of a later transaction.
    newest: Tid,
    /// No entry of the index is of an object from here on, but for transactions.
    objects_end: u64,
}

impl CurrentTable {
    /// A table of at most this many objects, rounded up to a power of two, of 32 bytes each. It grows with the numbers that
    /// it sees. In the index no entry is of a later transaction than `newest`, or of an object from `objects_end` on.
    pub(crate) fn new(objects: usize, newest: Tid, objects_end: u64) -> Self {
        Self { places: Vec::new(), limit: objects.next_power_of_two().max(LEAST), newest, objects_end }
    }

    /// A table of another size for the same index.
    pub(crate) fn resized(&self, objects: usize) -> Self {
        Self::new(objects, self.newest, self.objects_end)
    }

    /// The last revision of an object, if it is here.
    pub(crate) fn get(&self, oid: Oid) -> Option<&Entry> {
        self.places.get(self.place_of(oid)).filter(|entry| entry.key.oid == oid && oid != TRANSACTIONS)
    }

    /// Whether an object is sure to have no revision: nothing has come by of it, or of one behind it.
    pub(crate) fn is_new(&self, oid: Oid) -> bool {
        oid.number() >= self.objects_end && oid != TRANSACTIONS
    }

    /// Takes in what was looked up: it is the last revision of its object.
    pub(crate) fn learn(&mut self, entry: Entry) {
        self.grow_for(entry.key.oid);
        let place = self.place_of(entry.key.oid);
        if let Some(held) = self.places.get_mut(place) {
            *held = entry;
        }
    }

    /// Takes in an entry that the index gets: a new one, or another place of one that it has.
    pub(crate) fn enter(&mut self, entry: Entry) {
        if entry.key.oid == TRANSACTIONS {
            return;
        }
        self.objects_end = self.objects_end.max(entry.key.oid.number().saturating_add(1));
        let newer = entry.key.tid >= self.newest;
        self.newest = self.newest.max(entry.key.tid);
        match self.get(entry.key.oid) {
            Some(held) if held.key.tid <= entry.key.tid => self.learn(entry),
            Some(_) => {}
            None if newer => self.learn(entry),
            None => {}
        }
    }

    /// Forgets an object whose last revision may be this one, which is given up.
    pub(crate) fn forget(&mut self, key: Key) {
        let place = self.place_of(key.oid);
        if let Some(held) = self.places.get_mut(place).filter(|held| held.key == key) {
            *held = EMPTY;
        }
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        self.places.fill(EMPTY);
    }

    fn place_of(&self, oid: Oid) -> usize {
        oid.number() as usize & self.places.len().saturating_sub(1)
    }

    /// Makes room for an object of its own place, within the limit. Where memory is short, the table stays as it is.
    fn grow_for(&mut self, oid: Oid) {
        let wanted = usize::try_from(oid.number()).unwrap_or(usize::MAX).saturating_add(1);
        let old = self.places.len();
        if (old > 0 && wanted <= old) || old >= self.limit {
            return;
        }
        let size = wanted.min(self.limit).next_power_of_two().max(LEAST);
        if self.places.try_reserve_exact(size - old).is_err() {
            return;
        }
        self.places.resize(size, EMPTY);
        for place in 0..old {
            let Some(&entry) = self.places.get(place) else { break };
            let to = self.place_of(entry.key.oid);
            if entry.key.oid != TRANSACTIONS && to != place {
                self.places.swap(place, to);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Against a map of everything: what is found is the last revision, whatever was entered and taken out.
        #[test]
        fn what_is_found_is_the_last_revision(
            steps in prop::collection::vec((0..200u64, 0..6u8), 0..200),
            limit in 1..200usize,
        ) {
            let mut table = CurrentTable::new(limit, Tid::ZERO, 0);
            let mut model: BTreeMap<Key, Place> = BTreeMap::new();
            let mut tid = 0;
            for (oid, step) in steps {
                let oid = Oid::new(oid);
                let last = model.range(Key::new(oid, Tid::ZERO)..=Key::new(oid, Tid::MAX)).next_back();
                let last = last.map(|(&key, &place)| Entry { key, place });
                match (step, last) {
                    // A commit.
                    (0 | 1, _) => {
                        tid += 1;
                        let place = Place { address: tid, length: 1, checksum: 0 };
                        model.insert(Key::new(oid, Tid::new(tid)), place);
                        table.enter(Entry { key: Key::new(oid, Tid::new(tid)), place });
                    }
                    // A vote that is given up.
                    (2, Some(last)) => {
                        model.remove(&last.key);
                        table.forget(last.key);
                    }
                    // A pack moves a revision.
                    (3, _) => {
                        let first = model.range(Key::new(oid, Tid::ZERO)..).next().map(|(&key, _)| key);
                        if let Some(key) = first {
                            let place = Place { address: tid + 1_000, length: 1, checksum: 0 };
                            model.insert(key, place);
                            table.enter(Entry { key, place });
                        }
                    }
                    (4, Some(last)) => table.learn(last),
                    _ => {
                        if let Some(found) = table.get(oid) {
                            prop_assert_eq!(Some(*found), last);
                        }
                    }
                }
            }
            for oid in (0..200).map(Oid::new) {
                let last = model.range(Key::new(oid, Tid::ZERO)..=Key::new(oid, Tid::MAX)).next_back();
                prop_assert!(!table.is_new(oid) || last.is_none());
                if let Some(found) = table.get(oid) {
                    prop_assert_eq!(Some((&found.key, &found.place)), last);
                }
            }
        }
    }

    #[test]
    fn a_table_as_large_as_the_store_forgets_nothing() {
        let mut table = CurrentTable::new(1_000, Tid::ZERO, 0);
        for number in 0..1_000 {
            let key = Key::new(Oid::new(number), Tid::new(number + 1));
            table.enter(Entry { key, place: Place { address: number, length: 1, checksum: 0 } });
        }
        assert!((0..1_000).all(|number| table.get(Oid::new(number)).is_some_and(|held| held.place.address == number)));
    }
}
