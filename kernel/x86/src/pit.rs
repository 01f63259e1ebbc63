//! The interval timer: 1.193182 MHz everywhere, hence what other clocks are measured against.

use crate::ports;

const CHANNEL_2: u16 = 0x42;
const COMMAND: u16 = 0x43;
const CONTROL: u16 = 0x61;
const GATE: u8 = 1;
const SPEAKER: u8 = 2;
const OUTPUT: u8 = 1 << 5;

/// Its frequency in Hz.
pub const FREQUENCY: u64 = 1_193_182;

/// Counts `ticks` down once, calling `started` when the count begins, and returns after it has ended.
pub fn count<T>(ticks: u16, started: impl FnOnce() -> T) -> T {
    let [low, high] = ticks.to_le_bytes();
    // SAFETY: port 0x61 holds the timer's gate and the speaker; reading it has no effect.
    let control = unsafe { ports::read::<u8>(CONTROL) };
    // Gate open, speaker silent; channel 2, low then high byte, mode 0; counting starts with the high byte.
    for (port, value) in [(CONTROL, control & !SPEAKER | GATE), (COMMAND, 0xb0), (CHANNEL_2, low), (CHANNEL_2, high)] {
        // SAFETY: channel 2 only drives the speaker and this module is its only user; no memory is involved.
        unsafe { ports::write::<u8>(port, value) };
    }
    let result = started();
    loop {
        // SAFETY: as above.
        let control = unsafe { ports::read::<u8>(CONTROL) };
        if control & OUTPUT != 0 {
            return result;
        }
        core::hint::spin_loop();
    }
}
