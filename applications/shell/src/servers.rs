//! What the shell may call.

use abi::slots;
use abi::token::{All, CNode, CallOnly, Cap, Endpoint, Machine, VSpace};
use runtime::{Console, Environment, abi};

use crate::failure::{Failure, Server};

/// The machine, if it was granted.
const MACHINE: u32 = slots::FIRST_GRANTED;

/// The capabilities of the shell.
#[derive(Debug)]
pub struct Servers {
    /// The console, for output; its endpoint is there.
    pub console: Console,
    /// The cell's own CNode.
    pub cnode: Cap<CNode, All>,
    /// The same, for whoever needs one to keep.
    cnode_again: Option<Cap<CNode, All>>,
    /// Its own VSpace.
    pub vspace: Cap<VSpace, All>,
    persistence: Option<Cap<Endpoint, CallOnly>>,
    memory: Option<Cap<Endpoint, CallOnly>>,
    process: Option<Cap<Endpoint, CallOnly>>,
    machine: Option<Cap<Machine, All>>,
}

impl Servers {
    /// Takes them from their slots.
    ///
    /// # Panics
    /// Without CNode, VSpace or console.
    pub fn new(mut environment: Environment) -> Self {
        let console = environment.need(slots::CONSOLE, "the console");
        Servers {
            console: Console::new(Some(console), "shell"),
            cnode_again: Some(environment.cnode_again()),
            cnode: environment.cnode(),
            vspace: environment.need(slots::VSPACE, "its VSpace"),
            persistence: environment.take(slots::PERSISTENCE),
            memory: environment.take(slots::MEMORY),
            process: environment.take(slots::PROCESS),
            machine: environment.take(MACHINE),
        }
    }

    /// A second capability to the cell's own CNode, once.
    pub fn take_cnode(&mut self) -> Option<Cap<CNode, All>> {
        self.cnode_again.take()
    }

    /// A server's endpoint.
    ///
    /// # Errors
    /// [`Failure::NoServer`].
    pub fn endpoint(&self, server: Server) -> Result<&Cap<Endpoint, CallOnly>, Failure> {
        let endpoint = match server {
            Server::Persistence => &self.persistence,
            Server::Memory => &self.memory,
            Server::Process => &self.process,
        };
        endpoint.as_ref().ok_or(Failure::NoServer(server))
    }

    /// The machine.
    ///
    /// # Errors
    /// [`Failure::NoMachine`].
    pub fn machine(&self) -> Result<&Cap<Machine, All>, Failure> {
        self.machine.as_ref().ok_or(Failure::NoMachine)
    }
}
