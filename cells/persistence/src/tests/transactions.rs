//! Random interleavings of threads and scopes against a model: no change is lost, and none lands in another's transaction.

use std::collections::{BTreeMap, BTreeSet};

use object_store::{MappingStorage, Oid, Record, Store, StoreError, TransactionId};
use proptest::prelude::*;

use super::kernel::{FakeKernel, Fate};
use crate::outcomes::Outcome;
use crate::sessions::{Aborted, Begun, Failure, Limits, Sender, Sessions};

const THREADS: u64 = 5;
const OBJECTS: usize = 6;
const LIMITS: Limits = Limits { transactions: 4, staged_bytes: usize::MAX };

#[derive(Clone, Copy, Debug)]
enum Step {
    Begin,
    Commit,
    Abort,
    New,
    Put(usize),
    Get(usize),
    /// The thread dies, and another one takes its place.
    Die,
    /// The kernel signals that a beginner died.
    Signal,
}

/// A step of `thread`, with the scope that it begun itself or the one of `carried`, or of a transaction that has ended.
#[derive(Clone, Copy, Debug)]
struct Action {
    thread: u64,
    carried: Option<u64>,
    stale: bool,
    step: Step,
}

fn action() -> impl Strategy<Value = Action> {
    let step = prop_oneof![
        4 => Just(Step::Begin),
        3 => Just(Step::Commit),
        1 => Just(Step::Abort),
        3 => Just(Step::New),
        8 => (0..OBJECTS).prop_map(Step::Put),
        8 => (0..OBJECTS).prop_map(Step::Get),
        1 => Just(Step::Die),
        2 => Just(Step::Signal),
    ];
    let carried = prop_oneof![3 => Just(None), 1 => (0..THREADS).prop_map(Some)];
    let stale = prop_oneof![30 => Just(false), 1 => Just(true)];
    (0..THREADS, carried, stale, step).prop_map(|(thread, carried, stale, step)| Action {
        thread,
        carried,
        stale,
        step,
    })
}

/// A transaction of the model.
#[derive(Clone, Debug)]
struct Modelled {
    id: u64,
    beginner: u64,
    /// What its snapshot holds, with the commit that wrote it.
    snapshot: BTreeMap<Oid, (u64, u64)>,
    writes: BTreeMap<Oid, u64>,
    created: BTreeSet<Oid>,
    doomed: bool,
    failed: bool,
    orphaned: bool,
}

#[derive(Debug, Default)]
struct Model {
    committed: BTreeMap<Oid, (u64, u64)>,
    commits: u64,
    open: BTreeMap<u64, Modelled>,
    /// Whether each transaction that ended was committed.
    ended: BTreeMap<u64, bool>,
}

fn value(record: &Record) -> u64 {
    u64::from_le_bytes(record.payload.as_slice().try_into().expect("eight bytes"))
}

struct Run {
    sessions: Sessions<MappingStorage<fn() -> u64>, FakeKernel>,
    model: Model,
    objects: Vec<Oid>,
    next: u64,
    /// The thread that stands for each of the [`THREADS`]: no kernel uses a number twice.
    threads: [u64; THREADS as usize],
}

impl Run {
    fn new() -> Self {
        let storage = MappingStorage::new((|| 0) as fn() -> u64);
        Run {
            sessions: Sessions::new(Store::new(storage, 10_000), FakeKernel::default(), LIMITS),
            model: Model::default(),
            objects: vec![Oid::ROOT],
            next: 1,
            threads: core::array::from_fn(|index| index as u64),
        }
    }

    fn thread(&self, index: u64) -> u64 {
        self.threads[index as usize]
    }

    fn object(&self, index: usize) -> Oid {
        // The last ones are the most contended.
        self.objects[self.objects.len().saturating_sub(1 + index % self.objects.len())]
    }

    fn take(&mut self, action: Action) -> Result<(), TestCaseError> {
        let thread = self.thread(action.thread);
        let own = self.sessions.scopes().scope(thread);
        let scope = match action.carried {
            _ if action.stale => 1,
            Some(other) => self.sessions.scopes().scope(self.thread(other)),
            None => own,
        };
        let sender = Sender { thread, scope, badge: 0 };
        match action.step {
            Step::Begin => self.begin(sender, own),
            Step::Commit => self.commit(sender),
            Step::Abort => self.abort(sender),
            Step::New => self.create(sender),
            Step::Put(index) => self.put(sender, self.object(index)),
            Step::Get(index) => self.get(sender, self.object(index)),
            Step::Die => self.die(action.thread),
            Step::Signal => self.signal(),
        }
    }

