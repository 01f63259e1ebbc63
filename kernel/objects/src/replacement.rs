//! The record of one replacement: who takes whose place, how far that is, and the state on its way.
//!
//! The rule what happens next is `replace::Replacement`; here stand what it speaks of and what tells it of events. The work is
//! done by a thread of the kernel's own (see [`replacer`](crate::replacer)), so that it comes to its end whoever dies.
//!
//! The record names threads and the endpoint by address, and they name it: whichever goes first takes its leave of the others.

use core::cell::{Cell, UnsafeCell};
use core::mem::{MaybeUninit, offset_of, size_of};
use core::ptr::{null, null_mut, with_exposed_provenance, with_exposed_provenance_mut};

use abi::KernelError;
use abi::kernel::{Overdue, ReplacementPhase, ReplacementReason, Scratch};
use capability::{ObjectKind, Rights, Slot};
use ledger::{Endpoint, Request};
use lists::{Link, List};
use replace::{Carries, Event, Outcome, Phase, Reason};

use crate::exclusive::Exclusive;
use crate::export::Export;
use crate::instance::ImageObject;
use crate::notification::Notification;
use crate::tcb::{State, Tcb};
use crate::vspace::Outcome as Instance;
use crate::{Failure, authority, ipc, keeper, replacer};

/// A replacement. Zeroed memory is one that has not begun; the first 16 bytes belong to the object layer.
#[repr(C)]
pub(crate) struct Replacement {
    header: [u64; 2],
    /// On the list of those that are open.
    link: UnsafeCell<Link>,
    is_open: Cell<bool>,
    /// Set where it is open.
    machine: Cell<MaybeUninit<replace::Replacement>>,
    /// Events that the machine has not heard of, a bit each.
    events: Cell<u16>,
    pub(crate) old: Cell<*const Tcb>,
    pub(crate) new: Cell<*const Tcb>,
    pub(crate) endpoint: Cell<*mut Endpoint>,
    gate: UnsafeCell<Request>,
    // Embedded slots, next to each other.
    image: Slot,
    new_image: Slot,
    notification: Slot,
    victim: Slot,
    pub(crate) export: Export,
    bits: Cell<u64>,
    pub(crate) keeps_scratch: Cell<bool>,
    /// Whether an old instance that is overdue ends.
    is_forced: Cell<bool>,
    /// Whether the new instance has the service.
    pub(crate) is_switched: Cell<bool>,
    /// Whether the old instance waits for what becomes of it, its state exported.
    pub(crate) is_frozen: Cell<bool>,
    /// Whether the old instance was asked for a copy of its state.
    pub(crate) is_asked: Cell<bool>,
    /// Whether an instance is ended by the replacement itself, which is no event.
    pub(crate) is_ending: Cell<bool>,
    /// Whether the new instance has to come to rest once more to end its trial.
    pub(crate) is_proving: Cell<bool>,
    /// The phase in which a test has the victim stopped, and whether that is due.
    planted: Cell<ReplacementPhase>,
    is_strike_due: Cell<bool>,
    /// Nanoseconds: what a phase may take, and the trial.
    patience: Cell<u64>,
    trial: Cell<u64>,
    /// Replies that end the trial.
    pub(crate) trial_replies: Cell<u64>,
    /// When something is to happen, in nanoseconds since boot.
    deadline: Cell<u64>,
    pub(crate) account: Account,
}

/// What is told of it.
#[repr(C)]
pub(crate) struct Account {
    phase: Cell<u64>,
    reason: Cell<u64>,
    shut_since: Cell<u64>,
    pub(crate) pause: Cell<u64>,
    pub(crate) delivered: Cell<u32>,
    pub(crate) deferred: Cell<u32>,
    pub(crate) parked: Cell<u32>,
    pub(crate) replies: Cell<u64>,
}

const _: () = assert!(size_of::<Replacement>() <= 1024);
const _: () = assert!(offset_of!(Replacement, export) == offset_of!(Replacement, image) + 4 * size_of::<Slot>());

static OPEN: Exclusive<List> = Exclusive::new(List::EMPTY);

