//! Clients with caches over one store, in every order: what they see is always one snapshot.

use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

use proptest::prelude::*;

use super::support::{TestClock, record};
use crate::{Begun, ClientCache, Invalidated, MappingStorage, Metadata, Oid, Record, SessionId, Store, Tid};

type Subject = Store<MappingStorage<TestClock>>;

/// A client: its session, its cache, its open transaction and what it put.
struct Client {
    session: SessionId,
    cache: ClientCache,
    open: Option<Begun>,
    written: Vec<(Oid, Arc<Record>)>,
}

/// What a client does. Objects are given by number.
#[derive(Clone, Copy, Debug)]
enum Step {
    Begin,
    Read(usize),
    /// Adds one to two objects at once, so that all objects stay equal in pairs.
    Raise(usize),
    Commit,
    Abort,
    Reconnect,
    Pack,
    Undo,
}

fn step() -> impl Strategy<Value = (usize, Step)> {
    let step = prop_oneof![
        6 => Just(Step::Begin),
        8 => (0..8usize).prop_map(Step::Read),
        5 => (0..4usize).prop_map(Step::Raise),
        5 => Just(Step::Commit),
        1 => Just(Step::Abort),
        1 => Just(Step::Reconnect),
        1 => Just(Step::Pack),
        1 => Just(Step::Undo),
    ];
    (0..4usize, step)
}

impl Client {
    fn new(store: &mut Subject, budget: usize) -> Self {
        Self { session: store.open_session(), cache: ClientCache::new(budget), open: None, written: vec![] }
    }

    fn begin(&mut self, store: &mut Subject) -> Begun {
        if let Some(begun) = &self.open {
            return begun.clone();
        }
        let begun = store.begin_in(self.session, Metadata::default()).unwrap();
        self.cache.begin(&begun);
        self.open = Some(begun.clone());
        begun
    }

    fn read(&mut self, store: &mut Subject, oid: Oid) -> u8 {
        let begun = self.begin(store);
        let truth = store.get(begun.id, oid).unwrap();
        if let Some((_, own)) = self.written.iter().rev().find(|(known, _)| *known == oid) {
            return own.payload[0];
        }
        match self.cache.get(oid) {
            Some(cached) => assert_eq!(cached, truth, "a cached state is the snapshot's"),
            None => self.cache.insert(begun.snapshot, oid, truth.clone()),
        }
        truth.payload[0]
    }

    fn raise(&mut self, store: &mut Subject, pair: [Oid; 2]) {
        for oid in pair {
            let raised = record(&[self.read(store, oid).wrapping_add(1)], &[]);
            let begun = self.begin(store);
            store.put(begun.id, oid, raised.clone()).unwrap();
            self.written.push((oid, Arc::new(raised)));
        }
    }

    fn commit(&mut self, store: &mut Subject) -> Option<Tid> {
        let begun = self.open.take()?;
        let written = core::mem::take(&mut self.written);
        match store.commit_many(&[begun.id]).pop().unwrap() {
            Ok(committed) => {
                let changed = !written.is_empty();
                self.cache.committed(written, &committed.foreign);
                Some(committed.tid).filter(|_| changed)
            }
            Err(error) => {
                assert!(error.is_retryable(), "{error:?}");
                self.cache.aborted();
                store.abort(begun.id).unwrap();
                None
            }
        }
    }

    fn abort(&mut self, store: &mut Subject) {
        if let Some(begun) = self.open.take() {
            store.abort(begun.id).unwrap();
        }
        self.written.clear();
        self.cache.aborted();
    }

    fn reconnect(&mut self, store: &mut Subject) {
        store.close_session(self.session).unwrap();
        self.session = store.open_session();
        self.open = None;
        self.written.clear();
        self.cache.reset();
    }
}

fn run(steps: &[(usize, Step)], budget: usize) {
    let mut store = Store::new(MappingStorage::new(TestClock::default()), 1 << 12);
    let id = store.begin(Metadata::default()).unwrap();
    let oids: Vec<Oid> = (0..8).map(|_| store.new_oid(id).unwrap()).collect();
    store.put(id, Oid::ROOT, record(b"", &oids)).unwrap();
    for &oid in &oids {
        store.put(id, oid, record(&[0], &[])).unwrap();
    }
    store.commit(id).unwrap();
    let pair = |number: usize| [oids[2 * number], oids[2 * number + 1]];
    let mut clients: Vec<Client> = (0..4).map(|_| Client::new(&mut store, budget)).collect();
    let mut last = None;
    for &(client, step) in steps {
        let client = &mut clients[client];
        match step {
            Step::Begin => drop(client.begin(&mut store)),
            Step::Read(number) => {
                let [one, other] = pair(number / 2).map(|oid| client.read(&mut store, oid));
                assert_eq!(one, other, "both halves of a pair are of one snapshot");
            }
            Step::Raise(number) => client.raise(&mut store, pair(number)),
            Step::Commit => last = client.commit(&mut store).or(last),
            Step::Abort => client.abort(&mut store),
            Step::Reconnect => client.reconnect(&mut store),
            Step::Pack => {
                store.pack_start(Tid::MAX, crate::Garbage::Collect).unwrap();
                store.pack_step(1).unwrap();
            }
            Step::Undo => {
                client.abort(&mut store);
                if let Some(tid) = last {
                    let begun = client.begin(&mut store);
                    store.undo(begun.id, tid).unwrap();
                    // It is refused where others have changed the pair since, or a pack has passed.
                    client.open = None;
                    match store.commit_many(&[begun.id]).pop().unwrap() {
                        Ok(committed) => client.cache.committed(vec![], &committed.foreign),
                        Err(_) => {
                            store.abort(begun.id).unwrap();
                            client.cache.aborted();
                        }
                    }
                }
            }
        }
    }
    for client in &mut clients {
        client.abort(&mut store);
        for number in 0..4 {
            let [one, other] = pair(number).map(|oid| client.read(&mut store, oid));
            assert_eq!(one, other);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn r1_r2_r3_case_14_15_clients_see_one_snapshot(steps in prop::collection::vec(step(), 1..120), small: bool) {
        run(&steps, if small { 500 } else { 1 << 16 });
    }
}

fn begun(snapshot: u64, invalidated: Invalidated) -> Begun {
    Begun { id: crate::TransactionId::new(1), snapshot: Tid::new(snapshot), invalidated }
}

#[test]
fn a_late_reply_is_not_taken() {
    let mut cache = ClientCache::new(10_000);
    let state = Arc::new(record(b"1", &[]));
    cache.begin(&begun(5, Invalidated::Objects(vec![])));
    cache.insert(Tid::new(5), Oid::ROOT, state.clone());
    assert_eq!(cache.get(Oid::ROOT), Some(state.clone()));
    cache.aborted();
    assert_eq!(cache.get(Oid::ROOT), None, "there is no snapshot");
    cache.insert(Tid::new(5), Oid::new(1), state.clone());
    cache.begin(&begun(6, Invalidated::Objects(vec![Oid::ROOT])));
    cache.insert(Tid::new(5), Oid::ROOT, state);
    assert_eq!((cache.get(Oid::ROOT), cache.get(Oid::new(1))), (None, None));
}

#[test]
fn everything_goes_where_the_queue_overflowed() {
    let mut cache = ClientCache::new(10_000);
    cache.begin(&begun(5, Invalidated::Objects(vec![])));
    cache.insert(Tid::new(5), Oid::ROOT, Arc::new(record(b"1", &[])));
    cache.begin(&begun(6, Invalidated::Everything));
    assert_eq!((cache.get(Oid::ROOT), cache.bytes()), (None, 0));
}
