//! What the shell tells of the running system: who holds what, what runs, who started it.

use crate::fail;
use crate::failure::Result;
use crate::qemu::{Echo, Machine};
use crate::run::make_state;
use crate::scenarios::session::settle;
use crate::scenarios::{PATIENCE, Stage};

/// Each cell holds what its creator gave it and what it made, and the shell lists it, also where that takes many replies.
pub fn capabilities(stage: &Stage) -> Result<()> {
    let mut machine = boot(stage)?;
    let shell = machine.ask("caps shell", PATIENCE)?;
    let endpoints = ["of console", "of persistence", "of memory", "of process"];
    let badge = badge_of_shell(&mut machine)?.to_string();
    if endpoints.iter().any(|of| column(&shell, "Endpoint", of, 4) != Some(badge.as_str())) {
        fail!("the shell calls four servers under the badge of its process, one above its OID:\n{shell}");
    }
    for (kind, what) in [("CNode", "of shell"), ("VSpace", "of shell"), ("Tcb", "of shell"), ("Machine", "-")] {
        if column(&shell, kind, what, 0).is_none() {
            fail!("`caps shell` was to list a {kind}, {what}:\n{shell}");
        }
    }
    let driver = machine.ask("caps virtio_blk", PATIENCE)?;
    for (kind, what) in [("Endpoint", "of virtio_blk"), ("PciFunction", "00:"), ("Irq", "line "), ("DmaFrame", "KiB")] {
        if column(&driver, kind, what, 0).is_none() {
            fail!("`caps virtio_blk` was to list a {kind}, {what}:\n{driver}");
        }
    }
    // The memory server holds more than fits a message.
    let memory = machine.ask("caps memory", PATIENCE)?;
    let first = |line: &str| line.split_whitespace().next()?.split('-').next()?.parse().ok();
    let slots: Vec<u32> = memory.lines().filter_map(first).collect();
    if slots.len() < 40 || !slots.is_sorted_by(|one, other| one < other) {
        fail!("`caps memory` was to list many slots, each once, in order:\n{memory}");
    }
    for (line, said) in [
        ("caps memry", "neither a process nor a service of the name `memry` runs; did you mean `memory`?"),
        ("caps #999999", "caps: there is no such process; `ps` lists them"),
        ("caps vir\t", "caps virtio_blk"),
    ] {
        let answer = machine.ask(line, PATIENCE)?;
        if !answer.contains(said) {
            fail!("`{line}` was to print {said:?}:\n{answer}");
        }
    }
    machine.send_line("shutdown")?;
    machine.wait(PATIENCE)?.clean()
}

fn boot(stage: &Stage) -> Result<Machine> {
    let state = stage.folder.join("state.fs");
    make_state(&state)?;
    let mut machine = Machine::spawn(&stage.boot, Some(&state), Echo::Silent)?;
    settle(&mut machine)?;
    Ok(machine)
}

/// A word of the row of a list in which both texts stand, counted from 0.
fn column<'t>(list: &'t str, kind: &str, what: &str, word: usize) -> Option<&'t str> {
    let row = list.lines().find(|row| row.split_whitespace().nth(1) == Some(kind) && row.contains(what))?;
    row.split_whitespace().nth(word)
}

/// One more than the OID of the shell's process.
fn badge_of_shell(machine: &mut Machine) -> Result<u64> {
    let processes = machine.ask("ps", PATIENCE)?;
    let row = processes.lines().find(|row| row.starts_with('#') && row.ends_with(" shell")).unwrap_or_default();
    match row.split_whitespace().next().and_then(|word| word.strip_prefix('#')?.parse::<u64>().ok()) {
        Some(oid) => Ok(oid + 1),
        None => fail!("`ps` does not list the shell:\n{processes}"),
    }
}
