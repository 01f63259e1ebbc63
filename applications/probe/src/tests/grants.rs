//! Capabilities that travel with messages.

use abi::KernelError;
use abi::token::{All, Cap, Notification};
use runtime::{Call, objects};

use crate::cells::Plan;
use crate::outcome::{Failure, Outcome, equal, holds};
use crate::protocol::methods;
use crate::rig::{PATIENCE, Rig, ask};
use crate::task::{Reported, Role, Task};

tests! {
    a_capability_goes_over_with_a_call,
    a_capability_goes_over_with_a_reply,
    a_caller_with_one_free_slot_takes_what_comes_with_a_reply,
    a_caller_without_a_free_slot_is_told_and_the_server_keeps_its_capability,
    a_server_without_a_free_slot_gets_nothing_and_serves_on,
    what_a_server_does_not_take_is_deleted,
    a_capability_that_is_gone_is_refused_before_the_call,
}

fn a_capability_goes_over_with_a_call(rig: &mut Rig) -> Outcome {
    let (_, _, client) = rig.server(0)?;
    let notification: Cap<Notification, All> = rig.make(0)?;
    let copy: Cap<Notification, All> = objects::duplicate(&notification, &rig.cnode, 0)?;
    let place = copy.raw();
    let call = Call::new(&client, methods::Take { bits: 5 }).grant(copy).timeout(PATIENCE);
    equal("whether it was signalled", call.send()?.value, 1)?;
    equal("the bits", rig.wait(&notification)?, 5)?;
    let left = objects::inspect(&rig.cnode, place.slot as u32);
    holds("the caller has it no more", left.is_none_or(|info| info.generation != place.generation))
}

fn a_capability_goes_over_with_a_reply(rig: &mut Rig) -> Outcome {
    let (_, _, client) = rig.server(0)?;
    let answered = Call::new(&client, methods::Give {}).timeout(PATIENCE).send()?;
    let granted = answered.granted.ok_or_else(|| Failure::Wrong("nothing came with the reply".into()))?;
    let notification: Cap<Notification, All> = granted.claim(&rig.cnode)?;
    objects::signal(&notification, 6)?;
    equal("the bits", rig.wait(&notification)?, 6)?;
    equal("whether the server still has it", ask(&client, methods::HasGiven {})?, 0)
}

fn a_caller_with_one_free_slot_takes_what_comes_with_a_reply(rig: &mut Rig) -> Outcome {
    let (_, endpoint, client) = rig.server(0)?;
    let notification: Cap<Notification, All> = rig.make(0)?;
    let task = Task::new(Role::TakeWhenFull, 1);
    let caller = Plan::new(task).calling(&endpoint).witness(&notification).start(rig)?;
    rig.expect_report("whether something came", caller, Reported::Value(1))?;
    equal("whether the server still has it", ask(&client, methods::HasGiven {})?, 0)
}

fn a_caller_without_a_free_slot_is_told_and_the_server_keeps_its_capability(rig: &mut Rig) -> Outcome {
    let (_, endpoint, client) = rig.server(0)?;
    let notification: Cap<Notification, All> = rig.make(0)?;
    let task = Task::new(Role::TakeWhenFull, 0);
    let caller = Plan::new(task).calling(&endpoint).witness(&notification).start(rig)?;
    rig.expect_report("the caller's answer", caller, Reported::Kernel(KernelError::TableFull, 0))?;
    equal("whether the server still has it", ask(&client, methods::HasGiven {})?, 1)
}

fn a_capability_that_is_gone_is_refused_before_the_call(rig: &mut Rig) -> Outcome {
    let (_, _, client) = rig.server(0)?;
    let notification: Cap<Notification, All> = rig.make(0)?;
    let copy: Cap<Notification, All> = objects::duplicate(&notification, &rig.cnode, 0)?;
    objects::revoke(&notification)?;
    let call = Call::new(&client, methods::Take { bits: 5 }).grant(copy).timeout(PATIENCE);
    let refused = call.send().map(|answered| answered.value);
    equal("the answer", refused, Err(abi::CallError::Kernel(KernelError::InvalidCapability, 0)))?;
    equal("requests that the server has seen", ask(&client, methods::Count {})?, 1)
}

fn a_server_without_a_free_slot_gets_nothing_and_serves_on(rig: &mut Rig) -> Outcome {
    let (server, _, client) = rig.server(0)?;
    let notification: Cap<Notification, All> = rig.make(0)?;
    let cnode = &rig.instance(server)?.cnode;
    let full = loop {
        if let Err(error) = objects::copy(&notification, cnode, 0, u8::MAX, 0) {
            break error;
        }
    };
    equal("why the CNode takes no more", full, KernelError::TableFull)?;
    let call = Call::new(&client, methods::Take { bits: 5 }).grant(notification).timeout(PATIENCE);
    let refused = call.send().map(|answered| answered.value);
    equal("the answer", refused, Err(abi::CallError::Server(2, 0)))?;
    equal("requests that the server has seen", ask(&client, methods::Count {})?, 2)
}

fn what_a_server_does_not_take_is_deleted(rig: &mut Rig) -> Outcome {
    let (server, _, client) = rig.server(0)?;
    let notification: Cap<Notification, All> = rig.make(0)?;
    let before = rig.filled(server)?;
    Call::new(&client, methods::Count {}).grant(notification).timeout(PATIENCE).send()?;
    // With the next request at the latest.
    ask(&client, methods::Count {})?;
    equal("what the server has", rig.filled(server)?, before)
}
