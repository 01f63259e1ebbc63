//! Where peers and objects come from, and the check that a test leaves nothing behind.

use alloc::format;
use alloc::string::String;

use abi::kernel::TIMEOUT_NONE;
use abi::slots as fixed;
use abi::token::{
    All, CNode, CallOnly, Cap, Endpoint, Image, Loader, Machine, Notification, Object, Reply, Rights, Scheduler,
    Settle, Tcb, Untyped, VSpace,
};
use abi::{CallError, KernelError};
use runtime::objects::{self, Granted, Instance as Outcome};
use runtime::{Console, Environment};
use spawner::{Instance, Memory};

use crate::protocol::{Reported, Task, slots};

/// Slots of the tests' cell beyond the fixed ones; the root task grants them.
mod granted {
    use abi::slots::FIRST_GRANTED;

    pub const MACHINE: u32 = FIRST_GRANTED;
    pub const SCHEDULER: u32 = FIRST_GRANTED + 1;
    pub const MEMORY: u32 = FIRST_GRANTED + 2;
    pub const LOADER: u32 = FIRST_GRANTED + 3;
    pub const SETTLE: u32 = FIRST_GRANTED + 4;
    pub const IMAGE: u32 = FIRST_GRANTED + 5;
}

/// Bytes that a test may use, as a power of two.
const ROOM_BITS: u8 = 25;
/// Bytes of a peer's own memory, as a power of two.
const SCRATCH_BITS: u8 = 17;
/// Priorities of peers; the tests' own is below them all.
pub const LOW: u8 = 10;
/// Above [`LOW`].
pub const MIDDLE: u8 = 20;
/// Above [`MIDDLE`].
pub const HIGH: u8 = 30;
/// The bit that says that an instance ended.
const ENDED: u64 = 1;

/// Why a test failed.
#[derive(Debug)]
pub struct Failed(pub String);

impl From<KernelError> for Failed {
    fn from(error: KernelError) -> Self {
        Failed(format!("the kernel answers {error:?}"))
    }
}

impl From<CallError> for Failed {
    fn from(error: CallError) -> Self {
        Failed(format!("{error}"))
    }
}

/// The outcome of a test, and of its steps.
pub type Tested<T = ()> = Result<T, Failed>;

/// A test.
pub type Test = fn(&mut Lab) -> Tested;

/// Fails the test unless two values are the same.
pub fn same<T: PartialEq + core::fmt::Debug>(what: &str, is: T, expected: T) -> Tested {
    if is == expected { Ok(()) } else { Err(Failed(format!("{what}: {is:?} instead of {expected:?}"))) }
}

/// The authority of the tests, and the memory of the one that runs.
#[derive(Debug)]
pub struct Lab {
    pub cnode: Cap<CNode, All>,
    pub vspace: Cap<VSpace, All>,
    pub thread: Cap<Tcb, All>,
    pub machine: Cap<Machine, All>,
    pub scheduler: Cap<Scheduler, All>,
    pub loader: Cap<Loader, All>,
    pub settle: Cap<Settle, All>,
    pub image: Cap<Image, All>,
    /// Bound to the tests' thread; signalled when an instance ends.
    pub notification: Cap<Notification, All>,
    console: Console,
    memory: Cap<Untyped, All>,
    room: Option<Cap<Untyped, All>>,
    passed: u64,
    failed: u64,
}

impl Lab {
    /// Takes everything out of the environment.
    pub fn new(mut environment: Environment) -> Lab {
        let lab = Lab {
            console: Console::new(environment.take(fixed::CONSOLE), "probe"),
            cnode: environment.cnode(),
            vspace: environment.need(fixed::VSPACE, "its VSpace"),
            thread: environment.need(fixed::TCB, "its thread"),
            notification: environment.need(fixed::NOTIFICATION, "its notification"),
            machine: environment.need(granted::MACHINE, "the machine"),
            scheduler: environment.need(granted::SCHEDULER, "authority over priorities"),
            memory: environment.need(granted::MEMORY, "memory"),
            loader: environment.need(granted::LOADER, "the loader"),
            settle: environment.need(granted::SETTLE, "the authority over scopes"),
            image: environment.need(granted::IMAGE, "its own image"),
            room: None,
            passed: 0,
            failed: 0,
        };
        if let Err(error) = objects::watch_instances(&lab.loader, &lab.notification, ENDED) {
            panic!("the ends of instances cannot be watched: {error:?}");
        }
        if let Err(error) = objects::bind(&lab.thread, &lab.notification) {
            panic!("the notification cannot be bound: {error:?}");
        }
        lab
    }

