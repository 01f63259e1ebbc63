//! The transaction of a request: its own, or that of who sent it.

use clients::{Graph, GraphError};
use object_host::Objects;
use object_model::{Oid, Record};

/// Whose transaction the objects are changed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beginner {
    /// One of the request alone, committed when the method has answered.
    Own,
    /// The caller's, which travels with the request, and which the caller commits. A method that fails dooms it.
    Caller,
}

/// The graph, in such transactions.
#[derive(Debug)]
pub struct Joint {
    graph: Graph,
    beginner: Beginner,
}

impl Joint {
    /// Over a session of the persistence server.
    pub fn new(graph: Graph, beginner: Beginner) -> Self {
        Joint { graph, beginner }
    }

    /// The session.
    pub fn graph(&mut self) -> &mut Graph {
        &mut self.graph
    }
}

impl Objects for Joint {
    fn begin(&mut self) -> Result<(), GraphError> {
        Objects::begin(&mut self.graph)
    }

    fn commit(&mut self) -> Result<u64, GraphError> {
        match self.beginner {
            Beginner::Own => Objects::commit(&mut self.graph),
            // No transaction has this number.
            Beginner::Caller => Ok(0),
        }
    }

    fn abort(&mut self) {
        Objects::abort(&mut self.graph);
    }

    fn note(&mut self, text: &str) -> Result<(), GraphError> {
        Objects::note(&mut self.graph, text)
    }

    fn new_object(&mut self) -> Result<Oid, GraphError> {
        Objects::new_object(&mut self.graph)
    }

    fn root(&mut self) -> Result<Oid, GraphError> {
        Objects::root(&mut self.graph)
    }

    fn record(&mut self, oid: Oid) -> Result<Record, GraphError> {
        Objects::record(&mut self.graph, oid)
    }

    fn put(&mut self, oid: Oid, record: &Record) -> Result<(), GraphError> {
        Objects::put(&mut self.graph, oid, record)
    }

    fn newest(&mut self) -> Result<alloc::vec::Vec<u64>, GraphError> {
        Objects::newest(&mut self.graph)
    }
}