/// On what terms.
pub(crate) struct Terms<'a> {
    /// Where state is exported to; an empty place for an instance that has none.
    pub(crate) export: Option<&'a Slot>,
    pub(crate) notification: &'a Slot,
    pub(crate) bits: u64,
    pub(crate) scratch: Scratch,
    pub(crate) overdue: Overdue,
    pub(crate) patience: u64,
    pub(crate) trial: u64,
    pub(crate) trial_replies: u64,
    pub(crate) schema: u64,
}

/// The first open replacement for which something holds.
pub(crate) fn find<'a>(mut holds: impl FnMut(&Replacement) -> bool) -> Option<&'a Replacement> {
    OPEN.with(|open| {
        let mut at = open.first();
        while !at.is_null() {
            let address = at.expose_provenance() - offset_of!(Replacement, link);
            // SAFETY: links on the list are of live replacements, which leave it when they end or go away.
            let replacement = unsafe { Replacement::at(address) };
            if holds(replacement) {
                return Some(replacement);
            }
            // SAFETY: as above.
            at = unsafe { open.next(at) };
        }
        None
    })
}

impl Replacement {
    /// # Safety
    /// There is a replacement at `address`, live for as long as the reference is used.
    pub(crate) unsafe fn at<'a>(address: usize) -> &'a Replacement {
        // SAFETY: the caller's word; all fields are cells.
        unsafe { &*with_exposed_provenance(address) }
    }

    /// The slots embedded in it.
    pub(crate) fn slots(&self) -> &[Slot] {
        // SAFETY: `image`, `new_image`, `notification`, `victim` and the slot with which `export` begins follow each other in `repr(C)`
        // structures.
        unsafe { core::slice::from_raw_parts(&raw const self.image, 5) }
    }

    pub(crate) fn is_open(&self) -> bool {
        self.is_open.get()
    }

    /// Says on what terms it will be.
    ///
    /// # Errors
    /// `IllegalOperation` where it has begun.
    pub(crate) fn set_terms(&self, terms: &Terms<'_>) -> Result<(), Failure> {
        self.check_closed()?;
        put(&self.export.frame, terms.export)?;
        put(&self.notification, Some(terms.notification))?;
        self.bits.set(terms.bits);
        self.keeps_scratch.set(terms.scratch == Scratch::Keep);
        self.is_forced.set(terms.overdue == Overdue::Ends);
        self.patience.set(terms.patience);
        self.trial.set(terms.trial);
        self.trial_replies.set(terms.trial_replies);
        self.export.begin(terms.schema);
        Ok(())
    }

    /// Begins.
    ///
    /// # Errors
    /// `IllegalOperation` where it, or one of the instances, takes part in one already, the old one does not run or serves no
    /// endpoint in its fixed slot, or the new one was started; `InvalidArgument` where a state of its own would be lost by force.
    pub(crate) fn begin(&self, old: &Tcb, new: &Tcb, old_image: &Slot, new_image: &Slot) -> Result<(), Failure> {
        self.check_closed()?;
        let carries = match (self.has_state(), self.is_forced.get()) {
            (true, true) => return Err(KernelError::InvalidArgument.into()),
            (true, false) => Carries::State,
            (false, true) => Carries::Nothing(replace::Overdue::Ends),
            (false, false) => Carries::Nothing(replace::Overdue::GoesOn),
        };
        let served = old.cnode().slot(abi::slots::ENDPOINT)?;
        if !served.is(ObjectKind::Endpoint) || !served.rights().contains(Rights::RECEIVE) {
            return Err(KernelError::IllegalOperation.into());
        }
        let endpoint = with_exposed_provenance_mut::<Endpoint>(served.object() as usize);
        let runs = |thread: &Tcb, state: State| {
            let instance = thread.vspace().map(|vspace| vspace.outcome.get());
            thread.state.get() == state && instance == Some(Instance::Running) && thread.replacement().is_none()
        };
        // SAFETY: the capability names a live endpoint.
        let is_shut = unsafe { (*endpoint).is_shut() };
        if !runs(old, State::Started) || !runs(new, State::Ready) || is_shut || core::ptr::eq(old, new) {
            return Err(KernelError::IllegalOperation.into());
        }
        // To be exchanged, both have to be there.
        for (slot, kind) in [(abi::slots::VSPACE, ObjectKind::VSpace), (abi::slots::TCB, ObjectKind::Tcb)] {
            if !old.cnode().slot(slot)?.is(kind) || !new.cnode().slot(slot)?.is(kind) {
                return Err(KernelError::IllegalOperation.into());
            }
        }
        put(&self.image, Some(old_image))?;
        put(&self.new_image, Some(new_image))?;
        for flag in [&self.is_switched, &self.is_frozen, &self.is_asked, &self.is_ending, &self.is_proving] {
            flag.set(false);
        }
        for count in [&self.account.delivered, &self.account.deferred, &self.account.parked] {
            count.set(0);
        }
        for count in [&self.account.pause, &self.account.shut_since, &self.account.replies] {
            count.set(0);
        }
        self.events.set(0);
        self.old.set(old);
        self.new.set(new);
        self.endpoint.set(endpoint);
        old.replacement.set(self);
        new.replacement.set(self);
        let (machine, actions) = replace::Replacement::begin(carries);
        self.is_open.set(true);
        // SAFETY: the record was closed, so its link is on no list, and it leaves this one when it ends.
        OPEN.with(|open| unsafe { open.push_back(self.link.get()) });
        self.set_machine(machine);
        replacer::perform(self, actions);
        Ok(())
    }