    /// Runs a test in a room of its own, which has to be whole and leave the kernel's heap as it was afterwards.
    pub fn run(&mut self, name: &str, test: Test) {
        let outcome = self.in_room(test);
        match outcome {
            Ok(()) => {
                self.passed += 1;
                self.console.line(format_args!("test {name} ... ok"));
            }
            Err(Failed(reason)) => {
                self.failed += 1;
                self.console.line(format_args!("test {name} ... FAILED: {reason}"));
            }
        }
    }

    fn in_room(&mut self, test: Test) -> Tested {
        let before = self.kernel_heap()?;
        self.room = Some(objects::retype(&self.memory, ROOM_BITS, &self.cnode)?);
        let outcome = test(self);
        let Some(room) = self.room.take() else { return Err(Failed("the room is gone".into())) };
        let revoked = objects::revoke(&room);
        let info = objects::untyped_info(&room)?;
        objects::delete(room);
        outcome?;
        revoked?;
        same("bytes free in the room afterwards", info.free, info.size)?;
        same("bytes of the kernel's heap afterwards", self.kernel_heap()?, before)
    }

    /// Prints the totals, and stops the machine.
    pub fn finish(self) -> ! {
        self.console.line(format_args!("{} passed, {} failed", self.passed, self.failed));
        objects::halt(&self.machine, u64::from(self.failed != 0))
    }

    /// Bytes of the kernel's heap in use.
    pub fn kernel_heap(&self) -> Tested<u64> {
        Ok(objects::machine_info(&self.machine)?.kernel_heap)
    }

    /// The room of the test.
    pub fn room(&self) -> Tested<&Cap<Untyped, All>> {
        self.room.as_ref().ok_or_else(|| Failed("there is no room".into()))
    }

    /// An object out of the room.
    pub fn object<T: Object>(&mut self, size_bits: u8) -> Tested<Cap<T, All>> {
        Ok(objects::retype(self.room()?, size_bits, &self.cnode)?)
    }

    /// A capability to call an endpoint.
    pub fn client(&self, endpoint: &Cap<Endpoint, All>, badge: u64) -> Tested<Cap<Endpoint, CallOnly>> {
        Ok(objects::duplicate(endpoint, &self.cnode, badge)?)
    }

    /// A peer that is not started.
    pub fn peer(&mut self, task: Task, priority: u8) -> Tested<Peer> {
        // The image is taken out for a moment, since making objects borrows the whole.
        let instance = Instance::new(&mut Room(self.room()?, &self.cnode), &self.loader, &self.image)?;
        Ok(Peer { instance, task, priority })
    }

    /// A peer that serves an endpoint and can hold so many requests besides the one at hand; not started.
    pub fn server(&mut self, endpoint: &Cap<Endpoint, All>, task: Task, priority: u8) -> Tested<Peer> {
        let peer = self.peer(task, priority)?;
        peer.instance.grant(fixed::ENDPOINT, endpoint, 0)?;
        let reply: Cap<Reply, All> = self.object(0)?;
        peer.instance.give(fixed::REPLY, reply)?;
        let scratch: Cap<Untyped, All> = self.object(SCRATCH_BITS)?;
        peer.instance.give(slots::SCRATCH, scratch)?;
        Ok(peer)
    }

