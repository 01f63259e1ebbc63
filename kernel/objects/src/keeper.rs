//! The kernel's own watch over one instance: the one that restarts all others.
//!
//! When the kept instance ends, however it ends, the kernel makes it begin again from its image. The work is done by a thread of
//! the kernel's own: an instance often ends on its own stack, which is about to be emptied. Where it fails too often
//! within a short time, beginning again is no help, and the machine stops with the reason.
//!
//! What was found when it failed would be lost with the thread that begins again, and nobody else is there to read it before: the
//! last report is kept here, for the next instance to ask for.

use core::cell::{Cell, UnsafeCell};

use abi::KernelError;
use abi::kernel::{FaultReport, Scratch};
use capability::{ObjectKind, Progress, Slot};

use crate::exclusive::Exclusive;
use crate::instance::ImageObject;
use crate::tcb::{State, Tcb};
use crate::vspace::VSpace;
use crate::{Failure, authority, memory, replacer, report, restart, scheduler};

/// Ends within [`PERIOD`] that are too many.
const LIMIT: u32 = 5;
/// Nanoseconds after which an end is forgotten.
const PERIOD: u64 = 10_000_000_000;
/// Bytes of the worker's stack: an image is verified on it.
const STACK: u64 = 64 << 10;
/// Above every cell.
const PRIORITY: u8 = 63;

struct Keeper {
    tcb: Slot,
    image: Slot,
    keeps_scratch: Cell<bool>,
    /// Ends since the last quiet period, and when the last one was.
    ends: Cell<u32>,
    last: Cell<u64>,
    has_work: Cell<bool>,
    /// What was found when it failed last; its cause is 0 where nobody has to be told.
    report: Cell<FaultReport>,
    worker: UnsafeCell<Tcb>,
}

static KEEPER: Exclusive<Keeper> = Exclusive::new(Keeper {
    tcb: Slot::EMPTY,
    image: Slot::EMPTY,
    keeps_scratch: Cell::new(false),
    ends: Cell::new(0),
    last: Cell::new(0),
    has_work: Cell::new(false),
    report: Cell::new(FaultReport::NONE),
    worker: UnsafeCell::new(Tcb::idle()),
});

impl Keeper {
    fn worker(&self) -> &Tcb {
        // SAFETY: all fields of a TCB are cells, and exclusive references to it never exist.
        unsafe { &*self.worker.get() }
    }

    fn thread(&self) -> Option<&Tcb> {
        // SAFETY: the slot's capability keeps the thread alive.
        self.tcb.is(ObjectKind::Tcb).then(|| unsafe { Tcb::at(self.tcb.object() as usize) })
    }
}

/// Gives the kernel's workers, this one and that for replacements, their stacks. Once, at boot.
///
/// # Errors
/// There is no memory for a stack.
pub fn install() -> Result<(), paging::MapError> {
    let stack = memory::lock().kernel_stack(STACK)?;
    let worker = KEEPER.get().worker();
    // SAFETY: the stack was mapped just now and belongs to the worker alone.
    let context = unsafe { x86::switch::prepare_stack(stack.end() as usize, work, 0, 0) };
    worker.context.set(context);
    worker.state.set(State::Started);
    scheduler::raise_waiting(worker, PRIORITY);
    worker.own_priority.set(PRIORITY);
    worker.base_priority.set(PRIORITY);
    replacer::install()
}

/// Keeps an instance from now on, in place of any other.
///
/// # Errors
/// The capability layer's.
pub(crate) fn keep(tcb: &Slot, image: &Slot, scratch: Scratch) -> Result<(), Failure> {
    let keeper = KEEPER.get();
    for (kept, given) in [(&keeper.tcb, tcb), (&keeper.image, image)] {
        if !kept.is_empty() {
            let _ = authority::with(|context| capability::delete(context, kept, authority::BUDGET))?;
        }
        authority::with(|context| capability::copy(context, given, kept, given.rights()))?;
    }
    keeper.keeps_scratch.set(scratch == Scratch::Keep);
    Ok(())
}

