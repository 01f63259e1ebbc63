//! Making genesis, on an empty store and over an older one.
//!
//! Both are one thing: each object of [`definitions`] is made where the root does not name it, and brought to its definition
//! where it does. Slots that users have put beside those of genesis stay, with their values; what an older genesis called
//! otherwise goes. Over its own result it changes nothing. The caller's transaction makes it all or nothing.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use object_model::{BadObject, Object, Oid, Refusal, SlotKind, Value, compose_anew};

use crate::prototypes::{Definition, NAMES, Numbers, definitions};
use crate::{Graph, Present, VERSION, present};

/// Selectors of version 1, which had no number of arguments in them, and methods that only the interpreter of a later time
/// was to know.
const OF_VERSION_1: [&str; 6] = ["spawn", "setPriority", "mainLoop", "_dispatchMessage", "note", "yieldTimeslice"];

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Established {
    /// Everything was made.
    Made,
    /// What an older version had made was brought up to date.
    Upgraded {
        /// The older version.
        from: i64,
    },
    /// It was there; nothing was written.
    Found,
}

/// Sees to it that genesis of [`VERSION`] is there, in the open transaction. `found` is what the root holds.
///
/// # Errors
/// The graph's; `BadObject` for a root that names what does not decode. What was written is to be aborted. A newer version is
/// not touched, and is the caller's to refuse.
pub fn establish<G: Graph>(graph: &mut G, root: Oid, found: Option<Object>) -> Result<Established, G::Error> {
    let standing = found.as_ref().map_or(Present::Nothing, present);
    let established = match standing {
        Present::Version(VERSION) | Present::Newer(_) => return Ok(Established::Found),
        Present::Version(from) => Established::Upgraded { from },
        Present::Nothing => Established::Made,
    };
    let mut mapping = found.unwrap_or_default();
    let mut numbers = Numbers::default();
    let mut old: BTreeMap<Oid, Object> = BTreeMap::new();
    for name in NAMES {
        let oid = match mapping.reference(name) {
            Some(oid) => {
                old.insert(oid, graph.get(oid)?);
                oid
            }
            None => graph.new_object()?,
        };
        numbers.0.insert(name, oid);
    }
    mapping.set("version", SlotKind::Data, Value::Int(VERSION));
    let definitions = definitions(&numbers);
    let mut objects: BTreeMap<Oid, Object> = BTreeMap::new();
    for definition in &definitions {
        let Some(oid) = numbers.0.get(definition.name).copied() else { continue };
        let reference = mapping.refer(oid);
        mapping.set(definition.name, SlotKind::Data, reference);
        objects.insert(oid, brought_up(old.get(&oid), definition).numbered(oid));
    }
    let composed: Vec<(Oid, Object)> = definitions
        .iter()
        .filter_map(|definition| numbers.0.get(definition.name).map(|oid| (*oid, definition)))
        .map(|(oid, definition)| Ok((oid, composed(&objects, oid, definition)?)))
        .collect::<Result<_, BadObject>>()?;
    for (oid, object) in composed {
        if old.get(&oid) != Some(&object) {
            graph.put(oid, &object)?;
        }
    }
    graph.put(root, &mapping)?;
    Ok(established)
}

/// An object as its definition says, with what else stood in it.
fn brought_up(old: Option<&Object>, definition: &Definition) -> Object {
    let Some(old) = old else { return definition.object.clone() };
    if definition.is_kept {
        return old.clone();
    }
    let mut object = definition.object.clone();
    let is_left_over = |name: &str| OF_VERSION_1.contains(&name);
    for slot in old.slots() {
        // What came of a trait is laid in anew.
        if object.slot(&slot.name).is_some() || slot.origin.is_some() || is_left_over(&slot.name) {
            continue;
        }
        object.take_over(old, slot);
    }
    object
}

/// An object with what its traits give it.
fn composed(objects: &BTreeMap<Oid, Object>, oid: Oid, definition: &Definition) -> Result<Object, BadObject> {
    let Some(object) = objects.get(&oid) else { return Err(BadObject::NoSuchIndex(0)) };
    if definition.composition.steps.is_empty() {
        return Ok(object.clone());
    }
    let composed = compose_anew(objects, oid, object, &definition.composition, |name| name == "perform/2");
    composed.map_err(|refusal| match refusal {
        // Users may have put slots into the traits: then the names clash, and they have to be taken out first.
        Refusal::Conflict(_) => BadObject::DoubledName,
        _ => BadObject::Malformed,
    })
}
