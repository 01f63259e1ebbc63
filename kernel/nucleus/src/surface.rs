//! The kernel's surface: the functions that cells import, each a few lines around what `objects` does.
//!
//! They run on the caller's stack. The gates are in `objects::ipc::gate`. Each of the others turns interrupts off, makes sure that enough stack is left for whatever the
//! kernel does in it (an overflow half-way could not be contained), does its work, and turns interrupts on again.

use abi::kernel::{Answer, Clock, Exchange, Message, ReplyBody, WORDS};
use objects::ipc::gate::{telos_k_call, telos_k_receive, telos_k_reply_receive};
use objects::{fault, instance, invoke, ipc, scheduler};
use x86::{clock, cpu, random};

#[inline(always)]
fn enter() {
    cpu::disable_interrupts();
    if cpu::stack_pointer() < scheduler::stack_limit() {
        fault::stack_exhausted();
    }
}

#[inline(always)]
fn leave() {
    cpu::enable_interrupts();
}

macro_rules! surface {
    (gates $($gate:ident)*; $($(#[$doc:meta])* fn $name:ident($($arg:ident: $ty:ty),*) $(-> $out:ty)? $body:block)*) => {
        $(
            $(#[$doc])*
            #[unsafe(no_mangle)]
            extern "C" fn $name($($arg: $ty),*) $(-> $out)? $body
        )*

        const NAMES: &[&str] = &[$(stringify!($gate),)* $(stringify!($name)),*];

        fn resolve(name: &str) -> Option<u64> {
            match name {
                $(stringify!($gate) => Some($gate as *const () as u64),)*
                $(stringify!($name) => Some($name as *const () as u64),)*
                _ => None,
            }
        }
    };
}

surface! {
    gates telos_k_call telos_k_receive telos_k_reply_receive;

    fn telos_k_exchange(
        first: u64,
        second: u64,
        third: u64,
        target: u64,
        generation: u64,
        exchange: *mut Exchange
    ) -> Answer {
        enter();
        // SAFETY: the runtime's wrapper passes references that outlive the call.
        let answer = unsafe { ipc::exchange([first, second, third], target, generation, exchange) };
        leave();
        answer
    }

    fn telos_k_reply(
        status: u64,
        value: u64,
        second: u64,
        slot: u64,
        generation: u64,
        body: *const ReplyBody
    ) -> Answer {
        enter();
        let raw = abi::token::RawCap { slot, generation };
        // SAFETY: as above.
        let answer = unsafe { ipc::reply(Answer { status, value }, second, raw, body) };
        leave();
        answer
    }

    fn telos_k_fetch(message: *mut Message) {
        enter();
        // SAFETY: the runtime's wrapper passes a reference that outlives the call.
        unsafe { ipc::fetch(message) };
        leave();
    }

    fn telos_k_wait(slot: u64, generation: u64, timeout: u64) -> Answer {
        enter();
        let answer = invoke::wait(slot, generation, timeout);
        leave();
        answer
    }

    fn telos_k_invoke(operation: u64, slot: u64, generation: u64, words: *mut [u64; WORDS]) -> Answer {
        enter();
        // SAFETY: the runtime's wrapper passes an array of its own.
        let words = unsafe { &mut *words };
        // SAFETY: addresses among the words come from references of the wrapper's caller.
        let answer = unsafe { invoke::invoke(operation, slot, generation, words) };
        leave();
        answer
    }

    fn telos_k_yield() {
        enter();
        scheduler::yield_now();
        leave();
    }

    fn telos_k_sleep(nanoseconds: u64) {
        enter();
        scheduler::sleep(nanoseconds);
        leave();
    }

    fn telos_k_clock(which: u64) -> u64 {
        const WALL: u64 = Clock::Wall as u64;
        match which {
            WALL => clock::unix_seconds().saturating_mul(1_000_000_000).saturating_add(clock::now_ns()),
            _ => clock::now_ns(),
        }
    }

    fn telos_k_random() -> u64 {
        random::bits()
    }

    fn telos_k_exit(status: u64) -> ! {
        enter();
        fault::exit(status)
    }

    fn telos_k_panic(text: *const u8, length: usize) -> ! {
        enter();
        // SAFETY: the runtime passes text of its own.
        let text = unsafe { core::slice::from_raw_parts(text, length) };
        fault::panicked(core::str::from_utf8(text).unwrap_or("a text that is no text"))
    }
}

/// How cells are linked against these functions.
pub fn linkage() -> instance::Linkage {
    instance::Linkage { key: PUBLIC_KEY, kernel_abi: KERNEL_ABI, names: NAMES, resolve }
}

/// The builder's public key, compiled in.
const PUBLIC_KEY: [u8; 32] = key(option_env!("TELOS_PUBLIC_KEY"));

/// The hash of the import declarations, compiled in.
const KERNEL_ABI: u64 = hash(option_env!("TELOS_KERNEL_ABI"));

const fn digit(byte: u8) -> u8 {
    match byte {
        b'0'..=b'9' => byte - b'0',
        b'a'..=b'f' => byte - b'a' + 10,
        _ => panic!("the builder passes lower-case hexadecimal digits"),
    }
}

/// Without a key the kernel trusts nobody: the all-zero key is no valid one.
const fn key(hex: Option<&str>) -> [u8; 32] {
    let mut key = [0; 32];
    let Some(hex) = hex else { return key };
    let bytes = hex.as_bytes();
    assert!(bytes.len() == 64, "the builder passes a key of 32 bytes");
    let mut index = 0;
    while index < 32 {
        key[index] = digit(bytes[2 * index]) << 4 | digit(bytes[2 * index + 1]);
        index += 1;
    }
    key
}

const fn hash(hex: Option<&str>) -> u64 {
    let Some(hex) = hex else { return 0 };
    let bytes = hex.as_bytes();
    let mut value = 0;
    let mut index = 0;
    while index < bytes.len() {
        value = value << 4 | digit(bytes[index]) as u64;
        index += 1;
    }
    value
}
