//! Disks that QEMU filters: one whose writes and flushes are recorded, and one that fails at chosen times.

use std::fs::{self, File};
use std::path::Path;

use crate::failure::{Context, Result};
use crate::iso::Boot;

/// Whether flushes of the guest reach what is recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flushes {
    /// They do.
    Reach,
    /// The guest is told that they did, and they do not: what a lying disk does, or a driver that forgets them. For tests that must
    /// notice it.
    Dropped,
}

/// A boot whose disk is a state file, with a log of every write and flush in the format of `dm-log-writes`. A log of an earlier
/// boot is overwritten.
///
/// # Errors
/// The log cannot be made.
pub fn recorded(boot: &Boot, state: &Path, log: &Path, flushes: Flushes) -> Result<Boot> {
    let _ = fs::remove_file(log);
    File::create(log).context(log.display())?;
    let mut filter = String::from("driver=blklogwrites,node-name=p_disk,file=state,log=log");
    if flushes == Flushes::Dropped {
        // The log's head is written with each flush, or else after so many entries.
        filter.push_str(",cache.no-flush=on,log-super-update-interval=1");
    }
    Ok(with(boot, &[file("state", state), file("log", log), filter], "virtio-blk-pci,drive=p_disk,disable-modern=off"))
}

/// A boot with these block nodes and this device. It is started without a state file of its own.
fn with(boot: &Boot, nodes: &[String], device: &str) -> Boot {
    let mut boot = boot.clone();
    for node in nodes {
        boot.extra.extend(["-blockdev".into(), node.clone()]);
    }
    boot.extra.extend(["-device".into(), device.into()]);
    boot
}

fn file(name: &str, path: &Path) -> String {
    format!("driver=file,node-name={name},filename={}", path.display().to_string().replace(',', ",,"))
}
