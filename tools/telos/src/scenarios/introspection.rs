//! What the shell tells of the running system: who holds what, what runs, who started it.

use image::sha256;

use crate::config::boot_set;
use crate::fail;
use crate::failure::Result;
use crate::project::{hex, read};
use crate::qemu::{Echo, Machine};
use crate::run::make_state;
use crate::scenarios::session::settle;
use crate::scenarios::{PATIENCE, Stage};

/// Each cell holds what its creator gave it and what it made, and the shell lists it, also where that takes many replies.
pub fn capabilities(stage: &Stage) -> Result<()> {
    let mut machine = boot(stage)?;
    let shell = machine.ask("caps shell", PATIENCE)?;
    let endpoints = ["of console", "of persistence", "of memory", "of process"];
    let badge = oid_of_shell(&mut machine)?;
    if endpoints.iter().any(|of| column(&shell, "Endpoint", of, 4) != Some(badge.as_str())) {
        fail!("the shell calls four servers under the OID of its process:\n{shell}");
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
        ("caps #00000000000f423f", "caps: there is no such process; `ps` lists them"),
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

/// `tree` shows the services beside each other and processes below the process server, `top` what each uses.
pub fn tree(stage: &Stage) -> Result<()> {
    let mut machine = boot(stage)?;
    let tree = machine.ask("tree", PATIENCE)?;
    for service in ["console", "virtio_blk", "persistence", "memory"] {
        let row = tree.lines().find(|row| row.starts_with(&format!("|- {service} "))).unwrap_or_default();
        let words: Vec<&str> = row.split_whitespace().collect();
        if !matches!(words.as_slice(), [_, _, "-", "1", _, "KiB" | "MiB", _, "KiB" | "MiB", _, "KiB" | "MiB"]) {
            fail!("`tree` was to show {service} below the kernel, with a thread, memory and a heap:\n{tree}");
        }
    }
    let shell = tree.lines().skip_while(|row| !row.starts_with("`- process ")).nth(1).unwrap_or_default();
    if !shell.starts_with("   `- shell ") || !shell.contains(&format!(" {} ", oid_of_shell(&mut machine)?)) {
        fail!("`tree` was to show the shell below the process server, with its OID:\n{tree}");
    }
    // It has the memory of the machine in its hands, less what the root task gave the services before it.
    let memory = tree.lines().find(|row| row.starts_with("|- memory ")).unwrap_or_default();
    let kib = |words: &[&str]| match *words {
        [.., number, "MiB"] => number.parse::<u64>().ok().map(|mebibytes| mebibytes << 10),
        [.., number, "KiB"] => number.parse().ok(),
        _ => None,
    };
    let untyped = kib(&memory.split_whitespace().collect::<Vec<_>>());
    if untyped.is_none_or(|kib| !(400 << 10..512 << 10).contains(&kib)) {
        fail!("`tree` was to show what memory holds, each byte once:\n{tree}");
    }
    let top = machine.ask("top", PATIENCE)?;
    for cell in ["console", "persistence", "memory", "process", "shell"] {
        let row = top.lines().find(|row| row.starts_with(&format!("{cell} "))).unwrap_or_default();
        match row.split_whitespace().collect::<Vec<_>>().as_slice() {
            [_, _, "1", time, _, "KiB" | "MiB", _, _, _] if time.contains('.') => {}
            _ => fail!("`top` was to show threads, time, heap and requests of {cell}:\n{top}"),
        }
    }
    machine.send_line("shutdown")?;
    machine.wait(PATIENCE)?.clean()
}

/// `images` knows version, build, hash and TID of every image, those of the boot archive too.
pub fn images(stage: &Stage) -> Result<()> {
    let mut machine = boot(stage)?;
    let images = machine.ask("images", PATIENCE)?;
    let log = machine.ask("txlog 1000", PATIENCE)?;
    let imported = log.lines().find(|row| row.ends_with(" boot archive")).and_then(|row| row.split_whitespace().nth(2));
    for cell in boot_set(&stage.project)?.iter().filter(|cell| !cell.test && cell.image.is_none()) {
        let row = images.lines().find(|row| row.split_whitespace().nth(1) == Some(&cell.name)).unwrap_or_default();
        let file = read(&stage.project.build.join("cells").join(format!("{}.cell", cell.name)))?;
        let hash = hex(sha256(&file).get(..8).unwrap_or_default());
        match row.split_whitespace().collect::<Vec<_>>().as_slice() {
            [_, _, "0.1.0", build, start, tid, bytes, "current"]
                if build.parse::<u64>().is_ok()
                    && *start == hash
                    && Some(*tid) == imported
                    && bytes.parse() == Ok(file.len()) => {}
            _ => fail!("`images` was to list {} of hash {hash}, stored at TID {imported:?}:\n{images}", cell.name),
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

/// The OID of the shell's process, as it is shown.
fn oid_of_shell(machine: &mut Machine) -> Result<String> {
    let processes = machine.ask("ps", PATIENCE)?;
    let row = processes.lines().find(|row| row.starts_with('#') && row.ends_with(" shell")).unwrap_or_default();
    match row.split_whitespace().next() {
        Some(oid) => Ok(oid.into()),
        None => fail!("`ps` does not list the shell:\n{processes}"),
    }
}
