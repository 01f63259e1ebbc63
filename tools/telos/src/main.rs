//! The `telos` program: a command line, or the compiler's wrapper when cargo calls it as one.

use std::process::ExitCode;

use telos::run::Exit;

fn main() -> ExitCode {
    if let Some(code) = telos::policy::as_compiler() {
        return code;
    }
    match telos::cli::run(std::env::args().skip(1)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Exit { status, failure }) => {
            eprintln!("error: {failure}");
            ExitCode::from(status as u8)
        }
    }
}
