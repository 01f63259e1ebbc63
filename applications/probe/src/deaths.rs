//! Cells that end, each in its way: who waits for them is answered, and nothing else notices.

use abi::KernelError;
use abi::kernel::Scratch;
use abi::token::{All, Buf as BufObject, Cap, Endpoint, Notification, Untyped};
use runtime::objects::Instance as Outcome;
use runtime::{Call, objects};

use crate::lab::{HIGH, LOW, Lab, MIDDLE, Peer, Test, Tested, kernel_error, same};
use crate::protocol::{Reported, Role, Task, how, methods, slots};

pub const TESTS: &[(&str, Test)] = &[
    ("a_server_that_ends_answers_its_caller_with_the_epoch", epochs),
    ("an_endless_loop_is_stopped_and_its_caller_answered", endless_loop),
    ("parked_requests_outlive_the_server", parked_stay),
    ("what_was_made_for_a_request_goes_with_it", made_for_a_request),
    ("an_endpoint_that_goes_away_says_so", endpoint_gone),
    ("memory_that_is_taken_away_ends_its_cell_alone", memory_taken),
    ("a_lent_buf_outlives_its_lender_until_the_server_lets_go", lent_by_the_dead),
    ("an_instance_begins_again_and_serves_who_is_parked", begins_again),
    ("a_running_instance_does_not_begin_again", no_second_beginning),
    ("two_hundred_ends_leave_everything_as_it_was", many_ends),
];

fn epochs(lab: &mut Lab) -> Tested {
    let endpoint: Cap<Endpoint, All> = lab.object(0)?;
    let bystander_at: Cap<Endpoint, All> = lab.object(0)?;
    let bystander = lab.serving(&bystander_at, 0, MIDDLE)?;
    let client = lab.client(&endpoint, 1)?;
    let ways = [how::PANIC, how::OVERFLOW, how::OVERFLOW_IN_KERNEL, how::EXIT];
    for (epoch, way) in (1u64..).zip(ways) {
        let server = lab.serving(&endpoint, 2, MIDDLE)?;
        let held = lab.calling(&endpoint, 2, Task::call::<methods::Hold>(1), HIGH)?;
        let outcome = Call::new(&client, methods::Die { how: way }).words();
        same("the call", (way, kernel_error(outcome)?), (way, (KernelError::ServerDied, epoch)))?;
        same("a deferred request", held.reported(lab)?, Reported::kernel(KernelError::ServerDied, epoch))?;
        let failed = way != how::EXIT;
        same("the server failed", (way, server.ended(lab)? == Outcome::Failed), (way, failed))?;
    }
    same("a bystander", bystander.runs()?, true)?;
    same("it serves", Call::new(&lab.client(&bystander_at, 4)?, methods::Who {}).words()?, 4)
}

fn endless_loop(lab: &mut Lab) -> Tested {
    let endpoint: Cap<Endpoint, All> = lab.object(0)?;
    let server = lab.serving(&endpoint, 0, LOW)?;
    lab.set_priority(HIGH + 1)?;
    let caller = lab.calling(&endpoint, 1, Task::call::<methods::Die>(how::LOOP), MIDDLE)?;
    // Something of a lower priority than the caller, and of a higher than the loop has of its own, never runs meanwhile.
    let witness: Cap<Notification, All> = lab.object(0)?;
    let other = lab.peer(Task::new(Role::Signal, 1), MIDDLE)?;
    other.grant(slots::WITNESS, &witness)?;
    other.start(lab)?;
    objects::wait(&witness, abi::kernel::TIMEOUT_NONE)?;
    objects::stop_thread(&server.instance.tcb)?;
    let reported = caller.reported(lab);
    lab.set_priority(1)?;
    same("the caller", reported?, Reported::kernel(KernelError::ServerDied, 1))?;
    same("the server", server.outcome()?, Outcome::Failed)
}

