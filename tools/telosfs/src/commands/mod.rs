//! The commands, a module each.

mod diff;
mod export;
mod graph;
mod html;
mod log;
mod recover;
mod references;
mod show;
mod verify;

use object_model::{Object, Value};
use object_store::{Oid, Record};
use serde_json::Value as Json;

use crate::arguments::{Arguments, Command, Format};
use crate::console::Console;
use crate::failure::{Failure, Status};
use crate::state::State;
use crate::text::slot_name;

/// Carries out a command.
///
/// # Errors
/// Why it was not.
pub(crate) fn carry_out(arguments: &Arguments, console: &mut Console<'_>) -> Result<Status, Failure> {
    let format = arguments.format;
    let file = &arguments.file;
    match &arguments.command {
        Command::Verify => return verify::run(file, format, console),
        Command::Recover { output } => return recover::run(file, output, format, console),
        _ => {}
    }
    let mut state = State::open(file, console)?;
    match &arguments.command {
        Command::Log { count, since } => log::transactions(&mut state, *count, *since, format, console),
        Command::History { oid, count } => log::revisions(&mut state, oid, *count, format, console),
        Command::Show { oid, at } => show::run(&mut state, oid, *at, format, console),
        Command::Diff { from, to } => diff::run(&mut state, *from, *to, format, console),
        Command::References { oid, at } => references::of(&mut state, oid, *at, format, console),
        Command::Referrers { oid } => references::to(&mut state, oid, format, console),
        Command::Graph => graph::run(&mut state, format, console),
        Command::Export { output } => export::run(&mut state, output.as_deref(), format, console),
        Command::Verify | Command::Recover { .. } => Ok(()),
    }?;
    Ok(Status::Fine)
}

/// Prints an answer in JSON.
fn print_json(answer: &Json, console: &mut Console<'_>) -> Result<(), Failure> {
    console.print(&format!("{answer:#}"))
}

/// Prints rows for people, or their JSON.
fn print(
    format: Format,
    console: &mut Console<'_>,
    json: impl FnOnce() -> Json,
    text: impl FnOnce() -> Vec<String>,
) -> Result<(), Failure> {
    if format == Format::Json {
        return print_json(&json(), console);
    }
    text().iter().try_for_each(|line| console.print(line))
}

/// The names of an object's slots that refer to another, with the marks of their kinds. What is no object has none.
fn slots_that_refer(record: &Record, to: Oid) -> Vec<String> {
    let Ok(object) = Object::from_record(record) else { return Vec::new() };
    let refers = |slot: &&object_model::Slot| object.origin(slot) == Some(to) || mentions(&object, &slot.value, to);
    object.slots().iter().filter(refers).map(slot_name).collect()
}

/// Whether a value of an object, or one inside it, refers to another object. Values are not deep: decoding bounds that.
fn mentions(object: &Object, value: &Value, to: Oid) -> bool {
    match value {
        Value::List(values) => values.iter().any(|one| mentions(object, one, to)),
        Value::Map(entries) => entries.iter().any(|(_, one)| mentions(object, one, to)),
        one => object.target(one) == Some(to),
    }
}
