//! Every object that hangs on a root.

use alloc::collections::{BTreeSet, VecDeque};

use object_model::{Object, Oid};

use crate::Objects;

/// The most objects that one walk visits.
pub const LIMIT: usize = 100_000;

/// Whether a walk came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// Everything was visited.
    Whole,
    /// There is more than [`LIMIT`].
    Cut,
}

/// Visits everything that a root leads to, the near before the far, each object once. What hangs on the slots `without` of the
/// root alone is left out.
///
/// # Errors
/// The first object that cannot be read.
pub fn walk<O: Objects>(
    objects: &mut O,
    root: Oid,
    without: &[&str],
    mut visit: impl FnMut(Oid, &Object),
) -> Result<Extent, O::Error> {
    let mut met = BTreeSet::from([root]);
    let mut waiting = VecDeque::from([root]);
    while let Some(oid) = waiting.pop_front() {
        let Some((object, references)) = objects.read(oid)? else { continue };
        if oid == root {
            met.extend(without.iter().filter_map(|name| object.reference(name)));
        }
        visit(oid, &object);
        for next in references {
            if met.len() >= LIMIT {
                return Ok(Extent::Cut);
            }
            if met.insert(next) {
                waiting.push_back(next);
            }
        }
    }
    Ok(Extent::Whole)
}