    fn begin(&mut self, sender: Sender, own: u64) -> Result<(), TestCaseError> {
        let begun = self.sessions.begin(sender, sender.thread);
        match (self.model.open.get(&sender.scope), sender.scope) {
            (Some(open), _) => prop_assert!(matches!(begun, Ok(Begun::Joined(id)) if id.number() == open.id)),
            (None, scope) if scope != 0 => prop_assert_eq!(begun, Err(Failure::NoTransaction)),
            (None, _) if self.model.open.len() >= LIMITS.transactions => {
                prop_assert_eq!(begun, Err(Failure::TooManyTransactions(LIMITS.transactions)));
            }
            // A request without a scope from a thread that has one: no kernel delivers that, and it must do no harm.
            (None, _) if own != 0 => prop_assert!(matches!(begun, Err(Failure::Scope(_)))),
            (None, _) => {
                let Ok(Begun::New(id)) = begun else { return Err(TestCaseError::fail(format!("{begun:?}"))) };
                let scope = self.sessions.scopes().scope(sender.thread);
                let open = Modelled {
                    id: id.number(),
                    beginner: sender.thread,
                    snapshot: self.model.committed.clone(),
                    writes: BTreeMap::new(),
                    created: BTreeSet::new(),
                    doomed: false,
                    failed: false,
                    orphaned: false,
                };
                prop_assert!(self.model.open.insert(scope, open).is_none());
            }
        }
        Ok(())
    }

    fn commit(&mut self, sender: Sender) -> Result<(), TestCaseError> {
        let done = self.sessions.commit(sender);
        let Some(open) = self.model.open.get_mut(&sender.scope) else {
            prop_assert_eq!(done, Err(Failure::NoTransaction));
            return Ok(());
        };
        if open.beginner != sender.thread {
            prop_assert_eq!(done, Err(Failure::NotTheBeginner));
        } else if open.doomed {
            prop_assert_eq!(done, Err(Failure::Doomed));
        } else if open.failed {
            prop_assert!(matches!(done, Err(Failure::Store(StoreError::Failed(_)))));
        } else if let Some(oid) = open.writes.keys().find(|oid| {
            open.snapshot.get(oid).map(|(_, commit)| commit) != self.model.committed.get(oid).map(|(_, commit)| commit)
        }) {
            open.failed = true;
            let named = matches!(done, Err(Failure::Store(StoreError::Conflict { oid: found, .. })) if found == *oid);
            prop_assert!(named, "{:?}", done);
        } else {
            let done = done.map_err(|failure| TestCaseError::fail(format!("{failure:?}")))?;
            prop_assert_eq!(done.transaction.number(), open.id);
            prop_assert_eq!(done.objects, open.writes.len());
            self.model.commits += 1;
            let commit = self.model.commits;
            let Some(open) = self.model.open.remove(&sender.scope) else { return Ok(()) };
            self.model.ended.insert(open.id, true);
            self.model.committed.extend(open.writes.into_iter().map(|(oid, value)| (oid, (value, commit))));
            prop_assert_eq!(self.sessions.objects(), self.model.committed.len() as u64);
            prop_assert_eq!(self.sessions.scopes().fates[&sender.scope], Fate::Settled);
        }
        Ok(())
    }

    fn abort(&mut self, sender: Sender) -> Result<(), TestCaseError> {
        let done = self.sessions.abort(sender);
        match self.model.open.get_mut(&sender.scope) {
            None => prop_assert_eq!(done, Err(Failure::NoTransaction)),
            Some(open) if open.beginner != sender.thread => {
                open.doomed = true;
                prop_assert!(matches!(done, Ok(Aborted::Doomed(id)) if id.number() == open.id));
            }
            Some(open) => {
                prop_assert!(matches!(done, Ok(Aborted::Ended(id)) if id.number() == open.id));
                self.model.ended.insert(open.id, false);
                self.model.open.remove(&sender.scope);
                prop_assert_eq!(self.sessions.scopes().fates[&sender.scope], Fate::Aborted);
            }
        }
        Ok(())
    }

    fn create(&mut self, sender: Sender) -> Result<(), TestCaseError> {
        let made = self.sessions.new_object(sender);
        match self.model.open.get_mut(&sender.scope) {
            None => prop_assert_eq!(made, Err(Failure::NoTransaction)),
            Some(open) if open.doomed => prop_assert_eq!(made, Err(Failure::Doomed)),
            Some(open) if open.failed => prop_assert!(matches!(made, Err(Failure::Store(StoreError::Failed(_))))),
            Some(open) => {
                let oid = made.map_err(|failure| TestCaseError::fail(format!("{failure:?}")))?;
                prop_assert!(!self.objects.contains(&oid), "{:?} was issued twice", oid);
                open.created.insert(oid);
                self.objects.push(oid);
            }
        }
        Ok(())
    }

