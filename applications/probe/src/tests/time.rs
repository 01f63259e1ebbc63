//! Time limits of calls, receives and waits.

use abi::interface::Method;
use abi::token::{All, Cap, Notification};
use abi::{CallError, KernelError};
use runtime::{Call, Clock, clock, objects};

use crate::cells::{End, Plan};
use crate::outcome::{Outcome, equal, holds};
use crate::protocol::methods;
use crate::rig::{Rig, ask};
use crate::task::{Reported, Role, Task};

tests! {
    a_call_that_nobody_takes_times_out,
    a_call_that_nobody_answers_times_out_and_the_late_answer_is_refused,
    a_call_that_is_answered_in_time_leaves_no_timer,
    a_call_that_times_out_leaves_those_around_it_waiting,
    a_receive_times_out,
    a_receive_with_a_time_limit_takes_a_request,
    a_wait_times_out,
    sleep_lasts_as_long_as_was_asked_for,
}

const MILLISECOND: u64 = 1_000_000;
const TIMED_OUT: CallError = CallError::Kernel(KernelError::TimedOut, 0);

/// Does something, and answers how many nanoseconds that took.
fn lasting<T>(work: impl FnOnce() -> T) -> (u64, T) {
    let before = clock(Clock::Monotonic);
    let result = work();
    (clock(Clock::Monotonic) - before, result)
}

fn a_call_that_nobody_takes_times_out(rig: &mut Rig) -> Outcome {
    let endpoint = rig.endpoint()?;
    let client = rig.client(&endpoint, 0)?;
    for limit in [0, 2 * MILLISECOND] {
        let (took, answer) = lasting(|| Call::new(&client, methods::Count {}).timeout(limit).send());
        equal("the answer", answer.map(|answered| answered.value), Err(TIMED_OUT))?;
        holds("the call lasted as long as its limit", took >= limit)?;
    }
    Plan::serve(0).serving(&endpoint).start(rig)?;
    equal("requests that the server has seen", ask(&client, methods::Count {})?, 1)
}

fn a_call_that_nobody_answers_times_out_and_the_late_answer_is_refused(rig: &mut Rig) -> Outcome {
    let (_, _, client) = rig.server(1)?;
    let answer = Call::new(&client, methods::Hold { key: 1 }).timeout(2 * MILLISECOND).send();
    equal("the answer", answer.map(|answered| answered.value), Err(TIMED_OUT))?;
    equal("whether the server holds it", ask(&client, methods::Release { key: 1, value: 5 })?, 1)?;
    equal("the late answer", ask(&client, methods::Status {})?, KernelError::Cancelled.to_status())?;
    // The same with an answer of words that goes out with the next receive, and with a reply object that is used again.
    let late = methods::Late { nanoseconds: 4 * MILLISECOND };
    let answer = Call::new(&client, late).timeout(2 * MILLISECOND).send();
    equal("the answer to another", answer.map(|answered| answered.value), Err(TIMED_OUT))?;
    equal("requests that the server has seen", ask(&client, methods::Count {})?, 5)?;
    let answer = Call::new(&client, methods::Hold { key: 2 }).timeout(2 * MILLISECOND).send();
    equal("the next answer", answer.map(|answered| answered.value), Err(TIMED_OUT))
}

fn a_call_that_is_answered_in_time_leaves_no_timer(rig: &mut Rig) -> Outcome {
    let (_, _, client) = rig.server(0)?;
    let notification: Cap<Notification, All> = rig.make(0)?;
    // The clock goes on while the emulator does not: a call that is late for that says nothing, and is made again.
    const MOST_LATE: u32 = 20;
    let mut late = 0;
    while let Err(error) = Call::new(&client, methods::Count {}).timeout(20 * MILLISECOND).send() {
        equal("a call that is late", error, TIMED_OUT)?;
        late += 1;
        holds("the server answers in time now and then", late < MOST_LATE)?;
    }
    let (took, waited) = lasting(|| objects::wait(&notification, 60 * MILLISECOND));
    equal("the wait", waited, Err(TIMED_OUT))?;
    holds("nothing woke it before its time", took >= 60 * MILLISECOND)
}

fn a_call_that_times_out_leaves_those_around_it_waiting(rig: &mut Rig) -> Outcome {
    let endpoint = rig.endpoint()?;
    let client = rig.client(&endpoint, 0)?;
    let write = |digit| Plan::new(Task::call::<methods::Write>(digit)).calling(&endpoint);
    let first = write(1).start(rig)?;
    let answer = Call::new(&client, methods::Write { digit: 2 }).timeout(2 * MILLISECOND).send();
    equal("the answer", answer.map(|answered| answered.value), Err(TIMED_OUT))?;
    let third = write(3).start(rig)?;
    equal("those around it", (rig.end(first)?, rig.end(third)?), (End::Runs, End::Runs))?;
    Plan::serve(0).serving(&endpoint).start(rig)?;
    rig.expect_report("the first", first, Reported::Value(1))?;
    rig.expect_report("the third", third, Reported::Value(3))?;
    equal("what the server has seen", ask(&client, methods::Read {})?, 13)
}

fn a_receive_times_out(rig: &mut Rig) -> Outcome {
    let endpoint = rig.endpoint()?;
    let before = clock(Clock::Monotonic);
    let server = Plan::new(Task::new(Role::Receive, 2 * MILLISECOND)).serving(&endpoint).start(rig)?;
    rig.expect_report("the receive", server, Reported::Kernel(KernelError::TimedOut, 0))?;
    holds("it lasted as long as its limit", clock(Clock::Monotonic) - before >= 2 * MILLISECOND)
}

fn a_receive_with_a_time_limit_takes_a_request(rig: &mut Rig) -> Outcome {
    let endpoint = rig.endpoint()?;
    let client = rig.client(&endpoint, 0)?;
    let label = u64::from(methods::Count::LABEL);
    for words_alone in [true, false] {
        let server = Plan::new(Task::new(Role::Receive, crate::rig::PATIENCE)).serving(&endpoint).start(rig)?;
        let answer = match words_alone {
            true => Call::new(&client, methods::Count {}).words(),
            false => ask(&client, methods::Count {}),
        };
        equal("the answer", answer, Ok(label))?;
        rig.expect_report("the receive", server, Reported::Value(label))?;
    }
    Ok(())
}

fn a_wait_times_out(rig: &mut Rig) -> Outcome {
    let notification: Cap<Notification, All> = rig.make(0)?;
    for limit in [0, 2 * MILLISECOND] {
        let (took, waited) = lasting(|| objects::wait(&notification, limit));
        equal("the wait", waited, Err(TIMED_OUT))?;
        holds("it lasted as long as its limit", took >= limit)?;
    }
    objects::signal(&notification, 2)?;
    equal("a signal that is there", objects::wait(&notification, 0)?, 2)
}

fn sleep_lasts_as_long_as_was_asked_for(_: &mut Rig) -> Outcome {
    let (took, ()) = lasting(|| runtime::sleep(3 * MILLISECOND));
    holds("the sleep was long enough", took >= 3 * MILLISECOND)
}
