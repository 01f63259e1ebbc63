//! `crash-test`: power cuts by the million.
//!
//! [`enumeration`] cuts the power of random workloads of the store, on a device that the host records, on every core.
//!
//! The seed is printed first; with it, whatever was found can be found again.

mod enumeration;
pub mod kills;
pub mod load;
pub mod machine;

use std::time::{SystemTime, UNIX_EPOCH};

use crate::fail;
use crate::failure::{Context, Result};

/// The states that are opened unless the command line says otherwise.
const STATES: u64 = 2_000_000;

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Where random numbers begin; `None`: anywhere.
    pub seed: Option<u64>,
    /// How many distinct states are opened at least.
    pub states: u64,
}

impl Options {
    /// Reads the command line behind the command.
    ///
    /// # Errors
    /// An option is not known, or has no number.
    pub fn read(words: &[&str]) -> Result<Options> {
        let mut options = Options { seed: None, states: STATES };
        let mut words = words.iter();
        while let Some(option) = words.next() {
            let number = || match words.clone().next() {
                Some(text) => text.parse::<u64>().context(format_args!("{option} {text}: a number is wanted")),
                None => fail!("{option} wants a number"),
            };
            match *option {
                "--seed" => options.seed = Some(number()?),
                "--states" => options.states = number()?,
                other => fail!("`crash-test` does not know {other:?}; it knows --seed NUMBER and --states NUMBER"),
            }
            words.next();
        }
        Ok(options)
    }
}

/// Runs it.
///
/// # Errors
/// Something was not as it must be after a cut: what, and how to see it again.
pub fn run(options: Options) -> Result<()> {
    let seed = options.seed.unwrap_or_else(any_seed);
    println!("crash-test: seed {seed}, at least {} states", options.states);
    enumeration::run(seed, options.states)
}

/// A seed that differs from run to run, and leaves room for the workloads behind it.
fn any_seed() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |since| since.as_secs());
    since % 1_000_000_000 * 1_000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read_in_any_order_and_mistakes_are_told() {
        let read = |line: &str| Options::read(&line.split_whitespace().collect::<Vec<_>>());
        assert_eq!(read("").expect("read"), Options { seed: None, states: STATES });
        assert_eq!(read("--states 5 --seed 7").expect("read"), Options { seed: Some(7), states: 5 });
        for (line, says) in [
            ("--seed", "wants a number"),
            ("--seed x", "a number is wanted"),
            ("--states -1", "a number is wanted"),
            ("--sates 1", "does not know"),
        ] {
            let said = read(line).expect_err(line).0;
            assert!(said.contains(says), "{line}: {said}");
        }
    }
}
