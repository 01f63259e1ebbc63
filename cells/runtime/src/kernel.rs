//! The kernel's functions in typed form. Nothing outside this crate sees a raw one.

use abi::kernel::{Answer, Clock, Exchange, Letter, Message, Operation, Reception, ReplyBody, WORDS};
use abi::token::RawCap;
use abi::{CallError, KernelError};

#[cfg(target_os = "none")]
use abi::kernel as raw;

#[cfg(not(target_os = "none"))]
mod raw {
    //! On the host there is no kernel: these exist so that the crates around are type-checked and tested there.
    #![allow(clippy::missing_safety_doc, reason = "never called")]
    use super::*;

    macro_rules! absent {
        ($($name:ident($($arg:ident: $ty:ty),*) $(-> $out:ty)?;)*) => { $(
            pub unsafe fn $name($(_: $ty),*) $(-> $out)? { panic!("there is no kernel on the host") }
        )* };
    }
    absent! {
        call(a: [u64; 3], b: u64, c: u64) -> Answer;
        receive(a: *const Reception) -> Letter;
        reply_receive(a: Answer, b: u64, c: *const Reception) -> Letter;
        telos_k_exchange(a: u64, b: u64, c: u64, d: u64, e: u64, f: *mut Exchange) -> Answer;
        telos_k_reply(a: u64, b: u64, c: u64, d: u64, e: u64, f: *const ReplyBody) -> Answer;
        telos_k_fetch(a: *mut Message);
        telos_k_wait(a: u64, b: u64, c: u64) -> Answer;
        telos_k_invoke(a: u64, b: u64, c: u64, d: *mut [u64; WORDS]) -> Answer;
        telos_k_yield();
        telos_k_sleep(a: u64);
        telos_k_clock(a: u64) -> u64;
        telos_k_random() -> u64;
        telos_k_exit(a: u64) -> !;
        telos_k_panic(a: *const u8, b: usize) -> !;
    }
}

/// The outcome of an answer: its value, or its error.
#[inline(always)]
pub(crate) fn outcome(answer: Answer) -> Result<u64, CallError> {
    match CallError::from_answer(answer.status, answer.value) {
        None => Ok(answer.value),
        Some(error) => Err(error),
    }
}

#[inline(always)]
fn target(cap: RawCap, label: u32) -> u64 {
    cap.slot << 32 | u64::from(label)
}

#[inline(always)]
pub(crate) fn call(cap: RawCap, label: u32, words: [u64; 3]) -> Answer {
    // SAFETY: integers alone cross; the kernel checks the capability.
    unsafe { raw::call(words, target(cap, label), cap.generation) }
}

pub(crate) fn exchange(cap: RawCap, label: u32, words: [u64; 3], exchange: &mut Exchange) -> Answer {
    // SAFETY: the exchange's pointers come from references that outlive this blocking call (see `client`).
    unsafe { raw::telos_k_exchange(words[0], words[1], words[2], target(cap, label), cap.generation, exchange) }
}

#[inline(always)]
pub(crate) fn receive(reception: &Reception) -> Letter {
    // SAFETY: the reception outlives the call.
    unsafe { raw::receive(reception) }
}

/// Brings what came beside the words of the last request.
#[cold]
pub(crate) fn fetch(message: &mut Message) {
    // SAFETY: the message is written before this returns; every value of its fields is valid.
    unsafe { raw::telos_k_fetch(message) }
}

pub(crate) fn reply(status: u64, value: u64, second: u64, cap: RawCap, body: &ReplyBody) -> Answer {
    // SAFETY: the body's pointer comes from a slice that outlives the call.
    unsafe { raw::telos_k_reply(status, value, second, cap.slot, cap.generation, body) }
}

/// Answers with words alone.
pub(crate) fn reply_words(answer: Answer, second: u64, cap: RawCap) -> Answer {
    let Answer { status, value } = answer;
    // SAFETY: integers alone cross; there is no body.
    unsafe { raw::telos_k_reply(status, value, second, cap.slot, cap.generation, core::ptr::null()) }
}

#[inline(always)]
pub(crate) fn reply_receive(answer: Answer, second: u64, reception: &Reception) -> Letter {
    // SAFETY: the reception outlives the call.
    unsafe { raw::reply_receive(answer, second, reception) }
}

pub(crate) fn wait(cap: RawCap, timeout: u64) -> Result<u64, CallError> {
    // SAFETY: integers alone cross.
    outcome(unsafe { raw::telos_k_wait(cap.slot, cap.generation, timeout) })
}

/// Invokes an object. Words that are addresses must come from references that outlive the call: the callers are in
/// this crate.
pub(crate) fn invoke(operation: Operation, cap: RawCap, words: &mut [u64; WORDS]) -> Result<u64, KernelError> {
    // SAFETY: the words are written before this returns; addresses in them are kept by the callers' references.
    let answer = unsafe { raw::telos_k_invoke(operation as u64, cap.slot, cap.generation, words) };
    match KernelError::from_status(answer.status) {
        None => Ok(answer.value),
        Some(error) => Err(error),
    }
}

/// As [`invoke`], with the detail of an error.
pub(crate) fn invoke_in_full(operation: Operation, cap: RawCap, words: &mut [u64; WORDS]) -> Result<u64, CallError> {
    // SAFETY: as for `invoke`.
    let answer = unsafe { raw::telos_k_invoke(operation as u64, cap.slot, cap.generation, words) };
    outcome(answer)
}

/// Reads a clock, in nanoseconds.
pub fn clock(clock: Clock) -> u64 {
    // SAFETY: an integer crosses.
    unsafe { raw::telos_k_clock(clock as u64) }
}

/// 64 random bits, of the processor's generator. On a machine without one they can be guessed: the kernel's log says so at boot.
pub fn random() -> u64 {
    // SAFETY: takes nothing.
    unsafe { raw::telos_k_random() }
}

/// The time-stamp counter: in the emulator that counts, the number of executed instructions.
#[inline(always)]
pub fn time_stamp() -> u64 {
    // SAFETY: RDTSC reads a counter and nothing else; cells run in ring 0, which may always use it.
    unsafe { core::arch::x86_64::_rdtsc() }
}

/// Lets others of the same priority run.
pub fn yield_now() {
    // SAFETY: nothing crosses.
    unsafe { raw::telos_k_yield() }
}

/// Sleeps for so many nanoseconds.
pub fn sleep(nanoseconds: u64) {
    // SAFETY: an integer crosses.
    unsafe { raw::telos_k_sleep(nanoseconds) }
}

/// Ends the cell with a status.
pub fn exit(status: u64) -> ! {
    // SAFETY: an integer crosses; nothing of this cell runs afterwards.
    unsafe { raw::telos_k_exit(status) }
}

/// Ends the cell as failed, with the panic's text.
pub(crate) fn panicked(info: &core::panic::PanicInfo<'_>) -> ! {
    use core::fmt::Write;
    let mut text = Text { bytes: [0; 256], length: 0 };
    let _ = write!(text, "{}", info.message());
    if let Some(at) = info.location() {
        let _ = write!(text, " at {}:{}", at.file(), at.line());
    }
    // SAFETY: the text outlives the call, which does not return.
    unsafe { raw::telos_k_panic(text.bytes.as_ptr(), text.length) }
}

/// A line that is cut where it gets too long: a panic must not allocate.
struct Text {
    bytes: [u8; 256],
    length: usize,
}

impl core::fmt::Write for Text {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        for (slot, byte) in self.bytes.iter_mut().skip(self.length).zip(text.bytes()) {
            *slot = byte;
            self.length += 1;
        }
        Ok(())
    }
}
