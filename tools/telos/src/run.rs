//! `run`: boot for a person or a script, on a state file that outlives the machine.
//!
//! At a terminal, QEMU has the terminal itself, in raw mode, and gives it back at its end. Otherwise each line of
//! standard input is typed when the prompt shows, and at the end `shutdown`.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, ErrorKind, IsTerminal};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::cli::Settings;
use crate::fail;
use crate::failure::{Context, Failure, Result};
use crate::iso::{Boot, Disk, OnReset};
use crate::project::Project;
use crate::push::Line;
use crate::qemu::{self, Echo, Machine, Outcome, Stopped};
use crate::state_file::{self, Content};

/// The size of a new state file; it takes up only what is written.
const STATE_SIZE: u64 = 256 << 20;
/// When a script is given up, if no one says otherwise.
const SCRIPT_TIMEOUT: Duration = Duration::from_secs(600);

/// Makes a state file if there is none. An existing one is never changed here, whatever is in it.
///
/// # Errors
/// It cannot be made.
pub fn make_state(path: &Path) -> Result<()> {
    match OpenOptions::new().write(true).create_new(true).open(path) {
        Ok(file) => file.set_len(STATE_SIZE).context(format_args!("cannot size {}", path.display())),
        Err(cause) if cause.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(cause) => fail!("cannot make {}: {cause}", path.display()),
    }
}

/// What is only read has to be there.
fn require_state(path: &Path) -> Result<()> {
    match path.is_file() && state_file::content(path)? == Content::State {
        true => Ok(()),
        false => fail!(
            "{} holds no state to begin a demo on; `make run` makes one, and STATE=FILE names another",
            path.display()
        ),
    }
}

/// The exit status of `run`, where it does not end well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Status {
    /// Anything else, before the boot or outside the machine.
    Other = 1,
    /// `halt` was typed.
    Halted = 2,
    /// The kernel panicked.
    Panicked = 3,
    /// The machine stopped itself: the system could not be built.
    NotBooted = 4,
    /// TIMEOUT has passed.
    TimedOut = 5,
}

/// A failure with its exit status.
#[derive(Debug)]
pub struct Exit {
    /// The status.
    pub status: Status,
    /// The reason.
    pub failure: Failure,
}

impl From<Failure> for Exit {
    fn from(failure: Failure) -> Self {
        Exit { status: Status::Other, failure }
    }
}

fn exit(status: Status, reason: impl fmt::Display) -> Exit {
    Exit { status, failure: Failure(reason.to_string()) }
}

/// Boots on a state file that was checked, and stays until the machine ends.
///
/// # Errors
/// The machine did not end cleanly, and why.
pub fn run(project: &Project, boot: &Boot, settings: &Settings) -> std::result::Result<(), Exit> {
    let state = settings.state_file(project);
    match settings.disk {
        Disk::Written => make_state(&state)?,
        Disk::ReadOnly => require_state(&state)?,
    }
    let mut boot = Boot { reset: OnReset::BootsAgain, disk: settings.disk, ..boot.clone() };
    Line::of(&state).attach(&mut boot);
    let boot = &boot;
    let done = if std::io::stdin().is_terminal() {
        at_terminal(project, boot, &state, settings.timeout)
    } else {
        let machine = Machine::spawn(boot, Some(&state), Echo::Stdout)?;
        script(machine, BufReader::new(std::io::stdin()), settings.timeout.unwrap_or(SCRIPT_TIMEOUT))
    };
    // What the machine has against a state file it says on its console; which file that is, only this side knows.
    done.map_err(|Exit { status, failure }| {
        exit(status, format_args!("{failure}\nthe state file was {}", state.display()))
    })
}

/// Gives QEMU the terminal. A copy of the output shows afterwards whether the kernel panicked.
fn at_terminal(
    project: &Project,
    boot: &Boot,
    state: &Path,
    timeout: Option<Duration>,
) -> std::result::Result<(), Exit> {
    let log = project.target.join("console.log");
    fs::create_dir_all(&project.target).context(project.target.display())?;
    File::create(&log).context(log.display())?;
    let mut command = match timeout {
        // QEMU gives the terminal back when it is asked to end, which a kill would not.
        Some(limit) => {
            let mut command = Command::new("timeout");
            command.args(["--foreground", "--signal=TERM"]).arg(limit.as_secs().to_string());
            let inner = qemu::command(boot, Some(state));
            command.arg(inner.get_program()).args(inner.get_args());
            command
        }
        None => qemu::command(boot, Some(state)),
    };
    command.arg("-chardev").arg(format!("stdio,id=console,signal=off,logfile={}", log.display()));
    command.args(["-serial", "chardev:console"]);
    let status = command.status().context("cannot start qemu-system-x86_64; try `make setup`")?;
    let text = String::from_utf8_lossy(&crate::project::read(&log)?).into_owned();
    match (qemu::panic_text(&text), timeout, status.code()) {
        (Some(text), ..) => Err(stopped(Stopped::Panicked(text), Duration::ZERO)),
        (None, Some(limit), Some(124)) => Err(stopped(Stopped::TimedOut, limit)),
        _ => ended(Outcome::of(status)),
    }
}

