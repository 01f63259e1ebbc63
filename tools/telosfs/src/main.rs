//! The `telosfs` program: a command line over a state file.

use std::env;
use std::io::{self, BufWriter, IsTerminal};
use std::process::ExitCode;

use telosfs::{Console, Progress};

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let state = env::var("STATE").ok().filter(|path| !path.is_empty());
    let mut out = BufWriter::new(io::stdout().lock());
    let mut notes = io::stderr();
    let progress = if io::stderr().is_terminal() { Progress::Shown } else { Progress::Hidden };
    let status =
        telosfs::run(&arguments, state.as_deref(), &mut Console { out: &mut out, notes: &mut notes, progress });
    ExitCode::from(status as u8)
}
