//! Who runs and who is served when several could: priorities, also lent ones, and the order of answers and signals.

use abi::KernelError;
use abi::token::{All, Cap, Endpoint, Notification};
use runtime::objects::{self, Share};

use crate::cells::{End, OWN, Peer, Plan};
use crate::outcome::{Failure, Outcome, equal};
use crate::protocol::methods;
use crate::rig::{Rig, ask};
use crate::task::{Reported, Role, Task};

tests! {
    requests_wait_by_priority_and_then_by_time,
    a_server_runs_at_the_priority_of_its_caller,
    an_answer_does_not_put_a_lower_caller_before_others,
    a_busy_server_hurries_for_a_higher_caller,
    a_server_that_waits_for_another_hurries_that_one,
    a_server_that_has_answered_a_higher_caller_gives_its_priority_back,
    equals_take_turns,
    a_cell_that_has_used_its_budget_up_lets_everybody_run,
    no_budget_is_more_than_its_period,
    no_priority_is_above_the_authority,
    held_requests_are_answered_in_any_order,
    a_request_is_answered_once,
    a_signal_ends_a_server_s_wait,
    signals_merge_while_a_server_is_busy,
    a_signal_that_comes_before_an_answer_of_words_is_heard,
}

/// Priorities around that of the tests: a server below all, callers that are lower and higher, and one in between, which
/// wants the processor for itself.
const SERVER: u8 = OWN - 10;
const LOW: u8 = OWN - 8;
const MIDDLE: u8 = OWN - 5;
const HIGH: u8 = OWN + 5;
/// Steps that take longer than anything that happens meanwhile needs.
const LONG: u64 = 2_000_000;
const SHORT: u64 = 1000;

fn requests_wait_by_priority_and_then_by_time(rig: &mut Rig) -> Outcome {
    let endpoint = rig.endpoint()?;
    for (digit, priority) in [(1, OWN + 1), (2, HIGH), (3, OWN + 1), (4, HIGH), (5, OWN + 2)] {
        Plan::new(Task::call::<methods::Write>(digit)).calling(&endpoint).priority(priority).start(rig)?;
    }
    Plan::serve(0).serving(&endpoint).start(rig)?;
    equal("the order", ask(&rig.client(&endpoint, 0)?, methods::Read {})?, 24513)
}

/// A server of low priority that has begun to receive, and what it signals when it spins.
struct Low {
    peer: Peer,
    endpoint: Cap<Endpoint, All>,
    witness: Cap<Notification, All>,
}

impl Low {
    fn start(rig: &mut Rig, target: Option<&Cap<Endpoint, All>>) -> Result<Low, Failure> {
        let endpoint = rig.endpoint()?;
        let witness: Cap<Notification, All> = rig.make(0)?;
        let plan = Plan::serve(0).serving(&endpoint).witness(&witness).priority(SERVER);
        let peer = match target {
            Some(target) => plan.calling(target).start(rig)?,
            None => plan.start(rig)?,
        };
        equal("requests that it has seen", ask(&rig.client(&endpoint, 0)?, methods::Count {})?, 1)?;
        equal("its priority", objects::thread_info(&rig.instance(peer)?.tcb)?.priority, SERVER)?;
        Ok(Low { peer, endpoint, witness })
    }

    /// A caller that lets it spin for long; it has begun when this returns.
    fn spin_for(&self, rig: &mut Rig, priority: u8) -> Result<Peer, Failure> {
        let caller = self.call::<methods::Spin>(rig, priority, LONG)?;
        rig.wait(&self.witness)?;
        equal("its priority", objects::thread_info(&rig.instance(self.peer)?.tcb)?.priority, priority)?;
        Ok(caller)
    }

    fn call<M: abi::interface::Method>(&self, rig: &mut Rig, priority: u8, value: u64) -> Result<Peer, Failure> {
        Plan::new(Task::call::<M>(value)).calling(&self.endpoint).priority(priority).start(rig)
    }
}

/// A cell that wants the processor for itself from now on.
fn busy(rig: &mut Rig, priority: u8) -> Result<Peer, Failure> {
    let witness: Cap<Notification, All> = rig.make(0)?;
    let busy = Plan::new(Task::new(Role::Busy, 0)).priority(priority).witness(&witness).start(rig)?;
    rig.wait(&witness)?;
    Ok(busy)
}

fn a_server_runs_at_the_priority_of_its_caller(rig: &mut Rig) -> Outcome {
    let server = Low::start(rig, None)?;
    let middle = busy(rig, MIDDLE)?;
    let high = server.call::<methods::Spin>(rig, HIGH, SHORT)?;
    // The tests run again, so the caller and its server are done or wait for the one in the middle.
    equal("the caller", rig.end(high)?, End::Reported(Reported::Value(SHORT)))?;
    equal("the one in the middle", rig.end(middle)?, End::Runs)?;
    equal("the server's priority", objects::thread_info(&rig.instance(server.peer)?.tcb)?.priority, SERVER)
}

