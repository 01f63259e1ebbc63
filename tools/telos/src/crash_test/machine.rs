//! Power cuts of the real machine: its disk's log under load, replayed by `crash_replay`.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crash_replay::disk::events;
use crash_replay::{Bounds, Event, Log, Tally, replay};
use object_store::Tid;

use crate::crash_test::load;
use crate::disk_filter::{Flushes, recorded};
use crate::fail;
use crate::failure::{Context, Result};
use crate::iso::Boot;
use crate::project::read;
use crate::qemu::{Echo, Machine};
use crate::scenarios::PATIENCE;

/// Bytes of the state file: the replay holds it in memory.
const SIZE: usize = 32 << 20;
/// Clients at a time.
const CLIENTS: usize = 4;
/// How often the progress is told.
const INTERVAL: Duration = Duration::from_secs(5);

/// What a machine under load has left.
pub struct Recording {
    start: Vec<u8>,
    log: PathBuf,
    acknowledged: Vec<Tid>,
}

impl Recording {
    /// Boots on the state file of a folder, where there is none on a new one and from its formatting on, and cuts the power when
    /// the clients have had so many commits acknowledged.
    ///
    /// # Errors
    /// The machine does not come so far.
    pub fn make(boot: &Boot, folder: &Path, commits: usize, flushes: Flushes) -> Result<Recording> {
        let (state, log) = (folder.join("state.fs"), folder.join("writes.log"));
        let is_new = !state.exists();
        if is_new {
            fs::write(&state, vec![0; SIZE]).context(state.display())?;
        }
        let start = read(&state)?;
        let boot = recorded(boot, &state, &log, flushes)?;
        let mut machine = Machine::spawn(&boot, None, Echo::Silent)?;
        if is_new {
            machine.expect_prompt(PATIENCE)?;
            load::start(&mut machine, CLIENTS)?;
        } else {
            load::come_back(&mut machine, CLIENTS)?;
        }
        load::work(&mut machine, commits)?;
        let transcript = machine.transcript();
        machine.kill()?;
        let acknowledged = load::acknowledged(&transcript);
        if acknowledged.len() < commits {
            fail!("{commits} commits were acknowledged, and {} lines say so", acknowledged.len());
        }
        Ok(Recording { start, log, acknowledged })
    }

    /// Replays it, with what `edit` makes of its events.
    ///
    /// # Errors
    /// The log cannot be read.
    pub fn replay(&self, bounds: Bounds, edit: impl FnOnce(&mut Vec<Event<'_>>)) -> Result<Tally> {
        let bytes = read(&self.log)?;
        let log = Log::read(&bytes).context(self.log.display())?;
        let mut events = events(&log);
        edit(&mut events);
        let mut told = Instant::now();
        Ok(replay(&self.start, &events, &self.acknowledged, bounds, |tally| {
            if told.elapsed() >= INTERVAL {
                told = Instant::now();
                println!("crash-test: {} states of the machine's disk", tally.states);
            }
        }))
    }
}

/// Judges a replay of a machine that nothing was done to.
///
/// # Errors
/// Something is wrong, or so little happened that nothing is proved.
pub fn judge(tally: &Tally) -> Result<()> {
    if let Some(what) = &tally.violation {
        fail!("after a power cut of the machine: {what}");
    }
    if tally.states < 100 || tally.claims < 20 {
        fail!("the load did too little to prove anything: {tally:?}");
    }
    Ok(())
}
