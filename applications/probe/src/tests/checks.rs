//! What is checked on the way of a call: each check by itself, with words alone, which go a shorter way than anything else.
//!
//! Labels, badges and priorities have tests of their own.

use abi::interface::Method;
use abi::kernel::TIMEOUT_NONE;
use abi::token::{All, CallOnly, Cap, Endpoint, Notification, RawCap, Reply, Rights, Untyped, bits};
use abi::{CallError, KernelError};
use runtime::forbidden::{Act, commit};
use runtime::{Call, Event, Server, objects};

use crate::cells::{End, Peer, Plan};
use crate::outcome::{Failure, Outcome, equal};
use crate::protocol::methods;
use crate::rig::{Rig, ask};
use crate::task::{Reported, Role, Task};

tests! {
    a_stale_token_calls_nobody,
    a_token_that_was_made_up_calls_nobody,
    only_an_endpoint_is_called,
    who_may_only_receive_cannot_call,
    who_may_only_call_cannot_receive,
    a_request_is_in_one_place,
    a_request_that_came_meanwhile_is_served_next,
    a_caller_that_was_answered_waits_no_more,
    a_caller_that_dies_is_past_answering_with_words,
    a_server_that_lost_its_endpoint_receives_no_more,
    a_server_that_lost_its_reply_object_receives_no_more,
    a_request_ends_the_time_limit_of_a_receive,
}

const INVALID: CallError = CallError::Kernel(KernelError::InvalidCapability, 0);
/// Priorities of a server and its caller, which run when the tests wait.
const SERVER: u8 = 20;
const CALLER: u8 = 22;
/// Steps that take longer than anything that happens meanwhile needs.
const LONG: u64 = 2_000_000;
const SHORT: u64 = 1000;
/// Nanoseconds that a receive may last.
const LIMIT: u64 = 200_000_000;

fn a_stale_token_calls_nobody(rig: &mut Rig) -> Outcome {
    let (_, endpoint, client) = rig.server(0)?;
    let badged = rig.client(&endpoint, 7)?;
    let stale: Cap<Endpoint, CallOnly> = objects::duplicate(&badged, &rig.cnode, 0)?;
    objects::revoke(&badged)?;
    let who = methods::Who { badge: 0, thread: 0 };
    equal("while the slot is empty", Call::new(&stale, who).words(), Err(INVALID))?;
    // Another capability to the same endpoint comes into its place.
    objects::copy(&endpoint, &rig.cnode, stale.raw().slot as u32, CallOnly::BITS, 9)?;
    equal("when it is filled again", Call::new(&stale, who).words(), Err(INVALID))?;
    equal("the same with more than words", ask(&stale, who), Err(INVALID))?;
    equal("requests that the server has seen", ask(&client, methods::Count {})?, 1)
}

/// Calls what a token names, which is refused with an error before anybody hears of it.
fn refused(token: RawCap, error: KernelError) -> Outcome {
    equal("the answer", commit(Act::Send(token, methods::Who::LABEL)), Some(error.to_status()))
}

fn a_token_that_was_made_up_calls_nobody(rig: &mut Rig) -> Outcome {
    let (_, _, client) = rig.server(0)?;
    let RawCap { slot, generation } = client.raw();
    let empty = (1..rig.own_slots()).find(|slot| objects::inspect(&rig.cnode, *slot).is_none()).unwrap_or(0);
    for (slot, generation) in [
        // The header of the table, an empty slot, and what no empty slot has.
        (0, 0),
        (empty.into(), 0),
        (empty.into(), generation),
        (slot, 0),
        (slot, generation + 1),
        (rig.own_slots().into(), generation),
        (u32::MAX.into(), generation),
    ] {
        refused(RawCap { slot, generation }, KernelError::InvalidCapability)?;
    }
    equal("requests that the server has seen", ask(&client, methods::Count {})?, 1)
}

fn only_an_endpoint_is_called(rig: &mut Rig) -> Outcome {
    let notification: Cap<Notification, All> = rig.make(0)?;
    let reply: Cap<Reply, All> = rig.make(0)?;
    // Where an endpoint has its labels this has its bits, and a thread where one has its receiver.
    let sleeper = Plan::new(Task::new(Role::Sleep, 0)).start(rig)?;
    objects::bind(&rig.instance(sleeper)?.tcb, &notification)?;
    objects::signal(&notification, 1 << methods::Who::LABEL)?;
    refused(notification.raw(), KernelError::WrongKind)?;
    refused(reply.raw(), KernelError::WrongKind)
}

fn who_may_only_receive_cannot_call(rig: &mut Rig) -> Outcome {
    let (_, endpoint, client) = rig.server(0)?;
    let receiver = objects::copy(&endpoint, &rig.cnode, 0, bits::RECEIVE | bits::GRANT, 0)?;
    refused(receiver, KernelError::MissingRight)?;
    equal("requests that the server has seen", ask(&client, methods::Count {})?, 1)
}

fn who_may_only_call_cannot_receive(rig: &mut Rig) -> Outcome {
    let endpoint = rig.endpoint()?;
    let client = rig.client(&endpoint, 0)?;
    let reply: Cap<Reply, All> = rig.make(0)?;
    let missing = KernelError::MissingRight.to_status();
    equal("the answer", commit(Act::Receive(client.raw(), reply.raw())), Some(missing))
}

/// A server that works on a caller's words.
struct Busy {
    server: Peer,
    caller: Peer,
    endpoint: Cap<Endpoint, All>,
    client: Cap<Endpoint, CallOnly>,
    /// The memory of the reply object with which it receives.
    memory: Cap<Untyped, All>,
}

