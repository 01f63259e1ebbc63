//! The check that the objects whose creation is undone have no referrers.
//!
//! Only records that were written since an object was created can refer to it, so the transactions since then are looked
//! through; where some of those may be packed away, all current objects are.

use alloc::collections::{BTreeMap, BTreeSet};

use crate::{Load, Oid, Staged, Storage, StorageError, Tid};

/// Refuses if a current record refers to one of `ended`, of an object that `changes` does not replace.
///
/// # Errors
/// [`StorageError::StillReferenced`]; those of [`Storage::load_before`].
pub(crate) fn check<S: Storage>(
    storage: &mut S,
    ended: &BTreeSet<Oid>,
    changes: &BTreeMap<Oid, Staged>,
) -> Result<(), StorageError> {
    let mut first = Tid::MAX;
    for &oid in ended {
        if let Load::NotYet(created) = storage.revision_before(oid, Tid::ZERO)? {
            first = first.min(created);
        }
    }
    if first == Tid::MAX {
        return Ok(());
    }
    if first <= storage.horizon() {
        return check_all(storage, ended, changes);
    }
    let mut looked_at = BTreeSet::new();
    let mut after = Tid::new(first.number().saturating_sub(1));
    while let Some(info) = storage.transaction_after(after)? {
        for change in &info.changes {
            if looked_at.insert(change.oid) {
                check_object(storage, change.oid, ended, changes)?;
            }
        }
        after = info.tid;
    }
    Ok(())
}

fn check_all<S: Storage>(
    storage: &mut S,
    ended: &BTreeSet<Oid>,
    changes: &BTreeMap<Oid, Staged>,
) -> Result<(), StorageError> {
    let mut after = None;
    while let Some(by) = storage.next_object(after)? {
        check_object(storage, by, ended, changes)?;
        after = Some(by);
    }
    Ok(())
}

fn check_object<S: Storage>(
    storage: &mut S,
    by: Oid,
    ended: &BTreeSet<Oid>,
    changes: &BTreeMap<Oid, Staged>,
) -> Result<(), StorageError> {
    if changes.contains_key(&by) {
        return Ok(());
    }
    let Load::Data { record, .. } = storage.load_before(by, Tid::MAX)? else {
        return Ok(());
    };
    match record.references.iter().find(|to| ended.contains(to)) {
        Some(&oid) => Err(StorageError::StillReferenced { oid, by }),
        None => Ok(()),
    }
}
