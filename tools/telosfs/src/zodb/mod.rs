//! A state as a FileStorage of ZODB, with its whole history.
//!
//! Each object becomes a `PersistentMapping` from slot names to values, under its dense number, so that the root is ZODB's
//! root. Each transaction keeps its user and description; its TID becomes ZODB's of the same moment, and stands as it was in
//! the extension, under `telos_tid`.

mod file_storage;
mod object;
mod pickle;

use object_store::{Load, RevisionKind, Storage, Tid};

use crate::console::Console;
use crate::failure::Failure;
use crate::state::State;
use file_storage::{Change, Transaction, Writer};

/// Writes every transaction that is left, oldest first.
pub(crate) fn export(state: &mut State, console: &mut Console<'_>) -> Result<(), Failure> {
    let mut writer = Writer::begin(console.out)?;
    let mut meter = Console { out: &mut std::io::sink(), notes: &mut std::io::sink(), progress: console.progress }
        .meter("transactions exported");
    let mut after = Tid::ZERO;
    while let Some(info) = state.store.transaction_after(after).map_err(|error| state.failure(error))? {
        after = info.tid;
        let mut changes = Vec::new();
        for change in info.changes {
            let found = state.store.load_revision(change.oid, info.tid).map_err(|error| state.failure(error))?;
            let data = match (change.kind, found) {
                (RevisionKind::Data { .. }, Some(Load::Data { record, .. })) => {
                    Some(object::pickled(&state.names, change.oid, &record))
                }
                _ => None,
            };
            changes.push(Change { oid: change.oid, data });
        }
        let extension = pickle::dictionary(&[("telos_tid", info.tid.number())]);
        let (user, description) = (info.metadata.user, info.metadata.description);
        writer.transaction(console.out, &Transaction { tid: info.tid, user, description, extension, changes })?;
        meter.step(console.notes);
    }
    meter.end(console.notes);
    Ok(())
}
