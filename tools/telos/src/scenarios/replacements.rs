//! Services that are replaced while they serve.

use crate::fail;
use crate::failure::Result;
use crate::project::read;
use crate::push::Line;
use crate::qemu::{Echo, Machine};
use crate::run::make_state;
use crate::scenarios::failures::memory_in_use;
use crate::scenarios::images::changed;
use crate::scenarios::{PATIENCE, Stage};

/// The services whose state is in the kernel's tables or the graph. The process server is replaced twice: by what the boot has
/// started, and by what has replaced that.
const REPLACED: [&str; 7] = ["memory", "virtio_blk", "console", "process", "persistence", "memory", "process"];

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
        fail!("`mem` said before these replacements:\n{before}\nand after them:\n{after}");
    }
    machine.send_line("replacements")?;
    let list = machine.expect_prompt(PATIENCE)?;
    for service in REPLACED {
        if !list.lines().any(|line| line.contains(service) && line.contains("confirmed")) {
            fail!("`replacements` does not list {service} as confirmed:\n{list}");
        }
    }
    // Each service has had an instance before this one, or several.
    machine.send_line("top")?;
    machine.expect("\nNAME ", PATIENCE)?;
    let top = machine.expect_prompt(PATIENCE)?;
    for service in REPLACED {
        let line = top.lines().find(|line| line.starts_with(&format!("{service} "))).unwrap_or_default();
        let epoch: Option<u64> = line.split_whitespace().last().and_then(|word| word.parse().ok());
        if epoch.is_none_or(|epoch| epoch < 2) {
            fail!("`top` was to count the instances of {service}:\n{top}");
        }
    }
    for (line, answer) in [
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

/// The process server is killed while it is on trial itself, and while another service is: somebody serves in the end, and what was
/// begun is finished.
pub fn under_fire(stage: &Stage) -> Result<()> {
    let state = stage.folder.join("state.fs");
    make_state(&state)?;
    let mut machine = Machine::spawn(&stage.boot, Some(&state), Echo::Silent)?;
    machine.expect_prompt(PATIENCE)?;
    for (service, killed, how) in [
        ("process", "process", "not replaced: the new instance failed"),
        ("memory", "process", "confirmed"),
        ("memory", "memory", "not replaced: the new instance failed"),
        ("process", "memory", "confirmed"),
        ("console", "console", "not replaced: the new instance failed"),
    ] {
        machine.send_line(&format!("replace -n {service}"))?;
        machine.expect(&format!("{service} is being replaced"), PATIENCE)?;
        machine.expect_prompt(PATIENCE)?;
        machine.send_line(&format!("kill {killed}"))?;
        machine.expect(&format!("replacement of {service}: "), PATIENCE)?;
        machine.send_line("")?;
        machine.expect_prompt(PATIENCE)?;
        machine.send_line("replacements")?;
        machine.expect("\nNAME ", PATIENCE)?;
        let list = machine.expect_prompt(PATIENCE)?;
        if !list.lines().any(|line| line.starts_with(service) && line.ends_with(how)) {
            fail!("when {killed} was killed in the trial of {service}, that was to be {how:?}:\n{list}");
        }
        machine.send_line("spawn -w test_proc")?;
        machine.expect("test_proc ended with status 0", PATIENCE)?;
        machine.expect_prompt(PATIENCE)?;
        replace(&mut machine, service)?;
    }
    machine.send_line("shutdown")?;
    machine.wait(PATIENCE)?.clean()
}

/// An image that is pushed into a running system takes the place of what runs, can be rolled back, and is what runs after a reboot
/// when it was confirmed; one that was never there runs as well, and what does not verify or does not serve is refused.
pub fn of_pushed_images(stage: &Stage) -> Result<()> {
    let cell = |name: &str| read(&stage.project.build.join("cells").join(format!("{name}.cell")));
    let (memory, test_proc) = (cell("memory")?, cell("test_proc")?);
    let (console, shell) = (cell("console")?, cell("shell")?);
    let newer = changed(&memory, &[(b"\x01\x06memory\x050.1.0", b"\x01\x06memory\x050.1.1")])?;
    let unknown = changed(&test_proc, &[(b"\x01\x09test_proc\x05", b"\x01\x09hello_you\x05")])?;
    // Another program under the name of the process server.
    let impostor = changed(&console, &[(b"\x01\x07console\x05", b"\x01\x07process\x05")])?;
    let mut broken = newer.clone();
    if let Some(byte) = broken.get_mut(memory.len() / 2) {
        *byte ^= 1;
    }
    let state = stage.folder.join("state.fs");
    make_state(&state)?;
    let line = Line::of(&state);
    let mut boot = stage.boot.clone();
    line.attach(&mut boot);
    let mut machine = Machine::spawn(&boot, Some(&state), Echo::Silent)?;
    machine.expect_prompt(PATIENCE)?;
    let said = line.send(&newer)?;
    if !said.starts_with("memory 0.1.1 build ") || !said.ends_with("; `replace memory` has it run") {
        fail!("of the image that was pushed it was said: {said}");
    }
    machine.send_line("")?;
    machine.expect_prompt(PATIENCE)?;
    let images = machine.ask("images", PATIENCE)?;
    if !images.lines().any(|line| line.contains(" memory ") && line.contains(" 0.1.1 ") && line.ends_with("  new")) {
        fail!("`images` does not list what was pushed:\n{images}");
    }
    // The same bytes are the same image, under the same number.
    let again = line.send(&newer)?;
    if again != said.replace("; `", " already; `") {
        fail!("of the image that was pushed again it was said: {again}\nand at first: {said}");
    }
    // What is current does not wait, and nothing else does then.
    let current = line.send(&memory)?;
    let list = machine.ask("images", PATIENCE)?;
    if !current.contains(" already; ") || list.lines().any(|line| line.ends_with("  new")) {
        fail!("the current image is known, and is what `replace` takes: {current}\n{list}");
    }
    line.send(&newer)?;
    version(&mut machine, "memory", "0.1.0")?;
    replace(&mut machine, "memory")?;
    version(&mut machine, "memory", "0.1.1")?;
    for expected in ["0.1.0", "0.1.1"] {
        machine.send_line("rollback memory")?;
        machine.expect("memory is replaced; requests waited for ", PATIENCE)?;
        machine.expect_prompt(PATIENCE)?;
        version(&mut machine, "memory", expected)?;
    }
    for (image, refusal) in [(&broken, "refused: it does not verify"), (&vec![0; 3 << 20], "are the most")] {
        match line.send(image) {
            Err(failure) if failure.0.contains(refusal) => {}
            other => fail!("a bad image was to be refused with {refusal:?}: {other:?}"),
        }
    }
    // A process begins anew, the shell itself too; the graph knows it under the same number.
    line.send(&changed(&shell, &[(b"\x01\x05shell\x050.1.0", b"\x01\x05shell\x050.1.1")])?)?;
    machine.send_line("replace shell")?;
    machine.expect(" of shell started", PATIENCE)?;
    machine.expect_prompt(PATIENCE)?;
    version(&mut machine, "shell", "0.1.1")?;
    machine.expect("process: shell is replaced", PATIENCE)?;
    machine.send_line("rollback shell")?;
    machine.expect(" of shell started", PATIENCE)?;
    machine.expect_prompt(PATIENCE)?;
    version(&mut machine, "shell", "0.1.0")?;
    machine.expect("process: shell is replaced", PATIENCE)?;
    // One that does not live does not take its place.
    line.send(&changed(&test_proc, &[(b"\x01\x09test_proc\x050.1.0", b"\x01\x05shell\x090.1.2-bad")])?)?;
    machine.send_line("replace shell")?;
    machine.expect("TelOS: test_proc alive.", PATIENCE)?;
    machine.expect("process: shell is not replaced: the new instance failed", PATIENCE)?;
    machine.expect(" of shell started", PATIENCE)?;
    machine.expect_prompt(PATIENCE)?;
    version(&mut machine, "shell", "0.1.0")?;
    line.send(&unknown)?;
    machine.send_line("spawn -w hello_you")?;
    machine.expect("hello_you ended with status 0", PATIENCE)?;
    machine.expect_prompt(PATIENCE)?;
    // The console starts from the boot archive, before there is a graph.
    line.send(&changed(&console, &[(b"\x01\x07console\x050.1.0", b"\x01\x07console\x050.1.1")])?)?;
    machine.send_line("")?;
    machine.expect_prompt(PATIENCE)?;
    replace(&mut machine, "console")?;
    line.send(&impostor)?;
    machine.send_line("replace process")?;
    machine.expect("the image does not serve label 1 as the service does", PATIENCE)?;
    machine.expect_prompt(PATIENCE)?;
    machine.send_line("halt")?;
    machine.wait(PATIENCE)?;
    let mut machine = Machine::spawn(&boot, Some(&state), Echo::Silent)?;
    machine.expect("replacement of console: Confirmed", PATIENCE)?;
    machine.expect("process: console is replaced", PATIENCE)?;
    machine.send_line("")?;
    machine.expect_prompt(PATIENCE)?;
    version(&mut machine, "console", "0.1.1")?;
    version(&mut machine, "memory", "0.1.1")?;
    machine.send_line("rollback memory")?;
    machine.expect("memory is replaced; requests waited for ", PATIENCE)?;
    machine.expect_prompt(PATIENCE)?;
    version(&mut machine, "memory", "0.1.0")?;
    // The power goes while an image is on trial: it has not proven itself, and does not run.
    line.send(&changed(&memory, &[(b"\x01\x06memory\x050.1.0", b"\x01\x06memory\x050.1.2")])?)?;
    machine.send_line("replace -n memory")?;
    machine.expect("memory is being replaced", PATIENCE)?;
    machine.expect_prompt(PATIENCE)?;
    machine.send_line("halt")?;
    machine.wait(PATIENCE)?;
    let mut machine = Machine::spawn(&stage.boot, Some(&state), Echo::Silent)?;
    machine.expect("process: the trial of memory is not under way: the image before it stays", PATIENCE)?;
    machine.send_line("")?;
    machine.expect_prompt(PATIENCE)?;
    version(&mut machine, "memory", "0.1.0")?;
    machine.send_line("shutdown")?;
    machine.wait(PATIENCE)?.clean()
}

/// The version of a cell that runs.
fn version(machine: &mut Machine, name: &str, expected: &str) -> Result<()> {
    machine.send_line("cells")?;
    machine.expect("\nNAME ", PATIENCE)?;
    let cells = machine.expect_prompt(PATIENCE)?;
    let line = cells.lines().find(|line| line.starts_with(&format!("{name} "))).unwrap_or_default();
    if line.split_whitespace().nth(1) != Some(expected) {
        fail!("{name} was to be of version {expected}:\n{cells}");
    }
    Ok(())
}
