//! The command line: one command, and the variables that the Makefile hands on in the environment.

use std::env;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use crate::failure::{Context, Result};
use crate::iso::{Boot, Disk, Firmware};
use crate::project::Project;
use crate::run::Exit;
use crate::toolchain::{self, TARGET};
use crate::{bench, cells, crash_test, fail, iso, kernel, mutants, new_cell, push, run, state_file, test};

const HELP: &str = "\
telos COMMAND

  build        build kernel, cells and boot archive, and the ISO
  run          build and boot; a script on standard input is typed line by line
  fresh        delete the state file; `run` then makes a new one
  test         host tests, in-kernel tests, a boot under UEFI, scenario tests
  test host    host tests alone
  test NAME    the tests in the machine and the scenarios whose names contain that
  soak         the tests with long counts, among them 10,000 kills, 50 of whole machines, and the mutants
  crash-test [--seed N] [--states N] [--commits N]
               millions of power cuts of the store, on every core, and all of a machine's disk under load
  mutants      takes each check in the path of a call out of a copy of the tree: a test must turn red
  mutants WORD those in whose description the word stands
  test-reboot  the scenario that spans a reboot; with STATE= only its second half
  bench        count instructions in the emulator
  iso          build build/telos.iso
  gdb          boot halted and attach gdb
  push CELL    build a cell and send its image to the system that runs on the state file
  new-cell NAME  a small server to begin from, in cells/NAME
  cell NAME    what a built cell says about itself
  fmt, lint, doc

Environment: STATE (state file, default telos_state.fs), DEMO (1: run only reads the state file, and throws away what is changed),
TIMEOUT (seconds), TELOS_ROOT (source tree).

Exit status of run: 0 after `shutdown` or the end of input, 2 after `halt` (at once, unclean), 3 after a kernel panic, 4 where the
system could not be built, 5 where TIMEOUT passed, 1 for anything else. The reason goes to standard error. make itself exits with
2 for all of them and prints the status behind `Error`.";

/// What the environment says.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The state file; `None` if none was named.
    pub state: Option<PathBuf>,
    /// When to give up.
    pub timeout: Option<Duration>,
    /// What `run` may do with the state file.
    pub disk: Disk,
}

impl Settings {
    fn read() -> Result<Settings> {
        let timeout = match env::var("TIMEOUT").ok().filter(|text| !text.is_empty()) {
            Some(text) => Some(Duration::from_secs(text.parse().context("TIMEOUT must be a number of seconds")?)),
            None => None,
        };
        let state = env::var_os("STATE").filter(|path| !path.is_empty()).map(PathBuf::from);
        let disk = match env::var("DEMO").as_deref() {
            Err(_) | Ok("" | "0") => Disk::Written,
            Ok("1") => Disk::ReadOnly,
            Ok(other) => {
                fail!("DEMO={other} means nothing: DEMO=1 boots on top of a state and throws the changes away")
            }
        };
        Ok(Settings { state, timeout, disk })
    }

    /// The state file, the usual one if none was named.
    pub fn state_file(&self, project: &Project) -> PathBuf {
        self.state.clone().unwrap_or_else(|| project.root.join("telos_state.fs"))
    }
}

/// Carries out a command line.
///
/// # Errors
/// What went wrong, for the person at the terminal, with the exit status.
pub fn run(arguments: impl Iterator<Item = String>) -> std::result::Result<(), Exit> {
    let arguments: Vec<String> = arguments.collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let settings = Settings::read()?;
    if words == ["run"] {
        let project = Project::find()?;
        // Before the build, which may take long.
        state_file::check(&settings.state_file(&project))?;
        let boot = build(&project, "")?;
        return run::run(&project, &boot, &settings);
    }
    Ok(others(&words, &settings)?)
}