    /// For tests: a thread's instance is stopped as soon as a phase is entered, once.
    ///
    /// # Errors
    /// `IllegalOperation` where it has begun.
    pub(crate) fn plant(&self, phase: ReplacementPhase, victim: &Slot) -> Result<(), Failure> {
        self.check_closed()?;
        put(&self.victim, Some(victim))?;
        self.planted.set(phase);
        self.is_strike_due.set(false);
        Ok(())
    }

    /// Whom a test wants stopped now: handed to `stop`.
    ///
    /// # Errors
    /// The capability layer's.
    pub(crate) fn strike(&self, stop: impl FnOnce(&Tcb)) -> Result<(), Failure> {
        if !self.is_strike_due.replace(false) {
            return Ok(());
        }
        self.planted.set(ReplacementPhase::Idle);
        if self.victim.is(ObjectKind::Tcb) {
            // SAFETY: the slot's capability keeps the thread alive.
            stop(unsafe { Tcb::at(self.victim.object() as usize) });
        }
        put(&self.victim, None)
    }

    /// Whether somebody is to be stopped now.
    pub(crate) fn is_strike_due(&self) -> bool {
        self.is_strike_due.get()
    }

    fn check_closed(&self) -> Result<(), Failure> {
        if self.is_open.get() { Err(KernelError::IllegalOperation.into()) } else { Ok(()) }
    }

    /// How far it is; `None` where it is not open.
    pub(crate) fn machine(&self) -> Option<replace::Replacement> {
        // SAFETY: set by `begin` before it was open.
        self.is_open.get().then(|| unsafe { self.machine.get().assume_init() })
    }

    /// Goes on to a phase, with a time limit.
    pub(crate) fn set_machine(&self, machine: replace::Replacement) {
        self.machine.set(MaybeUninit::new(machine));
        let (phase, reason) = code(machine.phase());
        self.is_strike_due.set(self.is_strike_due.get() || phase == self.planted.get());
        self.account.phase.set(phase as u64);
        self.account.reason.set(reason as u64);
        let limit = if machine.phase() == Phase::Probation { self.trial.get() } else { self.patience.get() };
        self.deadline.set(x86::clock::now_ns().saturating_add(limit));
    }

    /// One more time limit in the same phase.
    pub(crate) fn wait_again(&self) {
        self.deadline.set(x86::clock::now_ns().saturating_add(self.patience.get()));
    }

    pub(crate) fn deadline(&self) -> u64 {
        self.deadline.get()
    }

    /// Tells of an event.
    pub(crate) fn tell(&self, event: Event) {
        if self.is_open.get() {
            self.events.set(self.events.get() | 1 << event as u16);
            replacer::wake();
        }
    }

    /// Whether there is something to do.
    pub(crate) fn is_due(&self, now: u64) -> bool {
        self.events.get() != 0 || self.is_strike_due.get() || self.deadline.get() <= now
    }

    /// The next event: the ends of instances first.
    pub(crate) fn take_event(&self) -> Option<Event> {
        const ORDER: [Event; 11] = [
            Event::OldEnded,
            Event::NewEnded,
            Event::Refused,
            Event::Abort,
            Event::Copied,
            Event::Rehearsed,
            Event::Drained,
            Event::Frozen,
            Event::Thawed,
            Event::Proven,
            Event::Deadline,
        ];
        let found = ORDER.into_iter().find(|event| self.events.get() & 1 << *event as u16 != 0)?;
        self.events.set(self.events.get() & !(1 << found as u16));
        Some(found)
    }

