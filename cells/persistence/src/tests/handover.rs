//! The server is replaced in the middle of everything, and instances on trial die before they have answered.

use object_store::{MappingStorage, Oid, Record, SavepointId, Store, Tid, TransactionId};
use proptest::prelude::*;
use runtime::State;

use super::kernel::{FakeKernel, FakeLeft, Fate};
use crate::handover::{Ground, Handover, Mark, Place, SCHEMA};
use crate::opening::Facts;
use crate::outcomes::Outcome;
use crate::sessions::requests::{Carried, RequestId};
use crate::sessions::{Aborted, Begun, Committed, Failure, Limits, Resumed, Sender, Sessions};

type Tested = Sessions<MappingStorage<fn() -> u64>, FakeKernel>;

const LIMITS: Limits = Limits { transactions: 3, staged_bytes: 60 };

fn sessions() -> Tested {
    let storage = MappingStorage::new((|| 0) as fn() -> u64);
    Sessions::new(Store::new(storage, 100_000), FakeKernel::default(), LIMITS)
}

fn ground(sessions: &Tested) -> Ground {
    let place = Place { slot: 1, generation: 1 };
    Ground { facts: Facts::OF_MEMORY, kept: place, own: place, next_oid: Oid::ROOT, last: sessions.last() }
}

/// What a server tells, and by which another one goes on.
struct Export(Vec<u8>);

impl Export {
    fn of(sessions: &mut Tested) -> Export {
        let (ground, mut bytes) = (ground(sessions), Vec::new());
        sessions.export(&ground, &mut bytes).expect("exported");
        Export(bytes)
    }

    fn add(&mut self, sessions: &mut Tested) {
        let ground = ground(sessions);
        sessions.export_changes(&ground, &mut self.0).expect("exported");
    }

    /// Another instance goes on by this, over what the one before has left.
    fn resume(&self, gone: Tested) -> (Tested, Resumed) {
        let handover = Handover::import(SCHEMA, &self.0).expect("imported");
        assert!(handover.is_all_of(SCHEMA, &self.0), "nothing is lost");
        let (storage, mut kernel) = gone.into_remains();
        // The server lets go of scopes that are not told of: they were made for a request that nobody answers.
        let told = handover.table.open.iter().map(|open| open.scope.slot);
        let told: Vec<u64> = told.chain(handover.table.idle.iter().map(|place| place.slot)).collect();
        let open = kernel.fates.iter().filter(|(_, fate)| **fate == Fate::Open).map(|(scope, _)| *scope);
        let strays: Vec<u64> = open.filter(|scope| !told.contains(scope)).collect();
        strays.into_iter().for_each(|scope| kernel.end(scope, Fate::Aborted));
        kernel.idle.clear();
        let store = Store::new(storage, 100_000);
        Sessions::resume(store, kernel, LIMITS, handover, &mut FakeLeft).expect("goes on")
    }
}

fn from(sessions: &Tested, thread: u64) -> Sender {
    Sender { thread, scope: sessions.scopes().scope(thread), badge: thread }
}

fn record(byte: u8, references: &[Oid]) -> Record {
    Record { payload: vec![byte], references: references.to_vec(), ..Record::default() }
}

#[derive(Clone, Debug)]
enum Step {
    Begin(u64),
    /// A server, thread 9, begins for a client.
    Join(u64),
    Put(u64, usize, u8),
    Create(u64),
    Get(u64, usize),
    Note(u64),
    Commit(u64),
    Abort(u64),
    /// The server gives a client's transaction up.
    GiveUp(u64),
    Die(u64),
    Watch(u64, usize),
    Changes(usize),
    Outcome(usize),
    ReadCurrent(u64, usize),
    Savepoint(u64),
    RollBack(u64, u64),
    Undo(u64, usize),
    Identify(u64, u64),
    OutcomeOf(u64, u64),
    Invalidations(u64, usize),
    SetUser(u64),
}

#[derive(Debug, PartialEq)]
enum Answer {
    Begun(Begun),
    Done,
    Object(Oid),
    State(Vec<u8>),
    Committed(Committed),
    Aborted(Aborted),
    Ended(Vec<TransactionId>),
    Tid(Tid),
    Changed(Tid, Vec<Oid>),
    Outcome(Outcome),
    Savepoint(SavepointId),
    Carried(Carried),
}

