//! The persistence server is replaced under transactions that are open.
//!
//! A drone holds one: it has written and made objects when the server is replaced, and writes and commits when that goes on. All
//! that it did is there, or nothing is where the server has lost it; and what the drone and the driver are answered is so.
//!
//! * [`load`]: requests go on all the time, and each that was answered is there;
//! * [`strikes`]: everyone who takes part is stopped in each phase.

mod load;
mod strikes;

pub use strikes::run as strikes;

use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use abi::interfaces::persistence::ALREADY_DONE;
use abi::interfaces::process::{
    Kill, NO_SUCH_PROCESS, Progress as Journey, Replace, ReplacementSummary, Replacements, WaitReplaced,
};
use abi::kernel::{BODY_MAX, Clock};
use abi::token::{All, Cap, Notification};
use abi::{CallError, KernelError};
use clients::{Carried, Graph, GraphError, Outcome};
use object_model::{Object, Oid, Value};
use object_store::Tid;
use runtime::{Call, Environment, objects};
use spawner::Memory;

use crate::deaths::{Drone, PATIENCE, value};
use crate::driver::{Case, Failure, Test, check};
use crate::drone::{Errand, GIVEN, PAIR, PROGRESS, Progress, TRANSACTION};

/// The word of the command line that chooses these tests.
pub const WANTED: &str = "handovers";
/// What is replaced.
pub const SERVICE: &str = "persistence";

/// The slot of the notification by which a drone that holds a transaction is told to go on.
static GO: AtomicU32 = AtomicU32::new(0);
/// The object that it has made.
static MADE: AtomicU64 = AtomicU64::new(0);

/// The tests, but for the strikes.
pub const CASES: [Case; 7] = [
    ("an_open_transaction_outlives_a_replacement", Test::an_open_transaction_outlives_a_replacement),
    ("an_open_transaction_is_committed_on_trial", Test::an_open_transaction_is_committed_on_trial),
    ("a_server_that_is_killed_aborts_what_is_open", Test::a_server_that_is_killed_aborts_what_is_open),
    ("a_numbered_request_is_carried_out_once", Test::a_numbered_request_is_carried_out_once),
    ("requests_go_on_during_replacements", Test::requests_go_on_during_replacements),
    ("a_server_that_dies_on_trial_loses_nothing", Test::a_server_that_dies_on_trial_loses_nothing),
    ("replacements_leave_nothing_behind", Test::replacements_leave_nothing_behind),
];

/// The drone's part.
pub fn hold(environment: &mut Environment, graph: &mut Graph, signal: impl Fn(Progress)) {
    let go: Cap<Notification, All> = environment.need(GO.load(Ordering::Relaxed), "the signal to go on");
    match begin(graph) {
        Ok(()) => signal(Progress::Ready),
        Err(_) => return signal(Progress::Failed),
    }
    let _ = objects::wait(&go, PATIENCE);
    match go_on(graph) {
        Ok(()) => signal(Progress::Committed),
        Err(_) => signal(Progress::Failed),
    }
}

fn number(number: u64) -> Object {
    Object::new().data("value", Value::Int(number.cast_signed()))
}

fn begin(graph: &mut Graph) -> Result<(), GraphError> {
    let [given, _] = GIVEN.each_ref().map(|word| word.load(Ordering::Relaxed));
    let [first, _] = PAIR.each_ref().map(|oid| Oid::new(oid.load(Ordering::Relaxed)));
    TRANSACTION.store(graph.begin()?, Ordering::Relaxed);
    graph.put_object(first, &number(given))?;
    let made = graph.new_object()?;
    MADE.store(made.number(), Ordering::Relaxed);
    graph.put_object(made, &Object::new().data("value", Value::Bytes(alloc::vec![7; 1000])))
}

fn go_on(graph: &mut Graph) -> Result<(), GraphError> {
    let [given, _] = GIVEN.each_ref().map(|word| word.load(Ordering::Relaxed));
    let [first, second] = PAIR.each_ref().map(|oid| Oid::new(oid.load(Ordering::Relaxed)));
    // Its own changes are there, and nobody else's.
    if value(graph, first)? != given.cast_signed() {
        return Err(GraphError::Record);
    }
    graph.put_object(second, &number(given))?;
    graph.put_object(Oid::new(MADE.load(Ordering::Relaxed)), &number(given))?;
    graph.commit().map(drop)
}