/// The commands whose failures have one exit status.
fn others(words: &[&str], settings: &Settings) -> Result<()> {
    match words {
        [] | ["help" | "--help" | "-h"] => {
            println!("{HELP}");
            Ok(())
        }
        ["build" | "iso"] => build(&Project::find()?, "").map(drop),
        ["cells"] => cells::build(&Project::find()?),
        ["kernel"] => kernel::build(&Project::find()?),
        ["cell", name] => cells::show(&Project::find()?, name),
        ["push"] => fail!("which cell? type `make push CELL=memory`"),
        ["push", cell] => {
            let project = Project::find()?;
            push::push(&project, cell, &settings.state_file(&project))
        }
        ["new-cell"] => fail!("what is it to be named? type for example `make new-cell NAME=greeter`"),
        ["new-cell", name] => {
            println!("{}", new_cell::create(&Project::find()?, name)?);
            Ok(())
        }
        ["fresh"] => {
            println!("{}", state_file::delete(&settings.state_file(&Project::find()?))?);
            Ok(())
        }
        ["gdb"] => {
            let project = Project::find()?;
            let boot = build(&project, "")?;
            run::gdb(&project, &boot, settings)
        }
        ["bench"] => bench::run(&Project::find()?),
        ["test"] => test::all(&Project::find()?, settings),
        ["test", "host"] => test::host_only(&Project::find()?),
        ["test", name] => test::scenarios_named(&Project::find()?, name),
        ["soak"] => test::soak(&Project::find()?),
        ["crash-test", options @ ..] => {
            let options = crash_test::Options::read(options)?;
            crash_test::run(&Project::find()?, options)
        }
        ["mutants"] => mutants::run(&Project::find()?, "")?.report(),
        ["mutants", word] => mutants::run(&Project::find()?, word)?.report(),
        ["test-reboot"] => test::reboot(&Project::find()?, settings),
        ["fmt"] => cargo(&Project::find()?, &["fmt", "--all"]),
        ["lint"] => lint(&Project::find()?),
        ["doc"] => cargo(&Project::find()?, &["doc", "--workspace", "--no-deps", "--document-private-items"]),
        [other, ..] => fail!("no command `{other}` with these arguments\n\n{HELP}"),
    }
}

/// Builds everything, and an ISO whose kernel gets `command_line`.
///
/// # Errors
/// The first step that says no.
pub fn build(project: &Project, command_line: &str) -> Result<Boot> {
    cells::build(project)?;
    kernel::build(project)?;
    let iso = iso::make(project, command_line)?;
    Ok(Boot::new(iso, Firmware::Bios))
}

fn cargo(project: &Project, arguments: &[&str]) -> Result<()> {
    toolchain::run(Command::new("cargo").args(arguments).current_dir(&project.root))
}

/// Formatting, and clippy: host crates for the host, the kernel for its target.
fn lint(project: &Project) -> Result<()> {
    cargo(project, &["fmt", "--all", "--check"])?;
    let mut command = Command::new("cargo");
    command.current_dir(&project.root).args(["clippy", "--workspace", "--all-targets"]);
    for name in test::not_for_host(project)? {
        command.args(["--exclude", &name]);
    }
    toolchain::run(command.args(["--", "-D", "warnings"]))?;
    let flags = toolchain::kernel_flags(project)?;
    let mut command = Command::new("cargo");
    command.current_dir(&project.root).args(["clippy", "-p", "nucleus", "--target", TARGET]);
    command.args(["-Zbuild-std=core,alloc,compiler_builtins", "--target-dir"]).arg(project.target.join("kernel"));
    command.env("RUSTC_BOOTSTRAP", "1").env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}"));
    toolchain::run(command.args(["--", "-D", "warnings"]))
}

#[cfg(test)]
mod tests {
    use super::HELP;
    use crate::run::Status;

    #[test]
    fn the_help_tells_every_exit_status_of_run() {
        let told: String = HELP.split("Exit status of run:").nth(1).unwrap_or_default().into();
        let statuses = [Status::Other, Status::Halted, Status::Panicked, Status::NotBooted, Status::TimedOut];
        for status in statuses {
            assert!(
                told.contains(&format!(" {} ", status as u8)) || told.contains(&format!("\n{} ", status as u8)),
                "{status:?}"
            );
        }
    }
}
