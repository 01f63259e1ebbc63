//! The persistence server: the object store as a service, over a block device that another cell drives.
//!
//! * [`backing`]: what it stands on;
//! * [`opening`]: what is on the disk, and whether it may be opened or formatted;
//! * [`outcomes`]: what became of transactions;
//! * [`watches`]: who is to hear of which commits, and what they changed;
//! * [`sessions`]: which transaction a request belongs to, who may end it, and what becomes of it; over any storage and
//!   any [`sessions::Scopes`], so that it is tested on the host;
//! * [`wire`]: records as they travel, and how large they may be;
//! * [`refusal`]: what is answered where something is refused;
//! * [`disk`], [`scopes`]: block device and transaction scopes by messages and kernel objects;
//! * [`server`]: the messages.
//!
//! A transaction belongs to the thread that began it, as the kernel attests it, and travels with that thread's calls as
//! a kernel scope: nothing that a message says decides what it joins. Once its changes are flushed the scope is settled,
//! and what hangs on it is kept; until then its abort revokes it.
//!
//! It calls the block driver, and the console for its log; both call only the kernel.
//!
//! # Capabilities
//! The fixed slots CNode, VSpace, TCB, endpoint and notification; the console, if it is to log. Then 16: the block
//! driver, to call; 17: the authority to settle scopes; 18: an untyped of 1 MiB for reply objects, scopes and the
//! Buf of its transfers. Without a block driver the store is in memory and ends with the cell: for measurements, which a disk
//! would make differ from run to run.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod backing;
pub mod disk;
pub mod opening;
pub mod outcomes;
pub mod refusal;
pub mod scopes;
pub mod server;
pub mod sessions;
pub mod watches;
pub mod wire;

#[cfg(test)]
mod tests;

use alloc::boxed::Box;

use object_store::{Clock, MappingStorage, RulesBySchema, Store};
use runtime::abi::KernelError;
use runtime::abi::interfaces::persistence::Persistence;
use runtime::abi::interfaces::persistence::STORE_STOPPED;
use runtime::abi::slots;
use runtime::abi::token::{All, CNode, CallOnly, Cap, Endpoint, Settle, Untyped, VSpace};
use runtime::{Buf, Console, Environment, Event, Heap, Server, objects, say};

use crate::backing::Backing;
use crate::disk::Disk;
use crate::opening::Facts;
use crate::scopes::ScopePool;
use crate::server::Service;
use crate::sessions::{Limits, Sessions};

/// The cell's status when the disk holds something else than a state file.
pub const FOREIGN: u64 = 3;
/// The cell's status when the state file is of another version, or uses features that are not known here.
pub const OTHER_VERSION: u64 = 4;
/// The cell's status when the state file is damaged.
pub const DAMAGED: u64 = 5;
/// The cell's status when the device fails, is too small, or memory is short.
pub const UNUSABLE: u64 = 6;

/// The block driver.
const BLOCK: u32 = slots::FIRST_GRANTED;
/// The authority to settle scopes.
const SETTLE: u32 = BLOCK + 1;
/// The untyped.
const MEMORY: u32 = BLOCK + 2;

/// Requests whose answers can wait, at most, and one more.
const REPLIES: usize = 24;
/// Size of the transfer Buf in bits.
const BUF_BITS: u8 = 18;
/// Bytes of committed records that are kept in memory.
const CACHE_BYTES: usize = 8 << 20;
/// What open transactions may take together. A commit needs about three times its transaction's bytes beside them.
const LIMITS: Limits = Limits { transactions: 32, staged_bytes: 16 << 20 };

