//! Processes after a power cut.

use std::fs;

use crate::fail;
use crate::failure::{Context, Result};
use crate::qemu::{Echo, Machine};
use crate::run::make_state;
use crate::scenarios::{PATIENCE, Stage};

/// What the test process prints.
const ALIVE: &str = "TelOS: test_proc alive.";
/// The power cut falls between the commit that makes the test process and the one that notes its end; where the machine was
/// faster, on a new disk.
const TRIES: u32 = 10;

/// A process that was cut off before its end was noted, and whose object says that it never runs twice, is not run again: its
/// object says that it failed. One that may be started again is.
pub fn after_a_cut(stage: &Stage) -> Result<()> {
    let state = stage.folder.join("state.fs");
    for _ in 0..TRIES {
        if state.exists() {
            fs::remove_file(&state).context(state.display())?;
        }
        make_state(&state)?;
        let mut machine = Machine::spawn(&stage.boot, Some(&state), Echo::Silent)?;
        machine.expect(" of test_proc committed at TID ", PATIENCE)?;
        let first = machine.transcript();
        machine.kill()?;
        if first.contains("ended (") {
            continue;
        }
        let mut machine = Machine::spawn(&stage.boot, Some(&state), Echo::Silent)?;
        machine.expect("ended (Failed), noted at TID ", PATIENCE)?;
        machine.expect_prompt(PATIENCE)?;
        let second = machine.transcript();
        machine.kill()?;
        if second.contains(ALIVE) {
            fail!("the test process ran again:\n{second}");
        }
        let mut machine = Machine::spawn(&stage.boot, Some(&state), Echo::Silent)?;
        machine.expect_prompt(PATIENCE)?;
        let third = machine.transcript();
        machine.send_line("shutdown")?;
        machine.wait(PATIENCE)?.clean()?;
        if third.contains(ALIVE) || third.contains("ended (") || third.contains("requested") {
            fail!("what was settled was not left as it was:\n{third}");
        }
        if !third.contains(" of shell started") {
            fail!("the shell was not started again:\n{third}");
        }
        return Ok(());
    }
    fail!("the machine was never cut off before the test process's end was noted")
}
