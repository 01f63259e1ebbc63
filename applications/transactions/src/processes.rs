//! Processes that are made in their caller's transaction.

use core::sync::atomic::Ordering;

use abi::CallError;
use abi::interfaces::persistence::{CONFLICT, MUST_ABORT};
use abi::interfaces::process::{CreateProcess, NO_SUCH_PROCESS, PLANTED, PlantFailure, Wait};
use clients::{GraphError, processes};
use object_model::{Oid, SlotKind, Value};
use runtime::Call;

use crate::child::STAY;
use crate::deaths::PATIENCE;
use crate::driver::{Failure, Test, check};
use crate::drone::{Errand, GIVEN};

/// Nanoseconds after which a caller gives up, from one try to the next: making a process takes some ten milliseconds.
const HASTE: u64 = 1_000_000;
/// How often a caller gives up.
const TRIES: u64 = 8;

impl Test {
    /// It does not run before the commit, whatever time it is given, and runs after it.
    pub fn a_commit_starts_the_process(&mut self) -> Result<(), Failure> {
        let before = self.servers.figures()?;
        let runs = self.trace()?.runs;
        self.graph.begin()?;
        let process = self.create()?;
        self.let_others_run();
        let open = self.servers.figures()?;
        check(open.last == before.last, "something was committed before the commit")?;
        check(open.process.prepared == before.process.prepared + 1, "no process was prepared")?;
        check(open.process.processes == before.process.processes, "it is listed before the commit")?;
        let early = self.wait(process);
        let unknown = early == Err(CallError::Server(NO_SUCH_PROCESS, process.number()));
        check(unknown, "its end can be waited for before the commit")?;
        let tid = self.graph.commit()?;
        let status = self.wait(process)?;
        check(status == 0, "it did not find its own object")?;
        let trace = self.trace()?;
        check(trace.last >= tid.number().cast_signed(), "it ran before the commit")?;
        check(trace.runs == runs + 1, "it did not run once")
    }

    /// Two in one transaction run both, and their memory comes back.
    pub fn a_commit_starts_all_its_processes(&mut self) -> Result<(), Failure> {
        let before = self.servers.figures()?;
        let runs = self.trace()?.runs;
        self.graph.begin()?;
        let made = [self.create()?, self.create()?];
        self.graph.commit()?;
        for process in made {
            let status = self.wait(process)?;
            check(status == 0, "it ended with another status")?;
        }
        let (after, trace) = (self.servers.figures()?, self.trace()?);
        check(trace.runs == runs + 2, "they did not run once each")?;
        check(after.memory == before.memory, "memory is left")?;
        check(after.process.capabilities == before.process.capabilities, "capabilities are left")
    }

    /// An abort leaves nothing, and the process never runs.
    pub fn an_abort_leaves_nothing(&mut self) -> Result<(), Failure> {
        let trace = self.trace()?;
        let before = self.servers.figures()?;
        self.graph.begin()?;
        let process = self.create()?;
        let prepared = self.servers.figures()?.process.prepared;
        self.graph.abort()?;
        self.same(before)?;
        check(prepared == before.process.prepared + 1, "no process was prepared")?;
        self.let_others_run();
        let after = self.trace()?;
        check(after == trace, "the process has run")?;
        check(self.graph.object(process).is_err(), "its object is there")
    }

    /// A failure at any point of CreateProcess dooms the caller's transaction, and leaves nothing.
    pub fn failures_in_a_transaction_leave_nothing(&mut self) -> Result<(), Failure> {
        let points = match Call::new(&self.servers.process, PlantFailure { point: u64::MAX }).words() {
            Err(CallError::Server(PLANTED, points)) => points,
            other => return self.wrong("no registry", format_args!("{other:?}")),
        };
        check(points > 0, "the registry is empty")?;
        for point in 0..points {
            let before = self.servers.figures()?;
            self.graph.begin()?;
            Call::new(&self.servers.process, PlantFailure { point }).words()?;
            let made = self.create();
            let planted = made == Err(GraphError::Call(CallError::Server(PLANTED, point)));
            check(planted, "the failure did not happen")?;
            let refused = self.graph.commit();
            let doomed = refused == Err(GraphError::Call(CallError::Server(MUST_ABORT, 0)));
            check(doomed, "the transaction could be committed")?;
            self.graph.abort()?;
            self.same(before)?;
        }
        Ok(())
    }

    /// A process of a transaction that conflicts with another never runs, and leaves nothing.
    pub fn a_conflict_leaves_nothing(&mut self) -> Result<(), Failure> {
        self.give_image();
        let before = self.servers.figures()?;
        let runs = self.trace()?.runs;
        self.graph.begin()?;
        self.create()?;
        // Another one enters the list of processes meanwhile.
        let drone = self.hangar.launch(&mut self.memory, Errand::Spawn)?;
        drone.end(&self.memory)?;
        let conflict = self.graph.commit();
        self.graph.abort()?;
        let conflicts = matches!(conflict, Err(GraphError::Call(CallError::Server(CONFLICT, _))));
        check(conflicts, "there was no conflict")?;
        self.let_others_run();
        let (after, trace) = (self.servers.figures()?, self.trace()?);
        check(trace.runs == runs + 1, "not the other one alone has run")?;
        check(after.memory == before.memory, "memory is left")?;
        check(after.process.prepared == before.process.prepared, "a process is left")?;
        check(after.process.capabilities == before.process.capabilities, "capabilities are left")
    }