    /// What belongs to a phase that is over is forgotten; that somebody ended is not.
    pub(crate) fn forget_stale(&self) {
        let lasting = [Event::OldEnded, Event::NewEnded, Event::Abort];
        let kept = lasting.iter().fold(0, |bits, event| bits | 1 << *event as u16);
        self.events.set(self.events.get() & kept);
    }

    /// The instance that is to give the service up, or had it.
    pub(crate) fn old_thread<'a>(&self) -> Option<&'a Tcb> {
        // SAFETY: a thread that goes away takes its leave.
        unsafe { self.old.get().as_ref() }
    }

    /// The one that is to have it.
    pub(crate) fn new_thread<'a>(&self) -> Option<&'a Tcb> {
        // SAFETY: as above.
        unsafe { self.new.get().as_ref() }
    }

    /// The one that serves.
    pub(crate) fn serving<'a>(&self) -> Option<&'a Tcb> {
        if self.is_switched.get() { self.new_thread() } else { self.old_thread() }
    }

    /// The image of the old instance.
    pub(crate) fn image<'a>(&self) -> Result<&'a ImageObject, Failure> {
        if !self.image.is(ObjectKind::Image) {
            return Err(KernelError::InvalidCapability.into());
        }
        // SAFETY: the slot's capability keeps the image alive.
        Ok(unsafe { ImageObject::at(self.image.object() as usize) })
    }

    /// Whether a thread is to export a copy of its state before it receives; once.
    #[cold]
    pub(crate) fn asks_for_copy(&self, thread: &Tcb) -> bool {
        let is_copying = self.machine().is_some_and(|machine| machine.phase() == Phase::Copying);
        is_copying && core::ptr::eq(thread, self.old.get()) && !self.is_asked.replace(true)
    }

    /// The highest priority that a caller has lent the old instance, or would.
    pub(crate) fn lent_priority(&self) -> u8 {
        // SAFETY: an endpoint that goes away takes its leave.
        let endpoint = unsafe { self.endpoint.get().as_ref() }.filter(|endpoint| !endpoint.is_shut());
        // SAFETY: interrupts are off: nobody changes anything.
        let parked = endpoint.and_then(|endpoint| unsafe { endpoint.highest_parked() });
        parked.max(self.old_thread().map(Tcb::priority)).unwrap_or(0)
    }

    /// Whether the instances have a state of their own.
    pub(crate) fn has_state(&self) -> bool {
        self.export.is_there()
    }

    /// Requests park. What there is of them then is noted the first time.
    pub(crate) fn shut(&self) {
        let endpoint = self.endpoint.get();
        // SAFETY: an endpoint that goes away takes its leave.
        let Some(state) = (unsafe { endpoint.as_ref() }) else { return };
        if state.is_shut() {
            return;
        }
        // SAFETY: as above.
        let count = unsafe { ipc::count(endpoint) };
        if self.account.shut_since.replace(x86::clock::now_ns()) == 0 {
            self.account.delivered.set(count.delivered);
            self.account.deferred.set(count.deferred);
        }
        // SAFETY: the endpoint is live and not shut, and the gate goes with this record, which opens before.
        unsafe { ipc::shut(endpoint, self.gate.get()) };
    }

    /// Requests are received again.
    pub(crate) fn open(&self) {
        let endpoint = self.endpoint.get();
        // SAFETY: an endpoint that goes away takes its leave.
        let Some(state) = (unsafe { endpoint.as_ref() }) else { return };
        if !state.is_shut() {
            return;
        }
        // SAFETY: as above.
        let parked = unsafe { ipc::count(endpoint) }.parked;
        let account = &self.account;
        account.parked.set(account.parked.get().max(parked));
        account.pause.set(account.pause.get() + x86::clock::now_ns().saturating_sub(account.shut_since.get()));
        // SAFETY: the endpoint is live.
        unsafe { ipc::open(endpoint) };
    }

