//! The memory server: sole policy for untyped memory.
//!
//! * [`policy`]: who holds what, quotas, and taking back; over any [`pool::Kernel`], so that it is tested on the host;
//! * [`pool`]: the buddy allocator with the untypeds that belong to its blocks;
//! * [`sizes`]: how large a block a request needs;
//! * [`kernel`]: the pool's operations on real untypeds;
//! * [`server`]: the messages.
//!
//! What a client gets is a copy of a block's untyped, or the object made of it. The block's own untyped stays here, so
//! that taking a block back needs nobody's help: revoke it, and the memory is whole. The kernel treats a copied untyped as
//! full until the copy is gone, and so an untyped that is whole again has lost everything that was handed out of it:
//! that is how allocations are found that were revoked elsewhere, by the abort of a transaction or with their holder.
//!
//! It calls nobody but the kernel and, for its log, the console, which calls only the kernel.
//!
//! # Capabilities
//! The fixed slots CNode, TCB, endpoint and notification; the console, if it is to log. Then 16: an untyped of 64 KiB for reply
//! objects; from 17 on: the untypeds to manage, up to the first empty slot.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod kernel;
pub mod policy;
pub mod pool;
pub mod server;
pub mod sizes;

use abi::slots;
use abi::token::{All, Cap, Untyped};
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
    let cnode = environment.cnode();
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
    let replies = match objects::reply_objects(&scratch, &cnode, 1) {
        Ok(replies) => replies,
        Err(error) => panic!("no reply object out of slot {SCRATCH}: {error:?}"),
    };
    let mut policy = Policy::new(kernel::Untypeds::new(cnode));
    let mut slot = FIRST_MANAGED;
    while let Some(untyped) = environment.take::<Untyped, All>(slot) {
        policy.entrust(untyped);
        slot += 1;
    }
    let statistics = policy.statistics();
    say!(console, "manages {} bytes in {} blocks", statistics.total, slot - FIRST_MANAGED);
    server::run(Server::new(endpoint, replies), policy, &console)
}
