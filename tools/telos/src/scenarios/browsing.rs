//! A state that a boot made, as `telosfs` sees it on the host.

use std::path::Path;

use serde_json::Value;
use telosfs::{Console, Progress, Status};

use crate::fail;
use crate::failure::{Context, Result};
use crate::qemu::{Echo, Machine};
use crate::run::make_state;
use crate::scenarios::session::settle;
use crate::scenarios::state::{acknowledged, good_boot};
use crate::scenarios::{PATIENCE, Stage};

/// The state is sound, its log is what the machine acknowledged, its objects are found by their names, and a machine boots on
/// a copy of it that was recovered. A machine that has the file open is warned of.
pub fn on_the_host(stage: &Stage) -> Result<()> {
    let state = stage.folder.join("state.fs");
    make_state(&state)?;
    let mut machine = Machine::spawn(&stage.boot, Some(&state), Echo::Silent)?;
    settle(&mut machine)?;
    let (_, _, notes) = telosfs(&state, "log")?;
    if !notes.contains("a machine has") {
        fail!("telosfs was to warn of the machine, and said: {notes}");
    }
    machine.send_line("shutdown")?;
    let printed = machine.transcript();
    machine.wait(PATIENCE)?.clean()?;
    says(&state, "verify", &["no damage"])?;
    let log = says(&state, "log", &["genesis", "process ended"])?;
    let known = acknowledged(&printed);
    if let Some(tid) = known.iter().find(|tid| !log.contains(tid.as_str())) {
        fail!("transaction {tid} was acknowledged, and telosfs does not list it:\n{log}");
    }
    browse(&state)?;
    let copy = stage.folder.join("copy.fs");
    says(&state, &format!("recover {}", copy.display()), &["no record that is known of is lost"])?;
    says(&copy, "verify", &["no damage"])?;
    good_boot(stage, &copy, &known).map(drop)
}

/// From the root by references to the image of a cell, forth and back.
fn browse(state: &Path) -> Result<()> {
    let root = says(state, "show root", &["BaseObject", "Transactional", "images", "persistence"])?;
    if root.lines().filter(|row| row.contains(" = #")).count() < 10 {
        fail!("the root was to refer to the prototypes and servers:\n{root}");
    }
    let images = slot(state, "root", "images")?;
    let image = slot(state, &images, "shell")?;
    says(state, &format!("show {image}"), &["name", "\"shell\"", "version", "bytes"])?;
    says(state, &format!("history {image}"), &["boot archive"])?;
    says(state, &format!("referrers {image}"), &[&images])?;
    says(state, &format!("refs {images}"), &[&image])?;
    says(state, "graph --format html", &["<svg", "persistence", "</html>"])?;
    let log: Value = serde_json::from_str(&says(state, "log --format json", &[])?).context("the log")?;
    let tid = |row: usize| log.get(row).and_then(|row| row.get("tid")).and_then(Value::as_u64).unwrap_or_default();
    says(state, &format!("diff {} {}", tid(1), tid(0)), &["#"]).map(drop)
}

/// The object to which a slot of another refers.
fn slot(state: &Path, oid: &str, name: &str) -> Result<String> {
    let said = says(state, &format!("show {oid} --format json"), &[])?;
    let object: Value = serde_json::from_str(&said).context(oid)?;
    let slots = object.get("slots").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let found = slots.iter().find(|slot| slot.get("name").and_then(Value::as_str) == Some(name));
    let found = found.and_then(|slot| slot.get("value")?.get("reference")?.as_str());
    found.map(str::to_owned).ok_or_else(|| crate::failure::Failure(format!("{oid} has no reference {name}:\n{said}")))
}

/// Carries out a command that has nothing to complain of, and checks that each of these stands in its answer.
fn says(state: &Path, line: &str, expected: &[&str]) -> Result<String> {
    let (status, out, notes) = telosfs(state, line)?;
    if status != Status::Fine || !notes.is_empty() {
        fail!("`telosfs {line}` ended with {status:?}: {notes}{out}");
    }
    match expected.iter().find(|text| !out.contains(**text)) {
        Some(text) => fail!("`telosfs {line}` was to print {text:?}, and printed:\n{out}"),
        None => Ok(out),
    }
}

fn telosfs(state: &Path, line: &str) -> Result<(Status, String, String)> {
    let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
    let (mut out, mut notes) = (Vec::new(), Vec::new());
    let mut console = Console { out: &mut out, notes: &mut notes, progress: Progress::Hidden };
    let status = telosfs::run(&words, state.to_str(), &mut console);
    Ok((status, String::from_utf8(out).context(line)?, String::from_utf8(notes).context(line)?))
}
