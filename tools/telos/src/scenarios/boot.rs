//! Booting and shutting down.

use crate::failure::Result;
use crate::qemu::{Echo, Machine};
use crate::run::make_state;
use crate::scenarios::{PATIENCE, Stage};

/// The shell's prompt shows, and `shutdown` ends the machine cleanly.
pub fn to_prompt(stage: &Stage) -> Result<()> {
    let state = stage.folder.join("state.fs");
    make_state(&state)?;
    let mut machine = Machine::spawn(&stage.boot, Some(&state), Echo::Silent)?;
    machine.expect_prompt(PATIENCE)?;
    machine.send_line("shutdown")?;
    machine.wait(PATIENCE)?.clean()
}
