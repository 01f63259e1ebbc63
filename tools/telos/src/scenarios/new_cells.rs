//! A cell that was made just now runs in a system that never had it.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::failure::{Context, Result};
use crate::project::Project;
use crate::push::Line;
use crate::qemu::{Echo, Machine};
use crate::run::make_state;
use crate::scenarios::session::{catch_up, settle};
use crate::scenarios::{PATIENCE, Stage};
use crate::{cells, fail, new_cell, toolchain};

/// The name of the cell.
const NAME: &str = "greeter";
/// What a tree needs to be built.
const PARTS: [&str; 8] =
    ["Cargo.toml", "Cargo.lock", "rust-toolchain.toml", "cfg", "kernel", "cells", "applications", "tools"];

/// `new-cell` in a copy of the tree: the crate's own tests pass, and its image, pushed into a running system, serves there.
pub fn from_template_to_service(stage: &Stage) -> Result<()> {
    let root = stage.folder.join("tree");
    for part in PARTS {
        copy(&stage.project.root.join(part), &root.join(part))?;
    }
    // What can be used again the next time is kept.
    let project = Project::at(&root, Some(stage.project.target.join("new_cell")))?;
    new_cell::create(&project, NAME)?;
    let mut tests = Command::new("cargo");
    tests.args(["test", "--quiet", "--package", NAME, "--target-dir"]).arg(&stage.project.target);
    toolchain::run_quietly(tests.current_dir(&root))?;
    let image = cells::build_one(&project, NAME)?;

    let state = stage.folder.join("state.fs");
    make_state(&state)?;
    let line = Line::of(&state);
    let mut boot = stage.boot.clone();
    line.attach(&mut boot);
    let mut machine = Machine::spawn(&boot, Some(&state), Echo::Silent)?;
    settle(&mut machine)?;
    let said = line.send(&image)?;
    if !said.starts_with("greeter 0.1.0 build ") || !said.ends_with("; `spawn greeter` starts it") {
        fail!("of the new cell it was said: {said}");
    }
    machine.send_line("spawn greeter")?;
    machine.expect("greeter: serving, 0 callers so far", PATIENCE)?;
    catch_up(&mut machine)?;
    for visits in ["\n1", "\n2"] {
        machine.send_line("call greeter 1")?;
        machine.expect("call greeter 1", PATIENCE)?;
        machine.expect(visits, PATIENCE)?;
        machine.expect_prompt(PATIENCE)?;
    }
    // Another instance goes on with the visits.
    machine.send_line("replace greeter")?;
    machine.expect("greeter is replaced; requests waited for ", PATIENCE)?;
    machine.expect_prompt(PATIENCE)?;
    machine.send_line("call greeter 1")?;
    machine.expect("\n3", PATIENCE)?;
    catch_up(&mut machine)?;
    // The shell had it started, and it has a thread.
    let tree = machine.ask("tree", PATIENCE)?;
    let row = tree.lines().skip_while(|row| !row.contains("`- shell ")).nth(1).unwrap_or_default();
    if !row.contains("   `- greeter ") || row.split_whitespace().nth(3) != Some("1") {
        fail!("`tree` was to show {NAME} with a thread below the shell:\n{tree}");
    }
    let held = machine.ask("caps greeter", PATIENCE)?;
    let is_own = |row: &&str| row.contains(" Endpoint ") && row.ends_with(" of greeter");
    if held.lines().filter(is_own).count() != 1 {
        fail!("`caps` was to list the endpoint that {NAME} serves:\n{held}");
    }
    machine.send_line("kill greeter")?;
    machine.expect(" of greeter ended (Failed), noted at TID ", PATIENCE)?;
    machine.send_line("")?;
    machine.expect_prompt(PATIENCE)?;
    machine.send_line("shutdown")?;
    machine.wait(PATIENCE)?.clean()
}

/// Copies a file, or a folder with all that is in it but what builds leave there.
fn copy(from: &Path, to: &Path) -> Result<()> {
    if from.is_file() {
        if let Some(folder) = to.parent() {
            fs::create_dir_all(folder).context(folder.display())?;
        }
        return fs::copy(from, to).map(drop).context(from.display());
    }
    for entry in fs::read_dir(from).context(from.display())? {
        let path = entry.context(from.display())?.path();
        match path.file_name() {
            Some(name) if name != "target" => copy(&path, &to.join(name))?,
            _ => {}
        }
    }
    Ok(())
}
