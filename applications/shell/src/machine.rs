//! The machine: how it ends, and how long it has run.

use alloc::format;
use alloc::string::String;

use runtime::abi::interfaces::process::List;
use runtime::{Call, objects, say};

use crate::failure::{Failure, Server};
use crate::servers::Servers;
use crate::text::{Date, Duration};

/// Nanoseconds that the process server has to finish what it is doing before a shutdown.
const PATIENCE: u64 = 10_000_000_000;
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

/// Ends in order. The store has nothing to flush: what was committed is durable, and nothing else is. The process server may
/// still be about to note how a process ended, without which that process would run again.
///
/// # Errors
/// [`Failure::NoMachine`]; otherwise it does not return.
pub fn shutdown(servers: &Servers) -> Result<String, Failure> {
    let machine = servers.machine()?;
    say!(servers.console, "shutting down");
    finish(servers);
    objects::halt(machine, CLEAN)
}

/// Ends in the same order, and has the machine boot again.
///
/// # Errors
/// As [`shutdown`].
pub fn reboot(servers: &Servers) -> Result<String, Failure> {
    let machine = servers.machine()?;
    say!(servers.console, "rebooting");
    finish(servers);
    objects::reset(machine)
}

/// Lets the process server finish what it is at.
fn finish(servers: &Servers) {
    if let Ok(process) = servers.endpoint(Server::Process) {
        // Its answer tells that it is done; one that does not answer has nothing to be waited for.
        let _ = Call::new(process, List { from: u64::MAX }).timeout(PATIENCE).send();
    }
}

/// How long the machine has run, and the time, both in nanoseconds.
pub fn uptime(monotonic: u64, wall: u64) -> String {
    format!("up {}, {} UTC\n", Duration(monotonic), Date(wall))
}

#[cfg(test)]
mod tests {
    #[test]
    fn uptime_is_one_line() {
        let text = super::uptime(61_000_000_000, 0);
        assert_eq!(text, "up 00:01:01, 1970-01-01 00:00:00 UTC\n");
    }
}
