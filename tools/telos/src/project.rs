//! Where things are: the source tree, and the two folders that a build writes to.
//!
//! `target/` (or `CARGO_TARGET_DIR`) holds what can be rebuilt at any time, `build/` the results that people use:
//! cells, boot archive, kernel, ISO.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use crate::fail;
use crate::failure::{Context, Result};

/// The source tree and its output folders.
#[derive(Clone, Debug)]
pub struct Project {
    /// The folder of the workspace's Cargo.toml.
    pub root: PathBuf,
    /// Intermediate files.
    pub target: PathBuf,
    /// Results.
    pub build: PathBuf,
}

impl Project {
    /// The project around the current folder: the nearest one upwards with `cfg/boot.toml`. `TELOS_ROOT` overrides it.
    ///
    /// # Errors
    /// There is none.
    pub fn find() -> Result<Project> {
        if let Some(root) = env::var_os("TELOS_ROOT") {
            return Project::at(Path::new(&root), env::var_os("CARGO_TARGET_DIR").map(PathBuf::from));
        }
        let here = env::current_dir().context("cannot tell the current folder")?;
        for folder in here.ancestors() {
            if folder.join("cfg/boot.toml").is_file() {
                return Project::at(folder, env::var_os("CARGO_TARGET_DIR").map(PathBuf::from));
            }
        }
        fail!("no cfg/boot.toml here or above: run this inside the TelOS source tree")
    }

    /// The project at `root`, with its intermediate files in `target` or in the usual place.
    ///
    /// # Errors
    /// The folder is not there.
    pub fn at(root: &Path, target: Option<PathBuf>) -> Result<Project> {
        let root = root.canonicalize().context(format_args!("cannot open {}", root.display()))?;
        let target = target.unwrap_or_else(|| root.join("target"));
        Ok(Project { build: root.join("build"), target, root })
    }

    /// A file of the `cfg` folder.
    pub fn cfg(&self, name: &str) -> PathBuf {
        self.root.join("cfg").join(name)
    }
}

/// Reads a text file.
///
/// # Errors
/// Names the file.
pub fn read_text(path: &Path) -> Result<String> {
    fs::read_to_string(path).context(format_args!("cannot read {}", path.display()))
}

/// Reads a file.
///
/// # Errors
/// Names the file.
pub fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).context(format_args!("cannot read {}", path.display()))
}

/// Writes a file and the folders above it, and leaves it alone if it holds these bytes already, so that cargo sees no
/// change.
///
/// # Errors
/// Names the file.
pub fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    if fs::read(path).is_ok_and(|old| old == bytes) {
        return Ok(());
    }
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).context(format_args!("cannot make {}", folder.display()))?;
    }
    fs::write(path, bytes).context(format_args!("cannot write {}", path.display()))
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
