//! Samples of one operation, and what is reported of them.

use alloc::vec::Vec;

/// Samples of each operation; more than the thousand that the report promises.
pub const SAMPLES: usize = 1024;
/// Rounds before the first sample.
const WARM_UP: usize = 64;

/// Minimum, most frequent value and maximum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Summary {
    pub least: u64,
    pub mode: u64,
    pub most: u64,
}

/// Takes samples of an operation. `None` is a round that did not go as it should, and is taken again.
pub fn take(mut round: impl FnMut() -> Option<u64>) -> Summary {
    let mut samples = Vec::with_capacity(SAMPLES);
    for _ in 0..WARM_UP {
        let _ = round();
    }
    while samples.len() < SAMPLES {
        samples.extend(round());
    }
    summary(&mut samples)
}

/// Sorts the samples; the lowest of several most frequent values is the mode.
fn summary(samples: &mut [u64]) -> Summary {
    samples.sort_unstable();
    let longest = samples
        .chunk_by(|left, right| left == right)
        .fold(&[][..], |best, run| if run.len() > best.len() { run } else { best });
    Summary {
        least: samples.first().copied().unwrap_or(0),
        mode: longest.first().copied().unwrap_or(0),
        most: samples.last().copied().unwrap_or(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mode_is_the_most_frequent_value() {
        let found = summary(&mut [9, 3, 5, 3, 5, 4]);
        assert_eq!(found, Summary { least: 3, mode: 3, most: 9 });
        assert_eq!(summary(&mut [7, 8, 8]), Summary { least: 7, mode: 8, most: 8 });
    }

    #[test]
    fn a_round_that_failed_is_taken_again() {
        let mut rounds = 0;
        let found = take(|| {
            rounds += 1;
            (rounds % 2 == 0).then_some(5)
        });
        assert_eq!(found, Summary { least: 5, mode: 5, most: 5 });
        assert_eq!(rounds, WARM_UP + 2 * SAMPLES);
    }
}
