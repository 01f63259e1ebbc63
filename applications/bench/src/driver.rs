//! Takes the samples and reports them.

use alloc::vec;
use alloc::vec::Vec;
use core::hint::black_box;

use abi::slots::CONSOLE;
use abi::token::{
    All, CNode, CallOnly, Cap, Endpoint, Frame, Machine, Notification, Rights, Scheduler, Tcb, Untyped, VSpace,
};
use abi::{CallError, KernelError};
use runtime::{Call, Console, Environment, objects, say, time_stamp, yield_now};

use crate::instances::Instances;
use crate::samples::{Row, SAMPLES, count, report, take};
use crate::server::{Add, Noted};
use crate::{Role, slot};

/// Priority of the thread that is made: above the driver's, so that it runs at once.
const ABOVE: u8 = 31;
/// Copies that are revoked at once.
const CHILDREN: u64 = 16;
/// Badge of what is minted.
const BADGE: u64 = 7;

/// What the operations work on.
struct Driver {
    cnode: Cap<CNode, All>,
    memory: Cap<Untyped, All>,
    scheduler: Cap<Scheduler, All>,
    server: Cap<Endpoint, CallOnly>,
    /// An endpoint that nobody serves, to copy.
    endpoint: Cap<Endpoint, All>,
    /// A notification that nobody waits for.
    quiet: Cap<Notification, All>,
    /// A notification that the waiter waits for.
    heard: Cap<Notification, All>,
    yielder: Cap<Tcb, All>,
    parts: Parts,
    instances: Instances,
}

struct Parts {
    cnode: Cap<CNode, All>,
    vspace: Cap<VSpace, All>,
    stack: Cap<Frame, All>,
    heap: Cap<Frame, All>,
}

/// Counts everything, reports, and halts the machine.
pub fn run(mut environment: Environment) -> ! {
    let console = Console::new(environment.take(CONSOLE), "bench");
    let machine: Cap<Machine, All> = environment.need(slot::MACHINE, "the machine");
    let driver = Driver::new(&mut environment);
    let rows = match driver.rows() {
        Ok(rows) => rows,
        Err(error) => {
            say!(console, "failed: {error}");
            objects::halt(&machine, 1)
        }
    };
    report(&console, &rows);
    objects::halt(&machine, 0)
}

impl Driver {
    fn new(environment: &mut Environment) -> Driver {
        let cnode = environment.cnode();
        let memory: Cap<Untyped, All> = environment.need(slot::MEMORY, "memory for objects");
        let endpoint = make(&memory, &cnode);
        let quiet = make(&memory, &cnode);
        Driver {
            cnode,
            memory,
            scheduler: environment.need(slot::SCHEDULER, "authority over priorities"),
            server: environment.need(slot::SERVER, "the server"),
            endpoint,
            quiet,
            heard: environment.need(slot::SIGNAL, "the notification that the waiter waits for"),
            yielder: environment.need(slot::YIELDER, "the thread of the yielder"),
            parts: Parts {
                cnode: environment.need(slot::PARTS, "the CNode of a new thread"),
                vspace: environment.need(slot::PARTS + 1, "the VSpace of a new thread"),
                stack: environment.need(slot::PARTS + 2, "the stack of a new thread"),
                heap: environment.need(slot::PARTS + 3, "the heap of a new thread"),
            },
            instances: Instances::new(environment),
        }
    }

    /// Every operation in the order of the report.
    fn rows(&self) -> Result<Vec<Row>, CallError> {
        self.tried()?;
        let mut rows = vec![
            ("empty", take(|| Some(count(|| ()).0), SAMPLES)),
            ("rpc", take(|| self.call(), SAMPLES)),
            ("copy", take(|| self.copy(0), SAMPLES)),
            ("mint", take(|| self.copy(BADGE), SAMPLES)),
            ("delete", take(|| self.delete(), SAMPLES)),
            ("revoke_per_child", take(|| self.revoke(), SAMPLES)),
            ("endpoint_retype", take(|| self.retype(), SAMPLES)),
            ("signal", take(|| self.signal(), SAMPLES)),
            ("signal_and_wait", take(|| self.signal_and_wait(), SAMPLES)),
            ("signal_to_waiter", take(|| self.signal_to_waiter(), SAMPLES)),
            ("thread_create", take(|| self.create_thread().ok(), SAMPLES)),
        ];
        rows.extend(self.instances.rows(&self.cnode, &self.scheduler, &self.server)?);
        // From here on another thread of this priority runs.
        objects::start_thread(&self.yielder).map_err(failed)?;
        rows.push(("yield", take(|| self.yield_to_another(), SAMPLES)));
        Ok(rows)
    }

