//! When an instance that failed begins again: at once the first time, later and later where it does not live, and at last
//! never.
//!
//! An instance that lived for [`WORKED`] counts as one that works: what it fails of then is an event, not a property. So a
//! server that fails once a second begins again at once every time, and one that fails at its start is given up after
//! [`LIMIT`] attempts, in about seven seconds.

/// Nanoseconds after which an instance is taken to work.
pub const WORKED: u64 = 500_000_000;
/// Attempts in a row that do not live so long, at most.
pub const LIMIT: u32 = 6;
/// Nanoseconds before the second attempt; each further one waits four times as long.
const FIRST_DELAY: u64 = 5_000_000;

/// The failures of one service or process in a row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Failures {
    started: u64,
    count: u32,
}

/// What to do about a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Begin again at this time.
    At(u64),
    /// Beginning again is no help.
    GiveUp,
}

impl Failures {
    /// An instance was started, at this time.
    pub fn started(&mut self, now: u64) {
        self.started = now;
    }

    /// It failed.
    pub fn failed(&mut self, now: u64) -> Verdict {
        if now.saturating_sub(self.started) >= WORKED {
            self.count = 0;
        }
        self.count += 1;
        match self.count {
            1 => Verdict::At(now),
            count if count <= LIMIT => Verdict::At(now.saturating_add(FIRST_DELAY << (2 * (count - 2)))),
            _ => Verdict::GiveUp,
        }
    }

    /// How many times in a row.
    pub fn count(&self) -> u32 {
        self.count
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_fails_at_its_start_waits_longer_each_time_and_is_given_up() {
        let (mut failures, mut now, mut delays) = (Failures::default(), 1, Vec::new());
        loop {
            failures.started(now);
            match failures.failed(now) {
                Verdict::At(then) => delays.push((then - now) / 1_000_000),
                Verdict::GiveUp => break,
            }
            now += delays.last().copied().unwrap_or(0) * 1_000_000;
        }
        assert_eq!(delays, [0, 5, 20, 80, 320, 1280]);
        assert_eq!(failures.count(), LIMIT + 1);
    }

    proptest! {
        #[test]
        fn what_works_for_a_while_begins_again_at_once(lives in prop::collection::vec(WORKED..100 * WORKED, 1..50)) {
            let (mut failures, mut now) = (Failures::default(), 0);
            for life in lives {
                failures.started(now);
                now += life;
                prop_assert_eq!(failures.failed(now), Verdict::At(now));
            }
        }

        #[test]
        fn nobody_fails_fast_for_ever(lives in prop::collection::vec(0..WORKED, 20)) {
            let (mut failures, mut now, mut attempts) = (Failures::default(), 0, 0);
            for life in lives {
                failures.started(now);
                now += life;
                match failures.failed(now) {
                    Verdict::At(then) => {
                        prop_assert!(then >= now);
                        now = then;
                    }
                    Verdict::GiveUp => break,
                }
                attempts += 1;
            }
            prop_assert_eq!(attempts, LIMIT);
        }
    }
}
