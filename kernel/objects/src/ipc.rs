//! Call, receive and reply: the hot path.
//!
//! What each call checks, in order: the slot and generation of the token, the kind, the right to call, the label. Then
//! the ledger takes the request. Where a server waits it is switched to directly, at the priority of its caller if that is
//! the higher one, on the rest of the caller's time slice and with the caller's transaction; the run queue is not
//! touched. A reply that is followed by a receive switches back in the same way.
//!
//! The three words stay in the request, which lies in the caller's TCB; so does the body. Nothing is allocated.

use core::ptr::{copy_nonoverlapping, null};

use abi::KernelError;
use abi::kernel::{Answer, BODY_MAX, Exchange, Message, Reception, ReplyBody};
use abi::token::RawCap;
use capability::{CNode, ObjectKind, Rights, Slot};
use ledger::{Called, Endpoint, Received, Receiver, Request};

use crate::reply::Reply;
use crate::status::ok;
use crate::tcb::{State, Tcb};
use crate::{Failure, authority, notification, scheduler};

/// The slot of a token, if it is of a kind and has a right.
#[inline(always)]
pub(crate) fn find(cnode: CNode<'_>, raw: RawCap, kind: ObjectKind, rights: Rights) -> Result<&Slot, Failure> {
    let slot = cnode.lookup(raw.slot as u32, raw.generation)?;
    if !slot.is(kind) {
        return Err(KernelError::WrongKind.into());
    }
    if !slot.rights().contains(rights) {
        return Err(KernelError::MissingRight.into());
    }
    Ok(slot)
}

/// Calls with three words.
#[inline(always)]
pub fn call(words: [u64; 3], target: u64, generation: u64) -> Answer {
    let me = scheduler::current();
    match send(me, words, target, generation, 0) {
        Ok(()) => me.answer.get(),
        Err(failure) => failure.into(),
    }
}

