//! The compiler, its flags and the other programs that a build runs.
//!
//! Flags are those that both known toolchains take: rustup's pinned release and Debian's `rustc-web`. Nothing here
//! uses `+toolchain` syntax, which only rustup's proxies know.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::fail;
use crate::failure::{Context, Result};
use crate::project::Project;

/// The target of kernel and cells.
pub const TARGET: &str = "x86_64-unknown-none";

const COMMON: &[&str] = &[
    "-Crelocation-model=static",
    "-Ccode-model=kernel",
    "-Cforce-frame-pointers=yes",
    "-Csymbol-mangling-version=v0",
    // The other implementations use vector registers, which neither kernel nor cells save.
    "--cfg=sha2_backend=\"soft\"",
];

/// The flags of the kernel.
pub fn kernel_flags(project: &Project) -> Result<Vec<String>> {
    let mut flags = common(project)?;
    flags.extend(["-Clinker=ld", "-Clinker-flavor=ld"].map(String::from));
    flags.push(format!("-Clink-arg=-T{}", project.cfg("kernel.ld").display()));
    Ok(flags)
}

/// The flags of the cells: no linker, and no table of addresses for calls to functions of the kernel.
pub fn cell_flags(project: &Project) -> Result<Vec<String>> {
    let mut flags = common(project)?;
    flags.extend(["-Zplt=yes", "-Cembed-bitcode=yes"].map(String::from));
    Ok(flags)
}

/// The common flags, and names for folders that do not depend on where the tree lies: a build is the same anywhere.
fn common(project: &Project) -> Result<Vec<String>> {
    let mut flags: Vec<String> = COMMON.iter().map(|flag| String::from(*flag)).collect();
    let sysroot = output(Command::new("rustc").args(["--print", "sysroot"]).current_dir(&project.root))?;
    flags.push(format!("--remap-path-prefix={}=telos", project.root.display()));
    flags.push(format!("--remap-path-prefix={}/lib/rustlib/src/rust=rust", sysroot.trim()));
    let home = std::env::var("CARGO_HOME").or_else(|_| std::env::var("HOME").map(|home| format!("{home}/.cargo")));
    if let Ok(home) = home {
        flags.push(format!("--remap-path-prefix={home}/registry/src=crates"));
    }
    Ok(flags)
}

/// The flags without what depends on the machine, for the manifest's hash.
pub fn flags_identity(flags: &[String]) -> String {
    let kept: Vec<&str> =
        flags.iter().filter(|flag| !flag.starts_with("--remap-path-prefix")).map(String::as_str).collect();
    kept.join(" ")
}

/// A `cargo build --release` for kernel or cells with the standard library built alongside.
pub fn cargo_build(folder: &Path, target_dir: &Path, flags: &[String]) -> Command {
    let mut command = Command::new("cargo");
    command.current_dir(folder).args(["build", "--release", "--target", TARGET]);
    command.args(["-Zbuild-std=core,alloc,compiler_builtins", "-Zbuild-std-features=compiler-builtins-mem"]);
    command.arg("--target-dir").arg(target_dir);
    command.env("RUSTC_BOOTSTRAP", "1").env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}"));
    command.env_remove("RUSTFLAGS").env_remove("CARGO_TARGET_DIR");
    command
}

/// What the compiler calls itself.
///
/// # Errors
/// There is no compiler.
pub fn compiler(project: &Project) -> Result<String> {
    Ok(output(Command::new("rustc").arg("--version").current_dir(&project.root))?.trim().to_owned())
}

/// Runs a program and shows what it prints.
///
/// # Errors
/// It cannot be started, or says that it failed.
pub fn run(command: &mut Command) -> Result<()> {
    let name = command.get_program().to_string_lossy().into_owned();
    let status =
        command.stdin(Stdio::null()).status().context(format_args!("cannot start {name}; try `make setup`"))?;
    if !status.success() {
        fail!("{name} failed ({status})");
    }
    Ok(())
}

/// Runs a program whose output is shown only if it fails.
///
/// # Errors
/// It cannot be started, or says that it failed; the failure holds what it printed.
pub fn run_quietly(command: &mut Command) -> Result<()> {
    output(command).map(drop)
}

/// Runs a program and returns what it prints on standard output.
///
/// # Errors
/// It cannot be started, or says that it failed; the failure holds what it printed.
pub fn output(command: &mut Command) -> Result<String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let done = command.stdin(Stdio::null()).output().context(format_args!("cannot start {name}; try `make setup`"))?;
    let text = String::from_utf8_lossy(&done.stdout).into_owned();
    if !done.status.success() {
        fail!("{name} failed ({})\n{text}{}", done.status, String::from_utf8_lossy(&done.stderr));
    }
    Ok(text)
}
