//! Who waits for how long, and who goes first.

use alloc::vec;

use abi::KernelError;
use abi::slots as fixed;
use abi::token::{All, Cap, Endpoint, Notification};
use runtime::{Call, objects};

use crate::lab::{HIGH, LOW, Lab, MIDDLE, Test, Tested, kernel_error, same};
use crate::protocol::{Reported, Role, Task, methods, slots};

pub const TESTS: &[(&str, Test)] = &[
    ("a_call_that_nobody_serves_times_out", nobody_serves),
    ("a_call_that_is_not_answered_times_out_and_a_late_answer_is_harmless", late_answer),
    ("a_receive_times_out", receive_times_out),
    ("requests_are_served_by_priority_and_then_in_turn", order),
    ("a_server_runs_at_the_priority_of_its_caller", inheritance),
    ("a_chain_of_servers_runs_at_the_priority_of_the_first_caller", chain),
    ("who_parks_behind_a_slow_request_lends_its_priority", lending_to_the_holder),
    ("signals_of_a_bound_notification_end_a_receive_and_merge", bound),
];

/// Nanoseconds that are soon over.
const SOON: u64 = 2_000_000;

fn nobody_serves(lab: &mut Lab) -> Tested {
    let endpoint: Cap<Endpoint, All> = lab.object(0)?;
    objects::serve_labels(&endpoint, methods::Peer::LABELS)?;
    let client = lab.client(&endpoint, 1)?;
    let outcome = Call::new(&client, methods::Who {}).timeout(SOON).send();
    same("the call", kernel_error(outcome)?.0, KernelError::TimedOut)?;
    // What timed out is not served afterwards.
    let _server = lab.serving(&endpoint, 0, MIDDLE)?;
    same("requests that the server saw", Call::new(&client, methods::Count {}).words()?, 1)
}

fn late_answer(lab: &mut Lab) -> Tested {
    let endpoint: Cap<Endpoint, All> = lab.object(0)?;
    let _server = lab.serving(&endpoint, 2, MIDDLE)?;
    let client = lab.client(&endpoint, 1)?;
    let outcome = Call::new(&client, methods::Hold { key: 1 }).timeout(SOON).send();
    same("the call", kernel_error(outcome)?.0, KernelError::TimedOut)?;
    same("the server holds it", Call::new(&client, methods::Release { key: 1, value: 5 }).words()?, 1)?;
    for _ in 0..3 {
        same("the server goes on", Call::new(&client, methods::Who {}).words()?, 1)?;
    }
    let slow = Call::new(&client, methods::Late { nanoseconds: 4 * SOON, value: 1 }).timeout(SOON).send();
    same("a call in service", kernel_error(slow)?.0, KernelError::TimedOut)?;
    same("its server answers in vain and goes on", Call::new(&client, methods::Who {}).words()?, 1)
}

fn receive_times_out(lab: &mut Lab) -> Tested {
    let endpoint: Cap<Endpoint, All> = lab.object(0)?;
    let peer = lab.server(&endpoint, Task::new(Role::Receive, SOON / 1000), MIDDLE)?;
    peer.start(lab)?;
    same("the receive", peer.reported(lab)?, Reported::kernel(KernelError::TimedOut, 0))
}

fn order(lab: &mut Lab) -> Tested {
    let endpoint: Cap<Endpoint, All> = lab.object(0)?;
    objects::serve_labels(&endpoint, methods::Peer::LABELS)?;
    let mut callers = vec![];
    for (badge, priority) in [(1, LOW), (2, MIDDLE), (3, HIGH), (4, MIDDLE), (5, LOW), (6, HIGH)] {
        callers.push(lab.calling(&endpoint, badge, Task::call::<methods::Hold>(badge), priority)?);
    }
    let _server = lab.serving(&endpoint, 8, LOW)?;
    let client = lab.client(&endpoint, 9)?;
    same("the order", Call::new(&client, methods::Order {}).words()?, 0x0036_2415)?;
    for (badge, peer) in (1u64..).zip(&callers) {
        Call::new(&client, methods::Release { key: badge, value: badge }).words()?;
        same("an answer", peer.reported(lab)?, Reported::Value(badge))?;
    }
    Ok(())
}

/// Steps that take far longer than a tick.
const LONG: u64 = 3_000_000;

/// Starts, under a timer, a peer of middle priority that never gives the processor back: whoever it outranks is lost.
fn busy(lab: &mut Lab) -> Tested<crate::lab::Peer> {
    let busy = lab.peer(Task::new(Role::Busy, 0), MIDDLE)?;
    let witness: Cap<Notification, All> = lab.object(0)?;
    busy.grant(slots::WITNESS, &witness)?;
    Ok(busy)
}

