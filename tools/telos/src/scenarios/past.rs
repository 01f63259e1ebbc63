//! The past at the prompt: histories, states as they stood, undo, pack, checks.

use crate::fail;
use crate::failure::Result;
use crate::qemu::{Echo, Machine};
use crate::run::make_state;
use crate::scenarios::session::{catch_up, settle};
use crate::scenarios::{PATIENCE, Stage};

/// A priority is changed twice, shown as it was, undone, and the undo undone, each time with what runs following; then the past
/// is packed away, the whole is checked, and the next boot goes on from there.
pub fn shown_and_undone(stage: &Stage) -> Result<()> {
    let state = stage.folder.join("state.fs");
    make_state(&state)?;
    let mut machine = Machine::spawn(&stage.boot, Some(&state), Echo::Silent)?;
    settle(&mut machine)?;
    let shell = shell(&mut machine)?;
    for priority in ["7", "8"] {
        machine.send_line(&format!("priority shell {priority}"))?;
        machine.expect(&format!("process: process {shell} has priority {priority}\n"), PATIENCE)?;
        catch_up(&mut machine)?;
    }
    let log = machine.ask("txlog 2", PATIENCE)?;
    let tids: Vec<&str> =
        log.lines().filter_map(|row| row.split_whitespace().nth(2)).filter(|word| is_tid(word)).collect();
    let &[later, earlier] = tids.as_slice() else { fail!("`txlog 2` was to list two transactions:\n{log}") };
    history(&mut machine, &shell, [later, earlier])?;
    views(&mut machine, &shell, earlier)?;
    undos(&mut machine, &shell, [later, earlier])?;
    mistakes(&mut machine)?;
    upkeep(&mut machine, &shell, earlier)?;
    machine.send_line("shutdown")?;
    machine.wait(PATIENCE)?.clean()?;

    let mut machine = Machine::spawn(&stage.boot, Some(&state), Echo::Silent)?;
    machine.expect_prompt(PATIENCE)?;
    says(&mut machine, &format!("inspect {shell}"), &["priority", "= 8\n"])?;
    says(&mut machine, "fsck", &[": no damage\n"])?;
    machine.send_line("shutdown")?;
    machine.wait(PATIENCE)?.clean()
}

/// Microseconds since 1970, for the next centuries.
fn is_tid(word: &str) -> bool {
    word.len() == 16 && word.bytes().all(|byte| byte.is_ascii_digit())
}

/// The OID of the shell's process.
fn shell(machine: &mut Machine) -> Result<String> {
    let listed = machine.ask("ps", PATIENCE)?;
    let row = listed.lines().find(|row| row.starts_with('#') && row.ends_with(" shell"));
    match row.and_then(|row| row.split_whitespace().next()) {
        Some(oid) => Ok(oid.into()),
        None => fail!("`ps` does not list the shell:\n{listed}"),
    }
}

/// Types a line, waits for these texts in this order, and for another prompt.
fn says(machine: &mut Machine, line: &str, texts: &[&str]) -> Result<()> {
    machine.send_line(line)?;
    for text in texts {
        machine.expect(text, PATIENCE)?;
    }
    catch_up(machine)
}

fn history(machine: &mut Machine, shell: &str, [later, earlier]: [&str; 2]) -> Result<()> {
    let headings = "TIME (UTC)           TID               BYTES";
    says(machine, &format!("history {shell}"), &[headings, later, earlier, "client 2"])?;
    // The newest alone, by a few digits.
    says(machine, &format!("history {} 1", &shell[..12]), &[headings, later])
}

fn views(machine: &mut Machine, shell: &str, earlier: &str) -> Result<()> {
    let heading = format!("as it stood after TID {earlier} (");
    says(
        machine,
        &format!("at {earlier} inspect {shell}"),
        &[&heading, &format!("object {shell}: "), "priority", "= 7\n"],
    )?;
    says(machine, &format!("inspect {shell}"), &["priority", "= 8\n"])?;
    says(machine, "at -2 inspect", &[&heading, "object #", "BaseObject"])?;
    says(machine, &format!("at {earlier} ps"), &[&heading, shell, "running", "shell\n"])?;
    says(machine, &format!("at {earlier} images"), &[&heading, "OID", "shell", "current"])?;
    // A time to come is that of the last transaction.
    says(machine, "at 2199-01-01T00:00 inspect", &["as it stood after TID ", "BaseObject"])
}

fn undos(machine: &mut Machine, shell: &str, [later, earlier]: [&str; 2]) -> Result<()> {
    let refused = format!(
        "undo: TID {earlier} cannot be undone, since later transactions changed {shell} in `priority`; undo those too, the \
         latest first: `undo LATER... {earlier}`"
    );
    says(machine, &format!("undo {earlier}"), &[&refused])?;
    machine.send_line(&format!("undo {later} {earlier}"))?;
    machine.expect(&format!("process: process {shell} has priority 16\n"), PATIENCE)?;
    machine.expect("undone at TID ", PATIENCE)?;
    machine.expect(&format!(": 1 objects are as they were\n  {later}  "), PATIENCE)?;
    machine.expect(&format!("\n  {earlier}  "), PATIENCE)?;
    catch_up(machine)?;
    says(machine, "txlog 1", &[&format!("undo {later} {earlier}\n")])?;
    // The undo is undone.
    machine.send_line("undo -1")?;
    machine.expect(&format!("process: process {shell} has priority 8\n"), PATIENCE)?;
    machine.expect("undone at TID ", PATIENCE)?;
    catch_up(machine)
}

fn mistakes(machine: &mut Machine) -> Result<()> {
    for (line, said) in [
        ("undo 5", "undo: there is no transaction 5; `txlog` lists them\n"),
        ("undo -100000", "undo: there are not so many transactions: TID "),
        ("undo noon", "undo: `noon` is no transaction, which is a TID, or -1 for the last; type `undo TID [TID...]`\n"),
        ("at 9999999999999999 ps", "at: that is yet to come; the last transaction is TID "),
        ("at 1971-01-01T00:00 ps", "at: no transaction is as old as that; `txlog` lists them\n"),
        ("history #00000000000f423f", "history: there is no object #00000000000f423f; "),
    ] {
        says(machine, line, &[said])?;
    }
    Ok(())
}

fn upkeep(machine: &mut Machine, shell: &str, earlier: &str) -> Result<()> {
    says(
        machine,
        "store",
        &["objects  ", "room     ", " of 256.0 MiB\n", "past     whole\n", "commits  ", "flushes since then\n"],
    )?;
    says(machine, "fsck", &["\nread ", " records, ", ": no damage\n"])?;
    says(machine, "pack -1", &["packing; requests are served meanwhile\n", "\npacked up to TID ", " of records\n"])?;
    says(machine, "store", &["past     whole from TID "])?;
    says(
        machine,
        &format!("at {earlier} ps"),
        &["at: a pack has dropped that part of the past; it is whole from TID "],
    )?;
    says(machine, &format!("undo {earlier}"), &["undo: a pack has dropped that part of the past; "])?;
    says(machine, &format!("inspect {shell}"), &["priority", "= 8\n"])?;
    says(machine, "fsck", &["\nread ", ": no damage\n"])
}