/// Calls with a body, a Buf, a capability, a timeout.
///
/// # Safety
/// `exchange` and what it points to are live, and the caller's own, until this returns.
pub unsafe fn exchange(words: [u64; 3], target: u64, generation: u64, exchange: *mut Exchange) -> Answer {
    let me = scheduler::current();
    // SAFETY: the caller's word.
    let extra = unsafe { &mut *exchange };
    let prepared = check_extra(me, extra);
    if let Err(failure) = prepared {
        return failure.into();
    }
    let body = me.body.get().cast::<u8>();
    // SAFETY: `send` is readable for its length by the caller's word, which is at most the TCB's body.
    unsafe { copy_nonoverlapping(extra.send, body, extra.send_length) };
    me.exchange.set(exchange);
    scheduler::arm(me, extra.timeout);
    let answer = match send(me, words, target, generation, extra.send_length as u16) {
        Ok(()) => me.answer.get(),
        Err(failure) => {
            scheduler::disarm(me);
            failure.into()
        }
    };
    me.exchange.set(core::ptr::null_mut());
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

/// Puts the request into the ledger and waits; the answer stands in the TCB afterwards.
#[inline(always)]
fn send(me: &Tcb, words: [u64; 3], target: u64, generation: u64, body_length: u16) -> Result<(), Failure> {
    let raw = RawCap { slot: u64::from(target as u32), generation };
    let label = (target >> 32) as u32;
    let slot = find(me.cnode(), raw, ObjectKind::Endpoint, Rights::SEND)?;
    let endpoint = core::ptr::with_exposed_provenance_mut::<Endpoint>(slot.object() as usize);
    // SAFETY: the capability names a live endpoint.
    if !unsafe { (*endpoint).serves(label) } {
        return Err(KernelError::UnknownLabel.into());
    }
    let request = me.request.get();
    // SAFETY: the request is this thread's own, and idle: the thread runs.
    let record = unsafe { &mut *request };
    record.priority = me.priority();
    record.body_length = body_length;
    record.label = label;
    record.words = words;
    record.badge = slot.badge();
    me.state.set(State::Waiting);
    // SAFETY: the endpoint is live, the request idle, the label served.
    match unsafe { Endpoint::call(endpoint, request) } {
        Called::Delivered(receiver) => {
            // SAFETY: receivers in the ledger are of live threads.
            let server = unsafe { Tcb::of_receiver(receiver) };
            // SAFETY: the request was delivered to it just now.
            unsafe { deliver(me, server) };
            server.answer.set(ok(0));
            if server.priority() < me.priority() {
                scheduler::set_priority(server, me.priority());
            }
            scheduler::disarm(server);
            server.state.set(State::Runnable);
            scheduler::switch_to(server);
        }
        Called::Parked => {
            // SAFETY: the endpoint is live.
            unsafe { lend_priority(endpoint, me.priority()) };
            scheduler::block();
        }
    }
    Ok(())
}

/// The threads that hold requests of this endpoint run at least at the priority of who waits behind them.
///
/// # Safety
/// The endpoint is live.
unsafe fn lend_priority(endpoint: *mut Endpoint, priority: u8) {
    // SAFETY: the caller's word.
    let endpoint = unsafe { &*endpoint };
    let lend = |request: *mut Request| {
        if let Some(thread) = holder_of(request).filter(|thread| thread.priority() < priority) {
            scheduler::set_priority(thread, priority);
        }
    };
    // SAFETY: the closure changes no ledger.
    unsafe { endpoint.for_each_delivered(lend) };
}

/// The thread that holds a delivered request.
fn holder_of<'a>(request: *mut Request) -> Option<&'a Tcb> {
    // SAFETY: the ledger hands out live requests.
    let reply = unsafe { (*request).reply() };
    // SAFETY: a delivered request names the live reply object that holds it.
    let holder = unsafe { reply.as_ref() }?.holder;
    // SAFETY: a thread that ends releases its reply objects, so the holder is live.
    (holder != 0).then(|| unsafe { Tcb::at(holder) })
}

/// Writes a delivered request into its server's message, with what travels beside the words.
///
/// # Safety
/// The request of `client` was delivered to a reply object with which `server` receives, and `server` does not run or
/// is the current thread.
#[inline(always)]
unsafe fn deliver(client: &Tcb, server: &Tcb) {
    // SAFETY: the request is the client's own and idle hands alone change it.
    let request = unsafe { &*client.request.get() };
    // SAFETY: a delivered request names the live reply that holds it.
    let reply = unsafe { Reply::of(request.reply()) };
    // SAFETY: the ledger is not running.
    unsafe { (*reply.core.get()).holder = server.address() };
    server.serving.set(core::ptr::from_ref(reply).expose_provenance());
    // SAFETY: a server receives with a message that is its own until the receive returns.
    let message = unsafe { &mut *server.message.get() };
    message.label = request.label;
    message.words = request.words;
    message.badge = request.badge;
    message.thread = client.identity.get();
    message.body_length = request.body_length.into();
    message.lease_address = 0;
    message.lease_length = 0;
    message.granted = RawCap::EMPTY;
    let scope = client.scope();
    message.scope = scope.map_or(0, crate::scope::Scope::identity);
    server.lent_scope.set(scope.map_or(null(), core::ptr::from_ref));
    if !client.exchange.get().is_null() {
        // SAFETY: as for this function, and the exchange is live while its call waits.
        unsafe { deliver_extra(client, server, reply, message) };
    }
}

/// # Safety
/// As [`deliver`]; the client waits in an exchange.
unsafe fn deliver_extra(client: &Tcb, server: &Tcb, reply: &Reply, message: &mut Message) {
    // SAFETY: the exchange lives on the stack of the client, which waits.
    let extra = unsafe { &*client.exchange.get() };
    let body = message.body.as_mut_ptr();
    // SAFETY: the length was checked against both bodies when the request was sent.
    unsafe { copy_nonoverlapping(client.body.get().cast::<u8>(), body, message.body_length as usize) };
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
        authority::with(|context| capability::move_(context, source, destination))?;
        Ok(RawCap { slot: destination.index().into(), generation: destination.generation() })
    });
    moved.unwrap_or(RawCap::EMPTY)
}

/// Receives a request, or a signal of the bound notification.
///
/// # Safety
/// `message` is live, and the caller's own, until this returns.
#[inline(always)]
pub unsafe fn receive(reception: &Reception, message: *mut Message) -> Answer {
    let me = scheduler::current();
    // SAFETY: the caller's word.
    match unsafe { begin_receive(me, reception, message) } {
        Ok(Some(())) => ok(0),
        Ok(None) => {
            scheduler::arm(me, reception.timeout);
            scheduler::set_priority(me, me.base_priority.get());
            scheduler::block();
            me.answer.get()
        }
        Err(failure) => failure.into(),
    }
}

