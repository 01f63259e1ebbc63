//! The index: where each revision of each object lies, and each transaction.
//!
//! What is newer than the last checkpoint is in memory, everything else in a few immutable [`Tree`]s on the device, read a
//! block at a time through a bounded cache. For one key the newest source counts: memory, then the trees from the newest on.
//!
//! Two rules make a pack cheap. Of the revisions of an object up to the *horizon* only the last counts; the others are dead,
//! wherever they still stand, and the index never looks where they point. And an object that was collected has, as its last
//! revision up to the horizon, one that says that it is gone. So nothing has to be taken out of a tree.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::block_cache::BlockCache;
use super::current::CurrentTable;
use super::entry::{Entry, Key, Place, TRANSACTIONS};
use super::tree::Tree;
use super::volume::Volume;
use super::walk::Walk;
use crate::device::BlockDevice;
use crate::{Load, Oid, RevisionInfo, StorageError, Tid};

/// Index blocks that are cached unless something else is asked for: a few mebibytes at most.
pub(crate) const CACHED_BLOCKS: usize = 512;
/// Last revisions that are kept at hand for each block that may be cached: 4 KiB of memory.
const CURRENT_PER_BLOCK: usize = 128;

/// Why a look-up failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Miss {
    /// A block of the index has changed on the device: the log still has all of it.
    Damaged,
    Storage(StorageError),
}

impl From<StorageError> for Miss {
    fn from(error: StorageError) -> Self {
        Self::Storage(error)
    }
}

/// What part of the log a look-up sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct View {
    /// Up to this transaction.
    pub(crate) last: Tid,
    /// History begins here.
    pub(crate) horizon: Tid,
}

/// The index of a log.
#[derive(Debug)]
pub(crate) struct Index {
    recent: BTreeMap<Key, Place>,
    /// Newest first.
    trees: Vec<Tree>,
    cache: BlockCache,
    current: CurrentTable,
}

impl Index {
    /// An index of these entries, in any order, the later one counting where two have one key; and of these trees.
    pub(crate) fn new(mut entries: Vec<Entry>, trees: Vec<Tree>) -> Self {
        entries.sort_by_key(|entry| entry.key);
        let newest = entries.iter().map(|entry| entry.key.tid).chain(trees.iter().map(|tree| tree.newest)).max();
        let of_objects = entries.iter().map(|entry| entry.key.oid).filter(|&oid| oid != TRANSACTIONS);
        let ends = of_objects.map(|oid| oid.number().saturating_add(1));
        let objects_end = ends.chain(trees.iter().map(Tree::objects_end)).max().unwrap_or(0);
        let recent = entries.into_iter().map(|entry| (entry.key, entry.place)).collect();
        let newest = newest.unwrap_or(Tid::ZERO);
        let current = CurrentTable::new(CACHED_BLOCKS * CURRENT_PER_BLOCK, newest, objects_end);
        Self { recent, trees, cache: BlockCache::new(CACHED_BLOCKS), current }
    }

    /// Bounds the cache.
    pub(crate) fn set_cache(&mut self, blocks: usize) {
        self.cache = BlockCache::new(blocks);
        self.current = self.current.resized(blocks.saturating_mul(CURRENT_PER_BLOCK));
    }

    /// Enters what is newer than everything, or replaces what was moved.
    pub(crate) fn insert(&mut self, entries: impl IntoIterator<Item = Entry>) {
        for entry in entries {
            self.current.enter(entry);
            self.recent.insert(entry.key, entry.place);
        }
    }

    /// Takes out what was entered for a transaction that is given up.
    pub(crate) fn remove(&mut self, keys: impl IntoIterator<Item = Key>) {
        for key in keys {
            self.current.forget(key);
            self.recent.remove(&key);
        }
    }

    /// How many entries are newer than the checkpoint.
    pub(crate) fn recent(&self) -> usize {
        self.recent.len()
    }

