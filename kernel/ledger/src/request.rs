//! A request: what is asked, and where it is.

use core::ptr;

use abi::kernel::Letter;
use lists::Link;

use crate::{Endpoint, Reply};

/// Where a request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// The thread calls nobody.
    Idle,
    /// Waiting on an endpoint for a server.
    Parked,
    /// Held by a reply object.
    Delivered,
}

/// A request; it lives in its caller's TCB. Zeroed memory is an idle request.
#[repr(C)]
#[derive(Debug)]
pub struct Request {
    /// On the endpoint's list while parked.
    pub(crate) link: Link,
    /// Where it is parked, null otherwise.
    pub(crate) endpoint: *mut Endpoint,
    /// What holds it, null unless delivered.
    pub(crate) reply: *mut Reply,
    /// What the server is told; its thread is set once, by the owner.
    pub letter: Letter,
    /// Priority at which it is parked.
    pub priority: u8,
    /// Bytes of the body.
    pub body_length: u16,
}

impl Request {
    /// Where it is.
    pub fn state(&self) -> State {
        match (self.endpoint.is_null(), self.reply.is_null()) {
            (true, true) => State::Idle,
            (false, _) => State::Parked,
            (true, false) => State::Delivered,
        }
    }

    /// The reply object that holds it, null unless delivered.
    pub fn reply(&self) -> *mut Reply {
        self.reply
    }

    /// A request that is parked waits by another priority from now on, behind those that have it already; answers where that
    /// is, null for one that is not parked.
    ///
    /// # Safety
    /// See the crate's contract.
    pub unsafe fn hurry(request: *mut Request, priority: u8) -> *mut Endpoint {
        // SAFETY: the request is live by the contract.
        let this = unsafe { &mut *request };
        // SAFETY: a parked request names its live endpoint.
        let Some(endpoint) = (unsafe { this.endpoint.as_mut() }) else { return ptr::null_mut() };
        // SAFETY: it stands on the list of parked ones there.
        unsafe { endpoint.parked.remove(&mut this.link) };
        this.priority = priority;
        // SAFETY: the endpoint is live, and the request on no list.
        unsafe { Endpoint::park(endpoint, request) };
        endpoint
    }

    /// Takes the request back: it timed out, or its thread ends. The reply object that held it is free again, and
    /// a late reply finds nothing to answer.
    ///
    /// # Safety
    /// See the crate's contract.
    pub unsafe fn cancel(request: *mut Request) {
        // SAFETY: the request is live by the contract.
        let this = unsafe { &mut *request };
        // SAFETY: a parked request names its live endpoint.
        if let Some(endpoint) = unsafe { this.endpoint.as_mut() } {
            // SAFETY: it stands on the list of parked ones there.
            unsafe { endpoint.parked.remove(&mut this.link) };
            this.endpoint = ptr::null_mut();
        }
        // SAFETY: a delivered request names the live reply that holds it.
        if let Some(reply) = unsafe { this.reply.as_mut() } {
            reply.request = ptr::null_mut();
            this.reply = ptr::null_mut();
        }
    }
}
