//! What the cells of the tests say to each other.

/// The methods of a peer that serves.
pub mod methods {
    abi::interface! {
        /// The interface of a peer.
        Peer {
            /// Who asks, as the kernel says: the badge, and the thread as the second word. The arguments claim something else.
            1 Who(badge: u64, thread: u64) -> u64;
            /// The thread that asks, as the kernel says.
            29 WhoseThread() -> u64;
            /// Answers the body, reversed; the value is its length.
            2 Reverse() -> u64;
            /// Fills the lent memory with `seed`, `seed + 1`, ...; the value is its length.
            3 Fill(seed: u64) -> u64;
            /// The sum of the lent bytes.
            4 Sum() -> u64;
            /// Signals the notification that comes along, and deletes it.
            5 Take(bits: u64) -> u64;
            /// Makes a notification and hands it over.
            6 Give() -> u64;
            /// Whether what the last `Give` handed over is still where it was.
            7 HasGiven() -> u64;
            /// Is answered by `Release` of the same key.
            8 Hold(key: u64) -> u64;
            /// The same, but it can be parked again.
            replayable 30 HoldAgain(key: u64) -> u64;
            /// Answers what is held under a key, with a value.
            9 Release(key: u64, value: u64) -> u64;
            /// The same with a body of so many bytes.
            27 ReleaseLong(key: u64, length: u64) -> u64;
            /// The sum of the bytes that were lent with what is held under a key.
            10 SumHeld(key: u64) -> u64;
            /// What the kernel said to the last `Release` or `AnswerTwice`: a status.
            11 Status() -> u64;
            /// Answers, and tries to answer again.
            12 AnswerTwice() -> u64;
            /// Reads the first byte of what was lent last, although the lease is over.
            13 Touch() -> u64;
            /// Ends the peer in some way, unanswered (see [`super::ending`]).
            14 End(how: u64) -> u64;
            /// Signals the witness, and computes for so many steps.
            15 Spin(steps: u64) -> u64;
            /// Asks the peer's own target to spin.
            16 Forward(steps: u64) -> u64;
            /// Is answered after so many nanoseconds.
            28 Late(nanoseconds: u64) -> u64;
            /// How many requests the peer has seen.
            17 Count() -> u64;
            /// Adds a digit to the peer's journal.
            18 Write(digit: u64) -> u64;
            /// The journal: the digits in their order, the last one lowest.
            19 Read() -> u64;
            /// Answers with a body of so many bytes.
            20 Long(length: u64) -> u64;
            /// Makes a notification and keeps it, then ends the peer if told how, or answers.
            21 Make(how: u64) -> u64;
            /// Maps a Buf of its own and keeps it.
            25 Map() -> u64;
            /// Answers with the bytes of that Buf.
            26 Kept() -> u64;
            /// The scope that comes with the request.
            22 Scope() -> u64;
            /// Begins a transaction; answers its scope.
            23 Begin() -> u64;
            /// Ends it: kept for 1, aborted for 0.
            24 Finish(keep: u64) -> u64;
        }
    }
}

/// The methods of a server that counts.
pub mod counting {
    abi::interface! {
        /// Counts for each caller, told apart by badge. Nothing happens before a request is answered.
        Counting {
            /// One more than the last time.
            replayable 1 Next() -> u64;
            /// The same, after a signal to the witness, which is meant to have other things happen meanwhile.
            replayable 2 Mark() -> u64;
            /// The version that serves.
            replayable 3 GetVersion() -> u64;
            /// The same, but a request that has begun cannot be taken back.
            4 Hard() -> u64;
        }
    }
}

/// Methods that no peer serves in this form.
pub mod strange {
    abi::interface! {
        /// Labels that are free, out of range, or served with another signature.
        Strange {
            /// Served as [`super::methods::Who`], which takes two.
            1 Who(badge: u64) -> u64;
            /// A label that nobody serves.
            40 Absent() -> u64;
            /// The first label that nobody can serve.
            64 OutOfRange() -> u64;
            /// One that is served but for its highest bits.
            65 Alias() -> u64;
            /// What the kernel calls a receive that failed.
            0xffff_fffe Failure() -> u64;
            /// What the kernel calls a signal.
            0xffff_ffff Signal() -> u64;
        }
    }
}

/// How a peer ends itself; the argument of [`methods::End`] and [`methods::Make`].
pub mod ending {
    /// It panics.
    pub const PANIC: u64 = 1;
    /// It overflows its stack in its own code.
    pub const OVERFLOW: u64 = 2;
    /// It overflows its stack in functions of the kernel.
    pub const OVERFLOW_IN_KERNEL: u64 = 3;
    /// It ends with a status.
    pub const EXIT: u64 = 4;
    /// It signals the witness and runs until it is stopped.
    pub const LOOP: u64 = 5;
    /// It reads through a null pointer.
    pub const READ_NULL: u64 = 6;
    /// It writes through a wild pointer.
    pub const WRITE_WILD: u64 = 7;
    /// It writes to its own code.
    pub const WRITE_CODE: u64 = 8;
    /// It executes an instruction that does not exist.
    pub const UNDEFINED: u64 = 9;
    /// It breaks a rule of protection.
    pub const PROTECTION: u64 = 10;
    /// It calls through a null pointer.
    pub const CALL_NULL: u64 = 11;
    /// It calls its own data.
    pub const CALL_DATA: u64 = 12;
    /// It panics while it drops something.
    pub const PANIC_IN_DROP: u64 = 13;
    /// It asks for more memory than it has.
    pub const OUT_OF_MEMORY: u64 = 14;
    /// It overflows its stack in calls.
    pub const OVERFLOW_IN_CALL: u64 = 15;
}

/// What a peer does with memory that was taken away from it; the value of its role.
pub mod using {
    /// It sends a part of it as a body.
    pub const AS_BODY: u64 = 1;
    /// It calls with it as room for the reply.
    pub const AS_ROOM: u64 = 2;
    /// The same, and it is taken away while the call waits; the reply brings a body.
    pub const AS_ROOM_LATER: u64 = 3;
    /// It fills an image with it.
    pub const AS_IMAGE: u64 = 4;
}

/// Slots of a peer, beyond the fixed ones.
pub mod slots {
    /// An endpoint to call.
    pub use abi::slots::FIRST_GRANTED as TARGET;
    /// Memory for objects.
    pub const SCRATCH: u32 = TARGET + 1;
    /// A notification of the tests'.
    pub const WITNESS: u32 = TARGET + 2;
    /// A second endpoint to call.
    pub const SECOND: u32 = TARGET + 3;
}

/// Slots of the cell that runs the tests, beyond the fixed ones; the root task's module for tests has the same.
pub mod own_slots {
    use abi::slots::FIRST_GRANTED;

    /// The machine, to be halted at the end.
    pub const MACHINE: u32 = FIRST_GRANTED;
    /// Authority over priorities.
    pub const SCHEDULER: u32 = FIRST_GRANTED + 1;
    /// Memory for the objects of the tests.
    pub const MEMORY: u32 = FIRST_GRANTED + 2;
    /// Authority to make cells.
    pub const LOADER: u32 = FIRST_GRANTED + 3;
    /// Authority over scopes.
    pub const SETTLE: u32 = FIRST_GRANTED + 4;
    /// The image of this cell.
    pub const IMAGE: u32 = FIRST_GRANTED + 5;
    /// The interrupt line of a device that nobody drives.
    pub const LINE: u32 = FIRST_GRANTED + 6;
}
