//! A store that another one takes the place of, in the middle of everything: nobody notices.

use alloc::vec;
use alloc::vec::Vec;

use proptest::prelude::*;

use super::support::{Counters, TestClock, record};
use crate::{
    BadHandover, Begun, Committed, Load, MappingStorage, Metadata, NoRules, Oid, Record, SavepointId, SessionId,
    Storage, Store, StoreError, Tid, TransactionId, Volatile,
};

type Subject = Store<MappingStorage<TestClock>>;

/// What clients do. Transactions, sessions, objects, savepoints and commits are given by the place at which they came up.
#[derive(Clone, Debug)]
enum Step {
    Begin,
    OpenSession,
    CloseSession(usize),
    BeginIn(usize),
    View(usize),
    Put(usize, usize, u8),
    Create(usize),
    Get(usize, usize),
    ReadCurrent(usize, usize),
    Note(usize),
    Undo(usize, usize),
    Savepoint(usize),
    RollBack(usize, usize),
    Doom(usize),
    Commit(usize),
    Abort(usize),
}

/// How the second store is replaced after a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// It goes on.
    Stays,
    /// It is written whole.
    Whole,
    /// What has happened since the last time is written behind what was written then.
    Since,
}

fn step() -> impl Strategy<Value = Step> {
    let any = || 0..6usize;
    prop_oneof![
        4 => Just(Step::Begin),
        1 => Just(Step::OpenSession),
        1 => any().prop_map(Step::CloseSession),
        2 => any().prop_map(Step::BeginIn),
        1 => any().prop_map(Step::View),
        8 => (any(), any(), 0..200u8).prop_map(|(open, object, value)| Step::Put(open, object, value)),
        2 => any().prop_map(Step::Create),
        3 => (any(), any()).prop_map(|(open, object)| Step::Get(open, object)),
        2 => (any(), any()).prop_map(|(open, object)| Step::ReadCurrent(open, object)),
        1 => any().prop_map(Step::Note),
        1 => (any(), any()).prop_map(|(open, commit)| Step::Undo(open, commit)),
        2 => any().prop_map(Step::Savepoint),
        2 => (any(), any()).prop_map(|(open, savepoint)| Step::RollBack(open, savepoint)),
        1 => any().prop_map(Step::Doom),
        4 => any().prop_map(Step::Commit),
        2 => any().prop_map(Step::Abort),
    ]
}

fn way() -> impl Strategy<Value = Way> {
    prop_oneof![2 => Just(Way::Stays), 2 => Just(Way::Whole), 5 => Just(Way::Since)]
}

/// What has come up so far.
struct Known {
    open: Vec<TransactionId>,
    sessions: Vec<SessionId>,
    objects: Vec<Oid>,
    savepoints: Vec<SavepointId>,
    commits: Vec<Tid>,
}

impl Known {
    fn new() -> Self {
        Self { open: vec![], sessions: vec![], objects: vec![Oid::ROOT], savepoints: vec![], commits: vec![] }
    }
}

/// What a step answered.
#[derive(Debug, PartialEq)]
enum Answer {
    Done,
    Transaction(TransactionId),
    Begun(Begun),
    Session(SessionId),
    Object(Oid),
    Savepoint(SavepointId),
    State(Record),
    Committed(Committed),
}

fn pick<T: Copy>(of: &[T], place: usize) -> Option<T> {
    of.get(place % of.len().max(1)).copied()
}

