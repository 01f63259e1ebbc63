//! Power cuts, enumerated.
//!
//! A seeded [`workload`] with commits, groups of commits, conflicts, aborts, checkpoints, packs and reopenings runs on a
//! recording device. For every point of its log of writes and flushes the [`disk`] is rebuilt with subsets of the sectors that
//! were not flushed yet, some of them torn; opened; and compared with what was [promised](promise) by then. Then the storage
//! must go on: new numbers, the rest of a pack, one more commit, opened once more; and it must be the same without its index.
//!
//! [`run`] is for a command; the crate's tests go through the same and show by planted defects that it would find them.

mod disk;
mod promise;
mod random;
mod recording;
mod workload;

pub use disk::{Fate, fates};
pub use random::Random;
pub use workload::Shape;

pub(crate) use disk::Disk;
pub(crate) use promise::{Promise, check};
pub(crate) use recording::Event;
pub(crate) use workload::{Faults, Run, workload};
#[cfg(test)]
pub(crate) use {promise::tids, recording::RecordingDevice, workload::TestClock};

use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::vec::Vec;

use crate::MemoryDevice;

/// What an enumeration came to.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Distinct states of the disk, together with what had been promised, that were opened.
    pub states: u64,
    /// Writes, flushes and promises of the workloads.
    pub events: u64,
    /// What was wrong, each with the seed and the event that lead to it.
    pub violations: Vec<String>,
}

/// Runs workloads from `seed` on until at least `states` distinct states were opened or something was wrong.
#[must_use]
pub fn run(seed: u64, states: u64, mut progress: impl FnMut(u64, &Tally)) -> Tally {
    let mut tally = Tally::default();
    for seed in seed.. {
        if tally.states >= states || !tally.violations.is_empty() {
            break;
        }
        for shape in Shape::ALL {
            enumerate(&workload(seed, shape, Faults::default()), seed, &mut tally);
        }
        progress(seed, &tally);
    }
    tally
}

/// Cuts the power everywhere in one run, until something is wrong.
pub(crate) fn enumerate(run: &Run, seed: u64, tally: &mut Tally) {
    let mut random = Random(seed ^ 0x5eed);
    let mut disk = Disk::new(run.start.clone(), seed);
    let mut promise = Promise::default();
    let mut seen = BTreeSet::new();
    for (number, event) in run.log.borrow().iter().enumerate() {
        tally.events += 1;
        match event {
            Event::Write { sector, data } => disk.write(*sector, data),
            Event::Flush => disk.flush(),
            Event::Mark(mark) => promise.mark(mark),
        }
        for subset in disk.subsets(&mut random) {
            let (image, digest) = disk.apply(&subset);
            if seen.insert((digest, promise.stage())) {
                tally.states += 1;
                if let Err(what) = guarded(image, &promise, digest) {
                    tally.violations.push(alloc::format!("seed {seed}, event {number}: {what}"));
                    return;
                }
            }
        }
    }
}

/// The check; a panic is a violation too, where panics unwind.
fn guarded(image: MemoryDevice, promise: &Promise, choice: u64) -> Result<(), String> {
    let checked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| check(image, promise, choice)));
    checked.unwrap_or_else(|_| Err("panic".into())).map(|_| ())
}
