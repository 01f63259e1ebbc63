//! `crash-test`: power cuts by the million.
//!
//! * [`enumeration`] cuts the power of random workloads of the store, on a device that the host records, on every core;
//! * [`machine`] records the disk of a machine under [`load`], and cuts the power of that;
//! * [`kills`] ends machines under load, and boots them again.
//!
//! The seed is printed first; with it, whatever was found can be found again.

mod enumeration;
pub mod kills;
pub mod load;
pub mod machine;

use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

use crash_replay::Bounds;

use crate::cli::build;
use crate::disk_filter::Flushes;
use crate::fail;
use crate::failure::{Context, Result};
use crate::project::Project;

/// The states that are opened unless the command line says otherwise.
const STATES: u64 = 2_000_000;
/// The commits of the machine's load unless the command line says otherwise.
const COMMITS: usize = 300;

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Where random numbers begin; `None`: anywhere.
    pub seed: Option<u64>,
    /// How many distinct states are opened at least.
    pub states: u64,
    /// Commits of the machine whose disk is recorded; with none there is no machine.
    pub commits: usize,
}

impl Options {
    /// Reads the command line behind the command.
    ///
    /// # Errors
    /// An option is not known, or has no number.
    pub fn read(words: &[&str]) -> Result<Options> {
        let mut options = Options { seed: None, states: STATES, commits: COMMITS };
        let mut words = words.iter();
        while let Some(option) = words.next() {
            let number = || match words.clone().next() {
                Some(text) => text.parse::<u64>().context(format_args!("{option} {text}: a number is wanted")),
                None => fail!("{option} wants a number"),
            };
            match *option {
                "--seed" => options.seed = Some(number()?),
                "--states" => options.states = number()?,
                "--commits" => options.commits = usize::try_from(number()?).context(option)?,
                other => fail!("`crash-test` does not know {other:?}; it knows --seed, --states and --commits"),
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
pub fn run(project: &Project, options: Options) -> Result<()> {
    let seed = options.seed.unwrap_or_else(any_seed);
    println!("crash-test: seed {seed}, at least {} states, {} commits in a machine", options.states, options.commits);
    enumeration::run(seed, options.states)?;
    match options.commits {
        0 => Ok(()),
        commits => in_machine(project, seed, commits),
    }
}

/// Records a machine and opens every state that its disk can be left in.
fn in_machine(project: &Project, seed: u64, commits: usize) -> Result<()> {
    let boot = build(project, "")?;
    let folder = project.target.join("crash-test");
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).context(folder.display())?;
    let recording = machine::Recording::make(&boot, &folder, commits, Flushes::Reach)?;
    let tally = recording.replay(Bounds { seed, states: u64::MAX }, |_| {})?;
    println!(
        "crash-test: {} distinct states of a machine's disk, from its formatting on: {} events, {} flushes, {} \
         transactions, of which {} say what had been acknowledged",
        tally.states, tally.events, tally.flushes, tally.transactions, tally.claims
    );
    machine::judge(&tally).context(format_args!("seed {seed}, the log is {}", folder.join("writes.log").display()))
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
        assert_eq!(read("").expect("read"), Options { seed: None, states: STATES, commits: COMMITS });
        assert_eq!(
            read("--states 5 --commits 0 --seed 7").expect("read"),
            Options { seed: Some(7), states: 5, commits: 0 }
        );
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
