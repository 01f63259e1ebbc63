//! Who has the processor.
//!
//! One thread is current; the others stand on the run queue, wait, or have ended. A context that does not run is one
//! stack pointer: for a thread that gave the processor up inside the kernel it is that of its own stack, for one that was
//! preempted it is the address of the frame in its TCB (see [`Tcb::suspend_at`]). Both continue by the same switch.

use core::cell::{Cell, UnsafeCell};

use abi::KernelError;
use abi::kernel::Answer;
use threads::{Budget, EXHAUSTED, RunQueue, Timers};
use x86::interrupts::TrapFrame;

use crate::exclusive::Exclusive;
use crate::tcb::{State, Tcb};
use crate::vspace::Region;
use crate::{ipc, notification};

/// Ticks of the timer that a thread may run before others of its priority.
const SLICE: u32 = 10;

#[repr(C)]
pub(crate) struct Cpu {
    current: Cell<*const Tcb>,
    idle: Tcb,
    queue: UnsafeCell<RunQueue>,
    timers: UnsafeCell<Timers>,
    /// Threads whose budget is used up, by the tick at which it is whole again.
    renewals: UnsafeCell<Timers>,
    ticks: Cell<u64>,
    slice: Cell<u32>,
    identities: Cell<u64>,
}

/// Where the gates find [`Cpu::current`], in bytes.
pub(crate) const CURRENT: usize = core::mem::offset_of!(Cpu, current);
/// Where they find the run queue.
pub(crate) const QUEUE: usize = core::mem::offset_of!(Cpu, queue);

pub(crate) static CPU: Exclusive<Cpu> = Exclusive::new(Cpu {
    current: Cell::new(core::ptr::null()),
    idle: Tcb::idle(),
    queue: UnsafeCell::new(RunQueue::new()),
    timers: UnsafeCell::new(Timers::new()),
    renewals: UnsafeCell::new(Timers::new()),
    ticks: Cell::new(0),
    slice: Cell::new(SLICE),
    identities: Cell::new(0),
});

/// The thread that runs.
#[inline(always)]
pub fn current<'a>() -> &'a Tcb {
    // SAFETY: set to the idle thread by `become_idle` before anything else here runs, and to live threads since.
    unsafe { &*CPU.get().current.get() }
}

/// The thread that runs; `None` before the first does.
pub(crate) fn try_current<'a>() -> Option<&'a Tcb> {
    // SAFETY: as for `current`.
    unsafe { CPU.get().current.get().as_ref() }
}

/// The lowest stack pointer with which the current thread may enter a kernel function.
#[inline(always)]
pub fn stack_limit() -> usize {
    current().stack_limit.get()
}

fn idle<'a>() -> &'a Tcb {
    &CPU.get().idle
}

/// A number for a new thread, never used before.
pub(crate) fn identity() -> u64 {
    let identities = &CPU.get().identities;
    identities.set(identities.get() + 1);
    identities.get()
}

#[inline(always)]
fn queue<R>(f: impl FnOnce(&mut RunQueue) -> R) -> R {
    // SAFETY: interrupts are off, and the queue's functions call nothing outside it: no second reference exists.
    f(unsafe { &mut *CPU.get().queue.get() })
}

#[inline(always)]
fn timers<R>(f: impl FnOnce(&mut Timers) -> R) -> R {
    // SAFETY: as for `queue`.
    f(unsafe { &mut *CPU.get().timers.get() })
}

#[inline(always)]
fn renewals<R>(f: impl FnOnce(&mut Timers) -> R) -> R {
    // SAFETY: as for `queue`.
    f(unsafe { &mut *CPU.get().renewals.get() })
}

/// Makes the calling context, the end of boot, the one that runs when nothing else does.
pub fn become_idle() {
    let cpu = CPU.get();
    cpu.idle.state.set(State::Started);
    cpu.current.set(&raw const cpu.idle);
}

/// Runs threads, and halts the processor while there is none. Called once, after [`become_idle`].
pub fn run() -> ! {
    loop {
        x86::cpu::disable_interrupts();
        if queue(|queue| queue.highest()).is_some() {
            block();
        }
        // `sti` takes effect after the `hlt` behind it: an interrupt in between wakes it.
        x86::cpu::wait_for_interrupt();
    }
}

/// Makes a thread runnable. It runs when its turn comes, not before the caller of this gives way.
#[inline(always)]
pub(crate) fn ready(thread: &Tcb) {
    // SAFETY: the thread is live; whoever ends it takes it off the queue.
    queue(|queue| unsafe { queue.push(thread.run.get()) });
}

/// Ends a wait with an outcome.
#[inline(always)]
pub(crate) fn wake(thread: &Tcb, answer: Answer) {
    thread.answer.set(answer);
    disarm(thread);
    ready(thread);
}

