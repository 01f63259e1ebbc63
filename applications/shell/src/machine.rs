//! The machine: how it ends, and how long it has run.

use alloc::format;
use alloc::string::String;

use runtime::{objects, say};

use crate::failure::Failure;
use crate::servers::Servers;
use crate::text::{Date, Duration};

/// The code of a clean end.
pub const CLEAN: u64 = 0;
/// The code of an end at once: what was not committed is lost.
pub const UNCLEAN: u64 = 2;

/// Stops the machine at once.
///
/// # Errors
/// [`Failure::NoMachine`]; otherwise it does not return.
pub fn halt(servers: &Servers) -> Result<String, Failure> {
    objects::halt(servers.machine()?, UNCLEAN)
}

/// Ends in order. The store has nothing to flush: what was committed is durable, and nothing else is.
///
/// # Errors
/// [`Failure::NoMachine`]; otherwise it does not return.
pub fn shutdown(servers: &Servers) -> Result<String, Failure> {
    let machine = servers.machine()?;
    say!(servers.console, "shutting down");
    objects::halt(machine, CLEAN)
}

/// How long the machine has run, and the time, both in nanoseconds.
pub fn uptime(monotonic: u64, wall: u64) -> String {
    format!("up {}, {}\n", Duration(monotonic), Date(wall))
}

#[cfg(test)]
mod tests {
    #[test]
    fn uptime_is_one_line() {
        let text = super::uptime(61_000_000_000, 0);
        assert_eq!(text, "up 00:01:01, 1970-01-01 00:00:00 UTC\n");
    }
}
