//! Memory that is lent with a call: the server's until it answers or dies, whatever happens to the client.

use abi::token::{All, Buf as BufObject, Cap, Untyped};
use abi::{CallError, KernelError};
use runtime::{Buf, Call, objects};
use spawner::Instance;

use crate::cells::{End, Peer, Plan};
use crate::outcome::{Outcome, equal};
use crate::protocol::{ending, methods};
use crate::rig::{Rig, Within, ask};
use crate::task::{Reported, Role, Task};

tests! {
    a_server_reads_and_writes_what_is_lent,
    what_is_lent_is_not_taken_back_before_the_answer,
    what_a_client_has_lent_outlives_it,
    what_a_client_has_lent_outlives_all_its_memory,
    the_death_of_a_server_ends_its_leases,
    a_lease_is_over_with_the_answer,
}

/// The key under which a server holds what was lent.
const KEY: u64 = 1;
/// The sum of what [`Role::Lend`] lends: 1, 2, 3, ... in 4096 bytes.
const SUM: u64 = 16 * (255 * 256 / 2);
/// Bytes of memory that a client lends of, as a power of two.
const LENT_BITS: u8 = 14;

fn a_server_reads_and_writes_what_is_lent(rig: &mut Rig) -> Outcome {
    const BYTES: u64 = 8192;
    let (_, _, client) = rig.server(0)?;
    let cap: Cap<BufObject, All> = rig.make(13)?;
    let mut buf = Buf::map(cap, &rig.vspace)?;
    let filled = Call::new(&client, methods::Fill { seed: 3 }).lend(&mut buf).send()?.value;
    equal("bytes that the server saw", filled, BYTES)?;
    let wrong = buf.bytes().iter().zip(3u64..).position(|(byte, value)| *byte != value as u8);
    equal("the first byte that is wrong", wrong, None)?;
    buf.bytes_mut().fill(2);
    equal("the sum", Call::new(&client, methods::Sum {}).lend(&mut buf).send()?.value, 2 * BYTES)
}

/// A client that lends memory of its own to a server which holds it, of an untyped that is the test's as well.
fn lent(
    rig: &mut Rig,
    endpoint: &Cap<abi::token::Endpoint, All>,
) -> Result<(Peer, Cap<Untyped, All>), crate::outcome::Failure> {
    let memory: Cap<Untyped, All> = rig.make(LENT_BITS)?;
    let task = Task::new(Role::Lend, KEY);
    let client = Plan::new(task).calling(endpoint).scratch(&memory).start(rig)?;
    equal("the client", rig.end(client)?, End::Runs)?;
    Ok((client, memory))
}

fn is_whole(memory: &Cap<Untyped, All>) -> Outcome {
    objects::revoke(memory)?;
    let info = objects::untyped_info(memory)?;
    equal("bytes that came back", (info.free, info.is_used), (info.size, false))
}

fn what_is_lent_is_not_taken_back_before_the_answer(rig: &mut Rig) -> Outcome {
    let (_, endpoint, server) = rig.server(1)?;
    let (client, memory) = lent(rig, &endpoint)?;
    for _ in 0..2 {
        equal("the answer to a revocation", objects::revoke(&memory), Err(KernelError::Pinned))?;
        equal("what the server reads", ask(&server, methods::SumHeld { key: KEY })?, SUM)?;
    }
    ask(&server, methods::Release { key: KEY, value: 5 })?;
    equal("the server's answer", ask(&server, methods::Status {})?, 0)?;
    rig.expect_report("the client", client, Reported::Value(5))?;
    is_whole(&memory)
}

fn what_a_client_has_lent_outlives_it(rig: &mut Rig) -> Outcome {
    let (_, endpoint, server) = rig.server(1)?;
    let (client, memory) = lent(rig, &endpoint)?;
    rig.stop(client)?;
    equal("the answer to a revocation", objects::revoke(&memory), Err(KernelError::Pinned))?;
    equal("what the server reads", ask(&server, methods::SumHeld { key: KEY })?, SUM)?;
    ask(&server, methods::Release { key: KEY, value: 5 })?;
    equal("the server's answer", ask(&server, methods::Status {})?, KernelError::Cancelled.to_status())?;
    is_whole(&memory)
}

fn what_a_client_has_lent_outlives_all_its_memory(rig: &mut Rig) -> Outcome {
    let (_, endpoint, server) = rig.server(1)?;
    let all: Cap<Untyped, All> = rig.make(22)?;
    let instance =
        Instance::with_needs(&mut Within { untyped: &all, cnode: &rig.cnode }, &rig.loader, &rig.image, &rig.needs)?;
    let memory: Cap<Untyped, All> = objects::retype(&all, LENT_BITS, &rig.cnode)?;
    let task = Task::new(Role::Lend, KEY);
    Plan::new(task).calling(&endpoint).scratch(&memory).start_as(rig, instance)?;
    equal("the answer to a revocation", objects::revoke(&all), Err(KernelError::Pinned))?;
    equal("what the server reads", ask(&server, methods::SumHeld { key: KEY })?, SUM)?;
    ask(&server, methods::Release { key: KEY, value: 5 })?;
    equal("the server's answer", ask(&server, methods::Status {})?, KernelError::Cancelled.to_status())?;
    is_whole(&all)
}

fn the_death_of_a_server_ends_its_leases(rig: &mut Rig) -> Outcome {
    let (peer, endpoint, server) = rig.server(1)?;
    let (client, memory) = lent(rig, &endpoint)?;
    let died = CallError::Kernel(KernelError::ServerDied, 1);
    equal("the answer", ask(&server, methods::End { how: ending::PANIC }), Err(died))?;
    equal("the server's end", rig.end(peer)?, End::Failed)?;
    rig.expect_report("the client", client, Reported::Kernel(KernelError::ServerDied, 1))?;
    is_whole(&memory)
}

fn a_lease_is_over_with_the_answer(rig: &mut Rig) -> Outcome {
    let (peer, _, server) = rig.server(0)?;
    let memory: Cap<Untyped, All> = rig.make(LENT_BITS)?;
    let cap: Cap<BufObject, All> = objects::retype(&memory, 12, &rig.cnode)?;
    let mut buf = Buf::map(cap, &rig.vspace)?;
    Call::new(&server, methods::Fill { seed: 3 }).lend(&mut buf).send()?;
    // The Buf is not used again: nothing of this cell reads there.
    is_whole(&memory)?;
    // The server reads where it had the lease, which no safe code could.
    let died = CallError::Kernel(KernelError::ServerDied, 1);
    equal("the answer", ask(&server, methods::Touch {}), Err(died))?;
    equal("the server's end", rig.end(peer)?, End::Failed)
}
