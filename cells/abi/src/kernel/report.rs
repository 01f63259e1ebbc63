//! What the kernel says of an instance that failed.

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
