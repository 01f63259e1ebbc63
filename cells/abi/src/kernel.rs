//! The kernel's surface: every function that a cell may import, and the layouts that cross with it.
//!
//! This file, with those in its folder, is the kernel ABI. Its hash stands in each cell's manifest, and the loader refuses a cell
//! that was built against another. The functions are `unsafe` to call because they take slots and pointers on trust of the types
//! around them: `cells/runtime` wraps each in a typed, safe form, and cells, which cannot write `unsafe`, use those.
//!
//! Arguments of a message travel where the plan puts them: RDI, RSI, RDX, on the way in and on the way out. On a call the
//! target follows in RCX (label in the low half, slot in the high half) and the token's generation in R8.
//!
//! [`telos_k_call`], [`telos_k_receive`] and [`telos_k_reply_receive`] are gates: they keep RBX, RBP and RSP and no other
//! register, so that a switch between two cells saves what is live and nothing else. [`call`], [`receive`] and
//! [`reply_receive`] state that to the compiler.

mod operation;
mod report;

use crate::token::RawCap;

pub use operation::{Kind, Operation};
pub use report::{FaultCause, FaultReport, LAST_WORDS, TRACE};

/// The most bytes of a message body that the kernel copies; larger data travels in a lent Buf.
pub const BODY_MAX: usize = 2048;
/// Words of arguments and results of an invocation.
pub const WORDS: usize = 10;
/// A timeout that never comes.
pub const TIMEOUT_NONE: u64 = u64::MAX;

/// Outcome of a kernel function, in RAX and RDX.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// 0, a server's own code, or a [`crate::KernelError`] with the top bit set.
    pub status: u64,
    /// The result word, or the detail of an error (the epoch of a dead server).
    pub value: u64,
}

/// What a call carries beyond its three words, and where the reply's body goes.
#[repr(C)]
pub struct Exchange {
    /// Bytes to send, and where they stand.
    pub send: *const u8,
    /// How many; at most [`BODY_MAX`].
    pub send_length: usize,
    /// Room for the reply's body.
    pub receive: *mut u8,
    /// Bytes of room.
    pub receive_capacity: usize,
    /// Out: bytes of the reply's body.
    pub received: usize,
    /// A Buf lent until the reply, or the empty token.
    pub buf: RawCap,
    /// A capability handed over (moved), or the empty token.
    pub grant: RawCap,
    /// Out: the capability that came with the reply, or the empty token.
    pub granted: RawCap,
    /// Nanoseconds until the call is given up; [`TIMEOUT_NONE`] waits for ever.
    pub timeout: u64,
    /// Out: second word of the reply.
    pub second: u64,
}

/// A request as it reaches its server: what stands in the registers when its receive returns.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Letter {
    /// The label, [`Letter::NOTIFICATION`] or [`Letter::FAILURE`].
    pub label: u32,
    /// Not 0 when more than the words came: then [`telos_k_fetch`] brings it.
    pub baggage: u32,
    /// The three words. For a notification its bits in the first, for a failure the status and its detail.
    pub words: [u64; 3],
    /// The badge of the capability that the sender used: no message can fake it.
    pub badge: u64,
    /// The sending thread, as the kernel attests it: unique, never reused.
    pub thread: u64,
}

impl Letter {
    /// Labels of requests are below this.
    pub const LABELS: u32 = 64;
    /// The label under which signals of a bound notification arrive.
    pub const NOTIFICATION: u32 = u32::MAX;
    /// The label of a receive that failed.
    pub const FAILURE: u32 = u32::MAX - 1;
    /// The label by which an instance is asked to export its state, in the schema of the first word.
    pub const FREEZE: u32 = u32::MAX - 2;

    /// Sets the label, and that nothing comes beside the words.
    #[inline(always)]
    pub fn set_plain_label(&mut self, label: u32) {
        self.label = label;
        self.baggage = 0;
    }
}