/// Takes whoever runs next off the run queue, for a whole time slice.
pub(crate) fn next<'a>() -> &'a Tcb {
    CPU.get().slice.set(SLICE);
    // SAFETY: nodes on the queue are of live threads.
    let next = queue(|queue| unsafe { queue.pop() });
    match next.is_null() {
        true => idle(),
        // SAFETY: as above.
        false => unsafe { Tcb::of_run(next) },
    }
}

/// As [`next`], in place of a thread that waits for no more than this: on the rest of the time slice, unless somebody of a
/// higher priority stands on the queue.
pub(crate) fn next_in_favour_of(thread: &Tcb) -> &Tcb {
    if is_outranked(thread) {
        ready(thread);
        return next();
    }
    thread
}

/// The current thread, or whoever of a higher priority became runnable.
pub(crate) fn next_or(me: &Tcb) -> &Tcb {
    next_in_favour_of(me)
}

/// Whether somebody of a higher priority stands on the queue.
#[inline(always)]
pub(crate) fn is_outranked(thread: &Tcb) -> bool {
    queue(|queue| queue.has_above(thread.priority()))
}

/// The current thread waits, or has ended: whoever is next runs. Returns when the thread is switched to again.
pub(crate) fn block() {
    switch_to(next());
}

/// Switches to a thread on the rest of the current time slice.
#[inline(always)]
pub(crate) fn switch_to(next: &Tcb) {
    let previous = current();
    if core::ptr::eq(previous, next) {
        return;
    }
    CPU.get().current.set(next);
    // SAFETY: `next` does not run, so its context was saved by a switch, a gate, by `suspend_at` or by its first start; the
    // previous thread's TCB stays until something switches back, or for good.
    unsafe { x86::switch::switch(previous.context.as_ptr(), next.context.get(), next.address()) };
}

/// Lets a thread that became runnable run now if its priority is higher than the current one's.
#[inline(always)]
pub(crate) fn give_way() {
    switch_to(next_or(current()));
}

/// Goes behind the others of the same priority.
pub fn yield_now() {
    let me = current();
    if queue(|queue| queue.highest()).is_some_and(|highest| highest >= me.priority()) {
        ready(me);
        block();
    }
}

/// A point inside a long operation where interrupts are served, and others may run. No reference to an object is held
/// across it.
pub(crate) fn preemption_point() {
    x86::cpu::enable_interrupts();
    x86::cpu::disable_interrupts();
}

/// The present priority of a thread becomes `priority`, wherever it is.
#[inline(always)]
pub(crate) fn set_priority(thread: &Tcb, priority: u8) {
    if thread.priority() != priority {
        // SAFETY: the thread is live.
        queue(|queue| unsafe { queue.set_priority(thread.run.get(), priority) });
    }
}

/// A thread that waits, so that it is not on the run queue, gets at least a priority.
#[inline(always)]
pub(crate) fn raise_waiting(thread: &Tcb, priority: u8) {
    if thread.priority() < priority {
        // SAFETY: the thread is live, and exclusive references to the node exist within the queue's functions alone.
        unsafe { (*thread.run.get()).set_priority(priority) };
    }
}

/// The current thread, which is not on the run queue, gives back what callers lent it.
#[inline(always)]
pub(crate) fn lower_running(me: &Tcb) {
    // SAFETY: as for `raise_waiting`.
    unsafe { (*me.run.get()).set_priority(me.base_priority.get()) };
}

/// A thread gets a priority of its own, in place of the one that it had, and a budget for it, which is whole.
pub(crate) fn set_own_priority(thread: &Tcb, priority: u8, budget: Budget) {
    renew_budget(thread);
    thread.budget.set(budget);
    thread.own_priority.set(priority);
    thread.base_priority.set(priority);
    set_priority(thread, priority);
}

/// The current thread has used its budget up: until tick `whole` it runs at what the caller lends whose request it serves, or
/// when nobody else wants to.
fn exhaust(me: &Tcb, whole: u64) {
    // SAFETY: the thread is live; whoever ends it disarms it.
    renewals(|renewals| unsafe { renewals.arm(me.renewal.get(), whole) });
    me.base_priority.set(EXHAUSTED);
    // Above its own it runs at what somebody lent.
    if me.priority() <= me.own_priority.get() {
        let lent = me.serving().and_then(|reply| reply.client()).map_or(EXHAUSTED, Tcb::priority);
        set_priority(me, lent.min(me.priority()));
    }
}

/// The budget of a thread is whole, if it was used up: it runs at its own priority again.
fn renew_budget(thread: &Tcb) {
    if !thread.is_exhausted() {
        return;
    }
    // SAFETY: the thread is live.
    renewals(|renewals| unsafe { renewals.disarm(thread.renewal.get()) });
    restore_priority(thread);
}

fn restore_priority(thread: &Tcb) {
    let own = thread.own_priority.get();
    thread.base_priority.set(own);
    if thread.priority() < own {
        set_priority(thread, own);
    }
}

/// Takes a thread off the run queue and the timers.
pub(crate) fn remove(thread: &Tcb) {
    renew_budget(thread);
    // SAFETY: the thread is live.
    queue(|queue| unsafe { queue.remove(thread.run.get()) });
    disarm(thread);
}