impl Busy {
    fn start(rig: &mut Rig) -> Result<Busy, Failure> {
        let endpoint = rig.endpoint()?;
        let witness: Cap<Notification, All> = rig.make(0)?;
        let memory: Cap<Untyped, All> = rig.make(12)?;
        let plan = Plan::serve(1).serving(&endpoint).witness(&witness).scratch(&memory).priority(SERVER);
        let server = plan.start(rig)?;
        // It waits for the next request when this is answered, as in the midst of many.
        let client = rig.client(&endpoint, 0)?;
        ask(&client, methods::Count {})?;
        Call::new(&client, methods::Count {}).words()?;
        let caller = Plan::new(Task::call::<methods::Spin>(LONG)).calling(&endpoint).priority(CALLER).start(rig)?;
        rig.wait(&witness)?;
        Ok(Busy { server, caller, endpoint, client, memory })
    }

    /// Requests that wait, and requests that the server has.
    fn requests(&self) -> Result<(u64, u64), Failure> {
        let info = objects::endpoint_info(&self.endpoint)?;
        Ok((info.parked, info.held))
    }
}

fn a_request_is_in_one_place(rig: &mut Rig) -> Outcome {
    let busy = Busy::start(rig)?;
    equal("while it is served", busy.requests()?, (0, 1))?;
    rig.expect_report("the caller", busy.caller, Reported::Value(LONG))?;
    equal("when it is answered", busy.requests()?, (0, 0))?;
    let other = Plan::new(Task::call::<methods::Spin>(SHORT)).calling(&busy.endpoint).start(rig)?;
    rig.expect_report("another", other, Reported::Value(SHORT))?;
    equal("when that is answered", busy.requests()?, (0, 0))
}

fn a_request_that_came_meanwhile_is_served_next(rig: &mut Rig) -> Outcome {
    let busy = Busy::start(rig)?;
    let next = Plan::new(Task::call::<methods::Spin>(SHORT)).calling(&busy.endpoint).priority(CALLER + 1);
    let parked = next.start(rig)?;
    // It runs before the server does, as soon as the tests do not.
    while busy.requests()? == (0, 1) {
        runtime::sleep(1);
    }
    equal("while the first is served", busy.requests()?, (1, 1))?;
    rig.expect_report("the first", busy.caller, Reported::Value(LONG))?;
    rig.expect_report("the second", parked, Reported::Value(SHORT))
}

fn a_caller_that_was_answered_waits_no_more(rig: &mut Rig) -> Outcome {
    let busy = Busy::start(rig)?;
    // The end of a wait takes back what the tests wait for, and their own request was answered before.
    let quiet: Cap<Notification, All> = rig.make(0)?;
    let timed_out = Err(CallError::Kernel(KernelError::TimedOut, 0));
    equal("a wait for what does not come", objects::wait(&quiet, 1), timed_out)?;
    rig.expect_report("the caller", busy.caller, Reported::Value(LONG))
}

fn a_caller_that_dies_is_past_answering_with_words(rig: &mut Rig) -> Outcome {
    let busy = Busy::start(rig)?;
    rig.stop(busy.caller)?;
    equal("what is left of its request", busy.requests()?, (0, 0))?;
    equal("requests that the server has seen", ask(&busy.client, methods::Count {})?, 4)?;
    equal("the server", rig.end(busy.server)?, End::Runs)
}

fn a_server_that_lost_its_endpoint_receives_no_more(rig: &mut Rig) -> Outcome {
    let busy = Busy::start(rig)?;
    objects::revoke(&busy.endpoint)?;
    rig.expect_report("the caller", busy.caller, Reported::Value(LONG))?;
    rig.expect_report("the server", busy.server, Reported::of(Err(INVALID)))
}

fn a_server_that_lost_its_reply_object_receives_no_more(rig: &mut Rig) -> Outcome {
    let busy = Busy::start(rig)?;
    objects::revoke(&busy.memory)?;
    rig.expect_report("the caller", busy.caller, Reported::Kernel(KernelError::ServerDied, 0))?;
    rig.expect_report("the server", busy.server, Reported::of(Err(INVALID)))
}

fn a_request_ends_the_time_limit_of_a_receive(rig: &mut Rig) -> Outcome {
    let endpoint = rig.endpoint()?;
    let reply: Cap<Reply, All> = rig.make(0)?;
    let witness: Cap<Notification, All> = rig.make(0)?;
    // It calls again when it has its answer, so that nothing of it is heard any more.
    let caller =
        Plan::new(Task::new(Role::Press, 2)).calling(&endpoint).witness(&witness).priority(CALLER).start(rig)?;
    // The tests themselves are the server here.
    let mut server = Server::new(objects::receiving(endpoint), alloc::vec![reply]);
    loop {
        match server.next_event_within(LIMIT) {
            Ok(Event::Request(request)) => break request.ok_bytes(0, &[]),
            Err(CallError::Kernel(KernelError::TimedOut, _)) => {}
            Err(error) => return Err(error.into()),
            Ok(Event::Signal(bits)) => return Err(Failure::Wrong(alloc::format!("the signal {bits:#x}"))),
        }
    }
    // Nothing but the end of a cell ends a wait that has no limit itself, and this one sleeps for longer than the limit was.
    let sleeper = Plan::new(Task::new(Role::Sleep, 2 * LIMIT)).start(rig)?;
    while rig.end(sleeper)? == End::Runs {
        objects::wait(&rig.ends, TIMEOUT_NONE)?;
    }
    equal("the caller", rig.end(caller)?, End::Runs)
}
