//! A thread, as it lies in its 4 KiB.
//!
//! The nodes of the run queue, the timers, the ledger and the notifications are embedded, so that no queue ever
//! allocates. What a thread refers to (its CNode, its VSpace, its bound notification) it holds by capabilities in
//! embedded slots, so that none of them goes away under it; copies of their addresses stand beside for speed.

use core::cell::{Cell, UnsafeCell};
use core::mem::{offset_of, size_of};
use core::ptr::{null, with_exposed_provenance};

use abi::kernel::{Answer, BODY_MAX, Letter};
use abi::token::RawCap;
use capability::{CNode, Slot};
use ledger::{Receiver, Request};
use lists::Link;
use threads::{Budget, RunNode, TimerNode};
use x86::interrupts::TrapFrame;

pub use abi::kernel::ThreadState as State;

use crate::notification::Notification;
use crate::replacement::Replacement;
use crate::reply::Reply;
use crate::vspace::VSpace;

/// The first word of the note at a slot that is a part of a thread.
const PART: u64 = u64::from_be_bytes(*b"tcb part");

/// What a long call brings, and has room for.
#[derive(Clone, Copy)]
pub(crate) struct Asked {
    pub(crate) buf: RawCap,
    pub(crate) grant: RawCap,
    /// Bytes of the reply's body that the caller can take.
    pub(crate) capacity: usize,
}

/// What a reply brought a long call; the body is in [`Tcb::body`].
#[derive(Clone, Copy)]
pub(crate) struct Results {
    pub(crate) second: u64,
    pub(crate) received: usize,
    pub(crate) granted: RawCap,
}

impl Results {
    pub(crate) const NONE: Results = Results { second: 0, received: 0, granted: RawCap::EMPTY };
}

/// What came with a request; the body is in the caller's TCB.
#[derive(Clone, Copy)]
pub(crate) struct Parcel {
    pub(crate) scope: u64,
    pub(crate) lease_address: usize,
    pub(crate) lease_length: usize,
    pub(crate) granted: RawCap,
}

impl Parcel {
    pub(crate) const EMPTY: Parcel = Parcel { scope: 0, lease_address: 0, lease_length: 0, granted: RawCap::EMPTY };
}

/// Room for the body of a message, or the report of a failure.
#[repr(C, align(8))]
pub(crate) struct Body([u8; BODY_MAX]);

/// A thread. Zeroed memory is [`State::Raw`]; the first 16 bytes belong to the object layer.
#[repr(C)]
pub struct Tcb {
    header: [u64; 2],
    // Hot: what a call touches.
    pub(crate) run: UnsafeCell<RunNode>,
    pub(crate) request: UnsafeCell<Request>,
    pub(crate) receiver: UnsafeCell<Receiver>,
    /// The stack pointer of the context, or the address of `resume`, when it does not run.
    pub(crate) context: Cell<usize>,
    /// Below this, a kernel function is not entered.
    pub(crate) stack_limit: Cell<usize>,
    pub(crate) cnode_address: Cell<usize>,
    pub(crate) state: Cell<State>,
    /// Its priority without what callers lend: its own, unless its budget is used up.
    pub(crate) base_priority: Cell<u8>,
    /// Its own priority.
    pub(crate) own_priority: Cell<u8>,
    /// Outcome of what it waited for.
    pub(crate) answer: Cell<Answer>,
    // Four bytes that stand side by side, two of which are compared at once: what keeps a call or an answer from its short form.
    /// Whether the notification that it is bound to was signalled while it did not receive.
    pub(crate) signalled: Cell<bool>,
    has_lent_scope: Cell<bool>,
    has_own_scope: Cell<bool>,
    /// Whether its call is one of [`Asked`].
    pub(crate) is_long: Cell<bool>,
    own_scope: Cell<u64>,
    lent_scope: Cell<u64>,
    /// The letter that its receive returns with: in the request of its caller, or [`Tcb::notice`].
    pub(crate) inbox: Cell<*const Letter>,
    /// The slot of the endpoint with which it received last, and of the reply object. Before the first time, and null
    /// before it has its parts: a slot whose generation no token has.
    pub(crate) endpoint_slot: Cell<*const Slot>,
    pub(crate) reply_slot: Cell<*const Slot>,
    pub(crate) bound: Cell<*const Notification>,
    /// The signals that end its call while that is parked.
    pub(crate) interrupts: Cell<u64>,
    // Cold.
    pub(crate) timer: UnsafeCell<TimerNode>,
    /// What its call brings beside the words, and what the reply brought it.
    pub(crate) asked: Cell<Asked>,
    pub(crate) results: Cell<Results>,
    /// What came beside the words of the request that it received last.
    pub(crate) parcel: Cell<Parcel>,
    /// What it is told by the kernel itself: signals and failures.
    pub(crate) notice: Cell<Letter>,
    pub(crate) wait: UnsafeCell<Link>,
    pub(crate) waiting_on: Cell<*const Notification>,
    pub(crate) sibling: UnsafeCell<Link>,
    pub(crate) cnode: Slot,
    pub(crate) vspace: Slot,
    pub(crate) notification: Slot,
    pub(crate) exit_status: Cell<u64>,
    /// The replacement that its instance takes part in, null for none.
    pub(crate) replacement: Cell<*const Replacement>,
    /// Whether a report of its failure stands in the body.
    pub(crate) has_report: Cell<bool>,
    pub(crate) ticks: Cell<u64>,
    pub(crate) budget: Cell<Budget>,
    /// When its budget is whole again, in ticks; armed while that is used up.
    pub(crate) renewal: UnsafeCell<TimerNode>,
    /// Address of the code that continues a preempted thread; the frame must follow it.
    resume: Cell<usize>,
    pub(crate) frame: Cell<TrapFrame>,
    pub(crate) body: UnsafeCell<Body>,
}

