//! What the death of a beginner leaves.

use core::sync::atomic::Ordering;

use abi::token::{All, CNode, Cap, Frame, Notification, Tcb, VSpace};
use clients::{Allocation, Graph, GraphError, MemoryServer, NoMemory, Outcome};
use object_model::{Object, Oid, Value};
use runtime::objects::{self, ThreadParts};
use runtime::sleep;
use spawner::Memory;

use crate::driver::{Failure, Test, check};
use crate::drone::{Errand, GIVEN, PAIR, PROGRESS, Progress, READY, TRANSACTION};

/// How often a beginner dies.
const DEATHS: u32 = 1000;
/// How often a beginner dies around its commit.
const RACES: u64 = 40;
/// Nanoseconds that the driver waits longer from one race to the next: a twentieth of what a commit takes or so.
const STEP: u64 = 150_000;
/// Bytes of a drone's stack, as a power of two.
pub const STACK_BITS: u8 = 16;
/// Bytes of the frame that a thread has to have as a heap, and that a further thread of a cell has no use for.
pub const HEAP_BITS: u8 = 12;
/// Nanoseconds in which a drone has to signal, and a process to end.
pub const PATIENCE: u64 = 60_000_000_000;

/// What drones are made of: each has a thread object of its own and, since there is one at a time, the rest in common.
#[derive(Debug)]
pub struct Hangar {
    cnode: Cap<CNode, All>,
    vspace: Cap<VSpace, All>,
    stack: Cap<Frame, All>,
    heap: Cap<Frame, All>,
    ready: Cap<Notification, All>,
}

/// A drone in flight.
#[must_use = "a drone holds a transaction open until it is ended"]
#[derive(Debug)]
pub struct Drone {
    memory: Allocation,
}

impl Hangar {
    /// With memory of its own.
    ///
    /// # Errors
    /// There is none.
    pub fn new(memory: &mut MemoryServer, cnode: Cap<CNode, All>, vspace: Cap<VSpace, All>) -> Result<Self, NoMemory> {
        let hangar = Hangar {
            cnode,
            vspace,
            stack: memory.make(STACK_BITS)?,
            heap: memory.make(HEAP_BITS)?,
            ready: memory.make(0)?,
        };
        READY.store(hangar.ready.raw().slot as u32, Ordering::Relaxed);
        Ok(hangar)
    }

    /// What every thread of the cell has.
    pub fn home(&self) -> (&Cap<CNode, All>, &Cap<VSpace, All>) {
        (&self.cnode, &self.vspace)
    }

    /// Starts a drone, and waits until it signals.
    ///
    /// # Errors
    /// There is no memory; it failed, or does not signal.
    pub fn launch(&self, memory: &mut MemoryServer, errand: Errand) -> Result<Drone, Failure> {
        PROGRESS.store(Progress::Nowhere as u32, Ordering::Relaxed);
        let _ = memory.take_allocations();
        let thread: Cap<Tcb, All> = memory.make(0)?;
        let Some(allocation) = memory.take_newest() else { return Err(Failure::Wrong("the thread has no memory")) };
        let Hangar { cnode, vspace, stack, heap, .. } = self;
        let parts = ThreadParts { cnode, vspace, stack, heap, argument: errand.argument() };
        objects::configure(&thread, &parts)?;
        objects::start_thread(&thread)?;
        self.wait()?;
        match PROGRESS.load(Ordering::Relaxed) {
            progress if progress == Progress::Failed as u32 => Err(Failure::Wrong("a drone failed on its errand")),
            _ => Ok(Drone { memory: allocation }),
        }
    }

    /// Waits until a drone signals.
    ///
    /// # Errors
    /// It does not.
    pub fn wait(&self) -> Result<(), Failure> {
        objects::wait(&self.ready, PATIENCE)?;
        Ok(())
    }

    /// Forgets what a drone signalled since it was launched.
    pub fn forget_signals(&self) {
        let _ = objects::wait(&self.ready, 0);
    }
}

impl Drone {
    /// Ends it where it is, by taking its memory.
    ///
    /// # Errors
    /// The memory server's.
    pub fn end(self, memory: &MemoryServer) -> Result<(), Failure> {
        Ok(memory.free(self.memory)?)
    }
}

