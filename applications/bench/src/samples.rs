//! Samples of one operation, and what is reported of them.

use alloc::vec::Vec;

use runtime::{Console, say, time_stamp};

/// Samples of each operation; more than the thousand that the report promises.
pub const SAMPLES: usize = 1024;
/// How many samples there are for one round before the first.
const WARM_UP: usize = 16;

/// Minimum, most frequent value and maximum, and of how many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Summary {
    pub least: u64,
    pub mode: u64,
    pub most: u64,
    pub samples: usize,
}

/// What is reported of an operation.
pub type Row = (&'static str, Summary);

/// Prints a line a row, and that these are all.
pub fn report(console: &Console, rows: &[Row]) {
    for (name, Summary { least, mode, most, samples }) in rows {
        say!(console, "row {name} {least} {mode} {most} {samples}");
    }
    say!(console, "done");
}

/// Instructions between two readings of the counter around an operation.
#[inline(always)]
pub fn count<T>(operation: impl FnOnce() -> T) -> (u64, T) {
    let before = time_stamp();
    let result = operation();
    (time_stamp() - before, result)
}

/// Takes so many samples of an operation, after a sixteenth of that without looking. `None` is a round that did not go as it
/// should, and is taken again.
pub fn take(mut round: impl FnMut() -> Option<u64>, wanted: usize) -> Summary {
    let mut samples = Vec::with_capacity(wanted);
    for _ in 0..wanted / WARM_UP {
        let _ = round();
    }
    while samples.len() < wanted {
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
        samples: samples.len(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mode_is_the_most_frequent_value() {
        let found = summary(&mut [9, 3, 5, 3, 5, 4]);
        assert_eq!(found, Summary { least: 3, mode: 3, most: 9, samples: 6 });
        assert_eq!(summary(&mut [7, 8, 8]), Summary { least: 7, mode: 8, most: 8, samples: 3 });
    }

    #[test]
    fn a_round_that_failed_is_taken_again() {
        let mut rounds = 0;
        let found = take(
            || {
                rounds += 1;
                (rounds % 2 == 0).then_some(5)
            },
            SAMPLES,
        );
        assert_eq!(found, Summary { least: 5, mode: 5, most: 5, samples: SAMPLES });
        assert_eq!(rounds, SAMPLES / WARM_UP + 2 * SAMPLES);
    }
}
