//! Cells that begin again from their image, in their own memory.

use abi::KernelError;
use abi::kernel::{Kind, Scratch};
use abi::token::{All, Cap, Notification};
use abi::{CallError, slots as fixed};
use alloc::vec::Vec;
use runtime::{Call, objects};

use crate::cells::{HEAP, OWN, Peer, Plan};
use crate::outcome::{Failure, Outcome, equal, holds};
use crate::peer::STRETCH;
use crate::protocol::{ending, methods, slots};
use crate::rig::{Rig, ask};
use crate::task::{Reported, Role, Task};

tests! {
    what_was_made_for_a_request_goes_when_that_dies_unanswered,
    a_cell_begins_again_with_its_endowment_and_serves_who_is_parked,
    a_cell_that_runs_or_lost_its_memory_does_not_begin_again,
    many_ends_and_beginnings_leave_everything_as_it_was,
    a_server_that_crashes_again_and_again_loses_no_parked_request,
}

const ROUNDS: u64 = 40;

fn restart(rig: &Rig, peer: Peer) -> Result<(), Failure> {
    Ok(objects::restart(&rig.instance(peer)?.tcb, &rig.loader, &rig.image, Scratch::Clear)?)
}

fn what_was_made_for_a_request_goes_when_that_dies_unanswered(rig: &mut Rig) -> Outcome {
    let (peer, _, client) = rig.server(0)?;
    let made = |rig: &Rig| rig.count_kind(peer, Kind::Notification);
    // With more than words, and with words alone, which are answered in another way.
    ask(&client, methods::Make { how: 0 })?;
    Call::new(&client, methods::Make { how: 0 }).words()?;
    equal("what was made for requests that were answered", made(rig)?, 2)?;
    let died = Err(CallError::Kernel(KernelError::ServerDied, 1));
    equal("the answer", ask(&client, methods::Make { how: ending::PANIC }), died)?;
    equal("what is left", made(rig)?, 2)
}

fn a_cell_begins_again_with_its_endowment_and_serves_who_is_parked(rig: &mut Rig) -> Outcome {
    const ENDOWMENT: [u32; 6] =
        [fixed::CNODE, fixed::VSPACE, fixed::TCB, fixed::ENDPOINT, fixed::REPLY, slots::SCRATCH];
    let endpoint = rig.endpoint()?;
    let call = |task, priority| Plan::new(task).calling(&endpoint).priority(priority);
    let deadly = call(Task::call::<methods::End>(ending::OVERFLOW), OWN + 3).start(rig)?;
    let parked = call(Task::call::<methods::Who>(1), OWN + 2).start(rig)?;
    let server = Plan::serve(3).serving(&endpoint).start(rig)?;
    rig.expect_report("who asked for it", deadly, Reported::Kernel(KernelError::ServerDied, 1))?;
    let first = objects::thread_info(&rig.instance(server)?.tcb)?.identity;
    equal("reply objects before", rig.count_kind(server, Kind::Reply)?, 4)?;
    restart(rig, server)?;
    equal("what it has left", rig.filled(server)?, ENDOWMENT.to_vec())?;
    rig.instance(server)?.start()?;
    rig.expect_report("who was parked", parked, Reported::Value(0))?;
    let client = rig.client(&endpoint, 0)?;
    equal("requests that it has seen", ask(&client, methods::Count {})?, 2)?;
    let second = objects::thread_info(&rig.instance(server)?.tcb)?.identity;
    holds("its thread has a new number", second > first)
}

fn a_cell_that_runs_or_lost_its_memory_does_not_begin_again(rig: &mut Rig) -> Outcome {
    let refused = |rig: &Rig, peer| match restart(rig, peer) {
        Err(Failure::Kernel(error)) => Ok(error),
        other => Err(Failure::Wrong(alloc::format!("{other:?} instead of a refusal"))),
    };
    let (running, _, _) = rig.server(0)?;
    equal("while it runs", refused(rig, running)?, KernelError::IllegalOperation)?;
    let (robbed, _, _) = rig.server(0)?;
    rig.stop(robbed)?;
    objects::delete(rig.take_frame(robbed, HEAP)?);
    equal("without its heap", refused(rig, robbed)?, KernelError::IllegalOperation)
}

fn many_ends_and_beginnings_leave_everything_as_it_was(rig: &mut Rig) -> Outcome {
    let (server, _, client) = rig.server(3)?;
    let memory = objects::untyped_info(&rig.stock.untyped)?;
    let before = rig.account()?;
    let ways = [ending::PANIC, ending::OVERFLOW, ending::OVERFLOW_IN_KERNEL, ending::EXIT];
    for (round, how) in (1..=ROUNDS).zip(ways.into_iter().cycle()) {
        let died = Err(CallError::Kernel(KernelError::ServerDied, round));
        equal("the answer", ask(&client, methods::Make { how }), died)?;
        restart(rig, server)?;
        rig.instance(server)?.start()?;
    }
    equal("requests that it has seen", ask(&client, methods::Count {})?, 1)?;
    equal("its memory", objects::untyped_info(&rig.stock.untyped)?, memory)?;
    equal("what is left", rig.account()?, before)
}

fn a_server_that_crashes_again_and_again_loses_no_parked_request(rig: &mut Rig) -> Outcome {
    // Clients that never rest, and far more calls than are made between the crashes.
    const CLIENTS: u64 = 4;
    const CALLS: u64 = 4 * STRETCH * ROUNDS;
    let endpoint = rig.endpoint()?;
    let witness: Cap<Notification, All> = rig.make(0)?;
    let server = Plan::serve(0).serving(&endpoint).priority(OWN - 10).start(rig)?;
    let mut clients = Vec::new();
    for _ in 0..CLIENTS {
        let plan = Plan::new(Task::new(Role::Press, CALLS)).calling(&endpoint).witness(&witness);
        clients.push(plan.priority(OWN - 8).start(rig)?);
    }
    let client = rig.client(&endpoint, 0)?;
    // The tests are above the clients: the server has their request next, and nobody else's with it.
    let crash = |rig: &Rig, count: u64| {
        let died = Err(CallError::Kernel(KernelError::ServerDied, count));
        equal("the answer", ask(&client, methods::End { how: ending::PANIC }), died)?;
        equal("requests that somebody has", objects::endpoint_info(&endpoint)?.held, 0)?;
        restart(rig, server)
    };
    for round in 1..=ROUNDS {
        rig.wait(&witness)?;
        crash(rig, 2 * round - 1)?;
        while objects::endpoint_info(&endpoint)?.parked < CLIENTS {
            runtime::sleep(1);
        }
        rig.instance(server)?.start()?;
        // The next instance dies before it has served any of them.
        crash(rig, 2 * round)?;
        equal("requests that are parked still", objects::endpoint_info(&endpoint)?.parked, CLIENTS)?;
        rig.instance(server)?.start()?;
    }
    for client in clients {
        rig.expect_report("a client", client, Reported::Value(CALLS))?;
    }
    Ok(())
}
