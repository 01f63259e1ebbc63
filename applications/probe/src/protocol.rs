//! What the cells of the tests say to each other.

/// The methods of a peer that serves.
pub mod methods {
    abi::interface! {
        /// The interface of a peer.
        Peer {
            /// Who asks: the badge, and the thread as the second word.
            1 Who() -> u64;
            /// The body, reversed; the value is its length.
            2 Reverse() -> u64;
            /// Fills the lent memory with `seed`, `seed + 1`, ...; the value is its length.
            3 Fill(seed: u64) -> u64;
            /// The sum of the lent bytes.
            4 Sum() -> u64;
            /// Signals the notification that comes along, and deletes it.
            5 Take(bits: u64) -> u64;
            /// Makes a notification and hands it over.
            6 Give() -> u64;
            /// Is answered by `Release` of the same key.
            7 Hold(key: u64) -> u64;
            /// Answers what is held under a key, with a value.
            8 Release(key: u64, value: u64) -> u64;
            /// Ends the peer in some way, unanswered.
            9 Die(how: u64) -> u64;
            /// Computes for so many steps.
            10 Spin(steps: u64) -> u64;
            /// Is answered after so many nanoseconds.
            11 Late(nanoseconds: u64, value: u64) -> u64;
            /// How many requests the peer has seen.
            12 Count() -> u64;
            /// Asks the peer's own target to compute.
            13 Forward(steps: u64) -> u64;
            /// Answers with a body of so many bytes.
            14 Long(length: u64) -> u64;
            /// Makes a notification and keeps it, then ends the peer, or answers for 0.
            15 Make(how: u64) -> u64;
            /// The scope that comes with the request.
            16 Scope() -> u64;
            /// Begins a transaction.
            17 Begin() -> u64;
            /// Ends it: kept for 1, aborted for 0.
            18 Finish(keep: u64) -> u64;
            /// The badges of those who were held, one hexadecimal digit each, the first on the left.
            19 Order() -> u64;
        }
    }
}

/// Methods that no peer serves in this form.
pub mod strange {
    abi::interface! {
        /// Labels that are free, out of range, or served with another signature.
        Strange {
            /// Served as [`super::methods::Who`], which takes nothing.
            1 Who(whom: u64) -> u64;
            /// A label that nobody serves.
            40 Absent() -> u64;
            /// A label that nobody can serve.
            64 OutOfRange() -> u64;
        }
    }
}

/// How a peer ends itself; the argument of [`methods::Die`] and [`methods::Make`].
pub mod how {
    /// It panics.
    pub const PANIC: u64 = 1;
    /// It overflows its stack in its own code.
    pub const OVERFLOW: u64 = 2;
    /// It overflows its stack in functions of the kernel.
    pub const OVERFLOW_IN_KERNEL: u64 = 3;
    /// It ends with a status.
    pub const EXIT: u64 = 4;
    /// It never does: it runs until it is stopped.
    pub const LOOP: u64 = 5;
}

/// Slots of a peer, beyond the fixed ones.
pub mod slots {
    pub use abi::slots::FIRST_GRANTED as TARGET;
    /// Memory for objects.
    pub const SCRATCH: u32 = TARGET + 1;
    /// A notification of the tests'.
    pub const WITNESS: u32 = TARGET + 2;
    /// A second endpoint to call.
    pub const SECOND: u32 = TARGET + 3;
}

/// What a peer does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Serves its endpoint; `value` requests can be held besides the one at hand.
    Serve = 1,
    /// Calls the method of `label` with `value`, and ends with the outcome.
    Call = 2,
    /// Lends 4 KiB with a call of `Hold(value)`, and ends with the outcome.
    Lend = 3,
    /// Signals the witness, and computes for ever.
    Busy = 4,
    /// Signals the witness with `value`, and ends.
    Signal = 5,
    /// Receives for `value` microseconds, and ends with what came of it.
    Receive = 6,
    /// Waits for its notification for ever.
    Wait = 7,
    /// Begins a transaction at the target, has an object made by the second endpoint, finishes with `value`, and ends
    /// with whether the object is still there.
    Transact = 8,
    /// Begins a transaction at the target, and ends.
    BeginAndEnd = 9,
    /// Calls `Who` of its target for ever.
    CallForEver = 10,
    /// Serves as [`Role::Serve`], and passes signals of its notification on to the witness.
    ServeSignals = 11,
}

/// A role with its numbers, as the argument of a cell carries it.
#[derive(Clone, Copy, Debug)]
pub struct Task {
    /// What to do.
    pub role: Role,
    /// Of the method to call.
    pub label: u32,
    /// What the role makes of it.
    pub value: u64,
}

const ROLES: [Role; 11] = [
    Role::Serve,
    Role::Call,
    Role::Lend,
    Role::Busy,
    Role::Signal,
    Role::Receive,
    Role::Wait,
    Role::Transact,
    Role::BeginAndEnd,
    Role::CallForEver,
    Role::ServeSignals,
];

impl Task {
    /// A role without a label.
    pub const fn new(role: Role, value: u64) -> Task {
        Task { role, label: 0, value }
    }

    /// A call of a method with one argument.
    pub const fn call<M: abi::interface::Method>(value: u64) -> Task {
        Task { role: Role::Call, label: M::LABEL, value }
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
    Kernel(u8, u64),
    /// Any other failure.
    Other,
}

const VALUE: u64 = 1 << 60;
const KERNEL: u64 = 2 << 60;
const OTHER: u64 = 3 << 60;

impl Reported {
    /// Of the outcome of a call.
    pub fn of(outcome: Result<u64, abi::CallError>) -> Reported {
        match outcome {
            Ok(value) => Reported::Value(value & u64::from(u32::MAX)),
            Err(abi::CallError::Kernel(error, detail)) => Reported::Kernel(error as u8, detail & u64::from(u32::MAX)),
            Err(_) => Reported::Other,
        }
    }

    /// A kernel error with its detail.
    pub const fn kernel(error: abi::KernelError, detail: u64) -> Reported {
        Reported::Kernel(error as u8, detail)
    }

    /// As an exit status.
    pub fn to_status(self) -> u64 {
        match self {
            Reported::Value(value) => VALUE | value,
            Reported::Kernel(error, detail) => KERNEL | u64::from(error) << 32 | detail,
            Reported::Other => OTHER,
        }
    }

    /// Of an exit status; `None` where it is none of these.
    pub fn from_status(status: u64) -> Option<Reported> {
        let low = status & u64::from(u32::MAX);
        match status & OTHER {
            VALUE => Some(Reported::Value(low)),
            KERNEL => Some(Reported::Kernel((status >> 32) as u8, low)),
            OTHER => Some(Reported::Other),
            _ => None,
        }
    }
}
