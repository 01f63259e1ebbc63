//! Time: nanoseconds since boot by the time-stamp counter, and the wall clock carried by it.

use crate::{cpu, local_apic, pit, rtc};
use core::sync::atomic::{AtomicU64, Ordering};

static BASE: AtomicU64 = AtomicU64::new(0);
static FREQUENCY: AtomicU64 = AtomicU64::new(0);
/// Nanoseconds a count, times 2^32.
static SCALE: AtomicU64 = AtomicU64::new(0);
static UNIX_AT_BASE: AtomicU64 = AtomicU64::new(0);

/// A measuring interval of 10 ms.
const INTERVAL: u16 = (pit::FREQUENCY / 100) as u16;
const ROUNDS: usize = 3;

/// Measures the time-stamp counter and the local APIC's timer against the interval timer, and reads the wall clock. Takes about
/// 30 ms, once, with the local APIC installed and interrupts off.
pub fn calibrate() {
    // What disturbs a measurement only makes it longer, so the shortest is the best.
    let mut counts = u64::MAX;
    let mut ticks = u32::MAX;
    for _ in 0..ROUNDS {
        let start = pit::count(INTERVAL, || {
            local_apic::start_count();
            cpu::time_stamp()
        });
        counts = counts.min(cpu::time_stamp().wrapping_sub(start));
        ticks = ticks.min(local_apic::counted());
    }
    let per_second = |count: u64| count * pit::FREQUENCY / u64::from(INTERVAL);
    let frequency = per_second(counts).max(1);
    FREQUENCY.store(frequency, Ordering::Relaxed);
    SCALE.store((1_000_000_000 << 32) / frequency, Ordering::Relaxed);
    UNIX_AT_BASE.store(rtc::unix_seconds(), Ordering::Relaxed);
    BASE.store(cpu::time_stamp(), Ordering::Relaxed);
    local_apic::set_frequency(per_second(u64::from(ticks)));
}

/// Nanoseconds since `calibrate`; 0 before it. Never goes back on one CPU.
#[inline]
pub fn now_ns() -> u64 {
    let elapsed = cpu::time_stamp().wrapping_sub(BASE.load(Ordering::Relaxed));
    ((u128::from(elapsed) * u128::from(SCALE.load(Ordering::Relaxed))) >> 32) as u64
}

/// Seconds since 1970.
pub fn unix_seconds() -> u64 {
    UNIX_AT_BASE.load(Ordering::Relaxed) + now_ns() / 1_000_000_000
}

/// Counts of the time-stamp counter a second.
pub fn time_stamp_frequency() -> u64 {
    FREQUENCY.load(Ordering::Relaxed)
}
