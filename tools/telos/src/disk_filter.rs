//! Disks that QEMU filters: one whose writes and flushes are recorded, and one that fails at chosen times.

use std::fs::{self, File};
use std::os::unix::net::UnixStream;
use std::path::Path;

use crate::failure::{Context, Result};
use crate::iso::Boot;
use crate::monitor::Monitor;

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
    // The log's head is written with each entry: a guest that never flushes has a log too.
    let mut filter =
        String::from("driver=blklogwrites,node-name=p_disk,file=state,log=log,log-super-update-interval=1");
    if flushes == Flushes::Dropped {
        filter.push_str(",cache.no-flush=on");
    }
    Ok(with(boot, &[file("state", state), file("log", log), filter], "virtio-blk-pci,drive=p_disk,disable-modern=off"))
}

/// What fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transfer {
    /// Reads.
    Read,
    /// Writes.
    Write,
    /// Flushes.
    Flush,
}

/// When it fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// Always.
    Always,
    /// Once, after [`fail_now`].
    OnceAsked,
}

/// A boot whose disk is a state file that fails transfers of a kind, with an error number of the host.
#[must_use]
pub fn failing(boot: &Boot, state: &Path, transfer: Transfer, errno: i32, when: When) -> Boot {
    let (event, kind) = match transfer {
        Transfer::Read => ("read_aio", "read"),
        Transfer::Write => ("write_aio", "write"),
        Transfer::Flush => ("flush_to_disk", "flush"),
    };
    // The filter goes to its second state at a write of zeros, which no driver here makes.
    let (failing, once) = match when {
        When::Always => (1, "off"),
        When::OnceAsked => (2, "on"),
    };
    let debug = format!(
        "driver=blkdebug,node-name=debug,image=state,\
         set-state.0.event=pwritev_zero,set-state.0.state=1,set-state.0.new_state=2,\
         inject-error.0.event={event},inject-error.0.iotype={kind},inject-error.0.errno={errno},\
         inject-error.0.state={failing},inject-error.0.once={once}"
    );
    let top = String::from("driver=raw,node-name=p_disk,file=debug");
    // The guest is told of every error, and the monitor may write beside it.
    let device = "virtio-blk-pci,drive=p_disk,disable-modern=off,werror=report,rerror=report,share-rw=on";
    with(boot, &[file("state", state), debug, top], device)
}

/// Makes the next transfer of the kind fail.
///
/// # Errors
/// The machine has no monitor any more.
pub fn fail_now(monitor: &Monitor) -> Result<UnixStream> {
    // A sector that is always zero.
    monitor.command("qemu-io p_disk \"write -z 512 512\"")
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
