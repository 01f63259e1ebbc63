//! Cells that end: their callers are answered, requests that wait stay for the next server, and everyone else goes on.

use abi::kernel::Scratch;
use abi::token::{All, Cap, Notification, Untyped};
use abi::{CallError, KernelError};
use runtime::objects::{self, Share};

use crate::cells::{End, OWN, Peer, Plan, STACK};
use crate::outcome::{Failure, Outcome, equal, holds};
use crate::peer::LAST_WORDS;
use crate::protocol::{ending, methods, slots};
use crate::rig::{Rig, ask};
use crate::task::{Reported, Role, Task};

tests! {
    a_server_that_panics_is_stopped_and_its_callers_are_answered,
    a_server_that_overflows_its_stack_is_stopped_and_its_callers_are_answered,
    a_server_that_overflows_its_stack_in_the_kernel_is_stopped_and_its_callers_are_answered,
    a_server_that_overflows_its_stack_in_a_call_is_stopped_and_its_callers_are_answered,
    a_server_that_reads_through_a_null_pointer_is_stopped_and_its_callers_are_answered,
    a_server_that_writes_through_a_wild_pointer_is_stopped_and_its_callers_are_answered,
    a_server_that_writes_to_its_code_is_stopped_and_its_callers_are_answered,
    a_server_that_executes_nonsense_is_stopped_and_its_callers_are_answered,
    a_server_that_breaks_protection_is_stopped_and_its_callers_are_answered,
    a_server_that_calls_a_null_pointer_is_stopped_and_its_callers_are_answered,
    a_server_that_calls_its_data_is_stopped_and_its_callers_are_answered,
    a_server_that_panics_in_a_drop_is_stopped_and_its_callers_are_answered,
    a_server_that_has_used_its_memory_up_is_stopped_and_its_callers_are_answered,
    a_server_that_exits_leaves_its_callers_answered,
    a_server_that_runs_for_ever_can_be_stopped,
    a_client_that_dies_leaves_the_queue,
    a_client_that_dies_is_past_answering,
    a_cell_can_be_stopped_wherever_it_waits,
    a_cell_can_stop_itself,
    a_cell_that_takes_its_own_stack_away_ends_alone,
    the_death_of_a_driver_lets_its_interrupt_go,
    the_notification_of_a_dead_cell_is_bound_by_the_next,
    a_cell_that_has_ended_does_not_start_again,
}

/// Bytes of a notification, as a power of two.
const NOTIFICATION_BITS: u8 = 7;
const DIED: Reported = Reported::Kernel(KernelError::ServerDied, 1);

/// A server takes a request that it holds, and then one that ends it, before a third.
fn dies(rig: &mut Rig, how: u64, end: End) -> Outcome {
    let (_, _, bystander) = rig.server(0)?;
    let endpoint = rig.endpoint()?;
    let call = |task, priority| Plan::new(task).calling(&endpoint).priority(priority);
    let held = call(Task::call::<methods::Hold>(1), OWN + 4).start(rig)?;
    let deadly = call(Task::call::<methods::End>(how), OWN + 3).start(rig)?;
    let parked = call(Task::call::<methods::Who>(1), OWN + 2).start(rig)?;
    let server = Plan::serve(1).serving(&endpoint).start(rig)?;
    equal("the server's end", rig.wait_end(server)?, end)?;
    rig.expect_report("who was held", held, DIED)?;
    rig.expect_report("who asked for it", deadly, DIED)?;
    equal("who was parked", rig.end(parked)?, End::Runs)?;
    equal("requests that another server has seen", ask(&bystander, methods::Count {})?, 1)?;
    the_next_serves(rig, &endpoint, parked)
}

/// Another server takes what is parked, and when it dies, that is another epoch.
fn the_next_serves(rig: &mut Rig, endpoint: &Cap<abi::token::Endpoint, All>, parked: Peer) -> Outcome {
    Plan::serve(0).serving(endpoint).start(rig)?;
    rig.expect_report("who was parked", parked, Reported::Value(0))?;
    let client = rig.client(endpoint, 0)?;
    equal("requests that the next server has seen", ask(&client, methods::Count {})?, 2)?;
    let answer = ask(&client, methods::End { how: ending::PANIC });
    equal("the second death", answer, Err(CallError::Kernel(KernelError::ServerDied, 2)))
}

fn a_server_that_panics_is_stopped_and_its_callers_are_answered(rig: &mut Rig) -> Outcome {
    dies(rig, ending::PANIC, End::Failed)
}

fn a_server_that_overflows_its_stack_is_stopped_and_its_callers_are_answered(rig: &mut Rig) -> Outcome {
    dies(rig, ending::OVERFLOW, End::Failed)
}

fn a_server_that_overflows_its_stack_in_the_kernel_is_stopped_and_its_callers_are_answered(rig: &mut Rig) -> Outcome {
    dies(rig, ending::OVERFLOW_IN_KERNEL, End::Failed)
}

