//! `run`: boot for a person or a script, on a state file that outlives the machine.
//!
//! At a terminal, QEMU has the terminal itself, in raw mode, and gives it back at its end. Otherwise each line of
//! standard input is typed when the prompt shows, and at the end `shutdown`.

use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, ErrorKind, IsTerminal};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::cli::Settings;
use crate::fail;
use crate::failure::{Context, Failure, Result};
use crate::iso::Boot;
use crate::project::Project;
use crate::qemu::{self, Echo, Machine, Outcome};

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

/// Renames a state file to `NAME.old`, unless there is one of that name.
///
/// # Errors
/// It cannot be renamed, or an older one is in the way.
pub fn set_aside(path: &Path) -> Result<()> {
    if !path.exists() {
        return Ok(());
    }
    let mut old = path.as_os_str().to_owned();
    old.push(".old");
    let old = PathBuf::from(old);
    if old.exists() {
        fail!("{} is in the way: remove it if nothing in it matters", old.display());
    }
    fs::rename(path, &old).context(format_args!("cannot rename {}", path.display()))
}

/// Boots and stays until the machine ends.
///
/// # Errors
/// The machine did not end cleanly, and why.
pub fn run(project: &Project, boot: Boot, settings: &Settings) -> Result<()> {
    let state = settings.state_file(project);
    make_state(&state)?;
    let done = if std::io::stdin().is_terminal() {
        at_terminal(project, &boot, &state, settings.timeout)
    } else {
        let machine = Machine::spawn(&boot, Some(&state), Echo::Stdout)?;
        script(machine, std::io::stdin().lock(), settings.timeout.unwrap_or(SCRIPT_TIMEOUT)).and_then(Outcome::clean)
    };
    // What the machine has against a state file it says on its console; which file that is, only this side knows.
    done.map_err(|failure| Failure(format!("{failure}\nthe state file was {}", state.display())))
}

/// Gives QEMU the terminal. A copy of the output shows afterwards whether the kernel panicked.
fn at_terminal(project: &Project, boot: &Boot, state: &Path, timeout: Option<Duration>) -> Result<()> {
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
    if let Some(line) = qemu::panic_line(&text) {
        fail!("the kernel panicked: {line}");
    }
    if let (Some(limit), Some(124)) = (timeout, status.code()) {
        fail!("the machine did not end within {} s", limit.as_secs());
    }
    Outcome::of(status).clean()
}

/// Types each line at the prompt, then `shutdown`, and waits for the end.
fn script(mut machine: Machine, lines: impl BufRead, timeout: Duration) -> Result<Outcome> {
    let until = Instant::now() + timeout;
    let left = || until.saturating_duration_since(Instant::now());
    for line in lines.lines() {
        let line = line.context("standard input")?;
        machine.expect_prompt(left())?;
        machine.send_line(&line)?;
        if line.trim() == "shutdown" {
            return machine.wait(left());
        }
    }
    machine.expect_prompt(left())?;
    machine.send_line("shutdown")?;
    machine.wait(left())
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

    fn scratch(name: &str) -> PathBuf {
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
        set_aside(&path).expect("set aside");
        assert_eq!(fs::read(folder.join("s.fs.old")).expect("there"), b"precious");
        make_state(&path).expect("made again");
        assert!(set_aside(&path).is_err(), "the older one is not overwritten");
        fs::remove_dir_all(folder).expect("clean up");
    }
}
