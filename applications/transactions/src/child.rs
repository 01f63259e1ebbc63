//! A process that the driver makes.

use clients::Graph;
use object_model::{Oid, Value};
use runtime::{Environment, sleep};

use crate::mailbox;

/// The slot of a Process object that tells a child to stay: its creator writes it in the transaction that makes it.
pub const STAY: &str = "stay";
/// The status of a child that did not find its own object.
const LOST: u64 = 1;
/// The status of a child that could not leave its trace.
const MUTE: u64 = 2;

/// Leaves its trace, before anything else; then ends, or stays until it is ended.
pub fn run(environment: &Environment, mut graph: Graph, mailbox: Oid) -> u64 {
    let left = mailbox::last_commit(&graph).and_then(|last| mailbox::leave(&mut graph, mailbox, last));
    if left.is_err() {
        return MUTE;
    }
    match graph.object(Oid::new(environment.argument())) {
        Ok(own) if own.get(STAY) == Some(&Value::Bool(true)) => loop {
            sleep(1_000_000_000);
        },
        Ok(_) => 0,
        Err(_) => LOST,
    }
}
