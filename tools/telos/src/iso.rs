//! The boot image, and what QEMU needs to know to boot it.
//!
//! One ISO boots under BIOS and UEFI: GRUB loads `/boot/kernel.elf` and the boot archive `/boot/cells.archive`.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::failure::{Context, Result};
use crate::project::{Project, read, read_text, write};
use crate::toolchain::run_quietly;

/// The firmware that a machine starts with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Firmware {
    /// QEMU's own.
    Bios,
    /// OVMF.
    Uefi,
}

/// How a machine counts time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    /// As the host does.
    Host,
    /// By executed instructions: slow, and the same each time.
    Instructions,
}

/// What becomes of a machine that is reset from inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnReset {
    /// It ends, so that a triple fault does not go unnoticed.
    Ends,
    /// It boots again, as a real one does.
    BootsAgain,
}

/// What a machine may do with its state file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disk {
    /// Read and write it.
    Written,
    /// Only read it: what is changed is thrown away at the end.
    ReadOnly,
}

/// What to boot.
#[derive(Clone, Debug)]
pub struct Boot {
    /// The image.
    pub iso: PathBuf,
    /// The firmware.
    pub firmware: Firmware,
    /// The clock.
    pub clock: Clock,
    /// What a reset does.
    pub reset: OnReset,
    /// What it may do with the state file.
    pub disk: Disk,
    /// Further arguments of QEMU.
    pub extra: Vec<String>,
}

impl Boot {
    /// Boots an image as a person would.
    pub fn new(iso: PathBuf, firmware: Firmware) -> Boot {
        Boot { iso, firmware, clock: Clock::Host, reset: OnReset::Ends, disk: Disk::Written, extra: Vec::new() }
    }

    /// The same on a state file that is only read.
    #[must_use]
    pub fn demo(self) -> Boot {
        Boot { disk: Disk::ReadOnly, ..self }
    }

    /// The same with the clock that counts instructions.
    #[must_use]
    pub fn counting(self) -> Boot {
        Boot { clock: Clock::Instructions, ..self }
    }
}

/// Makes an ISO of `build/kernel.elf` and `build/cells.archive`; `build/telos.iso` without a command line.
///
/// # Errors
/// A part is missing, or grub-mkrescue says no.
pub fn make(project: &Project, command_line: &str) -> Result<PathBuf> {
    make_named(project, &command_line.replace([' ', '='], "-"), command_line)
}

/// The same under a name of its own, `build/telos-NAME.iso`: for command lines that differ each time.
///
/// # Errors
/// As [`make`].
pub fn make_named(project: &Project, name: &str, command_line: &str) -> Result<PathBuf> {
    make_of(project, name, command_line, read(&project.build.join("cells.archive"))?)
}

/// The same with another boot archive.
///
/// # Errors
/// As [`make`].
pub fn make_of(project: &Project, name: &str, command_line: &str, archive: Vec<u8>) -> Result<PathBuf> {
    let suffix = if name.is_empty() { String::new() } else { format!("-{name}") };
    let iso = project.build.join(format!("telos{suffix}.iso"));
    let tree = project.target.join(format!("iso{suffix}"));
    let grub = read_text(&project.root.join("grub/grub.cfg"))?.replace("@COMMAND_LINE@", command_line);
    let parts = [
        ("boot/kernel.elf", read(&project.build.join("kernel.elf"))?),
        ("boot/cells.archive", archive),
        ("boot/grub/grub.cfg", grub.into_bytes()),
    ];
    let mut same = iso.is_file();
    for (name, bytes) in parts {
        let path = tree.join(name);
        same &= fs::read(&path).is_ok_and(|old| old == bytes);
        write(&path, &bytes)?;
    }
    if !same {
        // A half-written image must not look finished.
        let fresh = iso.with_extension("new");
        run_quietly(Command::new("grub-mkrescue").arg("-o").arg(&fresh).arg(&tree))?;
        fs::rename(&fresh, &iso).context(format_args!("cannot write {}", iso.display()))?;
    }
    Ok(iso)
}