/// What came with a request beside its words.
#[repr(C)]
#[derive(Debug)]
pub struct Message {
    /// Bytes of `body` that count.
    pub body_length: usize,
    /// The transaction scope that travels with the call, 0 for none.
    pub scope: u64,
    /// Address of the Buf lent with the call, 0 for none.
    pub lease_address: usize,
    /// Its bytes.
    pub lease_length: usize,
    /// The capability that came with the request, or the empty token.
    pub granted: RawCap,
    /// The body.
    pub body: [u8; BODY_MAX],
}

impl Message {
    /// An empty message, to receive into.
    pub const EMPTY: Message = Message {
        body_length: 0,
        scope: 0,
        lease_address: 0,
        lease_length: 0,
        granted: RawCap::EMPTY,
        body: [0; BODY_MAX],
    };
}

/// What a reply carries beyond its status and two words.
#[repr(C)]
pub struct ReplyBody {
    /// Bytes to send, and where they stand.
    pub send: *const u8,
    /// How many.
    pub send_length: usize,
    /// A capability handed over (moved), or the empty token.
    pub grant: RawCap,
}

/// How a server receives: its endpoint, the reply object for the next request, and how long to wait.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Reception {
    /// The endpoint.
    pub endpoint: RawCap,
    /// The reply object that will hold the request.
    pub reply: RawCap,
    /// Nanoseconds to wait, or [`TIMEOUT_NONE`].
    pub timeout: u64,
}

/// What the kernel leaves at the top of a new thread's stack for the runtime.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Start {
    /// First byte of the heap.
    pub heap: usize,
    /// Bytes of heap, 0 for a thread that shares its cell's.
    pub heap_length: usize,
    /// The token of the cell's own CNode.
    pub cnode: RawCap,
    /// An argument that the creator chose.
    pub argument: u64,
}

/// What a slot of the caller's CNode holds.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlotInfo {
    /// Kind of object, as [`Kind`]; 0 for an empty slot.
    pub kind: u8,
    /// Rights, as bits.
    pub rights: u8,
    /// Logarithm of the object's size.
    pub size_bits: u8,
    /// 1 for what its creator put there before the instance's first start, else 0.
    pub endowed: u8,
    /// The slot.
    pub slot: u32,
    /// Generation of the token.
    pub generation: u64,
    /// Its badge.
    pub badge: u64,
    /// The holder's note; 0 where none was made.
    pub note: [u64; 2],
    /// Which object it is: two capabilities with the same number here are to the same one. Of memory, where it lies; of an interrupt or a
    /// port, its number; of a PCI function, bus, device and function as its configuration address has them. It is no authority.
    pub object: u64,
}

/// What becomes of the capabilities that an instance made for itself, when it begins again. What its creator put into its CNode
/// before the first start stays in any case.
#[repr(u64)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scratch {
    /// They go.
    Clear = 0,
    /// They stay, for the next instance to sort out: its state is in them.
    Keep = 1,
}

/// What becomes of an instance that is being replaced and has not answered in time what it holds.
#[repr(u64)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overdue {
    /// It goes on, and is not replaced.
    GoesOn = 0,
    /// It ends as if it had failed, and is replaced. Only for an instance without a state of its own.
    Ends = 1,
}

/// What became of state that was exported.
#[repr(u64)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exported {
    /// Nobody has use for it.
    Unwanted = 0,
    /// It is what is restored if this instance fails, from its next reply on.
    Staged = 1,
    /// The instance was frozen, and goes on.
    Resumed = 2,
    /// It is what is rehearsed with, and the instance goes on.
    Copied = 3,
}

/// How far a replacement is.
#[repr(u64)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplacementPhase {
    /// It has not begun. Zero, as retype leaves it.
    Idle = 0,
    /// The old instance serves, and is to export a copy of its state.
    Copying = 1,
    /// The old instance serves; the new one imports the copy and exports it back.
    Rehearsing = 2,
    /// New requests park; the old instance answers what it has.
    Draining = 3,
    /// The old instance exports its state, or ends.
    Freezing = 4,
    /// The new one imports it.
    Thawing = 5,
    /// The new one serves, on trial.
    Probation = 6,
    /// The old one imports the last export.
    Restoring = 7,
    /// The new one serves for good.
    Confirmed = 8,
    /// The old one serves.
    Returned = 9,
    /// Neither could go on with the state.
    Lost = 10,
}

