//! What a process may be given, by name.
//!
//! A capability list in the graph holds names, never handles; only this server, which holds the live tokens, turns a name
//! into a capability, with a badge that tells the servers which process calls: its OID. Badges of services are smaller than
//! any OID.

use abi::token::{All, CallOnly, Cap, Endpoint, Machine};
use abi::{KernelError, slots};
use runtime::Environment;
use spawner::Instance;

const CONSOLE: u32 = slots::FIRST_GRANTED + 3;
const PERSISTENCE: u32 = CONSOLE + 1;
const MEMORY: u32 = CONSOLE + 2;
const PROCESS: u32 = CONSOLE + 3;
const MACHINE: u32 = CONSOLE + 4;

/// The tokens that grants are minted from.
#[derive(Debug)]
pub struct Grants {
    console: Cap<Endpoint, CallOnly>,
    persistence: Cap<Endpoint, CallOnly>,
    memory: Cap<Endpoint, CallOnly>,
    process: Cap<Endpoint, CallOnly>,
    machine: Cap<Machine, All>,
}

/// A name that stands for nothing, or the kernel's refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GrantError {
    /// No capability has this name.
    UnknownName,
    /// The kernel refused.
    Kernel(KernelError),
}

impl Grants {
    /// Takes the tokens out of the environment.
    ///
    /// # Panics
    /// Where one is missing.
    pub fn new(environment: &mut Environment) -> Self {
        Grants {
            console: environment.need(CONSOLE, "the console to grant"),
            persistence: environment.need(PERSISTENCE, "the persistence server to grant"),
            memory: environment.need(MEMORY, "the memory server to grant"),
            process: environment.need(PROCESS, "itself to grant"),
            machine: environment.need(MACHINE, "the machine to grant"),
        }
    }

    /// Grants what a name stands for.
    ///
    /// # Errors
    /// [`GrantError`].
    pub fn grant(&self, instance: &Instance, name: &str, badge: u64) -> Result<(), GrantError> {
        let granted = match name {
            "console" => instance.grant(slots::CONSOLE, &self.console, badge),
            "persistence" => instance.grant(slots::PERSISTENCE, &self.persistence, badge),
            "memory" => instance.grant(slots::MEMORY, &self.memory, badge),
            "process" => instance.grant(slots::PROCESS, &self.process, badge),
            "machine" => instance.grant(slots::FIRST_GRANTED, &self.machine, 0),
            _ => return Err(GrantError::UnknownName),
        };
        granted.map_err(GrantError::Kernel)
    }
}
