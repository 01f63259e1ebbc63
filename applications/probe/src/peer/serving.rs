//! A peer that serves.

use alloc::vec;
use alloc::vec::Vec;

use abi::kernel::TIMEOUT_NONE;
use abi::token::{All, CNode, CallOnly, Cap, Endpoint, Notification, RawCap, Reply, Untyped, VSpace};
use abi::{CallError, slots as fixed};
use runtime::forbidden::{Act, commit};
use runtime::{Buf, Environment, Event, Pending, Request, Server, objects};

use super::ending::{compute, end};
use super::{ask, map_buf, signal};
use crate::protocol::methods::{self, Peer};
use crate::protocol::slots;

/// Codes of a peer.
mod code {
    pub const MALFORMED: u32 = 1;
    pub const NOTHING_CAME: u32 = 2;
    pub const NO_OBJECT: u32 = 3;
    pub const NO_ROOM: u32 = 4;
    pub const TARGET_FAILED: u32 = 5;
}

/// Bytes of the kept Buf that are answered.
const KEPT: usize = 64;

/// What is left to do when a request has been answered.
enum After {
    Nothing,
    Release(Pending, u64, Vec<u8>),
}

struct Serving {
    cnode: Cap<CNode, All>,
    vspace: Cap<VSpace, All>,
    scratch: Cap<Untyped>,
    target: Option<Cap<Endpoint, CallOnly>>,
    witness: Option<Cap<Notification, All>>,
    held: Vec<(u64, Pending)>,
    kept: Vec<Cap<Notification, All>>,
    buf: Option<Buf>,
    given: RawCap,
    lease: usize,
    count: u64,
    journal: u64,
    status: u64,
}

/// Serves until the endpoint is gone, with room for so many requests besides the one at hand.
pub fn run(mut environment: Environment, holds: u64) -> Result<u64, CallError> {
    let cnode = environment.cnode();
    let endpoint = environment.need(fixed::ENDPOINT, "the endpoint that it serves");
    let scratch: Cap<Untyped> = environment.need(slots::SCRATCH, "memory");
    let reply: Cap<Reply, All> = environment.need(fixed::REPLY, "a reply object");
    let mut replies = vec![reply];
    match objects::reply_objects(&scratch, &cnode, holds as usize) {
        Ok(more) => replies.extend(more),
        Err(error) => panic!("no reply objects: {error:?}"),
    }
    if let Some(notification) = environment.take::<Notification, All>(fixed::NOTIFICATION) {
        let thread = environment.need(fixed::TCB, "its thread");
        if let Err(error) = objects::bind(&thread, &notification) {
            panic!("the notification cannot be bound: {error:?}");
        }
    }
    let mut serving = Serving {
        cnode,
        vspace: environment.need(fixed::VSPACE, "its VSpace"),
        scratch,
        target: environment.take(slots::TARGET),
        witness: environment.take(slots::WITNESS),
        held: Vec::new(),
        kept: Vec::new(),
        buf: None,
        given: RawCap::EMPTY,
        lease: 0,
        count: 0,
        journal: 0,
        status: 0,
    };
    let mut server = Server::new(endpoint, replies);
    loop {
        let after = match server.next_event_within(TIMEOUT_NONE)? {
            Event::Signal(bits) => {
                serving.pass_on(bits);
                After::Nothing
            }
            Event::Request(request) => serving.answer(request),
        };
        if let After::Release(pending, value, body) = after {
            serving.status = status(server.try_answer(pending, 0, value, &body));
        }
    }
}

/// The kernel's status word of an outcome.
fn status(outcome: Result<(), CallError>) -> u64 {
    match outcome {
        Err(CallError::Kernel(error, _)) => error.to_status(),
        _ => 0,
    }
}

impl Serving {
    fn pass_on(&self, bits: u64) {
        if let Some(witness) = &self.witness
            && let Err(error) = signal(witness, bits)
        {
            panic!("the witness cannot be signalled: {error}");
        }
    }