const _: () = assert!(size_of::<Tcb>() <= 4096);
const _: () = assert!(offset_of!(Tcb, frame) == offset_of!(Tcb, resume) + size_of::<usize>());

impl Tcb {
    /// The thread at an address that a capability or a link holds.
    ///
    /// # Safety
    /// There is a TCB at `address`, live for as long as the reference is used.
    #[inline(always)]
    pub(crate) unsafe fn at<'a>(address: usize) -> &'a Tcb {
        // SAFETY: the caller's word; all fields are cells.
        unsafe { &*with_exposed_provenance(address) }
    }

    /// The thread whose embedded field of offset `offset` is at `field`.
    ///
    /// # Safety
    /// `field` is that field of a live TCB.
    #[inline(always)]
    unsafe fn containing<'a, T>(field: *const T, offset: usize) -> &'a Tcb {
        let address = field.expose_provenance() - offset;
        // SAFETY: the field lies at that offset of a live TCB, by the caller's word.
        unsafe { Tcb::at(address) }
    }

    /// # Safety
    /// `node` is the `run` of a live TCB.
    #[inline(always)]
    pub(crate) unsafe fn of_run<'a>(node: *const RunNode) -> &'a Tcb {
        // SAFETY: the caller's word.
        unsafe { Self::containing(node, offset_of!(Tcb, run)) }
    }

    /// # Safety
    /// `node` is the `timer` of a live TCB.
    pub(crate) unsafe fn of_timer<'a>(node: *const TimerNode) -> &'a Tcb {
        // SAFETY: the caller's word.
        unsafe { Self::containing(node, offset_of!(Tcb, timer)) }
    }

    /// # Safety
    /// `node` is the `renewal` of a live TCB.
    pub(crate) unsafe fn of_renewal<'a>(node: *const TimerNode) -> &'a Tcb {
        // SAFETY: the caller's word.
        unsafe { Self::containing(node, offset_of!(Tcb, renewal)) }
    }

    /// # Safety
    /// `request` is the `request` of a live TCB.
    #[inline(always)]
    pub(crate) unsafe fn of_request<'a>(request: *const Request) -> &'a Tcb {
        // SAFETY: the caller's word.
        unsafe { Self::containing(request, offset_of!(Tcb, request)) }
    }

    /// # Safety
    /// `receiver` is the `receiver` of a live TCB.
    #[inline(always)]
    pub(crate) unsafe fn of_receiver<'a>(receiver: *const Receiver) -> &'a Tcb {
        // SAFETY: the caller's word.
        unsafe { Self::containing(receiver, offset_of!(Tcb, receiver)) }
    }

    /// # Safety
    /// `link` is the `wait` of a live TCB.
    pub(crate) unsafe fn of_wait<'a>(link: *const Link) -> &'a Tcb {
        // SAFETY: the caller's word.
        unsafe { Self::containing(link, offset_of!(Tcb, wait)) }
    }

