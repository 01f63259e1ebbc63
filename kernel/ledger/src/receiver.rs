//! A thread that receives.

use crate::{Endpoint, Reply};

/// A thread that waits at an endpoint; it lives in its TCB. Zeroed memory waits nowhere.
#[repr(C)]
#[derive(Debug)]
pub struct Receiver {
    /// The one that waited at the endpoint before it.
    pub(crate) next: *mut Receiver,
    /// Where it waits, null otherwise.
    pub(crate) endpoint: *mut Endpoint,
    pub(crate) reply: *mut Reply,
}

impl Receiver {
    /// Whether it waits at an endpoint.
    #[inline(always)]
    pub fn is_waiting(&self) -> bool {
        !self.endpoint.is_null()
    }

    /// The reply object that is to hold its next request, or was given the last one; null for none.
    #[inline(always)]
    pub fn reply(&self) -> *mut Reply {
        self.reply
    }

    /// Stops waiting: costs a step for each receiver that began to wait there after it.
    ///
    /// # Safety
    /// See the crate's contract.
    pub unsafe fn cancel(receiver: *mut Receiver) {
        // SAFETY: the receiver is live by the contract.
        let this = unsafe { &mut *receiver };
        let (endpoint, next) = (core::mem::take(&mut this.endpoint), this.next);
        if endpoint.is_null() {
            return;
        }
        // SAFETY: a waiting receiver names its live endpoint.
        let mut at: *mut *mut Receiver = unsafe { &mut *endpoint }.receivers();
        loop {
            // SAFETY: `at` is the head of the stack or the link of a live waiting receiver.
            let here = unsafe { *at };
            if here.is_null() {
                return;
            }
            if here == receiver {
                // SAFETY: as above.
                unsafe { *at = next };
                return;
            }
            // SAFETY: waiting receivers are live: they leave through this function.
            at = unsafe { &raw mut (*here).next };
        }
    }
}
