//! An endpoint: an ABI, the threads that wait at it, and its ledger.

use core::ptr;

use lists::{Link, List};

use crate::{Receiver, Reply, ReplyError, Request, State};

/// Labels run from 0 to `LABELS - 1`: one word says which are served.
pub const LABELS: u32 = 64;

/// Why an ABI is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AbiError {
    /// The label is not below [`LABELS`].
    LabelOutOfRange,
    /// The label is not served.
    UnknownLabel,
    /// The label is served with another signature.
    WrongSignature,
}

/// Outcome of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Called {
    /// This waiting receiver has it now and is to run.
    Delivered(*mut Receiver),
    /// It waits for a server.
    Parked,
}

/// Outcome of a receive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received {
    /// This request is held by the receiver's reply object now.
    Request(*mut Request),
    /// The receiver waits.
    Waiting,
}

/// An endpoint object. Zeroed memory is an endpoint that serves no label; its first 16 bytes belong to the object
/// layer.
#[repr(C)]
#[derive(Debug)]
pub struct Endpoint {
    header: [u64; 2],
    labels: u64,
    epoch: u64,
    pub(crate) waiting: List,
    pub(crate) parked: List,
    pub(crate) delivered: List,
    signatures: [u64; LABELS as usize],
}

impl Endpoint {
    /// Serves a label with a signature from now on.
    ///
    /// # Errors
    /// [`AbiError::LabelOutOfRange`].
    pub fn serve(&mut self, label: u32, signature: u64) -> Result<(), AbiError> {
        let entry = self.signatures.get_mut(label as usize).ok_or(AbiError::LabelOutOfRange)?;
        *entry = signature;
        self.labels |= 1 << label;
        Ok(())
    }

    /// Whether the label is served with just this signature.
    ///
    /// # Errors
    /// Says which of the two does not hold.
    pub fn check(&self, label: u32, signature: u64) -> Result<(), AbiError> {
        match self.signatures.get(label as usize) {
            Some(_) if !self.serves(label) => Err(AbiError::UnknownLabel),
            Some(served) if *served == signature => Ok(()),
            Some(_) => Err(AbiError::WrongSignature),
            None => Err(AbiError::LabelOutOfRange),
        }
    }

    /// Whether the label is served.
    #[inline(always)]
    pub fn serves(&self, label: u32) -> bool {
        label < LABELS && self.labels >> label & 1 != 0
    }

    /// Counts the instances that have served it: rises each time one dies.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Sends a request: to the first waiting receiver, or onto the queue.
    ///
    /// # Safety
    /// See the crate's contract; the request is idle, and its label is served.
    #[inline(always)]
    pub unsafe fn call(endpoint: *mut Endpoint, request: *mut Request) -> Called {
        // SAFETY: the endpoint is live by the contract.
        let this = unsafe { &mut *endpoint };
        // SAFETY: so is the request.
        unsafe { (*request).endpoint = endpoint };
        // SAFETY: waiting receivers are live: they leave through `Receiver::cancel`.
        let receiver = unsafe { this.waiting.pop_front() }.cast::<Receiver>();
        if receiver.is_null() {
            // SAFETY: the request is idle, so on no list.
            unsafe { this.park(request) };
            return Called::Parked;
        }
        // SAFETY: the receiver was on the list, so it is live.
        unsafe { (*receiver).endpoint = ptr::null_mut() };
        // SAFETY: a waiting receiver names a live, free reply object, see `receive` and `Reply::release`.
        let reply = unsafe { (*receiver).reply };
        // SAFETY: as above.
        unsafe { this.deliver(request, reply) };
        Called::Delivered(receiver)
    }

