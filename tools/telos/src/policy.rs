//! The compiler wrapper: this binary in the place of `rustc` while cells are built.
//!
//! Cargo runs `telos rustc ARGUMENTS`. For own crates below `cells/` and `applications/` that must do without unsafe
//! code, `-F unsafe_code` is added, which no attribute in the source can take back. Build scripts and procedural
//! macros of own crates are refused, since they would run on the host unseen.

use std::env;
use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use crate::config::Allowed;
use crate::project::Project;

/// Says that this process stands in for the compiler; holds the project's root.
const ROOT: &str = "TELOS_POLICY_ROOT";
/// The own crates that may use unsafe code, separated by spaces.
const MAY_USE_UNSAFE: &str = "TELOS_POLICY_UNSAFE";

/// Puts this binary in front of the compiler of a cargo command.
pub fn install(command: &mut Command, project: &Project, allowed: &Allowed, wrapper: &Path) {
    let names: Vec<&str> = allowed.may_use_unsafe.keys().map(String::as_str).collect();
    command.env("RUSTC_WRAPPER", wrapper).env(ROOT, &project.root).env(MAY_USE_UNSAFE, names.join(" "));
    command.env_remove("RUSTC_WORKSPACE_WRAPPER");
}

/// A compiler flag that changes with the policy, so that cargo builds again what was built under another.
pub fn fingerprint(allowed: &Allowed) -> String {
    let names: Vec<&str> = allowed.may_use_unsafe.keys().map(String::as_str).collect();
    format!("--cfg=telos_policy=\"{:016x}\"", crate::abi::short_hash(names.join(" ").as_bytes()))
}

/// Acts as the compiler if cargo runs this process as one.
pub fn as_compiler() -> Option<ExitCode> {
    let root = PathBuf::from(env::var_os(ROOT)?);
    let mut arguments = env::args_os().skip(1);
    let compiler = arguments.next().filter(|name| Path::new(name).file_stem().is_some_and(|stem| stem == "rustc"))?;
    let arguments: Vec<OsString> = arguments.collect();
    let allowed = env::var(MAY_USE_UNSAFE).unwrap_or_default();
    let package = env::var("CARGO_PKG_NAME").unwrap_or_default();
    let folder = env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from).unwrap_or_default();
    let mut command = Command::new(compiler);
    if is_own(&root, &folder) {
        if let Some(what) = runs_on_host(&arguments) {
            eprintln!("error: {} has a {what}; own crates of cells have none", folder.display());
            return Some(ExitCode::FAILURE);
        }
        if !allowed.split(' ').any(|name| name == package) {
            command.args(["-F", "unsafe_code"]);
        }
    }
    let cause = command.args(arguments).exec();
    eprintln!("error: cannot start the compiler: {cause}");
    Some(ExitCode::FAILURE)
}

fn is_own(root: &Path, folder: &Path) -> bool {
    ["cells", "applications"].iter().any(|room| folder.starts_with(root.join(room)))
}

/// What kind of program for the host the compiler is asked for, if it is.
fn runs_on_host(arguments: &[OsString]) -> Option<&'static str> {
    let pairs = || arguments.iter().zip(arguments.iter().skip(1));
    if pairs().any(|(flag, value)| flag == "--crate-name" && value.to_string_lossy().starts_with("build_script_")) {
        return Some("build script");
    }
    if pairs().any(|(flag, value)| flag == "--crate-type" && value == "proc-macro") {
        return Some("procedural macro");
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_cells_and_applications_are_own() {
        let root = Path::new("/tree");
        assert!(is_own(root, Path::new("/tree/cells/echo")));
        assert!(is_own(root, Path::new("/tree/applications/shell")));
        assert!(!is_own(root, Path::new("/tree/kernel/image")));
        assert!(!is_own(root, Path::new("/tree/target/cells-workspace/echo")));
    }

    #[test]
    fn host_programs_are_told_from_libraries() {
        let arguments = |text: &str| text.split(' ').map(OsString::from).collect::<Vec<_>>();
        assert_eq!(runs_on_host(&arguments("--crate-name build_script_build")), Some("build script"));
        assert_eq!(runs_on_host(&arguments("--crate-name x --crate-type proc-macro")), Some("procedural macro"));
        assert_eq!(runs_on_host(&arguments("--crate-name x --crate-type lib")), None);
    }
}
