//! The process server: makes processes, in transactions, and keeps the kernel's state as the graph says it should be.
//!
//! * [`factory`]: CreateProcess in the plan's sequence;
//! * [`catalogue`]: images and processes in the graph;
//! * [`decision`]: what has to be done so that the kernel's state follows the graph, as a function of both (pure);
//! * [`reconciler`]: does it;
//! * [`failure_points`]: the registry of the places where CreateProcess can fail, for the test that plants failures;
//! * [`grants`]: what a process may be given, by name;
//! * [`holdings`]: what cells hold;
//! * [`services`]: the cells that the root task started;
//! * [`imports`]: images that come while the system runs;
//! * [`candidate`]: an instance that is to take a place;
//! * [`replacements`]: how another image takes the place of what serves;
//! * [`schemas`]: in which schema a state goes over (pure);
//! * [`subject`]: what can be replaced, and what of it is noted with capabilities;
//! * [`identity`]: what a cell is an instance of;
//! * [`left`]: the processes that an earlier instance of this server left;
//! * [`backoff`]: when what failed begins again;
//! * [`faults`]: what is said and kept of a failure;
//! * [`table`]: the processes that have an instance;
//! * [`server`]: the messages.
//!
//! The graph is the desired state. A Process object whose `state` slot says `running` has an instance, one that says
//! `exited` or `failed` has none. The reconciler compares after each commit that writes a Process object, whoever's it is,
//! when an instance ends, and at start, which is how processes come back after a power cut: those that their objects allow
//! to be started again.
//!
//! # Order of calls
//! This server calls the persistence server and the memory server; neither calls it. The persistence server signals its
//! notification.
//!
//! # Capabilities
//! The fixed slots CNode, VSpace, TCB, endpoint, notification, console, persistence and memory. Then 16: Loader; 17: Scheduler;
//! 18: an untyped of 64 KiB for reply objects; 19 to 22: console, persistence, memory and process endpoints without a badge, to
//! mint those of processes from; 23: Machine, for the shell. From 24 on: the services (`abi::interfaces::process::services`), and
//! behind them what this server holds by its own doing.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod backoff;
mod candidate;
mod catalogue;
mod decision;
mod factory;
mod failure_points;
mod faults;
mod followed;
mod grants;
mod holdings;
mod identity;
mod imports;
mod left;
mod reconciler;
mod replacements;
mod schemas;
mod server;
mod services;
mod subject;
mod table;

use alloc::sync::Arc;

use abi::slots;
use abi::token::{All, Buf as BufObject, CallOnly, Cap, Loader, Notification, Scheduler, Tcb, Untyped, VSpace};
use clients::{Graph, MemoryServer};
use runtime::{Buf, Console, Environment, Server, objects};
use spawner::Memory;

const LOADER: u32 = slots::FIRST_GRANTED;
const SCHEDULER: u32 = LOADER + 1;
const SCRATCH: u32 = LOADER + 2;
/// Requests that wait for a process to end, at most, and one more.
const REPLIES: usize = 32;
/// Bytes of the Buf that images travel in, as a power of two.
const BUF_BITS: u8 = 21;
/// The bit that the kernel signals when an instance has ended.
pub(crate) const ENDED: u64 = 1;
/// The bit that the persistence server signals when a transaction has ended that wrote a Process object or the
/// object of images.
pub(crate) const CHANGED: u64 = 2;
/// The bit that the kernel signals when a replacement is over.
pub(crate) const REPLACED: u64 = 8;

/// Serves for ever.
///
/// # Panics
/// Without a capability that it cannot do without, which ends the cell by name.
pub fn main(mut environment: Environment) -> u64 {
    let console = Console::new(environment.take(slots::CONSOLE), "process");
    // Before anything is put into the CNode.
    let mut left = left::Left::find(&mut environment);
    let cnode = environment.cnode();
    let own = environment.cnode_again();
    let vspace: Cap<VSpace, All> = environment.need(slots::VSPACE, "its VSpace");
    let loader: Arc<Cap<Loader, All>> = Arc::new(environment.need(LOADER, "the loader"));
    let scheduler: Cap<Scheduler, All> = environment.need(SCHEDULER, "the scheduler");
    let scratch: Cap<Untyped, All> = environment.need(SCRATCH, "memory for reply objects");
    let notification: Cap<Notification, All> = environment.need(slots::NOTIFICATION, "its notification");
    let thread: Cap<Tcb, All> = environment.need(slots::TCB, "its thread");
    let endpoint = environment.need(slots::ENDPOINT, "the endpoint that it serves");
    let persistence = environment.need(slots::PERSISTENCE, "the persistence server");
    let memory = environment.need(slots::MEMORY, "the memory server");
    let grants = grants::Grants::new(&mut environment);
    let looked_after = objects::duplicate(&notification, &cnode, 0)
        .and_then(|notification| services::take(&mut environment, loader.clone(), notification));
    if let Err(error) = looked_after {
        panic!("the services that run cannot be looked after: {error:?}");
    }
    // The end of an instance is heard of in the middle of a call too: it may be the called one's.
    let _ = objects::bind_and_interrupt(&thread, &notification, ENDED);
    if let Err(error) = objects::watch_instances(&loader, &notification, ENDED) {
        panic!("the ends of instances cannot be watched: {error:?}");
    }
    let replies = match objects::reply_objects(&scratch, &cnode, REPLIES) {
        Ok(replies) => replies,
        Err(error) => panic!("no reply objects: {error:?}"),
    };
    let mut memory = MemoryServer::new(memory, own);
    memory.note_owner(subject::Owner::Own.noted());
    let buf: Cap<BufObject, All> = match memory.make(BUF_BITS) {
        Ok(buf) => buf,
        Err(error) => panic!("no memory for a Buf: {error:?}"),
    };
    memory.note_owner(clients::Owner::default());
    let _ = memory.take_allocations();
    let buf = match Buf::map(buf, &vspace) {
        Ok(buf) => buf,
        Err(error) => panic!("the Buf cannot be mapped: {error:?}"),
    };
    let graph = Graph::new(persistence, Some(buf));
    let [first, second] = [(), ()].map(|()| objects::duplicate(&notification, &cnode, CHANGED));
    let changed: [Cap<Notification, CallOnly>; 2] = match first.and_then(|first| Ok([first, second?])) {
        Ok(changed) => changed,
        Err(error) => panic!("no capability to be signalled by can be made: {error:?}"),
    };
    let mut factory = factory::Factory { graph, memory, loader, scheduler, grants, console, planted: None };
    let replacements = replacements::Replacements::go_on(left.take_of_replacements(), &mut factory);
    let mut server = Server::new(endpoint, replies);
    let is_replaced = |process| replacements.is_open(process);
    let reconciler = reconciler::Reconciler::start(factory, left, changed, is_replaced, &mut server);
    server::run(server, reconciler, replacements, environment.heap())
}
