//! The client's side, but for the short form.

use core::ptr::{copy_nonoverlapping, with_exposed_provenance_mut};

use abi::KernelError;
use abi::kernel::{Answer, BODY_MAX, Exchange};
use abi::token::RawCap;
use capability::{ObjectKind, Rights};
use ledger::{Called, Endpoint, Request};

use super::{end, find, transfer};
use crate::reply::Reply;
use crate::tcb::{Asked, Results, Tcb};
use crate::{Failure, scheduler};

/// Calls with three words, and answers which thread is to run: whatever the short form did not do.
///
/// # Safety
/// `me` is the current thread. The gate alone calls this.
pub(super) unsafe extern "C" fn call(
    first: u64,
    second: u64,
    third: u64,
    target: u64,
    generation: u64,
    me: *const Tcb,
) -> *const Tcb {
    // SAFETY: the current thread is live.
    let me = unsafe { &*me };
    send(me, [first, second, third], target, generation, 0).unwrap_or_else(|failure| {
        me.answer.set(failure.into());
        me
    })
}

/// The token and the label that a target names.
fn split(target: u64, generation: u64) -> (RawCap, u32) {
    (RawCap { slot: target >> 32, generation }, target as u32)
}

/// Calls with a body, a Buf, a capability, a timeout.
///
/// # Safety
/// `exchange` and what it points to are live, and the caller's own, until this returns.
pub unsafe fn exchange(words: [u64; 3], target: u64, generation: u64, exchange: *mut Exchange) -> Answer {
    let me = scheduler::current();
    // SAFETY: the caller's word.
    let extra = unsafe { &mut *exchange };
    if let Err(failure) = check_extra(me, extra) {
        return failure.into();
    }
    // Where the caller's memory was taken away the copy faults, here and below: nothing is half done then.
    // SAFETY: `send` is readable for its length by the caller's word, which is at most the TCB's body.
    unsafe { copy_nonoverlapping(extra.send, me.body.get().cast::<u8>(), extra.send_length) };
    me.asked.set(Asked { buf: extra.buf, grant: extra.grant, capacity: extra.receive_capacity });
    me.results.set(Results::NONE);
    me.is_long.set(true);
    scheduler::arm(me, extra.timeout);
    let answer = match send(me, words, target, generation, extra.send_length as u16) {
        Ok(next) => {
            scheduler::switch_to(next);
            me.answer.get()
        }
        Err(failure) => {
            scheduler::disarm(me);
            failure.into()
        }
    };
    me.is_long.set(false);
    let Results { second, received, granted } = me.results.get();
    // SAFETY: `receive` has room for its capacity by the caller's word, and no more was received.
    unsafe { copy_nonoverlapping(me.body.get().cast::<u8>(), extra.receive, received) };
    (extra.second, extra.received, extra.granted) = (second, received, granted);
    answer
}

/// Lengths, and that the Buf and the capability exist: what is wrong is answered before anything was sent.
fn check_extra(me: &Tcb, extra: &Exchange) -> Result<(), Failure> {
    if extra.send_length > BODY_MAX {
        return Err(Failure(KernelError::TooLarge, BODY_MAX as u64));
    }
    if !extra.buf.is_empty() {
        let buf = find(me.cnode(), extra.buf, ObjectKind::Buf, Rights::READ)?;
        if buf.badge() == 0 {
            return Err(KernelError::IllegalOperation.into());
        }
    }
    if !extra.grant.is_empty() {
        me.cnode().lookup(extra.grant.slot as u32, extra.grant.generation)?;
    }
    Ok(())
}

/// Puts the request into the ledger. Answers which thread is to run; when this one runs again, it has its answer.
fn send(me: &Tcb, words: [u64; 3], target: u64, generation: u64, body_length: u16) -> Result<&Tcb, Failure> {
    let (raw, label) = split(target, generation);
    let slot = find(me.cnode(), raw, ObjectKind::Endpoint, Rights::SEND)?;
    let endpoint = with_exposed_provenance_mut::<Endpoint>(slot.object() as usize);
    // SAFETY: the capability names a live endpoint.
    if !unsafe { (*endpoint).serves(label) } {
        return Err(KernelError::UnknownLabel.into());
    }
    let request = me.request.get();
    // SAFETY: the request is this thread's own, and idle: the thread runs.
    let record: &mut Request = unsafe { &mut *request };
    record.priority = me.priority();
    record.body_length = body_length;
    record.letter.label = label;
    record.letter.words = words;
    record.letter.badge = slot.badge();
    // SAFETY: the endpoint is live, the request idle, the label served.
    match unsafe { Endpoint::call(endpoint, request) } {
        Called::Delivered(receiver) => {
            // SAFETY: receivers in the ledger are of live threads.
            let server = unsafe { Tcb::of_receiver(receiver) };
            // SAFETY: the request was delivered to it just now.
            unsafe { transfer::deliver(me, server) };
            scheduler::raise_waiting(server, me.priority());
            scheduler::disarm(server);
            Ok(server)
        }
        Called::Parked if me.is_interrupted() => {
            end::abandon(me);
            Err(KernelError::Interrupted.into())
        }
        Called::Parked => {
            // SAFETY: the endpoint is live.
            unsafe { lend_priority(endpoint, me.priority(), CHAIN) };
            Ok(scheduler::next())
        }
    }
}

/// How many servers that wait for each other a priority is passed along: each costs stack of the kernel.
const CHAIN: u32 = 8;

/// The threads that hold requests of this endpoint run at least at the priority of who waits behind them.
///
/// # Safety
/// The endpoint is live.
unsafe fn lend_priority(endpoint: *mut Endpoint, priority: u8, links: u32) {
    // SAFETY: the caller's word.
    let endpoint = unsafe { &*endpoint };
    // SAFETY: the ledger hands out the first parts of live objects.
    let lend = |reply: *mut ledger::Reply| hurry(unsafe { Reply::of(reply) }.server(), priority, links);
    // SAFETY: the closure changes no reply object.
    unsafe { endpoint.for_each_delivered(lend) };
}

/// A thread runs at least at a priority, and so do those for whom it waits itself.
fn hurry(thread: Option<&Tcb>, priority: u8, links: u32) {
    let Some(thread) = thread.filter(|thread| thread.priority() < priority) else { return };
    scheduler::set_priority(thread, priority);
    let Some(links) = links.checked_sub(1) else { return };
    let request = thread.request.get();
    // SAFETY: the request is the thread's own.
    let reply = unsafe { (*request).reply() };
    if !reply.is_null() {
        // SAFETY: what holds a request is the first part of a live reply object.
        return hurry(unsafe { Reply::of(reply) }.server(), priority, links);
    }
    // SAFETY: as above.
    let parked_at = unsafe { Request::hurry(request, priority) };
    if !parked_at.is_null() {
        // SAFETY: an endpoint where a request is parked is live.
        unsafe { lend_priority(parked_at, priority, links) };
    }
}
