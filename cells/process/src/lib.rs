//! The process server: makes processes, in transactions, and keeps the kernel's state as the graph says it should be.
//!
//! * [`factory`]: CreateProcess in the plan's sequence;
//! * [`catalogue`]: images and processes in the graph;
//! * [`failure_points`]: the registry of the places where CreateProcess can fail, for the test that plants failures;
//! * [`grants`]: what a process may be given, by name;
//! * [`introduced`]: the cells that the root task started;
//! * [`table`]: the processes that have an instance;
//! * [`server`]: the messages, and the reconciler.
//!
//! The graph is the desired state. A Process object whose `state` slot says `running` has an instance, one that says
//! `exited` or `failed` has none and is never run again. The reconciler compares after each commit of this server, when
//! an instance ends, and at start, which is how processes come back after a power cut.
//!
//! # Capabilities
//! The fixed slots CNode, VSpace, TCB, endpoint, notification, console, persistence and memory. Then 16: Loader; 17: Scheduler;
//! 18: an untyped of 64 KiB for reply objects; 19 to 22: console, persistence, memory and process endpoints without a badge, to
//! mint those of processes from; 23: Machine, for the shell.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod catalogue;
mod factory;
mod failure_points;
mod grants;
mod introduced;
mod server;
mod table;

use abi::slots;
use abi::token::{All, Buf as BufObject, Cap, Loader, Notification, Scheduler, Tcb, Untyped, VSpace};
use clients::{Graph, MemoryServer};
use runtime::{Buf, Console, Environment, Server, objects};
use spawner::Memory;

const LOADER: u32 = slots::FIRST_GRANTED;
const SCHEDULER: u32 = LOADER + 1;
const SCRATCH: u32 = LOADER + 2;
/// Requests that wait for a process to end, at most, and one more.
const REPLIES: usize = 32;
/// Bytes of the Buf that images travel in, as a power of two.
const BUF_BITS: u8 = 20;
/// The bit that the kernel signals when an instance has ended.
pub(crate) const ENDED: u64 = 1;

/// Serves for ever.
///
/// # Panics
/// Without a capability that it cannot do without, which ends the cell by name.
pub fn main(mut environment: Environment) -> u64 {
    let console = Console::new(environment.take(slots::CONSOLE), "process");
    let cnode = environment.cnode();
    let own = environment.cnode_again();
    let vspace: Cap<VSpace, All> = environment.need(slots::VSPACE, "its VSpace");
    let loader: Cap<Loader, All> = environment.need(LOADER, "the loader");
    let scheduler: Cap<Scheduler, All> = environment.need(SCHEDULER, "the scheduler");
    let scratch: Cap<Untyped, All> = environment.need(SCRATCH, "memory for reply objects");
    let notification: Cap<Notification, All> = environment.need(slots::NOTIFICATION, "its notification");
    let thread: Cap<Tcb, All> = environment.need(slots::TCB, "its thread");
    let endpoint = environment.need(slots::ENDPOINT, "the endpoint that it serves");
    let persistence = environment.need(slots::PERSISTENCE, "the persistence server");
    let memory = environment.need(slots::MEMORY, "the memory server");
    let grants = grants::Grants::new(&mut environment);
    // It is bound already where an earlier instance of the service did it.
    let _ = objects::bind(&thread, &notification);
    if let Err(error) = objects::watch_instances(&loader, &notification, ENDED) {
        panic!("the ends of instances cannot be watched: {error:?}");
    }
    let replies = match objects::reply_objects(&scratch, &cnode, REPLIES) {
        Ok(replies) => replies,
        Err(error) => panic!("no reply objects: {error:?}"),
    };
    let mut memory = MemoryServer::new(memory, own);
    let buf: Cap<BufObject, All> = match memory.make(BUF_BITS) {
        Ok(buf) => buf,
        Err(error) => panic!("no memory for a Buf: {error:?}"),
    };
    let _ = memory.take_allocations();
    let buf = match Buf::map(buf, &vspace) {
        Ok(buf) => buf,
        Err(error) => panic!("the Buf cannot be mapped: {error:?}"),
    };
    let graph = Graph::new(persistence, Some(buf));
    let factory = factory::Factory { graph, memory, loader, scheduler, grants, console, planted: None };
    server::run(Server::new(endpoint, replies), factory)
}
