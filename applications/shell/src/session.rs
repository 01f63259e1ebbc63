//! Lines to commands, and commands carried out.

use alloc::format;
use alloc::string::{String, ToString};

use runtime::abi::interface::Method;
use runtime::abi::interfaces::console::{Complete, Ending, ReadLine};
use runtime::abi::kernel::BODY_MAX;
use runtime::{Call, Clock};

use crate::command::{Command, Mistake, Until, parse};
use crate::completion::{self, Expected};
use crate::failure::Failure;
use crate::lines::{self, Line};
use crate::oids::Oids;
use crate::program::{Workspace, plain};
use crate::records::{self, Records};
use crate::servers::Servers;
use crate::text::Plain;
use crate::{
    calls, caps, directory, faults, fsck, help, history, machine, memory, objects, pack, past, processes, replacements,
    search, store, top, tour, transactions, tree, undo,
};

/// What each line begins with.
pub const PROMPT: &str = "telos> ";
/// The same while a transaction is open.
pub const PROMPT_IN_TRANSACTION: &str = "telos*> ";
/// What a line begins with that goes on with a program.
pub const PROMPT_OPEN: &str = "   ...> ";
/// What is said first where nothing will be kept.
const DEMO: &str = "This is a demo: changes are in memory, and are thrown away at the end.\n";
/// Failed reads in a row after which the console is given up.
const MOST_FAILED_READS: u32 = 8;
/// Clears the screen and leaves the cursor at its start.
const CLEAR_SCREEN: &str = "\x1b[2J\x1b[H";

/// Status of the shell when its input has ended.
const ENDED: u64 = 0;
/// Status of the shell when its console is lost.
const CONSOLE_LOST: u64 = 1;

/// One user at one console.
pub struct Session {
    servers: Servers,
    records: Records,
    /// The objects that were shown.
    oids: Oids,
    /// The language, once it was used.
    workspace: Option<Workspace>,
    /// The lines of a program that is not complete.
    open: String,
    /// The next step of the tour.
    tour: usize,
}

impl Session {
    /// A session that has not begun.
    pub fn new(servers: Servers) -> Self {
        Session {
            servers,
            records: Records::default(),
            oids: Oids::default(),
            workspace: None,
            open: String::new(),
            tour: 0,
        }
    }

    /// Reads and carries out commands until the input ends. Answers the shell's status.
    pub fn run(mut self) -> u64 {
        if store::is_demo(&self.servers) {
            self.print(DEMO);
        }
        let mut failed = 0;
        let mut read = self.read_line();
        loop {
            read = match read {
                Some((Ending::EndOfInput, _)) => break,
                Some((ending, text)) => {
                    failed = 0;
                    self.go_on(ending, &text)
                }
                // A console that is replaced or restarted fails one read; one that is gone fails them all.
                None if failed < MOST_FAILED_READS => {
                    failed += 1;
                    self.read_line()
                }
                None => return CONSOLE_LOST,
            };
        }
        if let Err(failure) = machine::shutdown(&self.servers) {
            self.print(&format!("shutdown: {failure}\n"));
        }
        ENDED
    }

    /// Does what a line asks for, and reads on.
    fn go_on(&mut self, ending: Ending, text: &str) -> Option<(Ending, String)> {
        match ending {
            Ending::Tab => return self.complete(text),
            Ending::Entered => self.line(text),
            Ending::Interrupted | Ending::EndOfInput => self.open.clear(),
        }
        self.read_line()
    }

    fn read_line(&self) -> Option<(Ending, String)> {
        self.ask(ReadLine {}, self.prompt())
    }