fn an_answer_does_not_put_a_lower_caller_before_others(rig: &mut Rig) -> Outcome {
    let endpoint = rig.endpoint()?;
    let witness: Cap<Notification, All> = rig.make(0)?;
    Plan::serve(0).serving(&endpoint).witness(&witness).priority(HIGH).start(rig)?;
    let low = Plan::new(Task::call::<methods::Spin>(SHORT)).calling(&endpoint).priority(LOW).start(rig)?;
    // The server, which is above the tests, has answered when they hear of it.
    rig.wait(&witness)?;
    equal("the caller", rig.end(low)?, End::Runs)?;
    rig.expect_report("the caller afterwards", low, Reported::Value(SHORT))
}

fn a_busy_server_hurries_for_a_higher_caller(rig: &mut Rig) -> Outcome {
    let server = Low::start(rig, None)?;
    let low = server.spin_for(rig, LOW)?;
    let middle = busy(rig, MIDDLE)?;
    let high = server.call::<methods::Spin>(rig, HIGH, SHORT)?;
    equal("the caller", rig.end(high)?, End::Reported(Reported::Value(SHORT)))?;
    rig.stop(middle)?;
    rig.expect_report("the low caller", low, Reported::Value(LONG))
}

fn a_server_that_waits_for_another_hurries_that_one(rig: &mut Rig) -> Outcome {
    let behind = Low::start(rig, None)?;
    let front = Low::start(rig, Some(&behind.endpoint))?;
    behind.spin_for(rig, LOW)?;
    // The front server parks at the one behind, at a priority below the one in the middle.
    let first = front.call::<methods::Forward>(rig, LOW + 1, SHORT)?;
    let witness: Cap<Notification, All> = rig.make(0)?;
    Plan::new(Task::new(Role::Signal, 1)).priority(LOW + 1).witness(&witness).start(rig)?;
    rig.wait(&witness)?;
    equal("the first caller", rig.end(first)?, End::Runs)?;
    busy(rig, MIDDLE)?;
    let high = front.call::<methods::Forward>(rig, HIGH, SHORT)?;
    equal("the caller", rig.end(high)?, End::Reported(Reported::Value(SHORT)))
}

fn a_server_that_has_answered_a_higher_caller_gives_its_priority_back(rig: &mut Rig) -> Outcome {
    // One is answered with words, the other with a body.
    gives_back(rig, Task::call::<methods::Write>(1))?;
    gives_back(rig, Task::call::<methods::Reverse>(0))
}

fn gives_back(rig: &mut Rig, task: Task) -> Outcome {
    let endpoint = rig.endpoint()?;
    let witness: Cap<Notification, All> = rig.make(0)?;
    let low = Plan::new(Task::call::<methods::Spin>(LONG)).calling(&endpoint).priority(LOW).start(rig)?;
    Plan::new(Task::new(Role::Signal, 1)).priority(LOW - 1).witness(&witness).start(rig)?;
    rig.wait(&witness)?;
    let high = Plan::new(task).calling(&endpoint).priority(HIGH).start(rig)?;
    equal("both wait", (rig.end(low)?, rig.end(high)?), (End::Runs, End::Runs))?;
    let server = Plan::serve(0).serving(&endpoint).priority(SERVER).start(rig)?;
    rig.expect_report("the higher caller", high, Reported::Value(task.value))?;
    equal("the server's priority", objects::thread_info(&rig.instance(server)?.tcb)?.priority, LOW)?;
    rig.expect_report("the lower caller", low, Reported::Value(LONG))
}

fn equals_take_turns(rig: &mut Rig) -> Outcome {
    busy(rig, MIDDLE)?;
    busy(rig, MIDDLE)?;
    busy(rig, MIDDLE).map(drop)
}

fn a_cell_that_has_used_its_budget_up_lets_everybody_run(rig: &mut Rig) -> Outcome {
    let witness: Cap<Notification, All> = rig.make(0)?;
    let share = Share { priority: HIGH, allowance: 4, period: 40 };
    let busy = Plan::new(Task::new(Role::Busy, 0)).share(share).witness(&witness).start(rig)?;
    rig.wait(&witness)?;
    // It never rests, and the tests, which are below it, run none the less: after each of its turns.
    for turn in 1..=3 {
        loop {
            let info = objects::thread_info(&rig.instance(busy)?.tcb)?;
            equal("its share", info.share, share)?;
            equal("its priority while the tests run", info.priority, 0)?;
            if info.ticks >= turn * u64::from(share.allowance) {
                break;
            }
        }
    }
    // What it is given anew counts from then on.
    let lower = Share { priority: LOW, ..share };
    objects::set_share(&rig.instance(busy)?.tcb, &rig.scheduler, lower)?;
    let info = objects::thread_info(&rig.instance(busy)?.tcb)?;
    equal("its new share and priority", (info.share, info.priority), (lower, LOW))?;
    equal("the cell", rig.end(busy)?, End::Runs)
}

