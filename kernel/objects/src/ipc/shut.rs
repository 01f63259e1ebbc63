//! An endpoint while one server takes the place of another.

use abi::kernel::Letter;
use ledger::{Count, Endpoint, Receiver, Request};

use super::{end, transfer};
use crate::reply::Reply;
use crate::status::ok;
use crate::tcb::Tcb;
use crate::{authority, lease, scheduler};

/// Requests park from now on.
///
/// # Safety
/// The endpoint is live and not shut, and `gate`, which is zero at first, stays until it is open again or gone.
pub(crate) unsafe fn shut(endpoint: *mut Endpoint, gate: *mut Request) {
    // SAFETY: the caller's word.
    unsafe { Endpoint::shut(endpoint, gate) };
}

/// Those that wait receive what is parked.
///
/// # Safety
/// The endpoint is live.
pub(crate) unsafe fn open(endpoint: *mut Endpoint) {
    if authority::is_busy() {
        // Nothing can be lent now. A signal without bits makes a server receive again.
        let rouse = |receiver: *mut Receiver| {
            // SAFETY: receivers in the ledger are of live threads.
            let server = unsafe { Tcb::of_receiver(receiver) };
            transfer::note_signal(server, 0);
            scheduler::wake(server, ok(0));
        };
        // SAFETY: the caller's word; nothing in the closure comes back here.
        return unsafe { Endpoint::open_for_nobody(endpoint, rouse) };
    }
    let served = |receiver: *mut Receiver, request: *mut Request| {
        // SAFETY: receivers in the ledger are of live threads.
        let server = unsafe { Tcb::of_receiver(receiver) };
        // SAFETY: so are requests.
        let client = unsafe { Tcb::of_request(request) };
        // SAFETY: the request was delivered to it just now, and it waits.
        unsafe { transfer::deliver(client, server) };
        scheduler::raise_waiting(server, client.priority());
        scheduler::wake(server, ok(0));
    };
    // SAFETY: the caller's word; nothing in the closure comes back here.
    unsafe { Endpoint::open(endpoint, served) };
}

/// What a thread has received and not answered is parked again, as far as it is declared replayable.
///
/// # Safety
/// The endpoint is live.
pub(crate) unsafe fn park_again(endpoint: *mut Endpoint, server: &Tcb) {
    loop {
        // SAFETY: the caller's word.
        let at = unsafe { &*endpoint };
        let mut found = None;
        let mut look = |core: *mut ledger::Reply| {
            // SAFETY: the ledger hands out the first parts of live objects.
            let reply: &Reply = unsafe { Reply::of(core) };
            let is_its = reply.server().is_some_and(|holder| core::ptr::eq(holder, server));
            // SAFETY: it is bound there.
            let may = is_its && unsafe { at.may_park_again(core) };
            if may && found.is_none() {
                found = Some(reply);
            }
        };
        // SAFETY: the caller's word; the closure changes nothing.
        unsafe { at.for_each_delivered(&mut look) };
        let Some(reply) = found else { return };
        if let Some(client) = reply.client() {
            // SAFETY: exclusive references to the request exist within the ledger's functions alone.
            unsafe { (*client.request.get()).priority = client.priority() };
        }
        // SAFETY: it is on the endpoint's list, so it is bound there.
        if unsafe { Endpoint::park_again(endpoint, reply.core.get()) }.is_err() {
            return;
        }
        lease::finish(reply);
        end::condemn(reply);
    }
}

/// How many requests are where.
///
/// # Safety
/// The endpoint is live.
pub(crate) unsafe fn count(endpoint: *const Endpoint) -> Count {
    // SAFETY: the caller's word.
    let endpoint = unsafe { &*endpoint };
    // SAFETY: interrupts are off: nobody changes anything.
    unsafe { endpoint.count() }
}

/// A thread that receives is told to export its state. `false` where it does not receive.
pub(crate) fn ask_to_freeze(thread: &Tcb, schema: u64) -> bool {
    if !thread.is_receiving() {
        return false;
    }
    // SAFETY: the receiver is the thread's own.
    unsafe { Receiver::cancel(thread.receiver.get()) };
    end::note(thread, Letter::FREEZE, [schema, 0, 0]);
    scheduler::wake(thread, ok(0));
    true
}