fn parked_stay(lab: &mut Lab) -> Tested {
    let endpoint: Cap<Endpoint, All> = lab.object(0)?;
    let _server = lab.serving(&endpoint, 0, LOW)?;
    lab.set_priority(HIGH + 1)?;
    let dying = lab.calling(&endpoint, 1, Task::call::<methods::Die>(how::PANIC), MIDDLE)?;
    let parked = lab.calling(&endpoint, 2, Task::call::<methods::Spin>(3), MIDDLE)?;
    let reported = dying.reported(lab);
    lab.set_priority(1)?;
    same("the one in service", reported?, Reported::kernel(KernelError::ServerDied, 1))?;
    same("the parked one waits", parked.runs()?, true)?;
    let _next = lab.serving(&endpoint, 0, LOW)?;
    same("the parked one", parked.reported(lab)?, Reported::Value(3))
}

fn made_for_a_request(lab: &mut Lab) -> Tested {
    let endpoint: Cap<Endpoint, All> = lab.object(0)?;
    let client = lab.client(&endpoint, 1)?;
    let server = lab.serving(&endpoint, 0, MIDDLE)?;
    let slot = Call::new(&client, methods::Make { how: 0 }).words()? as u32;
    let is_filled = |slot| objects::inspect(&server.instance.cnode, slot).is_some_and(|info| info.kind != 0);
    same("what was made for an answered request stays", is_filled(slot), true)?;
    let outcome = Call::new(&client, methods::Make { how: how::PANIC }).words();
    same("the call", kernel_error(outcome)?, (KernelError::ServerDied, 1))?;
    same("the first is still there", is_filled(slot), true)?;
    same("the second is not", is_filled(slot + 1), false)
}

fn endpoint_gone(lab: &mut Lab) -> Tested {
    let memory: Cap<Untyped, All> = lab.object(12)?;
    let endpoint: Cap<Endpoint, All> = objects::retype(&memory, 0, &lab.cnode)?;
    let receiver = lab.serving(&endpoint, 4, MIDDLE)?;
    let held = lab.calling(&endpoint, 1, Task::call::<methods::Hold>(1), HIGH)?;
    let lonely: Cap<Endpoint, All> = objects::retype(&memory, 0, &lab.cnode)?;
    objects::serve_labels(&lonely, methods::Peer::LABELS)?;
    let parked = lab.calling(&lonely, 1, Task::call::<methods::Hold>(1), HIGH)?;
    objects::revoke(&memory)?;
    let gone = Reported::kernel(KernelError::EndpointGone, 0);
    same("a delivered request", held.reported(lab)?, gone)?;
    same("a parked request", parked.reported(lab)?, gone)?;
    same("a receiver", receiver.reported(lab)?, gone)
}

fn memory_taken(lab: &mut Lab) -> Tested {
    let endpoint: Cap<Endpoint, All> = lab.object(0)?;
    let server = lab.serving(&endpoint, 0, MIDDLE)?;
    let client = lab.client(&endpoint, 1)?;
    same("it serves", Call::new(&client, methods::Who {}).words()?, 1)?;
    let [_, _, heap] = &server.instance.frames;
    // The frame's mapping goes with its last capability; this is the one that was mapped.
    let raw = heap.raw().slot as u32;
    same("the heap's frame is there", objects::inspect(&lab.cnode, raw).is_some(), true)?;
    let Peer { instance, .. } = server;
    let spawner::Instance { frames: [_, _, heap], vspace, .. } = instance;
    objects::delete(heap);
    let outcome = Call::new(&client, methods::Reverse {}).bytes(&[1, 2, 3]).send();
    same("the call", kernel_error(outcome)?.0, KernelError::ServerDied)?;
    same("the server", objects::instance_info(&vspace)?.0, Outcome::Failed)
}

fn lent_by_the_dead(lab: &mut Lab) -> Tested {
    let endpoint: Cap<Endpoint, All> = lab.object(0)?;
    let _server = lab.serving(&endpoint, 4, MIDDLE)?;
    let client = lab.client(&endpoint, 9)?;
    let lender = lab.peer(Task::new(Role::Lend, 1), HIGH)?;
    lender.grant_call(slots::TARGET, &endpoint, 1)?;
    let memory: Cap<Untyped, All> = lab.object(14)?;
    lender.instance.grant(slots::SCRATCH, &memory, 0)?;
    lender.start(lab)?;
    same("it waits for its answer", lender.runs()?, true)?;
    objects::stop_thread(&lender.instance.tcb)?;
    same("what is lent stays", objects::revoke(&memory), Err(KernelError::Pinned))?;
    Call::new(&client, methods::Release { key: 1, value: 1 }).words()?;
    objects::revoke(&memory)?;
    let info = objects::untyped_info(&memory)?;
    same("then its memory is whole", info.free, info.size)?;
    // The reply object that held the lease takes the next one.
    let object: Cap<BufObject, All> = lab.object(12)?;
    let mut buf = runtime::Buf::map(object, &lab.vspace)?;
    for _ in 0..6 {
        same("the next lease", Call::new(&client, methods::Fill { seed: 1 }).lend(&mut buf).send()?.value, 4096)?;
    }
    Ok(())
}

