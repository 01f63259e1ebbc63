//! The counts in the graph: an object of their own, which the slot `counts` of the process's object refers to.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use abi::CallError;
use abi::interfaces::persistence::CONFLICT;
use clients::{Graph, GraphError};
use object_model::{Object, Oid, Value};
use runtime::abi;

/// The slot of the process's object.
const SLOT: &str = "counts";
/// The slot of the other object in which the pairs stand.
const PAIRS: &str = "pairs";
/// How often it is tried again where the process server writes the process's object at the same time.
const ATTEMPTS: u32 = 3;

/// What was saved last; nothing at first.
///
/// # Errors
/// The graph's.
pub fn load(graph: &mut Graph, process: Oid) -> Result<BTreeMap<u64, u64>, GraphError> {
    match graph.object(process)?.reference(SLOT) {
        Some(saved) => pairs(&graph.object(saved)?).ok_or(GraphError::Record),
        None => Ok(BTreeMap::new()),
    }
}

/// Saves counts; answers the TID.
///
/// # Errors
/// The graph's; nothing has changed then.
pub fn save(graph: &mut Graph, process: Oid, counts: &BTreeMap<u64, u64>) -> Result<u64, GraphError> {
    let mut attempts = ATTEMPTS;
    loop {
        attempts -= 1;
        graph.begin()?;
        let saved = try_save(graph, process, counts);
        if saved.is_err() {
            graph.abort()?;
        }
        match saved {
            Err(GraphError::Call(CallError::Server(CONFLICT, _))) if attempts > 0 => {}
            saved => return saved,
        }
    }
}

fn try_save(graph: &mut Graph, process: Oid, counts: &BTreeMap<u64, u64>) -> Result<u64, GraphError> {
    let own = graph.object(process)?;
    let saved = match own.reference(SLOT) {
        Some(saved) => saved,
        None => {
            let saved = graph.new_object()?;
            graph.put_object(process, &own.referring(SLOT, saved))?;
            saved
        }
    };
    graph.put_object(saved, &object(saved, counts))?;
    graph.note("counts saved")?;
    Ok(graph.commit()?.number())
}

fn object(oid: Oid, counts: &BTreeMap<u64, u64>) -> Object {
    let number = |number: u64| Value::Int(number.cast_signed());
    let pairs: Vec<Value> =
        counts.iter().map(|(client, count)| Value::List(Vec::from([number(*client), number(*count)]))).collect();
    Object::new().numbered(oid).data(PAIRS, Value::List(pairs))
}

fn pairs(object: &Object) -> Option<BTreeMap<u64, u64>> {
    let Value::List(pairs) = object.get(PAIRS)? else { return None };
    let pair = |value: &Value| match value {
        Value::List(pair) => match pair.as_slice() {
            [Value::Int(client), Value::Int(count)] => Some((client.cast_unsigned(), count.cast_unsigned())),
            _ => None,
        },
        _ => None,
    };
    pairs.iter().map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_saved_is_read_back() {
        let counts = BTreeMap::from([(1, 7), (u64::MAX, 0)]);
        assert_eq!(pairs(&object(Oid::new(5), &counts)), Some(counts));
        assert_eq!(pairs(&Object::new().data(PAIRS, Value::List(Vec::from([Value::Nil])))), None);
    }
}