/// Opens the state file and serves it, for ever.
///
/// # Panics
/// Without a capability that it cannot do without, which ends the cell by name.
pub fn main(mut environment: Environment) -> u64 {
    let cnode = environment.cnode();
    let vspace = environment.need(slots::VSPACE, "its VSpace");
    let endpoint = environment.need(slots::ENDPOINT, "the endpoint that it serves");
    let notification = environment.need(slots::NOTIFICATION, "its notification");
    let thread = environment.need(slots::TCB, "its thread");
    let block: Option<Cap<Endpoint, CallOnly>> = environment.take(BLOCK);
    let settle = environment.need(SETTLE, "the authority to settle scopes");
    let memory: Cap<Untyped> = environment.need(MEMORY, "memory for replies, scopes and transfers");
    let console = Console::new(environment.take(slots::CONSOLE), "persistence");

    // It is bound already where an earlier instance of the service did it.
    let _ = objects::bind(&thread, &notification);
    let replies = match objects::reply_objects(&memory, &cnode, REPLIES) {
        Ok(replies) => replies,
        Err(error) => panic!("no reply object out of slot {MEMORY}: {error:?}"),
    };
    let server = Server::new(endpoint, replies);
    let kernel = Kernel { memory, cnode, settle, console, heap: environment.heap() };
    let Some(block) = block else {
        say!(kernel.console, "no block driver: the store is in memory, and ends with this cell");
        kernel.serve(server, MappingStorage::new(WallClock), Facts::OF_MEMORY);
    };
    let buf = match transfer_buf(&kernel.memory, &kernel.cnode, &vspace) {
        Ok(buf) => buf,
        Err(error) => panic!("no transfer Buf out of slot {MEMORY}: {error:?}"),
    };
    let disk = match Disk::new(block, buf) {
        Ok(disk) => disk,
        Err(error) => {
            say!(kernel.console, "the block driver does not tell its capacity: {error}");
            decline(server, UNUSABLE);
        }
    };
    match opening::open(disk, WallClock, permutation_key(), &|line| kernel.console.say(line)) {
        Ok(opened) => kernel.serve(server, opened.storage, opened.facts),
        Err(refused) => decline(server, refused.status()),
    }
}

/// What the service needs of the kernel, whatever the store stands on.
struct Kernel {
    memory: Cap<Untyped>,
    cnode: Cap<CNode, All>,
    settle: Cap<Settle, All>,
    console: Console,
    heap: &'static Heap,
}

impl Kernel {
    /// Serves a storage, for ever.
    fn serve<S: Backing>(self, server: Server, storage: S, facts: Facts) -> ! {
        if let Err(error) = objects::serve_labels(server.endpoint(), Persistence::LABELS) {
            panic!("the endpoint refuses the labels of this server: {error:?}");
        }
        let rules = RulesBySchema::default().with(object_model::SCHEMA, Box::new(genesis::GraphRules::default()));
        let store = Store::new(storage, CACHE_BYTES).with_rules(Box::new(rules)).numbered_from(first_transaction());
        let scopes = ScopePool::new(self.memory, self.cnode, self.settle);
        let sessions = Sessions::new(store, scopes, LIMITS);
        Service::new(sessions, facts, self.console, self.heap).run(server)
    }
}

/// Where the disk cannot be served: answers every request that the store has stopped, with the reason's status as detail. To end
/// would leave the callers waiting for another instance, which would find the same disk.
fn decline(mut server: Server, status: u64) -> ! {
    loop {
        if let Event::Request(request) = server.next_event() {
            request.refuse(STORE_STOPPED, status);
        }
    }
}

fn transfer_buf(memory: &Cap<Untyped>, cnode: &Cap<CNode, All>, vspace: &Cap<VSpace, All>) -> Result<Buf, KernelError> {
    let object = objects::retype(memory, BUF_BITS, cnode)?;
    Buf::map(object, vspace)
}

/// The wall clock, in the store's microseconds.
#[derive(Clone, Copy, Debug)]
pub struct WallClock;

impl Clock for WallClock {
    fn now(&mut self) -> u64 {
        runtime::clock(runtime::Clock::Wall) / 1000
    }
}

/// A number that differs from one formatting to the next. The machine gives this cell no source of secrets: whoever
/// knows when a disk was formatted can guess it, so nothing may rest on its being secret.
fn permutation_key() -> [u8; 16] {
    let wall = runtime::clock(runtime::Clock::Wall);
    let since_boot = runtime::clock(runtime::Clock::Monotonic);
    let mut key = [0; 16];
    for (place, byte) in key.iter_mut().zip(wall.to_le_bytes().into_iter().chain(since_boot.to_le_bytes())) {
        *place = byte;
    }
    key
}

/// The number of this life's first transaction: the microseconds since boot. An earlier life began fewer transactions than
/// it lasted microseconds, and a later one begins later.
fn first_transaction() -> u64 {
    runtime::clock(runtime::Clock::Monotonic) / 1000
}
