//! Where the objects of a test come from, and the check that it leaves nothing behind.
//!
//! Everything that a test makes, it makes of one untyped, which is revoked after it. Then that untyped is whole again, the
//! kernel's heap and page tables are what they were, and so is this cell's CNode.

use alloc::string::String;
use alloc::vec::Vec;

use abi::interface::Method;
use abi::token::{
    All, CNode, CallOnly, Cap, Endpoint, Image, Irq, Loader, Machine, Notification, Object, Scheduler, Settle, Tcb,
};
use abi::token::{Frame, Untyped, VSpace};
use abi::{CallError, KernelError, slots};
use runtime::{Answered, Call, Console, Environment, objects};
use spawner::Memory;

use crate::cells::{OWN, Peer, Plan};
use crate::outcome::{Failure, Outcome, equal};
use crate::protocol::{methods, own_slots};
use crate::tests;

/// Nanoseconds after which something that has to happen is taken for what never will.
pub const PATIENCE: u64 = 5_000_000_000;
/// Bytes that one entry of the kernel's tables shows of physical memory, where it need not tell smaller parts apart, as a power
/// of two.
const LARGE_PAGE_BITS: u8 = 21;
/// Cells that are killed where the command line says nothing.
const KILLS: u64 = 240;
/// Exit code of a run in which a test failed.
const FAILED: u64 = 0x11;

/// A test with its name.
pub type Test = (&'static str, fn(&mut Rig) -> Outcome);

/// A server, its endpoint, and a capability to call it.
pub type Served = (Peer, Cap<Endpoint, All>, Cap<Endpoint, CallOnly>);

/// What the tests work with.
pub struct Rig {
    /// For lines.
    pub console: Console,
    /// This cell's CNode.
    pub cnode: Cap<CNode, All>,
    /// This cell's VSpace.
    pub vspace: Cap<VSpace, All>,
    /// This cell's thread.
    pub tcb: Cap<Tcb, All>,
    /// Authority to make cells.
    pub loader: Cap<Loader, All>,
    /// Authority over priorities.
    pub scheduler: Cap<Scheduler, All>,
    /// Authority over scopes.
    pub settle: Cap<Settle, All>,
    /// The interrupt line of a device that nobody drives.
    pub line: Cap<Irq, All>,
    /// This cell's image.
    pub image: Cap<Image, All>,
    /// What the image asks for.
    pub needs: objects::ImageNeeds,
    /// Signalled whenever a cell ends.
    pub ends: Cap<Notification, All>,
    /// Where objects come from.
    pub stock: Stock,
    /// The cells of the running test.
    pub peers: Vec<spawner::Instance>,
    /// How many cells the long tests kill: `kills=N` on the command line.
    pub kills: u64,
    machine: Cap<Machine, All>,
}

/// Memory that one test uses.
pub struct Stock {
    /// All of it.
    pub untyped: Cap<Untyped, All>,
    cnode: Cap<CNode, All>,
}

impl Memory for Stock {
    type Error = KernelError;

    fn make<T: Object>(&mut self, size_bits: u8) -> Result<Cap<T, All>, KernelError> {
        objects::retype(&self.untyped, size_bits, &self.cnode)
    }
}

/// Memory that is a part of it.
pub struct Within<'a> {
    /// The part.
    pub untyped: &'a Cap<Untyped, All>,
    /// This cell's CNode.
    pub cnode: &'a Cap<CNode, All>,
}

impl Memory for Within<'_> {
    type Error = KernelError;

    fn make<T: Object>(&mut self, size_bits: u8) -> Result<Cap<T, All>, KernelError> {
        objects::retype(self.untyped, size_bits, self.cnode)
    }
}

/// What a test must leave as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Account {
    /// Bytes of the kernel's heap.
    pub heap: u64,
    /// Frames left for page tables.
    pub tables: u64,
    /// Capabilities in this cell's CNode.
    pub capabilities: usize,
}

impl Rig {
    /// Of what the root task granted.
    pub fn new(mut environment: Environment) -> Rig {
        let (own, other) = (environment.cnode_again(), environment.cnode());
        let loader: Cap<Loader, All> = environment.need(own_slots::LOADER, "authority to make cells");
        let image: Cap<Image, All> = environment.need(own_slots::IMAGE, "its own image");
        let needs = objects::image_needs(&loader, &image);
        let machine = environment.need(own_slots::MACHINE, "the machine");
        let rig = Rig {
            kills: word(&machine, "kills=").and_then(|kills| kills.parse().ok()).unwrap_or(KILLS),
            console: Console::new(environment.take(slots::CONSOLE), "probe"),
            cnode: other,
            needs: needs.unwrap_or_else(|error| panic!("the image of the tests is of no use: {error:?}")),
            loader,
            image,
            vspace: environment.need(slots::VSPACE, "its VSpace"),
            tcb: environment.need(slots::TCB, "its thread"),
            scheduler: environment.need(own_slots::SCHEDULER, "authority over priorities"),
            line: environment.need(own_slots::LINE, "an interrupt line"),
            settle: environment.need(own_slots::SETTLE, "authority over scopes"),
            ends: environment.need(slots::NOTIFICATION, "its notification"),
            stock: Stock { untyped: environment.need(own_slots::MEMORY, "memory"), cnode: own },
            peers: Vec::new(),
            machine,
        };
        let prepared = objects::watch_instances(&rig.loader, &rig.ends, 1)
            .and_then(|()| objects::set_priority(&rig.tcb, &rig.scheduler, OWN));
        if let Err(error) = prepared {
            panic!("the tests cannot be prepared: {error:?}");
        }
        rig
    }

