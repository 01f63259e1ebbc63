//! What ends a cell at once, and not only when it runs next.

use abi::token::{All, Cap, Notification, Untyped};
use abi::{CallError, KernelError};
use runtime::{Call, objects};

use super::{DIED, MILLISECOND, Part, Situation, cell, take};
use crate::cells::{End, OWN, Peer, Plan};
use crate::outcome::{Failure, Outcome, equal};
use crate::protocol::{ending, methods};
use crate::rig::{Rig, ask};
use crate::task::{Reported, Role, Task};

pub const ALL: &[Situation] = &[
    while_it_runs,
    while_it_sleeps,
    while_it_receives,
    while_it_serves,
    while_it_holds,
    while_it_is_parked,
    while_it_is_served,
];

/// Takes a part away and checks that the cell has ended, where that can still be asked.
fn take_and_look(rig: &Rig, part: Part, peer: Peer, untyped: &Cap<Untyped, All>) -> Outcome {
    take(untyped)?;
    match (part, rig.end(peer)) {
        (Part::VSpace, Err(Failure::Kernel(KernelError::InvalidCapability))) => Ok(()),
        (_, end) => equal("the cell's end", end?, End::Failed),
    }
}

fn while_it_runs(rig: &mut Rig, part: Part) -> Outcome {
    let witness: Cap<Notification, All> = rig.make(0)?;
    let busy = Plan::new(Task::new(Role::Busy, 0)).priority(OWN - 1).witness(&witness);
    let (peer, untyped) = cell(rig, part, busy)?;
    rig.wait(&witness)?;
    take_and_look(rig, part, peer, &untyped)
}

fn while_it_sleeps(rig: &mut Rig, part: Part) -> Outcome {
    let (peer, untyped) = cell(rig, part, Plan::new(Task::new(Role::Sleep, 5 * MILLISECOND)))?;
    take_and_look(rig, part, peer, &untyped)?;
    // The time at which it would have gone on is past when one that slept later has gone on.
    let later = Plan::new(Task::new(Role::Sleep, 5 * MILLISECOND)).start(rig)?;
    rig.expect_report("one that slept later", later, Reported::Value(0))
}

fn while_it_receives(rig: &mut Rig, part: Part) -> Outcome {
    let endpoint = rig.endpoint()?;
    let notification: Cap<Notification, All> = rig.make(0)?;
    let (peer, untyped) = cell(rig, part, Plan::serve(0).serving(&endpoint).hearing(&notification))?;
    take_and_look(rig, part, peer, &untyped)?;
    // Nobody is there to take a request, or a signal.
    let client = rig.client(&endpoint, 0)?;
    let timed_out = Some(CallError::Kernel(KernelError::TimedOut, 0));
    let answer = Call::new(&client, methods::Reverse {}).bytes(&[1; 64]).timeout(MILLISECOND).send();
    equal("a call", answer.err(), timed_out)?;
    objects::signal(&notification, 1)?;
    equal("the signal", rig.wait(&notification)?, 1)?;
    Plan::serve(0).serving(&endpoint).start(rig)?;
    equal("requests that the next server has seen", ask(&client, methods::Count {})?, 1)
}

fn while_it_serves(rig: &mut Rig, part: Part) -> Outcome {
    let endpoint = rig.endpoint()?;
    let witness: Cap<Notification, All> = rig.make(0)?;
    let plan = Plan::serve(0).serving(&endpoint).witness(&witness).priority(OWN - 3);
    let (peer, untyped) = cell(rig, part, plan)?;
    let task = Task::call::<methods::End>(ending::LOOP);
    let caller = Plan::new(task).calling(&endpoint).priority(OWN - 1).start(rig)?;
    let parked = Plan::new(Task::call::<methods::Who>(1)).calling(&endpoint).priority(OWN - 2).start(rig)?;
    rig.wait(&witness)?;
    take_and_look(rig, part, peer, &untyped)?;
    rig.expect_report("the caller", caller, DIED)?;
    equal("who is parked", rig.end(parked)?, End::Runs)?;
    Plan::serve(0).serving(&endpoint).start(rig)?;
    rig.expect_report("who was parked", parked, Reported::Value(0))
}

/// A request is held, with memory that is lent: that comes back as well.
fn while_it_holds(rig: &mut Rig, part: Part) -> Outcome {
    let endpoint = rig.endpoint()?;
    let (peer, untyped) = cell(rig, part, Plan::serve(1).serving(&endpoint))?;
    let lent: Cap<Untyped, All> = rig.make(14)?;
    let caller = Plan::new(Task::new(Role::Lend, 1)).calling(&endpoint).scratch(&lent).start(rig)?;
    take_and_look(rig, part, peer, &untyped)?;
    rig.expect_report("the caller", caller, DIED)?;
    take(&lent)
}

fn while_it_is_parked(rig: &mut Rig, part: Part) -> Outcome {
    let endpoint = rig.endpoint()?;
    let (peer, untyped) = cell(rig, part, Plan::new(Task::call::<methods::Write>(1)).calling(&endpoint))?;
    take_and_look(rig, part, peer, &untyped)?;
    Plan::serve(0).serving(&endpoint).start(rig)?;
    equal("what a server has seen", ask(&rig.client(&endpoint, 0)?, methods::Read {})?, 0)
}

fn while_it_is_served(rig: &mut Rig, part: Part) -> Outcome {
    let (_, endpoint, server) = rig.server(1)?;
    let (peer, untyped) = cell(rig, part, Plan::new(Task::call::<methods::Hold>(1)).calling(&endpoint))?;
    take_and_look(rig, part, peer, &untyped)?;
    equal("whether it is held", ask(&server, methods::Release { key: 1, value: 5 })?, 1)?;
    equal("the late answer", ask(&server, methods::Status {})?, KernelError::Cancelled.to_status())
}
