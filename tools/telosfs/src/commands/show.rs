//! `show`: an object as it stands, or as it stood.

use object_store::{Load, Tid};

use super::print;
use crate::arguments::Format;
use crate::console::Console;
use crate::failure::Failure;
use crate::point::date;
use crate::state::State;
use crate::{json, text};

/// Shows an object.
pub(super) fn run(
    state: &mut State,
    oid: &str,
    at: Option<Tid>,
    format: Format,
    console: &mut Console<'_>,
) -> Result<(), Failure> {
    let oid = state.resolve(oid)?;
    let before = state.before(at)?;
    let name = state.names.oid(oid);
    let (record, tid, next) = match state.load(oid, before)? {
        Load::Data { record, tid, next } => (record, tid, next),
        Load::DeletedAt(tid) => {
            return Err(Failure::not_found(format!(
                "{name} was deleted by TID {} ({}); `--at` shows it as it stood before, `history` its revisions",
                tid.number(),
                date(tid)
            )));
        }
        Load::NotYet(tid) => {
            return Err(Failure::not_found(format!(
                "{name} was created later, by TID {} ({})",
                tid.number(),
                date(tid)
            )));
        }
        Load::NeverExisted => return Err(Failure::not_found(format!("there never was an object {name}"))),
    };
    let names = &state.names;
    let text = || {
        let label = names.label(oid, &record);
        let label = if label.is_empty() { label } else { format!(" {label}") };
        let bytes = record.encoded_length();
        let mut lines = vec![format!("object {name}{label}: {bytes} bytes, TID {} ({})", tid.number(), date(tid))];
        lines.extend(text::record(names, &record));
        lines
    };
    print(format, console, || json::object(names, oid, tid, next, &record), text)
}
