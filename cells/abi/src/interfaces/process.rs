//! The process server.

mod strike;

use serde::{Deserialize, Serialize};

pub use strike::{Strike, Victim};

/// The image object does not exist, or is none.
pub const BAD_IMAGE: u32 = 1;
/// The image does not verify; it is not run.
pub const IMAGE_REFUSED: u32 = 2;
/// The list of capabilities does not exist, is malformed, or asks for what cannot be granted.
pub const BAD_CAPABILITIES: u32 = 3;
/// A step failed for lack of memory; nothing was left behind.
pub const OUT_OF_MEMORY: u32 = 4;
/// The store refused; detail: its code.
pub const STORE_FAILED: u32 = 5;
/// There is no such process.
pub const NO_SUCH_PROCESS: u32 = 6;
/// A planted failure of a test.
pub const PLANTED: u32 = 7;
/// A replacement of the service is under way.
pub const BUSY: u32 = 8;
/// The image does not serve what the service serves; detail: the first label that it lacks or means otherwise.
pub const OTHER_INTERFACE: u32 = 9;
/// The image cannot go on with the state of what serves, or could not give it back.
pub const OTHER_STATE: u32 = 10;
/// There is no image that was current before.
pub const NO_PREVIOUS: u32 = 11;
/// The process serves nobody.
pub const SERVES_NOBODY: u32 = 12;
/// A process cannot have this priority; detail: the greatest that it can have.
pub const BAD_PRIORITY: u32 = 13;
/// The object is a process already, or was one: a process is made of a clone.
pub const ALREADY_STARTED: u32 = 15;
/// The slot `interface` of the object is no declaration of labels.
pub const BAD_INTERFACE: u32 = 16;
/// What is replaced has a state of its own, which would be lost by force.
pub const WOULD_LOSE_STATE: u32 = 14;

/// Where the process server finds the services that were started before it, in its CNode: for each, in the order in which they
/// started, copies of five capabilities to what it is made of. It keeps an eye on them from then on.
pub mod services {
    use crate::slots::FIRST_GRANTED;

    /// The first slot of the first service.
    pub const FIRST: u32 = FIRST_GRANTED + 8;
    /// The most services.
    pub const MOST: u32 = 16;
    /// Slots a service: VSpace, TCB, CNode, Image, Endpoint.
    pub const EACH: u32 = 5;
    /// The slot behind the last service.
    pub const END: u32 = FIRST + MOST * EACH;
}

/// A state of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum State {
    /// Its thread runs or waits.
    Running,
    /// It ended by itself.
    Exited(u64),
    /// It failed and was stopped.
    Failed,
}

/// One line of `ps`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessSummary<'a> {
    /// The Process object.
    pub oid: u64,
    /// Its image's name.
    pub name: &'a str,
    /// Version of the image.
    pub version: &'a str,
    /// First bytes of the image's hash.
    pub hash: u64,
    /// First address of its text.
    pub text: u64,
    /// End of its text.
    pub text_end: u64,
    /// What it is doing.
    pub state: State,
}

/// What the server itself has in use, for tests that look for what is left behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Processes that run, or ran since boot.
    pub processes: u32,
    /// Processes that were made and never started.
    pub prepared: u32,
    /// Capabilities in its CNode.
    pub capabilities: u32,
    /// Bytes of its heap.
    pub heap: u64,
}

/// One line of `cells`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CellSummary<'a> {
    /// Its image's name.
    pub name: &'a str,
    /// Version of the image.
    pub version: &'a str,
    /// First bytes of the image's hash.
    pub hash: u64,
    /// First address of its text.
    pub text: u64,
    /// End of its text; the same where it is not loaded any more.
    pub text_end: u64,
    /// What it is doing.
    pub state: State,
}

/// One line of `top` and of `tree`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Use<'a> {
    /// The cell's name.
    pub name: &'a str,
    /// Its Process object; 0 for a service.
    pub process: u64,
    /// Its first thread's present priority.
    pub priority: u8,
    /// Its threads.
    pub threads: u64,
    /// Ticks of the timer during which that ran.
    pub ticks: u64,
    /// Bytes of its heap.
    pub heap: u64,
    /// Bytes that are mapped for it: code, stack, heap, buffers, registers of devices.
    pub memory: u64,
    /// Bytes of the untyped memory that it holds, each byte once.
    pub untyped: u64,
    /// Requests that wait at its endpoint, those that it has, and the instances that served it before; `None` without one.
    pub requests: Option<(u64, u64, u64)>,
}