/// A transaction that a drone holds.
struct Held {
    drone: Drone,
    pair: [Oid; 2],
    given: u64,
}

/// What is to become of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// It goes on, and is committed.
    Kept,
    /// It is aborted, and nothing of it is there.
    Lost,
}

impl Test {
    /// A drone begins a transaction and holds it.
    fn held(&mut self) -> Result<Held, Failure> {
        if GO.load(Ordering::Relaxed) == 0 {
            let go: Cap<Notification, All> = self.memory.make(0)?;
            let _ = self.memory.take_allocations();
            GO.store(go.raw().slot as u32, Ordering::Relaxed);
            self.go = Some(go);
        }
        let pair = self.make_pair()?;
        let given = runtime::clock(Clock::Monotonic);
        GIVEN[0].store(given, Ordering::Relaxed);
        let drone = self.hangar.launch(&mut self.memory, Errand::Hold)?;
        Ok(Held { drone, pair, given })
    }

    /// It goes on with that, and what there is afterwards is as it should be.
    fn released(&mut self, held: Held, fate: Fate) -> Result<(), Failure> {
        let Held { drone, pair, given } = held;
        let Some(go) = &self.go else { return Err(Failure::Wrong("there is no signal to go on")) };
        objects::signal(go, 1)?;
        self.hangar.wait()?;
        drone.end(&self.memory)?;
        self.hangar.forget_signals();
        let was_committed = PROGRESS.load(Ordering::Relaxed) == Progress::Committed as u32;
        let outcome = self.graph.outcome(TRANSACTION.load(Ordering::Relaxed))?;
        let made = value(&mut self.graph, Oid::new(MADE.load(Ordering::Relaxed))).ok();
        let found = [value(&mut self.graph, pair[0])?, value(&mut self.graph, pair[1])?];
        let (all, given) = (matches!(outcome, Outcome::Committed(_)), given.cast_signed());
        let is_so = match fate {
            Fate::Kept => was_committed && all && found == [given; 2] && made == Some(given),
            Fate::Lost => !was_committed && !all && found == [0; 2] && made.is_none(),
        };
        if is_so {
            return Ok(());
        }
        self.wrong("a transaction was to be", format_args!("{fate:?}, {outcome:?}: {found:?} {made:?} of {given}"))
    }

    /// Has the server replaced; answers when that has begun.
    ///
    /// # Errors
    /// The process server's.
    fn replace(&self) -> Result<(), CallError> {
        self.replace_service(SERVICE)
    }

