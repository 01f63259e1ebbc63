//! A server that is still at work when its caller's transaction is over.
//!
//! The caller gives up waiting and aborts; the server, a drone, goes on only then. Whatever it makes would belong to nobody,
//! or worse, to whoever begins next: it is refused, by the kernel what is made of memory, by the persistence server what is
//! stored.

use core::sync::atomic::{AtomicU32, Ordering};

use abi::interfaces::persistence::NO_TRANSACTION;
use abi::token::{All, CallOnly, Cap, Endpoint, Frame, Notification, Reply};
use abi::{CallError, KernelError, slots};
use clients::{Graph, GraphError, MemoryServer};
use runtime::{Call, Environment, Event, Server, objects};
use spawner::Memory;

use crate::deaths::PATIENCE;
use crate::driver::{Failure, Test, check};
use crate::drone::{Errand, PROGRESS, Progress};

abi::interface! {
    /// What the late server is asked.
    Late {
        /// Something that takes long.
        1 Work();
    }
}

/// The slots of the server's endpoint and reply object, and of the notification at which it goes on.
static SLOTS: [AtomicU32; 3] = [AtomicU32::new(0), AtomicU32::new(0), AtomicU32::new(0)];
/// What it found, a bit each.
static FOUND: AtomicU32 = AtomicU32::new(0);

/// Its request came with a transaction.
const IN_TRANSACTION: u32 = 1;
/// It was given no kernel object.
const NO_OBJECT: u32 = 2;
/// It was given no untyped memory.
const NO_UNTYPED: u32 = 4;
/// It could not begin a transaction, its caller's being over.
const NO_BEGIN: u32 = 8;
/// It could make no object of the graph.
const NO_NEW_OBJECT: u32 = 16;
const ALL_REFUSED: u32 = IN_TRANSACTION | NO_OBJECT | NO_UNTYPED | NO_BEGIN | NO_NEW_OBJECT;

/// Nanoseconds after which the caller gives up: at once, for the server waits for that.
const HASTE: u64 = 1_000_000;

/// The drone's part: takes one request, says so, and does its work when it is told to go on.
pub fn serve(mut environment: Environment, mut graph: Graph, signal: impl Fn(Progress)) {
    let [endpoint, reply, go] = SLOTS.each_ref().map(|slot| slot.load(Ordering::Relaxed));
    let endpoint = environment.need(endpoint, "the endpoint that it serves");
    let reply: Cap<Reply, All> = environment.need(reply, "its reply object");
    let go: Cap<Notification, All> = environment.need(go, "the signal to go on");
    let memory = environment.need(slots::MEMORY, "the memory server");
    let mut memory = MemoryServer::new(memory, environment.cnode());
    let mut server = Server::new(endpoint, alloc::vec![reply]);
    signal(Progress::Ready);
    if let Event::Request(request) = server.next_event() {
        let in_transaction = if request.scope() != 0 { IN_TRANSACTION } else { 0 };
        let _ = objects::wait(&go, PATIENCE);
        FOUND.store(in_transaction | work(&mut memory, &mut graph), Ordering::Relaxed);
        request.ok(0);
    }
    signal(Progress::Committed);
}

fn work(memory: &mut MemoryServer, graph: &mut Graph) -> u32 {
    let object: Result<Cap<Frame, All>, _> = memory.make(12);
    let untyped = memory.untyped(12);
    let over = GraphError::Call(CallError::Server(NO_TRANSACTION, 0));
    let found = [
        (object.is_err(), NO_OBJECT),
        (untyped.is_err(), NO_UNTYPED),
        (graph.begin() == Err(over), NO_BEGIN),
        (graph.new_object() == Err(over), NO_NEW_OBJECT),
    ];
    found.iter().filter(|(holds, _)| *holds).map(|(_, bit)| bit).sum()
}

impl Test {
    /// What a server makes for a transaction that is over is refused, and leaves nothing.
    pub fn a_server_that_is_late_makes_nothing(&mut self) -> Result<(), Failure> {
        let before = self.servers.figures()?;
        let _ = self.memory.take_allocations();
        let endpoint: Cap<Endpoint, All> = self.memory.make(0)?;
        let reply: Cap<Reply, All> = self.memory.make(0)?;
        let go: Cap<Notification, All> = self.memory.make(0)?;
        let parts = self.memory.take_allocations();
        objects::serve_labels(&endpoint, Late::LABELS)?;
        let client: Cap<Endpoint, CallOnly> = objects::duplicate(&endpoint, self.memory.cnode(), 0)?;
        for (place, slot) in SLOTS.iter().zip([endpoint.raw().slot, reply.raw().slot, go.raw().slot]) {
            place.store(slot as u32, Ordering::Relaxed);
        }
        let drone = self.hangar.launch(&mut self.memory, Errand::Serve)?;
        self.graph.begin()?;
        let answer = Call::new(&client, Work {}).timeout(HASTE).send().map(|_| ());
        self.graph.abort()?;
        objects::signal(&go, 1)?;
        self.hangar.wait()?;
        drone.end(&self.memory)?;
        for part in parts {
            self.memory.free(part)?;
        }
        self.same(before)?;
        let gave_up = matches!(answer, Err(CallError::Kernel(KernelError::TimedOut, _)));
        check(gave_up, "the caller did not give up")?;
        check(PROGRESS.load(Ordering::Relaxed) == Progress::Committed as u32, "the server did not come to its end")?;
        match FOUND.load(Ordering::Relaxed) {
            ALL_REFUSED => Ok(()),
            found => self.wrong("something was not refused", format_args!("{found:#b} of {ALL_REFUSED:#b}")),
        }
    }
}
