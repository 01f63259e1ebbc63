//! QEMU's monitor: what happens to a machine from outside, its hardware's failures for one.

use std::fs;
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::failure::{Context, Result};
use crate::iso::Boot;

/// A machine check of the kind that ends the kernel: an internal parity error that bank 1 reports, at an address.
pub const MACHINE_CHECK: &str = "mce 0 1 0xb400000000000005 4 0x1234 0";

/// The socket of a monitor, which is gone when this is dropped.
pub struct Monitor {
    path: PathBuf,
}

impl Monitor {
    /// Gives the machines of a boot a monitor.
    pub fn attach(boot: &mut Boot) -> Monitor {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        // A socket's name must be short, which the project's folder may not be.
        let name = format!("telos-monitor-{}-{}", process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        let device = format!("socket,id=monitor,path={},server=on,wait=off", path.display());
        boot.extra.extend(["-chardev", &device, "-mon", "chardev=monitor"].map(String::from));
        Monitor { path }
    }

    /// Gives a command. What comes back keeps the line open: what hangs up may not be heard.
    ///
    /// # Errors
    /// The machine has no monitor any more.
    pub fn command(&self, command: &str) -> Result<UnixStream> {
        let mut stream = UnixStream::connect(&self.path).context("QEMU's monitor")?;
        writeln!(stream, "{command}").context("QEMU's monitor")?;
        Ok(stream)
    }
}

impl Drop for Monitor {
    fn drop(&mut self) {
        // QEMU removes it too, unless it is killed.
        let _ = fs::remove_file(&self.path);
    }
}
