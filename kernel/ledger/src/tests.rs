//! The ledger against a model: random steps, and after each one every request stands in exactly one place.

use std::vec::Vec;

use proptest::prelude::*;

use crate::{AbiError, Called, Count, Endpoint, Received, Receiver, Replay, Reply, ReplyError, Request, State};

const THREADS: usize = 5;
const SERVERS: usize = 3;
const REPLIES: usize = 4;

fn zeroed<T>(count: usize) -> Vec<T> {
    // SAFETY: the crate's objects are plain data whose zero is a valid state, as their documents say.
    (0..count).map(|_| unsafe { core::mem::zeroed() }).collect()
}

struct World {
    endpoints: *mut Endpoint,
    requests: *mut Request,
    receivers: *mut Receiver,
    replies: *mut Reply,
    /// Model: for each request, None or (endpoint, Some(reply object) once delivered).
    at: [Option<(usize, Option<usize>)>; THREADS],
    /// Model: parked requests of each endpoint in order.
    parked: [Vec<usize>; 2],
    gates: *mut Request,
    /// Model: which endpoints are shut.
    shut: [bool; 2],
    /// Model: waiting servers of each endpoint with their reply objects, the last to come at the end.
    waiting: [Vec<(usize, usize)>; 2],
}

impl World {
    fn request(&self, i: usize) -> *mut Request {
        // SAFETY: callers stay below THREADS.
        unsafe { self.requests.add(i) }
    }
    fn reply(&self, i: usize) -> *mut Reply {
        // SAFETY: callers stay below REPLIES.
        unsafe { self.replies.add(i) }
    }
    fn receiver(&self, i: usize) -> *mut Receiver {
        // SAFETY: callers stay below SERVERS.
        unsafe { self.receivers.add(i) }
    }
    fn endpoint(&self, i: usize) -> *mut Endpoint {
        // SAFETY: callers stay below 2.
        unsafe { self.endpoints.add(i) }
    }
    fn index(&self, request: *mut Request) -> usize {
        // SAFETY: the pointer came from this array.
        unsafe { request.offset_from(self.requests) as usize }
    }

    /// The model's parking.
    fn park(&mut self, endpoint: usize, client: usize, priority: u8) {
        // SAFETY: indices are in range.
        let rank = |i: usize| unsafe { (*self.request(i)).priority };
        let place = self.parked[endpoint].iter().position(|i| rank(*i) < priority);
        let place = place.unwrap_or(self.parked[endpoint].len());
        self.parked[endpoint].insert(place, client);
    }

