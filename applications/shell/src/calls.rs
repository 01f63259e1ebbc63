//! Calls of servers that were started as processes, and the priority of processes.

use alloc::format;
use alloc::string::String;

use runtime::abi::interfaces::process::{Connect, NO_SUCH_PROCESS, SERVES_NOBODY, SetPriority};
use runtime::abi::token::{CallOnly, Cap, Endpoint};
use runtime::abi::{CallError, KernelError};
use runtime::{Call, call_label, objects};

use crate::command::Target;
use crate::directory;
use crate::failure::{Failure, Server};
use crate::nearest::nearest;
use crate::processes;
use crate::records::Records;
use crate::servers::Servers;
use crate::text::{Oid, Plain};

/// Nanoseconds in which a server has to answer.
const PATIENCE: u64 = 10_000_000_000;

/// Calls a label of the process that serves under a name, with words; shows the word that it answers.
///
/// # Errors
/// Those of the calls; `NoProcess`, `ServesNobody`, `Refused`.
pub fn call(
    servers: &Servers,
    records: &mut Records,
    name: &str,
    label: u32,
    words: [u64; 3],
) -> Result<String, Failure> {
    let endpoint = connect(servers, records, name)?;
    let answered = call_label(&endpoint, label, words, PATIENCE);
    objects::delete(endpoint);
    match answered {
        Ok(value) => Ok(format!("{value}\n")),
        Err(CallError::Server(code, detail)) => Err(Failure::Refused { name: name.into(), code, detail }),
        Err(CallError::Kernel(KernelError::UnknownLabel, _)) => Err(Failure::NoLabel { name: name.into(), label }),
        Err(CallError::Kernel(error, _)) => Err(Failure::Unanswered { name: name.into(), error }),
        Err(CallError::Malformed) => Err(Failure::Refused { name: name.into(), code: 0, detail: 0 }),
    }
}

fn connect(servers: &Servers, records: &mut Records, name: &str) -> Result<Cap<Endpoint, CallOnly>, Failure> {
    let process = servers.endpoint(Server::Process)?;
    match Call::new(process, Connect {}).bytes(name.as_bytes()).send() {
        Ok(answered) => {
            let granted = answered.granted.ok_or(Failure::Kernel(KernelError::TableFull))?;
            granted.claim(&servers.cnode).map_err(Failure::Kernel)
        }
        Err(CallError::Server(NO_SUCH_PROCESS, _)) => Err(no_process(servers, records, name)),
        Err(CallError::Server(SERVES_NOBODY, _)) => Err(Failure::ServesNobody(name.into())),
        Err(error) => Err(Failure::Call(Server::Process, error)),
    }
}

fn no_process(servers: &Servers, records: &mut Records, name: &str) -> Failure {
    let names = processes::killable(servers, records).unwrap_or_default();
    let meant = nearest(name, names.iter().map(String::as_str)).map(String::from);
    Failure::NoProcess { name: name.into(), meant }
}

/// Gives a process a priority, in the graph; the process server makes it so.
///
/// # Errors
/// Those of the calls; `NoProcess`, `Ambiguous`.
pub fn set_priority(
    servers: &Servers,
    records: &mut Records,
    target: &Target,
    priority: u64,
) -> Result<String, Failure> {
    let process = match target {
        Target::Object(process) => *process,
        Target::Named(name) => match directory::running(servers, records, name)? {
            Some(process) => process,
            None => return Err(no_process(servers, records, name)),
        },
    };
    Call::new(servers.endpoint(Server::Process)?, SetPriority { process, priority })
        .send()
        .map_err(|error| Failure::Call(Server::Process, error))?;
    Ok(format!("process {} has priority {priority}\n", Oid(process)))
}

impl Failure {
    /// What a server said that the shell does not know.
    pub(crate) fn of_unknown(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Failure::ServesNobody(name) => {
                write!(f, "`{}` serves nobody, so it cannot be called; `top` shows who has requests", Plain(name))
            }
            Failure::NoLabel { name, label } => {
                write!(f, "`{}` does not serve label {label}; look at its interface", Plain(name))
            }
            Failure::Refused { name, code, detail } => {
                write!(f, "`{}` refused with code {code} ({detail}); look at its interface", Plain(name))
            }
            Failure::Unanswered { name, error } => write!(
                f,
                "`{}` did not answer ({error:?}); the request may have taken effect: look before you try again",
                Plain(name)
            ),
            _ => Ok(()),
        }
    }
}
