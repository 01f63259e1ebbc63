//! A reply object: one-shot authority to answer the request that it holds.

use core::ptr;

use crate::{Receiver, Request, State};

/// Why a reply object cannot be used so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplyError {
    /// It holds a request, or stands ready for one at another endpoint.
    Busy,
    /// It holds no request: answered already, or the caller gave up.
    NothingToAnswer,
}

/// A reply object. Zeroed memory is a free one; its first 16 bytes belong to the object layer.
#[repr(C)]
#[derive(Debug)]
pub struct Reply {
    header: [u64; 2],
    pub(crate) request: *mut Request,
    pub(crate) waiting: *mut Receiver,
    /// Whoever holds it, for the caller's use: the thread that received the request.
    pub holder: usize,
}

impl Reply {
    /// The request that it holds, null for none.
    #[inline(always)]
    pub fn request(&self) -> *mut Request {
        self.request
    }

    /// Whether a receiver may stand ready with it.
    #[inline(always)]
    pub(crate) fn is_free(&self) -> bool {
        self.request.is_null() && self.waiting.is_null()
    }

    #[inline(always)]
    pub(crate) fn hold(&mut self, request: *mut Request) {
        self.request = request;
        self.waiting = ptr::null_mut();
    }

    /// Takes the request out, to be answered.
    ///
    /// # Errors
    /// [`ReplyError::NothingToAnswer`]: a late reply is harmless.
    ///
    /// # Safety
    /// See the crate's contract.
    #[inline(always)]
    pub unsafe fn answer(reply: *mut Reply) -> Result<*mut Request, ReplyError> {
        // SAFETY: the reply is live by the contract.
        let this = unsafe { &mut *reply };
        let request = this.request;
        if request.is_null() {
            return Err(ReplyError::NothingToAnswer);
        }
        this.request = ptr::null_mut();
        // SAFETY: a held request is live: it leaves through `Request::cancel`.
        let record = unsafe { &mut *request };
        debug_assert!(record.state == State::Delivered);
        // SAFETY: a delivered request names its live endpoint.
        let endpoint = unsafe { &mut *record.endpoint };
        // SAFETY: it stands on the delivered list there.
        unsafe { endpoint.delivered.remove(&mut record.link) };
        record.rest();
        Ok(request)
    }

    /// Empties a reply object that is going away: the request that it held is handed back unanswered, and the receiver
    /// that stood ready with it stops waiting.
    ///
    /// # Safety
    /// See the crate's contract.
    pub unsafe fn release(reply: *mut Reply) -> (Option<*mut Request>, Option<*mut Receiver>) {
        // SAFETY: the reply is live by the contract.
        let request = unsafe { Self::answer(reply) }.ok();
        // SAFETY: as above.
        let receiver = unsafe { (*reply).waiting };
        if receiver.is_null() {
            return (request, None);
        }
        // SAFETY: a receiver named here waits and is live: it clears the name when it stops waiting.
        unsafe { Receiver::cancel(receiver) };
        (request, Some(receiver))
    }
}