    fn step(&mut self, op: u8, a: usize, b: usize, priority: u8) {
        let (client, server, reply, endpoint) = (a % THREADS, a % SERVERS, a % REPLIES, b % 2);
        match op {
            0 | 1 => {
                if self.at[client].is_some() {
                    return;
                }
                // SAFETY: request and endpoint are live, the request is idle.
                unsafe { (*self.request(client)).priority = priority };
                // SAFETY: as above.
                unsafe { (*self.request(client)).letter.label = client as u32 };
                // SAFETY: as above.
                match unsafe { Endpoint::call(self.endpoint(endpoint), self.request(client)) } {
                    Called::Delivered(receiver) => {
                        assert!(!self.shut[endpoint]);
                        let (server, reply) = self.waiting[endpoint].pop().unwrap();
                        assert_eq!(receiver, self.receiver(server));
                        self.at[client] = Some((endpoint, Some(reply)));
                    }
                    Called::Parked => {
                        assert!(self.shut[endpoint] || self.waiting[endpoint].is_empty());
                        self.at[client] = Some((endpoint, None));
                        self.park(endpoint, client, priority);
                    }
                }
            }
            2 | 3 => {
                if self.waiting.iter().flatten().any(|(waiting, _)| *waiting == server) {
                    return;
                }
                let holds = self.at.iter().any(|at| matches!(at, Some((_, Some(r))) if *r == reply));
                let busy = holds || self.waiting.iter().flatten().any(|(_, taken)| *taken == reply);
                let (at, with) = (self.endpoint(endpoint), self.reply(reply));
                // SAFETY: live, and not waiting.
                match unsafe { Endpoint::receive(at, self.receiver(server), with) } {
                    Err(error) => assert!(busy && error == ReplyError::Busy),
                    Ok(Received::Request(request)) => {
                        assert!(!busy && !self.shut[endpoint]);
                        let expected = self.parked[endpoint].remove(0);
                        assert_eq!(self.index(request), expected);
                        self.at[expected] = Some((endpoint, Some(reply)));
                    }
                    Ok(Received::Waiting) => {
                        assert!(!busy && (self.shut[endpoint] || self.parked[endpoint].is_empty()));
                        self.waiting[endpoint].push((server, reply));
                    }
                }
            }
            4 => {
                let held = self.at.iter().position(|at| matches!(at, Some((_, Some(r))) if *r == reply));
                // SAFETY: live.
                match (unsafe { Reply::answer(self.reply(reply)) }, held) {
                    (Ok(request), Some(expected)) => {
                        assert_eq!(self.index(request), expected);
                        self.at[expected] = None;
                    }
                    (Err(ReplyError::NothingToAnswer), None) => {}
                    other => panic!("{other:?}"),
                }
            }
            5 => {
                // SAFETY: live.
                unsafe { Request::cancel(self.request(client)) };
                self.at[client] = None;
                self.parked.iter_mut().for_each(|p| p.retain(|i| *i != client));
            }
            6 => {
                // SAFETY: live.
                unsafe { Receiver::cancel(self.receiver(server)) };
                self.waiting.iter_mut().for_each(|w| w.retain(|(waiting, _)| *waiting != server));
            }
            7 => {
                let mut found = Vec::new();
                // SAFETY: live.
                let from = unsafe { &*self.endpoint(endpoint) };
                // SAFETY: the closure changes nothing.
                unsafe { from.for_each_delivered(|reply| found.push(reply)) };
                let delivered =
                    |at: &&Option<(usize, Option<usize>)>| matches!(at, Some((e, Some(_))) if *e == endpoint);
                assert_eq!(found.len(), self.at.iter().filter(delivered).count());
                for reply in found {
                    // SAFETY: live.
                    let request = unsafe { (*reply).request() };
                    // SAFETY: the pointer came from this array.
                    let held = unsafe { reply.offset_from(self.replies) as usize };
                    assert_eq!(self.at[self.index(request)], Some((endpoint, Some(held))));
                }
            }
            8 => {
                // SAFETY: live.
                let (request, receiver) = unsafe { Reply::release(self.reply(reply)) };
                if let Some(request) = request {
                    self.at[self.index(request)] = None;
                }
                let ready = self.waiting.iter().flatten().find(|(_, taken)| *taken == reply);
                assert_eq!(receiver, ready.map(|(server, _)| self.receiver(*server)));
                self.waiting.iter_mut().for_each(|w| w.retain(|(_, taken)| *taken != reply));
            }
            9 => {
                // SAFETY: live.
                let parked_at = unsafe { Request::hurry(self.request(client), priority) };
                let Some((endpoint, None)) = self.at[client] else {
                    assert!(parked_at.is_null());
                    return;
                };
                assert_eq!(parked_at, self.endpoint(endpoint));
                self.parked[endpoint].retain(|other| *other != client);
                self.park(endpoint, client, priority);
            }
            10 if self.shut[endpoint] => {
                let mut served = Vec::new();
                // SAFETY: live, and the closure calls nothing.
                unsafe {
                    Endpoint::open(self.endpoint(endpoint), |receiver, request| served.push((receiver, request)))
                };
                self.shut[endpoint] = false;
                for (receiver, request) in served {
                    let (server, reply) = self.waiting[endpoint].pop().unwrap();
                    assert_eq!(receiver, self.receiver(server));
                    let expected = self.parked[endpoint].remove(0);
                    assert_eq!(self.index(request), expected);
                    self.at[expected] = Some((endpoint, Some(reply)));
                }
                assert!(self.waiting[endpoint].is_empty() || self.parked[endpoint].is_empty());
            }
            12 if self.shut[endpoint] => {
                let mut roused = Vec::new();
                // SAFETY: live, and the closure calls nothing.
                unsafe { Endpoint::open_for_nobody(self.endpoint(endpoint), |receiver| roused.push(receiver)) };
                self.shut[endpoint] = false;
                let waited: Vec<_> = self.waiting[endpoint].drain(..).rev().map(|(server, _)| server).collect();
                assert_eq!(roused, waited.into_iter().map(|server| self.receiver(server)).collect::<Vec<_>>());
            }
            10 => {
                // SAFETY: there are two.
                let gate = unsafe { self.gates.add(endpoint) };
                // SAFETY: the gate is this endpoint's alone.
                unsafe { Endpoint::shut(self.endpoint(endpoint), gate) };
                self.shut[endpoint] = true;
            }
            11 => {
                let held = self.at.iter().position(|at| *at == Some((endpoint, Some(reply))));
                let Some(held) = held else { return };
                // SAFETY: live, and bound there.
                let parked = unsafe { Endpoint::park_again(self.endpoint(endpoint), self.reply(reply)) };
                assert_eq!(parked.is_ok(), held % 2 == 0);
                if parked.is_ok() {
                    // SAFETY: indices are in range.
                    let rank = |i: usize| unsafe { (*self.request(i)).priority };
                    let place = self.parked[endpoint].iter().position(|i| rank(*i) <= rank(held));
                    let place = place.unwrap_or(self.parked[endpoint].len());
                    self.parked[endpoint].insert(place, held);
                    self.at[held] = Some((endpoint, None));
                }
            }
            _ => {
                self.shut[endpoint] = false;
                let (mut requests, mut receivers) = (Vec::new(), Vec::new());
                // SAFETY: live.
                unsafe {
                    Endpoint::destroy(self.endpoint(endpoint), |q| requests.push(q), |r| receivers.push(r));
                }
                assert_eq!(receivers.len(), self.waiting[endpoint].len());
                for request in requests {
                    let index = self.index(request);
                    assert_eq!(self.at[index].map(|(e, _)| e), Some(endpoint));
                    self.at[index] = None;
                }
                assert!(self.at.iter().flatten().all(|(e, _)| *e != endpoint));
                self.waiting[endpoint].clear();
                self.parked[endpoint].clear();
            }
        }
    }

