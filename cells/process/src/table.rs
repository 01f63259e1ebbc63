//! The processes that have, or had, an instance since boot.

use alloc::string::String;
use alloc::vec::Vec;

use abi::interfaces::process::State;
use clients::Allocation;
use object_store::Oid;
use runtime::Pending;
use spawner::Instance;

/// One process.
#[derive(Debug)]
pub struct Process {
    /// Its Process object.
    pub oid: Oid,
    /// Name and version of its image.
    pub name: String,
    /// Version of its image.
    pub version: String,
    /// First bytes of the image's hash.
    pub hash: u64,
    /// Addresses of its text.
    pub text: (u64, u64),
    /// What it is doing.
    pub state: State,
    /// Its kernel objects, while it runs.
    pub instance: Option<Instance>,
    /// What they are made of.
    pub allocations: Vec<Allocation>,
    /// Who waits for its end.
    pub waiting: Vec<Pending>,
}
