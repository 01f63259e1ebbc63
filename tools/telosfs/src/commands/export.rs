//! `export`: everything in a form that other programs read.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use object_store::{Oid, Storage, Tid};
use serde_json::json;

use crate::arguments::Format;
use crate::console::Console;
use crate::failure::{Failure, Status};
use crate::state::State;
use crate::{json, zodb};

/// Exports to a file that must not exist, or to standard output.
pub(super) fn run(
    state: &mut State,
    output: Option<&Path>,
    format: Format,
    console: &mut Console<'_>,
) -> Result<(), Failure> {
    let Some(path) = output else { return write(state, format, console) };
    let mut file = BufWriter::new(create(path)?);
    let mut to_file = Console { out: &mut file, notes: &mut *console.notes, progress: console.progress };
    write(state, format, &mut to_file)?;
    let cannot = |cause| Failure::new(Status::CannotWrite, format!("{} cannot be written: {cause}", path.display()));
    file.flush().map_err(cannot)?;
    file.get_ref().sync_all().map_err(cannot)
}

/// Makes a file that is not there yet.
pub(super) fn create(path: &Path) -> Result<File, Failure> {
    let made = File::options().read(true).write(true).create_new(true).open(path);
    made.map_err(|cause| {
        let shown = path.display();
        let text = match cause.kind() {
            std::io::ErrorKind::AlreadyExists => format!("{shown} exists, and is left as it is; name another file"),
            _ => format!("{shown} cannot be made: {cause}"),
        };
        Failure::new(Status::CannotWrite, text)
    })
}

fn write(state: &mut State, format: Format, console: &mut Console<'_>) -> Result<(), Failure> {
    if format == Format::Zodb {
        return zodb::export(state, console);
    }
    let head = json!({
        "format": "telosfs 1",
        "last": state.store.last_transaction().number(),
        "root": state.names.oid(Oid::ROOT),
    });
    // One object a line, so that a large state need not be held as a whole.
    let head = head.to_string();
    console.print(&format!("{},\"objects\":[", head.strip_suffix('}').unwrap_or(&head)))?;
    let mut separator = "";
    state.each_object(Tid::MAX, console, |names, console, oid, tid, record| {
        write!(console.out, "{separator}{}", json::object(names, oid, tid, None, &record))?;
        separator = ",\n";
        Ok(())
    })?;
    console.print("]}")
}
