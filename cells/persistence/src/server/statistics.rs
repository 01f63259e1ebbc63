//! What there is, and what it takes.

use runtime::abi::interfaces::persistence::{Statistics, StoreStatistics, Usage};
use runtime::objects;

use super::Service;
use crate::CACHE_BYTES;
use crate::backing::{Backing, Transfers};

impl<S: Backing> Service<S> {
    pub(super) fn usage(&self) -> Usage {
        let scopes = self.sessions.scopes();
        Usage {
            open: self.sessions.open_transactions() as u32,
            room: self.sessions.room() as u64,
            scopes: scopes.made() as u32,
            watches: self.sessions.watches() as u32,
            capabilities: objects::count(scopes.cnode()),
            heap: self.heap.used() as u64,
        }
    }

    pub(super) fn statistics(&self) -> Statistics {
        let (_, free) = self.sessions.store().storage().room();
        Statistics {
            objects: self.sessions.objects(),
            last: self.sessions.last().number(),
            used: self.ground.facts.capacity.saturating_sub(free),
            capacity: self.ground.facts.capacity,
            formatted: self.ground.facts.formatted,
            torn: self.ground.facts.torn,
        }
    }

    pub(super) fn store_statistics(&self) -> StoreStatistics {
        let store = self.sessions.store();
        let (log, free) = store.storage().room();
        let groups = self.sessions.groups();
        let Transfers { reads, writes, flushes } = store.storage().transfers();
        StoreStatistics {
            log,
            free,
            capacity: self.ground.facts.capacity,
            cache: (store.cached_bytes() as u64, CACHE_BYTES as u64),
            loads: store.cache_counts(),
            commits: self.sessions.commits(),
            groups: (groups.shared, groups.most as u32),
            device: (reads, writes, flushes),
            horizon: store.storage().horizon().number(),
            demo: self.ground.facts.demo,
        }
    }
}