    /// The entries that are newer than the checkpoint, in the order of their keys.
    pub(crate) fn recent_entries(&self) -> impl Iterator<Item = Entry> + '_ {
        self.recent.iter().map(|(&key, &place)| Entry { key, place })
    }

    pub(crate) fn trees(&self) -> &[Tree] {
        &self.trees
    }

    /// Goes on with other trees, which hold all that was in memory up to a transaction. What the cache has of old ones ages.
    pub(crate) fn replace_trees(&mut self, trees: Vec<Tree>, last: Tid) {
        self.trees = trees;
        if self.recent.last_key_value().is_none_or(|(key, _)| key.tid <= last) {
            self.recent.clear();
        } else {
            self.recent.retain(|key, _| key.tid > last);
        }
    }

    /// Goes on without trees, with what the log says: nothing of what was known before counts.
    pub(crate) fn replace_all(&mut self, entries: impl IntoIterator<Item = Entry>) {
        self.trees = Vec::new();
        self.recent.clear();
        self.current.clear();
        self.insert(entries);
    }

    /// The state of an object just before `before`.
    pub(crate) fn find<D: BlockDevice>(
        &mut self,
        volume: &mut Volume<D>,
        oid: Oid,
        before: Tid,
        view: View,
    ) -> Result<Load<Entry>, Miss> {
        if oid == TRANSACTIONS {
            return Ok(Load::NeverExisted);
        }
        let before = before.min(view.last.after());
        // Up to the horizon there is one revision at most.
        let bound = before.max(view.horizon.min(view.last).after());
        let found = self.last_before(volume, Key::new(oid, bound))?;
        let next = if bound <= view.last { self.first_from(volume, Key::new(oid, bound))? } else { None };
        let next = next.filter(|next| next.key.oid == oid && next.key.tid <= view.last).map(|next| next.key.tid);
        Ok(match (found, next) {
            (Some(found), _) if found.place.is_gone() => Load::NeverExisted,
            (Some(found), _) if found.key.tid >= before => Load::NotYet(found.key.tid),
            (Some(found), _) if found.place.length == 0 => Load::DeletedAt(found.key.tid),
            (Some(record), next) => Load::Data { record, tid: record.key.tid, next },
            (None, Some(created)) => Load::NotYet(created),
            (None, None) => Load::NeverExisted,
        })
    }

    /// The revisions of an object, newest first.
    pub(crate) fn history<D: BlockDevice>(
        &mut self,
        volume: &mut Volume<D>,
        oid: Oid,
        limit: usize,
        view: View,
    ) -> Result<Vec<RevisionInfo>, Miss> {
        let mut history = Vec::new();
        let mut before = view.last.after();
        while history.len() < limit && oid != TRANSACTIONS {
            let Some(found) = self.last_before(volume, Key::new(oid, before))? else {
                break;
            };
            if found.place.is_gone() {
                break;
            }
            history.try_reserve(1).map_err(StorageError::from)?;
            history.push(RevisionInfo { tid: found.key.tid, kind: found.place.kind() });
            if found.key.tid <= view.horizon {
                break;
            }
            before = found.key.tid;
        }
        Ok(history)
    }

    /// The first object after `after` that has a revision.
    pub(crate) fn next_object<D: BlockDevice>(
        &mut self,
        volume: &mut Volume<D>,
        after: Option<Oid>,
        view: View,
    ) -> Result<Option<Oid>, Miss> {
        let mut least = after.map_or(Some(0), |oid| oid.number().checked_add(1));
        while let Some(oid) = least {
            let found = self.first_from(volume, Key::new(Oid::new(oid), Tid::ZERO))?;
            let Some(found) = found.filter(|found| found.key.oid != TRANSACTIONS) else {
                break;
            };
            let oid = found.key.oid;
            if !matches!(self.find(volume, oid, Tid::MAX, view)?, Load::NeverExisted) {
                return Ok(Some(oid));
            }
            least = oid.number().checked_add(1);
        }
        Ok(None)
    }

    /// The last object before `before` that has a revision.
    pub(crate) fn previous_object<D: BlockDevice>(
        &mut self,
        volume: &mut Volume<D>,
        before: Option<Oid>,
        view: View,
    ) -> Result<Option<Oid>, Miss> {
        let mut bound = before.unwrap_or(TRANSACTIONS);
        while let Some(found) = self.any_before(volume, Key::new(bound, Tid::ZERO))? {
            bound = found.key.oid;
            if !matches!(self.find(volume, bound, Tid::MAX, view)?, Load::NeverExisted) {
                return Ok(Some(bound));
            }
        }
        Ok(None)
    }

    /// The oldest transaction after `after` of which something may be left.
    pub(crate) fn transaction_after<D: BlockDevice>(
        &mut self,
        volume: &mut Volume<D>,
        after: Tid,
        view: View,
    ) -> Result<Option<Entry>, Miss> {
        let mut after = after;
        while let Some(from) = Key::transaction(after).after().filter(|from| from.oid == TRANSACTIONS) {
            match self.first_from(volume, from)?.filter(|found| found.key.tid <= view.last) {
                Some(gone) if gone.place.is_gone() => after = gone.key.tid,
                found => return Ok(found),
            }
        }
        Ok(None)
    }

    /// The newest transaction before `before` of which something may be left.
    pub(crate) fn transaction_before<D: BlockDevice>(
        &mut self,
        volume: &mut Volume<D>,
        before: Tid,
        view: View,
    ) -> Result<Option<Entry>, Miss> {
        let mut before = before.min(view.last.after());
        loop {
            let found = self.last_before(volume, Key::transaction(before))?;
            match found {
                Some(gone) if gone.place.is_gone() => before = gone.key.tid,
                found => return Ok(found),
            }
        }
    }

    /// Whether the record of a revision at an address still counts: it is the one that the index names, and no later
    /// revision up to the horizon takes its place.
    pub(crate) fn is_alive<D: BlockDevice>(
        &mut self,
        volume: &mut Volume<D>,
        key: Key,
        horizon: Tid,
    ) -> Result<Option<Place>, Miss> {
        let Some(after) = key.after() else {
            return Ok(None);
        };
        let bound = if key.oid == TRANSACTIONS { after } else { after.max(Key::new(key.oid, horizon.after())) };
        let found = self.last_before(volume, bound)?;
        Ok(found.filter(|found| found.key == key && !found.place.is_gone()).map(|found| found.place))
    }

    /// The entry of the same object with the greatest key below `key`.
    fn last_before<D: BlockDevice>(&mut self, volume: &mut Volume<D>, key: Key) -> Result<Option<Entry>, Miss> {
        match self.current.get(key.oid) {
            Some(last) if last.key < key => return Ok(Some(*last)),
            Some(_) => return self.search_before(volume, key),
            None if self.current.is_new(key.oid) => return Ok(None),
            None if key.oid == TRANSACTIONS => return self.search_before(volume, key),
            None => {}
        }
        // What is learnt must be the last of all.
        let last = self.search_before(volume, Key::new(key.oid, Tid::MAX))?;
        if let Some(last) = last {
            self.current.learn(last);
        }
        match last {
            Some(last) if last.key >= key => self.search_before(volume, key),
            last => Ok(last),
        }
    }

    /// The same, looked up where the index is.
    fn search_before<D: BlockDevice>(&mut self, volume: &mut Volume<D>, key: Key) -> Result<Option<Entry>, Miss> {
        let recent = self.recent.range(Key::new(key.oid, Tid::ZERO)..key).next_back();
        let mut best = recent.map(|(&key, &place)| Entry { key, place });
        for tree in &self.trees {
            if best.is_some_and(|best| best.key.tid >= tree.newest) || !tree.may_have(key.oid) {
                continue;
            }
            let found = tree.before(volume, &mut self.cache, key)?.filter(|found| found.key.oid == key.oid);
            if let Some(found) = found
                && best.is_none_or(|best| best.key < found.key)
            {
                best = Some(found);
            }
        }
        Ok(best)
    }

    /// The entry with the greatest key below `key`, of whatever object.
    fn any_before<D: BlockDevice>(&mut self, volume: &mut Volume<D>, key: Key) -> Result<Option<Entry>, Miss> {
        let recent = self.recent.range(..key).next_back();
        let mut best = recent.map(|(&key, &place)| Entry { key, place });
        for tree in &self.trees {
            let found = tree.before(volume, &mut self.cache, key)?;
            if let Some(found) = found
                && best.is_none_or(|best| best.key < found.key)
            {
                best = Some(found);
            }
        }
        Ok(best)
    }

    /// Up to `limit` entries in the order of their keys, from the first that is not below `from`.
    pub(crate) fn some_from<D: BlockDevice>(
        &mut self,
        volume: &mut Volume<D>,
        from: Key,
        limit: usize,
    ) -> Result<Vec<Entry>, Miss> {
        let recent = self.recent.range(from..).map(|(&key, &place)| Entry { key, place });
        let mut walk = Walk::new(recent, &self.trees, from);
        let mut entries = Vec::new();
        while entries.len() < limit
            && let Some(entry) = walk.next(volume, &mut self.cache)?
        {
            entries.try_reserve(1).map_err(StorageError::from)?;
            entries.push(entry);
        }
        Ok(entries)
    }

    /// The entry with the smallest key that is not below `key`.
    pub(crate) fn first_from<D: BlockDevice>(
        &mut self,
        volume: &mut Volume<D>,
        key: Key,
    ) -> Result<Option<Entry>, Miss> {
        let recent = self.recent.range(key..).next();
        let mut best = recent.map(|(&key, &place)| Entry { key, place });
        for tree in self.trees.iter().filter(|tree| tree.may_have_from(key.oid)) {
            let found = tree.from(volume, &mut self.cache, key)?;
            if let Some(found) = found
                && best.is_none_or(|best| found.key < best.key)
            {
                best = Some(found);
            }
        }
        Ok(best)
    }
}
