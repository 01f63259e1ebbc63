//! Programs: what is typed at the prompt and is no command.
//!
//! The language's session lives as long as the shell. Its lobby is an object of the graph, in which names of the prompt are
//! kept. A line is a transaction, unless a program has begun one: that one is open until it says so.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;

use clients::Graph;
use language::{Error, Limits, Outcome, Session};
use object_host::{Endpoints, GraphStore, ServerHost};
use object_model::Oid;
use runtime::abi::interfaces::console::Interrupts;
use runtime::abi::interfaces::memory::AllocateObject;
use runtime::abi::kernel::Kind;
use runtime::abi::token::{All, CallOnly, Cap, Endpoint, Notification};
use runtime::{Buf, Call, abi, objects};

use crate::failure::{Failure, Server};
use crate::records::{self, Records};
use crate::servers::Servers;
use crate::text::Plain;

/// The size of the memory that records travel through, as a power of two: what is longer cannot be read by programs.
const RECORD_BITS: u64 = 21;
/// What one line may take. The heap is that of the cell, see `cfg/boot.toml`; fuel lasts for about a minute.
const LIMITS: Limits = Limits { fuel: 1 << 31, depth: 10_000, stack: 1 << 18, memory: 1 << 19, garbage: 1 << 16 };
/// The slot of the root that names the lobby.
pub const LOBBY: &str = "lobby";

/// The language, as the shell has it.
pub struct Workspace {
    session: Session,
    store: GraphStore<Graph>,
    host: ServerHost<Box<dyn FnMut() -> bool>>,
    /// What Ctrl-C signals.
    interrupts: Cap<Notification, All>,
}

impl Workspace {
    /// A session over the servers. No transaction may be open: what is allocated here lives as long as the shell.
    ///
    /// # Errors
    /// Those of the calls; a server is not granted.
    pub fn new(servers: &mut Servers, records: &mut Records) -> Result<Self, Failure> {
        let root = records::root(servers)?;
        let lobby = records.object(servers, root)?.reference(LOBBY).unwrap_or(Oid::new(root));
        let cnode = &servers.cnode;
        let buf = Buf::map(allocate(servers, Kind::Buf, RECORD_BITS)?, &servers.vspace).map_err(Failure::Kernel)?;
        let interrupts: Cap<Notification, All> = allocate(servers, Kind::Notification, 0)?;
        let heard: Cap<Notification, All> = objects::duplicate(&interrupts, cnode, 0).map_err(Failure::Kernel)?;
        let copy = |endpoint: Result<&Cap<Endpoint, CallOnly>, Failure>| match endpoint {
            Ok(endpoint) => objects::duplicate(endpoint, cnode, 0).map(Some).map_err(Failure::Kernel),
            Err(_) => Ok(None),
        };
        let endpoints = Endpoints {
            persistence: copy(servers.endpoint(Server::Persistence))?,
            memory: copy(servers.endpoint(Server::Memory))?,
            process: copy(servers.endpoint(Server::Process))?,
        };
        let graph = objects::duplicate(servers.endpoint(Server::Persistence)?, cnode, 0).map_err(Failure::Kernel)?;
        let Some(own) = servers.take_cnode() else { return Err(Failure::Kernel(abi::KernelError::TableFull)) };
        let interrupted: Box<dyn FnMut() -> bool> = Box::new(move || objects::wait(&heard, 0).is_ok());
        let mut session = Session::new(Some(lobby), LIMITS);
        session.keep_names();
        Ok(Workspace {
            session,
            store: GraphStore::new(Graph::new(graph, Some(buf))),
            host: ServerHost::new(endpoints, own, interrupted),
            interrupts,
        })
    }

    /// Whether a transaction is open that outlives its line.
    pub fn is_in_transaction(&self) -> bool {
        self.session.is_in_transaction()
    }

    /// Runs a program, which Ctrl-C ends. What it printed.
    ///
    /// # Errors
    /// What the language says.
    pub fn run(&mut self, servers: &Servers, source: &str) -> Result<String, Error> {
        // A signal that nobody took was meant for an earlier program.
        let _ = objects::wait(&self.interrupts, 0);
        let signal = objects::duplicate::<_, _, CallOnly>(&self.interrupts, &servers.cnode, 0);
        if let (Some(console), Ok(signal)) = (servers.console.endpoint(), signal) {
            // A console that does not look for Ctrl-C leaves the fuel to end what runs away.
            let _ = Call::new(console, Interrupts {}).grant(signal).send();
        }
        self.store.set_purpose(source);
        self.session.run_source(&mut self.store, &mut self.host, source).map(|outcome| shown(&outcome))
    }
}

/// An object of the memory server's, without a transaction around it.
fn allocate<T: abi::token::Object>(servers: &Servers, kind: Kind, size_bits: u64) -> Result<Cap<T, All>, Failure> {
    let wish = AllocateObject { kind: kind as u64, size_bits };
    let memory = servers.endpoint(Server::Memory)?;
    let answered = Call::new(memory, wish).send().map_err(|error| Failure::Call(Server::Memory, error))?;
    let granted = answered.granted.ok_or(Failure::BadReply(Server::Memory))?;
    granted.claim(&servers.cnode).map_err(Failure::Kernel)
}

/// What a program came to, as it is printed.
fn shown(outcome: &Outcome) -> String {
    match &outcome.lines {
        Some(lines) => plain(lines),
        None if outcome.is_something => plain(&outcome.text),
        None => String::new(),
    }
}

/// Lines that do not control the terminal.
pub fn plain(text: &str) -> String {
    text.lines().map(|line| format!("{}\n", Plain(line))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(text: &str, is_something: bool, lines: Option<&str>) -> Outcome {
        Outcome { text: text.into(), is_something, lines: lines.map(String::from), is_in_transaction: false }
    }

    #[test]
    fn values_are_printed_and_nothing_is_not() {
        assert_eq!(shown(&outcome("42", true, None)), "42\n");
        assert_eq!(shown(&outcome("nil", false, None)), "");
        assert_eq!(shown(&outcome("'a\\nb'", true, Some("a\nb"))), "a\nb\n");
    }

    #[test]
    fn what_a_program_prints_does_not_control_the_terminal() {
        assert_eq!(plain("a\x1b[2J\nb"), "a\u{fffd}[2J\nb\n");
    }
}
