//! The kernel's thread that brings replacements to their end.
//!
//! It does what the machine in `replace` answers, one event at a time. An instance without a state of its own is *frozen* by
//! being ended, and *restored* by beginning again from its image, as after a failure; one with state waits in a kernel
//! function until it is known what becomes of it.
//!
//! The *switch* exchanges the CNodes of the two first threads, and what goes with them: the bound notification, and what is mapped
//! for capabilities of the CNode. So the tokens that the service has keep their meaning, the new instance can have no effect before
//! the switch and the old one none after it, and the way back is the same exchange.

use core::cell::{Cell, UnsafeCell};
use core::ptr::null;

use abi::KernelError;
use capability::Progress;
use replace::{Action, Event, Outcome as End, Phase};

use crate::exclusive::Exclusive;
use crate::replacement::{self, Replacement};
use crate::status::ok;
use crate::tcb::{State, Tcb};
use crate::vspace::Outcome;
use crate::{Failure, authority, instance, ipc, memory, report, restart, scheduler};

/// Bytes of the worker's stack: an image is verified on it.
const STACK: u64 = 64 << 10;
/// Above every cell.
const PRIORITY: u8 = 63;

struct Replacer {
    worker: UnsafeCell<Tcb>,
    sleeps: Cell<bool>,
}

static REPLACER: Exclusive<Replacer> =
    Exclusive::new(Replacer { worker: UnsafeCell::new(Tcb::idle()), sleeps: Cell::new(false) });

impl Replacer {
    fn worker(&self) -> &Tcb {
        // SAFETY: all fields of a TCB are cells, and exclusive references to it never exist.
        unsafe { &*self.worker.get() }
    }
}

/// Starts the worker. Once, at boot.
///
/// # Errors
/// There is no memory for a stack.
pub(crate) fn install() -> Result<(), paging::MapError> {
    let stack = memory::lock().kernel_stack(STACK)?;
    let worker = REPLACER.get().worker();
    // SAFETY: the stack was mapped just now and belongs to the worker alone.
    let context = unsafe { x86::switch::prepare_stack(stack.end() as usize, work, 0, 0) };
    worker.context.set(context);
    worker.state.set(State::Started);
    scheduler::raise_waiting(worker, PRIORITY);
    worker.own_priority.set(PRIORITY);
    worker.base_priority.set(PRIORITY);
    REPLACER.get().sleeps.set(true);
    Ok(())
}

/// There is something to do.
pub(crate) fn wake() {
    let replacer = REPLACER.get();
    if replacer.sleeps.replace(false) {
        scheduler::wake(replacer.worker(), ok(0));
    }
}

/// An instance of an open replacement waits for requests.
#[cold]
pub(crate) fn noted_rest(replacement: &Replacement) {
    let Some(machine) = replacement.machine() else { return };
    match machine.phase() {
        Phase::Draining => replacement.tell(Event::Drained),
        // It did something else when it was to be frozen.
        Phase::Freezing => wake(),
        Phase::Probation if replacement.is_proving.get() => replacement.tell(Event::Drained),
        _ => {}
    }
}

extern "C" fn work(_: usize, _: usize) -> ! {
    loop {
        let now = x86::clock::now_ns();
        if let Some(due) = replacement::find(|replacement| replacement.is_due(now) || wants_freeze(replacement)) {
            step(due, now);
            continue;
        }
        let mut first = u64::MAX;
        replacement::find(|replacement| {
            first = first.min(replacement.deadline());
            false
        });
        let replacer = REPLACER.get();
        replacer.sleeps.set(true);
        if first != u64::MAX {
            scheduler::arm(replacer.worker(), first.saturating_sub(now));
        }
        scheduler::block();
        replacer.sleeps.set(false);
    }
}

/// Whether the old instance is to be frozen, and can be.
fn wants_freeze(replacement: &Replacement) -> bool {
    let is_freezing = replacement.machine().is_some_and(|machine| machine.phase() == Phase::Freezing);
    is_freezing && !replacement.is_frozen.get() && replacement.old_thread().is_some_and(Tcb::is_receiving)
}

