//! Numbers, times and foreign text as lines.

use core::fmt::{self, Write};

use runtime::abi::interfaces::persistence::FIRST_OID;

/// Text from elsewhere: what would control the terminal is shown as a replacement character.
#[derive(Clone, Copy, Debug)]
pub struct Plain<'a>(pub &'a str);

impl fmt::Display for Plain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|character| {
            f.write_char(match character.is_control() {
                true => char::REPLACEMENT_CHARACTER,
                false => character,
            })
        })
    }
}

/// An OID, as it is typed too.
#[derive(Clone, Copy, Debug)]
pub struct Oid(pub u64);

impl fmt::Display for Oid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&object_model::Oid::new(self.0), f)
    }
}

/// A badge: the OID of a process, or the small number of a service.
#[derive(Clone, Copy, Debug)]
pub struct Badge(pub u64);

impl fmt::Display for Badge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            FIRST_OID.. => Oid(self.0).fmt(f),
            service => service.fmt(f),
        }
    }
}

/// A number of bytes, in the largest binary unit that leaves no rest.
#[derive(Clone, Copy, Debug)]
pub struct Bytes(pub u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = [(1u64 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")]
            .into_iter()
            .find(|(unit, _)| self.0 > 0 && self.0.is_multiple_of(*unit));
        match unit {
            Some((unit, name)) => write!(f, "{} {name}", self.0 / unit),
            None => write!(f, "{} B", self.0),
        }
    }
}

/// A number of bytes to one decimal: `12.3 MiB`.
#[derive(Clone, Copy, Debug)]
pub struct Size(pub u64);

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit =
            [(1u64 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")].into_iter().find(|(unit, _)| self.0 >= *unit);
        match unit {
            Some((unit, name)) => write!(f, "{}.{} {name}", self.0 / unit, self.0 % unit * 10 / unit),
            None => write!(f, "{} B", self.0),
        }
    }
}

/// A length of time in nanoseconds, as `1 d 02:03:04`.
#[derive(Clone, Copy, Debug)]
pub struct Duration(pub u64);

impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0 / NANOSECONDS;
        let days = seconds / DAY;
        if days > 0 {
            write!(f, "{days} d ")?;
        }
        write!(f, "{}", TimeOfDay(seconds % DAY))
    }
}

/// A length of time in milliseconds, as seconds: `12.034`.
#[derive(Clone, Copy, Debug)]
pub struct Milliseconds(pub u64);

impl fmt::Display for Milliseconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:03}", self.0 / 1000, self.0 % 1000)
    }
}

/// A point in time in nanoseconds since 1970, as `2026-01-02 03:04:05`, in UTC.
#[derive(Clone, Copy, Debug)]
pub struct Date(pub u64);

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0 / NANOSECONDS;
        let (year, month, day) = civil(seconds / DAY);
        let time = TimeOfDay(seconds % DAY);
        write!(f, "{year:04}-{month:02}-{day:02} {time}")
    }
}

const NANOSECONDS: u64 = 1_000_000_000;
const DAY: u64 = 86_400;

struct TimeOfDay(u64);

impl fmt::Display for TimeOfDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let TimeOfDay(seconds) = self;
        let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
        write!(f, "{hours:02}:{minutes:02}:{:02}", seconds % 60)
    }
}

/// Year, month and day of a number of days since 1970, by the Gregorian calendar. Years begin in March, so that the
/// leap day is their last (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", `civil_from_days`).
fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let era = days / 146_097;
    let day_of_era = days % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    (year, month, day)
}

/// Microseconds since 1970 of a time that is written `2026-01-02T03:04` or `2026-01-02T03:04:05`, in UTC; `None` where it is none.
pub fn microseconds(text: &str) -> Option<u64> {
    let (date, time) = text.split_once('T')?;
    let [year, month, day] = fields(date, '-', [4, 2, 2])?;
    let [hours, minutes, seconds] = match fields(time, ':', [2, 2, 2]) {
        Some(whole) => whole,
        None => {
            let [hours, minutes] = fields(time, ':', [2, 2])?;
            [hours, minutes, 0]
        }
    };
    if year < 1970 || hours > 23 || minutes > 59 || seconds > 59 {
        return None;
    }
    let days = days(year, month, day);
    // What no calendar has comes out as another day.
    let is_day = (1..=12).contains(&month) && civil(days) == (year, month, day);
    is_day.then_some((days * DAY + hours * 3600 + minutes * 60 + seconds) * 1_000_000)
}