    fn check(&self) {
        for endpoint in 0..2 {
            let delivered = |is_replayable: bool| {
                let here = |(client, at): (usize, &Option<(usize, Option<usize>)>)| {
                    matches!(at, Some((e, Some(_))) if *e == endpoint) && (client % 2 == 0) == is_replayable
                };
                self.at.iter().enumerate().filter(|entry| here(*entry)).count() as u32
            };
            let parked = self.parked[endpoint].len() as u32;
            let expected = Count { parked, delivered: delivered(false), deferred: delivered(true) };
            // SAFETY: live.
            let ledger = unsafe { &*self.endpoint(endpoint) };
            // SAFETY: nobody changes anything.
            assert_eq!(unsafe { ledger.count() }, expected);
            assert_eq!(ledger.is_shut(), self.shut[endpoint]);
            assert_eq!(ledger.has_parked(), parked > 0 || self.shut[endpoint]);
        }
        for (i, at) in self.at.iter().enumerate() {
            // SAFETY: i is below THREADS.
            let request = unsafe { &*self.request(i) };
            let expected = match at {
                None => State::Idle,
                Some((_, None)) => State::Parked,
                Some((_, Some(_))) => State::Delivered,
            };
            assert_eq!(request.state(), expected);
            if let Some((endpoint, Some(reply))) = at {
                assert_eq!(request.reply(), self.reply(*reply));
                // SAFETY: live.
                assert_eq!(unsafe { (*self.reply(*reply)).request() }, self.request(i));
                // SAFETY: live.
                assert_eq!(unsafe { (*self.reply(*reply)).endpoint() }, self.endpoint(*endpoint));
            }
        }
        for i in 0..SERVERS {
            // SAFETY: i is below SERVERS.
            let receiver = unsafe { &*self.receiver(i) };
            let waits = self.waiting.iter().flatten().find(|(server, _)| *server == i);
            assert_eq!(receiver.is_waiting(), waits.is_some());
            if let Some((_, reply)) = waits {
                assert_eq!(receiver.reply, self.reply(*reply));
            }
        }
        for i in 0..REPLIES {
            let reply = self.reply(i);
            // SAFETY: live.
            let receiver = unsafe { (*reply).receiver() };
            // Who stands ready with a reply object, or has a request in it, is known to it.
            let named = (0..SERVERS).filter(|s| {
                // SAFETY: s is below SERVERS.
                let other = unsafe { &*self.receiver(*s) };
                other.is_waiting() && other.reply == reply
            });
            for server in named {
                assert_eq!(receiver, self.receiver(server));
            }
        }
    }
}

proptest! {
    #[test]
    fn every_request_is_in_exactly_one_place(
        steps in prop::collection::vec((0u8..14, 0usize..60, 0usize..2, 0u8..3), 1..200)
    ) {
        let (mut endpoints, mut requests) = (zeroed::<Endpoint>(2), zeroed::<Request>(THREADS));
        let (mut receivers, mut replies) = (zeroed::<Receiver>(SERVERS), zeroed::<Reply>(REPLIES));
        let mut gates = zeroed::<Request>(2);
        for endpoint in &mut endpoints {
            for label in 0..THREADS as u32 {
                let replay = if label % 2 == 0 { Replay::Unanswered } else { Replay::Never };
                prop_assert_eq!(endpoint.serve(label, 1, replay), Ok(()));
            }
        }
        let mut world = World {
            gates: gates.as_mut_ptr(),
            shut: [false; 2],
            endpoints: endpoints.as_mut_ptr(),
            requests: requests.as_mut_ptr(),
            receivers: receivers.as_mut_ptr(),
            replies: replies.as_mut_ptr(),
            at: [None; THREADS],
            parked: Default::default(),
            waiting: Default::default(),
        };
        for (op, a, b, priority) in steps {
            world.step(op, a, b, priority);
            world.check();
        }
    }
}

#[test]
fn an_endpoint_serves_its_labels_alone() {
    let mut endpoint = zeroed::<Endpoint>(1).remove(0);
    assert_eq!(endpoint.serve(3, 77, Replay::Never), Ok(()));
    assert_eq!(endpoint.serve(64, 1, Replay::Never), Err(AbiError::LabelOutOfRange));
    assert!(endpoint.serves(3));
    assert!(!endpoint.serves(2) && !endpoint.serves(64) && !endpoint.serves(67));
    assert_eq!(endpoint.check(3, 77), Ok(()));
    assert_eq!(endpoint.check(3, 78), Err(AbiError::WrongSignature));
    assert_eq!(endpoint.check(4, 77), Err(AbiError::UnknownLabel));
    assert_eq!(endpoint.check(64, 77), Err(AbiError::LabelOutOfRange));
}
