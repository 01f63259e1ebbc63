//! Bodies of requests and replies: what fits arrives whole, and what does not is refused in words.

use alloc::vec;
use alloc::vec::Vec;

use abi::kernel::BODY_MAX;
use abi::token::{CallOnly, Cap, Endpoint};
use abi::{CallError, KernelError};
use runtime::Call;

use crate::cells::{End, Plan};
use crate::outcome::{Failure, Outcome, equal};
use crate::protocol::methods;
use crate::rig::{PATIENCE, Rig, ask};
use crate::task::{Reported, Task};

tests! {
    bodies_arrive_whole,
    words_alone_and_bodies_may_alternate,
    a_body_that_is_too_long_is_refused_before_the_server_sees_it,
    a_reply_that_is_longer_than_the_room_is_refused_and_the_server_goes_on,
    a_reply_that_is_longer_than_a_message_ends_the_server,
}

fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|index| (index * 7) as u8).collect()
}

fn reversed(client: &Cap<Endpoint, CallOnly>, body: &[u8]) -> Result<Vec<u8>, CallError> {
    let mut room = vec![0; BODY_MAX];
    let call = Call::new(client, methods::Reverse {}).bytes(body).timeout(PATIENCE);
    let (answered, length) = call.into_bytes(&mut room)?;
    room.truncate(length.min(answered.value as usize));
    room.reverse();
    Ok(room)
}

fn bodies_arrive_whole(rig: &mut Rig) -> Outcome {
    let (_, _, client) = rig.server(0)?;
    // The longest before the shortest: nothing of one request is left in the next.
    for length in [0, 1, 2, 1000, BODY_MAX - 1, BODY_MAX, 0, 3] {
        equal("the body", reversed(&client, &pattern(length))?, pattern(length))?;
    }
    Ok(())
}

fn words_alone_and_bodies_may_alternate(rig: &mut Rig) -> Outcome {
    let (_, endpoint, client) = rig.server(1)?;
    for round in 1..=40u8 {
        let who = methods::Who { badge: 1, thread: 2 };
        equal("words alone", Call::new(&client, who).words()?, 0)?;
        equal("a body", reversed(&client, &[round; 9])?, alloc::vec![round; 9])?;
        if round.is_multiple_of(8) {
            let held = Plan::new(Task::call::<methods::Hold>(1)).calling(&endpoint).start(rig)?;
            equal("words alone while one is held", Call::new(&client, who).words()?, 0)?;
            ask(&client, methods::Release { key: 1, value: round.into() })?;
            rig.expect_report("the one that was held", held, Reported::Value(round.into()))?;
        }
    }
    Ok(())
}

fn a_body_that_is_too_long_is_refused_before_the_server_sees_it(rig: &mut Rig) -> Outcome {
    let (_, _, client) = rig.server(0)?;
    let too_large = CallError::Kernel(KernelError::TooLarge, BODY_MAX as u64);
    equal("one byte more", reversed(&client, &pattern(BODY_MAX + 1)), Err(too_large))?;
    equal("many more", reversed(&client, &pattern(4 * BODY_MAX)), Err(too_large))?;
    equal("requests that the server has seen", ask(&client, methods::Count {})?, 1)
}

fn a_reply_that_is_longer_than_the_room_is_refused_and_the_server_goes_on(rig: &mut Rig) -> Outcome {
    let (_, _, client) = rig.server(0)?;
    let mut room = [0u8; 16];
    let long = |length| Call::new(&client, methods::Long { length }).timeout(PATIENCE);
    let (_, received) = long(16).into_bytes(&mut room)?;
    equal("a reply that fits", (received, room), (16, [0x5a; 16]))?;
    room = [0; 16];
    let refused = long(17).into_bytes(&mut room).map(|(_, length)| length);
    equal("a reply that does not", refused, Err(CallError::Kernel(KernelError::TooLarge, 17)))?;
    equal("what came of it", room, [0; 16])?;
    let refused = Call::new(&client, methods::Long { length: 1 }).words();
    equal("a reply to words alone", refused, Err(CallError::Kernel(KernelError::TooLarge, 1)))?;
    equal("requests that the server has seen", ask(&client, methods::Count {})?, 4)
}

fn a_reply_that_is_longer_than_a_message_ends_the_server(rig: &mut Rig) -> Outcome {
    let endpoint = rig.endpoint()?;
    let server = Plan::serve(0).serving(&endpoint).start(rig)?;
    let client = rig.client(&endpoint, 0)?;
    let mut room = vec![0; 2 * BODY_MAX];
    let call = Call::new(&client, methods::Long { length: BODY_MAX as u64 + 1 }).timeout(PATIENCE);
    let answer = call.into_bytes(&mut room).map(|(_, length)| length);
    equal("the answer", answer, Err(CallError::Kernel(KernelError::ServerDied, 1)))?;
    match rig.end(server)? {
        End::Failed => Ok(()),
        end => Err(Failure::Wrong(alloc::format!("the server's end: {end:?}"))),
    }
}
