//! What a peer is told to do, and what it reports: numbers that fit its argument and its exit status.

use abi::interface::Method;
use abi::{CallError, KernelError};

/// What a peer does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Role {
    /// Serves its endpoint; `value` requests can be held besides the one at hand. Signals of its notification, if it has one,
    /// are passed on to the witness.
    Serve = 1,
    /// Calls the method of `label` with `value`, and ends with the outcome.
    Call = 2,
    /// Fills a page with 1, 2, 3, ... and lends it with a call of `Hold(value)`; ends with the outcome.
    Lend = 3,
    /// Signals the witness, and computes for ever.
    Busy = 4,
    /// Receives for `value` nanoseconds, and ends with the label or the bits that came.
    Receive = 5,
    /// Waits for its notification for ever; ends with the bits.
    Wait = 6,
    /// Sleeps for `value` nanoseconds, for ever if that is 0.
    Sleep = 7,
    /// Begins a transaction at the target, has an object made by the second endpoint, finishes with `value`, and ends
    /// with whether the object is still there.
    Transact = 8,
    /// Begins a transaction at the target, has an object made by the second endpoint, and ends.
    BeginAndEnd = 9,
    /// Fills its CNode but for `value` slots, asks its target to give something, and ends with the outcome.
    TakeWhenFull = 10,
    /// Signals the witness with `value`, and ends.
    Signal = 11,
    /// Stops its own thread.
    StopItself = 12,
    /// Uses memory that was taken away from it meanwhile, in the way of `value`.
    UseWhatWasTaken = 13,
    /// As `Call`, but the signals 2 and 4 of its notification end the call while no server has received it.
    CallInterruptibly = 14,
    /// Counts for its callers, and hands the counts to whoever takes its place; `value` says which version of the server it is,
    /// as [`crate::peer::tally::Version`].
    Tally = 15,
    /// Calls its target `value` times, or until it is signalled, and checks that each answer counts one more, calling `label` every
    /// eighth time and `Next` in between; ends with the last count.
    Count = 16,
    /// Asks its target to hold a request, and deletes the capability that stands in the second slot when that is answered.
    DeleteSecond = 17,
    /// Is told of the interrupts of a line by a notification that it makes, and ends in the way of `value`.
    Drive = 18,
    /// Calls its target `value` times without a pause, and signals the witness after each [`crate::peer::STRETCH`] of them; ends with
    /// the number of answers.
    Press = 19,
}

const ROLES: [Role; 19] = [
    Role::Serve,
    Role::Call,
    Role::Lend,
    Role::Busy,
    Role::Receive,
    Role::Wait,
    Role::Sleep,
    Role::Transact,
    Role::BeginAndEnd,
    Role::TakeWhenFull,
    Role::Signal,
    Role::StopItself,
    Role::UseWhatWasTaken,
    Role::CallInterruptibly,
    Role::Tally,
    Role::Count,
    Role::DeleteSecond,
    Role::Drive,
    Role::Press,
];

/// A role with its numbers.
#[derive(Clone, Copy, Debug)]
pub struct Task {
    /// What to do.
    pub role: Role,
    /// Of the method to call.
    pub label: u32,
    /// What the role makes of it; 48 bits.
    pub value: u64,
}

impl Task {
    /// A role without a label.
    pub const fn new(role: Role, value: u64) -> Task {
        Task { role, label: 0, value }
    }

    /// A call of a method with one argument.
    pub const fn call<M: Method>(value: u64) -> Task {
        Task { role: Role::Call, label: M::LABEL, value }
    }

    /// The same, to be interrupted.
    pub const fn call_interruptibly<M: Method>(value: u64) -> Task {
        Task { role: Role::CallInterruptibly, label: M::LABEL, value }
    }

    /// As the argument of a cell.
    pub const fn to_argument(self) -> u64 {
        self.role as u64 | (self.label as u64) << 8 | self.value << 16
    }

    /// Of an argument; `None` for 0, which is the tests' own.
    pub fn from_argument(argument: u64) -> Option<Task> {
        let role = ROLES.into_iter().find(|role| *role as u64 == argument & 0xff)?;
        Some(Task { role, label: (argument >> 8 & 0xff) as u32, value: argument >> 16 })
    }
}

/// The outcome of a call, as the exit status of a peer carries it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reported {
    /// A value of up to 32 bits.
    Value(u64),
    /// The kernel's error, with its detail.
    Kernel(KernelError, u64),
    /// The server's code.
    Server(u32),
    /// A reply that is none of its method's.
    Malformed,
}

const VALUE: u64 = 1;
const KERNEL: u64 = 2;
const SERVER: u64 = 3;
const MALFORMED: u64 = 4;

impl Reported {
    /// Of the outcome of a call.
    pub fn of(outcome: Result<u64, CallError>) -> Reported {
        match outcome {
            Ok(value) => Reported::Value(value & u64::from(u32::MAX)),
            Err(CallError::Kernel(error, detail)) => Reported::Kernel(error, detail & u64::from(u32::MAX)),
            Err(CallError::Server(code, _)) => Reported::Server(code),
            Err(CallError::Malformed) => Reported::Malformed,
        }
    }

    /// As an exit status.
    pub fn to_status(self) -> u64 {
        match self {
            Reported::Value(value) => VALUE << 40 | value,
            Reported::Kernel(error, detail) => KERNEL << 40 | (error as u64) << 32 | detail,
            Reported::Server(code) => SERVER << 40 | u64::from(code),
            Reported::Malformed => MALFORMED << 40,
        }
    }

    /// Of an exit status; `None` where it is none of these.
    pub fn from_status(status: u64) -> Option<Reported> {
        let low = status & u64::from(u32::MAX);
        match status >> 40 {
            VALUE => Some(Reported::Value(low)),
            KERNEL => KernelError::from_status(1 << 63 | status >> 32 & 0xff).map(|error| Reported::Kernel(error, low)),
            SERVER => Some(Reported::Server(low as u32)),
            MALFORMED => Some(Reported::Malformed),
            _ => None,
        }
    }
}
