//! Servers that a user starts, with a state of their own.

use crate::fail;
use crate::failure::Result;
use crate::iso::{self, Boot, Firmware};
use crate::project::read;
use crate::push::Line;
use crate::qemu::{Echo, Machine};
use crate::run::make_state;
use crate::scenarios::{PATIENCE, Stage};

/// Labels of the counter.
const NEXT: &str = "1";
const TOTAL: &str = "3";
const SAVE: &str = "4";
const VERSION: &str = "5";

/// A server that a user started is replaced by a version with another schema, and goes on counting; is rolled back; and counts on
/// from what it saved after the power was cut. Its priority is what it was given, also then.
pub fn of_users(stage: &Stage) -> Result<()> {
    let next = read(&stage.project.build.join("cells/counter_next.cell"))?;
    let state = stage.folder.join("state.fs");
    make_state(&state)?;
    let line = Line::of(&state);
    let mut boot = stage.boot.clone();
    line.attach(&mut boot);
    let mut machine = Machine::spawn(&boot, Some(&state), Echo::Silent)?;
    machine.expect_prompt(PATIENCE)?;
    for (typed, answer) in [
        ("call counter 1", "neither a process nor a service of the name `counter` runs"),
        ("call shell 1", "`shell` serves nobody"),
        ("call counter", "call: the number of a method is missing; type `call NAME LABEL [WORD...]`"),
        ("priority shell 41", "a process can have the priorities from 1 to 40"),
    ] {
        machine.send_line(typed)?;
        machine.expect(answer, PATIENCE)?;
        machine.expect_prompt(PATIENCE)?;
    }
    machine.send_line("spawn counter")?;
    machine.expect("counter: version 1 counts for 0 clients", PATIENCE)?;
    machine.send_line("")?;
    machine.expect_prompt(PATIENCE)?;
    for count in 1..=3 {
        call(&mut machine, NEXT, count)?;
    }
    call(&mut machine, VERSION, 1)?;
    machine.send_line("call counter 9")?;
    machine.expect("`counter` does not serve label 9", PATIENCE)?;
    machine.expect_prompt(PATIENCE)?;
    machine.send_line("priority counter 20")?;
    machine.expect(" has priority 20\n", PATIENCE)?;
    machine.send_line("")?;
    machine.expect_prompt(PATIENCE)?;
    has_priority(&mut machine, "20")?;

    let said = line.send(&next)?;
    if !said.starts_with("counter 0.2.0 build ") || !said.ends_with("; `replace counter` has it run") {
        fail!("of the next version it was said: {said}");
    }
    machine.send_line("replace -f counter")?;
    machine.expect("it has a state of its own, which would be lost by force", PATIENCE)?;
    machine.expect_prompt(PATIENCE)?;
    replace(&mut machine, "replace counter")?;
    call(&mut machine, VERSION, 2)?;
    call(&mut machine, NEXT, 4)?;
    call(&mut machine, TOTAL, 4)?;
    has_priority(&mut machine, "20")?;
    // There and back, by what this server made: nothing stays behind.
    replace(&mut machine, "rollback counter")?;
    let before = memory_line(&mut machine)?;
    for (version, count) in [(2, 5), (1, 6)] {
        replace(&mut machine, "rollback counter")?;
        call(&mut machine, VERSION, version)?;
        call(&mut machine, NEXT, count)?;
    }
    let after = memory_line(&mut machine)?;
    if before != after {
        fail!("`mem` said {before:?} before two replacements and {after:?} after them");
    }
    machine.send_line(&format!("call counter {SAVE}"))?;
    machine.expect("persistence: committed at TID ", PATIENCE)?;
    machine.send_line("")?;
    machine.expect_prompt(PATIENCE)?;
    call(&mut machine, NEXT, 7)?;
    machine.send_line("replacements")?;
    machine.expect("\nNAME ", PATIENCE)?;
    let list = machine.expect_prompt(PATIENCE)?;
    if !list.lines().any(|line| line.starts_with("counter ") && line.ends_with("confirmed")) {
        fail!("`replacements` does not list the counter:\n{list}");
    }
    // The power goes: what was saved is there, and what was not is not.
    machine.send_line("halt")?;
    machine.wait(PATIENCE)?;
    let mut machine = Machine::spawn(&boot, Some(&state), Echo::Silent)?;
    machine.expect("counter: version 1 counts for 1 clients", PATIENCE)?;
    machine.send_line("")?;
    machine.expect_prompt(PATIENCE)?;
    call(&mut machine, NEXT, 7)?;
    has_priority(&mut machine, "20")?;
    // An instance that fails begins again in the same way, at the same endpoint; a replaced process server finds it.
    replace(&mut machine, "rollback counter")?;
    machine.send_line("kill process")?;
    machine.expect("process stopped; it begins again", PATIENCE)?;
    machine.expect_prompt(PATIENCE)?;
    call(&mut machine, NEXT, 8)?;
    replace(&mut machine, "rollback counter")?;
    call(&mut machine, NEXT, 9)?;
    machine.send_line("kill counter")?;
    machine.expect(" ended", PATIENCE)?;
    machine.expect_prompt(PATIENCE)?;
    machine.send_line("call counter 1")?;
    machine.expect("neither a process nor a service of the name `counter` runs", PATIENCE)?;
    machine.expect_prompt(PATIENCE)?;
    machine.send_line("shutdown")?;
    machine.wait(PATIENCE)?.clean()
}

