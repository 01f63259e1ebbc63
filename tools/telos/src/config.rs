//! The hand-written configuration: the boot set and the lists of what is allowed.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::failure::{Context, Result};
use crate::project::{Project, read_text};

/// One cell of the boot set; `cfg/boot.toml` says what each field means.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the file documents its fields")]
pub struct Cell {
    pub name: String,
    pub path: String,
    pub heap: u64,
    pub stack: u64,
    pub slots: u32,
    #[serde(default)]
    pub image: Option<String>,
    #[serde(default)]
    pub capabilities: Vec<String>,
    #[serde(default)]
    pub schema: u32,
    #[serde(default)]
    pub readable: Vec<u32>,
    #[serde(default)]
    pub interface: Option<String>,
    #[serde(default)]
    pub test: bool,
    #[serde(default)]
    pub faults: bool,
}

impl Cell {
    /// The name in its manifest.
    #[must_use]
    pub fn image_name(&self) -> &str {
        self.image.as_deref().unwrap_or(&self.name)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BootSet {
    cell: Vec<Cell>,
}

/// What `cfg/dependencies.toml` allows; each value is the reason.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Allowed {
    /// Crates from the registry that may be in a cell.
    pub crates: BTreeMap<String, String>,
    /// Own crates that may use `unsafe`.
    #[serde(rename = "unsafe")]
    pub may_use_unsafe: BTreeMap<String, String>,
    /// Crates whose build script may run.
    #[serde(rename = "build-scripts")]
    pub build_scripts: BTreeMap<String, String>,
}

/// The cells of the boot archive, in boot order.
///
/// # Errors
/// The file cannot be read, names a cell twice, or gives fault stubs to a cell that is not for tests.
pub fn boot_set(project: &Project) -> Result<Vec<Cell>> {
    let path = project.cfg("boot.toml");
    let set: BootSet = toml::from_str(&read_text(&path)?).context(path.display())?;
    for (index, cell) in set.cell.iter().enumerate() {
        if set.cell.iter().take(index).any(|other| other.name == cell.name) {
            crate::fail!("{}: the cell {} is there twice", path.display(), cell.name);
        }
        if cell.faults && !cell.test {
            crate::fail!("{}: the cell {} has `faults` without `test`: it is not for tests", path.display(), cell.name);
        }
    }
    Ok(set.cell)
}

/// What cells may depend on.
///
/// # Errors
/// The file cannot be read, or an entry has no reason.
pub fn allowed(project: &Project) -> Result<Allowed> {
    let path = project.cfg("dependencies.toml");
    let allowed: Allowed = toml::from_str(&read_text(&path)?).context(path.display())?;
    for (name, reason) in allowed.crates.iter().chain(&allowed.may_use_unsafe).chain(&allowed.build_scripts) {
        if reason.trim().is_empty() {
            crate::fail!("{}: {name} has no reason", path.display());
        }
    }
    Ok(allowed)
}

/// A test that runs inside the machine.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum MachineTest {
    /// The word of the kernel's command line that chooses tests which print a line each, and totals.
    Totals(String),
    /// A failure that must stop the machine.
    Stop(Stop),
}

/// A failure of the kernel that a word of its command line brings about.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stop {
    /// The word.
    pub word: String,
    /// What the report must say, in this order; the first on its first line.
    pub says: Vec<String>,
    /// What the runner adds to bring it about.
    pub inject: Option<Inject>,
}

/// A command for the emulator's monitor.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Inject {
    /// What the machine prints when the time has come.
    pub after: String,
    /// The command.
    pub command: String,
}

/// The tests that run inside the machine, by their names.
///
/// # Errors
/// `cfg/machine-tests.toml` cannot be read.
pub fn machine_tests(project: &Project) -> Result<BTreeMap<String, MachineTest>> {
    let path = project.cfg("machine-tests.toml");
    toml::from_str(&read_text(&path)?).context(path.display())
}
