//! `refs` and `referrers`: what an object refers to, and what refers to it.

use object_store::{Load, Oid, Tid};
use serde_json::{Value as Json, json};

use super::{print, slots_that_refer};
use crate::arguments::Format;
use crate::console::Console;
use crate::failure::Failure;
use crate::state::State;
use crate::text::table;

/// One end of references.
struct End {
    oid: String,
    name: String,
    slots: Vec<String>,
    exists: Option<bool>,
}

/// The objects that an object refers to.
pub(super) fn of(
    state: &mut State,
    oid: &str,
    at: Option<Tid>,
    format: Format,
    console: &mut Console<'_>,
) -> Result<(), Failure> {
    let oid = state.resolve(oid)?;
    let before = state.before(at)?;
    let Load::Data { record, .. } = state.load(oid, before)? else {
        let name = state.names.oid(oid);
        return Err(Failure::not_found(format!("{name} has no state there; `history` tells its revisions")));
    };
    let mut ends = Vec::new();
    let mut references: Vec<Oid> = record.references.clone();
    references.dedup();
    for to in references {
        let found = state.load(to, before)?;
        let name = if let Load::Data { record, .. } = &found { state.names.label(to, record) } else { String::new() };
        let exists = Some(matches!(found, Load::Data { .. }));
        ends.push(End { oid: state.names.oid(to), name, slots: slots_that_refer(&record, to), exists });
    }
    show(&ends, format, console)
}

/// The objects that refer to an object.
pub(super) fn to(state: &mut State, oid: &str, format: Format, console: &mut Console<'_>) -> Result<(), Failure> {
    let to = state.resolve(oid)?;
    let mut ends = Vec::new();
    state.each_object(Tid::MAX, console, |names, _, oid, _, record| {
        if record.references.contains(&to) {
            let (name, slots) = (names.label(oid, &record), slots_that_refer(&record, to));
            ends.push(End { oid: names.oid(oid), name, slots, exists: None });
        }
        Ok(())
    })?;
    show(&ends, format, console)
}

fn show(ends: &[End], format: Format, console: &mut Console<'_>) -> Result<(), Failure> {
    let json = || {
        let one = |end: &End| {
            let mut shown = json!({ "oid": end.oid, "name": end.name, "slots": end.slots });
            if let (Some(exists), Some(fields)) = (end.exists, shown.as_object_mut()) {
                fields.insert("exists".into(), json!(exists));
            }
            shown
        };
        ends.iter().map(one).collect::<Json>()
    };
    let text = || {
        let row = |end: &End| {
            let gone = if end.exists == Some(false) { "  there is no such object" } else { "" };
            vec![end.oid.clone(), end.name.clone(), format!("{}{gone}", end.slots.join(", "))]
        };
        table(&["OID", "NAME", "SLOTS"], &ends.iter().map(row).collect::<Vec<_>>())
    };
    print(format, console, json, text)
}