impl Test {
    /// Begin and die, a thousand times: the servers have in use what they had before.
    pub fn deaths_leave_nothing(&mut self) -> Result<(), Failure> {
        // What grows once and for all has grown after the first ones.
        for _ in 0..3 {
            self.hangar.launch(&mut self.memory, Errand::Begin)?.end(&self.memory)?;
        }
        let before = self.servers.figures()?;
        for _ in 0..DEATHS {
            self.hangar.launch(&mut self.memory, Errand::Begin)?.end(&self.memory)?;
        }
        self.same(before)?;
        let heap = self.servers.figures()?.store.heap;
        check(heap == before.store.heap, "the persistence server's heap has grown")
    }

    /// While a beginner lives its transaction is open; with it, it is aborted, and that can be told.
    pub fn a_death_is_told(&mut self) -> Result<(), Failure> {
        let drone = self.hangar.launch(&mut self.memory, Errand::Begin)?;
        let transaction = TRANSACTION.load(Ordering::Relaxed);
        let alive = self.graph.outcome(transaction)?;
        drone.end(&self.memory)?;
        match (alive, self.graph.outcome(transaction)?) {
            (Outcome::Open, Outcome::Aborted) => Ok(()),
            (alive, dead) => self.wrong("another outcome", format_args!("{alive:?}, then {dead:?}")),
        }
    }

    /// A process that was made in the transaction of a beginner that died never runs, and leaves nothing.
    pub fn a_death_takes_the_process(&mut self) -> Result<(), Failure> {
        self.give_image();
        let before = self.servers.figures()?;
        let trace = self.trace()?;
        let drone = self.hangar.launch(&mut self.memory, Errand::Create)?;
        let prepared = self.servers.figures()?.process.prepared;
        drone.end(&self.memory)?;
        self.same(before)?;
        check(prepared == before.process.prepared + 1, "no process was prepared")?;
        self.let_others_run();
        let after = self.trace()?;
        check(after == trace, "the process has run")
    }

    /// A beginner that dies before, in or after its commit: both objects that it wrote are there or neither is, and what is
    /// told of the transaction is so.
    pub fn a_commit_is_whole_or_not_there(&mut self) -> Result<(), Failure> {
        let pair = self.make_pair()?;
        let mut last = 0;
        let (mut committed, mut unanswered) = (0u32, 0);
        for race in 1..=RACES {
            GIVEN[0].store(race, Ordering::Relaxed);
            let errand = if race == 1 { Errand::Write } else { Errand::Commit };
            let drone = self.hangar.launch(&mut self.memory, errand)?;
            if race > 1 {
                // From not at all to longer than it takes.
                sleep(race * STEP);
            }
            let answered = PROGRESS.load(Ordering::Relaxed) == Progress::Committed as u32;
            drone.end(&self.memory)?;
            self.hangar.forget_signals();
            let outcome = self.graph.outcome(TRANSACTION.load(Ordering::Relaxed))?;
            match outcome {
                Outcome::Committed(_) => {
                    last = race;
                    committed += 1;
                    unanswered += u32::from(!answered);
                }
                Outcome::Aborted if !answered => {}
                _ => return self.wrong("another outcome", format_args!("{outcome:?}, answered: {answered}")),
            }
            for oid in pair {
                let found = value(&mut self.graph, oid)?;
                if found != last.cast_signed() {
                    return self.wrong("half a commit", format_args!("{found} instead of {last}: {outcome:?}"));
                }
            }
        }
        let aborted = RACES - u64::from(committed);
        self.say(format_args!("{committed} were whole, {unanswered} of them unanswered, and {aborted} not there"));
        check(committed > 0 && aborted > 0, "all commits fell on one side")
    }

    /// Two objects that a drone writes.
    ///
    /// # Errors
    /// The graph's.
    pub fn make_pair(&mut self) -> Result<[Oid; 2], GraphError> {
        self.graph.begin()?;
        let pair = [self.graph.new_object()?, self.graph.new_object()?];
        for (oid, place) in pair.iter().zip(&PAIR) {
            self.graph.put_object(*oid, &Object::new().data("value", Value::Int(0)))?;
            place.store(oid.number(), Ordering::Relaxed);
        }
        self.graph.commit()?;
        Ok(pair)
    }
}

/// The number in an object of a pair.
///
/// # Errors
/// The graph's.
pub fn value(graph: &mut Graph, oid: Oid) -> Result<i64, GraphError> {
    match graph.object(oid)?.get("value") {
        Some(Value::Int(value)) => Ok(*value),
        _ => Ok(-1),
    }
}