    /// Answers a request, or keeps it.
    fn answer(&mut self, mut request: Request<'_>) -> After {
        self.count += 1;
        let Some(method) = Peer::decode(request.label(), request.words()) else {
            request.refuse(code::MALFORMED, 0);
            return After::Nothing;
        };
        match method {
            Peer::Who(_) => {
                let (badge, thread) = (request.badge(), request.thread());
                request.ok_two(badge, thread);
            }
            Peer::WhoseThread(_) => {
                let thread = request.thread();
                request.ok(thread);
            }
            Peer::Reverse(_) => {
                let body: Vec<u8> = request.body().iter().rev().copied().collect();
                request.ok_bytes(body.len() as u64, &body);
            }
            Peer::Fill(fill) => {
                let lease = request.lease();
                self.lease = lease.as_ptr().addr();
                for (byte, value) in lease.iter_mut().zip(fill.seed..) {
                    *byte = value as u8;
                }
                let length = lease.len() as u64;
                request.ok(length);
            }
            Peer::Sum(_) => {
                let sum = sum(request.lease());
                request.ok(sum);
            }
            Peer::Take(take) => self.take(request, take.bits),
            Peer::Give(_) => self.give(request),
            Peer::HasGiven(_) => {
                let left = objects::inspect(&self.cnode, self.given.slot as u32);
                request.ok(left.is_some_and(|info| info.generation == self.given.generation).into());
            }
            Peer::Hold(methods::Hold { key }) | Peer::HoldAgain(methods::HoldAgain { key }) => match request.defer() {
                Ok(pending) => self.held.push((key, pending)),
                Err(request) => request.refuse(code::NO_ROOM, 0),
            },
            Peer::Release(release) => return self.release(request, release.key, release.value, 0),
            Peer::ReleaseLong(release) => return self.release(request, release.key, 0, release.length),
            Peer::SumHeld(held) => {
                let found = self.held.iter_mut().find(|(key, _)| *key == held.key);
                let sum = found.map_or(0, |(_, pending)| sum(pending.lease()));
                request.ok(sum);
            }
            Peer::Status(_) => request.ok(self.status),
            Peer::AnswerTwice(_) => {
                let reply = request.reply_object();
                request.ok_bytes(1, &[]);
                self.status = commit(Act::Reply(reply)).unwrap_or(0);
            }
            Peer::Touch(_) => {
                let read = commit(Act::Read(self.lease));
                request.ok(read.unwrap_or(u64::MAX));
            }
            Peer::End(ending) => self.end(ending.how),
            Peer::Spin(spin) => {
                self.pass_on(1);
                compute(spin.steps);
                request.ok(spin.steps);
            }
            Peer::Late(late) => {
                runtime::sleep(late.nanoseconds);
                request.ok(late.nanoseconds);
            }
            Peer::Forward(forward) => self.forward(request, forward.steps),
            Peer::Count(_) => request.ok(self.count),
            Peer::Write(write) => {
                self.journal = self.journal * 10 + write.digit;
                request.ok(write.digit);
            }
            Peer::Read(_) => request.ok(self.journal),
            Peer::Long(long) => request.ok_bytes(long.length, &vec![0x5a; long.length as usize]),
            Peer::Make(make) => match objects::retype::<Notification>(&self.scratch, 0, &self.cnode) {
                Ok(made) => {
                    if make.how != 0 {
                        self.end(make.how);
                    }
                    self.kept.push(made);
                    request.ok(0);
                }
                Err(error) => request.refuse(code::NO_OBJECT, error as u64),
            },
            Peer::Map(_) => match map_buf(&self.scratch, &self.cnode, &self.vspace) {
                Ok(buf) => {
                    self.buf = Some(buf);
                    request.ok(0);
                }
                Err(_) => request.refuse(code::NO_OBJECT, 0),
            },
            Peer::Kept(_) => {
                let bytes = self.buf.as_ref().and_then(|buf| buf.bytes().get(..KEPT)).unwrap_or(&[]);
                request.ok_bytes(bytes.len() as u64, bytes);
            }
            Peer::Scope(_) => {
                let scope = request.scope();
                request.ok(scope);
            }
            // The tests themselves are the store.
            Peer::Begin(_) | Peer::Finish(_) => request.refuse(code::MALFORMED, 0),
        }
        After::Nothing
    }

    fn release(&mut self, request: Request<'_>, key: u64, value: u64, length: u64) -> After {
        let at = self.held.iter().position(|(held, _)| *held == key);
        request.ok(at.is_some().into());
        match at {
            Some(at) => After::Release(self.held.remove(at).1, value, vec![0x5a; length as usize]),
            None => After::Nothing,
        }
    }

    fn end(&self, how: u64) -> ! {
        if how == crate::protocol::ending::LOOP {
            self.pass_on(1);
        }
        end(how)
    }

    fn take(&self, mut request: Request<'_>, bits: u64) {
        let claimed = request.granted().map(|granted| granted.claim::<Notification, All>(&self.cnode));
        match claimed {
            Some(Ok(notification)) => {
                let done = signal(&notification, bits);
                objects::delete(notification);
                request.ok(done.is_ok().into());
            }
            Some(Err(error)) => request.refuse(code::NO_OBJECT, error as u64),
            None => request.refuse(code::NOTHING_CAME, 0),
        }
    }

    fn give(&mut self, request: Request<'_>) {
        match objects::retype::<Notification>(&self.scratch, 0, &self.cnode) {
            Ok(made) => {
                self.given = made.raw();
                request.ok_grant(0, made);
            }
            Err(error) => request.refuse(code::NO_OBJECT, error as u64),
        }
    }

    fn forward(&self, request: Request<'_>, steps: u64) {
        let Some(target) = &self.target else { panic!("bug: no target to forward to") };
        match ask(target, methods::Spin { steps }) {
            Ok(value) => request.ok(value),
            Err(_) => request.refuse(code::TARGET_FAILED, 0),
        }
    }
}

fn sum(bytes: &[u8]) -> u64 {
    bytes.iter().map(|byte| u64::from(*byte)).sum()
}