/// Does what is due.
fn step(replacement: &Replacement, now: u64) {
    let Some(phase) = replacement.machine().map(|machine| machine.phase()) else { return };
    if replacement.is_strike_due() {
        return strike(replacement);
    }
    match replacement.take_event() {
        Some(Event::Drained) if !replacement.is_at_rest() => {}
        Some(Event::Drained) if phase == Phase::Probation && replacement.is_proving.get() => {
            replacement.open();
            advance(replacement, Event::Proven);
        }
        Some(event) => advance(replacement, event),
        None if replacement.deadline() <= now => late(replacement, phase),
        None if phase == Phase::Freezing => freeze(replacement),
        None => {}
    }
}

/// A time limit has passed.
fn late(replacement: &Replacement, phase: Phase) {
    match phase {
        // A caller may have given up what was waited for.
        Phase::Draining if replacement.is_at_rest() => advance(replacement, Event::Drained),
        // The trial is over when the new instance has answered what it was given.
        Phase::Probation if !replacement.is_proving.replace(true) => {
            replacement.shut();
            replacement.wait_again();
            replacement.tell(Event::Drained);
        }
        _ => advance(replacement, Event::Deadline),
    }
}

fn advance(replacement: &Replacement, event: Event) {
    let Some(mut machine) = replacement.machine() else { return };
    let before = machine.phase();
    let actions = machine.on(event);
    if machine.phase() != before {
        replacement.forget_stale();
        replacement.set_machine(machine);
    }
    if !perform(replacement, actions) {
        return;
    }
    if let Some(Phase::Ended(end)) = replacement.machine().map(|machine| machine.phase()) {
        report(replacement, end);
        // First those who take part are free, so that the keeper sees to them.
        let kept = replacement.hand_over_keeping();
        if let Err(failure) = kept {
            log::error!("the kernel cannot look after the new instance: {failure:?}");
        }
        replacement.close();
        strike(replacement);
    }
}

/// Does what a test has planted, if that is due.
fn strike(replacement: &Replacement) {
    let stop = |thread: &Tcb| {
        if thread.vspace().is_some() && thread.state.get() != State::Ended {
            report::stopped(thread);
            instance::end_instance(thread, Outcome::Failed, 0);
        }
    };
    if let Err(failure) = replacement.strike(stop) {
        log::error!("what a test has planted stays in a replacement: {failure:?}");
    }
}

fn report(replacement: &Replacement, end: End) {
    let serves = if end == End::Confirmed { replacement.new_thread() } else { replacement.old_thread() };
    let Some(vspace) = serves.and_then(Tcb::vspace) else { return };
    let account = &replacement.account;
    log::info!(
        "replacement of {}: {end:?}, {} us shut, {} requests parked",
        vspace.name(),
        account.pause.get() / 1000,
        account.parked.get()
    );
}

/// Does what the machine answered. `false` where the record was deleted meanwhile: it is not to be touched then.
pub(crate) fn perform(replacement: &Replacement, actions: &[Action]) -> bool {
    for action in actions {
        let done = match action {
            Action::Copy => {
                copy(replacement);
                Ok(())
            }
            Action::Rehearse => rehearse(replacement),
            Action::Gate => {
                replacement.shut();
                replacement.tell(Event::Drained);
                Ok(())
            }
            Action::Ungate => {
                replacement.open();
                Ok(())
            }
            Action::Freeze => {
                if wants_freeze(replacement) {
                    freeze(replacement);
                }
                Ok(())
            }
            Action::TearDown => {
                freeze(replacement);
                Ok(())
            }
            Action::Thaw => thaw(replacement),
            Action::SwitchToNew => switch_to_new(replacement),
            Action::SwitchToOld => switch_to_old(replacement),
            Action::Resume => resume(replacement),
            Action::Restore => restore(replacement),
            Action::EndOld => {
                end(replacement, replacement.old_thread());
                Ok(())
            }
            Action::EndNew => {
                end(replacement, replacement.new_thread());
                Ok(())
            }
        };
        if let Err(failure) = done {
            log::error!("replacement: {action:?} failed: {failure:?}");
            let Some(open) = find_again(replacement) else { return false };
            open.tell(Event::Refused);
        }
    }
    true
}

