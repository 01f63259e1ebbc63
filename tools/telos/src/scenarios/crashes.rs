//! Power cuts, failing disks and full ones, under a load of several clients.

use std::fs;
use std::path::Path;

use crash_replay::{Bounds, Event};
use object_store::Tid;

use crate::crash_test::machine::{Recording, judge};
use crate::crash_test::{kills, load};
use crate::disk_filter::{Flushes, Transfer, When, fail_now, failing};
use crate::fail;
use crate::failure::{Context, Result};
use crate::monitor::Monitor;
use crate::qemu::{Echo, Machine, Outcome, tail};
use crate::scenarios::{PATIENCE, Stage};

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
            Some(_) => {}
            None => fail!("{name} was not noticed: {tally:?}"),
        }
    }
    Ok(())
}

/// Kills of a test; `soak` has more.
const KILLS: u64 = 4;

/// QEMU is killed at random moments of a load, and each boot goes on with all that was acknowledged.
pub fn kills_under_load(stage: &Stage) -> Result<()> {
    kills::run(&stage.boot, &stage.folder, KILLS, 1)
}

/// The host's error numbers.
const EIO: i32 = 5;
const ENOSPC: i32 = 28;
/// Bytes of a state file that is copied and read often.
const SMALL: usize = 32 << 20;
/// Clients at a time.
const CLIENTS: usize = 4;
/// What the persistence server says when the disk has failed it.
const STOPPED: &str = "persistence: the disk failed (";
/// What a client says when it is told.
const CLIENT_STOPS: &str = " ends: the store has stopped";

/// A write or a flush that fails under load: nothing is acknowledged any more, everybody is told, and after a reboot all that was
/// acknowledged is there.
pub fn failing_disks(stage: &Stage) -> Result<()> {
    let state = stage.folder.join("state.fs");
    fs::write(&state, vec![0; SMALL]).context(state.display())?;
    let mut known = Vec::new();
    let mut machine = Machine::spawn(&stage.boot, Some(&state), Echo::Silent)?;
    machine.expect_prompt(PATIENCE)?;
    load::start(&mut machine, CLIENTS)?;
    known.extend(end(machine)?);
    for (transfer, errno) in [(Transfer::Flush, EIO), (Transfer::Write, EIO), (Transfer::Write, ENOSPC)] {
        known.extend(failing_once(stage, &state, transfer, errno)?);
        load::verify(&state, &known)?;
    }
    unreadable(stage, &state)?;
    let mut machine = Machine::spawn(&stage.boot, Some(&state), Echo::Silent)?;
    load::come_back(&mut machine, CLIENTS)?;
    load::work(&mut machine, 5)?;
    known.extend(end(machine)?);
    load::verify(&state, &known)
}

/// Ends a machine at once; the commits that were acknowledged.
fn end(machine: Machine) -> Result<Vec<Tid>> {
    let transcript = machine.transcript();
    machine.kill()?;
    Ok(load::acknowledged(&transcript))
}

/// One transfer fails in the middle of the load.
fn failing_once(stage: &Stage, state: &Path, transfer: Transfer, errno: i32) -> Result<Vec<Tid>> {
    let mut boot = failing(&stage.boot, state, transfer, errno, When::OnceAsked);
    let monitor = Monitor::attach(&mut boot);
    let mut machine = Machine::spawn(&boot, None, Echo::Silent)?;
    load::come_back(&mut machine, CLIENTS)?;
    load::work(&mut machine, 5)?;
    let _open = fail_now(&monitor)?;
    machine.expect(STOPPED, PATIENCE)?;
    for _ in 0..CLIENTS {
        machine.expect(CLIENT_STOPS, PATIENCE)?;
    }
    // The store had nothing to acknowledge after that, to nobody.
    let transcript = machine.transcript();
    let after = transcript.split_once(STOPPED).map_or("", |(_, after)| after);
    if after.contains("persistence: committed at TID ") {
        fail!("{transfer:?} failed with {errno}, and a commit was acknowledged:\n{}", tail(&transcript));
    }
    // The shell says why it cannot.
    machine.send_line("spawn test_proc")?;
    machine.expect("the store has stopped", PATIENCE)?;
    end(machine)
}

/// A disk that cannot be read from the start: the system is not built, says why, and writes nothing.
fn unreadable(stage: &Stage, state: &Path) -> Result<()> {
    let before = fs::read(state).context(state.display())?;
    let boot = failing(&stage.boot, state, Transfer::Read, EIO, When::Always);
    let mut machine = Machine::spawn(&boot, None, Echo::Silent)?;
    machine.expect("persistence: the disk failed: ", PATIENCE)?;
    match machine.wait(PATIENCE)? {
        Outcome::Failed => {}
        other => fail!("a boot on a disk that cannot be read was to fail, and there was {other:?}"),
    }
    match fs::read(state).context(state.display())? == before {
        true => Ok(()),
        false => fail!("a disk that could not be read was written to"),
    }
}

/// Bytes of a state file that the load soon fills.
const TINY: usize = 14 << 20;
/// What a client says when its commit is refused for want of room.
const FULL: &str = " ends: the store is full, ";

/// A full disk refuses commits and serves reads, and so it does after a restart.
pub fn full_disk(stage: &Stage) -> Result<()> {
    let state = stage.folder.join("state.fs");
    fs::write(&state, vec![0; TINY]).context(state.display())?;
    let mut machine = Machine::spawn(&stage.boot, Some(&state), Echo::Silent)?;
    machine.expect_prompt(PATIENCE)?;
    load::start(&mut machine, CLIENTS)?;
    machine.expect(FULL, PATIENCE)?;
    machine.expect(&format!("{CLIENTS} accounts can be read"), PATIENCE)?;
    machine.send_line("txlog 1")?;
    machine.expect("TIME (UTC)", PATIENCE)?;
    let known = end(machine)?;
    load::verify(&state, &known)?;
    let mut machine = Machine::spawn(&stage.boot, Some(&state), Echo::Silent)?;
    machine.expect_prompt(PATIENCE)?;
    machine.send_line("txlog 1")?;
    machine.expect("TIME (UTC)", PATIENCE)?;
    machine.send_line("shutdown")?;
    machine.wait(PATIENCE)?.clean()?;
    load::verify(&state, &known)
}