/// One line of `caps`: what a slot of a cell's CNode holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capability<'a> {
    /// The slot.
    pub slot: u32,
    /// The kind, as the number of a [`Kind`](crate::kernel::Kind).
    pub kind: u8,
    /// The rights, as the [`bits`](crate::token::bits) of tokens.
    pub rights: u8,
    /// Logarithm of the object's size, for memory.
    pub size_bits: u8,
    /// Whether the cell's creator put it there before the first start.
    pub endowed: bool,
    /// Its badge. Of ports, how many there are; of an untyped, how many bytes are used; of the scheduler, the highest priority; of
    /// other memory, 1 where it is mapped.
    pub badge: u64,
    /// Which line, port or function it is, as in [`SlotInfo`](crate::kernel::SlotInfo); 0 for what is no device.
    pub object: u64,
    /// The cell that the object is part of, or that serves the endpoint; empty where the process server does not know it.
    pub of: &'a str,
}

/// How far a replacement is, or how it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Progress {
    /// The new instance is tried with a copy of the state, while the old one serves.
    Rehearsing,
    /// The old instance answers what it has.
    Draining,
    /// State is on its way.
    Moving,
    /// The new instance serves, on trial.
    Trial,
    /// The new instance serves.
    Confirmed,
    /// The old instance serves.
    Returned(Why),
    /// Neither could go on; the service begins again.
    Lost,
}

/// Why the old instance serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Why {
    /// Somebody asked for it.
    Aborted,
    /// Something took too long.
    TimedOut,
    /// State could not be handed over.
    Refused,
    /// The old instance ended.
    OldEnded,
    /// The new instance ended.
    NewEnded,
}

/// The last replacement of a service or process in this boot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplacementSummary<'a> {
    /// Its name.
    pub name: &'a str,
    /// How far it is.
    pub progress: Progress,
    /// Nanoseconds for which requests waited.
    pub pause: u64,
    /// The most requests that waited.
    pub parked: u64,
    /// Requests that the old instance had when the others began to wait.
    pub delivered: u64,
}

crate::interface! {
    /// What a client of the process server asks.
    Process {
        /// Makes a process of a persistent image with the capabilities that a persistent list names. In the caller's own
        /// open transaction, it starts at that transaction's commit.
        1 CreateProcess(image: u64, capabilities: u64) -> u64;
        /// The processes from an index on, as many as fit the reply; answers how many there are.
        2 List(from: u64) -> u64;
        /// Ends a process: at once, or, in the caller's own open transaction, at that one's commit.
        3 Terminate(process: u64);
        /// Makes a process of the current image of that name (the body), as CreateProcess does.
        4 Spawn() -> u64;
        /// Waits until a process has ended; answers its exit status.
        replayable 5 Wait(process: u64) -> u64;
        /// Makes the next CreateProcess fail at a point of its registry, or the next replacement of a service suffer a [`Strike`]:
        /// for tests. Answers how many points the registry has.
        6 PlantFailure(point: u64) -> u64;
        /// Stops the instance of a service, whose name is the body. It has failed then, and begins again as after any failure.
        7 Kill();
        /// The cells of this boot from an index on, as many as fit the reply: what the root task started, then the
        /// processes. Answers how many there are.
        8 Cells(from: u64) -> u64;
        /// What the server itself has in use.
        9 GetUsage() -> u64, Usage;
        /// Replaces the instance of a service or of a process, whose name is the body, by one of an image; 0 for the newest one of
        /// the name. With `force` other than 0 an old instance that does not answer in time what it holds is ended; with 0 it goes on. It
        /// is under way when this is answered: WaitReplaced tells of its end.
        10 Replace(image: u64, force: u64);
        /// The same by the image that was current before.
        11 Rollback();
        /// Waits until a replacement of the service or process, whose name is the body, is over; answers its summary.
        replayable 12 WaitReplaced() -> u64;
        /// What the cells of this boot that run use, from an index on, as many as fit the reply; answers how many there are.
        15 Top(from: u64) -> u64;
        /// Verifies the signed image in the lent memory, of so many bytes, and stores it as an Image object. For the next replacement
        /// of a service of its name it is the one that is taken without another word; where there is no such service it is the current
        /// one of its name at once. Answers the object; the body says name, version and TID.
        14 Import(length: u64) -> u64;
        /// What the CNode of a process holds, or of the service whose name is the body where that is 0, from a slot on, as much as fits
        /// the reply; answers the slot to go on from, 0 where that was all.
        16 Capabilities(process: u64, from: u64) -> u64;
        /// The last replacement of everything that had one in this boot; answers how many.
        13 Replacements() -> u64;
        /// Hands over a capability to call the process that serves under a name, the body. Its badge is the caller's.
        17 Connect();
        /// Writes the priority of a process into its object; the process has it from then on: at once, or from the commit of the
        /// caller's own open transaction on.
        18 SetPriority(process: u64, priority: u64);
        /// As CreateProcess, of an object that is there: a clone of the prototype Process, or of what delegates to it, which was
        /// no process before. It keeps its other slots. Answers the object.
        19 SpawnInto(process: u64, image: u64, capabilities: u64) -> u64;
        /// Puts a process behind the others of its priority that could run.
        20 YieldTimeslice(process: u64);
    }
}