/// The record, unless it was deleted: others of the worker's priority may have run.
fn find_again<'a>(address: *const Replacement) -> Option<&'a Replacement> {
    replacement::find(|open| core::ptr::eq(open, address))
}

/// The old instance exports a copy of its state: now, where it waits for requests, or else when it has answered the present one.
fn copy(replacement: &Replacement) {
    // There is a time limit to watch, whatever comes.
    wake();
    let Some(old) = replacement.old_thread() else { return };
    if old.is_receiving() {
        replacement.is_asked.set(true);
        ipc::ask_to_freeze(old, replacement.export.schema.get());
    } else {
        old.forget_reception();
    }
}

/// The new instance starts, with a CNode in which nothing is of the service. It runs at what callers lend the old one: below
/// them it might never come to an end. So does the old one, for which callers may wait that called while it exported.
fn rehearse(replacement: &Replacement) -> Result<(), Failure> {
    let (old, new) = both(replacement)?;
    let lent = replacement.lent_priority();
    for thread in [old, new].into_iter().filter(|thread| thread.priority() < lent) {
        scheduler::set_priority(thread, lent);
    }
    instance::start(new)
}

/// The old instance, which waits for requests, gives its state away: it is told to. Or it has none and ends, wherever it is.
fn freeze(replacement: &Replacement) {
    let Some(old) = replacement.old_thread() else { return };
    replacement.park_again(old);
    replacement.is_frozen.set(true);
    if replacement.has_state() {
        // It says itself when it has done so.
        ipc::ask_to_freeze(old, replacement.export.schema.get());
        return;
    }
    end(replacement, Some(old));
    replacement.tell(Event::Frozen);
}

fn thaw(replacement: &Replacement) -> Result<(), Failure> {
    let new = replacement.new_thread().ok_or(KernelError::InvalidCapability)?;
    if replacement.has_state() {
        // It waits since the rehearsal.
        scheduler::wake(new, ok(0));
        return Ok(());
    }
    // It starts with the service, and what is in its own CNode is what whoever made it has put there.
    if let Some(vspace) = new.vspace()
        && !vspace.is_endowed.replace(true)
    {
        new.cnode().endow();
    }
    replacement.tell(Event::Thawed);
    Ok(())
}

fn switch_to_new(replacement: &Replacement) -> Result<(), Failure> {
    let (old, new) = both(replacement)?;
    clear_scratch(replacement, old)?;
    exchange(old, new)?;
    replacement.is_switched.set(true);
    if !replacement.has_state() {
        return begin(new);
    }
    let endpoint = replacement.endpoint.get();
    // SAFETY: an endpoint that goes away takes its leave.
    if let Some(endpoint) = unsafe { endpoint.as_mut() } {
        endpoint.server_died();
    }
    let own = new.cnode().slot(abi::slots::CNODE)?.generation();
    scheduler::wake(new, ok(own));
    Ok(())
}

fn switch_to_old(replacement: &Replacement) -> Result<(), Failure> {
    if !replacement.is_switched.get() {
        return Ok(());
    }
    let (old, new) = both(replacement)?;
    clear_scratch(replacement, new)?;
    exchange(old, new)?;
    replacement.is_switched.set(false);
    Ok(())
}

/// A thread that was made and not started starts, with the CNode that it has now.
fn begin(thread: &Tcb) -> Result<(), Failure> {
    let vspace = thread.vspace().ok_or(KernelError::IllegalOperation)?;
    vspace.remove_thread(thread);
    instance::prepare(thread, vspace)?;
    thread.state.set(State::Started);
    scheduler::ready(thread);
    Ok(())
}

/// The old instance goes on. Without a state it has ended, and begins again.
fn resume(replacement: &Replacement) -> Result<(), Failure> {
    let Some(old) = replacement.old_thread() else { return Ok(()) };
    if !replacement.is_frozen.replace(false) {
        return Ok(());
    }
    if replacement.has_state() {
        scheduler::wake(old, ok(abi::kernel::Exported::Resumed as u64));
        return Ok(());
    }
    clear_scratch(replacement, old)?;
    begin_again(replacement, old)
}