/// `Some` where a request or signal stands in the message, `None` where the thread has to wait.
///
/// # Safety
/// As [`receive`].
#[inline(always)]
unsafe fn begin_receive(me: &Tcb, reception: &Reception, message: *mut Message) -> Result<Option<()>, Failure> {
    let cnode = me.cnode();
    let endpoint = find(cnode, reception.endpoint, ObjectKind::Endpoint, Rights::RECEIVE)?;
    let endpoint = core::ptr::with_exposed_provenance_mut::<Endpoint>(endpoint.object() as usize);
    let reply = find(cnode, reception.reply, ObjectKind::Reply, Rights::SEND)?;
    // SAFETY: the capability names a live reply object.
    let reply = unsafe { Reply::at(reply.object() as usize) };
    me.message.set(message);
    me.lent_scope.set(null());
    // SAFETY: a notification that goes away unbinds its thread first.
    if let Some(bound) = unsafe { me.bound.get().as_ref() }
        && bound.has_bits()
    {
        notification::deliver(me, bound.take());
        return Ok(Some(()));
    }
    let receiver = me.receiver.get();
    // SAFETY: the receiver is this thread's own, and waits nowhere: the thread runs.
    unsafe { (*receiver).reply = reply.core.get() };
    // SAFETY: endpoint, receiver and reply are live.
    match unsafe { Endpoint::receive(endpoint, receiver) } {
        Ok(Received::Request(request)) => {
            // SAFETY: requests in the ledger are of live threads.
            let client = unsafe { Tcb::of_request(request) };
            if me.priority() < client.priority() {
                scheduler::set_priority(me, client.priority());
            }
            // SAFETY: it was delivered to this thread's reply object just now.
            unsafe { deliver(client, me) };
            Ok(Some(()))
        }
        Ok(Received::Waiting) => {
            me.state.set(State::Waiting);
            Ok(None)
        }
        Err(_) => Err(KernelError::IllegalOperation.into()),
    }
}

/// Answers the request in a reply object: the client has its answer, and is to be made runnable by the caller.
#[inline(always)]
fn answer<'a>(me: &Tcb, raw: RawCap, answer: Answer, second: u64) -> Result<(&'a Tcb, &'a Reply), Failure> {
    let slot = find(me.cnode(), raw, ObjectKind::Reply, Rights::SEND)?;
    // SAFETY: the capability names a live reply object.
    let reply = unsafe { Reply::at(slot.object() as usize) };
    // SAFETY: as above.
    let request = unsafe { ledger::Reply::answer(reply.core.get()) };
    let request = request.map_err(|_| Failure(KernelError::Cancelled, 0))?;
    // SAFETY: requests in the ledger are of live threads.
    let client = unsafe { Tcb::of_request(request) };
    client.answer.set(answer);
    // SAFETY: the exchange lives on the stack of the client, which waits.
    if let Some(extra) = unsafe { client.exchange.get().as_mut() } {
        extra.second = second;
        scheduler::disarm(client);
        finish_lease(reply);
    }
    if !reply.anchor.is_empty() {
        authority::with(|context| capability::settle(context, &reply.anchor));
    }
    if me.serving.get() == slot.object() as usize {
        me.serving.set(0);
    }
    Ok((client, reply))
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
    let (client, _) = match answer(me, raw, status, second) {
        Ok(answered) => answered,
        Err(failure) => return failure.into(),
    };
    if let Some(body) = body {
        // SAFETY: `body` is live by the caller's word, and the client waits.
        unsafe { reply_body(me, client, body) };
    }
    me.lent_scope.set(null());
    scheduler::ready(client);
    scheduler::give_way();
    ok(0)
}

/// # Safety
/// The client waits, its request was answered just now, and `body` points to readable bytes.
unsafe fn reply_body(me: &Tcb, client: &Tcb, body: &ReplyBody) {
    // SAFETY: the exchange lives on the stack of the client, which waits.
    let Some(extra) = (unsafe { client.exchange.get().as_mut() }) else {
        if body.send_length != 0 || !body.grant.is_empty() {
            client.answer.set(Failure(KernelError::TooLarge, body.send_length as u64).into());
        }
        return;
    };
    if body.send_length > extra.receive_capacity {
        client.answer.set(Failure(KernelError::TooLarge, body.send_length as u64).into());
        return;
    }
    // SAFETY: both ends are live for the length, which was checked against each.
    unsafe { copy_nonoverlapping(body.send, extra.receive, body.send_length) };
    extra.received = body.send_length;
    if !body.grant.is_empty() {
        extra.granted = hand_over(me, client, body.grant);
        if extra.granted.is_empty() {
            client.answer.set(KernelErrorAnswer::TABLE_FULL);
        }
    }
}