    /// Takes the request of the highest priority, first come first, into the receiver's reply object, or waits.
    ///
    /// # Errors
    /// [`ReplyError::Busy`] when the reply object already holds a request or waits elsewhere.
    ///
    /// # Safety
    /// See the crate's contract; the receiver waits nowhere and its `reply` points to a live reply object.
    #[inline(always)]
    pub unsafe fn receive(endpoint: *mut Endpoint, receiver: *mut Receiver) -> Result<Received, ReplyError> {
        // SAFETY: the endpoint is live by the contract.
        let this = unsafe { &mut *endpoint };
        // SAFETY: so is the receiver.
        let reply = unsafe { (*receiver).reply };
        // SAFETY: and its reply object.
        if !unsafe { (*reply).is_free() } {
            return Err(ReplyError::Busy);
        }
        // SAFETY: parked requests are live: they leave through `Request::cancel`.
        let request = unsafe { this.parked.pop_front() }.cast::<Request>();
        if !request.is_null() {
            // SAFETY: the request left the parked list just now; the reply is free.
            unsafe { this.deliver(request, reply) };
            return Ok(Received::Request(request));
        }
        // SAFETY: the receiver waits nowhere, so its link is on no list.
        unsafe { this.waiting.push_back(receiver.cast()) };
        // SAFETY: live by the contract.
        unsafe { (*receiver).endpoint = endpoint };
        // SAFETY: the reply object is live.
        unsafe { (*reply).waiting = receiver };
        Ok(Received::Waiting)
    }

    /// The server of this endpoint died: each delivered request that `held_by_the_dead` names is taken
    /// back and handed to `answer`; parked ones stay. The epoch rises.
    ///
    /// # Safety
    /// See the crate's contract.
    pub unsafe fn server_died(
        endpoint: *mut Endpoint,
        mut held_by_the_dead: impl FnMut(*mut Reply) -> bool,
        mut answer: impl FnMut(*mut Request),
    ) {
        // SAFETY: the endpoint is live by the contract.
        let this = unsafe { &mut *endpoint };
        this.epoch += 1;
        let mut at = this.delivered.first();
        while !at.is_null() {
            let request = at.cast::<Request>();
            // SAFETY: nodes of the list are live.
            at = unsafe { this.delivered.next(at) };
            // SAFETY: as above.
            if held_by_the_dead(unsafe { (*request).reply }) {
                // SAFETY: as above; `at` was read before.
                unsafe { Request::cancel(request) };
                answer(request);
            }
        }
    }

    /// Empties an endpoint that is going away: each request, parked or delivered, and each receiver is handed back.
    ///
    /// # Safety
    /// See the crate's contract.
    pub unsafe fn destroy(
        endpoint: *mut Endpoint,
        mut request_back: impl FnMut(*mut Request),
        mut receiver_back: impl FnMut(*mut Receiver),
    ) {
        loop {
            // SAFETY: the endpoint is live until this returns.
            let this = unsafe { &mut *endpoint };
            let request = match this.parked.first() {
                first if first.is_null() => this.delivered.first(),
                first => first,
            };
            if !request.is_null() {
                // SAFETY: nodes of the lists are live.
                unsafe { Request::cancel(request.cast()) };
                request_back(request.cast());
                continue;
            }
            let receiver = this.waiting.first().cast::<Receiver>();
            if receiver.is_null() {
                return;
            }
            // SAFETY: as above.
            unsafe { Receiver::cancel(receiver) };
            receiver_back(receiver);
        }
    }

    /// The parked request that is served next, null for none.
    pub fn first_parked(&self) -> *mut Request {
        self.parked.first().cast()
    }

    /// Calls `each` with every delivered request.
    ///
    /// # Safety
    /// See the crate's contract; `each` must not change the ledger.
    pub unsafe fn for_each_delivered(&self, mut each: impl FnMut(*mut Request)) {
        let mut at: *mut Link = self.delivered.first();
        while !at.is_null() {
            each(at.cast());
            // SAFETY: nodes of the list are live.
            at = unsafe { self.delivered.next(at) };
        }
    }

    /// # Safety
    /// The request is live and on no list.
    unsafe fn park(&mut self, request: *mut Request) {
        // SAFETY: live by the caller's word.
        unsafe { (*request).state = State::Parked };
        // SAFETY: as above.
        let priority = unsafe { (*request).priority };
        // SAFETY: the list hands the closure its own live nodes.
        let later = |other: *mut Link| unsafe { (*other.cast::<Request>()).priority < priority };
        // SAFETY: on no list.
        unsafe { self.parked.insert_sorted(request.cast(), later) };
    }

    /// # Safety
    /// The request is live and on no list; the reply is live and free.
    #[inline(always)]
    unsafe fn deliver(&mut self, request: *mut Request, reply: *mut Reply) {
        // SAFETY: live by the caller's word.
        let record = unsafe { &mut *request };
        record.state = State::Delivered;
        record.reply = reply;
        // SAFETY: as above.
        unsafe { (*reply).hold(request) };
        // SAFETY: the request is on no list.
        unsafe { self.delivered.push_back(&mut record.link) };
    }
}