/// Does a step, if what it needs has come up.
fn apply(store: &mut Subject, known: &Known, step: &Step) -> Option<Result<Answer, StoreError>> {
    let open = |place: usize| pick(&known.open, place);
    let object = |place: usize| pick(&known.objects, place);
    Some(match *step {
        Step::Begin => store.begin(Metadata::new("somebody", "")).map(Answer::Transaction),
        Step::OpenSession => Ok(Answer::Session(store.open_session())),
        Step::CloseSession(of) => store.close_session(pick(&known.sessions, of)?).map(|()| Answer::Done),
        Step::BeginIn(of) => store.begin_in(pick(&known.sessions, of)?, Metadata::default()).map(Answer::Begun),
        Step::View(of) => store.view_at(pick(&known.commits, of)?).map(Answer::Transaction),
        Step::Put(of, what, value) => {
            store.put(open(of)?, object(what)?, record(&[value], &[Oid::ROOT])).map(|()| Answer::Done)
        }
        Step::Create(of) => store.new_oid(open(of)?).map(Answer::Object),
        Step::Get(of, what) => store.get(open(of)?, object(what)?).map(|state| Answer::State(Record::clone(&state))),
        Step::ReadCurrent(of, what) => store.read_current(open(of)?, object(what)?).map(|()| Answer::Done),
        Step::Note(of) => store.note(open(of)?, "a line").map(|()| Answer::Done),
        Step::Undo(of, which) => store.undo(open(of)?, pick(&known.commits, which)?).map(|()| Answer::Done),
        Step::Savepoint(of) => store.savepoint(open(of)?).map(Answer::Savepoint),
        Step::RollBack(of, which) => store.roll_back(open(of)?, pick(&known.savepoints, which)?).map(|()| Answer::Done),
        Step::Doom(of) => store.doom(open(of)?).map(|()| Answer::Done),
        Step::Commit(of) => store.commit_many(&[open(of)?]).pop()?.map(Answer::Committed),
        Step::Abort(of) => store.abort(open(of)?).map(|()| Answer::Done),
    })
}

fn learn(known: &mut Known, answer: &Answer) {
    match answer {
        Answer::Transaction(id) => known.open.push(*id),
        Answer::Begun(begun) => known.open.push(begun.id),
        Answer::Session(session) => known.sessions.push(*session),
        Answer::Object(oid) => known.objects.push(*oid),
        Answer::Savepoint(savepoint) if !known.savepoints.contains(savepoint) => known.savepoints.push(*savepoint),
        Answer::Committed(committed) => known.commits.push(committed.tid),
        _ => {}
    }
}

fn new_store() -> Subject {
    Store::new(MappingStorage::new(TestClock::default()), 10_000).with_rules(alloc::boxed::Box::new(Counters))
}

/// What is told of a store, and the store that goes on by that.
struct Relay {
    told: Vec<u8>,
    /// Bytes of the whole at the start of it.
    whole: usize,
}

impl Relay {
    fn new(store: &mut Subject) -> Self {
        let mut relay = Self { told: vec![], whole: 0 };
        relay.tell_whole(store);
        relay
    }

    fn tell_whole(&mut self, store: &mut Subject) {
        self.told.clear();
        store.record();
        store.export(&mut self.told).unwrap();
        self.whole = self.told.len();
    }

    /// Another store goes on by what was told.
    fn hand_over(&mut self, mut store: Subject, way: Way) -> Subject {
        match way {
            Way::Stays => return store,
            Way::Whole => self.tell_whole(&mut store),
            Way::Since => store.export_changes(&mut self.told).unwrap(),
        }
        let mut expected = vec![];
        let (mut volatile, mut rest) = Volatile::import(&self.told).unwrap();
        assert_eq!(self.told.len() - rest.len(), self.whole);
        while !rest.is_empty() {
            rest = volatile.repeat(rest).unwrap();
        }
        let mut again = vec![];
        volatile.export(&mut again).unwrap();
        store.export(&mut expected).unwrap();
        assert_eq!(again, expected, "what is told is what there is");
        let mut next = Store::new(store.into_storage(), 10_000).with_rules(alloc::boxed::Box::new(Counters));
        next.resume(volatile).unwrap();
        next.record();
        // What is told from now on comes behind what was told before.
        next
    }
}

