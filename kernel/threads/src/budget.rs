//! Budgets: how much of a period a thread may run at its own priority.
//!
//! A thread that has used its allowance up gives the processor to everybody else until its period ends: it keeps no more
//! than what callers lend it. A period begins with the first tick that the thread runs for after the one before has ended
//! (a deferrable server, in the terms of the field), so the time of a thread that rests is not saved up beyond one allowance.

/// The priority of a thread that has used its budget up.
pub const EXHAUSTED: u8 = 0;

/// What a thread may use, and has used. Zeroed memory is without a limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Budget {
    /// Ticks of the timer that it may run for in each period; 0: as many as it likes.
    allowance: u32,
    /// Length of a period, in ticks.
    period: u32,
    left: u32,
    ends: u64,
}

impl Budget {
    /// No limit.
    pub const UNLIMITED: Budget = Budget { allowance: 0, period: 0, left: 0, ends: 0 };

    /// `allowance` of any `period` ticks, 0 for no limit; `None` where there is more in a period than it is long.
    pub fn new(allowance: u32, period: u32) -> Option<Budget> {
        (allowance <= period).then_some(Budget { allowance, period, left: 0, ends: 0 })
    }

    /// Ticks that it may run for in each period; 0 without a limit.
    pub fn allowance(&self) -> u32 {
        self.allowance
    }

    /// Length of a period, in ticks.
    pub fn period(&self) -> u32 {
        self.period
    }

    /// It ran for the tick `now`. Answers the tick at which it may go on, where this was the last of its allowance.
    pub fn charge(&mut self, now: u64) -> Option<u64> {
        if self.allowance == 0 {
            return None;
        }
        if now >= self.ends {
            self.left = self.allowance;
            self.ends = now + u64::from(self.period);
        }
        self.left = self.left.saturating_sub(1);
        (self.left == 0 && self.allowance < self.period).then_some(self.ends)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_limit_is_never_used_up() {
        let mut budget = Budget::UNLIMITED;
        assert!((0..1000).all(|tick| budget.charge(tick).is_none()));
        assert!((0..1000).all(|tick| Budget::new(7, 7).unwrap().charge(tick).is_none()));
    }

    #[test]
    fn more_than_a_period_is_no_budget() {
        assert_eq!(Budget::new(8, 7), None);
    }

    /// A thread that never rests, but for when it must: in each period it runs for its allowance and no longer.
    #[test]
    fn a_busy_thread_gets_its_allowance_of_each_period() {
        for (allowance, period) in [(1, 2), (3, 10), (80, 100), (99, 100)] {
            let mut budget = Budget::new(allowance, period).unwrap();
            let (mut tick, mut ran) = (5, 0u64);
            while tick < 5 + 20 * u64::from(period) {
                ran += 1;
                tick = budget.charge(tick).unwrap_or(tick + 1);
            }
            assert_eq!(ran, 20 * u64::from(allowance), "{allowance} of {period}");
        }
    }

    #[test]
    fn rest_is_saved_up_to_one_allowance() {
        let mut budget = Budget::new(2, 10).unwrap();
        assert_eq!(budget.charge(0), None);
        assert_eq!(budget.charge(500), None);
        assert_eq!(budget.charge(501), Some(510));
        // Even where it ran on, since nobody else wanted to.
        assert_eq!(budget.charge(502), Some(510));
        assert_eq!(budget.charge(510), None);
    }
}