fn step() -> impl Strategy<Value = Step> {
    let thread = || 1..5u64;
    let number = || 0..6usize;
    prop_oneof![
        6 => thread().prop_map(Step::Begin),
        1 => thread().prop_map(Step::Join),
        6 => (thread(), number(), any::<u8>()).prop_map(|(thread, object, byte)| Step::Put(thread, object, byte)),
        3 => thread().prop_map(Step::Create),
        3 => (thread(), number()).prop_map(|(thread, object)| Step::Get(thread, object)),
        1 => thread().prop_map(Step::Note),
        5 => thread().prop_map(Step::Commit),
        2 => thread().prop_map(Step::Abort),
        1 => thread().prop_map(Step::GiveUp),
        1 => thread().prop_map(Step::Die),
        2 => (thread(), number()).prop_map(|(thread, object)| Step::Watch(thread, object)),
        2 => number().prop_map(Step::Changes),
        2 => number().prop_map(Step::Outcome),
        1 => (thread(), number()).prop_map(|(thread, object)| Step::ReadCurrent(thread, object)),
        2 => thread().prop_map(Step::Savepoint),
        2 => (thread(), 1..4u64).prop_map(|(thread, savepoint)| Step::RollBack(thread, savepoint)),
        1 => (thread(), number()).prop_map(|(thread, commit)| Step::Undo(thread, commit)),
        1 => (thread(), 1..4u64).prop_map(|(thread, sequence)| Step::Identify(thread, sequence)),
        1 => (thread(), 1..4u64).prop_map(|(thread, sequence)| Step::OutcomeOf(thread, sequence)),
        1 => (thread(), number()).prop_map(|(thread, commit)| Step::Invalidations(thread, commit)),
        1 => thread().prop_map(Step::SetUser),
    ]
}

/// What came up so far.
#[derive(Default)]
struct Known {
    objects: Vec<Oid>,
    transactions: Vec<TransactionId>,
    tids: Vec<Tid>,
}

fn apply(sessions: &mut Tested, known: &Known, step: &Step) -> Result<Answer, Failure> {
    let object = |place: usize| known.objects.get(place % known.objects.len().max(1)).copied().unwrap_or(Oid::ROOT);
    match *step {
        Step::Begin(thread) => sessions.begin(from(sessions, thread), thread).map(Answer::Begun),
        Step::Join(thread) => {
            let sender = Sender { thread: 9, ..from(sessions, thread) };
            if sender.scope == 0 { Ok(Answer::Done) } else { sessions.begin(sender, 9).map(Answer::Begun) }
        }
        Step::Put(thread, place, byte) => {
            let state = record(byte, &[object(place / 2)]);
            let bytes = state.encoded_length();
            sessions.put(from(sessions, thread), object(place), state, bytes).map(|()| Answer::Done)
        }
        Step::Create(thread) => sessions.new_object(from(sessions, thread)).map(Answer::Object),
        Step::Get(thread, place) => {
            sessions.get(from(sessions, thread), object(place)).map(|state| Answer::State(state.payload.clone()))
        }
        Step::Note(thread) => sessions.note(from(sessions, thread), "a line").map(|()| Answer::Done),
        Step::Commit(thread) => sessions.commit(from(sessions, thread)).map(Answer::Committed),
        Step::Abort(thread) => sessions.abort(from(sessions, thread)).map(Answer::Aborted),
        Step::GiveUp(thread) => sessions.abort(Sender { thread: 9, ..from(sessions, thread) }).map(Answer::Aborted),
        Step::Die(thread) => {
            sessions.scopes_mut().die(thread);
            Ok(Answer::Ended(sessions.beginner_died()))
        }
        Step::Watch(thread, place) => sessions.watch(from(sessions, thread), object(place), thread).map(Answer::Tid),
        Step::Changes(place) => {
            let since = known.tids.get(place % known.tids.len().max(1)).copied().unwrap_or(Tid::ZERO);
            sessions.changes(since, 100).map(|(upto, changed)| Answer::Changed(upto, changed))
        }
        Step::Outcome(place) => {
            let of = known.transactions.get(place % known.transactions.len().max(1));
            Ok(Answer::Outcome(of.map_or(Outcome::Unknown, |id| sessions.outcome(*id))))
        }
        Step::ReadCurrent(thread, place) => {
            sessions.read_current(from(sessions, thread), object(place)).map(|()| Answer::Done)
        }
        Step::Savepoint(thread) => sessions.savepoint(from(sessions, thread)).map(Answer::Savepoint),
        Step::RollBack(thread, savepoint) => {
            sessions.roll_back(from(sessions, thread), SavepointId::new(savepoint)).map(|()| Answer::Done)
        }
        Step::Undo(thread, place) => {
            let tid = known.tids.get(place % known.tids.len().max(1)).copied().unwrap_or(Tid::ZERO);
            sessions.undo(from(sessions, thread), tid).map(|()| Answer::Done)
        }
        Step::Identify(thread, sequence) => sessions.identify(from(sessions, thread), sequence).map(|()| Answer::Done),
        Step::OutcomeOf(thread, sequence) => Ok(Answer::Carried(sessions.outcome_of(from(sessions, thread), sequence))),
        Step::Invalidations(thread, place) => {
            let since = known.tids.get(place % known.tids.len().max(1)).copied().unwrap_or(Tid::ZERO);
            sessions
                .invalidations(from(sessions, thread), since, 100)
                .map(|(upto, changed)| Answer::Changed(upto, changed))
        }
        Step::SetUser(thread) => sessions.set_user(from(sessions, thread), "somebody").map(|()| Answer::Done),
    }
}

