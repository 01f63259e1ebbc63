//! Objects that are taken away while somebody uses them: who waits is answered, who cannot go on is stopped.

use abi::token::{All, Cap, Endpoint, Image, Notification, Untyped};
use abi::{CallError, KernelError};
use runtime::{Call, objects};

use crate::cells::{End, Peer, Plan};
use crate::outcome::{Failure, Outcome, equal};
use crate::protocol::{methods, using};
use crate::rig::{PATIENCE, Rig, ask};
use crate::task::{Reported, Role, Task};

tests! {
    an_endpoint_that_goes_answers_who_is_parked,
    an_endpoint_that_goes_answers_who_is_served_and_who_serves,
    a_reply_object_that_goes_answers_its_caller,
    a_reply_object_that_goes_ends_the_wait_of_its_server,
    a_notification_that_goes_ends_the_wait_for_it,
    sending_what_was_taken_ends_the_sender,
    receiving_into_what_was_taken_ends_the_receiver,
    receiving_into_what_is_taken_meanwhile_ends_the_receiver,
    answering_with_what_was_taken_ends_the_server,
    filling_an_image_with_what_was_taken_ends_the_cell,
}

const GONE: Reported = Reported::Kernel(KernelError::EndpointGone, 0);

/// Memory, and an endpoint that is made of it.
type OwnEndpoint = (Cap<Untyped, All>, Cap<Endpoint, All>);

fn own_endpoint(rig: &mut Rig) -> Result<OwnEndpoint, Failure> {
    let memory: Cap<Untyped, All> = rig.make(12)?;
    let endpoint = objects::retype(&memory, 0, &rig.cnode)?;
    objects::serve_labels(&endpoint, methods::Peer::LABELS)?;
    Ok((memory, endpoint))
}

fn an_endpoint_that_goes_answers_who_is_parked(rig: &mut Rig) -> Outcome {
    let (memory, endpoint) = own_endpoint(rig)?;
    let words = Plan::new(Task::call::<methods::Who>(1)).calling(&endpoint).start(rig)?;
    let more = Plan::new(Task::call::<methods::Write>(1)).calling(&endpoint).start(rig)?;
    objects::revoke(&memory)?;
    rig.expect_report("a caller with words", words, GONE)?;
    rig.expect_report("a caller with more", more, GONE)
}

fn an_endpoint_that_goes_answers_who_is_served_and_who_serves(rig: &mut Rig) -> Outcome {
    let (memory, endpoint) = own_endpoint(rig)?;
    let server = Plan::serve(1).serving(&endpoint).start(rig)?;
    let caller = Plan::new(Task::call::<methods::Hold>(1)).calling(&endpoint).start(rig)?;
    let client = rig.client(&endpoint, 0)?;
    objects::revoke(&memory)?;
    rig.expect_report("the caller", caller, GONE)?;
    rig.expect_report("the server", server, GONE)?;
    let answer = ask(&client, methods::Count {});
    equal("a call afterwards", answer, Err(CallError::Kernel(KernelError::InvalidCapability, 0)))
}

/// Memory, an endpoint, and its server, part of which is made of the memory.
type OwnReplies = (Cap<Untyped, All>, Cap<Endpoint, All>, Peer);

/// A server whose next request goes to a reply object of memory that is the test's as well.
fn with_own_reply_objects(rig: &mut Rig) -> Result<OwnReplies, Failure> {
    let memory: Cap<Untyped, All> = rig.make(12)?;
    let endpoint = rig.endpoint()?;
    let server = Plan::serve(1).serving(&endpoint).scratch(&memory).start(rig)?;
    Ok((memory, endpoint, server))
}

fn a_reply_object_that_goes_answers_its_caller(rig: &mut Rig) -> Outcome {
    let (memory, endpoint, server) = with_own_reply_objects(rig)?;
    let caller = Plan::new(Task::call::<methods::Hold>(1)).calling(&endpoint).start(rig)?;
    objects::revoke(&memory)?;
    rig.expect_report("the caller", caller, Reported::Kernel(KernelError::ServerDied, 0))?;
    // It has another one, which lets it go on.
    equal("the server", rig.end(server)?, End::Runs)?;
    equal("requests that it has seen", ask(&rig.client(&endpoint, 0)?, methods::Count {})?, 2)
}

fn a_reply_object_that_goes_ends_the_wait_of_its_server(rig: &mut Rig) -> Outcome {
    let (memory, _, server) = with_own_reply_objects(rig)?;
    objects::revoke(&memory)?;
    rig.expect_report("the server", server, Reported::Kernel(KernelError::Cancelled, 0))
}

fn a_notification_that_goes_ends_the_wait_for_it(rig: &mut Rig) -> Outcome {
    let memory: Cap<Untyped, All> = rig.make(12)?;
    let notification: Cap<Notification, All> = objects::retype(&memory, 0, &rig.cnode)?;
    let waiter = Plan::new(Task::new(Role::Wait, 0)).hearing(&notification).start(rig)?;
    objects::revoke(&memory)?;
    rig.expect_report("who waits", waiter, Reported::Kernel(KernelError::Cancelled, 0))
}

/// A cell uses memory that was taken away, and the server that it uses it with goes on.
fn use_taken(rig: &mut Rig, how: u64) -> Outcome {
    let (_, endpoint, server) = rig.server(1)?;
    let memory: Cap<Untyped, All> = rig.make(14)?;
    let image: Cap<Image, All> = rig.make(14)?;
    let task = Task::new(Role::UseWhatWasTaken, how);
    let user = Plan::new(task).calling(&endpoint).scratch(&memory).filling(&image).start(rig)?;
    objects::revoke(&memory)?;
    match how {
        using::AS_ROOM_LATER => ask(&server, methods::ReleaseLong { key: 1, length: 64 })?,
        _ => ask(&server, methods::Release { key: 1, value: 5 })?,
    };
    equal("the user's end", rig.wait_end(user)?, End::Failed)?;
    ask(&server, methods::Count {}).map(drop)?;
    equal("whether the image can be filled", objects::fill_image(&image, &[]), Err(KernelError::ImageRefused))
}

fn sending_what_was_taken_ends_the_sender(rig: &mut Rig) -> Outcome {
    use_taken(rig, using::AS_BODY)
}

fn receiving_into_what_was_taken_ends_the_receiver(rig: &mut Rig) -> Outcome {
    use_taken(rig, using::AS_ROOM)
}

fn receiving_into_what_is_taken_meanwhile_ends_the_receiver(rig: &mut Rig) -> Outcome {
    use_taken(rig, using::AS_ROOM_LATER)
}

fn filling_an_image_with_what_was_taken_ends_the_cell(rig: &mut Rig) -> Outcome {
    use_taken(rig, using::AS_IMAGE)
}

fn answering_with_what_was_taken_ends_the_server(rig: &mut Rig) -> Outcome {
    let memory: Cap<Untyped, All> = rig.make(14)?;
    let endpoint = rig.endpoint()?;
    let server = Plan::serve(0).serving(&endpoint).scratch(&memory).start(rig)?;
    let client = rig.client(&endpoint, 0)?;
    ask(&client, methods::Map {})?;
    let mut room = [0; 64];
    let call = || Call::new(&client, methods::Kept {}).timeout(PATIENCE);
    equal("bytes of the answer", call().into_bytes(&mut room)?.1, 64)?;
    objects::revoke(&memory)?;
    let answer = call().into_bytes(&mut room).map(|(_, length)| length);
    equal("the answer", answer, Err(CallError::Kernel(KernelError::ServerDied, 1)))?;
    equal("the server's end", rig.end(server)?, End::Failed)
}
