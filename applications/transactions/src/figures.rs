//! What the servers have in use.

use abi::CallError;
use abi::interfaces::memory::{self, GetStatistics as MemoryStatistics};
use abi::interfaces::persistence::{self, GetStatistics as StoreStatistics, GetUsage as StoreUsage};
use abi::interfaces::process::{self, GetUsage as ProcessUsage};
use abi::token::{CallOnly, Cap, Endpoint};
use runtime::Call;

/// Where the servers are.
#[derive(Debug)]
pub struct Servers {
    /// The persistence server.
    pub persistence: Cap<Endpoint, CallOnly>,
    /// The memory server.
    pub memory: Cap<Endpoint, CallOnly>,
    /// The process server.
    pub process: Cap<Endpoint, CallOnly>,
}

/// Everything that a transaction which was not committed must leave as it was: memory (and so frames, threads, CNodes and all
/// other kernel objects, for memory is free only when nothing is made of it), objects and commits of the graph, the
/// servers' tables, capabilities and heaps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Figures {
    /// Of the memory server.
    pub memory: memory::Statistics,
    /// Objects in the graph.
    pub objects: u64,
    /// The last commit.
    pub last: u64,
    /// What the persistence server has in use.
    pub store: persistence::Usage,
    /// What the process server has in use.
    pub process: process::Usage,
}

impl Servers {
    /// As they are now. The process server comes first: it answers when it has done what was before.
    pub fn figures(&self) -> Result<Figures, CallError> {
        let process = Call::new(&self.process, ProcessUsage {}).decode(|_, body| body)?;
        let memory = Call::new(&self.memory, MemoryStatistics {}).decode(|_, body| body)?;
        let store = Call::new(&self.persistence, StoreUsage {}).decode(|_, body| body)?;
        let graph: persistence::Statistics = Call::new(&self.persistence, StoreStatistics {}).decode(|_, body| body)?;
        Ok(Figures { memory, objects: graph.objects, last: graph.last, store, process })
    }
}
