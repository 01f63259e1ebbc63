//! Power cuts, failing disks and full ones, under a load of several clients.

use crash_replay::{Bounds, Event};

use crate::crash_test::machine::{Recording, judge};
use crate::disk_filter::Flushes;
use crate::fail;
use crate::failure::Result;
use crate::scenarios::Stage;

/// Commits of the recorded run.
const COMMITS: usize = 60;
/// What a test may open; `crash-test` opens all states.
const BOUNDS: Bounds = Bounds { seed: 1, states: 1500 };

/// The disk's log of a load is cut everywhere and nothing is missing; and the same check finds a disk that drops flushes, in the
/// machine and in the log.
pub fn log_replay(stage: &Stage) -> Result<()> {
    let recording = Recording::make(&stage.boot, &stage.folder, COMMITS, Flushes::Reach)?;
    let tally = recording.replay(BOUNDS, |_| {})?;
    judge(&tally)?;
    let without_flushes = recording.replay(BOUNDS, |events| {
        let mut number = 0;
        let from = events.len() / 2;
        events.retain(|event| {
            number += 1;
            number < from || *event != Event::Flush
        });
    })?;
    // The clients come back and go on.
    let lying = Recording::make(&stage.boot, &stage.folder, COMMITS, Flushes::Dropped)?.replay(BOUNDS, |_| {})?;
    for (name, tally) in [("a log without flushes", without_flushes), ("a disk that drops flushes", lying)] {
        match tally.violation {
            Some(what) => println!("{name}: {what}"),
            None => fail!("{name} was not noticed: {tally:?}"),
        }
    }
    Ok(())
}
