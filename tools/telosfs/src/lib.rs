//! `telosfs`: a state file as a person on the host sees it, without booting.
//!
//! [`run`] carries out one command line. A state file is opened for reading only, and nothing here can write to it: the device
//! over it, [`device::ReadOnlyFile`], has no way to. By module: `arguments` and `help` are the command line, [`state`] is the
//! open file with the names that people know objects by, `commands` has a module a command, `text` and `json` are how an
//! object is shown.
//!
//! The keys of the JSON that each command answers are in its help and stay as they are; others may be added.
#![forbid(unsafe_code)]

mod arguments;
mod commands;
mod console;
pub mod device;
mod failure;
mod help;
mod json;
mod locks;
mod point;
pub mod state;
mod text;
mod zodb;

pub use console::{Console, Progress};
pub use failure::{Failure, Status};

use arguments::{Arguments, Request};

/// Carries out a command line; `usual` is the state file where the line names none. Answers the exit status; what went wrong
/// is told on the console's notes.
pub fn run(line: &[String], usual: Option<&str>, console: &mut Console<'_>) -> Status {
    let outcome = match Arguments::parse(line, usual) {
        Ok(Request::Help(text)) => console.print(text).map(|()| Status::Fine),
        Ok(Request::Do(arguments)) => commands::carry_out(&arguments, console),
        Err(failure) => Err(failure),
    };
    let outcome = outcome.and_then(|status| console.flush().map(|()| status));
    outcome.unwrap_or_else(|failure| {
        // What was answered so far stands before the reason; where nobody reads any more, nobody misses it.
        let _ = console.flush();
        console.note(&format!("error: {}", failure.text));
        failure.status
    })
}