/// What the kernel says in each boot.
const BOOTED: &str = "kernel: root task started";
/// What the shell says before it resets the machine.
const REBOOTING: &str = "shell: rebooting";
/// A triple fault, most likely.
const UNASKED: &str = "the machine was reset, and nobody had typed `reboot`";

/// Types each line at the prompt, that of the next boot behind `reboot`, then `shutdown`, and waits for the end, which comes
/// before a line may be typed where the machine ends first.
fn script(
    mut machine: Machine,
    lines: impl BufRead + Send + 'static,
    timeout: Duration,
) -> std::result::Result<(), Exit> {
    let until = Instant::now() + timeout;
    machine.read_typed(lines);
    // Boots that somebody has asked for and that have not begun.
    let mut due = 1;
    let typed = loop {
        let shown = match machine.wait_for(qemu::PROMPT, until) {
            Ok(shown) => shown,
            Err(why) => break Err(why),
        };
        due += shown.matches(REBOOTING).count();
        due = due.checked_sub(shown.matches(BOOTED).count()).ok_or_else(|| exit(Status::Other, UNASKED))?;
        let line = match machine.next_typed(until) {
            Ok(line) => line.context("standard input")?,
            Err(why) => break Err(why),
        };
        // A machine that has just ended says so in the next wait.
        let _ = machine.send_line(line.as_deref().unwrap_or("shutdown"));
        if line.is_none() {
            break Ok(());
        }
    };
    match typed {
        Ok(()) | Err(Stopped::Ended) => match machine.end(until) {
            Ok(status) => ended(Outcome::of(status)),
            Err(why) => Err(stopped(why, timeout)),
        },
        Err(why) => Err(stopped(why, timeout)),
    }
}

/// What a machine that ended by itself means.
fn ended(outcome: Outcome) -> std::result::Result<(), Exit> {
    let status = match outcome {
        Outcome::Halted => Status::Halted,
        Outcome::Failed => Status::NotBooted,
        Outcome::Clean | Outcome::Ended(_) => Status::Other,
    };
    outcome.clean().map_err(|failure| Exit { status, failure })
}

fn stopped(why: Stopped, timeout: Duration) -> Exit {
    match why {
        Stopped::Panicked(text) => exit(Status::Panicked, format_args!("the kernel panicked: {text}")),
        Stopped::TimedOut => {
            let seconds = timeout.as_secs();
            exit(Status::TimedOut, format_args!("the machine did not end within {seconds} s, and was ended"))
        }
        Stopped::Ended => exit(Status::Other, "QEMU ended, and its exit status cannot be told"),
    }
}

/// Boots halted at the first instruction and attaches gdb.
///
/// # Errors
/// gdb is not there.
pub fn gdb(project: &Project, boot: &Boot, settings: &Settings) -> Result<()> {
    let state = settings.state_file(project);
    make_state(&state)?;
    let socket = project.target.join("gdb.socket");
    let _ = fs::remove_file(&socket);
    let mut boot = boot.clone();
    let chardev = format!("socket,path={},server=on,wait=off,id=gdb", socket.display());
    boot.extra.extend(["-S", "-chardev", &chardev, "-gdb", "chardev:gdb"].map(String::from));
    boot.extra.extend(["-monitor".into(), "none".into(), "-D".into(), "/dev/null".into()]);
    let mut command = qemu::command(&boot, Some(&state));
    let log = project.target.join("console.log");
    command.arg("-serial").arg(format!("file:{}", log.display()));
    let mut machine = command.spawn().context("cannot start qemu-system-x86_64; try `make setup`")?;
    println!("the console goes to {}", log.display());
    let mut debugger = Command::new("gdb");
    debugger.arg(project.build.join("kernel.elf")).arg("-ex").arg(format!("target remote {}", socket.display()));
    let done = debugger.status().context("cannot start gdb; `apt-get install gdb`");
    // The debugger may have ended the machine already.
    let _ = machine.kill();
    let _ = machine.wait();
    done.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scratch(name: &str) -> std::path::PathBuf {
        let folder = std::env::temp_dir().join(format!("telos-run-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).expect("a folder");
        folder
    }

    #[test]
    fn a_state_file_is_made_once_and_then_left_alone() {
        let folder = scratch("state");
        let path = folder.join("s.fs");
        make_state(&path).expect("made");
        assert_eq!(fs::metadata(&path).expect("there").len(), STATE_SIZE);
        fs::write(&path, "precious").expect("written");
        make_state(&path).expect("left alone");
        assert_eq!(fs::read(&path).expect("there"), b"precious");
        fs::remove_dir_all(folder).expect("clean up");
    }
}
