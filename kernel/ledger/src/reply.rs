//! A reply object: one-shot authority to answer the request that it holds.

use core::ptr;

use lists::Link;

use crate::{Endpoint, Receiver, Request};

/// Why a reply object cannot be used so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplyError {
    /// It holds a request, or another receiver stands ready with it.
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
    /// The endpoint that it is bound to, null for none.
    pub(crate) endpoint: *mut Endpoint,
    /// Who stood ready with it last, null once that is forgotten.
    pub(crate) receiver: *mut Receiver,
    /// On the endpoint's list of reply objects while bound.
    link: Link,
}

impl Reply {
    /// The request that it holds, null for none.
    #[inline(always)]
    pub fn request(&self) -> *mut Request {
        self.request
    }

    /// The endpoint that it is bound to: where its request came from, null for none.
    #[inline(always)]
    pub fn endpoint(&self) -> *mut Endpoint {
        self.endpoint
    }

    /// The receiver that stood ready with it last and so has its request, null once that is forgotten.
    #[inline(always)]
    pub fn receiver(&self) -> *mut Receiver {
        self.receiver
    }

    /// The reply object whose link on an endpoint's list this is.
    pub(crate) fn of_link(link: *mut Link) -> *mut Reply {
        link.wrapping_byte_sub(core::mem::offset_of!(Reply, link)).cast()
    }

    /// Makes it that of a receiver at an endpoint.
    ///
    /// # Errors
    /// [`ReplyError::Busy`] when it holds a request or another receiver stands ready with it.
    ///
    /// # Safety
    /// See the crate's contract; the receiver waits nowhere.
    pub(crate) unsafe fn bind(
        reply: *mut Reply,
        endpoint: *mut Endpoint,
        receiver: *mut Receiver,
    ) -> Result<(), ReplyError> {
        // SAFETY: the reply is live by the contract.
        let this = unsafe { &mut *reply };
        if !this.request.is_null() {
            return Err(ReplyError::Busy);
        }
        if this.receiver == receiver && this.endpoint == endpoint {
            // SAFETY: the receiver is live by the contract.
            unsafe { (*receiver).reply = reply };
            return Ok(());
        }
        // SAFETY: a reply object names live receivers alone.
        if unsafe { Self::stands_ready(reply) } {
            return Err(ReplyError::Busy);
        }
        // SAFETY: as for this function.
        unsafe { Self::unbind(reply) };
        // SAFETY: as above.
        unsafe { Self::part(reply) };
        // SAFETY: the receiver is live by the contract. It may be the one that was parted from just now.
        unsafe { (*receiver).reply = reply };
        this.receiver = receiver;
        this.endpoint = endpoint;
        // SAFETY: the endpoint is live by the contract.
        let endpoint = unsafe { &mut *endpoint };
        // SAFETY: unbound, so on no list.
        unsafe { endpoint.replies.push_back(&mut this.link) };
        Ok(())
    }

    /// Whether its receiver waits with it.
    ///
    /// # Safety
    /// See the crate's contract.
    unsafe fn stands_ready(reply: *mut Reply) -> bool {
        // SAFETY: the reply is live by the contract.
        let receiver = unsafe { (*reply).receiver };
        // SAFETY: a reply object names live receivers alone.
        unsafe { receiver.as_ref() }.is_some_and(|receiver| receiver.is_waiting() && receiver.reply == reply)
    }

    /// Takes it off its endpoint's list.
    ///
    /// # Safety
    /// See the crate's contract.
    pub(crate) unsafe fn unbind(reply: *mut Reply) {
        // SAFETY: the reply is live by the contract.
        let this = unsafe { &mut *reply };
        // SAFETY: a bound reply object names its live endpoint.
        if let Some(endpoint) = unsafe { this.endpoint.as_mut() } {
            // SAFETY: it stands on the list there.
            unsafe { endpoint.replies.remove(&mut this.link) };
            this.endpoint = ptr::null_mut();
        }
    }

    /// Reply object and receiver forget each other: the receiver goes away, or the object comes to other hands. Answers
    /// who it was.
    ///
    /// # Safety
    /// See the crate's contract; the receiver does not stand ready with it.
    pub unsafe fn part(reply: *mut Reply) -> *mut Receiver {
        // SAFETY: the reply is live by the contract.
        let this = unsafe { &mut *reply };
        let receiver = core::mem::take(&mut this.receiver);
        // SAFETY: a receiver named by a reply object is live.
        if let Some(receiver) = unsafe { receiver.as_mut() }
            && receiver.reply == reply
        {
            receiver.reply = ptr::null_mut();
        }
        receiver
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
        let request = unsafe { (*reply).request };
        if request.is_null() {
            return Err(ReplyError::NothingToAnswer);
        }
        // SAFETY: as above.
        unsafe { (*reply).request = ptr::null_mut() };
        // SAFETY: a held request is live: it leaves through `Request::cancel`.
        unsafe { (*request).reply = ptr::null_mut() };
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
        let stands_ready = unsafe { Self::stands_ready(reply) };
        // SAFETY: as above.
        let receiver = unsafe { (*reply).receiver };
        if stands_ready {
            // SAFETY: a receiver named by a reply object is live.
            unsafe { Receiver::cancel(receiver) };
        }
        // SAFETY: it does not stand ready any more.
        unsafe { Self::part(reply) };
        // SAFETY: as above.
        unsafe { Self::unbind(reply) };
        (request, stands_ready.then_some(receiver))
    }
}