    /// Whether whoever serves waits for requests and holds none, but for those that can be parked again.
    pub(crate) fn is_at_rest(&self) -> bool {
        let endpoint = self.endpoint.get();
        if endpoint.is_null() {
            return false;
        }
        // SAFETY: an endpoint that goes away takes its leave.
        let count = unsafe { ipc::count(endpoint) };
        count.delivered == 0 && self.serving().is_some_and(Tcb::is_receiving)
    }

    /// What an instance holds unanswered is parked again, as far as it can be.
    pub(crate) fn park_again(&self, server: &Tcb) {
        let endpoint = self.endpoint.get();
        if !endpoint.is_null() {
            // SAFETY: an endpoint that goes away takes its leave.
            unsafe { ipc::park_again(endpoint, server) };
        }
    }

    /// It is over: nobody refers to it, requests go where they went, and whoever began is told.
    pub(crate) fn close(&self) {
        if !self.is_open.replace(false) {
            return;
        }
        self.open();
        // SAFETY: an open record is on the list.
        OPEN.with(|open| unsafe { open.remove(self.link.get()) });
        self.take_leave();
        if self.is_frozen.replace(false)
            && let Some(old) = self.old_thread().filter(|old| old.state.get() == State::Started)
        {
            ipc::fail(old, KernelError::Cancelled.into());
        }
        self.old.set(null());
        self.new.set(null());
        self.endpoint.set(null_mut());
        if self.notification.is(ObjectKind::Notification) {
            // SAFETY: the slot's capability keeps it alive.
            unsafe { Notification::at(self.notification.object() as usize) }.signal(self.bits.get());
        }
    }

    /// The threads take part in nothing any more.
    fn take_leave(&self) {
        for thread in [self.old_thread(), self.new_thread()].into_iter().flatten() {
            thread.replacement.set(null());
        }
    }

    /// The kernel looks after whoever serves now, where it looked after the old instance.
    ///
    /// # Errors
    /// The capability layer's.
    pub(crate) fn hand_over_keeping(&self) -> Result<(), Failure> {
        let (Some(old), Some(new)) = (self.old_thread(), self.new_thread()) else { return Ok(()) };
        self.take_leave();
        match self.machine().map(|machine| machine.phase()) {
            Some(Phase::Ended(Outcome::Confirmed)) => {
                keeper::keep_instead(old, new.cnode().slot(abi::slots::TCB)?, &self.new_image)
            }
            _ => {
                if let Some(vspace) = old.vspace().filter(|vspace| vspace.outcome.get() != Instance::Running) {
                    keeper::noted_end(vspace);
                }
                Ok(())
            }
        }
    }

    /// Phase and reason, as they are told.
    pub(crate) fn told(&self) -> (u64, u64) {
        (self.account.phase.get(), self.account.reason.get())
    }
}

/// Fills an embedded slot anew.
fn put(slot: &Slot, with: Option<&Slot>) -> Result<(), Failure> {
    if !slot.is_empty() {
        let _ = authority::with(|context| capability::delete(context, slot, authority::BUDGET))?;
    }
    let Some(with) = with else { return Ok(()) };
    authority::with(|context| capability::copy(context, with, slot, with.rights()))?;
    Ok(())
}

fn code(phase: Phase) -> (ReplacementPhase, ReplacementReason) {
    let told = match phase {
        Phase::Copying => ReplacementPhase::Copying,
        Phase::Rehearsing => ReplacementPhase::Rehearsing,
        Phase::Draining => ReplacementPhase::Draining,
        Phase::Freezing => ReplacementPhase::Freezing,
        Phase::Thawing => ReplacementPhase::Thawing,
        Phase::Probation => ReplacementPhase::Probation,
        Phase::Restoring => ReplacementPhase::Restoring,
        Phase::Ended(Outcome::Confirmed) => ReplacementPhase::Confirmed,
        Phase::Ended(Outcome::Returned(_)) => ReplacementPhase::Returned,
        Phase::Ended(Outcome::Lost) => ReplacementPhase::Lost,
    };
    let reason = match phase {
        Phase::Ended(Outcome::Returned(reason)) => match reason {
            Reason::Aborted => ReplacementReason::Aborted,
            Reason::TimedOut => ReplacementReason::TimedOut,
            Reason::Refused => ReplacementReason::Refused,
            Reason::OldEnded => ReplacementReason::OldEnded,
            Reason::NewEnded => ReplacementReason::NewEnded,
        },
        _ => ReplacementReason::None,
    };
    (told, reason)
}