impl ReplacementPhase {
    /// All of them, by number.
    pub const ALL: [ReplacementPhase; 11] = [
        ReplacementPhase::Idle,
        ReplacementPhase::Copying,
        ReplacementPhase::Rehearsing,
        ReplacementPhase::Draining,
        ReplacementPhase::Freezing,
        ReplacementPhase::Thawing,
        ReplacementPhase::Probation,
        ReplacementPhase::Restoring,
        ReplacementPhase::Confirmed,
        ReplacementPhase::Returned,
        ReplacementPhase::Lost,
    ];

    /// The phase of a number; `None` where there is none.
    pub fn from_number(number: u64) -> Option<ReplacementPhase> {
        Self::ALL.into_iter().find(|phase| *phase as u64 == number)
    }
}

/// Why the old instance of a replacement serves.
#[repr(u64)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplacementReason {
    /// It does not.
    None = 0,
    /// Somebody asked for it.
    Aborted = 1,
    /// A phase took too long.
    TimedOut = 2,
    /// State could not be exported or imported.
    Refused = 3,
    /// The old instance ended.
    OldEnded = 4,
    /// The new instance ended.
    NewEnded = 5,
}

/// What a thread is doing.
#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ThreadState {
    /// It has no parts yet. Zero, as retype leaves it.
    Raw = 0,
    /// It has its parts and was never started.
    Ready = 1,
    /// It was started: it runs or waits.
    Started = 2,
    /// It has ended.
    Ended = 3,
}

/// What became of the transaction of a scope.
#[repr(u64)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScopeState {
    /// It has none: it was settled, aborted, or never attached.
    Idle = 0,
    /// The beginner lives.
    Open = 1,
    /// The beginner has died; nobody but the holder of the scope can end it.
    Orphaned = 2,
}

/// What [`telos_k_clock`] reads.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    /// Nanoseconds since boot.
    Monotonic = 0,
    /// Nanoseconds since 1970, UTC.
    Wall = 1,
}

#[cfg(target_os = "none")]
unsafe extern "C" {
    /// A gate, see [`call`]. In: RDI, RSI, RDX the words, RCX the target, R8 the generation. Out: RAX the status, RDX the
    /// value.
    fn telos_k_call();
    /// Calls an endpoint with a body, a Buf, a capability or a timeout.
    pub fn telos_k_exchange(
        first: u64,
        second: u64,
        third: u64,
        target: u64,
        generation: u64,
        exchange: *mut Exchange,
    ) -> Answer;
    /// A gate, see [`receive`]. In: RCX the address of a [`Reception`]. Out: RCX the label in the low half and the baggage in
    /// the high half, RDI, RSI, RDX the words, R8 the badge, R9 the thread.
    fn telos_k_receive();
    /// Answers the request that a reply object holds. `body` may be null.
    pub fn telos_k_reply(
        status: u64,
        value: u64,
        second: u64,
        slot: u64,
        generation: u64,
        body: *const ReplyBody,
    ) -> Answer;
    /// A gate, see [`reply_receive`]. In: RAX the status, RDX the value, RDI the second word, RCX the address of a [`Reception`],
    /// whose timeout does not count. Out: as for [`telos_k_receive`].
    fn telos_k_reply_receive();
    /// Brings what came beside the words of the request that was received last, once.
    pub fn telos_k_fetch(message: *mut Message);
    /// Waits for a notification and takes its bits.
    pub fn telos_k_wait(slot: u64, generation: u64, timeout: u64) -> Answer;
    /// Works on a kernel object; `words` holds arguments and, after it, results.
    pub fn telos_k_invoke(operation: u64, slot: u64, generation: u64, words: *mut [u64; WORDS]) -> Answer;
    /// Gives the processor to the next thread of the same priority.
    pub fn telos_k_yield();
    /// Sleeps for so many nanoseconds.
    pub fn telos_k_sleep(nanoseconds: u64);
    /// Reads a clock.
    pub fn telos_k_clock(clock: u64) -> u64;
    /// 64 random bits. They are a secret where the processor has a generator; the kernel's log says at boot whether it has.
    pub fn telos_k_random() -> u64;
    /// Ends the calling cell with a status.
    pub fn telos_k_exit(status: u64) -> !;
    /// Ends the calling cell as failed; the text goes to the fault report.
    pub fn telos_k_panic(text: *const u8, length: usize) -> !;
}