fn a_server_that_overflows_its_stack_in_a_call_is_stopped_and_its_callers_are_answered(rig: &mut Rig) -> Outcome {
    dies(rig, ending::OVERFLOW_IN_CALL, End::Failed)
}

fn a_server_that_reads_through_a_null_pointer_is_stopped_and_its_callers_are_answered(rig: &mut Rig) -> Outcome {
    dies(rig, ending::READ_NULL, End::Failed)
}

fn a_server_that_writes_through_a_wild_pointer_is_stopped_and_its_callers_are_answered(rig: &mut Rig) -> Outcome {
    dies(rig, ending::WRITE_WILD, End::Failed)
}

fn a_server_that_writes_to_its_code_is_stopped_and_its_callers_are_answered(rig: &mut Rig) -> Outcome {
    dies(rig, ending::WRITE_CODE, End::Failed)
}

fn a_server_that_executes_nonsense_is_stopped_and_its_callers_are_answered(rig: &mut Rig) -> Outcome {
    dies(rig, ending::UNDEFINED, End::Failed)
}

fn a_server_that_breaks_protection_is_stopped_and_its_callers_are_answered(rig: &mut Rig) -> Outcome {
    dies(rig, ending::PROTECTION, End::Failed)
}

fn a_server_that_calls_a_null_pointer_is_stopped_and_its_callers_are_answered(rig: &mut Rig) -> Outcome {
    dies(rig, ending::CALL_NULL, End::Failed)
}

fn a_server_that_calls_its_data_is_stopped_and_its_callers_are_answered(rig: &mut Rig) -> Outcome {
    dies(rig, ending::CALL_DATA, End::Failed)
}

fn a_server_that_panics_in_a_drop_is_stopped_and_its_callers_are_answered(rig: &mut Rig) -> Outcome {
    dies(rig, ending::PANIC_IN_DROP, End::Failed)
}

fn a_server_that_has_used_its_memory_up_is_stopped_and_its_callers_are_answered(rig: &mut Rig) -> Outcome {
    dies(rig, ending::OUT_OF_MEMORY, End::Failed)
}

fn a_server_that_exits_leaves_its_callers_answered(rig: &mut Rig) -> Outcome {
    dies(rig, ending::EXIT, End::Reported(LAST_WORDS))
}

fn a_server_that_runs_for_ever_can_be_stopped(rig: &mut Rig) -> Outcome {
    let endpoint = rig.endpoint()?;
    let witness: Cap<Notification, All> = rig.make(0)?;
    // All are below the tests, which would not run again otherwise.
    let call = |task, priority| Plan::new(task).calling(&endpoint).priority(priority);
    let deadly = call(Task::call::<methods::End>(ending::LOOP), OWN - 1).start(rig)?;
    let parked = call(Task::call::<methods::Who>(1), OWN - 2).start(rig)?;
    let server = Plan::serve(0).serving(&endpoint).witness(&witness).priority(OWN - 3).start(rig)?;
    rig.wait(&witness)?;
    equal("the server", rig.end(server)?, End::Runs)?;
    rig.stop(server)?;
    equal("the server's end", rig.end(server)?, End::Failed)?;
    rig.expect_report("who asked for it", deadly, DIED)?;
    equal("who was parked", rig.end(parked)?, End::Runs)?;
    the_next_serves(rig, &endpoint, parked)
}

fn a_client_that_dies_leaves_the_queue(rig: &mut Rig) -> Outcome {
    let endpoint = rig.endpoint()?;
    let write = |digit| Plan::new(Task::call::<methods::Write>(digit)).calling(&endpoint);
    let clients = [write(1).start(rig)?, write(2).start(rig)?, write(3).start(rig)?];
    rig.stop(clients[1])?;
    equal("the client's end", rig.end(clients[1])?, End::Failed)?;
    Plan::serve(0).serving(&endpoint).start(rig)?;
    rig.expect_report("the first", clients[0], Reported::Value(1))?;
    rig.expect_report("the third", clients[2], Reported::Value(3))?;
    equal("what the server has seen", ask(&rig.client(&endpoint, 0)?, methods::Read {})?, 13)
}

fn a_client_that_dies_is_past_answering(rig: &mut Rig) -> Outcome {
    let (_, endpoint, server) = rig.server(1)?;
    let client = Plan::new(Task::call::<methods::Hold>(1)).calling(&endpoint).start(rig)?;
    rig.stop(client)?;
    equal("whether it is held", ask(&server, methods::Release { key: 1, value: 5 })?, 1)?;
    equal("the late answer", ask(&server, methods::Status {})?, KernelError::Cancelled.to_status())
}

