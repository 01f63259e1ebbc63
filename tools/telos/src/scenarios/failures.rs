//! Cells that fail, and begin again.

use crate::fail;
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
            "process" => machine.expect("cell process failed: stopped from outside", PATIENCE)?,
            _ => machine.expect(&format!("cell {service} failed: stopped from outside"), PATIENCE)?,
        };
        // Whoever was asked for something in the middle of it says so; then everything works as before.
        machine.send_line("")?;
        machine.expect_prompt(PATIENCE)?;
        machine.send_line("spawn -w test_proc")?;
        machine.expect("TelOS: test_proc alive.", PATIENCE)?;
        machine.expect("test_proc ended with status 0\n", PATIENCE)?;
        machine.expect_prompt(PATIENCE)?;
    }
    // The memory server finds every allocation again.
    let before = memory_in_use(&mut machine)?;
    machine.send_line("kill memory")?;
    machine.expect("cell memory failed: stopped from outside", PATIENCE)?;
    machine.send_line("")?;
    machine.expect_prompt(PATIENCE)?;
    let after = memory_in_use(&mut machine)?;
    if before != after {
        fail!("`mem` said before `kill memory`:\n{before}\nand after it:\n{after}");
    }
    machine.send_line("cells")?;
    machine.expect("\nshell ", PATIENCE)?;
    machine.expect_prompt(PATIENCE)?;
    machine.send_line("halt")?;
    machine.wait(PATIENCE)?;
    let mut machine = Machine::spawn(&stage.boot, Some(&state), Echo::Silent)?;
    machine.expect_prompt(PATIENCE)?;
    machine.send_line("faults")?;
    for service in ["process", "process", "console", "persistence", "virtio_blk", "memory"] {
        machine.expect(&format!("{service} "), PATIENCE)?;
    }
    machine.expect("begins again", PATIENCE)?;
    machine.expect_prompt(PATIENCE)?;
    machine.send_line("shutdown")?;
    machine.wait(PATIENCE)?.clean()
}

/// Kills in a row after which a service rests for a third of a second before it begins again.
const KILLS: usize = 5;

/// What is asked for while a service rests that it takes is done when that has begun again: the process server does not wait for what
/// only it would bring back.
pub fn a_resting_service_is_waited_for(stage: &Stage) -> Result<()> {
    let state = stage.folder.join("state.fs");
    make_state(&state)?;
    let mut machine = Machine::spawn(&stage.boot, Some(&state), Echo::Silent)?;
    machine.expect_prompt(PATIENCE)?;
    for service in ["memory", "persistence"] {
        for kill in 1..=KILLS {
            machine.send_line(&format!("kill {service}"))?;
            machine.expect(&format!("{service} stopped; it begins again"), PATIENCE)?;
            if kill < KILLS {
                // Answered by the next instance alone.
                match service {
                    "memory" => memory_in_use(&mut machine).map(drop)?,
                    _ => {
                        machine.send_line("txlog 1")?;
                        machine.expect("\nTIME ", PATIENCE)?;
                    }
                }
            }
        }
        machine.send_line("spawn -w test_proc")?;
        machine.expect("test_proc ended with status 0", PATIENCE)?;
        machine.expect_prompt(PATIENCE)?;
    }
    machine.send_line("shutdown")?;
    machine.wait(PATIENCE)?.clean()
}

/// The figures of `mem`: they come in one piece, whatever is logged around them.
pub fn memory_in_use(machine: &mut Machine) -> Result<String> {
    machine.send_line("mem")?;
    machine.expect("\ntotal ", PATIENCE)?;
    let figures = machine.expect("\nallocations ", PATIENCE)?;
    let allocations = machine.expect_prompt(PATIENCE)?;
    Ok(figures + &allocations)
}

/// A process that fails at its start begins again, later and later, and is given up, or killed while it rests; what failed is told by
/// the names of functions.
pub fn a_failing_process_is_given_up(stage: &Stage) -> Result<()> {
    let state = stage.folder.join("state.fs");
    make_state(&state)?;
    let mut machine = Machine::spawn(&stage.boot, Some(&state), Echo::Silent)?;
    machine.expect_prompt(PATIENCE)?;
    // A driver without a device.
    machine.send_line("spawn -w virtio_blk")?;
    for _ in 0..6 {
        machine.expect("of virtio_blk begins again", PATIENCE)?;
    }
    machine.expect("of virtio_blk ended (Failed), noted at TID ", PATIENCE)?;
    machine.expect("virtio_blk failed; the log above says why", PATIENCE)?;
    machine.expect_prompt(PATIENCE)?;
    machine.send_line("faults -v 1")?;
    machine.expect("cause    this cell needs ", PATIENCE)?;
    machine.expect("given up, failed 7 times in a row", PATIENCE)?;
    machine.expect("virtio_blk::main+0x", PATIENCE)?;
    machine.expect("runtime::start+0x", PATIENCE)?;
    machine.expect_prompt(PATIENCE)?;
    // Killed between two attempts, it makes no other.
    machine.send_line("spawn virtio_blk")?;
    for _ in 0..4 {
        machine.expect("of virtio_blk begins again", PATIENCE)?;
    }
    machine.send_line("")?;
    machine.expect_prompt(PATIENCE)?;
    machine.send_line("kill virtio_blk")?;
    machine.expect("of virtio_blk ended (Failed), noted at TID ", PATIENCE)?;
    machine.expect(" ended", PATIENCE)?;
    machine.expect_prompt(PATIENCE)?;
    machine.send_line("faults 1")?;
    machine.expect("begins again, failed ", PATIENCE)?;
    machine.expect_prompt(PATIENCE)?;
    machine.send_line("shutdown")?;
    machine.wait(PATIENCE)?.clean()
}
