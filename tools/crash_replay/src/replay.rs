//! A power cut behind each event of a log.

use std::collections::BTreeSet;

use object_store::Tid;
use object_store::crash_test::{Random, fates};

use crate::check::{check, history_of};
use crate::disk::{Disk, Event};
use crate::evidence::promises;

/// How much is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Where random numbers begin.
    pub seed: u64,
    /// About so many states are opened, evenly along the log; `u64::MAX`: all that the enumeration has.
    pub states: u64,
}

/// What a replay came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Distinct states of the disk that were opened.
    pub states: u64,
    /// Events of the log.
    pub events: u64,
    /// Flushes among them.
    pub flushes: u64,
    /// Transactions at the end.
    pub transactions: u64,
    /// Transactions that said which commit had been acknowledged before them.
    pub claims: u64,
    /// What is wrong, with the number of the event.
    pub violation: Option<String>,
}

/// Cuts the power behind each event of a log that began on a disk with some content, until something is wrong. `acknowledged` are
/// the commits that were acknowledged by the end of the log, as somebody heard who was not on the disk.
pub fn replay(
    start: &[u8],
    events: &[Event<'_>],
    acknowledged: &[Tid],
    bounds: Bounds,
    mut progress: impl FnMut(&Tally),
) -> Tally {
    let flushes = events.iter().filter(|event| **event == Event::Flush).count() as u64;
    let mut tally = Tally { events: events.len() as u64, flushes, ..Tally::default() };
    tally.violation = try_replay(start, events, acknowledged, bounds, &mut tally, &mut progress).err();
    tally
}

fn try_replay(
    start: &[u8],
    events: &[Event<'_>],
    acknowledged: &[Tid],
    bounds: Bounds,
    tally: &mut Tally,
    progress: &mut impl FnMut(&Tally),
) -> Result<(), String> {
    let mut disk = Disk::new(start.to_vec());
    let mut candidates = 0;
    for event in events {
        disk.feel(event);
        candidates += fates(disk.pending(), &mut Random(0)).len() as u64;
    }
    let history = history_of(disk.kept()).map_err(|what| format!("at the end of the log: {what}"))?;
    tally.transactions = history.order().len() as u64;
    if let Some(tid) = acknowledged.iter().find(|tid| **tid > history.horizon() && history.place(**tid).is_none()) {
        return Err(format!("{tid:?} was acknowledged, and is not there at the end of the log"));
    }
    let promises = promises(start.to_vec(), events, &history)?;
    tally.claims = promises.claims;
    let mut random = Random(bounds.seed);
    let mut disk = Disk::new(start.to_vec());
    let mut seen = BTreeSet::new();
    for (number, (event, &required)) in events.iter().zip(&promises.required).enumerate() {
        disk.feel(event);
        for fates in fates(disk.pending(), &mut random) {
            if random.below(candidates) >= bounds.states {
                continue;
            }
            let remains = disk.cut(&fates);
            let digest = disk.digest(&remains);
            // What is required may be more than where the same state was met before.
            if seen.insert((digest, required)) {
                tally.states += 1;
                check(remains, &history, required, digest)
                    .map_err(|what| format!("event {number} of {}: {what}", events.len()))?;
            }
        }
        progress(tally);
    }
    Ok(())
}