    /// The same of another service, or of a process.
    ///
    /// # Errors
    /// The process server's.
    pub fn replace_service(&self, name: &str) -> Result<(), CallError> {
        let method = Replace { image: 0, force: 0 };
        match Call::new(&self.servers.process, method).bytes(name.as_bytes()).timeout(PATIENCE).send() {
            // It was itself that was struck.
            Ok(_) | Err(CallError::Kernel(KernelError::ServerDied, _)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// How the last replacement stands.
    fn journey(&self) -> Result<Option<Journey>, Failure> {
        let mut room = [0; BODY_MAX];
        let (_, length) = Call::new(&self.servers.process, Replacements {}).timeout(PATIENCE).into_bytes(&mut room)?;
        let all: Result<alloc::vec::Vec<ReplacementSummary<'_>>, _> =
            postcard::from_bytes(room.get(..length).unwrap_or(&[]));
        let all = all.map_err(|_| Failure::Wrong("what is told of the replacements cannot be read"))?;
        Ok(all.iter().find(|each| each.name == SERVICE).map(|each| each.progress))
    }

    /// Waits for the end of a replacement; answers how it ended.
    fn end_of_replacement(&mut self) -> Result<Journey, Failure> {
        self.end_of_replacement_of(SERVICE)
    }

    /// The same of another service, or of a process.
    ///
    /// # Errors
    /// The process server's.
    pub fn end_of_replacement_of(&mut self, name: &str) -> Result<Journey, Failure> {
        let mut room = [0; BODY_MAX];
        loop {
            let call = Call::new(&self.servers.process, WaitReplaced {}).bytes(name.as_bytes());
            match call.timeout(PATIENCE).into_bytes(&mut room) {
                Ok((_, length)) => {
                    let told: Result<ReplacementSummary<'_>, _> =
                        postcard::from_bytes(room.get(..length).unwrap_or(&[]));
                    return told.map(|told| told.progress).map_err(|_| Failure::Wrong("a summary cannot be read"));
                }
                Err(CallError::Kernel(KernelError::ServerDied, _)) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Stops the instance that serves.
    fn kill(&self) -> Result<(), CallError> {
        Call::new(&self.servers.process, Kill {}).bytes(SERVICE.as_bytes()).timeout(PATIENCE).send().map(drop)
    }

    /// Stops the instance on trial, as soon as there is one.
    fn end_trial(&mut self) -> Result<(), Failure> {
        self.until(|test| match (test.journey()?, test.kill()) {
            (Some(Journey::Trial), Ok(())) => Ok(true),
            (_, Ok(()) | Err(CallError::Server(NO_SUCH_PROCESS, _))) => Ok(false),
            (_, Err(error)) => Err(error.into()),
        })
    }

    /// What a transaction has done and made is there after a replacement, and it is committed.
    fn an_open_transaction_outlives_a_replacement(&mut self) -> Result<(), Failure> {
        let held = self.held()?;
        self.replace()?;
        let ended = self.end_of_replacement()?;
        check(ended == Journey::Confirmed, "it was not replaced")?;
        self.released(held, Fate::Kept)
    }

    /// It is committed by an instance that is on trial.
    fn an_open_transaction_is_committed_on_trial(&mut self) -> Result<(), Failure> {
        let held = self.held()?;
        self.replace()?;
        self.until(|test| Ok(test.journey()? == Some(Journey::Trial)))?;
        self.released(held, Fate::Kept)?;
        let ended = self.end_of_replacement()?;
        check(ended == Journey::Confirmed, "it was not replaced")
    }

    /// Stopped outright, it begins again without what was open, and whoever goes on with that is told.
    fn a_server_that_is_killed_aborts_what_is_open(&mut self) -> Result<(), Failure> {
        let held = self.held()?;
        self.kill()?;
        self.released(held, Fate::Lost)
    }

    /// A request that its client has numbered and sends again is not carried out again, also where the server was stopped in
    /// between, or replaced.
    fn a_numbered_request_is_carried_out_once(&mut self) -> Result<(), Failure> {
        let [oid, _] = self.make_pair()?;
        let next = match self.graph.outcome_of(1)? {
            Carried::Never => 1,
            found => return self.wrong("another client's request", format_args!("{found:?}")),
        };
        self.graph.begin()?;
        self.graph.put_object(oid, &number(1))?;
        self.graph.identify(next)?;
        let tid = self.graph.commit()?;
        self.is_known(next, tid)?;
        self.kill()?;
        self.is_known(next, tid)?;
        self.replace()?;
        check(self.end_of_replacement()? == Journey::Confirmed, "it was not replaced")?;
        self.is_known(next, tid)?;
        check(value(&mut self.graph, oid)? == 1, "it was carried out again")
    }

    /// A request is known to have been carried out, and is not taken again; the next one was not.
    fn is_known(&mut self, sequence: u64, tid: Tid) -> Result<(), Failure> {
        let outcomes = (self.graph.outcome_of(sequence)?, self.graph.outcome_of(sequence + 1)?);
        if outcomes != (Carried::Out(tid), Carried::Never) {
            return self.wrong("another outcome", format_args!("{outcomes:?}"));
        }
        self.graph.begin()?;
        let again = self.graph.identify(sequence);
        self.graph.abort()?;
        match again {
            Err(GraphError::Call(CallError::Server(ALREADY_DONE, done))) if done == tid.number() => Ok(()),
            again => self.wrong("it was taken again", format_args!("{again:?}")),
        }
    }

    /// The server has in use what it had before.
    fn replacements_leave_nothing_behind(&mut self) -> Result<(), Failure> {
        // What serves from now on was made by the process server.
        self.replace()?;
        self.end_of_replacement()?;
        let before = self.servers.figures()?;
        for _ in 0..3 {
            self.replace()?;
            let ended = self.end_of_replacement()?;
            check(ended == Journey::Confirmed, "it was not replaced")?;
        }
        let after = self.servers.figures()?;
        let capabilities = (before.store.capabilities, before.process.capabilities);
        check((after.store.capabilities, after.process.capabilities) == capabilities, "capabilities are left")?;
        check(after.store.scopes == before.store.scopes, "scopes are left, or lost")?;
        check(after.memory == before.memory, "memory is left")
    }
}
