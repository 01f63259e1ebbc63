//! The kernel's surface: every function that a cell may import, and the layouts that cross with it.
//!
//! This file is the kernel ABI. Its hash stands in each cell's manifest, and the loader refuses a cell that was built
//! against another. The functions are `unsafe` to call because they take slots and pointers on trust of the types
//! around them: `cells/runtime` wraps each in a typed, safe form, and cells, which cannot write `unsafe`, use those.
//!
//! Arguments of a message travel where the plan puts them: RDI, RSI, RDX, on the way in and on the way out. On a call the
//! target follows in RCX (label in the low half, slot in the high half) and the token's generation in R8.
//!
//! [`telos_k_call`], [`telos_k_receive`] and [`telos_k_reply_receive`] are gates: they keep RBX, RBP and RSP and no other
//! register, so that a switch between two cells saves what is live and nothing else. [`call`], [`receive`] and
//! [`reply_receive`] state that to the compiler.

use crate::token::RawCap;

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
}

/// Kinds of kernel objects, by the number that retype takes.
#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are the objects of the design")]
pub enum Kind {
    Untyped = 1,
    Frame = 2,
    Tcb = 3,
    CNode = 4,
    VSpace = 5,
    Endpoint = 6,
    Notification = 7,
    Reply = 8,
    Buf = 9,
    Image = 10,
    Scope = 11,
    DmaFrame = 12,
    PciFunction = 13,
    Irq = 14,
    IoPort = 15,
    Loader = 16,
    Scheduler = 17,
    Serial = 18,
    Settle = 19,
    Machine = 20,
}

/// Operations of [`telos_k_invoke`], by the object that they work on. Arguments stand in the order of the words.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Untyped: kind, size bits, CNode token (2 words), first slot, count.
    Retype = 0x0100,
    /// Untyped: answers bytes free; words out: size, whether anything is derived from it, address, note (2 words).
    UntypedInfo = 0x0101,
    /// CNode: source token (2 words), destination slot (0: any free one), rights, badge (0: unbadged). Answers the slot.
    Copy = 0x0200,
    /// CNode: source token, destination slot.
    Move = 0x0201,
    /// Any capability of the caller: deletes it.
    Delete = 0x0202,
    /// Any capability of the caller: deletes all that was derived from it.
    Revoke = 0x0203,
    /// CNode: slot; words out: a [`SlotInfo`].
    Inspect = 0x0204,
    /// Any capability of the caller but a device's: note (2 words), kept with it for its holder.
    Note = 0x0205,
    /// Frame or Buf: VSpace token; answers the address.
    Map = 0x0300,
    /// Tcb: tokens of CNode, VSpace, stack Frame and heap Frame, argument.
    TcbConfigure = 0x0400,
    /// Tcb: makes it runnable.
    TcbStart = 0x0401,
    /// Tcb: stops it.
    TcbStop = 0x0402,
    /// Tcb: Scheduler token, priority.
    TcbPriority = 0x0403,
    /// Tcb: Notification token, bits; its signals arrive at receive. Those among the bits also end a call that is parked.
    TcbBind = 0x0404,
    /// Tcb: answers its state; words out: thread identity, ticks of the timer that it ran for, present priority.
    TcbInfo = 0x0405,
    /// Tcb: tokens of Loader and Image, a [`Scratch`]. The instance, which has ended, is made ready to start again, its variables
    /// as in the image, its stack empty.
    TcbRestart = 0x0406,
    /// Tcb: address of a [`FaultReport`], written where the thread's instance failed.
    TcbFault = 0x0407,
    /// Endpoint: address of (label, signature) pairs, their number.
    EndpointAbi = 0x0500,
    /// Endpoint: label, signature; refused unless served with just that signature.
    EndpointCheck = 0x0501,
    /// Notification: ORs the word into it.
    Signal = 0x0600,
    /// Image: address and length of signed bytes; verifies and keeps them.
    ImageFill = 0x0700,
    /// Image: offset, address, length; reads the pristine bytes back.
    ImageRead = 0x0701,
    /// Loader: Image token, VSpace token, Frame token; relocates the cell into the frame.
    Instantiate = 0x0800,
    /// Loader: Image token; words out: bytes of memory it needs, heap, stack, slots, build, hash (4 words).
    ImageNeeds = 0x0801,
    /// Loader: Notification token, bits; signalled when an instance ends.
    WatchInstances = 0x0802,
    /// Loader: index into the boot archive, address, capacity; answers the length, words out: the name (4 words).
    ArchiveRead = 0x0803,
    /// Loader: Notification token, bits; signalled when a transaction was aborted and its objects are revoked.
    WatchAborts = 0x0805,
    /// Loader: Image token, address, capacity; answers the length of `name version`, as much of it as fits.
    ImageName = 0x0804,
    /// Loader: Tcb token, Image token, a [`Scratch`]. From now on the kernel itself lets this instance begin again
    /// whenever it ends, and stops the machine where that happens too often.
    Keep = 0x0806,
    /// Loader: Image token, offset into its text, address, capacity; answers the length of `function+offset`, as much of it as
    /// fits.
    ImageSymbol = 0x0807,
    /// VSpace: answers its state; words out: exit status, text base, text end, threads, image hash prefix.
    VSpaceInfo = 0x0900,
    /// Scope: Reply token, Settle token; the caller held in the reply becomes its beginner.
    ScopeAttach = 0x0a00,
    /// Scope: Settle token; keeps what hangs on it.
    ScopeSettle = 0x0a01,
    /// Scope: Settle token; revokes what hangs on it.
    ScopeAbort = 0x0a02,
    /// Scope: answers its [`ScopeState`].
    ScopeInfo = 0x0a03,
    /// Serial: address, length.
    SerialWrite = 0x0b00,
    /// Serial: address, capacity; answers the bytes read, 0 when there are none.
    SerialRead = 0x0b01,
    /// Serial: Notification token, bits; signalled when bytes arrive, when there is room for output, and when the kernel
    /// has logged a line for [`Operation::SerialLog`].
    SerialWatch = 0x0b02,
    /// Serial: address, capacity; answers the bytes of the kernel's log that were taken, 0 when there are none. From its
    /// first use on, and while the thread that watches lives, the log comes this way alone.
    SerialLog = 0x0b03,
    /// Irq: Notification token, bits.
    IrqBind = 0x0c00,
    /// Irq: ready for the next one.
    IrqAcknowledge = 0x0c01,
    /// PciFunction: offset, width; answers the value.
    PciRead = 0x0d00,
    /// PciFunction: offset, width, value.
    PciWrite = 0x0d01,
    /// PciFunction: BAR, VSpace token; maps it uncached and answers the address.
    PciMap = 0x0d02,
    /// IoPort: port, width; answers the value.
    PortRead = 0x0e00,
    /// IoPort: port, width, value.
    PortWrite = 0x0e01,
    /// DmaFrame: VSpace token; answers the address, words out: physical address, length.
    DmaMap = 0x0f00,
    /// Machine: exit code; the machine stops at once, unclean.
    Halt = 0x1000,
    /// Machine: words out: time-stamp counter's frequency, bytes lost on the serial line, bytes of the kernel's heap in
    /// use, frames left for page tables.
    MachineInfo = 0x1001,
    /// Machine: address, capacity; answers the length of the boot command line.
    CommandLine = 0x1002,
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