    fn prompt(&self) -> &'static str {
        match (self.open.is_empty(), self.is_in_transaction()) {
            (false, _) => PROMPT_OPEN,
            (true, true) => PROMPT_IN_TRANSACTION,
            (true, false) => PROMPT,
        }
    }

    fn is_in_transaction(&self) -> bool {
        self.workspace.as_ref().is_some_and(Workspace::is_in_transaction)
    }

    /// Goes on behind a tab.
    fn complete(&mut self, before: &str) -> Option<(Ending, String)> {
        self.records.fix(self.is_in_transaction());
        let word = completion::last_word(before);
        let words = match completion::expected(before) {
            _ if !self.open.is_empty() || lines::line(before) == Line::Program && word.contains('.') => {
                search::completions(&self.servers, &mut self.records, word)
            }
            Expected::Command if before.trim() == word => {
                let mut words = search::completions(&self.servers, &mut self.records, word);
                words.extend(completion::commands());
                words
            }
            Expected::Command => completion::commands(),
            // Where they cannot be read there is nothing to complete.
            Expected::Image => directory::images(&self.servers, &mut self.records).unwrap_or_default(),
            Expected::Running => processes::killable(&self.servers, &mut self.records).unwrap_or_default(),
            Expected::Object => self.oids.completions(completion::last_word(before)),
            Expected::View => ["inspect", "ps", "images"].map(String::from).to_vec(),
            Expected::Nothing => search::completions(&self.servers, &mut self.records, word),
        };
        self.ask(Complete {}, &completion::fitting(before, words, BODY_MAX))
    }

    /// Asks the console for a line; `None` where it fails.
    fn ask<M: Method<Value = Ending>>(&self, method: M, body: &str) -> Option<(Ending, String)> {
        let console = self.servers.console.endpoint()?;
        let mut text = [0; BODY_MAX];
        let (answered, length) = Call::new(console, method).bytes(body.as_bytes()).into_bytes(&mut text).ok()?;
        let text = core::str::from_utf8(text.get(..length)?).ok()?;
        Some((answered.value, text.to_string()))
    }

    fn line(&mut self, line: &str) {
        if !self.open.is_empty() {
            self.open.push('\n');
            self.open.push_str(line);
            return self.program();
        }
        match lines::line(line) {
            Line::Nothing => {}
            Line::Command => self.command(line),
            Line::Program => {
                self.open.push_str(line);
                self.program();
            }
            Line::Unknown(name) => self.print(&format!("{}\n", Mistake::Unknown(name.into()))),
            Line::Taken(name) => {
                self.print(&format!("`{name}` is a command, and cannot be read as a name; choose another\n"));
            }
        }
    }

    fn command(&mut self, line: &str) {
        self.records.fix(self.is_in_transaction());
        // Where it is not told, the word that names it is refused.
        if line.contains("#root")
            && let Ok(root) = records::root(&self.servers)
        {
            self.oids.note_root(root);
        }
        match parse(line, &self.oids) {
            Ok(None) => {}
            Err(mistake) => self.print(&format!("{mistake}\n")),
            Ok(Some(Command::Tour(step))) => self.tour(step),
            Ok(Some(command)) => match self.carry_out(command) {
                Ok(output) => self.tell(&output),
                Err(failure) => {
                    let name = line.split_whitespace().next().unwrap_or("shell");
                    self.print(&format!("{}: {failure}\n", Plain(name)));
                }
            },
        }
    }

    /// Carries out a step of the tour, counted from 1, or the next one.
    fn tour(&mut self, step: Option<u64>) {
        let number = match step {
            Some(step) => usize::try_from(step - 1).unwrap_or(usize::MAX),
            None => self.tour,
        };
        let Some(step) = tour::STEPS.get(number) else {
            return self.print(&format!("tour: it has {} steps\n", tour::STEPS.len()));
        };
        self.print(&tour::heading(number, step));
        for line in step.lines {
            self.print(&format!("{}{line}\n", self.prompt()));
            self.line(line);
        }
        self.print(tour::farewell(number));
        self.tour = (number + 1) % tour::STEPS.len();
    }

    /// Prints, and remembers which objects that named.
    fn tell(&mut self, output: &str) {
        self.oids.note(output);
        self.print(output);
    }

    /// Runs the program whose lines have come, where it is complete.
    fn program(&mut self) {
        if language::is_open(&self.open) && self.open.len() < language::SOURCE_LIMIT {
            return;
        }
        let source = core::mem::take(&mut self.open);
        if self.workspace.is_none() {
            match Workspace::new(&mut self.servers, &mut self.records) {
                Ok(workspace) => self.workspace = Some(workspace),
                Err(failure) => return self.print(&format!("program: {failure}\n")),
            }
        }
        let Some(workspace) = &mut self.workspace else { return };
        let said = match workspace.run(&self.servers, &source) {
            Ok(output) => output,
            Err(error) => match lines::lone_name(&source) {
                // What is one word may have been meant as a command.
                Some(name) if error.message.contains(&format!("does not understand `{name}`")) => {
                    format!("{}\n", Mistake::NoName(name.into()))
                }
                _ => plain(&error.to_string()),
            },
        };
        self.tell(&said);
    }

    fn carry_out(&mut self, command: Command) -> Result<String, Failure> {
        if self.is_in_transaction() && waits(&command) {
            return Err(Failure::TransactionOpen);
        }
        let (servers, records) = (&self.servers, &mut self.records);
        match command {
            Command::Help(None) => Ok(help::all()),
            Command::Help(Some(name)) => Ok(help::about(&name)),
            Command::Processes => processes::list(servers, records),
            Command::Cells => processes::cells(servers),
            Command::Top => top::list(servers),
            Command::Tree => tree::show(servers, records),
            Command::Memory => memory::show(servers),
            Command::Inspect { oid, form } => objects::inspect(servers, records, oid, form),
            Command::Transactions(count) => transactions::list(servers, count),
            Command::History { oid, count } => history::list(servers, oid, count),
            Command::Undo(moments) => undo::undo(servers, records, &moments),
            Command::At { moment, view } => past::show(servers, records, moment, view),
            Command::Pack(until) => pack::pack(servers, until),
            Command::Check => fsck::check(servers),
            Command::Store => store::show(servers),
            Command::Spawn { image, until } => processes::spawn(servers, records, &image, until),
            Command::Kill(target) => processes::kill(servers, records, &target),
            Command::Call { name, label, words } => calls::call(servers, records, &name, label, words),
            Command::Priority { target, priority } => calls::set_priority(servers, records, &target, priority),
            Command::Capabilities(target) => caps::list(servers, records, &target),
            Command::Replace { name, image, overdue, until } => {
                replacements::replace(servers, &name, (image, overdue), until)
            }
            Command::Rollback(name) => replacements::rollback(servers, &name),
            Command::Images => replacements::images(servers, records),
            Command::Replacements => replacements::list(servers),
            Command::Faults { count, detail } => faults::list(servers, records, count, detail),
            Command::Search(wanted, selector) => search::list(servers, records, wanted, &selector),
            // What it does is done by the lines of its step.
            Command::Tour(_) => Ok(String::new()),
            Command::Halt => machine::halt(servers),
            Command::Shutdown => machine::shutdown(servers),
            Command::Reboot => machine::reboot(servers),
            Command::Uptime => Ok(machine::uptime(runtime::clock(Clock::Monotonic), runtime::clock(Clock::Wall))),
            Command::Clear => Ok(CLEAR_SCREEN.to_string()),
        }
    }

    fn print(&self, text: &str) {
        self.servers.console.write(text.as_bytes());
    }
}

/// Whether a command waits for what an open transaction keeps from happening.
fn waits(command: &Command) -> bool {
    matches!(command, Command::Spawn { until: Until::Ended, .. } | Command::Replace { .. } | Command::Rollback(_))
}
