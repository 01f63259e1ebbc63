//! The persistence server: the object store as a service, over a block device that another cell drives.
//!
//! * [`backing`]: what it stands on;
//! * [`opening`]: what is on the disk, and whether it may be opened or formatted;
//! * [`outcomes`]: what became of transactions;
//! * [`watches`]: who is to hear of which commits, and what they changed;
//! * [`sessions`]: which transaction a request belongs to, who may end it, and what becomes of it; over any storage and
//!   any [`sessions::Scopes`], so that it is tested on the host;
//! * [`names`]: what clients call objects;
//! * [`wire`]: records as they travel, and how large they may be;
//! * [`refusal`]: what is answered where something is refused;
//! * [`handover`]: what goes over to the next version of this server, which is replaced while it serves;
//! * [`start`]: memory and capabilities, as they were given or as another instance has left them;
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
//! driver, to call; 17: the authority to settle scopes; 18: an untyped of 1 MiB for scopes, reply objects and the
//! Buf of its transfers. Behind them it holds what it makes itself, which is kept when another instance takes its place. Without a
//! block driver the store is in memory and ends with the cell: for measurements, which a disk would make differ from run to run.
//! Over a disk that cannot be written, changes are in memory and end with the cell: a demo.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod backing;
pub mod disk;
pub mod handover;
pub mod names;
pub mod opening;
pub mod outcomes;
pub mod refusal;
pub mod scopes;
pub mod server;
pub mod sessions;
pub mod start;
pub mod watches;
pub mod wire;

#[cfg(test)]
mod tests;

use alloc::boxed::Box;
use alloc::vec::Vec;

use object_store::{Clock, MappingStorage, RulesBySchema, Store};
use runtime::abi::KernelError;
use runtime::abi::interfaces::persistence::Persistence;
use runtime::abi::interfaces::persistence::STORE_STOPPED;
use runtime::abi::slots;
use runtime::abi::token::{All, CNode, CallOnly, Cap, Endpoint, Settle, Untyped, VSpace};
use runtime::{Buf, Console, Environment, Event, Exporter, Exports, Heap, Server, objects, say};

use crate::backing::Backing;
use crate::disk::{Disk, Ear};
use crate::handover::Handover;
use crate::names::Names;
use crate::opening::{Facts, Opened};
use crate::scopes::ScopePool;
use crate::server::Service;
use crate::sessions::{Limits, Sessions};
use crate::start::{Holdings, Memory};

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
/// The first slot of what this server makes itself.
const FIRST_OWN: u32 = MEMORY + 1;

/// Requests whose answers can wait, at most, and one more.
const REPLIES: usize = 48;
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
    // First of all: what another instance leaves is taken over before anything else is touched.
    let handover: Option<Handover> = environment.thaw();
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
    let found = Memory::new(&memory, handover.as_ref(), block.as_ref(), &mut environment, &cnode);
    let (memory, mut holdings) = match found {
        Ok(found) => found,
        Err(error) => panic!("slot {MEMORY} gives no memory: {error:?}"),
    };
    let replies = match objects::reply_objects(&memory.own, &cnode, REPLIES) {
        Ok(replies) => replies,
        Err(error) => panic!("no reply object out of slot {MEMORY}: {error:?}"),
    };
    let server = Server::new(endpoint, replies);
    let (heap, exporter) = (environment.heap(), environment.exporter());
    let Some(block) = block else {
        say!(console, "no block driver: the store is in memory, and ends with this cell");
        let kernel = Kernel { memory, cnode, settle, console, heap, exporter };
        let names = Names::new(&names::draw_key(runtime::random));
        kernel.serve(server, MappingStorage::new(WallClock), names, Facts::OF_MEMORY, |store, scopes, _| {
            Sessions::new(store, scopes, LIMITS)
        });
    };
    let buf = match transfer_buf(&memory.own, &cnode, &vspace) {
        Ok(buf) => buf,
        Err(error) => panic!("no transfer Buf out of slot {MEMORY}: {error:?}"),
    };
    let kernel = Kernel { memory, cnode, settle, console, heap, exporter };
    let ear = Ear { notification, cnode: environment.cnode_again() };
    let opened = match Disk::new(block, buf, ear) {
        Ok(disk) if disk.is_read_only() => {
            match opening::open_demo(disk, WallClock, &|line| kernel.console.say(line)) {
                Ok((storage, facts)) => {
                    let names = Names::new(storage.base().permutation_key());
                    kernel.serve(server, storage, names, facts, |store, scopes, _| Sessions::new(store, scopes, LIMITS))
                }
                Err(refused) => Err(refused),
            }
        }
        Ok(disk) => opening::open(disk, WallClock, names::draw_key(runtime::random), &|line| kernel.console.say(line)),
        Err(error) => {
            say!(kernel.console, "the block driver does not tell its capacity: {error}");
            Err(opening::Refused::Unusable)
        }
    };
    match opened {
        Ok(Opened { storage, facts, .. }) => {
            let names = Names::new(storage.permutation_key());
            match handover {
                None => {
                    kernel.serve(server, storage, names, facts, |store, scopes, _| Sessions::new(store, scopes, LIMITS))
                }
                Some(handover) => {
                    let facts = handover.ground.facts;
                    kernel.serve(server, storage, names, facts, |store, scopes, console| {
                        go_on(store, scopes, console, handover, (&mut holdings, &mut environment))
                    })
                }
            }
        }
        // The instance before this one, which has opened it, goes on.
        Err(_) if handover.is_some() => panic!("the state file that was handed over cannot be opened"),
        Err(refused) => decline(server, refused.status(), kernel.exporter),
    }
}