    /// Does each operation that can fail once: a round that fails later is taken again without end.
    fn tried(&self) -> Result<(), CallError> {
        Call::new(&self.server, Add { a: 1, b: 2, c: 3 }).words()?;
        for badge in [0, BADGE] {
            objects::copy(&self.endpoint, &self.cnode, 0, CallOnly::BITS, badge).map_err(failed)?;
        }
        objects::revoke(&self.endpoint).map_err(failed)?;
        objects::signal(&self.quiet, 1).map_err(failed)?;
        objects::signal(&self.heard, 1).map_err(failed)?;
        self.create_thread().map(drop).map_err(failed)
    }

    /// A call with three arguments and one result, through the stub that every client uses.
    fn call(&self) -> Option<u64> {
        let (a, b, c) = (time_stamp(), 2, 3);
        // The answer is looked at before the second reading: a client that uses its result pays for that too.
        let (spent, right) =
            count(|| black_box(Call::new(&self.server, Add { a, b, c }).words() == Ok(a.wrapping_add(5))));
        right.then_some(spent)
    }

    /// A copy of a capability in any free slot, with a badge unless 0.
    fn copy(&self, badge: u64) -> Option<u64> {
        let (spent, copied) = count(|| objects::copy(&self.endpoint, &self.cnode, 0, CallOnly::BITS, badge));
        objects::revoke(&self.endpoint).ok()?;
        copied.ok().map(|_| spent)
    }

    /// A capability that is not the last one to its object is deleted.
    fn delete(&self) -> Option<u64> {
        let copy: Cap<Endpoint, CallOnly> = objects::duplicate(&self.endpoint, &self.cnode, 0).ok()?;
        Some(count(|| objects::delete(copy)).0)
    }

    /// What each of many copies of a capability costs when they are revoked at once.
    fn revoke(&self) -> Option<u64> {
        for _ in 0..CHILDREN {
            objects::copy(&self.endpoint, &self.cnode, 0, CallOnly::BITS, 0).ok()?;
        }
        let (spent, revoked) = count(|| objects::revoke(&self.endpoint));
        revoked.ok().map(|()| spent / CHILDREN)
    }

    fn retype(&self) -> Option<u64> {
        let (spent, made) = count(|| objects::retype_any(&self.memory, abi::kernel::Kind::Endpoint, 0, &self.cnode));
        made.ok()?.refuse();
        Some(spent)
    }

    fn signal(&self) -> Option<u64> {
        let (spent, signalled) = count(|| objects::signal(&self.quiet, 1));
        signalled.ok().map(|()| spent)
    }

    /// A signal, and a wait that finds it.
    fn signal_and_wait(&self) -> Option<u64> {
        let (spent, bits) = count(|| {
            objects::signal(&self.quiet, 1).ok()?;
            objects::wait(&self.quiet, 0).ok()
        });
        bits.map(|_| spent)
    }

    /// From the signal to the first instruction of a waiter of a higher priority.
    fn signal_to_waiter(&self) -> Option<u64> {
        let before = time_stamp();
        objects::signal(&self.heard, 1).ok()?;
        self.noted_since(before)
    }

    /// From the yield to the first instruction of another thread of the same priority.
    fn yield_to_another(&self) -> Option<u64> {
        let before = time_stamp();
        yield_now();
        self.noted_since(before)
    }

    /// What the other thread noted, if it did so since.
    fn noted_since(&self, before: u64) -> Option<u64> {
        let noted = Call::new(&self.server, Noted {}).words().ok()?;
        noted.checked_sub(before)
    }

    /// A thread from untyped memory to where it has run and waits.
    fn create_thread(&self) -> Result<u64, KernelError> {
        let Parts { cnode, vspace, stack, heap } = &self.parts;
        let (spent, made) = count(|| {
            let thread: Cap<Tcb, All> = objects::retype(&self.memory, 0, &self.cnode)?;
            let parts = objects::ThreadParts { cnode, vspace, stack, heap, argument: Role::STANDS_STILL };
            objects::configure(&thread, &parts)?;
            objects::set_priority(&thread, &self.scheduler, ABOVE)?;
            objects::start_thread(&thread)?;
            Ok(thread)
        });
        objects::delete(made?);
        Ok(spent)
    }
}

fn make<T: abi::Object>(memory: &Cap<Untyped, All>, cnode: &Cap<CNode, All>) -> Cap<T, All> {
    objects::retype(memory, 0, cnode).unwrap_or_else(|error| panic!("no object can be made: {error:?}"))
}

pub fn failed(error: KernelError) -> CallError {
    CallError::Kernel(error, 0)
}
