//! Endpoints as the language's host.

use alloc::collections::BTreeMap;
use alloc::string::String;

use language::{Call, Host, Refused, Reply};
use object_model::{CapabilityKind, Recipe};
use runtime::abi::interfaces::memory::Free;
use runtime::abi::interfaces::persistence::NewObject;
use runtime::abi::interfaces::process::{Connect, NO_SUCH_PROCESS, SERVES_NOBODY};
use runtime::abi::kernel::BODY_MAX;
use runtime::abi::token::{All, CNode, CallOnly, Cap, Endpoint};
use runtime::abi::{CallError, KernelError};
use runtime::objects::{self, Granted};
use runtime::{Untyped, abi, call_untyped};

use crate::answer::reply;
use crate::held::Held;
use crate::refusal;
use crate::request::{Answer, Request, request};

/// The fixed endpoints of a cell, as far as it was granted them.
#[derive(Debug, Default)]
pub struct Endpoints {
    /// The persistence server.
    pub persistence: Option<Cap<Endpoint, CallOnly>>,
    /// The memory server.
    pub memory: Option<Cap<Endpoint, CallOnly>>,
    /// The process server.
    pub process: Option<Cap<Endpoint, CallOnly>>,
}

/// The way out of a session in a cell. `I` says whether somebody wants the running program to stop.
pub struct ServerHost<I> {
    endpoints: Endpoints,
    cnode: Cap<CNode, All>,
    /// Servers that were connected to.
    connected: BTreeMap<String, Cap<Endpoint, CallOnly>>,
    held: Held<Granted>,
    interrupted: I,
}

impl<I: FnMut() -> bool> ServerHost<I> {
    /// A host over these endpoints; capabilities from replies arrive in the cell's own CNode.
    pub fn new(endpoints: Endpoints, cnode: Cap<CNode, All>, interrupted: I) -> Self {
        ServerHost { endpoints, cnode, connected: BTreeMap::new(), held: Held::default(), interrupted }
    }

    /// Sends a request and waits for its reply.
    fn deliver(&mut self, call: &Call<'_>, mut request: Request) -> Result<Reply, Refused> {
        if let Some(number) = request.returned {
            self.forget_dead();
            let allocation = self.held.allocation(number);
            request.words = match allocation {
                Some(capability) => abi::interface::Method::words(&Free { capability }),
                None => return Err(Refused::Void("this cell holds no such capability any more".into())),
            };
        }
        let endpoint = self.endpoint(&request.service)?;
        let mut room = [0; BODY_MAX];
        let sent =
            call_untyped(endpoint, request.label, request.words, &request.body, &mut room, abi::kernel::TIMEOUT_NONE);
        let Untyped { value, length, granted } = match sent {
            Ok(answered) => answered,
            Err(error) => {
                self.disconnect(&request.service, error);
                return Err(Refused::Other(refusal::words(&request.service, error)));
            }
        };
        let granted = match (request.answer, granted) {
            (Answer::Capability(kind), Some(granted)) => Some(self.keep(kind, granted, value)?),
            (_, granted) => {
                // What nobody asked for is not kept.
                if let Some(granted) = granted {
                    granted.refuse();
                }
                None
            }
        };
        if let Some(gone) = request.returned.and_then(|number| self.held.take(number)) {
            gone.refuse();
        }
        reply(request.answer, call.receiver, value, room.get(..length).unwrap_or(&[]), granted)
    }

    /// Keeps a capability. Its number is an OID of the open transaction, which no object will have.
    fn keep(&mut self, kind: CapabilityKind, granted: Granted, allocation: u64) -> Result<Recipe, Refused> {
        let numbered = match &self.endpoints.persistence {
            Some(persistence) => runtime::Call::new(persistence, NewObject {}).value(),
            None => Err(CallError::Kernel(KernelError::EndpointGone, 0)),
        };
        match numbered {
            Ok(number) => Ok(self.held.keep(number, kind, granted, allocation)),
            Err(error) => {
                granted.refuse();
                if let Some(memory) = &self.endpoints.memory {
                    // Where this fails too, the memory comes back with the cell.
                    let _ = runtime::Call::new(memory, Free { capability: allocation }).send();
                }
                Err(Refused::Other(refusal::words("persistence", error)))
            }
        }
    }

    /// Forgets capabilities whose objects are gone, with the transaction that they were made in for one.
    fn forget_dead(&mut self) {
        let cnode = &self.cnode;
        self.held.sweep(|granted| granted.inspect(cnode).is_some(), Granted::refuse);
    }

    /// The endpoint of a service: a fixed one, or one that the process server connects to.
    fn endpoint(&mut self, service: &str) -> Result<&Cap<Endpoint, CallOnly>, Refused> {
        let Endpoints { persistence, memory, process } = &self.endpoints;
        let fixed = match service {
            "persistence" => persistence,
            "memory" => memory,
            "process" => process,
            _ => {
                if !self.connected.contains_key(service) {
                    let endpoint = connect(process.as_ref(), &self.cnode, service)?;
                    self.connected.insert(service.into(), endpoint);
                }
                return self.connected.get(service).ok_or_else(|| nobody(service));
            }
        };
        fixed.as_ref().ok_or_else(|| Refused::Void(alloc::format!("this cell may not call {service}")))
    }

    /// Forgets an endpoint that leads nowhere any more: the next use connects anew.
    fn disconnect(&mut self, service: &str, error: CallError) {
        let is_gone = matches!(error, CallError::Kernel(KernelError::EndpointGone | KernelError::InvalidCapability, _));
        if is_gone && let Some(endpoint) = self.connected.remove(service) {
            objects::delete(endpoint);
        }
    }
}

fn nobody(service: &str) -> Refused {
    Refused::Void(alloc::format!("no service or process of the name {service} serves"))
}

fn connect(
    process: Option<&Cap<Endpoint, CallOnly>>,
    cnode: &Cap<CNode, All>,
    service: &str,
) -> Result<Cap<Endpoint, CallOnly>, Refused> {
    let process =
        process.ok_or_else(|| Refused::Void("this cell may not call process, which connects others".into()))?;
    match runtime::Call::new(process, Connect {}).bytes(service.as_bytes()).send() {
        Ok(answered) => match answered.granted.map(|granted| granted.claim(cnode)) {
            Some(Ok(endpoint)) => Ok(endpoint),
            Some(Err(error)) => Err(Refused::Other(refusal::words("process", CallError::Kernel(error, 0)))),
            None => Err(Refused::Other("the table of capabilities of this cell is full".into())),
        },
        Err(CallError::Server(NO_SUCH_PROCESS | SERVES_NOBODY, _)) => Err(nobody(service)),
        Err(error) => Err(Refused::Other(refusal::words("process", error))),
    }
}

impl<I: FnMut() -> bool> Host for ServerHost<I> {
    fn call(&mut self, call: &Call<'_>) -> Result<Reply, Refused> {
        let request = request(call)?;
        self.deliver(call, request)
    }

    fn interrupted(&mut self) -> bool {
        (self.interrupted)()
    }
}