/// Why an instance failed.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultCause {
    /// Its code panicked, and said why.
    Panic = 1,
    /// The processor raised an exception.
    Exception = 2,
    /// A kernel function found too little stack left.
    StackOverflow = 3,
    /// Somebody with the authority to do so stopped it.
    Stopped = 4,
}

/// Return addresses of a trace, at most.
pub const TRACE: usize = 16;
/// Bytes that a failing cell can say.
pub const LAST_WORDS: usize = 256;

/// What was found when an instance failed. Addresses in text are offsets from where the cell's code begins; all ones stands for
/// one outside of it.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct FaultReport {
    /// A [`FaultCause`] as its number; 0 where the thread did not fail.
    pub cause: u32,
    /// Number of the exception.
    pub vector: u32,
    /// What the processor said about it.
    pub error_code: u64,
    /// The address whose access faulted.
    pub address: u64,
    /// Nanoseconds since boot.
    pub time: u64,
    /// The instruction, in text.
    pub instruction: u64,
    /// RAX, RBX, RCX, RDX, RSI, RDI, RBP, RSP, R8 to R15, RFLAGS; all 0 where the cell was inside a function of the kernel.
    pub registers: [u64; 17],
    /// The label of the request that it served, its badge and the thread that had sent it; all ones, 0, 0 for none.
    pub request: [u64; 3],
    /// Where functions were called from, in text, innermost first.
    pub trace: [u64; TRACE],
    /// How many.
    pub trace_length: u32,
    /// Bytes of the text.
    pub text_length: u32,
    /// What it said.
    pub text: [u8; LAST_WORDS],
}

impl FaultReport {
    /// No report.
    pub const NONE: FaultReport = FaultReport {
        cause: 0,
        vector: 0,
        error_code: 0,
        address: 0,
        time: 0,
        instruction: u64::MAX,
        registers: [0; 17],
        request: [u64::MAX, 0, 0],
        trace: [0; TRACE],
        trace_length: 0,
        text_length: 0,
        text: [0; LAST_WORDS],
    };
}

/// What a thread is doing.
#[repr(u64)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ThreadState {
    /// It has no parts yet.
    Raw = 0,
    /// It has its parts and was never started.
    Ready = 1,
    /// It runs or waits.
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
    /// A gate, see [`reply_receive`]. In: RDI the status, RSI the value, RDX the second word, and otherwise as
    /// [`telos_k_receive`], which also says what comes out.
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

    /// Answers the request that the reception's reply object holds with words alone, then receives again with it.
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
                inlateout("rdi") answer.status => first,
                inlateout("rsi") answer.value => middle,
                inlateout("rdx") second => third,
                inlateout("rcx") reception => head,
                lateout("r8") badge,
                lateout("r9") thread,
                lateout("rax") _, lateout("r10") _, lateout("r11") _,
                lateout("r12") _, lateout("r13") _, lateout("r14") _, lateout("r15") _,
            );
        }
        words = [first, middle, third];
        Letter { label: head as u32, baggage: (head >> 32) as u32, words, badge, thread }
    }
}
