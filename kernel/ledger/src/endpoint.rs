//! An endpoint: an ABI, the threads that wait at it, and its ledger.

use core::ptr;

use lists::{Link, List};

use crate::{Receiver, Replay, Reply, ReplyError, Request};

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
    pub(crate) labels: u64,
    /// Labels whose requests may be parked again by [`Endpoint::park_again`].
    pub(crate) replayable: u64,
    epoch: u64,
    /// The receiver that began to wait last.
    pub(crate) waiting: *mut Receiver,
    /// While the endpoint is shut its receivers wait here.
    pub(crate) aside: *mut Receiver,
    /// While the endpoint is shut, the first of the parked requests: nobody's, and above every priority. So whoever looks for a
    /// receiver finds none, and whoever looks for parked requests finds one, and neither asks for the gate.
    pub(crate) gate: *mut Request,
    pub(crate) parked: List,
    /// Reply objects with which its receivers stand ready, or hold requests that came from here.
    pub(crate) replies: List,
    signatures: [u64; LABELS as usize],
}

impl Endpoint {
    /// Serves a label with a signature from now on.
    ///
    /// # Errors
    /// [`AbiError::LabelOutOfRange`].
    pub fn serve(&mut self, label: u32, signature: u64, replay: Replay) -> Result<(), AbiError> {
        let entry = self.signatures.get_mut(label as usize).ok_or(AbiError::LabelOutOfRange)?;
        *entry = signature;
        self.labels |= 1 << label;
        match replay {
            Replay::Never => self.replayable &= !(1 << label),
            Replay::Unanswered => self.replayable |= 1 << label,
        }
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

    /// The labels that are served, with their signatures.
    pub fn labels(&self) -> impl Iterator<Item = (u32, u64)> {
        (0..LABELS).zip(self.signatures).filter(|(label, _)| self.serves(*label))
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

    /// The instance that served it died. Its reply objects are released one by one; parked requests stay.
    pub fn server_died(&mut self) {
        self.epoch += 1;
    }

    /// Gives a request to a receiver.
    ///
    /// # Safety
    /// See the crate's contract; the receiver is [`Endpoint::waiting`], the request is idle, and its label is served.
    #[inline(always)]
    pub unsafe fn deliver(endpoint: *mut Endpoint, receiver: *mut Receiver, request: *mut Request) {
        // SAFETY: waiting receivers are live: they leave through `Receiver::cancel`.
        let record = unsafe { &mut *receiver };
        // SAFETY: the endpoint is live by the contract.
        unsafe { (*endpoint).waiting = record.next };
        record.endpoint = ptr::null_mut();
        // SAFETY: a waiting receiver names a live, free reply object, see `receive` and `Reply::release`.
        unsafe { hold(record.reply, request) };
    }

    /// Parks a request, by its priority.
    ///
    /// # Safety
    /// See the crate's contract; the request is idle, and its label is served.
    pub unsafe fn park(endpoint: *mut Endpoint, request: *mut Request) {
        // SAFETY: the caller's word.
        unsafe { Self::insert(endpoint, request, |other, own| other < own) };
    }

    /// Parks a request before the first of those whose priority comes after its own.
    ///
    /// # Safety
    /// As for [`Endpoint::park`].
    pub(crate) unsafe fn insert(endpoint: *mut Endpoint, request: *mut Request, comes_after: fn(u8, u8) -> bool) {
        // SAFETY: the request is live by the contract.
        let priority = unsafe { (*request).priority };
        // SAFETY: as above.
        unsafe { (*request).endpoint = endpoint };
        // SAFETY: the list hands the closure its own live nodes.
        let later = |other: *mut Link| comes_after(unsafe { (*other.cast::<Request>()).priority }, priority);
        // SAFETY: the endpoint is live by the contract.
        let parked = unsafe { &mut (*endpoint).parked };
        // SAFETY: the request was idle, so on no list.
        unsafe { parked.insert_sorted(request.cast(), later) };
    }

    /// Sends a request: to a waiting receiver, or onto the queue.
    ///
    /// # Safety
    /// See the crate's contract; the request is idle, and its label is served.
    pub unsafe fn call(endpoint: *mut Endpoint, request: *mut Request) -> Called {
        // SAFETY: the endpoint is live by the contract.
        let receiver = unsafe { (*endpoint).waiting };
        if !receiver.is_null() {
            // SAFETY: the caller's word, and it is the first that waits.
            unsafe { Self::deliver(endpoint, receiver, request) };
            return Called::Delivered(receiver);
        }
        // SAFETY: the caller's word.
        unsafe { Self::park(endpoint, request) };
        Called::Parked
    }

    /// The receiver that the next request goes to, null for none.
    #[inline(always)]
    pub fn waiting(&self) -> *mut Receiver {
        self.waiting
    }

    /// Whether a request is parked, or the endpoint is shut.
    #[inline(always)]
    pub fn has_parked(&self) -> bool {
        !self.parked.is_empty()
    }

    /// A receiver waits from now on.
    ///
    /// # Safety
    /// See the crate's contract; the receiver waits nowhere, its reply object is bound to it and this endpoint and holds
    /// no request, and no request is parked here.
    #[inline(always)]
    pub unsafe fn wait(endpoint: *mut Endpoint, receiver: *mut Receiver) {
        // SAFETY: the receiver is live by the contract.
        let record = unsafe { &mut *receiver };
        record.endpoint = endpoint;
        // SAFETY: so is the endpoint.
        let first = unsafe { &mut (*endpoint).waiting };
        record.next = core::mem::replace(first, receiver);
    }

    /// Takes the request of the highest priority, first come first, into a reply object that is the receiver's from now on,
    /// or waits.
    ///
    /// # Errors
    /// [`ReplyError::Busy`] when the reply object already holds a request or waits elsewhere.
    ///
    /// # Safety
    /// See the crate's contract; the receiver waits nowhere.
    pub unsafe fn receive(
        endpoint: *mut Endpoint,
        receiver: *mut Receiver,
        reply: *mut Reply,
    ) -> Result<Received, ReplyError> {
        // SAFETY: all three are live by the contract.
        unsafe { Reply::bind(reply, endpoint, receiver) }?;
        // SAFETY: as above.
        let this = unsafe { &mut *endpoint };
        if this.is_shut() {
            // SAFETY: the receiver is live, and waits nowhere.
            let record = unsafe { &mut *receiver };
            record.endpoint = endpoint;
            record.next = core::mem::replace(&mut this.aside, receiver);
            return Ok(Received::Waiting);
        }
        // SAFETY: parked requests are live: they leave through `Request::cancel`.
        let request = unsafe { this.parked.pop_front() }.cast::<Request>();
        if request.is_null() {
            // SAFETY: bound and free, and nothing is parked.
            unsafe { Self::wait(endpoint, receiver) };
            return Ok(Received::Waiting);
        }
        // SAFETY: the request left the parked list just now.
        unsafe { (*request).endpoint = ptr::null_mut() };
        // SAFETY: the reply object is free.
        unsafe { hold(reply, request) };
        Ok(Received::Request(request))
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
        // SAFETY: the endpoint is live until this returns; nobody is served.
        unsafe { Self::unshut(endpoint) };
        loop {
            // SAFETY: the endpoint is live until this returns.
            let this = unsafe { &mut *endpoint };
            let parked = this.parked.first().cast::<Request>();
            if !parked.is_null() {
                // SAFETY: nodes of the lists are live.
                unsafe { Request::cancel(parked) };
                request_back(parked);
            } else if !this.waiting.is_null() {
                let receiver = this.waiting;
                // SAFETY: as above.
                unsafe { Receiver::cancel(receiver) };
                receiver_back(receiver);
            } else if !this.replies.is_empty() {
                let reply = Reply::of_link(this.replies.first());
                // SAFETY: as above.
                unsafe { Reply::unbind(reply) };
                // SAFETY: as above.
                if let Ok(request) = unsafe { Reply::answer(reply) } {
                    request_back(request);
                }
            } else {
                return;
            }
        }
    }

    /// Calls `each` with every reply object that holds a request from here.
    ///
    /// # Safety
    /// See the crate's contract; `each` changes no reply object.
    pub unsafe fn for_each_delivered(&self, mut each: impl FnMut(*mut Reply)) {
        let mut at: *mut Link = self.replies.first();
        while !at.is_null() {
            let reply = Reply::of_link(at);
            // SAFETY: nodes of the list are live.
            if !unsafe { (*reply).request() }.is_null() {
                each(reply);
            }
            // SAFETY: as above.
            at = unsafe { self.replies.next(at) };
        }
    }
}

/// # Safety
/// The request is live and on no list; the reply is live and free.
#[inline(always)]
unsafe fn hold(reply: *mut Reply, request: *mut Request) {
    // SAFETY: live by the caller's word.
    unsafe { (*request).reply = reply };
    // SAFETY: as above.
    unsafe { (*reply).request = request };
}