/// All that a storage has.
fn contents(storage: &mut MappingStorage<TestClock>, objects: &[Oid]) -> Vec<(Tid, Vec<Load>)> {
    let mut all = vec![];
    let mut before = Tid::MAX;
    while let Some(info) = storage.transaction_before(before).unwrap() {
        let states = objects.iter().map(|&oid| storage.load_before(oid, info.tid.after()).unwrap());
        all.push((info.tid, states.collect()));
        before = info.tid;
    }
    all
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    /// Every answer is the same, whether a store goes on or is replaced after each step by what it told.
    #[test]
    fn a_handover_at_any_step_changes_no_answer(steps in prop::collection::vec((step(), way()), 1..80)) {
        let (mut stays, mut goes) = (new_store(), new_store());
        let mut relay = Relay::new(&mut goes);
        let mut known = Known::new();
        for (step, way) in steps {
            let expected = apply(&mut stays, &known, &step);
            let found = apply(&mut goes, &known, &step);
            prop_assert_eq!(&found, &expected, "{:?}", step);
            if let Some(Ok(answer)) = &expected {
                learn(&mut known, answer);
            }
            goes = relay.hand_over(goes, way);
        }
        for &id in &known.open {
            prop_assert_eq!(stays.failure(id), goes.failure(id));
            prop_assert!(stays.puts(id).eq(goes.puts(id)) && stays.creations(id).eq(goes.creations(id)));
        }
        let (mut stays, mut goes) = (stays.into_storage(), goes.into_storage());
        prop_assert_eq!(contents(&mut stays, &known.objects), contents(&mut goes, &known.objects));
    }

    /// Bytes that nobody wrote are refused, or are a state like any other.
    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200), flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4)) {
        let _ = Volatile::import(&bytes);
        let mut store = new_store();
        let id = store.begin(Metadata::new("a", "b")).unwrap();
        store.put(id, Oid::ROOT, record(b"state", &[Oid::ROOT])).unwrap();
        store.savepoint(id).unwrap();
        let mut told = vec![];
        store.record();
        store.export(&mut told).unwrap();
        store.put(id, Oid::ROOT, record(b"other", &[])).unwrap();
        let whole = told.len();
        store.export_changes(&mut told).unwrap();
        for (place, value) in flips {
            let place = place.index(told.len());
            told[place] ^= value;
        }
        if let Ok((mut volatile, _)) = Volatile::import(&told) {
            let _ = volatile.repeat(&told[whole..]);
            let _ = new_store().resume(volatile);
        }
    }
}

/// What is told of one change goes with the change, however much the transaction holds.
#[test]
fn a_change_costs_what_it_is() {
    let mut store = new_store();
    let id = store.begin(Metadata::default()).unwrap();
    store.put(id, Oid::ROOT, record(&[0; 100], &[])).unwrap();
    for _ in 0..1000 {
        let oid = store.new_oid(id).unwrap();
        store.put(id, oid, record(&[7; 1000], &[])).unwrap();
    }
    store.record();
    let mut whole = vec![];
    store.export(&mut whole).unwrap();
    assert!(whole.len() > 1_000_000);
    store.put(id, Oid::ROOT, record(&[1; 100], &[])).unwrap();
    let mut since = vec![];
    store.export_changes(&mut since).unwrap();
    assert!((100..200).contains(&since.len()), "{} bytes", since.len());
    since.clear();
    store.export_changes(&mut since).unwrap();
    assert!(since.len() < 8, "nothing was done");
}

/// A storage that lacks what transactions have seen is not theirs.
#[test]
fn a_handover_belongs_to_its_storage() {
    let mut store = new_store();
    store.run(1, &Metadata::default(), |store, id| store.put(id, Oid::ROOT, record(b"root", &[]))).unwrap();
    store.begin(Metadata::default()).unwrap();
    let mut told = vec![];
    store.export(&mut told).unwrap();
    let (volatile, rest) = Volatile::import(&told).unwrap();
    assert_eq!((volatile.open_transactions(), rest), (1, &[][..]));
    assert_eq!(Store::new(MappingStorage::new(TestClock::default()), 0).resume(volatile), Err(BadHandover));
    let (volatile, _) = Volatile::import(&told).unwrap();
    let mut next = Store::new(store.into_storage(), 0).with_rules(alloc::boxed::Box::new(NoRules));
    assert_eq!(next.resume(volatile), Ok(()));
    let (volatile, _) = Volatile::import(&told).unwrap();
    assert_eq!(next.resume(volatile), Err(BadHandover), "something is open");
}