/// The old instance begins again, and imports what was exported last.
fn restore(replacement: &Replacement) -> Result<(), Failure> {
    let old = replacement.old_thread().ok_or(KernelError::InvalidCapability)?;
    replacement.is_frozen.set(false);
    end(replacement, Some(old));
    begin_again(replacement, old)?;
    if !replacement.has_state() {
        replacement.tell(Event::Thawed);
    }
    Ok(())
}

fn begin_again(replacement: &Replacement, thread: &Tcb) -> Result<(), Failure> {
    restart::renew(thread, replacement.image()?)?;
    // What it takes part in is not forgotten with the rest.
    thread.replacement.set(replacement);
    thread.state.set(State::Started);
    scheduler::ready(thread);
    Ok(())
}

fn end(replacement: &Replacement, thread: Option<&Tcb>) {
    let Some(thread) = thread else { return };
    let is_there = thread.vspace().is_some_and(|vspace| vspace.outcome.get() == Outcome::Running);
    if is_there && thread.state.get() != State::Ended {
        replacement.is_ending.set(true);
        instance::end_instance(thread, Outcome::Exited, 0);
        replacement.is_ending.set(false);
    }
}

fn both<'a>(replacement: &Replacement) -> Result<(&'a Tcb, &'a Tcb), Failure> {
    let both = replacement.old_thread().zip(replacement.new_thread());
    Ok(both.ok_or(KernelError::InvalidCapability)?)
}

/// What an instance made for itself in the service's CNode goes, unless its state is in that.
fn clear_scratch(replacement: &Replacement, thread: &Tcb) -> Result<(), Failure> {
    let (mut cursor, address) = (0, core::ptr::from_ref(replacement));
    while !replacement.keeps_scratch.get() && restart::clear_scratch_step(thread, &mut cursor)? == Progress::More {
        scheduler::preemption_point();
        // Whoever began may have deleted the record, or a thread.
        if find_again(address).and_then(|open| open.old_thread().zip(open.new_thread())).is_none() {
            return Err(KernelError::InvalidCapability.into());
        }
    }
    Ok(())
}

/// The two change CNodes, with all that goes with that. Neither runs, nor receives.
fn exchange(one: &Tcb, other: &Tcb) -> Result<(), Failure> {
    let vspaces = one.vspace().zip(other.vspace()).ok_or(KernelError::InvalidCapability)?;
    for thread in [one, other] {
        instance::forget_holder(thread);
    }
    // The regions belong to the service: they follow it, whichever of the two has it now.
    vspaces.0.exchange_regions(vspaces.1)?;
    for own in [abi::slots::VSPACE, abi::slots::TCB] {
        let (first, second) = (one.cnode().slot(own)?, other.cnode().slot(own)?);
        authority::with(|context| capability::exchange(context, first, second))?;
    }
    authority::with(|context| capability::exchange(context, &one.cnode, &other.cnode))?;
    for thread in [one, other] {
        thread.sign_parts()?;
        thread.set_cnode();
    }
    exchange_bound(one, other);
    Ok(())
}

/// The notifications that they are bound to change with the CNodes.
fn exchange_bound(one: &Tcb, other: &Tcb) {
    let bound = [one, other].map(|thread| {
        thread.signalled.set(false);
        let interrupts = thread.interrupts.replace(0);
        // SAFETY: a notification that goes away unbinds its thread first.
        let bound = unsafe { thread.bound.replace(null()).as_ref() };
        (bound.inspect(|bound| bound.unbind()), interrupts)
    });
    for (thread, (bound, interrupts)) in [other, one].into_iter().zip(bound) {
        if let Some(bound) = bound {
            // Both are unbound: this cannot fail.
            if bound.bind(thread).is_err() {
                x86::bug!("a notification that was unbound is bound");
            }
            thread.interrupts.set(interrupts);
        }
    }
}