/// What the service needs of the kernel, whatever the store stands on.
struct Kernel {
    memory: Memory,
    cnode: Cap<CNode, All>,
    settle: Cap<Settle, All>,
    console: Console,
    heap: &'static Heap,
    exporter: Option<Exporter>,
}

impl Kernel {
    /// Serves a storage, for ever. `begin` answers the transactions that are open.
    fn serve<S: Backing>(
        self,
        server: Server,
        storage: S,
        names: Names,
        facts: Facts,
        begin: impl FnOnce(Store<S>, ScopePool, &Console) -> Sessions<S, ScopePool>,
    ) -> ! {
        if let Err(error) = objects::serve_labels(server.endpoint(), Persistence::LABELS) {
            panic!("the endpoint refuses the labels of this server: {error:?}");
        }
        let rules = RulesBySchema::default().with(object_model::SCHEMA, Box::new(genesis::GraphRules::default()));
        let store = Store::new(storage, CACHE_BYTES).with_rules(Box::new(rules)).numbered_from(first_transaction());
        let ground = self.memory.ground(facts);
        let sessions = begin(store, ScopePool::new(self.memory.kept, self.cnode, self.settle), &self.console);
        Service::new(sessions, names, ground, self.console, self.heap).run(server.exporting(self.exporter))
    }
}

/// The transactions that another instance has handed over, and which the kernel objects are there for.
fn go_on<S: Backing>(
    mut store: Store<S>,
    scopes: ScopePool,
    console: &Console,
    handover: Handover,
    (holdings, environment): (&mut Holdings, &mut Environment),
) -> Sessions<S, ScopePool> {
    if let Err(error) = store.storage_mut().go_on_numbering(handover.ground.next_oid) {
        panic!("the state file that was handed over cannot be read: {error:?}");
    }
    let resumed = Sessions::resume(store, scopes, LIMITS, handover, &mut holdings.of(environment));
    holdings.discard(environment);
    match resumed {
        Ok((sessions, resumed)) => {
            start::tell(&resumed, console);
            sessions
        }
        Err(error) => panic!("the state file is not the one that was handed over: {error:?}"),
    }
}

/// Where the disk cannot be served: answers every request that the store has stopped, with the reason's status as detail. To end
/// would leave the callers waiting for another instance, which would find the same disk.
///
/// It has nothing to hand over, and is not replaced: where the disk is served again, a restart does it.
fn decline(server: Server, status: u64, exporter: Option<Exporter>) -> ! {
    let mut server = server.exporting(exporter);
    loop {
        if let Event::Request(request) = server.next_event_exporting(&mut Nothing) {
            request.refuse(STORE_STOPPED, status);
        }
    }
}

/// What a server exports that has opened nothing.
struct Nothing;

impl Exports for Nothing {
    fn export(&mut self, _: u32) -> Option<Vec<u8>> {
        None
    }

    fn export_changes(&mut self, _: u32) -> Option<Vec<u8>> {
        None
    }

    fn is_proven(&mut self) {}
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

/// The number of this life's first transaction: the microseconds since boot. An earlier life began fewer transactions than
/// it lasted microseconds, and a later one begins later.
fn first_transaction() -> u64 {
    runtime::clock(runtime::Clock::Monotonic) / 1000
}