fn learn(known: &mut Known, answer: &Answer) {
    match answer {
        Answer::Begun(begun) => known.transactions.push(begun.transaction()),
        Answer::Object(oid) => known.objects.push(*oid),
        Answer::Committed(committed) => known.tids.push(committed.tid),
        _ => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    /// Every answer is the same, whether a server goes on or another one takes its place after each request.
    #[test]
    fn a_handover_after_any_request_changes_no_answer(steps in prop::collection::vec((step(), 0..3u8), 1..80)) {
        let (mut stays, mut goes) = (sessions(), sessions());
        let mut known = Known { objects: vec![Oid::ROOT], ..Known::default() };
        // From here on it is on trial: each request that is answered is added.
        goes.begin_trial();
        let mut export = Export::of(&mut goes);
        for (step, way) in steps {
            let expected = apply(&mut stays, &known, &step);
            prop_assert_eq!(&apply(&mut goes, &known, &step), &expected, "{:?}", step);
            if let Ok(answer) = &expected {
                learn(&mut known, answer);
            }
            if way == 0 {
                export = Export::of(&mut goes);
            } else {
                export.add(&mut goes);
            }
            if way < 2 {
                let (next, resumed) = export.resume(goes);
                prop_assert_eq!(resumed, Resumed { open: stays.open_transactions(), ..Resumed::default() });
                goes = next;
            }
            prop_assert_eq!(stays.open_transactions(), goes.open_transactions());
            prop_assert_eq!((stays.watches(), stays.commits()), (goes.watches(), goes.commits()));
            prop_assert_eq!((stays.room(), stays.objects()), (goes.room(), goes.objects()));
        }
        prop_assert_eq!(&stays.scopes().fates, &goes.scopes().fates);
        prop_assert_eq!(&stays.scopes().own, &goes.scopes().own);
    }

    /// An instance on trial dies with a request that it has not answered: that was done wholly or not at all, whatever it was.
    #[test]
    fn what_was_not_answered_is_whole_or_not_there(steps in prop::collection::vec(step(), 1..60), last in step()) {
        let mut goes = sessions();
        let mut known = Known { objects: vec![Oid::ROOT], ..Known::default() };
        goes.begin_trial();
        let mut export = Export::of(&mut goes);
        for step in &steps {
            if let Ok(answer) = apply(&mut goes, &known, step) {
                learn(&mut known, &answer);
            }
            export.add(&mut goes);
        }
        let open = goes.open_transactions();
        let answer = apply(&mut goes, &known, &last);
        let (next, resumed) = export.resume(goes);
        // Nobody is left in a transaction that the server does not have.
        prop_assert!(next.scopes().own.values().all(|scope| next.scopes().fates[scope] == Fate::Open));
        prop_assert_eq!(next.scopes().own.len(), next.open_transactions());
        match answer {
            Ok(Answer::Committed(committed)) if committed.objects > 0 => {
                prop_assert_eq!(resumed.committed, [(committed.transaction, committed.tid)]);
                prop_assert_eq!(next.outcome(committed.transaction), Outcome::Committed(committed.tid));
                prop_assert_eq!(next.open_transactions(), open - 1);
            }
            Ok(Answer::Aborted(Aborted::Ended(id))) => {
                prop_assert_eq!(resumed.aborted, [id]);
                prop_assert!(matches!(next.outcome(id), Outcome::Aborted | Outcome::Unknown));
            }
            Ok(Answer::Ended(ended)) => prop_assert_eq!(resumed.aborted, ended),
            Ok(Answer::Committed(Committed { transaction, .. })) => prop_assert_eq!(resumed.aborted, [transaction]),
            _ => prop_assert_eq!(resumed, Resumed { open, ..Resumed::default() }),
        }
    }

    /// Bytes that nobody wrote are refused, or say something like any other.
    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..300), flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4)) {
        let _ = Handover::read(&bytes);
        let mut sessions = sessions();
        sessions.begin(from(&sessions, 1), 1).expect("begins");
        sessions.put(from(&sessions, 1), Oid::ROOT, record(1, &[]), 6).expect("stored");
        sessions.watch(from(&sessions, 2), Oid::ROOT, 2).expect("watched");
        sessions.begin_trial();
        let mut export = Export::of(&mut sessions);
        sessions.commit(from(&sessions, 1)).expect("committed");
        export.add(&mut sessions);
        for (place, value) in flips {
            let place = place.index(export.0.len());
            export.0[place] ^= value;
        }
        if let Some(read) = Handover::read(&export.0) {
            let written = read.export(SCHEMA).expect("what was read can be written");
            prop_assert!(Handover::read(&written).is_some_and(|again| again.is_all_of(SCHEMA, &written)));
        }
    }
}

