//! The real-time clock, read once at boot.

use crate::ports;

const ADDRESS: u16 = 0x70;
const DATA: u16 = 0x71;
const UPDATING: u8 = 1 << 7;
const STATUS_A: u8 = 0x0a;
const STATUS_B: u8 = 0x0b;
const BINARY: u8 = 1 << 2;
const HOURS_24: u8 = 1 << 1;
const AFTERNOON: u8 = 1 << 7;

/// Seconds since 1970, in UTC as far as the clock was set to it.
pub fn unix_seconds() -> u64 {
    let mut last = read();
    // Two equal readings in a row were not torn by an update. The clock changes once a second, so few tries do.
    for _ in 0..8 {
        let next = read();
        if next == last {
            break;
        }
        last = next;
    }
    let status = register(STATUS_B);
    let decode = |value: u8| {
        if status & BINARY != 0 { value } else { (value & 0xf) + (value >> 4) * 10 }
    };
    let [second, minute, hour, day, month, year] = last;
    let afternoon = status & HOURS_24 == 0 && hour & AFTERNOON != 0;
    let mut hour = decode(hour & !AFTERNOON);
    if status & HOURS_24 == 0 {
        hour = hour % 12 + if afternoon { 12 } else { 0 };
    }
    let days = days_since_1970(2000 + u64::from(decode(year)), u64::from(decode(month)), u64::from(decode(day)));
    days * 86_400 + u64::from(hour) * 3_600 + u64::from(decode(minute)) * 60 + u64::from(decode(second))
}

fn read() -> [u8; 6] {
    for _ in 0..1_000_000 {
        if register(STATUS_A) & UPDATING == 0 {
            break;
        }
    }
    [0x00, 0x02, 0x04, 0x07, 0x08, 0x09].map(register)
}

fn register(index: u8) -> u8 {
    // SAFETY: selects a register of the clock; only this module uses the pair of ports. Bit 7 clear leaves NMI enabled.
    unsafe { ports::write::<u8>(ADDRESS, index) };
    // SAFETY: reads the selected register; none of those used here has an effect on reading.
    unsafe { ports::read::<u8>(DATA) }
}

/// Days from 1970-01-01 to a date of the Gregorian calendar, counting years from March so that the leap day comes last.
fn days_since_1970(year: u64, month: u64, day: u64) -> u64 {
    let year = if month <= 2 { year - 1 } else { year };
    let from_march = (month + 9) % 12;
    let in_year = (153 * from_march + 2) / 5 + day.saturating_sub(1);
    year * 365 + year / 4 - year / 100 + year / 400 + in_year - 719_468
}
