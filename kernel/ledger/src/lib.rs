//! The ledger: where each request is.
//!
//! A request is embedded in its caller's TCB and is in exactly one state:
//!
//! ```text
//!          call, a server waits            reply, cancel, death of the server
//!   Idle ------------------------> Delivered ------------------------------> Idle
//!     \  call, none waits                ^
//!      +-----------------> Parked -------+  receive
//!                             \------------------------> Idle   cancel, endpoint destroyed
//! ```
//!
//! Parked requests stand on their endpoint by priority, then first come. A delivered one is held by one [`Reply`] object
//! of the server and stands on the endpoint's list of delivered requests, so that the death of the server, of the
//! client or of the endpoint finds it. The state machine knows no threads, no clock and no hardware: it says who is to
//! run, and the caller makes it so.
//!
//! # Contract
//! As for [`lists`]: one CPU, interrupts off, and the pointers handed in are to live objects. An object that goes away
//! goes through [`Request::cancel`], [`Receiver::cancel`], [`Reply::release`] or [`Endpoint::destroy`] first.
#![cfg_attr(not(test), no_std)]

mod endpoint;
mod reply;
#[cfg(test)]
mod tests;

pub use endpoint::{AbiError, Called, Endpoint, LABELS, Received};
pub use reply::{Reply, ReplyError};

use core::ptr;

use lists::Link;

/// Where a request is.
#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// The thread calls nobody.
    Idle = 0,
    /// Waiting on an endpoint for a server.
    Parked = 1,
    /// Held by a reply object.
    Delivered = 2,
}

/// A request; it lives in its caller's TCB. Zeroed memory is an idle request.
#[repr(C)]
#[derive(Debug)]
pub struct Request {
    link: Link,
    endpoint: *mut Endpoint,
    reply: *mut Reply,
    state: State,
    /// Priority at the time of the call.
    pub priority: u8,
    /// Bytes of the body.
    pub body_length: u16,
    /// The label.
    pub label: u32,
    /// The three words.
    pub words: [u64; 3],
    /// Badge of the capability that was used.
    pub badge: u64,
}

impl Request {
    /// Where it is.
    #[inline(always)]
    pub fn state(&self) -> State {
        self.state
    }

    /// The reply object that holds it, null unless delivered.
    pub fn reply(&self) -> *mut Reply {
        self.reply
    }

    /// The endpoint where it waits or was taken from, null when idle.
    pub fn endpoint(&self) -> *mut Endpoint {
        self.endpoint
    }

    /// Takes the request back: it timed out, or its thread ends. The reply object that held it is free again, and
    /// a late reply finds nothing to answer.
    ///
    /// # Safety
    /// See the crate's contract.
    pub unsafe fn cancel(request: *mut Request) {
        // SAFETY: the request is live by the contract.
        let this = unsafe { &mut *request };
        if this.state == State::Idle {
            return;
        }
        // SAFETY: a request that is not idle names its live endpoint.
        let endpoint = unsafe { &mut *this.endpoint };
        let list = match this.state {
            State::Parked => &mut endpoint.parked,
            _ => {
                // SAFETY: a delivered request names the live reply that holds it.
                unsafe { (*this.reply).request = ptr::null_mut() };
                &mut endpoint.delivered
            }
        };
        // SAFETY: the request stands on the list of its state.
        unsafe { list.remove(&mut this.link) };
        this.rest();
    }

    #[inline(always)]
    fn rest(&mut self) {
        self.state = State::Idle;
        self.endpoint = ptr::null_mut();
        self.reply = ptr::null_mut();
    }
}

/// A thread that waits at an endpoint; it lives in its TCB. Zeroed memory waits nowhere.
#[repr(C)]
#[derive(Debug)]
pub struct Receiver {
    link: Link,
    endpoint: *mut Endpoint,
    /// The reply object that is to hold the next request.
    pub reply: *mut Reply,
}

impl Receiver {
    /// Whether it waits at an endpoint.
    #[inline(always)]
    pub fn is_waiting(&self) -> bool {
        !self.endpoint.is_null()
    }

    /// Stops waiting.
    ///
    /// # Safety
    /// See the crate's contract.
    pub unsafe fn cancel(receiver: *mut Receiver) {
        // SAFETY: the receiver is live by the contract.
        let this = unsafe { &mut *receiver };
        if this.is_waiting() {
            // SAFETY: a waiting receiver names its live endpoint.
            let endpoint = unsafe { &mut *this.endpoint };
            // SAFETY: it stands on the waiting list there.
            unsafe { endpoint.waiting.remove(&mut this.link) };
            this.endpoint = ptr::null_mut();
            // SAFETY: a waiting receiver names a live reply object: `Reply::release` ends the wait otherwise.
            unsafe { (*this.reply).waiting = ptr::null_mut() };
        }
    }
}