struct KernelErrorAnswer;

impl KernelErrorAnswer {
    const TABLE_FULL: Answer = Answer { status: KernelError::TableFull.to_status(), value: 0 };
}

/// Answers with words and receives again: where nobody waits, the client is switched to directly.
///
/// # Safety
/// As [`receive`].
#[inline(always)]
pub unsafe fn reply_receive(status: Answer, second: u64, reception: &Reception, message: *mut Message) -> Answer {
    let me = scheduler::current();
    let client = answer(me, reception.reply, status, second).ok().map(|(client, _)| client);
    // SAFETY: the caller's word.
    let begun = unsafe { begin_receive(me, reception, message) };
    match (begun, client) {
        (Ok(None), Some(client)) => {
            scheduler::arm(me, reception.timeout);
            scheduler::set_priority(me, me.base_priority.get());
            scheduler::block_in_favour_of(client);
            me.answer.get()
        }
        (Ok(None), None) => {
            scheduler::arm(me, reception.timeout);
            scheduler::set_priority(me, me.base_priority.get());
            scheduler::block();
            me.answer.get()
        }
        (begun, client) => {
            if let Some(client) = client {
                scheduler::ready(client);
                scheduler::give_way();
            }
            match begun {
                Ok(_) => ok(0),
                Err(failure) => failure.into(),
            }
        }
    }
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

/// The request in a reply object died unanswered: what was retyped for it goes. The lease stays until the server has
/// answered, which it will in vain, or died.
fn condemn(reply: &Reply) {
    // In the middle of an operation of the object layer nothing can be revoked: then it stays until the server answers.
    if authority::is_busy() {
        return;
    }
    while !reply.anchor.is_empty() {
        let progress =
            authority::with(|context| capability::revoke_all_step(context, &reply.anchor, authority::BUDGET));
        if progress != capability::Progress::More {
            break;
        }
    }
}

/// A reply object goes away, or its server died: the client hears of it, with the epoch of the endpoint.
pub(crate) fn release(reply: &Reply) {
    // SAFETY: the ledger is not running: this is the only reference.
    let core = unsafe { &mut *reply.core.get() };
    let holder = core::mem::replace(&mut core.holder, 0);
    if holder != 0 {
        // SAFETY: a thread that ends is forgotten as the holder: this one is live.
        unsafe { Tcb::at(holder) }.serving.set(0);
    }
    // SAFETY: a request in the ledger is live.
    let endpoint = unsafe { core.request().as_ref() }.map_or(core::ptr::null_mut(), Request::endpoint);
    // SAFETY: the object is live until this returns.
    let (request, receiver) = unsafe { ledger::Reply::release(core) };
    if let Some(request) = request {
        // SAFETY: an endpoint with a delivered request is live.
        let epoch = unsafe { endpoint.as_ref() }.map_or(0, Endpoint::epoch);
        // SAFETY: requests in the ledger are of live threads.
        let client = unsafe { Tcb::of_request(request) };
        scheduler::wake(client, Failure(KernelError::ServerDied, epoch).into());
    }
    if let Some(receiver) = receiver {
        // SAFETY: receivers in the ledger are of live threads.
        scheduler::wake(unsafe { Tcb::of_receiver(receiver) }, Failure(KernelError::Cancelled, 0).into());
    }
}

/// An endpoint goes away: whoever waits there hears of it.
pub(crate) fn destroy_endpoint(address: usize) {
    let endpoint = core::ptr::with_exposed_provenance_mut::<Endpoint>(address);
    let gone: Answer = Failure(KernelError::EndpointGone, 0).into();
    // SAFETY: requests in the ledger are of live threads.
    let request_back = |request: *mut Request| scheduler::wake(unsafe { Tcb::of_request(request) }, gone);
    // SAFETY: so are receivers.
    let receiver_back = |receiver: *mut Receiver| scheduler::wake(unsafe { Tcb::of_receiver(receiver) }, gone);
    // SAFETY: the endpoint's memory stays until the operation that destroys it ends.
    unsafe { Endpoint::destroy(endpoint, request_back, receiver_back) };
}
