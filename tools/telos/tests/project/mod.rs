//! A small source tree to build, from `fixtures/project` and the real tree's `cfg`.
//!
//! All tests of a program share one tree, so that the standard library is built once; each holds the tree while it
//! changes it, and starts from the fixture.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

static TREE: Mutex<()> = Mutex::new(());

/// The tree, held until it is dropped.
pub struct Tree {
    pub root: PathBuf,
    _held: MutexGuard<'static, ()>,
}

impl Tree {
    /// The tree as the fixture has it. Files that did not change are not touched.
    pub fn new() -> Tree {
        let held = TREE.lock().unwrap_or_else(PoisonError::into_inner);
        let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join(env!("CARGO_CRATE_NAME"));
        let mut kept = BTreeSet::new();
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        copy(&here.join("tests/fixtures/project"), &root, &mut kept);
        let cfg = here.join("../../cfg");
        for name in ["cell.ld", "cell_faults.rs.in", "dependencies.toml"] {
            put(&root.join("cfg").join(name), &fs::read(cfg.join(name)).expect("cfg"), &mut kept);
        }
        let mut wrapper = fs::read(cfg.join("cell_wrapper.rs.in")).expect("cfg");
        wrapper.extend(fs::read(root.join("cfg/labels.rs.in")).expect("fixture"));
        put(&root.join("cfg/cell_wrapper.rs.in"), &wrapper, &mut kept);
        for room in ["cells", "applications", "cfg", "kernel"] {
            remove_others(&root.join(room), &kept);
        }
        Tree { root, _held: held }
    }

    /// Adds or replaces a file.
    pub fn write(&self, path: &str, text: &str) {
        put(&self.root.join(path), text.as_bytes(), &mut BTreeSet::new());
    }

    /// Replaces text that must be in a file.
    pub fn edit(&self, path: &str, from: &str, to: &str) {
        let old = fs::read_to_string(self.root.join(path)).expect(path);
        assert!(old.contains(from), "{path} has no {from:?}");
        self.write(path, &old.replace(from, to));
    }

    /// A command of the builder for this tree.
    pub fn telos(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_telos"));
        command.args(arguments).current_dir(&self.root).stdin(Stdio::null());
        command.env("TELOS_ROOT", &self.root).env("CARGO_TARGET_DIR", self.root.join("target"));
        command.env("XDG_CONFIG_HOME", self.root.join("target/config"));
        command.env_remove("STATE").env_remove("TIMEOUT");
        command
    }

    /// Runs a command that must succeed.
    #[allow(dead_code, reason = "each test program uses its part of this module")]
    pub fn ok(&self, arguments: &[&str]) -> String {
        let done = self.telos(arguments).output().expect("telos starts");
        assert!(done.status.success(), "telos {arguments:?}:\n{}", text(&done));
        text(&done)
    }

    /// Runs a command that must fail; returns what it said.
    pub fn fails(&self, arguments: &[&str]) -> String {
        let done = self.telos(arguments).output().expect("telos starts");
        assert!(!done.status.success(), "telos {arguments:?} succeeded:\n{}", text(&done));
        text(&done)
    }

    /// A result of a build.
    #[allow(dead_code, reason = "not every test program looks at one")]
    pub fn built(&self, name: &str) -> Vec<u8> {
        fs::read(self.root.join("build").join(name)).expect(name)
    }
}

pub fn text(done: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr))
}

fn put(path: &Path, bytes: &[u8], kept: &mut BTreeSet<PathBuf>) {
    kept.insert(path.to_owned());
    if fs::read(path).is_ok_and(|old| old == bytes) {
        return;
    }
    fs::create_dir_all(path.parent().expect("a folder")).expect("made");
    fs::write(path, bytes).expect("written");
}

fn copy(from: &Path, to: &Path, kept: &mut BTreeSet<PathBuf>) {
    for entry in fs::read_dir(from).expect("fixture") {
        let path = entry.expect("fixture").path();
        let to = to.join(path.file_name().expect("a name"));
        if path.is_dir() {
            copy(&path, &to, kept);
        } else {
            put(&to, &fs::read(&path).expect("fixture"), kept);
        }
    }
}

fn remove_others(folder: &Path, kept: &BTreeSet<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for entry in entries {
        let path = entry.expect("tree").path();
        if path.is_dir() {
            remove_others(&path, kept);
            // Fails if it is not empty.
            let _ = fs::remove_dir(&path);
        } else if !kept.contains(&path) {
            fs::remove_file(&path).expect("removed");
        }
    }
}