fn no_budget_is_more_than_its_period(rig: &mut Rig) -> Outcome {
    let sleeper = Plan::new(Task::new(Role::Sleep, 0)).start(rig)?;
    let tcb = &rig.instance(sleeper)?.tcb;
    let refused = objects::set_share(tcb, &rig.scheduler, Share { priority: LOW, allowance: 41, period: 40 });
    equal("the answer", refused, Err(KernelError::InvalidArgument))?;
    equal("the share", objects::thread_info(tcb)?.share, Share::unlimited(OWN + 1))
}

fn no_priority_is_above_the_authority(rig: &mut Rig) -> Outcome {
    let sleeper = Plan::new(Task::new(Role::Sleep, 0)).start(rig)?;
    let tcb = &rig.instance(sleeper)?.tcb;
    for priority in [64, 255] {
        let refused = objects::set_priority(tcb, &rig.scheduler, priority);
        equal("the answer", refused, Err(KernelError::OutOfRange))?;
    }
    equal("the priority", objects::thread_info(tcb)?.priority, OWN + 1)
}

fn held_requests_are_answered_in_any_order(rig: &mut Rig) -> Outcome {
    let (_, endpoint, client) = rig.server(3)?;
    let mut callers = alloc::vec::Vec::new();
    for key in 1..=3 {
        callers.push(Plan::new(Task::call::<methods::Hold>(key)).calling(&endpoint).start(rig)?);
    }
    for (key, caller) in [(2, 1), (3, 2), (1, 0)] {
        let Some(caller) = callers.get(caller) else { continue };
        equal("the caller before", rig.end(*caller)?, End::Runs)?;
        equal("whether it is held", ask(&client, methods::Release { key, value: 10 * key })?, 1)?;
        rig.expect_report("the caller", *caller, Reported::Value(10 * key))?;
    }
    equal("whether anything is left", ask(&client, methods::Release { key: 1, value: 0 })?, 0)
}

fn a_request_is_answered_once(rig: &mut Rig) -> Outcome {
    let (_, _, client) = rig.server(0)?;
    equal("the answer", ask(&client, methods::AnswerTwice {})?, 1)?;
    equal("the second answer", ask(&client, methods::Status {})?, KernelError::Cancelled.to_status())
}

fn a_signal_ends_a_server_s_wait(rig: &mut Rig) -> Outcome {
    let endpoint = rig.endpoint()?;
    let (notification, witness): (Cap<Notification, All>, Cap<Notification, All>) = (rig.make(0)?, rig.make(0)?);
    Plan::serve(0).serving(&endpoint).hearing(&notification).witness(&witness).start(rig)?;
    let client = rig.client(&endpoint, 0)?;
    for bits in [5, 1 << 63, 6] {
        objects::signal(&notification, bits)?;
        equal("what the server heard", rig.wait(&witness)?, bits)?;
        ask(&client, methods::Count {})?;
    }
    Ok(())
}

fn signals_merge_while_a_server_is_busy(rig: &mut Rig) -> Outcome {
    let endpoint = rig.endpoint()?;
    let (notification, witness): (Cap<Notification, All>, Cap<Notification, All>) = (rig.make(0)?, rig.make(0)?);
    let server = Plan::serve(0).serving(&endpoint).hearing(&notification).witness(&witness).priority(SERVER);
    server.start(rig)?;
    ask(&rig.client(&endpoint, 0)?, methods::Count {})?;
    // The first ends its wait; it runs when the tests wait.
    for bits in [1, 4, 8] {
        objects::signal(&notification, bits)?;
    }
    equal("what it heard first", rig.wait(&witness)?, 1)?;
    equal("what it heard then", rig.wait(&witness)?, 12)
}

fn a_signal_that_comes_before_an_answer_of_words_is_heard(rig: &mut Rig) -> Outcome {
    let endpoint = rig.endpoint()?;
    let (notification, witness): (Cap<Notification, All>, Cap<Notification, All>) = (rig.make(0)?, rig.make(0)?);
    let server = Plan::serve(0).serving(&endpoint).hearing(&notification).witness(&witness).priority(SERVER);
    server.start(rig)?;
    ask(&rig.client(&endpoint, 0)?, methods::Count {})?;
    let caller = Plan::new(Task::call::<methods::Spin>(LONG)).calling(&endpoint).priority(LOW).start(rig)?;
    equal("what tells that it works", rig.wait(&witness)?, 1)?;
    objects::signal(&notification, 4)?;
    equal("what it heard", rig.wait(&witness)?, 4)?;
    rig.expect_report("the caller", caller, Reported::Value(LONG))
}