/// Ends a wait at a time: `timeout` nanoseconds from now, never for [`abi::kernel::TIMEOUT_NONE`].
pub(crate) fn arm(thread: &Tcb, timeout: u64) {
    if timeout != abi::kernel::TIMEOUT_NONE {
        let deadline = x86::clock::now_ns().saturating_add(timeout);
        // SAFETY: the thread is live; whoever ends it disarms it.
        timers(|timers| unsafe { timers.arm(thread.timer.get(), deadline) });
    }
}

#[inline(always)]
pub(crate) fn disarm(thread: &Tcb) {
    // SAFETY: the thread is live; an unarmed node is left alone.
    timers(|timers| unsafe { timers.disarm(thread.timer.get()) });
}

/// Sleeps.
pub fn sleep(nanoseconds: u64) {
    let me = current();
    arm(me, nanoseconds);
    block();
}

/// The timer's tick, from the interrupt: ends waits that are due and time slices that are used up.
pub fn on_tick(frame: &TrapFrame) {
    if CPU.get().current.get().is_null() {
        return;
    }
    let now = x86::clock::now_ns();
    loop {
        // SAFETY: armed nodes are of live threads.
        let due = timers(|timers| unsafe { timers.pop_due(now) });
        if due.is_null() {
            break;
        }
        // SAFETY: as above.
        time_out(unsafe { Tcb::of_timer(due) });
    }
    let tick = CPU.get().ticks.get() + 1;
    CPU.get().ticks.set(tick);
    loop {
        // SAFETY: armed nodes are of live threads.
        let due = renewals(|renewals| unsafe { renewals.pop_due(tick) });
        if due.is_null() {
            break;
        }
        // SAFETY: as above.
        restore_priority(unsafe { Tcb::of_renewal(due) });
    }
    charge(current(), tick);
    let slice = &CPU.get().slice;
    slice.set(slice.get().saturating_sub(1));
    leave_interrupt(frame);
}

/// A thread ran for a tick.
fn charge(me: &Tcb, tick: u64) {
    me.ticks.set(me.ticks.get() + 1);
    let mut budget = me.budget.get();
    let used_up = budget.charge(tick);
    me.budget.set(budget);
    if let Some(whole) = used_up.filter(|_| !me.is_exhausted()) {
        exhaust(me, whole);
    }
}

fn time_out(thread: &Tcb) {
    ipc::abandon(thread);
    notification::abandon(thread);
    ipc::fail(thread, KernelError::TimedOut.into());
}

/// The end of an interrupt: continues what was interrupted by returning, or another thread by not returning.
pub fn leave_interrupt(frame: &TrapFrame) {
    if CPU.get().current.get().is_null() {
        return;
    }
    let me = current();
    let is_idle = core::ptr::eq(me, idle());
    let Some(highest) = queue(|queue| queue.highest()) else { return };
    let slice = &CPU.get().slice;
    if !is_idle && highest < me.priority() || highest == me.priority() && slice.get() > 0 && !is_idle {
        return;
    }
    me.suspend_at(frame);
    if !is_idle {
        ready(me);
    }
    abandon_context();
}

/// Runs whoever is next without keeping anything of the context that calls: the interrupt's, or that of a thread that ended.
pub(crate) fn abandon_context() -> ! {
    let next = next();
    CPU.get().current.set(next);
    let mut nowhere = 0;
    // SAFETY: `next` does not run, so it has a saved context. What is saved of this one is never continued.
    unsafe { x86::switch::switch(&raw mut nowhere, next.context.get(), next.address()) };
    x86::bug!("an abandoned context was continued")
}

/// Where the kernel goes from a stack that is to be unmapped.
static REFUGE: Exclusive<UnsafeCell<Refuge>> = Exclusive::new(UnsafeCell::new(Refuge([0; REFUGE_BYTES])));
const REFUGE_BYTES: usize = 16 << 10;

#[repr(C, align(16))]
struct Refuge([u8; REFUGE_BYTES]);

/// As [`abandon_context`], of a thread that has ended, and unmaps the stack on which this was called.
pub(crate) fn abandon_stack(stack: Region) -> ! {
    let top = REFUGE.get().get() as usize + REFUGE_BYTES;
    // SAFETY: nobody is on that stack: whoever comes there leaves it for good, with interrupts off.
    let refuge =
        unsafe { x86::switch::prepare_stack(top, unmap_and_leave, stack.start as usize, stack.bytes as usize) };
    let mut nowhere = 0;
    // SAFETY: the context was made just now. What is saved of this one is never continued.
    unsafe { x86::switch::switch(&raw mut nowhere, refuge, 0) };
    x86::bug!("a context that has lost its stack was continued")
}

extern "C" fn unmap_and_leave(start: usize, bytes: usize) -> ! {
    crate::memory::unmap(Region { start: start as u64, bytes: bytes as u64 });
    abandon_context()
}
