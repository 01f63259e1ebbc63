//! Points in the order of commits, as people write them: a TID, a date, or how long ago. A TID counts microseconds since 1970.

use std::time::{SystemTime, UNIX_EPOCH};

use object_store::Tid;

use crate::failure::Failure;

const MICROSECONDS: u64 = 1_000_000;
const DAY: u64 = 86_400;

/// The transaction, or the moment, that a text names: all digits are a TID; `2026-01-02`, `2026-01-02 03:04`,
/// `2026-01-02T03:04:05` are moments in UTC; `90s`, `15m`, `2h`, `3d` are so long ago.
///
/// # Errors
/// It is none of these.
pub(crate) fn parse(text: &str) -> Result<Tid, Failure> {
    let wrong = || {
        Failure::usage(format!(
            "`{text}` is no TID and no time; write digits, `2026-01-02`, `2026-01-02T03:04:05` (UTC), or `90s`, `15m`, \
             `2h`, `3d` ago"
        ))
    };
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return text.parse().map(Tid::new).map_err(|_| wrong());
    }
    ago(text).or_else(|| moment(text)).ok_or_else(wrong)
}

fn ago(text: &str) -> Option<Tid> {
    let unit = match text.chars().last()? {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => DAY,
        _ => return None,
    };
    let count: u64 = text.get(..text.len() - 1)?.parse().ok()?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?.as_secs();
    let moment = now.saturating_sub(count.checked_mul(unit)?);
    Some(Tid::new(moment.checked_mul(MICROSECONDS)?))
}

fn moment(text: &str) -> Option<Tid> {
    let (date, time) = text.split_once(['T', ' ']).unwrap_or((text, "00:00:00"));
    let [year, month, day] = numbers(date, '-')?.try_into().ok()?;
    let mut time = numbers(time.trim_end_matches('Z'), ':')?;
    if time.len() == 2 {
        time.push(0);
    }
    let [hours, minutes, seconds] = time.try_into().ok()?;
    let sane = (1970..10_000).contains(&year) && (1..=12).contains(&month) && (1..=31).contains(&day);
    if !sane || hours > 23 || minutes > 59 || seconds > 59 {
        return None;
    }
    let days = days(year, month, day)?;
    let seconds = days * DAY + hours * 3600 + minutes * 60 + seconds;
    seconds.checked_mul(MICROSECONDS).map(Tid::new)
}

fn numbers(text: &str, between: char) -> Option<Vec<u64>> {
    text.split(between)
        .map(|part| part.parse().ok().filter(|_| part.bytes().all(|byte| byte.is_ascii_digit())))
        .collect()
}

/// Days since 1970 of a date of the Gregorian calendar; `None` for one that the month does not have. Years begin in March,
/// so that the leap day is their last (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms").
fn days(year: u64, month: u64, day: u64) -> Option<u64> {
    let shifted_year = if month > 2 { year } else { year - 1 };
    let (era, year_of_era) = (shifted_year / 400, shifted_year % 400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    let days = (era * 146_097 + day_of_era).checked_sub(719_468)?;
    (civil(days) == (year, month, day)).then_some(days)
}

/// Year, month and day of a number of days since 1970; the same calendar the other way.
pub(crate) fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (year_of_era + era * 400 + u64::from(month <= 2), month, day_of_year - (153 * shifted + 2) / 5 + 1)
}

/// The moment of a commit, `2026-01-02 03:04:05`, in UTC.
pub(crate) fn date(tid: Tid) -> String {
    let seconds = tid.number() / MICROSECONDS;
    let (year, month, day) = civil(seconds / DAY);
    let second = seconds % DAY;
    format!("{year:04}-{month:02}-{day:02} {:02}:{:02}:{:02}", second / 3600, second / 60 % 60, second % 60)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_people_write() {
        assert_eq!(parse("1795493629365622").expect("a TID").number(), 1_795_493_629_365_622);
        assert_eq!(parse("1970-01-02").expect("a date").number(), DAY * MICROSECONDS);
        assert_eq!(date(parse("2024-02-29T23:59:58").expect("a leap day")), "2024-02-29 23:59:58");
        assert_eq!(date(parse("2026-11-24 04:13").expect("minutes")), "2026-11-24 04:13:00");
        assert!(parse("2h").expect("ago") < parse("1h").expect("ago"));
        for wrong in
            ["", "h", "-1h", "2026", "x", "2023-02-29", "2026-13-01", "2026-01-01T24:00", "99999999999999999999"]
        {
            let expected = if wrong == "2026" { None } else { Some(crate::Status::Usage) };
            assert_eq!(parse(wrong).err().map(|failure| failure.status), expected, "{wrong}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn a_date_that_is_shown_is_read_back(seconds in 0..200_000_000_000u64) {
            let tid = Tid::new(seconds * MICROSECONDS);
            let shown = date(tid);
            if seconds / DAY < 2_900_000 {
                prop_assert_eq!(parse(&shown).expect("shown"), tid);
            }
        }

        #[test]
        fn no_text_is_too_much(text in "\\PC{0,30}") {
            let _ = parse(&text);
        }
    }
}
