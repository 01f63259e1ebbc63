//! A further thread of the driver's cell, to be ended in the middle of a transaction.
//!
//! Driver and drone share the cell's variables: what a drone is to work on stands there before it is started, and what it
//! has come to when it signals. It runs at the lowest priority, so that it gets no further than to where it signals or waits
//! before the driver goes on. It is only ended while it waits, so that it never holds the lock of the shared heap.

use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use abi::slots;
use abi::token::{All, CallOnly, Cap, Endpoint, Notification};
use clients::{Graph, GraphError, processes};
use object_model::{Object, Oid, Value};
use runtime::{Environment, objects, sleep};

use crate::{groups, handovers, late};

/// The bit in the argument of a thread that makes it a drone: no Process object has such a number.
const DRONE: u64 = 1 << 63;

/// The slot of the notification that the driver waits for.
pub static READY: AtomicU32 = AtomicU32::new(0);
/// The drone's transaction.
pub static TRANSACTION: AtomicU64 = AtomicU64::new(0);
/// Two objects to write.
pub static PAIR: [AtomicU64; 2] = [AtomicU64::new(0), AtomicU64::new(0)];
/// What is to be written, or which image and list a process is to be made of.
pub static GIVEN: [AtomicU64; 2] = [AtomicU64::new(0), AtomicU64::new(0)];
/// How far it got: [`Progress`].
pub static PROGRESS: AtomicU32 = AtomicU32::new(0);

/// How far a drone got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Progress {
    /// Not to where it signals.
    Nowhere = 0,
    /// To where it signals.
    Ready = 1,
    /// Its commit has returned, or what else it does after it has signalled.
    Committed = 2,
    /// Something failed on the way.
    Failed = 3,
}

/// What a drone is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum Errand {
    /// Begin, store an object, signal, wait for its end.
    Begin = 0,
    /// Begin, make a process, signal, wait for its end.
    Create = 1,
    /// Begin, write the pair, signal, wait for its end.
    Write = 2,
    /// Begin, write the pair, signal, commit, wait for its end.
    Commit = 3,
    /// Make a process in no transaction of its own, wait for the process's end, signal, wait for its own.
    Spawn = 4,
    /// Serve one request, and be late with it.
    Serve = 5,
    /// Begin, write one of the pair and a new object, signal, wait to be told to go on; write all again, commit, signal, wait for its
    /// end.
    Hold = 6,
    /// Begin, write an object of its own, commit, signal, wait for its end.
    Share = 7,
}

impl Errand {
    /// The errand of a thread's argument; `None` where the thread is no drone.
    pub fn of(argument: u64) -> Option<Errand> {
        use Errand::{Begin, Commit, Create, Hold, Serve, Share, Spawn, Write};
        [Begin, Create, Write, Commit, Spawn, Serve, Hold, Share]
            .into_iter()
            .find(|errand| errand.argument() == argument)
    }

    /// The argument of a thread with this errand.
    pub const fn argument(self) -> u64 {
        DRONE | self as u64
    }
}

/// Does its errand, and waits to be ended.
pub fn run(mut environment: Environment, errand: Errand) -> u64 {
    let ready: Cap<Notification, All> = environment.need(READY.load(Ordering::Relaxed), "the driver's notification");
    let mut graph = Graph::new(environment.need(slots::PERSISTENCE, "the persistence server"), None);
    let process: Cap<Endpoint, CallOnly> = environment.need(slots::PROCESS, "the process server");
    let signal = |progress: Progress| {
        PROGRESS.store(progress as u32, Ordering::Relaxed);
        let _ = objects::signal(&ready, 1);
    };
    if errand == Errand::Serve {
        late::serve(environment, graph, signal);
        rest()
    }
    if errand == Errand::Hold {
        handovers::hold(&mut environment, &mut graph, signal);
        rest()
    }
    if errand == Errand::Share {
        match groups::commit_own(&mut graph) {
            Ok(()) => signal(Progress::Committed),
            Err(_) => signal(Progress::Failed),
        }
        rest()
    }
    match work(&mut graph, &process, errand) {
        Ok(()) => signal(Progress::Ready),
        Err(_) => signal(Progress::Failed),
    }
    if errand == Errand::Commit {
        match graph.commit() {
            Ok(_) => signal(Progress::Committed),
            Err(_) => signal(Progress::Failed),
        }
    }
    rest()
}

/// Waits to be ended.
fn rest() -> ! {
    loop {
        sleep(1_000_000_000);
    }
}

fn work(graph: &mut Graph, process: &Cap<Endpoint, CallOnly>, errand: Errand) -> Result<(), GraphError> {
    let given = GIVEN.each_ref().map(|word| word.load(Ordering::Relaxed));
    let [image, list] = given.map(Oid::new);
    if errand == Errand::Spawn {
        let made = processes::create(process, image, list)?;
        processes::wait(process, made)?;
        return Ok(());
    }
    TRANSACTION.store(graph.begin()?, Ordering::Relaxed);
    match errand {
        Errand::Begin => {
            let oid = graph.new_object()?;
            graph.put_object(oid, &Object::new().data("value", Value::Bytes(alloc::vec![7; 1000])))?;
        }
        Errand::Create => {
            processes::create(process, image, list)?;
        }
        Errand::Write | Errand::Commit => {
            let [value, _] = given;
            for oid in &PAIR {
                let object = Object::new().data("value", Value::Int(value.cast_signed()));
                graph.put_object(Oid::new(oid.load(Ordering::Relaxed)), &object)?;
            }
        }
        Errand::Spawn | Errand::Serve | Errand::Hold | Errand::Share => {}
    }
    Ok(())
}
