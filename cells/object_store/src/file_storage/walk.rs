//! A walk through the whole index in the order of its keys, and the rule of what is alive.
//!
//! Checkpoints and packs go through it: several sorted sources become one sequence, in which each key appears once and the
//! newest source counts.

use alloc::vec::Vec;

use super::block_cache::BlockCache;
use super::entry::{Entry, Key, TRANSACTIONS};
use super::index::Miss;
use super::tree::{Cursor, Tree};
use super::volume::Volume;
use crate::device::BlockDevice;
use crate::{Oid, Tid};

/// Sorted sources, the newest first: entries in memory and trees.
pub(crate) struct Walk<I: Iterator<Item = Entry>> {
    recent: core::iter::Peekable<I>,
    cursors: Vec<Cursor>,
}

impl<I: Iterator<Item = Entry>> Walk<I> {
    /// A walk through entries that are in order, and trees, newest first, from the first key that is not below `from`.
    pub(crate) fn new(recent: I, trees: &[Tree], from: Key) -> Self {
        let cursors = trees.iter().map(|&tree| Cursor::new(tree, from)).collect();
        Self { recent: recent.peekable(), cursors }
    }

    /// The next entry.
    pub(crate) fn next<D: BlockDevice>(
        &mut self,
        volume: &mut Volume<D>,
        cache: &mut BlockCache,
    ) -> Result<Option<Entry>, Miss> {
        let mut best = self.recent.peek().copied();
        for cursor in &mut self.cursors {
            let found = cursor.peek(volume, cache)?;
            if let Some(found) = found
                && best.is_none_or(|best| found.key < best.key)
            {
                best = Some(found);
            }
        }
        let Some(found) = best else {
            return Ok(None);
        };
        self.recent.next_if(|entry| entry.key == found.key);
        for cursor in &mut self.cursors {
            if cursor.peek(volume, cache)?.is_some_and(|entry| entry.key == found.key) {
                cursor.advance();
            }
        }
        Ok(Some(found))
    }
}

/// Leaves out of a sequence of entries in order those that are dead, as far as the sequence shows it.
pub(crate) struct Alive {
    horizon: Tid,
    /// The sequence is everything there is, so that what is gone need not be remembered.
    complete: bool,
    held: Option<Entry>,
}

impl Alive {
    pub(crate) fn new(horizon: Tid, complete: bool) -> Self {
        Self { horizon, complete, held: None }
    }

    /// Takes the next entry and lets one go that no later entry can make dead.
    pub(crate) fn push(&mut self, entry: Entry) -> Option<Entry> {
        let dead = |held: &Entry| {
            held.key.oid != TRANSACTIONS && held.key.oid == entry.key.oid && entry.key.tid <= self.horizon
        };
        let held = self.held.replace(entry).filter(|held| !dead(held));
        self.let_go(held)
    }

    /// The last entry.
    pub(crate) fn finish(mut self) -> Option<Entry> {
        let held = self.held.take();
        self.let_go(held)
    }

    fn let_go(&self, entry: Option<Entry>) -> Option<Entry> {
        entry.filter(|entry| !(self.complete && entry.place.is_gone()))
    }
}

/// The first key of all.
pub(crate) const FIRST: Key = Key::new(Oid::new(0), Tid::ZERO);

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::super::entry::Place;
    use super::*;

    fn entry(oid: u64, tid: u64, length: u32) -> Entry {
        let place = Place { address: 0, length, checksum: 0 };
        Entry { key: Key::new(Oid::new(oid), Tid::new(tid)), place: if length == 9 { Place::GONE } else { place } }
    }

    fn alive(complete: bool, entries: &[Entry]) -> Vec<(u64, u64)> {
        let mut alive = Alive::new(Tid::new(5), complete);
        let mut kept: Vec<Entry> = entries.iter().filter_map(|&entry| alive.push(entry)).collect();
        kept.extend(alive.finish());
        kept.iter().map(|entry| (entry.key.oid.number(), entry.key.tid.number())).collect()
    }

    #[test]
    fn of_the_revisions_up_to_the_horizon_the_last_counts() {
        let entries = [entry(1, 2, 1), entry(1, 4, 1), entry(1, 6, 1), entry(2, 5, 1), entry(3, 6, 1), entry(3, 7, 1)];
        assert_eq!(alive(true, &entries), vec![(1, 4), (1, 6), (2, 5), (3, 6), (3, 7)]);
    }

    #[test]
    fn a_transaction_is_not_a_revision() {
        let transactions = TRANSACTIONS.number();
        let entries = [entry(transactions, 2, 1), entry(transactions, 3, 9), entry(transactions, 4, 1)];
        assert_eq!(alive(true, &entries), vec![(transactions, 2), (transactions, 4)]);
        assert_eq!(alive(false, &entries).len(), 3);
    }

    #[test]
    fn what_is_gone_is_remembered_while_older_sources_remain() {
        let entries = [entry(1, 2, 1), entry(1, 5, 9), entry(2, 1, 1)];
        assert_eq!(alive(false, &entries), vec![(1, 5), (2, 1)]);
        assert_eq!(alive(true, &entries), vec![(2, 1)]);
    }
}