    /// # Safety
    /// `link` is the `sibling` of a live TCB.
    pub(crate) unsafe fn of_sibling<'a>(link: *const Link) -> &'a Tcb {
        // SAFETY: the caller's word.
        unsafe { Self::containing(link, offset_of!(Tcb, sibling)) }
    }

    /// Its address, by which links name it.
    #[inline(always)]
    pub(crate) fn address(&self) -> usize {
        core::ptr::from_ref(self).expose_provenance()
    }

    /// Its present priority.
    #[inline(always)]
    pub(crate) fn priority(&self) -> u8 {
        // SAFETY: exclusive references to the node exist within the run queue's functions alone.
        unsafe { (*self.run.get()).priority() }
    }

    /// The number that the servers which it calls know it by: unique, never reused.
    pub(crate) fn identity(&self) -> u64 {
        // SAFETY: exclusive references to the request exist within the ledger's functions alone.
        unsafe { (*self.request.get()).letter.thread }
    }

    pub(crate) fn set_identity(&self, identity: u64) {
        // SAFETY: the thread was not started, so its request is in nobody's hands.
        unsafe { (*self.request.get()).letter.thread = identity };
    }

    /// The reply object that it receives with, or received with last.
    #[inline(always)]
    pub(crate) fn last_reply<'a>(&self) -> Option<&'a Reply> {
        // SAFETY: exclusive references to the receiver exist within the ledger's functions alone.
        let core = unsafe { (*self.receiver.get()).reply() };
        // SAFETY: receivers name live reply objects.
        (!core.is_null()).then(|| unsafe { Reply::of(core) })
    }

    /// The reply object of the request that it received last, if that is not answered yet.
    pub(crate) fn serving<'a>(&self) -> Option<&'a Reply> {
        self.last_reply().filter(|reply| {
            let received = reply.server().is_some_and(|server| core::ptr::eq(server, self));
            received && reply.client().is_some()
        })
    }

    /// Whether it waits for a request.
    #[inline(always)]
    pub(crate) fn is_receiving(&self) -> bool {
        // SAFETY: exclusive references to the receiver exist within the ledger's functions alone.
        unsafe { (*self.receiver.get()).is_waiting() }
    }

    /// Whether its budget is used up.
    pub(crate) fn is_exhausted(&self) -> bool {
        // SAFETY: exclusive references to the node exist within the functions of the timers alone.
        unsafe { (*self.renewal.get()).is_armed() }
    }