fn inheritance(lab: &mut Lab) -> Tested {
    let endpoint: Cap<Endpoint, All> = lab.object(0)?;
    let _server = lab.serving(&endpoint, 0, LOW)?;
    let busy = busy(lab)?;
    // From here on this thread is above all: it looks on, and the others run while it waits.
    lab.set_priority(HIGH + 1)?;
    let caller = lab.calling(&endpoint, 1, Task::call::<methods::Spin>(LONG), HIGH)?;
    busy.start(lab)?;
    let reported = caller.reported(lab);
    let still_busy = busy.runs();
    objects::stop_thread(&busy.instance.tcb)?;
    lab.set_priority(1)?;
    same("the caller's answer", reported?, Reported::Value(LONG))?;
    same("the busy one ran on", still_busy?, true)
}

fn chain(lab: &mut Lab) -> Tested {
    let (first, second): (Cap<Endpoint, All>, Cap<Endpoint, All>) = (lab.object(0)?, lab.object(0)?);
    let _last = lab.serving(&second, 0, LOW)?;
    let middle = lab.server(&first, Task::new(Role::Serve, 0), LOW + 1)?;
    middle.grant_call(slots::TARGET, &second, 1)?;
    middle.start(lab)?;
    let busy = busy(lab)?;
    lab.set_priority(HIGH + 1)?;
    let caller = lab.calling(&first, 1, Task::call::<methods::Forward>(LONG), HIGH)?;
    busy.start(lab)?;
    let reported = caller.reported(lab);
    objects::stop_thread(&busy.instance.tcb)?;
    lab.set_priority(1)?;
    same("the caller's answer", reported?, Reported::Value(LONG))
}

fn lending_to_the_holder(lab: &mut Lab) -> Tested {
    let endpoint: Cap<Endpoint, All> = lab.object(0)?;
    let server = lab.serving(&endpoint, 0, LOW)?;
    let busy = busy(lab)?;
    lab.set_priority(HIGH + 1)?;
    // A request of low priority is in service when the others come.
    let slow = lab.calling(&endpoint, 1, Task::call::<methods::Spin>(LONG), LOW)?;
    let witness: Cap<Notification, All> = lab.object(0)?;
    let waker = lab.peer(Task::new(Role::Signal, 1), LOW)?;
    waker.grant(slots::WITNESS, &witness)?;
    waker.start(lab)?;
    // The waker shares the processor with the server, so that the request is in service when it is heard.
    objects::wait(&witness, abi::kernel::TIMEOUT_NONE)?;
    busy.start(lab)?;
    let high = lab.calling(&endpoint, 2, Task::call::<methods::Spin>(10), HIGH)?;
    let reported = high.reported(lab);
    objects::stop_thread(&busy.instance.tcb)?;
    lab.set_priority(1)?;
    same("the answer of who came later", reported?, Reported::Value(10))?;
    same("the first", slow.reported(lab)?, Reported::Value(LONG))?;
    let lent = objects::thread_info(&server.instance.tcb)?.priority;
    same("the server's priority when all is over", lent, LOW)
}

fn bound(lab: &mut Lab) -> Tested {
    let endpoint: Cap<Endpoint, All> = lab.object(0)?;
    let (notification, witness): (Cap<Notification, All>, Cap<Notification, All>) = (lab.object(0)?, lab.object(0)?);
    let server = lab.server(&endpoint, Task::new(Role::ServeSignals, 0), MIDDLE)?;
    server.grant(fixed::NOTIFICATION, &notification)?;
    server.grant(slots::WITNESS, &witness)?;
    // Bits that come before anybody receives are kept, and come together.
    objects::signal(&notification, 1)?;
    objects::signal(&notification, 4)?;
    server.start(lab)?;
    same("the first signals", objects::wait(&witness, 0)?, 5)?;
    objects::signal(&notification, 2)?;
    same("a signal to one that receives", objects::wait(&witness, 0)?, 2)?;
    let client = lab.client(&endpoint, 1)?;
    same("requests are served besides", Call::new(&client, methods::Who {}).words()?, 1)?;
    // While it serves, signals wait.
    let slow = lab.calling(&endpoint, 1, Task::call::<methods::Late>(SOON), HIGH)?;
    objects::signal(&notification, 8)?;
    objects::signal(&notification, 16)?;
    slow.reported(lab)?;
    same("signals during a request", objects::wait(&witness, abi::kernel::TIMEOUT_NONE)?, 24)
}
