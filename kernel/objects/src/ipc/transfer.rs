//! What travels beside the words: the transaction, bodies, lent Bufs, capabilities, signals.

use core::ptr::copy_nonoverlapping;

use abi::KernelError;
use abi::kernel::{Answer, Letter, Message, ReplyBody};
use abi::token::RawCap;
use capability::{ObjectKind, Rights};

use super::find;
use crate::reply::Reply;
use crate::tcb::Tcb;
use crate::{Failure, authority};

/// Puts a delivered request into its server's inbox, and what travels beside the words into its message.
///
/// # Safety
/// The request of `client` was delivered to a reply object with which `server` receives, and `server` does not run or
/// is the current thread.
pub(super) unsafe fn deliver(client: &Tcb, server: &Tcb) {
    // SAFETY: the request is the client's own, and the client waits.
    let request = unsafe { &mut *client.request.get() };
    server.inbox.set(&raw const request.letter);
    let scope = client.scope();
    let extra = client.exchange.get();
    request.letter.baggage = u32::from(scope != 0 || !extra.is_null());
    if request.letter.baggage == 0 {
        return;
    }
    // SAFETY: a server receives with a reception that is its own until the receive returns.
    let reception = unsafe { &*server.reception.get() };
    // SAFETY: and so is the message that it names.
    let message = unsafe { &mut *reception.message };
    message.scope = scope;
    server.lent_scope.set(scope);
    message.body_length = 0;
    message.lease_address = 0;
    message.lease_length = 0;
    message.granted = RawCap::EMPTY;
    if !extra.is_null() {
        // SAFETY: a delivered request names the live reply that holds it.
        let reply = unsafe { Reply::of(request.reply()) };
        // SAFETY: as for this function, and the exchange is live while its call waits.
        unsafe { deliver_extra(client, server, reply, message, request.body_length.into()) };
    }
}

/// # Safety
/// As [`deliver`]; the client waits in an exchange, with a body of that length.
unsafe fn deliver_extra(client: &Tcb, server: &Tcb, reply: &Reply, message: &mut Message, body_length: usize) {
    // SAFETY: the exchange lives on the stack of the client, which waits.
    let extra = unsafe { &*client.exchange.get() };
    let body = message.body.as_mut_ptr();
    // SAFETY: the length was checked against both bodies when the request was sent.
    unsafe { copy_nonoverlapping(client.body.get().cast::<u8>(), body, body_length) };
    message.body_length = body_length;
    if !extra.buf.is_empty()
        && let Ok(buf) = find(client.cnode(), extra.buf, ObjectKind::Buf, Rights::READ)
        && authority::with(|context| capability::pin(context, buf, &reply.pin, buf.rights())).is_ok()
    {
        message.lease_address = buf.badge() as usize;
        message.lease_length = buf.object_bytes() as usize;
    }
    if !extra.grant.is_empty() {
        message.granted = hand_over(client, server, extra.grant);
    }
}

/// Moves a capability between CNodes. Where the receiver has no slot free, it stays and nothing is granted.
fn hand_over(from: &Tcb, to: &Tcb, what: RawCap) -> RawCap {
    let moved = from.cnode().lookup(what.slot as u32, what.generation).map_err(Failure::from).and_then(|source| {
        let destination = to.cnode().vacant()?;
        super::part(source);
        authority::with(|context| capability::move_(context, source, destination))?;
        Ok(RawCap { slot: destination.index().into(), generation: destination.generation() })
    });
    moved.unwrap_or(RawCap::EMPTY)
}

/// Puts signals into a receiving thread's inbox.
pub(crate) fn note_signal(thread: &Tcb, bits: u64) {
    let letter = Letter { label: Letter::NOTIFICATION, baggage: 0, words: [bits, 0, 0], badge: 0, thread: 0 };
    thread.notice.set(letter);
    thread.inbox.set(thread.notice.as_ptr());
}

/// Ends the lease of the Buf that was lent with a request.
pub(crate) fn finish_lease(reply: &Reply) {
    if !reply.pin.is_empty() {
        // The slot is filled, and pins alone are put there: this cannot fail.
        let unpinned = authority::with(|context| capability::unpin(context, &reply.pin));
        if unpinned.is_err() {
            x86::bug!("the pin of a reply object holds something else");
        }
    }
}

/// What was made for an answered request stays.
pub(super) fn settle(reply: &Reply) {
    if !reply.anchor.is_empty() {
        authority::with(|context| capability::settle(context, &reply.anchor));
    }
}

/// Hands the body of a reply over, as far as the client has room for it.
///
/// # Safety
/// The client waits, its request was answered just now, and `body` points to readable bytes.
pub(super) unsafe fn reply_body(me: &Tcb, client: &Tcb, body: &ReplyBody) {
    let too_large: Answer = Failure(KernelError::TooLarge, body.send_length as u64).into();
    // SAFETY: the exchange lives on the stack of the client, which waits.
    let Some(extra) = (unsafe { client.exchange.get().as_mut() }) else {
        if body.send_length != 0 || !body.grant.is_empty() {
            client.answer.set(too_large);
        }
        return;
    };
    if body.send_length > extra.receive_capacity {
        client.answer.set(too_large);
        return;
    }
    // SAFETY: both ends are live for the length, which was checked against each.
    unsafe { copy_nonoverlapping(body.send, extra.receive, body.send_length) };
    extra.received = body.send_length;
    if !body.grant.is_empty() {
        extra.granted = hand_over(me, client, body.grant);
        if extra.granted.is_empty() {
            client.answer.set(Failure(KernelError::TableFull, 0).into());
        }
    }
}