fn a_cell_can_be_stopped_wherever_it_waits(rig: &mut Rig) -> Outcome {
    let (_, held_by, server) = rig.server(1)?;
    let (nobody, own) = (rig.endpoint()?, rig.endpoint()?);
    let notification: Cap<Notification, All> = rig.make(0)?;
    let waiting = [
        Plan::new(Task::new(Role::Sleep, 0)).start(rig)?,
        Plan::new(Task::new(Role::Wait, 0)).hearing(&notification).start(rig)?,
        Plan::new(Task::new(Role::Receive, crate::rig::PATIENCE)).serving(&own).start(rig)?,
        Plan::new(Task::call::<methods::Who>(1)).calling(&nobody).start(rig)?,
        Plan::new(Task::call::<methods::Hold>(1)).calling(&held_by).start(rig)?,
    ];
    for peer in waiting {
        equal("the cell before", rig.end(peer)?, End::Runs)?;
        rig.stop(peer)?;
        equal("the cell's end", rig.end(peer)?, End::Failed)?;
    }
    // What they waited for is as if they had never been.
    objects::signal(&notification, 3)?;
    equal("the signal", rig.wait(&notification)?, 3)?;
    for endpoint in [&nobody, &own] {
        Plan::serve(0).serving(endpoint).start(rig)?;
        equal("requests that a server has seen", ask(&rig.client(endpoint, 0)?, methods::Count {})?, 1)?;
    }
    ask(&server, methods::Release { key: 1, value: 5 })?;
    equal("the late answer", ask(&server, methods::Status {})?, KernelError::Cancelled.to_status())
}

fn a_cell_can_stop_itself(rig: &mut Rig) -> Outcome {
    let peer = Plan::new(Task::new(Role::StopItself, 0)).start(rig)?;
    equal("its end", rig.wait_end(peer)?, End::Failed)
}

fn a_cell_that_takes_its_own_stack_away_ends_alone(rig: &mut Rig) -> Outcome {
    let (_, endpoint, server) = rig.server(1)?;
    let cell = Plan::new(Task::new(Role::DeleteSecond, 1)).calling(&endpoint).start(rig)?;
    let stack = rig.take_frame(cell, STACK)?;
    objects::give(stack, &rig.instance(cell)?.cnode, slots::SECOND)?;
    equal("whether it is held", ask(&server, methods::Release { key: 1, value: 0 })?, 1)?;
    equal("the cell", rig.wait_end(cell)?, End::Failed)?;
    equal("requests that the server has seen", ask(&server, methods::Count {})?, 3)
}

fn the_death_of_a_driver_lets_its_interrupt_go(rig: &mut Rig) -> Outcome {
    // Room for just the notification that it makes: while anybody has that, there is none for another.
    let memory: Cap<Untyped, All> = rig.make(NOTIFICATION_BITS)?;
    let driver = Plan::new(Task::new(Role::Drive, ending::PANIC)).driving().scratch(&memory).start(rig)?;
    equal("the driver", rig.end(driver)?, End::Failed)?;
    let instance = rig.instance(driver)?;
    objects::restart(&instance.tcb, &rig.loader, &rig.image, Scratch::Clear)?;
    instance.start()?;
    equal("the driver when it has begun again", rig.end(driver)?, End::Failed)?;
    let next = Plan::new(Task::new(Role::Drive, ending::EXIT)).driving().start(rig)?;
    equal("the next driver", rig.end(next)?, End::Reported(LAST_WORDS))
}

fn the_notification_of_a_dead_cell_is_bound_by_the_next(rig: &mut Rig) -> Outcome {
    let (notification, witness): (Cap<Notification, All>, Cap<Notification, All>) = (rig.make(0)?, rig.make(0)?);
    for how in [ending::PANIC, ending::EXIT] {
        let endpoint = rig.endpoint()?;
        let server = Plan::serve(0).serving(&endpoint).hearing(&notification).witness(&witness).start(rig)?;
        objects::signal(&notification, 4)?;
        equal("what it heard", rig.wait(&witness)?, 4)?;
        holds("it dies", ask(&rig.client(&endpoint, 0)?, methods::End { how }).is_err())?;
        holds("it has ended", rig.end(server)? != End::Runs)?;
    }
    Ok(())
}

fn a_cell_that_has_ended_does_not_start_again(rig: &mut Rig) -> Outcome {
    let peer = Plan::new(Task::new(Role::Sleep, 0)).start(rig)?;
    rig.stop(peer)?;
    let instance = rig.instance(peer)?;
    equal("the answer to a start", instance.start(), Err(KernelError::IllegalOperation))?;
    let configured = instance.configure(&rig.scheduler, Share::unlimited(OWN), 0);
    equal("the answer to new parts", configured, Err(KernelError::IllegalOperation))?;
    rig.stop(peer).map_err(|_| Failure::Wrong("what has ended cannot be stopped".into()))
}
