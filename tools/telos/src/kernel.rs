//! Building the kernel: one static ELF with the public key and the ABI's hash compiled in.

use crate::abi::kernel_abi;
use crate::failure::Result;
use crate::project::{Project, hex, read, write};
use crate::sign;
use crate::toolchain::{TARGET, cargo_build, kernel_flags, run};

/// Builds `build/kernel.elf`.
///
/// # Errors
/// The compiler says no; it has said why.
pub fn build(project: &Project) -> Result<()> {
    let target = project.target.join("kernel");
    let mut command = cargo_build(&project.root, &target, &kernel_flags(project)?);
    command.args(["-p", "nucleus", "--quiet"]);
    command.env("TELOS_PUBLIC_KEY", hex(&sign::key()?.public()));
    command.env("TELOS_KERNEL_ABI", format!("{:016x}", kernel_abi(project)?.hash));
    run(&mut command)?;
    write(&project.build.join("kernel.elf"), &read(&target.join(TARGET).join("release/nucleus"))?)
}
