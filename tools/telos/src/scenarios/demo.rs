//! A boot on top of a state, whose changes are thrown away.

use std::path::Path;

use image::sha256;

use crate::fail;
use crate::failure::Result;
use crate::project::read;
use crate::qemu::{Echo, Machine};
use crate::run::make_state;
use crate::scenarios::session::{catch_up, settle};
use crate::scenarios::{PATIENCE, Stage};

/// What the demo says of itself.
const BANNER: &str = "This is a demo: changes are in memory, and are thrown away at the end.\n";

/// A demo runs on a state, changes it, and is ended in order, by a reset and by a power cut; the state file is the same, byte by byte,
/// and the next boot knows nothing of it.
pub fn leaves_its_state(stage: &Stage) -> Result<()> {
    let state = stage.folder.join("state.fs");
    make_state(&state)?;
    let mut machine = Machine::spawn(&stage.boot, Some(&state), Echo::Silent)?;
    settle(&mut machine)?;
    let kept = count(&mut machine)?;
    machine.send_line("shutdown")?;
    machine.wait(PATIENCE)?.clean()?;

    let before = hash(&state)?;
    let demo = stage.boot.clone().demo();
    let mut machine = Machine::spawn(&demo, Some(&state), Echo::Silent)?;
    machine.expect("virtio_blk: ", PATIENCE)?;
    machine.expect(" sectors, read-only, ", PATIENCE)?;
    machine
        .expect("persistence: the disk is read-only: a demo, whose changes are thrown away at the end\n", PATIENCE)?;
    changes(&mut machine, kept)?;
    machine.send_line("shutdown")?;
    machine.wait(PATIENCE)?.clean()?;
    same(&state, &before, "a demo that was shut down")?;

    let mut machine = Machine::spawn(&demo, Some(&state), Echo::Silent)?;
    changes(&mut machine, kept)?;
    machine.kill()?;
    same(&state, &before, "a demo that was cut off")?;

    let mut machine = Machine::spawn(&stage.boot, Some(&state), Echo::Silent)?;
    machine.expect_prompt(PATIENCE)?;
    let found = count(&mut machine)?;
    if found != kept {
        fail!("after a demo the state was to have {kept} processes of test_proc, and has {found}");
    }
    machine.send_line("shutdown")?;
    machine.wait(PATIENCE)?.clean()
}

/// The banner, and a process that is made and noted, as ever.
fn changes(machine: &mut Machine, kept: usize) -> Result<()> {
    machine.expect(BANNER, PATIENCE)?;
    machine.send_line("spawn test_proc")?;
    machine.expect("TelOS: test_proc alive.\n", PATIENCE)?;
    machine.expect("ended (Exited(0)), noted at TID ", PATIENCE)?;
    catch_up(machine)?;
    if count(machine)? != kept + 1 {
        fail!("a demo was to list the process that it made\n{}", machine.transcript());
    }
    machine.send_line("store")?;
    machine.expect("0 writes, 0 flushes since then\n", PATIENCE)?;
    machine.expect("demo     changes are in memory, and are thrown away at the end\n", PATIENCE)?;
    catch_up(machine)?;
    // The last transaction is one of the demo, and is undone there.
    machine.send_line("priority shell 7")?;
    machine.expect(" has priority 7\n", PATIENCE)?;
    catch_up(machine)?;
    machine.send_line("undo -1")?;
    machine.expect("undone at TID ", PATIENCE)?;
    catch_up(machine)?;
    machine.send_line("fsck")?;
    machine.expect(": no damage\n", PATIENCE)?;
    catch_up(machine)
}

/// Processes of test_proc that the graph knows.
fn count(machine: &mut Machine) -> Result<usize> {
    machine.send_line("at -1 ps")?;
    let listed = machine.expect("running   shell", PATIENCE)? + &machine.expect_prompt(PATIENCE)?;
    Ok(listed.lines().filter(|row| row.starts_with('#') && row.ends_with(" test_proc")).count())
}

fn hash(path: &Path) -> Result<[u8; 32]> {
    Ok(sha256(&read(path)?))
}

fn same(path: &Path, before: &[u8; 32], what: &str) -> Result<()> {
    match hash(path)? == *before {
        true => Ok(()),
        false => fail!("{what} has changed its state file"),
    }
}
