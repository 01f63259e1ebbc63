//! Cells that fail, and begin again.

use crate::failure::Result;
use crate::qemu::{Echo, Machine};
use crate::run::make_state;
use crate::scenarios::{PATIENCE, Stage};

/// Every service begins again when it was stopped, requests that come meanwhile are served by the next instance, and the graph
/// keeps what happened, also for the next boot.
pub fn services_begin_again(stage: &Stage) -> Result<()> {
    let state = stage.folder.join("state.fs");
    make_state(&state)?;
    let mut machine = Machine::spawn(&stage.boot, Some(&state), Echo::Silent)?;
    machine.expect_prompt(PATIENCE)?;
    for service in ["memory", "virtio_blk", "persistence", "console", "process", "process"] {
        machine.send_line(&format!("kill {service}"))?;
        match service {
            "process" => machine.expect("cell process begins again", PATIENCE)?,
            _ => machine.expect(&format!("cell {service} failed: stopped from outside"), PATIENCE)?,
        };
        // Whoever was asked for something in the middle of it says so; then everything works as before.
        machine.send_line("")?;
        machine.expect_prompt(PATIENCE)?;
        machine.send_line("spawn -w test_proc")?;
        machine.expect("TelOS: test_proc alive.", PATIENCE)?;
        machine.expect("exited 0", PATIENCE)?;
        machine.expect_prompt(PATIENCE)?;
    }
    machine.send_line("cells")?;
    machine.expect("\nshell ", PATIENCE)?;
    machine.expect_prompt(PATIENCE)?;
    machine.send_line("halt")?;
    machine.wait(PATIENCE)?;
    let mut machine = Machine::spawn(&stage.boot, Some(&state), Echo::Silent)?;
    machine.expect_prompt(PATIENCE)?;
    machine.send_line("faults")?;
    for service in ["console", "persistence", "virtio_blk", "memory"] {
        machine.expect(&format!("{service} "), PATIENCE)?;
    }
    machine.expect("begins again", PATIENCE)?;
    machine.expect_prompt(PATIENCE)?;
    machine.send_line("shutdown")?;
    machine.wait(PATIENCE)?.clean()
}
