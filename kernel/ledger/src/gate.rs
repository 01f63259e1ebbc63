//! The gate of an endpoint: shut, while one server takes the place of another.

use core::ptr;

use crate::{Endpoint, Receiver, Reply, ReplyError, Request};

/// Whether a request that was delivered can be taken from its server and given to the next one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replay {
    /// It may have had an effect as soon as it was delivered.
    Never,
    /// It has had none before it is answered, and carries no capability.
    Unanswered,
}

/// Above every priority of a thread.
const GATE_PRIORITY: u8 = u8::MAX;

/// Requests of one endpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// On the queue.
    pub parked: u32,
    /// With a server, which may have begun with them.
    pub delivered: u32,
    /// With a server, and replayable.
    pub deferred: u32,
}

impl Endpoint {
    /// Whether requests park whoever waits.
    pub fn is_shut(&self) -> bool {
        !self.gate.is_null()
    }

    /// Requests park from now on, and whoever waits for one goes on waiting. `gate` is a request of nobody's.
    ///
    /// # Safety
    /// See the crate's contract; the endpoint is not shut, and the gate, zeroed memory at first, stays for as long as it is.
    pub unsafe fn shut(endpoint: *mut Endpoint, gate: *mut Request) {
        // SAFETY: the gate is live by the contract.
        unsafe { (*gate).priority = GATE_PRIORITY };
        // SAFETY: the gate is on no list, since it is that of no shut endpoint.
        unsafe { Self::park(endpoint, gate) };
        // SAFETY: the endpoint is live by the contract.
        let this = unsafe { &mut *endpoint };
        this.gate = gate;
        this.aside = core::mem::take(&mut this.waiting);
    }

    /// The endpoint is not shut any more: those that wait are served as far as requests are parked, and handed to `served`.
    /// One that is not shut stays as it is.
    ///
    /// # Safety
    /// See the crate's contract; `served` calls nothing of this endpoint.
    pub unsafe fn open(endpoint: *mut Endpoint, mut served: impl FnMut(*mut Receiver, *mut Request)) {
        // SAFETY: the caller's word.
        unsafe { Self::unshut(endpoint) };
        loop {
            // SAFETY: the endpoint is live by the contract.
            let this = unsafe { &mut *endpoint };
            if this.waiting.is_null() || this.parked.is_empty() {
                return;
            }
            let receiver = this.waiting;
            // SAFETY: parked requests are live.
            let request = unsafe { this.parked.pop_front() }.cast::<Request>();
            // SAFETY: as above.
            unsafe { (*request).endpoint = ptr::null_mut() };
            // SAFETY: the receiver is the first that waits, and the request idle since just now.
            unsafe { Self::deliver(endpoint, receiver, request) };
            served(receiver, request);
        }
    }

    /// The endpoint is not shut any more, and nobody waits there: those that did are handed to `each`.
    ///
    /// # Safety
    /// See the crate's contract; `each` calls nothing of this endpoint.
    pub unsafe fn open_for_nobody(endpoint: *mut Endpoint, mut each: impl FnMut(*mut Receiver)) {
        // SAFETY: the caller's word.
        unsafe { Self::unshut(endpoint) };
        loop {
            // SAFETY: the endpoint is live by the contract.
            let receiver = unsafe { (*endpoint).waiting };
            if receiver.is_null() {
                return;
            }
            // SAFETY: waiting receivers are live.
            unsafe { Receiver::cancel(receiver) };
            each(receiver);
        }
    }

    /// # Safety
    /// See the crate's contract.
    pub(crate) unsafe fn unshut(endpoint: *mut Endpoint) {
        // SAFETY: the endpoint is live by the contract.
        let this = unsafe { &mut *endpoint };
        let gate = core::mem::take(&mut this.gate);
        if !gate.is_null() {
            this.waiting = core::mem::take(&mut this.aside);
            // SAFETY: the gate of a shut endpoint is live, and parked here.
            unsafe { Request::cancel(gate) };
        }
    }

    /// The receivers that wait, to take one out.
    pub(crate) fn receivers(&mut self) -> &mut *mut Receiver {
        if self.is_shut() { &mut self.aside } else { &mut self.waiting }
    }

    /// Whether a reply object that is bound here holds a request that can be parked again.
    ///
    /// # Safety
    /// See the crate's contract.
    pub unsafe fn may_park_again(&self, reply: *const Reply) -> bool {
        // SAFETY: the reply object is live by the contract.
        let request = unsafe { (*reply).request };
        // SAFETY: so is what a reply object holds.
        !request.is_null() && unsafe { self.is_replayable(request) }
    }

    /// Takes the request of a reply object out and parks it here again, before others of its priority.
    ///
    /// # Errors
    /// [`ReplyError::NothingToAnswer`] where it holds none whose label is replayable.
    ///
    /// # Safety
    /// See the crate's contract; the reply object is bound to this endpoint.
    pub unsafe fn park_again(endpoint: *mut Endpoint, reply: *mut Reply) -> Result<(), ReplyError> {
        // SAFETY: the reply object is live by the contract.
        let request = unsafe { (*reply).request };
        // SAFETY: so is the endpoint.
        let this = unsafe { &*endpoint };
        // SAFETY: as above.
        if !unsafe { this.may_park_again(reply) } {
            return Err(ReplyError::NothingToAnswer);
        }
        // SAFETY: as above.
        unsafe { Reply::answer(reply) }?;
        // SAFETY: the request is live, and idle since just now.
        unsafe { Self::insert(endpoint, request, |other, own| other <= own) };
        Ok(())
    }

    /// # Safety
    /// The request is live.
    unsafe fn is_replayable(&self, request: *const Request) -> bool {
        // SAFETY: the caller's word.
        let label = unsafe { (*request).letter.label };
        self.serves(label) && self.replayable >> label & 1 != 0
    }

    /// The highest priority at which a request is parked; `None` where none is.
    ///
    /// # Safety
    /// See the crate's contract; the endpoint is not shut.
    pub unsafe fn highest_parked(&self) -> Option<u8> {
        let first = self.parked.first().cast::<Request>();
        // SAFETY: parked requests are live.
        unsafe { first.as_ref() }.map(|first| first.priority)
    }

    /// How many requests are where.
    ///
    /// # Safety
    /// See the crate's contract.
    pub unsafe fn count(&self) -> Count {
        let mut count = Count::default();
        let each = |reply: *mut Reply| {
            // SAFETY: the list hands the closure its own live nodes, which hold requests.
            match unsafe { self.may_park_again(reply) } {
                true => count.deferred += 1,
                false => count.delivered += 1,
            }
        };
        // SAFETY: the caller's word; nothing is changed.
        unsafe { self.for_each_delivered(each) };
        let mut at = self.parked.first();
        while !at.is_null() {
            count.parked += u32::from(at.cast() != self.gate);
            // SAFETY: nodes of the list are live.
            at = unsafe { self.parked.next(at) };
        }
        count
    }
}