#[cfg(target_os = "none")]
pub use gates::{call, receive, reply_receive};

#[cfg(target_os = "none")]
mod gates {
    use core::arch::asm;

    use super::{Answer, Letter, Reception};

    /// Calls an endpoint with three words and waits for the reply.
    ///
    /// # Safety
    /// None is needed beyond that of the capability, which the kernel checks; it stands here for the other functions'.
    #[inline(always)]
    pub unsafe fn call(words: [u64; 3], target: u64, generation: u64) -> Answer {
        let (status, value);
        // SAFETY: the gate keeps RBX, RBP and the stack; what else it may change is declared.
        unsafe {
            asm!(
                "call {}",
                sym super::telos_k_call,
                inlateout("rdi") words[0] => _,
                inlateout("rsi") words[1] => _,
                inlateout("rdx") words[2] => value,
                inlateout("rcx") target => _,
                inlateout("r8") generation => _,
                lateout("rax") status,
                lateout("r9") _, lateout("r10") _, lateout("r11") _,
                lateout("r12") _, lateout("r13") _, lateout("r14") _, lateout("r15") _,
            );
        }
        Answer { status, value }
    }

    /// Waits for a request or for signals of the bound notification.
    ///
    /// # Safety
    /// `reception` is live, and nobody else's, until this returns.
    #[inline(always)]
    pub unsafe fn receive(reception: *const Reception) -> Letter {
        let (head, words, badge, thread): (u64, [u64; 3], u64, u64);
        let (first, second, third);
        // SAFETY: the gate keeps RBX, RBP and the stack; what else it may change is declared. The pointers are live by the
        // caller's word.
        unsafe {
            asm!(
                "call {}",
                sym super::telos_k_receive,
                lateout("rdi") first,
                lateout("rsi") second,
                lateout("rdx") third,
                inlateout("rcx") reception => head,
                lateout("r8") badge,
                lateout("r9") thread,
                lateout("rax") _, lateout("r10") _, lateout("r11") _,
                lateout("r12") _, lateout("r13") _, lateout("r14") _, lateout("r15") _,
            );
        }
        words = [first, second, third];
        Letter { label: head as u32, baggage: (head >> 32) as u32, words, badge, thread }
    }

    /// Answers the request that the reception's reply object holds with words alone, then receives again with it, for ever: the
    /// reception's timeout does not count.
    ///
    /// # Safety
    /// As for [`receive`].
    #[inline(always)]
    pub unsafe fn reply_receive(answer: Answer, second: u64, reception: *const Reception) -> Letter {
        let (head, words, badge, thread): (u64, [u64; 3], u64, u64);
        let (first, middle, third);
        // SAFETY: as for `receive`.
        unsafe {
            asm!(
                "call {}",
                sym super::telos_k_reply_receive,
                inlateout("rax") answer.status => _,
                inlateout("rdi") second => first,
                lateout("rsi") middle,
                inlateout("rdx") answer.value => third,
                inlateout("rcx") reception => head,
                lateout("r8") badge,
                lateout("r9") thread,
                lateout("r10") _, lateout("r11") _,
                lateout("r12") _, lateout("r13") _, lateout("r14") _, lateout("r15") _,
            );
        }
        words = [first, middle, third];
        Letter { label: head as u32, baggage: (head >> 32) as u32, words, badge, thread }
    }
}
