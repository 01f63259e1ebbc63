//! The process server.

use abi::CallError;
use abi::interfaces::process::{CreateProcess, Spawn, Wait};
use abi::token::{CallOnly, Cap, Endpoint};
use object_store::Oid;
use runtime::Call;

/// Makes a process of a persistent image with the capabilities that a persistent list names.
///
/// # Errors
/// The server's; then nothing was left behind.
pub fn create(endpoint: &Cap<Endpoint, CallOnly>, image: Oid, capabilities: Oid) -> Result<Oid, CallError> {
    Call::new(endpoint, CreateProcess { image: image.number(), capabilities: capabilities.number() })
        .value()
        .map(Oid::new)
}

/// Makes a process of the current image of a name.
///
/// # Errors
/// As [`create`].
pub fn spawn(endpoint: &Cap<Endpoint, CallOnly>, name: &str) -> Result<Oid, CallError> {
    Call::new(endpoint, Spawn {}).bytes(name.as_bytes()).send().map(|answered| Oid::new(answered.value))
}

/// Waits until a process has ended; answers its status.
///
/// # Errors
/// There is no such process.
pub fn wait(endpoint: &Cap<Endpoint, CallOnly>, process: Oid) -> Result<u64, CallError> {
    Call::new(endpoint, Wait { process: process.number() }).value()
}
