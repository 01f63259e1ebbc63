//! The enumeration of the store's crash states on every core.
//!
//! `object_store::crash_test` says what a state is and what must hold in it. Each core takes the next seed, so that the seeds of
//! a run follow each other from the first on, whichever core had which.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use object_store::crash_test::{self, Tally};

use crate::fail;
use crate::failure::Result;

/// How often the progress is told.
const INTERVAL: Duration = Duration::from_secs(5);

thread_local! {
    /// What this thread works on, for the message of a panic.
    static WORKS_ON: Cell<Option<u64>> = const { Cell::new(None) };
}

/// What all cores have come to.
struct Shared {
    tally: Mutex<Tally>,
    next: AtomicU64,
    wanted: u64,
    began: Instant,
    told: Mutex<Instant>,
}

/// Opens at least so many distinct states, from a seed on.
///
/// # Errors
/// What is wrong, with the seed of the workload.
pub fn run(seed: u64, wanted: u64) -> Result<()> {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    tell_seeds_of_panics();
    let began = Instant::now();
    let shared = Shared { tally: Mutex::default(), next: AtomicU64::new(seed), wanted, began, told: Mutex::new(began) };
    thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| shared.work());
        }
    });
    let tally = shared.tally.into_inner().unwrap_or_else(PoisonError::into_inner);
    let last = shared.next.into_inner().saturating_sub(1);
    println!(
        "crash-test: {} distinct states of {} events in the workloads of seeds {seed} to {last}, {} s on {cores} cores",
        tally.states,
        tally.events,
        began.elapsed().as_secs()
    );
    judge(&tally)?;
    println!(
        "crash-test: each state opened; each acknowledged transaction was there, whole and in its place; no other was \
         partly there; horizon, numbers and index were right; and each went on: a commit, a pack, and opened again"
    );
    Ok(())
}

/// What a tally comes to.
fn judge(tally: &Tally) -> Result<()> {
    let Some(first) = tally.violations.first() else {
        return Ok(());
    };
    let seed = first.split([' ', ',']).nth(1).unwrap_or("SEED");
    fail!("crash-test: {first}\nto see it again: telos crash-test --seed {seed} --states 1 --commits 0")
}

impl Shared {
    /// Takes seed after seed until there are enough states, or something is wrong.
    fn work(&self) {
        loop {
            let tally = self.tally.lock().unwrap_or_else(PoisonError::into_inner);
            if tally.states >= self.wanted || !tally.violations.is_empty() {
                return;
            }
            drop(tally);
            let seed = self.next.fetch_add(1, Ordering::Relaxed);
            WORKS_ON.set(Some(seed));
            // The workloads of one seed are run to their end.
            let found = crash_test::run(seed, 1, |_, _| {});
            WORKS_ON.set(None);
            self.add(found);
        }
    }

    fn add(&self, found: Tally) {
        let mut tally = self.tally.lock().unwrap_or_else(PoisonError::into_inner);
        tally.states += found.states;
        tally.events += found.events;
        tally.violations.extend(found.violations);
        let states = tally.states;
        drop(tally);
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.elapsed() >= INTERVAL {
            *told = Instant::now();
            let (share, per_second) = (states * 100 / self.wanted.max(1), per_second(states, self.began.elapsed()));
            println!("crash-test: {states} states, {share} %, {per_second} a second");
        }
    }
}

fn per_second(states: u64, elapsed: Duration) -> u64 {
    (u128::from(states) * 1000 / elapsed.as_millis().max(1)) as u64
}

/// Where a panic ends the program at once, the seed that led to it would be lost.
fn tell_seeds_of_panics() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        usual(panic);
        if let Some(seed) = WORKS_ON.get() {
            eprintln!("crash-test: a panic in the workloads of seed {seed}");
            eprintln!("to see it again: telos crash-test --seed {seed} --states 1 --commits 0");
        }
    }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_violation_is_told_with_the_command_that_repeats_it() {
        let tally = Tally { violations: vec!["seed 17, event 4: refused".into()], ..Tally::default() };
        let said = judge(&tally).expect_err("a violation").0;
        assert!(said.contains("event 4: refused") && said.contains("--seed 17 --states 1 --commits 0"), "{said}");
        assert!(judge(&Tally::default()).is_ok());
    }

    #[test]
    fn seeds_are_taken_until_there_are_enough_states() {
        assert!(run(1, 2_000).is_ok());
    }
}
