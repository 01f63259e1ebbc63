//! The server's side, but for the short form.

use core::ptr::with_exposed_provenance_mut;

use abi::KernelError;
use abi::kernel::{Answer, BODY_MAX, Letter, Reception, ReplyBody, TIMEOUT_NONE};
use abi::token::RawCap;
use capability::{ObjectKind, Rights};
use ledger::{Endpoint, Received};

use super::{end, find, transfer};
use crate::reply::Reply;
use crate::status::ok;
use crate::tcb::{Results, Tcb};
use crate::{Failure, lease, scheduler, taking_part};

/// Answers with words and receives again, for ever; answers which thread is to run: whatever the short form did not do.
///
/// # Safety
/// `me` is the current thread; `reception` is live, and the caller's own, until its receive returns. The gate alone calls this.
pub(super) unsafe extern "C" fn reply_receive(
    second: u64,
    status: u64,
    value: u64,
    reception: *const Reception,
    _: u64,
    me: *const Tcb,
) -> *const Tcb {
    // SAFETY: the current thread is live.
    let me = unsafe { &*me };
    // SAFETY: the caller's word.
    let reception = unsafe { &*reception };
    let client = answer(me, reception.reply, Answer { status, value }, second).ok();
    match (begin(me, reception, TIMEOUT_NONE), client) {
        (Ok(Begun::Waits), Some(client)) => scheduler::next_in_favour_of(client),
        (Ok(Begun::Waits), None) => scheduler::next(),
        (begun, client) => {
            if let Err(failure) = begun {
                end::note_failure(me, failure);
            }
            if let Some(client) = client {
                scheduler::ready(client);
            }
            scheduler::next_or(me)
        }
    }
}

/// Receives a request, or signals of the bound notification; answers which thread is to run.
///
/// # Safety
/// As for [`reply_receive`].
pub(super) unsafe extern "C" fn receive(
    _: u64,
    _: u64,
    _: u64,
    reception: *const Reception,
    _: u64,
    me: *const Tcb,
) -> *const Tcb {
    // SAFETY: the current thread is live.
    let me = unsafe { &*me };
    // SAFETY: the caller's word.
    let reception = unsafe { &*reception };
    match begin(me, reception, reception.timeout) {
        Ok(Begun::Waits) => scheduler::next(),
        Ok(Begun::AtHand) => scheduler::next_or(me),
        Err(failure) => {
            end::note_failure(me, failure);
            me
        }
    }
}

/// What a receive has come to.
enum Begun {
    /// A letter is in the inbox.
    AtHand,
    /// The thread waits.
    Waits,
}

/// Begins to receive, for so many nanoseconds.
fn begin(me: &Tcb, reception: &Reception, timeout: u64) -> Result<Begun, Failure> {
    let cnode = me.cnode();
    let endpoint_slot = find(cnode, reception.endpoint, ObjectKind::Endpoint, Rights::RECEIVE)?;
    let endpoint = with_exposed_provenance_mut::<Endpoint>(endpoint_slot.object() as usize);
    let reply_slot = find(cnode, reception.reply, ObjectKind::Reply, Rights::SEND)?;
    // SAFETY: the capability names a live reply object.
    let reply = unsafe { Reply::at(reply_slot.object() as usize) };
    me.set_lent_scope(0);
    if let Some(schema) = taking_part::wants_copy(me) {
        // At the priority of its last caller still: others may be parked here.
        end::note(me, Letter::FREEZE, [schema, 0, 0]);
        return Ok(Begun::AtHand);
    }
    if me.signalled.replace(false)
        // SAFETY: a notification that goes away unbinds its thread first.
        && let Some(bound) = unsafe { me.bound.get().as_ref() }
        && bound.has_bits()
    {
        transfer::note_signal(me, bound.take());
        scheduler::lower_running(me);
        return Ok(Begun::AtHand);
    }
    // SAFETY: endpoint, receiver and reply are live; the thread runs, so its receiver waits nowhere.
    let received = unsafe { Endpoint::receive(endpoint, me.receiver.get(), reply.core.get()) };
    let received = received.map_err(|_| KernelError::IllegalOperation)?;
    me.endpoint_slot.set(endpoint_slot);
    me.reply_slot.set(reply_slot);
    match received {
        Received::Request(request) => {
            // SAFETY: requests in the ledger are of live threads.
            let client = unsafe { Tcb::of_request(request) };
            // SAFETY: it was delivered to this thread's reply object just now.
            unsafe { transfer::deliver(client, me) };
            // What the last caller lent ends here: this one may be a lower one.
            scheduler::lower_running(me);
            scheduler::raise_waiting(me, client.priority());
            Ok(Begun::AtHand)
        }
        Received::Waiting => {
            taking_part::noted_rest(me);
            scheduler::arm(me, timeout);
            scheduler::lower_running(me);
            Ok(Begun::Waits)
        }
    }
}

/// Answers the request in a reply object: the client has its answer, and is to be made runnable by the caller.
fn answer<'a>(me: &Tcb, raw: RawCap, answer: Answer, second: u64) -> Result<&'a Tcb, Failure> {
    let slot = find(me.cnode(), raw, ObjectKind::Reply, Rights::SEND)?;
    // SAFETY: the capability names a live reply object.
    let reply = unsafe { Reply::at(slot.object() as usize) };
    taking_part::noted_reply(me);
    // SAFETY: as above.
    let Ok(request) = (unsafe { ledger::Reply::answer(reply.core.get()) }) else {
        // The caller gave up: nobody has use for what was lent and made for it any more.
        lease::finish(reply);
        end::condemn(reply);
        return Err(KernelError::Cancelled.into());
    };
    // SAFETY: requests in the ledger are of live threads.
    let client = unsafe { Tcb::of_request(request) };
    client.answer.set(answer);
    if client.is_long.get() {
        client.results.set(Results { second, ..Results::NONE });
        scheduler::disarm(client);
        lease::finish(reply);
    }
    transfer::settle(reply);
    Ok(client)
}

/// Answers a request, with or without a body, and goes on.
///
/// # Safety
/// `body` is null or live until this returns, and so is what it points to.
pub unsafe fn reply(status: Answer, second: u64, raw: RawCap, body: *const ReplyBody) -> Answer {
    let me = scheduler::current();
    // SAFETY: the caller's word.
    let body = unsafe { body.as_ref() };
    if body.is_some_and(|body| body.send_length > BODY_MAX) {
        return Failure(KernelError::TooLarge, BODY_MAX as u64).into();
    }
    let staged = match (body, held_client(me, raw)) {
        // SAFETY: the caller's word, and the length was checked.
        (Some(body), Some(client)) => unsafe { transfer::stage_body(client, body) },
        _ => Ok(()),
    };
    let client = match answer(me, raw, status, second) {
        Ok(answered) => answered,
        Err(failure) => return failure.into(),
    };
    match (staged, body) {
        (Err(failure), _) => client.answer.set(failure.into()),
        (Ok(()), Some(body)) => transfer::hand_body(me, client, body),
        (Ok(()), None) => {}
    }
    me.set_lent_scope(0);
    scheduler::ready(client);
    scheduler::give_way();
    ok(0)
}

/// The thread whose request a reply object holds.
fn held_client<'a>(me: &Tcb, raw: RawCap) -> Option<&'a Tcb> {
    let slot = find(me.cnode(), raw, ObjectKind::Reply, Rights::SEND).ok()?;
    // SAFETY: the capability names a live reply object.
    unsafe { Reply::at(slot.object() as usize) }.client()
}
