//! `log` and `history`: transactions, and the revisions of one object.

use object_store::{RevisionKind, Storage, Tid, TransactionInfo};
use serde_json::{Value as Json, json};

use super::print;
use crate::arguments::Format;
use crate::console::Console;
use crate::failure::Failure;
use crate::point::date;
use crate::state::State;
use crate::text::{hex, table};

/// The transactions, newest first.
pub(super) fn transactions(
    state: &mut State,
    count: Option<usize>,
    since: Option<Tid>,
    format: Format,
    console: &mut Console<'_>,
) -> Result<(), Failure> {
    let mut found: Vec<TransactionInfo> = Vec::new();
    let mut meter = console.meter("transactions read");
    let mut before = Tid::MAX;
    while found.len() < count.unwrap_or(usize::MAX) {
        let info = state.store.transaction_before(before).map_err(|error| state.failure(error))?;
        let Some(info) = info.filter(|info| since.is_none_or(|since| info.tid >= since)) else { break };
        before = info.tid;
        found.push(info);
        meter.step(console.notes);
    }
    meter.end(console.notes);
    let json = || {
        let one = |info: &TransactionInfo| {
            let objects: Vec<Json> = info
                .changes
                .iter()
                .map(|change| {
                    json!({
                        "oid": state.names.oid(change.oid),
                        "bytes": bytes(change.kind),
                        "deleted": change.kind == RevisionKind::Deletion,
                    })
                })
                .collect();
            json!({
                "tid": info.tid.number(),
                "time": date(info.tid),
                "user": info.metadata.user,
                "description": info.metadata.description,
                "extension": hex(&info.metadata.extension),
                "objects": objects,
            })
        };
        found.iter().map(one).collect()
    };
    let text = || {
        let row = |info: &TransactionInfo| {
            let named: Vec<String> = info.changes.iter().take(1).map(|change| state.names.oid(change.oid)).collect();
            vec![
                date(info.tid),
                info.tid.number().to_string(),
                info.changes.len().to_string(),
                named.concat(),
                info.metadata.user.escape_debug().to_string(),
                info.metadata.description.escape_debug().to_string(),
            ]
        };
        let rows: Vec<Vec<String>> = found.iter().map(row).collect();
        table(&["TIME (UTC)", "TID", "OBJECTS", "FIRST OBJECT", "USER", "DESCRIPTION"], &rows)
    };
    print(format, console, json, text)
}

/// The revisions of an object, newest first.
pub(super) fn revisions(
    state: &mut State,
    oid: &str,
    count: Option<usize>,
    format: Format,
    console: &mut Console<'_>,
) -> Result<(), Failure> {
    let oid = state.resolve(oid)?;
    let found = state.store.history(oid, count.unwrap_or(usize::MAX)).map_err(|error| state.failure(error))?;
    let mut rows = Vec::new();
    for revision in found {
        let info = state.store.transaction_before(revision.tid.after()).map_err(|error| state.failure(error))?;
        let metadata = info.filter(|info| info.tid == revision.tid).map(|info| info.metadata).unwrap_or_default();
        rows.push((revision, metadata));
    }
    let json = || {
        let one = |(revision, metadata): &(object_store::RevisionInfo, object_store::Metadata)| {
            json!({
                "tid": revision.tid.number(),
                "time": date(revision.tid),
                "bytes": bytes(revision.kind),
                "deleted": revision.kind == RevisionKind::Deletion,
                "user": metadata.user,
                "description": metadata.description,
            })
        };
        rows.iter().map(one).collect()
    };
    let text = || {
        let row = |(revision, metadata): &(object_store::RevisionInfo, object_store::Metadata)| {
            vec![
                date(revision.tid),
                revision.tid.number().to_string(),
                if revision.kind == RevisionKind::Deletion {
                    "deleted".into()
                } else {
                    bytes(revision.kind).to_string()
                },
                metadata.user.escape_debug().to_string(),
                metadata.description.escape_debug().to_string(),
            ]
        };
        let rows: Vec<Vec<String>> = rows.iter().map(row).collect();
        table(&["TIME (UTC)", "TID", "BYTES", "USER", "DESCRIPTION"], &rows)
    };
    print(format, console, json, text)
}

fn bytes(kind: RevisionKind) -> u32 {
    if let RevisionKind::Data { bytes } = kind { bytes } else { 0 }
}
