//! Typed bytes to lines, lines to commands.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use line_editor::{Event, LineEditor};
use runtime::abi::interfaces::console::Read;
use runtime::abi::kernel::BODY_MAX;
use runtime::{Call, Clock};

use crate::command::{COMMANDS, Command, parse};
use crate::failure::Failure;
use crate::objects::Records;
use crate::servers::Servers;
use crate::{help, machine, memory, objects, processes, text, transactions};

/// What each line begins with.
pub const PROMPT: &str = "telos> ";
/// Failed reads in a row after which the console is given up.
const MOST_FAILED_READS: u32 = 8;
const CLEAR_SCREEN: &str = "\x1b[H\x1b[2J";

/// Status of the shell when its input has ended.
const ENDED: u64 = 0;
/// Status of the shell when its console is lost.
const CONSOLE_LOST: u64 = 1;

/// One user at one console.
#[derive(Debug)]
pub struct Session {
    servers: Servers,
    editor: LineEditor,
    records: Records,
}

/// Whether the session goes on.
enum Next {
    Line,
    End,
}

impl Session {
    /// A session that has not begun.
    pub fn new(servers: Servers) -> Self {
        Session { servers, editor: LineEditor::new(PROMPT), records: Records::default() }
    }

    /// Reads and carries out commands until the input ends. Answers the shell's status.
    pub fn run(mut self) -> u64 {
        let mut typed = [0; BODY_MAX];
        let mut failed = 0;
        self.begin_line();
        loop {
            let Some(console) = self.servers.console.endpoint() else {
                return CONSOLE_LOST;
            };
            let length = match Call::new(console, Read {}).into_bytes(&mut typed) {
                Ok((_, length)) => length,
                // A console that is replaced or restarted fails one read; one that is gone fails them all.
                Err(_) if failed < MOST_FAILED_READS => {
                    failed += 1;
                    continue;
                }
                Err(_) => return CONSOLE_LOST,
            };
            failed = 0;
            for byte in typed.get(..length).unwrap_or(&[]) {
                if let Next::End = self.feed(*byte) {
                    return ENDED;
                }
            }
        }
    }

    fn feed(&mut self, byte: u8) -> Next {
        let mut echo = Vec::new();
        let event = self.editor.feed(byte, candidates, &mut echo);
        if !echo.is_empty() {
            self.servers.console.write(&echo);
        }
        match event {
            None => return Next::Line,
            Some(Event::Interrupted) => {}
            Some(Event::Line(line)) => self.line(&line),
            Some(Event::EndOfInput) => {
                if let Err(failure) = machine::shutdown(&self.servers) {
                    self.print(&alloc::format!("shutdown: {failure}\n"));
                }
                return Next::End;
            }
        }
        self.begin_line();
        Next::Line
    }

    fn line(&mut self, line: &str) {
        match parse(line) {
            Ok(None) => {}
            Err(mistake) => self.print(&alloc::format!("{mistake}\n")),
            Ok(Some(command)) => match self.carry_out(command) {
                Ok(output) => self.print(&output),
                Err(failure) => {
                    let name = line.split_whitespace().next().unwrap_or("shell");
                    self.print(&alloc::format!("{}: {failure}\n", text::Plain(name)));
                }
            },
        }
    }

    fn carry_out(&mut self, command: Command) -> Result<String, Failure> {
        let servers = &self.servers;
        match command {
            Command::Help(None) => Ok(help::all()),
            Command::Help(Some(name)) => Ok(help::about(&name)),
            Command::Processes => processes::list(servers, processes::Table::Processes),
            Command::Cells => processes::list(servers, processes::Table::Cells),
            Command::Memory => memory::show(servers),
            Command::Inspect(oid) => objects::inspect(servers, &mut self.records, oid),
            Command::Transactions(count) => transactions::list(servers, count),
            Command::Spawn { image, until } => processes::spawn(servers, &image, until),
            Command::Halt => machine::halt(servers),
            Command::Shutdown => machine::shutdown(servers),
            Command::Uptime => Ok(machine::uptime(runtime::clock(Clock::Monotonic), runtime::clock(Clock::Wall))),
            Command::Clear => Ok(CLEAR_SCREEN.to_string()),
        }
    }

    fn begin_line(&mut self) {
        let mut prompt = Vec::new();
        self.editor.begin(&mut prompt);
        self.servers.console.write(&prompt);
    }

    fn print(&self, text: &str) {
        self.servers.console.write(text.as_bytes());
    }
}

/// What may stand at the cursor: the name of a command, where one is expected.
fn candidates(before: &str) -> Vec<String> {
    let last = before.rsplit(char::is_whitespace).next().unwrap_or_default();
    let preceding = before.strip_suffix(last).unwrap_or_default().trim();
    match preceding {
        "" | "help" => COMMANDS.iter().map(|entry| entry.name.to_string()).collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_commands_complete_where_they_are_expected() {
        assert_eq!(candidates("").len(), COMMANDS.len());
        assert_eq!(candidates("sp").len(), COMMANDS.len());
        assert_eq!(candidates("  help s").len(), COMMANDS.len());
        assert!(candidates("spawn s").is_empty());
        assert!(candidates("spawn ").is_empty());
    }

    #[test]
    fn a_completed_command_goes_on_behind_a_space() {
        let mut editor = LineEditor::new(PROMPT);
        let mut echo = Vec::new();
        for byte in b"insp\t" {
            editor.feed(*byte, candidates, &mut echo);
        }
        assert_eq!(editor.text(), "inspect ");
    }
}
