//! `run` as a script uses it: the program itself, with standard streams that are no terminal.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use object_store::{FileStorage, FormatOptions};

use crate::fail;
use crate::failure::{Context, Result};
use crate::run::Status;
use crate::scenarios::{PATIENCE, Stage};
use crate::state_file::FileDevice;

/// Each line is typed at a prompt of its own, the transcript is on standard output, and the end of input shuts down.
pub fn typed_lines(stage: &Stage) -> Result<()> {
    let state = stage.folder.join("state.fs");
    let done = run(stage, &state, "uptime\nspawn -w test_proc\nnonsense\n")?;
    let (said, shown) = (text(&done), String::from_utf8_lossy(&done.stdout));
    if !done.status.success() {
        fail!("`run` ended with {}:\n{said}", done.status);
    }
    let rows: Vec<&str> = shown.split('\n').collect();
    let mut left = rows.iter();
    for expected in [
        "root_task: console started at its endpoint",
        "virtio_blk: ",
        "telos> uptime",
        "up 0",
        "telos> spawn -w test_proc",
        "started test_proc as #",
        "test_proc ended with status 0",
        "telos> nonsense",
        "there is neither a command nor a name `nonsense`",
        "telos> shutdown",
        "shell: shutting down",
    ] {
        if !left.any(|row| row.starts_with(expected)) {
            fail!("there is no row {expected:?} where it should be:\n{said}");
        }
    }
    // The new process and the shell that is told of it run at their own pace: either may write first.
    let spawned = rows.iter().skip_while(|row| !row.starts_with("telos> spawn"));
    let mut meanwhile = spawned.take_while(|row| !row.starts_with("test_proc ended"));
    if !meanwhile.any(|row| row.starts_with("TelOS: test_proc alive.")) {
        fail!("the spawned process wrote nothing before it ended:\n{said}");
    }
    if let Some(row) = rows.iter().find(|row| row.contains(char::is_control)) {
        fail!("a row has control characters: {row:?}");
    }
    Ok(())
}

/// `reboot` ends in order and boots again on the same state; the lines behind it are typed in the next boot.
pub fn reboots(stage: &Stage) -> Result<()> {
    let state = stage.folder.join("state.fs");
    let done = run(stage, &state, "spawn -w test_proc\nreboot\nuptime\ntxlog 100\n")?;
    let (said, shown) = (text(&done), String::from_utf8_lossy(&done.stdout));
    if !done.status.success() {
        fail!("`run` ended with {}:\n{said}", done.status);
    }
    let mut left = shown.split('\n');
    for expected in [
        "root_task: genesis committed at TID ",
        "test_proc ended with status 0",
        "telos> reboot",
        "shell: rebooting",
        "persistence: opened at TID ",
        "telos> uptime",
        "up 00:00:",
        "telos> txlog 100",
        "telos> shutdown",
        "shell: shutting down",
    ] {
        if !left.any(|row| row.starts_with(expected)) {
            fail!("there is no row {expected:?} where it should be:\n{said}");
        }
    }
    let second = shown.split("shell: rebooting").nth(1).unwrap_or_default();
    if second.contains("genesis committed")
        || second.contains("TelOS: test_proc alive.")
        || !second.contains(" genesis")
    {
        fail!("the second boot was to find the state of the first, and nothing left to do:\n{said}");
    }
    Ok(())
}

/// Each way to end has its exit status and a reason that names the state file.
pub fn statuses(stage: &Stage) -> Result<()> {
    let state = stage.folder.join("state.fs");
    let done = run(stage, &state, "halt\nnever typed\n")?;
    ended(&done, Status::Halted, &["the machine was halted: what was not committed is lost", "state.fs"])?;
    // Nobody types, and standard input stays open.
    let done = finish(start(stage, &state, 5)?)?;
    ended(&done, Status::TimedOut, &["the machine did not end within 5 s", "state.fs"])?;
    let foreign = stage.folder.join("foreign.fs");
    fs::write(&foreign, b"This is no state file. ".repeat(1 << 16)).context(foreign.display())?;
    let reasons = ["foreign.fs holds something else than a TelOS state", "STATE=other.fs make run"];
    refused(stage, &foreign, Status::Other, &reasons)?;
    let damaged = stage.folder.join("damaged.fs");
    damage(&damaged)?;
    refused(
        stage,
        &damaged,
        Status::NotBooted,
        &["the state file is damaged", "stopped itself for a failure", "damaged.fs"],
    )
}

/// A run on a file that is not written to.
fn refused(stage: &Stage, state: &Path, status: Status, reasons: &[&str]) -> Result<()> {
    let before = fs::read(state).context(state.display())?;
    ended(&run(stage, state, "")?, status, reasons)?;
    match fs::read(state).context(state.display())? == before {
        true => Ok(()),
        false => fail!("{} was written to", state.display()),
    }
}

/// A state file that has lost both roots.
fn damage(path: &Path) -> Result<()> {
    let file = OpenOptions::new().read(true).write(true).create_new(true).open(path).context(path.display())?;
    file.set_len(64 << 20).context(path.display())?;
    let mut device = FileDevice::new(file).context(path.display())?;
    if let Err(error) = FileStorage::format(&mut device, [7; 16], FormatOptions::default()) {
        fail!("{} cannot be formatted: {error:?}", path.display());
    }
    drop(device);
    let mut bytes = fs::read(path).context(path.display())?;
    // The identity stands in the first sector, the roots behind it.
    if let Some(roots) = bytes.get_mut(512..1 << 20) {
        roots.fill(0xff);
    }
    fs::write(path, &bytes).context(path.display())
}

fn ended(done: &Output, status: Status, reasons: &[&str]) -> Result<()> {
    let said = text(done);
    if done.status.code() != Some(i32::from(status as u8)) {
        fail!("`run` was to end with {status:?}, and ended with {}:\n{said}", done.status);
    }
    match reasons.iter().find(|reason| !said.contains(**reason)) {
        Some(reason) => fail!("`run` was to say {reason:?}:\n{said}"),
        None => Ok(()),
    }
}

fn text(done: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr))
}

/// Starts the program with standard input on a pipe.
fn start(stage: &Stage, state: &Path, timeout: u64) -> Result<Child> {
    let program = std::env::current_exe().context("the running program")?;
    let mut command = Command::new(program);
    command.arg("run").current_dir(&stage.project.root);
    command.env("TELOS_ROOT", &stage.project.root).env("CARGO_TARGET_DIR", &stage.project.target);
    command.env("STATE", state).env("TIMEOUT", timeout.to_string());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().context("cannot start this program again")
}

/// Waits for it with its standard input open.
fn finish(mut child: Child) -> Result<Output> {
    let typist = child.stdin.take();
    let done = child.wait_with_output().context("this program");
    drop(typist);
    done
}

/// Runs a script to its end.
fn run(stage: &Stage, state: &Path, script: &str) -> Result<Output> {
    let mut child = start(stage, state, PATIENCE.as_secs())?;
    if let Some(mut typist) = child.stdin.take() {
        // A machine that does not boot takes no script.
        let _ = typist.write_all(script.as_bytes());
    }
    child.wait_with_output().context("this program")
}
