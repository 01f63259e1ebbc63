//! States that a client keeps between its transactions, so that reading them again takes no message.
//!
//! A begin brings what others have changed since the begin before it; the rest of what is kept is the snapshot's. What this
//! client's own thread has put and committed is kept as it was put: the server tells of what became of it otherwise, by a merge,
//! an undo, or another server that took part. Where the server does not remember so far back, everything is forgotten.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use core::fmt;

use object_store::{Begun, ClientCache, Invalidated, Oid, Record, Tid, TransactionId};

use crate::graph::Changed;

/// What one thread keeps, which has one transaction open at a time.
pub(crate) struct Snapshots {
    cache: ClientCache,
    /// The snapshot of the last transaction. What others changed is asked for from there on.
    since: Tid,
    /// What the open transaction has put.
    written: BTreeMap<Oid, Arc<Record>>,
    /// The snapshot of the open transaction, as long as nobody else can have put anything in it.
    open: Option<Tid>,
}

impl fmt::Debug for Snapshots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Snapshots({} bytes since {})", self.cache.bytes(), self.since.number())
    }
}

impl Snapshots {
    /// Nothing yet, and states of so many bytes at most.
    pub(crate) fn new(budget: usize) -> Self {
        Snapshots { cache: ClientCache::new(budget), since: Tid::ZERO, written: BTreeMap::new(), open: None }
    }

    /// From where on it must be told what others changed.
    pub(crate) fn since(&self) -> Tid {
        self.since
    }

    /// A transaction has begun, and this was told.
    pub(crate) fn begin(&mut self, transaction: u64, changed: Changed) {
        let (snapshot, invalidated) = match changed {
            Changed::Objects(snapshot, objects) => (snapshot, Invalidated::Objects(objects)),
            Changed::Anything(snapshot) => (snapshot, Invalidated::Everything),
        };
        self.cache.begin(&Begun { id: TransactionId::new(transaction), snapshot, invalidated });
        (self.since, self.open) = (snapshot, Some(snapshot));
        self.written.clear();
    }

    /// The state of an object in the open transaction, if it is here.
    pub(crate) fn get(&mut self, oid: Oid) -> Option<Arc<Record>> {
        self.open?;
        self.written.get(&oid).cloned().or_else(|| self.cache.get(oid))
    }

    /// The server has told the state of an object in the open transaction, which has not put it.
    pub(crate) fn loaded(&mut self, oid: Oid, record: &Record) {
        if let Some(snapshot) = self.open {
            self.cache.insert(snapshot, oid, Arc::new(record.clone()));
        }
    }

    /// The open transaction has put the state of an object.
    pub(crate) fn put(&mut self, oid: Oid, record: &Record) {
        if self.open.is_some() {
            self.written.insert(oid, Arc::new(record.clone()));
        }
    }

    /// The open transaction is committed.
    pub(crate) fn committed(&mut self) {
        let written = core::mem::take(&mut self.written);
        match self.open.take() {
            Some(_) => self.cache.committed(written.into_iter().collect(), &[]),
            None => self.cache.reset(),
        }
    }

    /// The open transaction is aborted.
    pub(crate) fn aborted(&mut self) {
        self.written.clear();
        match self.open.take() {
            Some(_) => self.cache.aborted(),
            None => self.cache.reset(),
        }
    }

    /// What is kept may be another state than the open transaction's, or become one: nothing is kept until the next begin.
    pub(crate) fn forget(&mut self) {
        self.written.clear();
        self.open = None;
        self.cache.reset();
    }
}

#[cfg(test)]
mod tests {
    use alloc::collections::BTreeSet;
    use alloc::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    /// What a client does.
    #[derive(Clone, Copy, Debug)]
    enum Step {
        Begin {
            told: bool,
        },
        Get(u64),
        Put(u64, u8),
        /// Another server puts it, in the transaction that travels with a call; the client is told of the call.
        PutByOther(u64, u8),
        Commit,
        Abort,
        RollBack,
    }

