//! Undo: a transaction that gives objects back the states which another one replaced.
//!
//! It stands on what every storage tells, so that all storages undo alike. Nothing is staged unless every object can be
//! undone.

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::rules::revive;
use crate::{Change, Load, Oid, Record, Rules, Storage, StorageError, StorageTransaction, ThreeStates, Tid};

/// Why a transaction cannot be undone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum UndoError {
    /// There is none with this number: the caller's fault.
    NoSuchTransaction(Tid),
    /// What it replaced may have been packed away.
    PackedAway {
        /// The transaction.
        tid: Tid,
        /// Only transactions after this one can be undone.
        horizon: Tid,
    },
    /// Objects have changed since and cannot be merged.
    Changed {
        /// The transaction.
        tid: Tid,
        /// All those objects, in ascending order.
        objects: Vec<Oid>,
    },
    /// As the storage says.
    Storage(StorageError),
}

impl From<StorageError> for UndoError {
    fn from(error: StorageError) -> Self {
        Self::Storage(error)
    }
}

/// What an undo does to an object: a state, or its end.
type Outcome = Option<Record>;

/// Stages the undoing of `tid`; see [`Storage::undo`].
pub(crate) fn stage<S: Storage>(
    storage: &mut S,
    transaction: &mut StorageTransaction,
    tid: Tid,
    rules: &mut dyn Rules,
) -> Result<Vec<Oid>, UndoError> {
    let horizon = storage.horizon();
    if tid <= horizon {
        return Err(UndoError::PackedAway { tid, horizon });
    }
    let found = storage.transaction_before(tid.after())?.filter(|info| info.tid == tid);
    let info = found.ok_or(UndoError::NoSuchTransaction(tid))?;
    let mut outcomes: Vec<(Oid, Tid, Outcome)> = Vec::new();
    let mut changed = Vec::new();
    for change in &info.changes {
        let (based_on, outcome) = undo_object(storage, transaction, change.oid, tid, rules)?;
        match outcome {
            Some(outcome) => outcomes.push((change.oid, based_on, outcome)),
            None => changed.push(change.oid),
        }
    }
    if !changed.is_empty() {
        return Err(UndoError::Changed { tid, objects: changed });
    }
    let objects = outcomes.iter().map(|(oid, ..)| *oid).collect();
    for (oid, based_on, outcome) in outcomes {
        match outcome {
            Some(record) => transaction.stage_record(oid, based_on, record),
            None => transaction.stage_uncreation(oid, based_on),
        }
    }
    Ok(objects)
}

/// The revision that the change is based on, and what becomes of the object; `None` where it cannot be undone.
fn undo_object<S: Storage>(
    storage: &mut S,
    transaction: &StorageTransaction,
    oid: Oid,
    tid: Tid,
    rules: &mut dyn Rules,
) -> Result<(Tid, Option<Outcome>), UndoError> {
    let (based_on, latest, current) = match transaction.changes().get(&oid) {
        Some(staged) => (staged.based_on, false, staged_state(&staged.change)),
        None => {
            let load = storage.load_before(oid, Tid::MAX)?;
            (load.revision(), load.revision() == tid, state(load))
        }
    };
    let prior = state(storage.load_before(oid, tid)?);
    if latest {
        let prior = prior.map(|prior| revive(rules, prior, current.as_ref()));
        return Ok((based_on, Some(prior)));
    }
    let undone = storage.load_revision(oid, tid)?.and_then(state);
    if same_state(undone.as_ref(), current.as_ref()) {
        let prior = prior.map(|prior| revive(rules, prior, current.as_ref()));
        return Ok((based_on, Some(prior)));
    }
    let (Some(base), Some(committed), Some(proposed)) = (undone, current, prior) else {
        return Ok((based_on, None));
    };
    let merged = rules.resolve(&ThreeStates { oid, base: &base, committed: &committed, proposed: &proposed });
    let merged = merged.ok().map(|merged| {
        let merged = Record { capabilities: proposed.capabilities, ..merged };
        Some(revive(rules, merged, Some(&committed)))
    });
    Ok((based_on, merged))
}

fn state(load: Load) -> Option<Record> {
    if let Load::Data { record, .. } = load { Some(record) } else { None }
}

fn staged_state(change: &Change) -> Option<Record> {
    if let Change::Record(record) = change { Some(record.clone()) } else { None }
}

/// Whether two states are the same but for their authority, which an undo may have voided.
fn same_state(one: Option<&Record>, other: Option<&Record>) -> bool {
    let parts = |record: &Record| (record.schema, record.version);
    match (one, other) {
        (None, None) => true,
        (Some(one), Some(other)) => {
            parts(one) == parts(other) && one.references == other.references && one.payload == other.payload
        }
        _ => false,
    }
}