/// Keeps one instance in place of another, if that is the kept one.
///
/// # Errors
/// The capability layer's.
pub(crate) fn keep_instead(of: &Tcb, tcb: &Slot, image: &Slot) -> Result<(), Failure> {
    let keeper = KEEPER.get();
    if !keeper.thread().is_some_and(|kept| core::ptr::eq(kept, of)) {
        return Ok(());
    }
    // It has proven itself: the ends of the one before it do not count against it.
    keeper.ends.set(0);
    keep(tcb, image, if keeper.keeps_scratch.get() { Scratch::Keep } else { Scratch::Clear })
}

/// What was found when the kept instance failed last, once, and how many times it has ended within a short time.
pub(crate) fn take_report() -> Option<(FaultReport, u32)> {
    let keeper = KEEPER.get();
    let report = keeper.report.replace(FaultReport::NONE);
    (report.cause != 0).then(|| (report, keeper.ends.get()))
}

/// An instance ended: where it is the kept one, the worker is told.
pub(crate) fn noted_end(vspace: &VSpace) {
    let keeper = KEEPER.get();
    let kept = keeper.thread().and_then(Tcb::vspace);
    let is_replaced = keeper.thread().is_some_and(|thread| thread.replacement().is_some());
    // While it is replaced, the replacer sees to it.
    if kept.is_some_and(|kept| core::ptr::eq(kept, vspace)) && !is_replaced {
        keeper.has_work.set(true);
        scheduler::ready(keeper.worker());
    }
}

extern "C" fn work(_: usize, _: usize) -> ! {
    loop {
        if KEEPER.get().has_work.replace(false) {
            count_end();
            if let Err(failure) = begin_again() {
                give_up(format_args!("it cannot begin again: {failure:?}"));
            }
        } else {
            scheduler::block();
        }
    }
}

fn count_end() {
    let keeper = KEEPER.get();
    let now = x86::clock::now_ns();
    if now.saturating_sub(keeper.last.replace(now)) > PERIOD {
        keeper.ends.set(0);
    }
    keeper.ends.set(keeper.ends.get() + 1);
    if keeper.ends.get() > LIMIT {
        give_up(format_args!("it ended {} times within {} s each", keeper.ends.get(), PERIOD / 1_000_000_000));
    }
}

fn begin_again() -> Result<(), Failure> {
    let keeper = KEEPER.get();
    let mut cursor = 0;
    while !keeper.keeps_scratch.get() {
        // After each step others may have run: the thread is looked up again.
        let thread = keeper.thread().ok_or(KernelError::InvalidCapability)?;
        if restart::clear_step(thread, &mut cursor)? != Progress::More {
            break;
        }
        scheduler::preemption_point();
    }
    let thread = keeper.thread().ok_or(KernelError::InvalidCapability)?;
    if !keeper.image.is(ObjectKind::Image) {
        return Err(KernelError::InvalidCapability.into());
    }
    // SAFETY: the slot's capability keeps the image alive.
    let image = unsafe { ImageObject::at(keeper.image.object() as usize) };
    if let Some(found) = report::of(thread) {
        keeper.report.set(*found);
    }
    restart::renew(thread, image)?;
    if let Some(vspace) = thread.vspace() {
        log::warn!("cell {} begins again, {} of {LIMIT}", vspace.name(), keeper.ends.get());
    }
    thread.state.set(State::Started);
    scheduler::ready(thread);
    Ok(())
}

/// The system has nobody left who could mend it.
fn give_up(reason: core::fmt::Arguments<'_>) -> ! {
    match KEEPER.get().thread().and_then(Tcb::vspace) {
        Some(vspace) => log::error!("cell {} is given up, and the machine stops: {reason}", vspace.name()),
        None => log::error!("the kept cell is given up, and the machine stops: {reason}"),
    }
    x86::serial::send_polled(&[]);
    x86::ports::exit(x86::ports::FAILURE)
}