/// Numbers of just so many digits, parted by a character.
fn fields<const N: usize>(text: &str, between: char, digits: [usize; N]) -> Option<[u64; N]> {
    let mut numbers = [0; N];
    let mut parts = text.split(between);
    for (number, digits) in numbers.iter_mut().zip(digits) {
        let part =
            parts.next().filter(|part| part.len() == digits && part.bytes().all(|digit| digit.is_ascii_digit()))?;
        *number = part.parse().ok()?;
    }
    parts.next().is_none().then_some(numbers)
}

/// Days from 1970 to a day of the Gregorian calendar (Howard Hinnant, as above, `days_from_civil`).
fn days(year: u64, month: u64, day: u64) -> u64 {
    let year = year - u64::from(month <= 2);
    let era = year / 400;
    let year_of_era = year % 400;
    let shifted = (month + 9) % 12;
    let day_of_year = (153 * shifted + 2) / 5 + day.saturating_sub(1);
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    (era * 146_097 + day_of_era).saturating_sub(719_468)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn durations() {
        assert_eq!(Duration(0).to_string(), "00:00:00");
        assert_eq!(Duration((2 * 86_400 + 3 * 3600 + 4 * 60 + 5) * NANOSECONDS + 6).to_string(), "2 d 03:04:05");
        assert!(!Duration(u64::MAX).to_string().is_empty());
    }

    #[test]
    fn bytes_have_the_largest_unit_that_fits() {
        for (bytes, text) in
            [(0, "0 B"), (1023, "1023 B"), (65_536, "64 KiB"), (3 << 20, "3 MiB"), (1 << 40, "1024 GiB")]
        {
            assert_eq!(Bytes(bytes).to_string(), text);
        }
    }

    #[test]
    fn sizes_have_one_decimal() {
        for (bytes, text) in
            [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), ((1 << 20) - 1, "1023.9 KiB"), (256 << 20, "256.0 MiB")]
        {
            assert_eq!(Size(bytes).to_string(), text);
        }
        assert_eq!(Size(u64::MAX).to_string(), "17179869183.9 GiB");
    }

    #[test]
    fn what_no_calendar_has_is_no_time() {
        for text in [
            "2026-02-29T00:00",
            "2026-13-01T00:00",
            "2026-00-01T00:00",
            "2026-01-00T00:00",
            "2026-01-01T24:00",
            "2026-01-01T00:60",
            "2026-01-01T00:00:60",
            "1969-12-31T00:00",
            "2026-1-01T00:00",
            "2026-01-01",
            "2026-01-01T",
            "2026-01-01T00",
            "2026-01-01T00:00:00:00",
            "+026-01-01T00:00",
        ] {
            assert_eq!(microseconds(text), None, "{text}");
        }
        assert_eq!(microseconds("1970-01-01T00:00"), Some(0));
        assert_eq!(microseconds("2028-02-29T23:59:59"), Some(1_835_481_599_000_000));
    }

    proptest! {
        #[test]
        fn a_time_that_is_shown_is_read_back(seconds in 0u64..18_446_744_073) {
            let shown = Date(seconds * NANOSECONDS).to_string().replace(' ', "T");
            prop_assert_eq!(microseconds(&shown), Some(seconds * 1_000_000));
        }
    }

    #[test]
    fn dates() {
        assert_eq!(Date(0).to_string(), "1970-01-01 00:00:00");
        // `date -u -d @951827696` and so on.
        assert_eq!(Date(951_827_696 * NANOSECONDS).to_string(), "2000-02-29 12:34:56");
        assert_eq!(Date(4_107_542_399 * NANOSECONDS).to_string(), "2100-02-28 23:59:59");
        assert_eq!(Date(4_107_542_400 * NANOSECONDS).to_string(), "2100-03-01 00:00:00");
        assert!(!Date(u64::MAX).to_string().is_empty());
    }

    #[test]
    fn foreign_text_does_not_control_the_terminal() {
        assert_eq!(Plain("añ\n\x1b[2J").to_string(), "añ\u{fffd}\u{fffd}[2J");
    }

    #[test]
    fn oids_are_written_as_the_log_writes_them() {
        assert_eq!(Oid(10).to_string(), "#000000000000000a");
        assert_eq!(Badge(u64::MAX).to_string(), "#ffffffffffffffff");
        assert_eq!(Badge(2).to_string(), "2");
    }
}