/// The transaction that made a pushed version the current one is undone within the machine: the version before serves again.
pub fn undone_upgrade(stage: &Stage) -> Result<()> {
    let next = read(&stage.project.build.join("cells/counter_next.cell"))?;
    let state = stage.folder.join("state.fs");
    make_state(&state)?;
    let line = Line::of(&state);
    let mut boot = Boot::new(iso::make(&stage.project, "transactions upgrade")?, Firmware::Bios);
    line.attach(&mut boot);
    let mut machine = Machine::spawn(&boot, Some(&state), Echo::Silent)?;
    machine.expect("push the next version of counter", PATIENCE)?;
    line.send(&next)?;
    let text = machine.expect(" failed\n", PATIENCE)?;
    if !text.lines().any(|line| line == "1 passed, 0 failed") {
        fail!("within the machine it was said:\n{text}");
    }
    machine.wait(PATIENCE)?.clean()
}

/// Calls a method, which answers a number.
fn call(machine: &mut Machine, label: &str, expected: u64) -> Result<()> {
    machine.send_line(&format!("call counter {label}"))?;
    machine.expect(&format!("call counter {label}"), PATIENCE)?;
    // Rows of the log may stand before and behind it, never within it.
    machine.expect(&format!("\n{expected}"), PATIENCE)?;
    let rest = machine.expect_prompt(PATIENCE)?;
    if rest.starts_with(|next: char| next.is_ascii_digit()) {
        fail!("`call counter {label}` was to print {expected}, and printed more:\n{expected}{rest}");
    }
    Ok(())
}

fn replace(machine: &mut Machine, line: &str) -> Result<()> {
    machine.send_line(line)?;
    machine.expect("counter is being replaced", PATIENCE)?;
    machine.expect("counter is replaced; requests waited for ", PATIENCE)?;
    machine.expect_prompt(PATIENCE).map(drop)
}

fn has_priority(machine: &mut Machine, expected: &str) -> Result<()> {
    machine.send_line("top")?;
    machine.expect("\nNAME ", PATIENCE)?;
    let top = machine.expect_prompt(PATIENCE)?;
    let line = top.lines().find(|line| line.starts_with("counter ")).unwrap_or_default();
    if line.split_whitespace().nth(1) != Some(expected) {
        fail!("the counter was to have priority {expected}:\n{top}");
    }
    Ok(())
}

/// What `mem` says of memory in use.
fn memory_line(machine: &mut Machine) -> Result<String> {
    crate::scenarios::failures::memory_in_use(machine)
}
