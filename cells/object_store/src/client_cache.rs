//! The snapshot cache of a client: states that it keeps between its transactions.
//!
//! Between a begin and the end of its transaction, every state in the cache is that of the transaction's snapshot. That
//! follows from three rules: a begin brings with it all that others changed since the begin before it
//! ([`Invalidated`]), and that leaves first; a state that was loaded for another snapshot, because its reply came late, is not
//! taken; and a commit leaves in it only what was stored as it was put. The cache keeps to a budget of bytes.

use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::least_used::{LeastUsed, cost};
use crate::{Begun, Invalidated, Oid, Record, Tid};

/// The cache of one session, which has one transaction open at a time.
pub struct ClientCache {
    states: LeastUsed<Oid, Arc<Record>>,
    snapshot: Option<Tid>,
}

impl ClientCache {
    /// An empty cache of `budget` bytes at most.
    #[must_use]
    pub fn new(budget: usize) -> Self {
        Self { states: LeastUsed::new(budget), snapshot: None }
    }

    /// Bytes that the states take.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.states.bytes()
    }

    /// A transaction has begun.
    pub fn begin(&mut self, begun: &Begun) {
        match &begun.invalidated {
            Invalidated::Objects(objects) => objects.iter().for_each(|&oid| self.states.remove(oid)),
            Invalidated::Everything => self.states.clear(),
        }
        self.snapshot = Some(begun.snapshot);
    }

    /// The state of an object in the open transaction's snapshot, if it is here.
    pub fn get(&mut self, oid: Oid) -> Option<Arc<Record>> {
        self.snapshot?;
        self.states.get(oid).cloned()
    }

    /// Keeps a state that was loaded for a snapshot, if that is the open transaction's.
    pub fn insert(&mut self, snapshot: Tid, oid: Oid, record: Arc<Record>) {
        if self.snapshot == Some(snapshot) {
            self.put(oid, record);
        }
    }

    /// The open transaction has committed these states; of those, `foreign` were stored differently. Nothing can be read
    /// until the next begin.
    pub fn committed(&mut self, written: Vec<(Oid, Arc<Record>)>, foreign: &[Oid]) {
        self.snapshot = None;
        for (oid, record) in written {
            self.put(oid, record);
        }
        foreign.iter().for_each(|&oid| self.states.remove(oid));
    }

    /// The open transaction has ended without a commit. Nothing can be read until the next begin.
    pub fn aborted(&mut self) {
        self.snapshot = None;
    }

    /// The session is another one, or nothing is known of what it was told: everything is forgotten.
    pub fn reset(&mut self) {
        self.states.clear();
        self.snapshot = None;
    }

    fn put(&mut self, oid: Oid, record: Arc<Record>) {
        let cost = cost(&record);
        self.states.insert(oid, record, cost);
    }
}
