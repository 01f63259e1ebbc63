//! The memory server: sole policy for untyped memory.
//!
//! * [`policy`]: who holds what, quotas, and taking back; over any [`pool::Kernel`], so that it is tested on the host;
//! * [`pool`]: the buddy allocator with the untypeds that belong to its blocks;
//! * [`restore`]: both as the instance before this one left them;
//! * [`sizes`]: how large a block a request needs;
//! * [`kernel`]: the pool's operations on real untypeds;
//! * [`server`]: the messages.
//!
//! What a client gets is a copy of a block's untyped, or the object made of it. The block's own untyped stays here, so
//! that taking a block back needs nobody's help: revoke it, and the memory is whole. The kernel treats a copied untyped as
//! full until the copy is gone, and so an untyped that is whole again has lost everything that was handed out of it:
//! that is how allocations are found that were revoked elsewhere, by the abort of a transaction or with their holder.
//!
//! It keeps nothing that cannot be rebuilt: where its untypeds lie, and the note that the kernel keeps with each, say it all, so that
//! another instance goes on where this one ends.
//!
//! It calls nobody but the kernel and, for its log, the console, which calls only the kernel.
//!
//! # Capabilities
//! The fixed slots CNode, TCB, endpoint and notification; the console, if it is to log. Then 16: an untyped of 64 KiB for reply
//! objects; from 17 on: the untypeds to manage.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod kernel;
pub mod policy;
pub mod pool;
pub mod restore;
pub mod server;
pub mod sizes;

use abi::slots;
use abi::token::{All, CNode, Cap, Untyped};
use alloc::vec::Vec;
use policy::Policy;
use runtime::{Console, Environment, Server, abi, objects, say};

/// The untyped of the reply objects.
const SCRATCH: u32 = slots::FIRST_GRANTED;
/// The first untyped to manage.
const FIRST_MANAGED: u32 = SCRATCH + 1;

/// Serves for ever.
///
/// # Panics
/// Without a capability that it cannot do without, which ends the cell by name.
pub fn main(mut environment: Environment) -> u64 {
    let left = environment.left(FIRST_MANAGED);
    let cnode: Cap<CNode, All> = environment.cnode();
    let endpoint = environment.need(slots::ENDPOINT, "the endpoint that it serves");
    let scratch: Cap<Untyped> = environment.need(SCRATCH, "memory for reply objects");
    let console = Console::new(environment.take(slots::CONSOLE), "memory");
    let notification = environment.need(slots::NOTIFICATION, "its notification");
    let thread = environment.need(slots::TCB, "its thread");
    // It is bound already where an earlier instance of the service did it.
    let _ = objects::bind(&thread, &notification);
    if let Err(error) = objects::serve_labels(&endpoint, server::LABELS) {
        panic!("the endpoint refuses the labels of this server: {error:?}");
    }
    let policy = take_over(&mut environment, left);
    let replies = match objects::reply_objects(&scratch, &cnode, 1) {
        Ok(replies) => replies,
        Err(error) => panic!("no reply object out of slot {SCRATCH}: {error:?}"),
    };
    let statistics = policy.statistics();
    say!(
        console,
        "manages {} bytes, {} of them free, in {} allocations",
        statistics.total,
        statistics.free,
        statistics.allocations
    );
    server::run(Server::new(endpoint, replies), policy, &console)
}

/// The policy over the untypeds in this cell's CNode: as they were given, or as an earlier instance left them. What else such an
/// instance left goes: objects that their clients never got, and its reply objects.
fn take_over(environment: &mut Environment, left: Vec<u32>) -> Policy<kernel::Untypeds> {
    let mut found = Vec::new();
    for slot in left {
        match environment.take::<Untyped, All>(slot).and_then(kernel::found) {
            Some(untyped) => found.push(untyped),
            None => environment.discard(slot),
        }
    }
    let own = environment.cnode_again();
    let (mut policy, strangers) = restore::restore(kernel::Untypeds::new(own), found);
    // An allocation takes longer than a nanosecond: the time is beyond any number that was given out.
    policy.number_from(runtime::clock(abi::kernel::Clock::Monotonic));
    strangers.into_iter().for_each(|untyped| policy.entrust(untyped));
    let _ = policy.sweep();
    policy
}
