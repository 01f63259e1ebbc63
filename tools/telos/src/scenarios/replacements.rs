//! Services that are replaced while they serve.

use crate::fail;
use crate::failure::Result;
use crate::qemu::{Echo, Machine};
use crate::run::make_state;
use crate::scenarios::failures::memory_in_use;
use crate::scenarios::{PATIENCE, Stage};

/// The services whose state is in the kernel's tables or the graph. The process server is replaced twice: by what the boot has
/// started, and by what has replaced that.
const REPLACED: [&str; 6] = ["memory", "virtio_blk", "console", "process", "memory", "process"];

fn replace(machine: &mut Machine, service: &str) -> Result<()> {
    machine.send_line(&format!("replace {service}"))?;
    machine.expect(&format!("{service} is being replaced"), PATIENCE)?;
    machine.expect(&format!("{service} is replaced; requests waited for "), PATIENCE)?;
    machine.expect_prompt(PATIENCE).map(drop)
}

/// Every one of them is replaced at the prompt, and everything works as before; what makes no sense is refused.
pub fn at_the_prompt(stage: &Stage) -> Result<()> {
    let state = stage.folder.join("state.fs");
    make_state(&state)?;
    let mut machine = Machine::spawn(&stage.boot, Some(&state), Echo::Silent)?;
    machine.expect_prompt(PATIENCE)?;
    for service in REPLACED {
        replace(&mut machine, service)?;
        machine.send_line("spawn -w test_proc")?;
        machine.expect("TelOS: test_proc alive.", PATIENCE)?;
        machine.expect("test_proc ended with status 0\n", PATIENCE)?;
        machine.expect_prompt(PATIENCE)?;
    }
    // By now each has been replaced by what this server made: doing it again leaves nothing behind.
    let before = memory_in_use(&mut machine)?;
    for service in REPLACED {
        replace(&mut machine, service)?;
    }
    let after = memory_in_use(&mut machine)?;
    if before != after {
        fail!("`mem` said before six replacements:\n{before}\nand after them:\n{after}");
    }
    machine.send_line("replacements")?;
    let list = machine.expect_prompt(PATIENCE)?;
    for service in REPLACED {
        if !list.lines().any(|line| line.contains(service) && line.contains("confirmed")) {
            fail!("`replacements` does not list {service} as confirmed:\n{list}");
        }
    }
    for (line, answer) in [
        ("replace persistence", "replace: it has a state of its own that cannot be handed over yet"),
        ("replace memory #1", "replace: "),
        ("replace memry", "neither a process nor a service of the name `memry` runs; did you mean `memory`?"),
        ("rollback memory", "no image was current before"),
    ] {
        machine.send_line(line)?;
        machine.expect(answer, PATIENCE)?;
        machine.expect_prompt(PATIENCE)?;
    }
    machine.send_line("shutdown")?;
    machine.wait(PATIENCE)?.clean()
}