    /// Runs every test, reports, and stops the machine.
    pub fn run_all(mut self) -> ! {
        self.warm_up();
        let (mut passed, mut failed) = (0, 0);
        self.console.line(format_args!("the tests begin"));
        let all = tests::ALL.iter().flat_map(|theme| theme.iter());
        let only = word(&self.machine, "only=");
        for (name, test) in all.filter(|(name, _)| only.as_ref().is_none_or(|only| only == name)) {
            let outcome = self.run(*test);
            match outcome {
                Ok(()) => passed += 1,
                Err(_) => failed += 1,
            }
            match outcome {
                Ok(()) => self.console.line(format_args!("test {name} ... ok")),
                Err(failure) => self.console.line(format_args!("test {name} ... FAILED: {failure}")),
            }
        }
        self.console.line(format_args!("{passed} passed, {failed} failed"));
        objects::halt(&self.machine, if failed == 0 { 0 } else { FAILED })
    }

    /// Has code everywhere in the memory of the tests once, and as many cells at a time as fit, and takes it all back: the
    /// kernel's tables for physical memory, in which code is not writable either, are as fine as they will be then, and its
    /// list of free addresses is as long.
    fn warm_up(&mut self) {
        if let Err(failure) = self.try_warm_up() {
            self.console.line(format_args!("the memory of the tests is not as it should be: {failure}"));
        }
    }

    fn try_warm_up(&mut self) -> Outcome {
        let code_bits = spawner::page_bits(self.needs.memory);
        while let Ok(block) = self.stock.make::<Untyped>(LARGE_PAGE_BITS) {
            let mut within = Within { untyped: &block, cnode: &self.cnode };
            let (frame, vspace): (Cap<Frame, All>, Cap<VSpace, All>) = (within.make(code_bits)?, within.make(12)?);
            objects::instantiate(&self.loader, &self.image, &vspace, &frame)?;
            objects::revoke(&block)?;
        }
        self.clear()?;
        while spawner::Instance::with_needs(&mut self.stock, &self.loader, &self.image, &self.needs).is_ok() {}
        self.clear()
    }

    fn run(&mut self, test: fn(&mut Rig) -> Outcome) -> Outcome {
        let before = self.account()?;
        let outcome = test(self);
        let cleared = self.clear();
        outcome.and(cleared)?;
        equal("what is left", self.account()?, before)
    }

    /// Stops what runs, and takes all memory of the test back.
    pub fn clear(&mut self) -> Outcome {
        for instance in self.peers.drain(..) {
            // One whose thread is gone has ended already.
            let _ = objects::stop_thread(&instance.tcb);
        }
        objects::revoke(&self.stock.untyped)?;
        let left = objects::untyped_info(&self.stock.untyped)?;
        equal("bytes of memory that came back", (left.free, left.is_used), (left.size, false))
    }

    /// What the kernel and this cell have in use.
    pub fn account(&self) -> Result<Account, Failure> {
        let info = objects::machine_info(&self.machine)?;
        let slots = 1..self.own_slots();
        let capabilities = slots.filter(|slot| objects::inspect(&self.cnode, *slot).is_some()).count();
        Ok(Account { heap: info.kernel_heap, tables: info.table_frames, capabilities })
    }

    /// Slots of the CNode of this cell, and of each peer, which is of the same image.
    pub fn own_slots(&self) -> u32 {
        objects::inspect(&self.cnode, slots::CNODE).map_or(0, |own| 1 << own.size_bits)
    }

    /// An object of the test's memory.
    pub fn make<T: Object>(&mut self, size_bits: u8) -> Result<Cap<T, All>, KernelError> {
        self.stock.make(size_bits)
    }

    /// An endpoint that peers serve.
    pub fn endpoint(&mut self) -> Result<Cap<Endpoint, All>, KernelError> {
        let endpoint = self.make(0)?;
        objects::serve_labels(&endpoint, methods::Peer::LABELS)?;
        Ok(endpoint)
    }

    /// A capability to call an endpoint, for this cell.
    pub fn client(&self, endpoint: &Cap<Endpoint, All>, badge: u64) -> Result<Cap<Endpoint, CallOnly>, KernelError> {
        objects::duplicate(endpoint, &self.cnode, badge)
    }

    /// A peer that serves an endpoint of its own and can hold so many requests, at the priority of peers that run at once.
    pub fn server(&mut self, holds: u64) -> Result<Served, Failure> {
        let endpoint = self.endpoint()?;
        let peer = Plan::serve(holds).serving(&endpoint).start(self)?;
        let client = self.client(&endpoint, 0)?;
        Ok((peer, endpoint, client))
    }

    /// Waits until a notification of the test's is signalled; answers the bits.
    pub fn wait(&self, notification: &Cap<Notification, All>) -> Result<u64, CallError> {
        objects::wait(notification, PATIENCE)
    }
}

/// What stands behind the beginning of a word of the kernel's command line.
fn word(machine: &Cap<Machine, All>, beginning: &str) -> Option<String> {
    let mut line = [0; 256];
    let length = objects::command_line(machine, &mut line).ok()? as usize;
    let line = core::str::from_utf8(line.get(..length)?).ok()?;
    line.split_whitespace().find_map(|given| given.strip_prefix(beginning)).map(String::from)
}

/// Calls, and gives up where no answer comes.
pub fn ask<M: Method<Value = u64>>(client: &Cap<Endpoint, CallOnly>, method: M) -> Result<u64, CallError> {
    Call::new(client, method).timeout(PATIENCE).send().map(|answered: Answered<M>| answered.value)
}