    /// A process whose object its creator changed, in the same transaction, to one that has ended.
    pub fn a_process_committed_as_ended_never_runs(&mut self) -> Result<(), Failure> {
        let before = self.servers.figures()?;
        let trace = self.trace()?;
        self.graph.begin()?;
        let process = self.create()?;
        self.write(process, "state", Value::text("failed"))?;
        self.graph.commit()?;
        self.let_others_run();
        let (after, left) = (self.servers.figures()?, self.trace()?);
        check(left == trace, "it has run")?;
        check(after.memory == before.memory, "memory is left")?;
        check(after.process == before.process, "something of it is left in the process server")
    }

    /// A caller that gives up waiting for its process, and aborts: the process is not there.
    pub fn giving_up_and_aborting_leaves_nothing(&mut self) -> Result<(), Failure> {
        let before = self.servers.figures()?;
        let trace = self.trace()?;
        let mut gave_up = 0;
        for number in 1..=TRIES {
            self.graph.begin()?;
            gave_up += u32::from(self.create_within(number * HASTE).is_err());
            self.graph.abort()?;
            self.same(before)?;
        }
        self.let_others_run();
        let after = self.trace()?;
        check(after == trace, "a process has run")?;
        check(gave_up > 0, "nobody gave up")
    }

    /// The same where the caller commits: a process that was made whole runs, and of others no memory is left.
    pub fn giving_up_and_committing_starts_what_was_made(&mut self) -> Result<(), Failure> {
        let before = self.servers.figures()?;
        let runs = self.trace()?.runs;
        let mut gave_up = 0;
        for number in 1..=TRIES {
            self.graph.begin()?;
            gave_up += u32::from(self.create_within(number * HASTE).is_err());
            self.graph.commit()?;
        }
        let made = i64::from(self.servers.figures()?.process.processes - before.process.processes);
        self.until(|test| Ok(test.trace()?.runs == runs + made && test.servers.figures()?.memory == before.memory))?;
        let after = self.servers.figures()?;
        check(after.process.prepared == before.process.prepared, "a process is left")?;
        check(after.process.capabilities == before.process.capabilities, "capabilities are left")?;
        check(gave_up > 0, "nobody gave up")
    }

    /// What is written into a Process object is what happens: stopped, run again.
    pub fn the_graph_stops_and_starts_processes(&mut self) -> Result<(), Failure> {
        let before = self.servers.figures()?;
        let runs = self.trace()?.runs;
        self.graph.begin()?;
        let process = self.create()?;
        self.write(process, STAY, Value::Bool(true))?;
        self.graph.commit()?;
        self.until(|test| Ok(test.trace()?.runs == runs + 1))?;
        self.graph.begin()?;
        self.write(process, STAY, Value::Bool(false))?;
        self.write(process, "state", Value::text("failed"))?;
        self.graph.commit()?;
        let status = self.wait(process)?;
        check(status == u64::MAX, "it was not stopped")?;
        let stopped = self.servers.figures()?;
        check(stopped.memory == before.memory, "memory is left")?;
        self.graph.begin()?;
        self.write(process, "state", Value::text("running"))?;
        self.graph.commit()?;
        let status = self.wait(process)?;
        let trace = self.trace()?;
        check(status == 0 && trace.runs == runs + 2, "it was not run again")
    }

    /// Waits until a process has ended.
    fn wait(&self, process: Oid) -> Result<u64, CallError> {
        let method = Wait { process: process.number() };
        Call::new(&self.servers.process, method).timeout(PATIENCE).send().map(|answered| answered.value)
    }

    /// Makes a process in the open transaction.
    fn create(&self) -> Result<Oid, GraphError> {
        Ok(processes::create(&self.servers.process, self.image, self.list)?)
    }

    fn create_within(&self, timeout: u64) -> Result<u64, CallError> {
        let method = CreateProcess { image: self.image.number(), capabilities: self.list.number() };
        Call::new(&self.servers.process, method).timeout(timeout).send().map(|answered| answered.value)
    }

    /// Lets drones know of what to make processes.
    pub(crate) fn give_image(&self) {
        for (place, oid) in GIVEN.iter().zip([self.image, self.list]) {
            place.store(oid.number(), Ordering::Relaxed);
        }
    }

    fn write(&mut self, oid: Oid, slot: &str, value: Value) -> Result<(), GraphError> {
        let mut object = self.graph.object(oid)?;
        object.set(slot, SlotKind::Data, value);
        self.graph.put_object(oid, &object)
    }
}
