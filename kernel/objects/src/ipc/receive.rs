//! The server's side.

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
use crate::{Failure, lease, replacement, scheduler};

/// Answers with words and receives again; answers which thread is to run. The short form: the same endpoint and reply
/// object as the last time, a caller that takes words alone and has nothing hanging on its request, nobody parked, no
/// signal, no timeout, no transaction, and nobody of a higher priority than the caller.
///
/// The two look-ups are those of the last long form. They still hold while the slots that it found have the generations
/// that the tokens name, since no two fillings of slots have the same, and while the reply object names this thread.
///
/// # Safety
/// `me` is the current thread; `reception` is live, and the caller's own, until its receive returns. The
/// gate alone calls this.
pub(super) unsafe extern "C" fn reply_receive(
    status: u64,
    value: u64,
    second: u64,
    reception: *const Reception,
    _: u64,
    me: *const Tcb,
) -> *const Tcb {
    // SAFETY: the current thread is live.
    let thread = unsafe { &*me };
    // SAFETY: the caller's word.
    let given = unsafe { &*reception };
    if let Some(reply) = find_again(thread, given)
        && let Some(client) = reply.client()
        && !client.is_long.get()
        && reply.anchor.is_untouched()
        && !scheduler::is_outranked(client)
        && !thread.signalled.get()
    {
        let endpoint = reply.endpoint();
        // SAFETY: the reply object holds a request, so it is bound, to a live endpoint.
        if !unsafe { (*endpoint).has_parked() } {
            // SAFETY: the reply object is live.
            let answered = unsafe { ledger::Reply::answer(reply.core.get()) };
            debug_assert!(answered.is_ok());
            client.answer.set(Answer { status, value });
            // SAFETY: the receiver runs, so it waits nowhere; its reply object is free now, and nothing is parked.
            unsafe { Endpoint::wait(endpoint, thread.receiver.get()) };
            scheduler::lower_running(thread);
            return client;
        }
    }
    // SAFETY: as for this function.
    unsafe { reply_receive_at_length(status, value, second, reception, 0, me) }
}

/// The reply object of the last long form, if that found what this reception names, without a time limit, and if no
/// transaction came with the last request.
#[inline(always)]
fn find_again<'a>(thread: &Tcb, reception: &Reception) -> Option<&'a Reply> {
    // SAFETY: a slot of the thread's own TCB or of the CNode that it holds.
    let reply_slot = unsafe { &*thread.reply_slot.get() };
    // SAFETY: as above.
    let endpoint_slot = unsafe { &*thread.endpoint_slot.get() };
    let same = reply_slot.generation() == reception.reply.generation
        && endpoint_slot.generation() == reception.endpoint.generation
        && reception.timeout == TIMEOUT_NONE
        && thread.lent_scope.get() == 0;
    let reply = if same { thread.last_reply() } else { None };
    reply.filter(|reply| reply.server().is_some_and(|server| core::ptr::eq(server, thread)))
}

/// As [`reply_receive`], whatever has to be done for it.
///
/// # Safety
/// As for [`reply_receive`].
#[cold]
#[inline(never)]
unsafe extern "C" fn reply_receive_at_length(
    status: u64,
    value: u64,
    second: u64,
    reception: *const Reception,
    _: u64,
    me: *const Tcb,
) -> *const Tcb {
    // SAFETY: the current thread is live.
    let me = unsafe { &*me };
    // SAFETY: the caller's word.
    let reception = unsafe { &*reception };
    let client = answer(me, reception.reply, Answer { status, value }, second).ok();
    // SAFETY: the caller's word.
    match (unsafe { begin(me, reception) }, client) {
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
    // SAFETY: the caller's word.
    match unsafe { begin(me, reception) } {
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

/// Begins to receive.
///
/// # Safety
/// As for [`reply_receive`].
unsafe fn begin(me: &Tcb, reception: &Reception) -> Result<Begun, Failure> {
    let cnode = me.cnode();
    let endpoint_slot = find(cnode, reception.endpoint, ObjectKind::Endpoint, Rights::RECEIVE)?;
    let endpoint = with_exposed_provenance_mut::<Endpoint>(endpoint_slot.object() as usize);
    let reply_slot = find(cnode, reception.reply, ObjectKind::Reply, Rights::SEND)?;
    // SAFETY: the capability names a live reply object.
    let reply = unsafe { Reply::at(reply_slot.object() as usize) };
    me.lent_scope.set(0);
    if let Some(schema) = replacement::wants_copy(me) {
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
            replacement::noted_rest(me);
            scheduler::arm(me, reception.timeout);
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
    replacement::noted_reply(me);
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
    me.lent_scope.set(0);
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
