//! What a receiver understands that is named by a path of slots, as in `MMS.statistics`.

use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::vec::Vec;

use object_model::{Object, Oid, Reach, SlotKind, base_name};

use crate::Objects;

/// The most objects that are looked at for one receiver.
const MOST_PARENTS: usize = 256;

/// The names that may stand behind a path, whose slots are data from the lobby on: `["MMS"]` for `MMS.`, and nothing for a bare
/// name. Private slots are found only where the path is empty, since only the lobby itself sends there.
///
/// # Errors
/// An object cannot be read.
pub fn names<O: Objects>(objects: &mut O, lobby: Oid, path: &[&str]) -> Result<Vec<String>, O::Error> {
    let mut receiver = lobby;
    for name in path {
        match reference(objects, receiver, name)? {
            Some(next) => receiver = next,
            None => return Ok(Vec::new()),
        }
    }
    let mut found = BTreeSet::new();
    each_ancestor(objects, receiver, |oid, object| {
        for slot in object.slots() {
            let is_reachable = slot.reach != Reach::Private || (oid == receiver && path.is_empty());
            let name = base_name(&slot.name);
            let is_name = !name.ends_with('=') && name.chars().all(|letter| letter.is_alphanumeric() || letter == '_');
            if is_reachable && is_name && slot.kind != SlotKind::Parent {
                found.insert(String::from(name));
            }
        }
        None::<()>
    })?;
    Ok(found.into_iter().collect())
}

/// The object that the data slot of a name refers to, own or inherited.
fn reference<O: Objects>(objects: &mut O, receiver: Oid, name: &str) -> Result<Option<Oid>, O::Error> {
    each_ancestor(objects, receiver, |_, object| object.slot(name).map(|_| object.reference(name))).map(Option::flatten)
}

/// Goes through an object and what it delegates to, until `visit` answers something.
fn each_ancestor<O: Objects, T>(
    objects: &mut O,
    receiver: Oid,
    mut visit: impl FnMut(Oid, &Object) -> Option<T>,
) -> Result<Option<T>, O::Error> {
    let mut met = BTreeSet::from([receiver]);
    let mut waiting = alloc::vec![receiver];
    while let Some(oid) = waiting.pop() {
        let Some((object, _)) = objects.read(oid)? else { continue };
        if let Some(answer) = visit(oid, &object) {
            return Ok(Some(answer));
        }
        if met.len() < MOST_PARENTS {
            waiting.extend(object.parents().filter(|parent| met.insert(*parent)));
        }
    }
    Ok(None)
}