    /// Its CNode.
    #[inline(always)]
    pub(crate) fn cnode(&self) -> CNode<'_> {
        // SAFETY: the address was taken from the `cnode` slot when that was filled, and the capability there keeps
        // the CNode alive for as long as this thread has its parts.
        unsafe { CNode::at(self.cnode_address.get()) }
    }

    /// Notes the CNode that the `cnode` slot holds.
    pub(crate) fn set_cnode(&self) {
        self.cnode_address.set(self.cnode.object() as usize);
        // A token's generation is that of a slot in a CNode, and this is none.
        self.endpoint_slot.set(&raw const self.cnode);
        self.reply_slot.set(&raw const self.cnode);
    }

    /// Notes at the slots of its parts whose they are: for whoever hears that one of them was emptied.
    pub(crate) fn sign_parts(&self) -> Result<(), capability::Error> {
        self.cnode.set_note([PART, self.address() as u64])?;
        self.vspace.set_note([PART, self.address() as u64])
    }

    /// The thread of whose parts a slot is one.
    pub(crate) fn of_part<'a>(slot: &Slot) -> Option<&'a Tcb> {
        let [mark, address] = slot.note();
        let is_part = slot.index() == 0 && mark == PART;
        // SAFETY: slots outside of CNodes are the kernel's, and `sign_parts` alone notes this there: the slot is embedded in
        // that thread, which lives as long as its slots.
        is_part.then(|| unsafe { Tcb::at(address as usize) })
    }

    /// Its cell's VSpace; `None` for a thread of the kernel's own.
    pub(crate) fn vspace(&self) -> Option<&VSpace> {
        if self.vspace.is_empty() {
            return None;
        }
        // SAFETY: the slot holds a capability to a VSpace, which keeps it alive.
        Some(unsafe { VSpace::at(self.vspace.object() as usize) })
    }

    /// The number of the transaction that it began, 0 for none (see `scope`).
    pub(crate) fn own_scope(&self) -> u64 {
        self.own_scope.get()
    }

    pub(crate) fn set_own_scope(&self, scope: u64) {
        self.own_scope.set(scope);
        self.has_own_scope.set(scope != 0);
    }

    /// The number of the transaction that came with the request that it serves, 0 for none.
    pub(crate) fn lent_scope(&self) -> u64 {
        self.lent_scope.get()
    }

    pub(crate) fn set_lent_scope(&self, scope: u64) {
        self.lent_scope.set(scope);
        self.has_lent_scope.set(scope != 0);
    }

    /// The number of the transaction that it works in, which may be over; 0 for none.
    #[inline(always)]
    pub(crate) fn scope(&self) -> u64 {
        match self.lent_scope.get() {
            0 => self.own_scope.get(),
            lent => lent,
        }
    }

    /// Makes the interrupted state in `frame` what a switch to this thread continues.
    pub(crate) fn suspend_at(&self, frame: &TrapFrame) {
        self.frame.set(*frame);
        self.resume.set(x86::interrupts::continuation());
        self.context.set(self.resume.as_ptr().expose_provenance());
    }

    /// Where it was preempted; `None` where it runs, or gave the processor up inside the kernel.
    pub(crate) fn interrupted_at(&self) -> Option<TrapFrame> {
        (self.context.get() == self.resume.as_ptr().expose_provenance()).then(|| self.frame.get())
    }

    /// Whether a signal came that it wants to hear of at once.
    pub(crate) fn is_interrupted(&self) -> bool {
        // SAFETY: a notification that goes away unbinds its thread.
        unsafe { self.bound.get().as_ref() }.is_some_and(|bound| bound.bits() & self.interrupts.get() != 0)
    }

    /// A thread of the kernel's own, to be what runs when nothing else does.
    pub(crate) const fn idle() -> Self {
        // SAFETY: all fields are integers, null-able pointers, links, or cells of these, for which zero is valid.
        unsafe { core::mem::MaybeUninit::<Tcb>::zeroed().assume_init() }
    }

    /// An ended thread is as one that was never started, but for its parts and its priority.
    pub(crate) fn renew(&self) {
        self.is_long.set(false);
        self.inbox.set(null());
        self.set_own_scope(0);
        self.set_lent_scope(0);
        self.signalled.set(false);
        self.interrupts.set(0);
        self.exit_status.set(0);
        self.has_report.set(false);
        self.set_cnode();
        self.state.set(State::Raw);
    }

    /// The replacement that its instance takes part in.
    pub(crate) fn replacement<'a>(&self) -> Option<&'a Replacement> {
        // SAFETY: a replacement that ends, or goes away, takes its leave of both threads.
        unsafe { self.replacement.get().as_ref() }
    }

    /// The next answer takes the long way: what was found for the last one is forgotten.
    pub(crate) fn forget_reception(&self) {
        self.endpoint_slot.set(&raw const self.cnode);
    }

    /// Forgets the notification that it is bound to.
    pub(crate) fn unbind(&self) {
        self.bound.set(null());
    }
}

impl Tcb {
    /// The slots embedded in it: for the object layer, which empties them when it goes.
    pub(crate) fn slots(&self) -> &[Slot] {
        let first = &raw const self.cnode;
        // SAFETY: `cnode`, `vspace` and `notification` are three slots that follow each other in a `repr(C)` structure.
        unsafe { core::slice::from_raw_parts(first, 3) }
    }
}

impl Tcb {
    /// Two bytes: 0 unless it works in a transaction, its own or one that was lent to it.
    pub(crate) const SCOPES: usize = offset_of!(Tcb, has_lent_scope);
    /// Two bytes: 0 unless a signal came, or a transaction was lent to it.
    pub(crate) const ERRANDS: usize = offset_of!(Tcb, signalled);
}

const _: () = assert!(Tcb::SCOPES + 1 == offset_of!(Tcb, has_own_scope));
const _: () = assert!(Tcb::ERRANDS + 1 == offset_of!(Tcb, has_lent_scope));
const _: () = assert!(offset_of!(Tcb, notification) == offset_of!(Tcb, cnode) + 2 * size_of::<Slot>());
