//! Hosts an object of the graph that serves others: a clone of the prototype Server that was spawned with the image of this
//! cell.
//!
//! * [`message`]: a request as the message that the object gets, and its answer as a reply;
//! * [`hosted`]: the object, and the sessions in which its methods run;
//! * [`transactions`]: whose transaction that is in;
//! * [`verdict`]: what a caller is told of a failure.
//!
//! The object is that of the process, whose number every process is told at its start. What it serves stands in its slot
//! `interface` ([`genesis::interface`]), from which the process server declares the labels at the endpoint; a caller cannot
//! tell it from a server that was compiled.
//!
//! The main loop takes a request and sends the object `mainLoop(message)`, which sends `_dispatchMessage`, which sends the method:
//! all three are slots that a mirror changes while this runs. Each request is one transaction, its own or its caller's: what a
//! method changes is kept when it has answered, and when it fails nothing is. Nothing that has to last stands in this cell, so
//! that it may be killed, begun again or replaced at any time.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod hosted;
pub mod message;
pub mod transactions;
pub mod verdict;

use abi::slots;
use abi::token::{All, Buf as BufObject, CNode, CallOnly, Cap, Endpoint, VSpace};
use clients::{Graph, MemoryServer};
use hosted::Hosted;
use message::{Received, Reply};
use object_host::{Endpoints, ServerHost};
use object_model::Oid;
use runtime::{Buf, Console, Environment, Event, Request, Server, objects, say};
use spawner::Memory;
use transactions::{Beginner, Joint};
use verdict::Refusal;

/// Requests that are held at once: each is answered before the next.
const REPLIES: usize = 1;
/// The memory that longer records travel through, for each of two sessions, as a power of two.
const RECORD_BITS: u8 = 17;

/// The entry of the cell.
///
/// # Panics
/// Without what a process that serves is given, or without the persistence server.
pub fn main(mut environment: Environment) -> u64 {
    let oid = Oid::new(environment.argument());
    let console = Console::new(environment.take(slots::CONSOLE), "objects");
    // What an earlier instance had for itself is of no use to this one.
    for slot in environment.left(slots::FIRST_GRANTED) {
        environment.discard(slot);
    }
    let endpoint = environment.need(slots::ENDPOINT, "the endpoint that it serves: its object declares no interface");
    let scratch = environment.need(slots::SCRATCH, "memory for reply objects");
    let host_cnode = environment.cnode_again();
    let memory_cnode = environment.cnode_again();
    let cnode = environment.cnode();
    let vspace = environment.need(slots::VSPACE, "its VSpace");
    let replies = match objects::reply_objects(&scratch, &cnode, REPLIES) {
        Ok(replies) => replies,
        Err(error) => panic!("no reply object: {error:?}"),
    };
    let persistence = environment.need(slots::PERSISTENCE, "the persistence server");
    let (memory, process) = (environment.take(slots::MEMORY), environment.take(slots::PROCESS));
    let mut buffers = memory.as_ref().map(|memory| MemoryServer::new(copy(memory, &cnode), memory_cnode));
    let mut session = |beginner| {
        let buf = buffers.as_mut().and_then(|buffers| buffer(buffers, &vspace));
        Joint::new(Graph::new(copy(&persistence, &cnode), buf), beginner)
    };
    let (own, joined) = (session(Beginner::Own), session(Beginner::Caller));
    let endpoints = Endpoints { persistence: Some(copy(&persistence, &cnode)), memory, process };
    let mut hosted = Hosted::new(oid, own, joined, ServerHost::new(endpoints, host_cnode, || false));
    let labels = hosted.interface(Beginner::Own).map_or(0, |served| served.len());
    say!(console, "serves {labels} labels of object {oid}");
    let mut server = Server::new(endpoint, replies);
    loop {
        if let Event::Request(request) = server.next_event() {
            answer(request, &mut hosted);
        }
    }
}

/// A second capability to a server.
fn copy(endpoint: &Cap<Endpoint, CallOnly>, cnode: &Cap<CNode, All>) -> Cap<Endpoint, CallOnly> {
    match objects::duplicate(endpoint, cnode, 0) {
        Ok(copy) => copy,
        Err(error) => panic!("a capability cannot be copied: {error:?}"),
    }
}

/// Memory for records that are longer than a message; without it those cannot be read.
fn buffer(memory: &mut MemoryServer, vspace: &Cap<VSpace, All>) -> Option<Buf> {
    let buf: Cap<BufObject, All> = memory.make(RECORD_BITS).ok()?;
    Buf::map(buf, vspace).ok()
}

fn answer(request: Request<'_>, hosted: &mut Hosted) {
    let beginner = if request.scope() == 0 { Beginner::Own } else { Beginner::Caller };
    let body = request.body().to_vec();
    let received = Received { words: request.words(), body: &body, sender: request.badge() };
    match hosted.serve(request.label(), received, beginner) {
        Ok(Reply { value, body: None }) => request.ok(value),
        Ok(Reply { value, body: Some(body) }) => request.ok_bytes(value, &body),
        Err(Refusal(code, detail)) => request.refuse(code, detail),
    }
}
