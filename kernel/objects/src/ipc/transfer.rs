//! What travels beside the words: the transaction, bodies, lent Bufs, capabilities, signals.

use core::ptr::copy_nonoverlapping;

use abi::KernelError;
use abi::kernel::{Letter, Message, ReplyBody};
use abi::token::RawCap;
use capability::{ObjectKind, Rights};

use super::find;
use crate::reply::Reply;
use crate::tcb::{Parcel, Results, Tcb};
use crate::{Failure, authority, lease, scheduler};

/// Puts a delivered request into its server's inbox, and what travels beside the words into its parcel. No memory of either
/// cell is touched: each fetches its own when it runs.
///
/// # Safety
/// The request of `client` was delivered to a reply object with which `server` receives, and `server` does not run or
/// is the current thread.
pub(super) unsafe fn deliver(client: &Tcb, server: &Tcb) {
    // SAFETY: the request is the client's own, and the client waits.
    let request = unsafe { &mut *client.request.get() };
    server.inbox.set(&raw const request.letter);
    let (scope, is_long) = (client.scope(), client.is_long.get());
    request.letter.baggage = u32::from(scope != 0 || is_long);
    if request.letter.baggage == 0 {
        return;
    }
    let mut parcel = Parcel { scope, ..Parcel::EMPTY };
    server.set_lent_scope(scope);
    if is_long {
        // SAFETY: a delivered request names the live reply that holds it.
        let reply = unsafe { Reply::of(request.reply()) };
        fill_parcel(client, server, reply, &mut parcel);
    }
    server.parcel.set(parcel);
}

/// Lends the Buf and moves the capability of a long call.
fn fill_parcel(client: &Tcb, server: &Tcb, reply: &Reply, parcel: &mut Parcel) {
    let asked = client.asked.get();
    if !asked.buf.is_empty()
        && let Ok(buf) = find(client.cnode(), asked.buf, ObjectKind::Buf, Rights::READ)
        && buf.badge() != 0
        && authority::with(|context| capability::pin(context, buf, &reply.pin, buf.rights())).is_ok()
    {
        lease::begin(reply, buf);
        parcel.lease_address = buf.badge() as usize;
        parcel.lease_length = buf.object_bytes() as usize;
    }
    if !asked.grant.is_empty() {
        parcel.granted = hand_over(client, server, asked.grant);
    }
}

/// Brings what came beside the words of the request that the current thread received last.
///
/// # Safety
/// `message` is live, and the caller's own, until this returns.
pub unsafe fn fetch(message: *mut Message) {
    let me = scheduler::current();
    // SAFETY: the caller's word.
    let message = unsafe { &mut *message };
    let Parcel { scope, lease_address, lease_length, granted } = me.parcel.get();
    (message.scope, message.lease_address, message.lease_length) = (scope, lease_address, lease_length);
    message.granted = granted;
    message.body_length = 0;
    me.parcel.set(Parcel::EMPTY);
    // A caller that gave up meanwhile has no body any more.
    if let Some(client) = me.serving().and_then(Reply::client)
        && client.is_long.get()
    {
        // SAFETY: exclusive references to the request exist within the ledger's functions alone.
        let length = unsafe { (*client.request.get()).body_length }.into();
        // SAFETY: both bodies have room for any length that a request has, and the message is the caller's.
        unsafe { copy_nonoverlapping(client.body.get().cast::<u8>(), message.body.as_mut_ptr(), length) };
        message.body_length = length;
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

/// What was made for an answered request stays.
pub(super) fn settle(reply: &Reply) {
    if !reply.anchor.is_empty() {
        authority::with(|context| capability::settle(context, &reply.anchor));
    }
}

/// Puts the body of a reply where the client finds it. Where the caller's memory was taken away the copy faults: nothing is half
/// done then.
///
/// # Errors
/// `TooLarge` where the client has less room, or none.
///
/// # Safety
/// The request of `client` is delivered, and `body` points to readable bytes, at most as many as a TCB's body has.
pub(super) unsafe fn stage_body(client: &Tcb, body: &ReplyBody) -> Result<(), Failure> {
    let room = if client.is_long.get() { client.asked.get().capacity } else { 0 };
    let has_grant = !body.grant.is_empty();
    if body.send_length > room || has_grant && !client.is_long.get() {
        return Err(Failure(KernelError::TooLarge, body.send_length as u64));
    }
    // SAFETY: the caller's word; the client waits, so that nothing else touches its body.
    unsafe { copy_nonoverlapping(body.send, client.body.get().cast::<u8>(), body.send_length) };
    Ok(())
}

/// Hands over what was staged, and the capability.
pub(super) fn hand_body(me: &Tcb, client: &Tcb, body: &ReplyBody) {
    let mut results = Results { received: body.send_length, ..client.results.get() };
    if !body.grant.is_empty() {
        results.granted = hand_over(me, client, body.grant);
        if results.granted.is_empty() {
            client.answer.set(Failure(KernelError::TableFull, 0).into());
        }
    }
    client.results.set(results);
}
