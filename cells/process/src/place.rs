//! What becomes a Process object: a new one, or one that is there.

use alloc::vec::Vec;

use clients::Graph;
use object_model::Object;
use object_store::Oid;

use crate::catalogue::{CatalogueError, Result, listed};

/// What becomes a Process object.
#[derive(Clone, Debug)]
pub enum Place {
    /// An object that is to be made.
    New,
    /// An object that is there, with what it is.
    Object(Oid, Object),
}

/// An object that can become a process, as the open transaction sees it.
///
/// # Errors
/// `NoProcess` for what is none and delegates to none, and for what genesis made; `Started` for what is in the list of
/// processes.
pub fn find(graph: &mut Graph, oid: Oid) -> Result<Place> {
    let object = graph.object(oid).map_err(|_| CatalogueError::NoProcess)?;
    let root = graph.root()?;
    let root = graph.object(root)?;
    let is_of_genesis = genesis::NAMES.iter().any(|name| root.reference(name) == Some(oid));
    if is_of_genesis || !is_process(graph, &object, root.reference("Process"))? {
        return Err(CatalogueError::NoProcess);
    }
    if listed(graph)?.contains(&oid) {
        return Err(CatalogueError::Started);
    }
    Ok(Place::Object(oid, object))
}

/// How far it is looked for the prototype along parents.
const MOST_PARENTS: usize = 64;

/// Whether an object has the capability slots of a Process, or delegates to the prototype.
fn is_process(graph: &mut Graph, object: &Object, prototype: Option<Oid>) -> Result<bool> {
    let has_slots = genesis::CAPABILITIES.iter().all(|(name, kind)| {
        let recipe = object.get(name).and_then(|value| object.recipe(value));
        recipe.is_some_and(|recipe| recipe.kind() == *kind)
    });
    if has_slots {
        return Ok(true);
    }
    let mut waiting: Vec<Oid> = object.parents().collect();
    let mut seen: Vec<Oid> = Vec::new();
    while let Some(parent) = waiting.pop() {
        if Some(parent) == prototype {
            return Ok(true);
        }
        if seen.len() < MOST_PARENTS && !seen.contains(&parent) {
            seen.push(parent);
            waiting.extend(graph.object(parent)?.parents());
        }
    }
    Ok(false)
}
