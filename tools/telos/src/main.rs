//! The `telos` program: a command line, or the compiler's wrapper when cargo calls it as one.

use std::process::ExitCode;

fn main() -> ExitCode {
    if let Some(code) = telos::policy::as_compiler() {
        return code;
    }
    match telos::cli::run(std::env::args().skip(1)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("error: {failure}");
            ExitCode::FAILURE
        }
    }
}