/// Capabilities in a peer's CNode.
fn count(peer: &Peer) -> usize {
    let is_filled = |slot: &u32| objects::inspect(&peer.instance.cnode, *slot).is_some_and(|info| info.kind != 0);
    (1..256).filter(is_filled).count()
}

fn begins_again(lab: &mut Lab) -> Tested {
    let endpoint: Cap<Endpoint, All> = lab.object(0)?;
    let server = lab.server(&endpoint, Task::new(Role::Serve, 2), LOW)?;
    let endowment = count(&server);
    server.start(lab)?;
    let client = lab.client(&endpoint, 9)?;
    same("it has made reply objects", count(&server), endowment + 2)?;
    let first = objects::thread_info(&server.instance.tcb)?.identity;
    for _ in 0..4 {
        Call::new(&client, methods::Who {}).words()?;
    }
    lab.set_priority(HIGH + 1)?;
    let dying = lab.calling(&endpoint, 1, Task::call::<methods::Die>(how::OVERFLOW), MIDDLE)?;
    let parked = lab.calling(&endpoint, 2, Task::call::<methods::Spin>(3), MIDDLE)?;
    let reported = dying.reported(lab);
    lab.set_priority(1)?;
    same("the one in service", reported?, Reported::kernel(KernelError::ServerDied, 1))?;
    objects::restart(&server.instance.tcb, &lab.loader, &lab.image, Scratch::Clear)?;
    same("capabilities that are left", count(&server), endowment)?;
    server.instance.start()?;
    same("the parked one", parked.reported(lab)?, Reported::Value(3))?;
    same("its variables are new", Call::new(&client, methods::Count {}).words()?, 2)?;
    let second = objects::thread_info(&server.instance.tcb)?.identity;
    same("its thread has a new number", second > first, true)
}

fn no_second_beginning(lab: &mut Lab) -> Tested {
    let endpoint: Cap<Endpoint, All> = lab.object(0)?;
    let server = lab.serving(&endpoint, 0, MIDDLE)?;
    let running = objects::restart(&server.instance.tcb, &lab.loader, &lab.image, Scratch::Clear);
    same("while it runs", running, Err(KernelError::IllegalOperation))?;
    objects::stop_thread(&server.instance.tcb)?;
    let [_, _, heap] = server.instance.frames;
    objects::delete(heap);
    let robbed = objects::restart(&server.instance.tcb, &lab.loader, &lab.image, Scratch::Clear);
    same("without its heap", robbed, Err(KernelError::IllegalOperation))
}

fn many_ends(lab: &mut Lab) -> Tested {
    let endpoint: Cap<Endpoint, All> = lab.object(0)?;
    let client = lab.client(&endpoint, 9)?;
    let server = lab.serving(&endpoint, 3, MIDDLE)?;
    let before = (lab.kernel_heap()?, objects::untyped_info(lab.room()?)?.free);
    let ways = [how::PANIC, how::OVERFLOW, how::OVERFLOW_IN_KERNEL, how::EXIT];
    for (round, way) in (0..200u64).zip(ways.into_iter().cycle()) {
        let outcome = Call::new(&client, methods::Make { how: way }).words();
        same("the call", kernel_error(outcome)?, (KernelError::ServerDied, round + 1))?;
        objects::restart(&server.instance.tcb, &lab.loader, &lab.image, Scratch::Clear)?;
        server.instance.start()?;
    }
    same("it serves", Call::new(&client, methods::Who {}).words()?, 9)?;
    same("heap and memory", (lab.kernel_heap()?, objects::untyped_info(lab.room()?)?.free), before)?;
    Ok(())
}