    /// A server that was started and waits.
    pub fn serving(&mut self, endpoint: &Cap<Endpoint, All>, holds: u64, priority: u8) -> Tested<Peer> {
        let peer = self.server(endpoint, Task::new(crate::protocol::Role::Serve, holds), priority)?;
        peer.start(self)?;
        Ok(peer)
    }

    /// A peer that calls an endpoint with a badge; started, so that it has called and waits, or has ended.
    pub fn calling(&mut self, endpoint: &Cap<Endpoint, All>, badge: u64, task: Task, priority: u8) -> Tested<Peer> {
        let peer = self.peer(task, priority)?;
        peer.grant_call(slots::TARGET, endpoint, badge)?;
        let scratch: Cap<Untyped, All> = self.object(SCRATCH_BITS)?;
        peer.instance.give(slots::SCRATCH, scratch)?;
        peer.start(self)?;
        Ok(peer)
    }

    /// The priority of the tests' own thread.
    pub fn set_priority(&self, priority: u8) -> Tested {
        Ok(objects::set_priority(&self.thread, &self.scheduler, priority)?)
    }
}

/// Memory for instances.
struct Room<'a>(&'a Cap<Untyped, All>, &'a Cap<CNode, All>);

impl Memory for Room<'_> {
    type Error = KernelError;

    fn make<T: Object>(&mut self, size_bits: u8) -> Result<Cap<T, All>, KernelError> {
        objects::retype(self.0, size_bits, self.1)
    }
}

/// Another cell.
#[derive(Debug)]
pub struct Peer {
    pub instance: Instance,
    task: Task,
    priority: u8,
}

impl Peer {
    /// Grants the right to call.
    pub fn grant_call(&self, slot: u32, endpoint: &Cap<Endpoint, All>, badge: u64) -> Tested {
        objects::copy(endpoint, &self.instance.cnode, slot, CallOnly::BITS, badge)?;
        Ok(())
    }

    /// Grants a capability.
    pub fn grant<T: Object>(&self, slot: u32, cap: &Cap<T, All>) -> Tested {
        Ok(self.instance.grant(slot, cap, 0)?)
    }

    /// Starts it: it runs until it waits.
    pub fn start(&self, lab: &Lab) -> Tested {
        self.instance.configure(&lab.scheduler, self.priority, self.task.to_argument())?;
        Ok(self.instance.start()?)
    }

    /// Whether it runs.
    pub fn runs(&self) -> Tested<bool> {
        Ok(self.outcome()? == Outcome::Running)
    }

    /// What became of it.
    pub fn outcome(&self) -> Tested<Outcome> {
        Ok(objects::instance_info(&self.instance.vspace)?.0)
    }

    /// Waits until it has ended.
    pub fn ended(&self, lab: &Lab) -> Tested<Outcome> {
        loop {
            match self.outcome()? {
                Outcome::Running => {
                    objects::wait(&lab.notification, TIMEOUT_NONE)?;
                }
                ended => return Ok(ended),
            }
        }
    }

    /// Waits until it has ended with an outcome of its own.
    pub fn reported(&self, lab: &Lab) -> Tested<Reported> {
        match self.ended(lab)? {
            Outcome::Exited(status) => {
                Reported::from_status(status).ok_or_else(|| Failed(format!("a peer ended with status {status:#x}")))
            }
            other => Err(Failed(format!("a peer ended as {other:?}"))),
        }
    }
}

/// The kernel error of a call that has to fail so.
pub fn kernel_error<T>(outcome: Result<T, CallError>) -> Tested<(KernelError, u64)> {
    match outcome {
        Err(CallError::Kernel(error, detail)) => Ok((error, detail)),
        Err(other) => Err(Failed(format!("{other} instead of an error of the kernel"))),
        Ok(_) => Err(Failed("success instead of an error of the kernel".into())),
    }
}

/// Types what came with a reply.
pub fn claim<T: Object>(lab: &Lab, granted: Option<Granted>) -> Tested<Cap<T, All>> {
    let granted = granted.ok_or_else(|| Failed("nothing came along".into()))?;
    Ok(granted.claim(&lab.cnode)?)
}
