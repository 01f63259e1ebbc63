//! The object in which children leave their traces.

use abi::CallError;
use abi::interfaces::persistence::{CONFLICT, GetStatistics};
use clients::{Graph, GraphError};
use object_model::{Object, Oid, SlotKind, Value};
use runtime::Call;

/// The slot of the root mapping that refers to it.
const NAME: &str = "mailbox";

/// What is in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Trace {
    /// How often a child has run.
    pub runs: i64,
    /// The last commit of all when the last one began to run.
    pub last: i64,
}

/// The mailbox; `None` where none was made.
pub fn find(graph: &mut Graph) -> Result<Option<Oid>, GraphError> {
    let root = graph.root()?;
    Ok(graph.object(root)?.reference(NAME))
}

/// Makes it, in a transaction of its own.
pub fn make(graph: &mut Graph) -> Result<Oid, GraphError> {
    graph.begin()?;
    let mailbox = graph.new_object()?;
    let root = graph.root()?;
    let mut mapping = graph.object(root)?;
    let reference = mapping.refer(mailbox);
    mapping.set(NAME, SlotKind::Data, reference);
    graph.put_object(mailbox, &with(Object::new(), Trace::default()))?;
    graph.put_object(root, &mapping)?;
    graph.commit()?;
    Ok(mailbox)
}

/// What the committed graph, or the open transaction's snapshot, says is in it.
pub fn read(graph: &mut Graph, mailbox: Oid) -> Result<Trace, GraphError> {
    let object = graph.object(mailbox)?;
    let number = |name| match object.get(name) {
        Some(Value::Int(number)) => *number,
        _ => 0,
    };
    Ok(Trace { runs: number("runs"), last: number("last") })
}

/// Leaves a trace, in a transaction of its own. `last` is the last commit of all before it.
pub fn leave(graph: &mut Graph, mailbox: Oid, last: i64) -> Result<(), GraphError> {
    loop {
        match try_to_leave(graph, mailbox, last) {
            // Two children can run at a time.
            Err(GraphError::Call(CallError::Server(CONFLICT, _))) => graph.abort()?,
            left => return left,
        }
    }
}

fn try_to_leave(graph: &mut Graph, mailbox: Oid, last: i64) -> Result<(), GraphError> {
    graph.begin()?;
    let Trace { runs, .. } = read(graph, mailbox)?;
    let object = graph.object(mailbox)?;
    graph.put_object(mailbox, &with(object, Trace { runs: runs + 1, last }))?;
    graph.commit()?;
    Ok(())
}

/// The last commit of all.
pub fn last_commit(graph: &Graph) -> Result<i64, GraphError> {
    Ok(Call::new(graph.endpoint(), GetStatistics {}).decode(|_, body| body.last)?.cast_signed())
}

fn with(object: Object, trace: Trace) -> Object {
    object.data("runs", Value::Int(trace.runs)).data("last", Value::Int(trace.last))
}
