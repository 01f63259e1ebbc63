//! Traits, flattened into an object: the sum of the calculus, refused where it is not determined.

use alloc::string::String;
use alloc::vec::Vec;

use object_store::Oid;

use crate::{Object, Slot};

/// Slots that several traits provide with different contents, and that the object does not define itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// Their names.
    pub names: Vec<String>,
}

/// Copies the slots of traits into an object, each marked with its origin. The object's own slots win over all traits; a slot
/// that two traits provide alike, or one trait twice, is no conflict.
///
/// # Errors
/// The conflicts, all of them; the object is then unchanged.
pub fn compose(object: &mut Object, traits: &[(Oid, &Object)]) -> Result<(), Conflict> {
    let mut names = Vec::new();
    let mut chosen: Vec<(Oid, &Object, &Slot)> = Vec::new();
    for (oid, from) in traits {
        for slot in from.slots().iter().filter(|slot| slot.name != "oid" && object.slot(&slot.name).is_none()) {
            match chosen.iter().find(|(_, _, other)| other.name == slot.name) {
                None => chosen.push((*oid, from, slot)),
                Some((other, ..)) if other == oid => {}
                Some((_, _, other)) if other.value == slot.value && other.kind == slot.kind => {}
                Some(_) => names.push(slot.name.clone()),
            }
        }
    }
    if !names.is_empty() {
        names.sort_unstable();
        names.dedup();
        return Err(Conflict { names });
    }
    for (oid, from, slot) in chosen {
        let value = object.adopt(from, &slot.value);
        let origin = Some(object.index_of(oid));
        object.put(Slot { name: slot.name.clone(), kind: slot.kind, value, origin });
    }
    Ok(())
}