#[test]
fn a_mark_is_found_again_and_nothing_else_is_one() {
    let mark = Mark(TransactionId::new(77));
    assert_eq!(Mark::find(&mark.to_bytes()), Some(mark));
    for bytes in [&b""[..], b"mark", b"mark1234567", b"mark123456789", b"else12345678"] {
        assert_eq!(Mark::find(bytes), None);
        assert_eq!(Mark::without(bytes), bytes);
    }
    let request = RequestId { client: 7, sequence: 9 };
    let marked = [request.encode(), mark.to_bytes()].concat();
    assert_eq!((Mark::find(&marked), RequestId::decode(&marked)), (Some(mark), Some(request)));
}

#[test]
fn another_schema_and_another_log_are_refused() {
    let mut sessions = sessions();
    sessions.begin(from(&sessions, 1), 1).expect("begins");
    sessions.put(from(&sessions, 1), Oid::ROOT, record(1, &[]), 6).expect("stored");
    sessions.commit(from(&sessions, 1)).expect("committed");
    let export = Export::of(&mut sessions);
    assert!(Handover::import(SCHEMA + 1, &export.0).is_none());
    let handover = Handover::import(SCHEMA, &export.0).expect("imported");
    assert_eq!(handover.export(SCHEMA + 1), None);
    let (storage, kernel) = self::sessions().into_remains();
    let resumed = Sessions::resume(Store::new(storage, 0), kernel, LIMITS, handover, &mut FakeLeft);
    assert!(resumed.is_err(), "this log lacks the commit");
}

/// What an instance on trial adds before a reply goes with the request, and not with what is open.
#[test]
fn a_reply_on_trial_adds_what_its_request_changed() {
    let storage = MappingStorage::new((|| 0) as fn() -> u64);
    let limits = Limits { transactions: 8, staged_bytes: 1 << 20 };
    let mut sessions: Tested = Sessions::new(Store::new(storage, 100_000), FakeKernel::default(), limits);
    for thread in 1..5 {
        sessions.begin(from(&sessions, thread), thread).expect("begins");
        for _ in 0..50 {
            let oid = sessions.new_object(from(&sessions, thread)).expect("is made");
            let state = Record { payload: vec![7; 3000], ..Record::default() };
            sessions.put(from(&sessions, thread), oid, state, 3010).expect("stored");
        }
    }
    sessions.begin_trial();
    let whole = Export::of(&mut sessions);
    assert!(whole.0.len() > 600_000, "{} bytes", whole.0.len());
    let mut export = Export(Vec::new());
    sessions.put(from(&sessions, 2), Oid::ROOT, record(1, &[]), 6).expect("stored");
    export.add(&mut sessions);
    assert!(export.0.len() < 300, "{} bytes for a record of 6", export.0.len());
}