    /// A server's graph: each commit with who made it, and what it put; what others put in it belongs to nobody.
    #[derive(Debug, Default)]
    struct Graph {
        commits: Vec<(usize, BTreeMap<u64, u8>, BTreeSet<u64>)>,
    }

    impl Graph {
        fn state(&self, snapshot: usize, oid: u64) -> u8 {
            let mut states = self.commits.iter().take(snapshot).rev();
            states.find_map(|(_, put, _)| put.get(&oid).copied()).unwrap_or(0)
        }

        fn changed(&self, since: usize, client: usize) -> Vec<Oid> {
            let new = self.commits.iter().skip(since);
            let told = new.flat_map(|(by, put, others)| {
                put.keys().filter(move |oid| *by != client || others.contains(oid)).map(|oid| Oid::new(*oid))
            });
            told.collect()
        }
    }

    /// An open transaction, as the server has it.
    #[derive(Debug, Default)]
    struct Open {
        snapshot: usize,
        put: BTreeMap<u64, u8>,
        others: BTreeSet<u64>,
    }

    fn record(value: u8) -> Record {
        Record { payload: alloc::vec![value], ..Record::default() }
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            3 => prop::bool::weighted(0.9).prop_map(|told| Step::Begin { told }),
            6 => (1..5_u64).prop_map(Step::Get),
            4 => (1..5_u64, 1..255_u8).prop_map(|(oid, value)| Step::Put(oid, value)),
            1 => (1..5_u64, 1..255_u8).prop_map(|(oid, value)| Step::PutByOther(oid, value)),
            3 => Just(Step::Commit),
            1 => Just(Step::Abort),
            1 => Just(Step::RollBack),
        ]
    }

    proptest! {
        /// Whatever two clients do, what is here is what the server would answer.
        #[test]
        fn what_is_kept_is_what_the_server_has(steps in prop::collection::vec((0..2_usize, step()), 1..120)) {
            let mut graph = Graph::default();
            let mut clients = [Snapshots::new(1_000), Snapshots::new(1_000)];
            let mut open: [Option<Open>; 2] = [None, None];
            for (client, step) in steps {
                let kept = &mut clients[client];
                match (step, &mut open[client]) {
                    (Step::Begin { told }, none @ None) => {
                        let snapshot = graph.commits.len();
                        let tid = Tid::new(snapshot as u64);
                        let changed = match told {
                            true => Changed::Objects(tid, graph.changed(kept.since().number() as usize, client)),
                            false => Changed::Anything(tid),
                        };
                        kept.begin(1, changed);
                        *none = Some(Open { snapshot, ..Open::default() });
                    }
                    (Step::Get(oid), Some(open)) => {
                        let right = open.put.get(&oid).copied().unwrap_or_else(|| graph.state(open.snapshot, oid));
                        match kept.get(Oid::new(oid)) {
                            Some(found) => prop_assert_eq!(&found.payload, &[right]),
                            None if open.put.contains_key(&oid) => {}
                            None => kept.loaded(Oid::new(oid), &record(right)),
                        }
                    }
                    (Step::Put(oid, value), Some(open)) => {
                        kept.put(Oid::new(oid), &record(value));
                        open.put.insert(oid, value);
                        open.others.remove(&oid);
                    }
                    (Step::PutByOther(oid, value), Some(open)) => {
                        kept.forget();
                        open.put.insert(oid, value);
                        open.others.insert(oid);
                    }
                    (Step::RollBack, Some(open)) => {
                        kept.forget();
                        open.put.clear();
                        open.others.clear();
                    }
                    (Step::Commit, some @ Some(_)) => {
                        if let Some(Open { put, others, .. }) = some.take() {
                            kept.committed();
                            graph.commits.push((client, put, others));
                        }
                    }
                    (Step::Abort, some @ Some(_)) => {
                        *some = None;
                        kept.aborted();
                    }
                    _ => {}
                }
            }
        }
    }
}
