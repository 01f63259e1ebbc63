//! Waits that end without an answer: timeouts, deaths, endpoints that go away.

use core::ptr::with_exposed_provenance_mut;

use abi::KernelError;
use abi::kernel::{Answer, Letter};
use capability::{ObjectKind, Progress, Slot};
use ledger::{Endpoint, Receiver, Request, State};

use crate::reply::Reply;
use crate::tcb::Tcb;
use crate::{Failure, authority, scheduler};

/// Puts a failure into the inbox of a thread that receives.
pub(super) fn note_failure(thread: &Tcb, failure: Failure) {
    let Answer { status, value } = failure.into();
    note(thread, Letter::FAILURE, [status, value, 0]);
}

/// Puts a letter of the kernel's own into the inbox of a thread that receives.
pub(super) fn note(thread: &Tcb, label: u32, words: [u64; 3]) {
    let letter = Letter { label, baggage: 0, words, badge: 0, thread: 0 };
    thread.notice.set(letter);
    thread.inbox.set(thread.notice.as_ptr());
}

/// Ends a thread's wait, whatever it waits for, with a failure.
pub(crate) fn fail(thread: &Tcb, failure: Failure) {
    note_failure(thread, failure);
    scheduler::wake(thread, failure.into());
}

/// Takes back what a thread waits for in the ledger: its request, with the lease and what hangs on it, and its receive.
pub(crate) fn abandon(thread: &Tcb) {
    let request = thread.request.get();
    // SAFETY: the request is the thread's own.
    let reply = unsafe { (*request).reply() };
    // SAFETY: as above.
    unsafe { Request::cancel(request) };
    if !reply.is_null() {
        // SAFETY: the reply object held the request, so it is live.
        condemn(unsafe { Reply::of(reply) });
    }
    // SAFETY: the receiver is the thread's own.
    unsafe { Receiver::cancel(thread.receiver.get()) };
}

/// A signal came that a thread wants to hear of even in a call, unless a server has the request already.
pub(crate) fn interrupt(thread: &Tcb) {
    // SAFETY: the request is the thread's own.
    if unsafe { (*thread.request.get()).state() } == State::Parked {
        abandon(thread);
        fail(thread, KernelError::Interrupted.into());
    }
}

/// The request in a reply object died unanswered: what was retyped for it goes. The lease stays until the server has
/// answered, which it will in vain, or died.
pub(super) fn condemn(reply: &Reply) {
    // In the middle of an operation of the object layer nothing can be revoked: then it stays until the server answers.
    if authority::is_busy() {
        return;
    }
    while !reply.anchor.is_empty() {
        let progress =
            authority::with(|context| capability::revoke_all_step(context, &reply.anchor, authority::BUDGET));
        if progress != Progress::More {
            break;
        }
    }
}

/// A capability is about to leave its CNode: where it is a reply object's, the thread that received with it last is not
/// the one to hurry any more.
pub(crate) fn part(slot: &Slot) {
    if slot.is(ObjectKind::Reply) {
        // SAFETY: the capability names a live reply object.
        let reply = unsafe { Reply::at(slot.object() as usize) };
        if !reply.server().is_some_and(Tcb::is_receiving) {
            // SAFETY: as above, and nobody stands ready with it.
            unsafe { ledger::Reply::part(reply.core.get()) };
        }
    }
}

/// A reply object goes away, or its server died: the client hears of it, with the epoch of the endpoint.
pub(crate) fn release(reply: &Reply) {
    // SAFETY: an endpoint to which a reply object is bound is live.
    let epoch = unsafe { reply.endpoint().as_ref() }.map_or(0, Endpoint::epoch);
    // SAFETY: the object is live until this returns.
    let (request, receiver) = unsafe { ledger::Reply::release(reply.core.get()) };
    condemn(reply);
    if let Some(request) = request {
        // SAFETY: requests in the ledger are of live threads.
        fail(unsafe { Tcb::of_request(request) }, Failure(KernelError::ServerDied, epoch));
    }
    if let Some(receiver) = receiver {
        // SAFETY: receivers in the ledger are of live threads.
        fail(unsafe { Tcb::of_receiver(receiver) }, KernelError::Cancelled.into());
    }
}

/// An endpoint goes away: whoever waits there hears of it.
pub(crate) fn destroy_endpoint(address: usize) {
    let endpoint = with_exposed_provenance_mut::<Endpoint>(address);
    let gone = Failure::from(KernelError::EndpointGone);
    // SAFETY: requests in the ledger are of live threads.
    let request_back = |request: *mut Request| fail(unsafe { Tcb::of_request(request) }, gone);
    // SAFETY: so are receivers.
    let receiver_back = |receiver: *mut Receiver| fail(unsafe { Tcb::of_receiver(receiver) }, gone);
    // SAFETY: the endpoint's memory stays until the operation that destroys it ends.
    unsafe { Endpoint::destroy(endpoint, request_back, receiver_back) };
}

/// No reply object names a thread that ends.
pub(crate) fn forget(thread: &Tcb, reply: &Reply) {
    if reply.server().is_some_and(|server| core::ptr::eq(server, thread)) {
        // SAFETY: a thread that ends waits nowhere any more.
        unsafe { ledger::Reply::part(reply.core.get()) };
    }
}
