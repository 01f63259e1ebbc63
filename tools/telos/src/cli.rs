//! The command line: one command, and the variables that the Makefile hands on in the environment.

use std::env;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use crate::failure::{Context, Result};
use crate::iso::{Boot, Firmware};
use crate::project::Project;
use crate::toolchain::{self, TARGET};
use crate::{bench, cells, fail, iso, kernel, run, test};

const HELP: &str = "\
telos COMMAND

  build        build kernel, cells and boot archive, and the ISO
  run          build and boot; a script on standard input is typed line by line
  fresh        as run, with a new state file; the old one is kept as STATE.old
  test         host tests, in-kernel tests, a boot under UEFI, scenario tests
  test-reboot  the scenario that spans a reboot; with STATE= only its second half
  bench        count instructions in the emulator
  iso          build build/telos.iso
  gdb          boot halted and attach gdb
  cell NAME    what a built cell says about itself
  fmt, lint, doc

Environment: STATE (state file, default telos_state.fs), TIMEOUT (seconds), TELOS_ROOT (source tree).";

/// What the environment says.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The state file; `None` if none was named.
    pub state: Option<PathBuf>,
    /// When to give up.
    pub timeout: Option<Duration>,
}

impl Settings {
    fn read() -> Result<Settings> {
        let timeout = match env::var("TIMEOUT").ok().filter(|text| !text.is_empty()) {
            Some(text) => Some(Duration::from_secs(text.parse().context("TIMEOUT must be a number of seconds")?)),
            None => None,
        };
        Ok(Settings { state: env::var_os("STATE").filter(|path| !path.is_empty()).map(PathBuf::from), timeout })
    }

    /// The state file, the usual one if none was named.
    pub fn state_file(&self, project: &Project) -> PathBuf {
        self.state.clone().unwrap_or_else(|| project.root.join("telos_state.fs"))
    }
}

/// Carries out a command line.
///
/// # Errors
/// What went wrong, for the person at the terminal.
pub fn run(arguments: impl Iterator<Item = String>) -> Result<()> {
    let arguments: Vec<String> = arguments.collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let settings = Settings::read()?;
    match words.as_slice() {
        [] | ["help" | "--help" | "-h"] => {
            println!("{HELP}");
            Ok(())
        }
        ["build" | "iso"] => build(&Project::find()?, "").map(drop),
        ["cells"] => cells::build(&Project::find()?),
        ["kernel"] => kernel::build(&Project::find()?),
        ["cell", name] => cells::show(&Project::find()?, name),
        ["run"] => {
            let project = Project::find()?;
            let boot = build(&project, "")?;
            run::run(&project, boot, &settings)
        }
        ["fresh"] => {
            let project = Project::find()?;
            let boot = build(&project, "")?;
            run::set_aside(&settings.state_file(&project))?;
            run::run(&project, boot, &settings)
        }
        ["gdb"] => {
            let project = Project::find()?;
            let boot = build(&project, "")?;
            run::gdb(&project, &boot, &settings)
        }
        ["bench"] => bench::run(&Project::find()?),
        ["test"] => test::all(&Project::find()?, &settings),
        ["test", "host"] => test::host_only(&Project::find()?),
        ["test", "machine"] => test::machine_only(&Project::find()?, None),
        ["test", "machine", name] => test::machine_only(&Project::find()?, Some(name)),
        ["test-reboot"] => test::reboot(&Project::find()?, &settings),
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
