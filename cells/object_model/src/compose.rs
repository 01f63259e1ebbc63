//! Whole objects laid into another as traits: the sum, without a composition that is kept.

use alloc::string::String;
use alloc::vec::Vec;

use object_store::Oid;

use crate::composition::gather;
use crate::traits::Trait;
use crate::{Object, Origin, Slot};

/// Slots that several traits provide, and that the object does not define itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// Their names.
    pub names: Vec<String>,
}

/// Copies the slots of traits into an object, each marked with its origin. The object's own slots win over all traits; one
/// slot that arrives twice is no conflict, two slots that look alike are one.
///
/// # Errors
/// The conflicts, all of them; the object is then unchanged.
pub fn compose(object: &mut Object, traits: &[(Oid, &Object)]) -> Result<(), Conflict> {
    let sum = traits.iter().fold(Trait::new(), |sum, (oid, from)| sum.sum(gather(from, *oid, &[])));
    let open = |name: &str, object: &Object| object.slot(name).is_none();
    let names: Vec<String> = sum.conflicts().into_keys().filter(|name| open(name, object)).collect();
    if !names.is_empty() {
        return Err(Conflict { names });
    }
    let new: Vec<_> = sum.bound().filter(|(name, ..)| open(name, object)).collect();
    for (name, identity, body) in new {
        let value = object.adopt(body.from(), &body.slot().value);
        let renamed = (identity.name != name).then(|| identity.name.clone());
        let origin = Some(Origin { of: object.index_of(identity.origin), name: renamed });
        object.put(Slot { name: name.into(), value, origin, ..body.slot().clone() });
    }
    Ok(())
}
