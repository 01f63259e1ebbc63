//! Random bits: from the processor's generator where it has one, otherwise from the unsteadiness of its clock.
//!
//! RDSEED and RDRAND are described in the Intel Software Developer's Manual, volume 1, section 7.3.17. Where both are missing
//! or fail, what remains is how long memory accesses take, counted by the time-stamp counter: an observer of the machine, or
//! an emulator that counts instructions, can know that, so whoever reads it must not take it for a secret ([`Source::Jitter`]).
//! Either way the counter is mixed in, so that two boots never draw the same numbers from a generator that repeats itself.

use core::arch::x86_64::{_rdrand64_step, _rdseed64_step};
use core::sync::atomic::{AtomicU64, Ordering};

use crate::cpu::{cpuid, time_stamp};

/// Where random bits come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// RDSEED: the processor's source of noise.
    Seed,
    /// RDRAND: the processor's generator, which is seeded from that.
    Generator,
    /// The time-stamp counter alone. It can be guessed.
    Jitter,
}

/// How often an instruction is asked again that has nothing at the moment: ten times, by the manual, for RDRAND; the noise
/// behind RDSEED is slower.
const ATTEMPTS: u32 = 100;
/// Measurements for one word without a generator. Each gives a bit at least where the machine is real.
const MEASUREMENTS: u32 = 256;

/// What was mixed so far.
static MIXED: AtomicU64 = AtomicU64::new(0);

/// The best source that this processor has.
pub fn source() -> Source {
    if cpuid(7, 0).ebx & (1 << 18) != 0 {
        Source::Seed
    } else if cpuid(1, 0).ecx & (1 << 30) != 0 {
        Source::Generator
    } else {
        Source::Jitter
    }
}

/// 64 random bits.
pub fn bits() -> u64 {
    let found = match source() {
        Source::Seed => seed().or_else(generated),
        Source::Generator => generated(),
        Source::Jitter => None,
    };
    let measurements = if found.is_some() { 1 } else { MEASUREMENTS };
    let mut mixed = MIXED.load(Ordering::Relaxed);
    for _ in 0..measurements {
        mixed = scatter(mixed.rotate_left(7) ^ unsteady());
    }
    MIXED.store(mixed, Ordering::Relaxed);
    scatter(mixed ^ 1) ^ found.unwrap_or(0)
}

fn seed() -> Option<u64> {
    let mut word = 0;
    // SAFETY: RDSEED is asked only where CPUID says that it is there, and writes the word that it is given.
    (0..ATTEMPTS).find(|_| unsafe { _rdseed64_step(&mut word) } == 1).map(|_| word)
}

fn generated() -> Option<u64> {
    if cpuid(1, 0).ecx & (1 << 30) == 0 {
        return None;
    }
    let mut word = 0;
    // SAFETY: as above, of RDRAND.
    (0..ATTEMPTS).find(|_| unsafe { _rdrand64_step(&mut word) } == 1).map(|_| word)
}

/// The counter, after an access to memory that other parts of the machine contend for.
fn unsteady() -> u64 {
    let before = time_stamp();
    MIXED.fetch_xor(before, Ordering::SeqCst);
    time_stamp().wrapping_sub(before) << 32 ^ before
}

/// Makes each bit of the result depend on each bit of a word (the finalizer of splitmix64: Steele, Lea and Flood, "Fast Splittable
/// Pseudorandom Number Generators", 2014).
fn scatter(word: u64) -> u64 {
    let word = word.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let word = (word ^ word >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let word = (word ^ word >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ word >> 31
}