    fn put(&mut self, sender: Sender, oid: Oid) -> Result<(), TestCaseError> {
        let value = self.next;
        self.next += 1;
        let record = Record { payload: value.to_le_bytes().to_vec(), ..Record::default() };
        let stored = self.sessions.put(sender, oid, record, 13);
        match self.model.open.get_mut(&sender.scope) {
            None => prop_assert_eq!(stored, Err(Failure::NoTransaction)),
            Some(open) if open.doomed => prop_assert_eq!(stored, Err(Failure::Doomed)),
            Some(open) if open.failed => prop_assert!(matches!(stored, Err(Failure::Store(StoreError::Failed(_))))),
            Some(open) => {
                let may = oid == Oid::ROOT || open.created.contains(&oid) || open.snapshot.contains_key(&oid);
                prop_assert_eq!(stored.is_ok(), may, "{:?}", stored);
                if may {
                    open.writes.insert(oid, value);
                }
            }
        }
        Ok(())
    }

    fn get(&mut self, sender: Sender, oid: Oid) -> Result<(), TestCaseError> {
        let found = self.sessions.get(sender, oid).map(|record| value(&record));
        let expected = match self.model.open.get(&sender.scope) {
            None if sender.scope != 0 => {
                prop_assert_eq!(found, Err(Failure::NoTransaction));
                return Ok(());
            }
            None => self.model.committed.get(&oid).map(|(value, _)| *value),
            Some(open) if open.failed => {
                prop_assert!(matches!(found, Err(Failure::Store(StoreError::Failed(_)))));
                return Ok(());
            }
            Some(open) => {
                let seen = open.snapshot.get(&oid).map(|(value, _)| *value);
                open.writes.get(&oid).copied().or(seen)
            }
        };
        prop_assert_eq!(found.ok(), expected);
        Ok(())
    }

    /// The thread is gone for good: what it had begun waits for the server.
    fn die(&mut self, index: u64) -> Result<(), TestCaseError> {
        let thread = self.thread(index);
        self.sessions.scopes_mut().die(thread);
        if let Some(open) = self.model.open.values_mut().find(|open| open.beginner == thread) {
            open.orphaned = true;
        }
        self.threads[index as usize] += THREADS;
        Ok(())
    }

    /// Just those without a beginner are given up, here and in the kernel.
    fn signal(&mut self) -> Result<(), TestCaseError> {
        let given_up: BTreeSet<u64> = self.sessions.beginner_died().into_iter().map(|id| id.number()).collect();
        let orphaned: Vec<(u64, u64)> =
            self.model.open.iter().filter(|(_, open)| open.orphaned).map(|(scope, open)| (*scope, open.id)).collect();
        prop_assert_eq!(given_up, orphaned.iter().map(|(_, id)| *id).collect::<BTreeSet<u64>>());
        for (scope, id) in orphaned {
            prop_assert_eq!(self.sessions.scopes().fates[&scope], Fate::Aborted);
            self.model.open.remove(&scope);
            self.model.ended.insert(id, false);
        }
        Ok(())
    }

    fn check(&mut self) -> Result<(), TestCaseError> {
        prop_assert_eq!(self.sessions.open_transactions(), self.model.open.len());
        for (scope, fate) in &self.sessions.scopes().fates {
            prop_assert_eq!(*fate == Fate::Open, self.model.open.contains_key(scope), "scope {}", scope);
        }
        for open in self.model.open.values() {
            prop_assert_eq!(self.sessions.outcome(TransactionId::new(open.id)), Outcome::Open);
        }
        for (id, committed) in &self.model.ended {
            let outcome = self.sessions.outcome(TransactionId::new(*id));
            prop_assert_eq!(matches!(outcome, Outcome::Committed(_)), *committed, "{:?}", outcome);
            prop_assert_eq!(outcome == Outcome::Aborted, !*committed, "{:?}", outcome);
        }
        let nobody = Sender { thread: u64::MAX, scope: 0, badge: 0 };
        for oid in self.objects.clone() {
            self.get(nobody, oid)?;
        }
        Ok(())
    }
}

proptest! {
    #[test]
    fn interleavings_neither_lose_nor_mix_transactions(actions in prop::collection::vec(action(), 1..120)) {
        let mut run = Run::new();
        for action in actions {
            run.take(action)?;
        }
        run.check()?;
    }
}
