//! The table of commands, and lines to commands.

use alloc::string::String;
use core::fmt;

use crate::nearest::nearest;
use crate::text::Plain;
use crate::words::{Unclosed, split};

/// A command with its arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// What commands there are, or what one does.
    Help(Option<String>),
    /// The processes.
    Processes,
    /// The cells that the processes run.
    Cells,
    /// How much memory there is.
    Memory,
    /// An object's record; the root's without an OID.
    Inspect(Option<u64>),
    /// So many transactions, the newest first.
    Transactions(u64),
    /// Starts a process of an image.
    Spawn {
        /// The image's name.
        image: String,
        /// What to do then.
        until: Until,
    },
    /// Stops the machine at once.
    Halt,
    /// Ends everything in order, then stops the machine.
    Shutdown,
    /// How long the machine has run.
    Uptime,
    /// Clears the screen.
    Clear,
}

/// Until when a spawn waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// Until the process runs.
    Started,
    /// Until it has ended.
    Ended,
}

/// One line of the table.
#[derive(Debug)]
pub struct Entry {
    /// What is typed.
    pub name: &'static str,
    /// Its arguments, as the help shows them.
    pub arguments: &'static str,
    /// What it does.
    pub help: &'static str,
    parse: fn(&[&str]) -> Option<Command>,
}

/// How many transactions are shown where no number is given.
const DEFAULT_TRANSACTIONS: u64 = 10;

/// Every command, in the order of the help.
pub const COMMANDS: &[Entry] = &[
    Entry {
        name: "help",
        arguments: "[COMMAND]",
        help: "Lists the commands, or tells what one does.",
        parse: |words| match words {
            [] => Some(Command::Help(None)),
            [name] => Some(Command::Help(Some((*name).into()))),
            _ => None,
        },
    },
    Entry {
        name: "ps",
        arguments: "",
        help: "Lists the processes: OID, state, version and name.",
        parse: |words| alone(words, Command::Processes),
    },
    Entry {
        name: "cells",
        arguments: "",
        help: "Lists the cells: name, version, start of the image's hash, addresses of the text, state.",
        parse: |words| alone(words, Command::Cells),
    },
    Entry {
        name: "mem",
        arguments: "",
        help: "Shows how much memory the memory server has, in bytes.",
        parse: |words| alone(words, Command::Memory),
    },
    Entry {
        name: "inspect",
        arguments: "[OID]",
        help: "Shows the record of a persistent object, the root without an OID. OIDs are decimal, or hexadecimal behind 0x.",
        parse: |words| match words {
            [] => Some(Command::Inspect(None)),
            [oid] => number(oid).map(|oid| Command::Inspect(Some(oid))),
            _ => None,
        },
    },
    Entry {
        name: "txlog",
        arguments: "[COUNT]",
        help: "Lists committed transactions, the newest first; 10 without a count.",
        parse: |words| match words {
            [] => Some(Command::Transactions(DEFAULT_TRANSACTIONS)),
            [count] => number(count).map(Command::Transactions),
            _ => None,
        },
    },
    Entry {
        name: "spawn",
        arguments: "[-w] IMAGE",
        help: "Starts a process of the current image of that name and prints its OID; with -w, waits until it has ended and prints its status.",
        parse: |words| {
            let (image, until) = match words {
                ["-w", image] => (image, Until::Ended),
                [image] if *image != "-w" => (image, Until::Started),
                _ => return None,
            };
            let image = (!image.is_empty()).then(|| (*image).into())?;
            Some(Command::Spawn { image, until })
        },
    },
    Entry {
        name: "halt",
        arguments: "",
        help: "Stops the machine at once, uncleanly (code 2): what is not committed is lost.",
        parse: |words| alone(words, Command::Halt),
    },
    Entry {
        name: "shutdown",
        arguments: "",
        help: "Ends in order and stops the machine (code 0). The end of input (Ctrl-D) does the same.",
        parse: |words| alone(words, Command::Shutdown),
    },
    Entry {
        name: "uptime",
        arguments: "",
        help: "Shows how long the machine has run, and the time.",
        parse: |words| alone(words, Command::Uptime),
    },
    Entry { name: "clear", arguments: "", help: "Clears the screen.", parse: |words| alone(words, Command::Clear) },
];

fn alone(words: &[&str], command: Command) -> Option<Command> {
    words.is_empty().then_some(command)
}

fn number(word: &str) -> Option<u64> {
    let (digits, radix) = match word.strip_prefix("0x") {
        Some(digits) => (digits, 16),
        None => (word, 10),
    };
    // The parser of the library would take a sign.
    let is_digits = digits.chars().all(|digit| digit.is_digit(radix));
    is_digits.then(|| u64::from_str_radix(digits, radix).ok())?
}

/// The line of the table with a name.
pub fn entry(name: &str) -> Option<&'static Entry> {
    COMMANDS.iter().find(|entry| entry.name == name)
}

/// Why a line is no command.
#[derive(Clone, Debug)]
pub enum Mistake {
    /// There is no command of this name.
    Unknown(String),
    /// Its arguments are others.
    Usage(&'static Entry),
    /// A quotation mark was not closed.
    Unclosed,
}

/// The command of a line; `None` for a blank one.
///
/// # Errors
/// [`Mistake`].
pub fn parse(line: &str) -> Result<Option<Command>, Mistake> {
    let words = split(line).map_err(|Unclosed| Mistake::Unclosed)?;
    let words: alloc::vec::Vec<&str> = words.iter().map(String::as_str).collect();
    let Some((name, arguments)) = words.split_first() else {
        return Ok(None);
    };
    let entry = entry(name).ok_or_else(|| Mistake::Unknown((*name).into()))?;
    let command = (entry.parse)(arguments).ok_or(Mistake::Usage(entry))?;
    Ok(Some(command))
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Mistake::Unknown(name) => {
                let meant = nearest(name, COMMANDS.iter().map(|entry| entry.name));
                let (name, meant) = (Plain(name), meant.unwrap_or("help"));
                write!(f, "there is no command `{name}`; did you mean `{meant}`? `help` lists all")
            }
            Mistake::Usage(entry) => {
                let Entry { name, arguments, .. } = entry;
                let space = if arguments.is_empty() { "" } else { " " };
                write!(f, "{name}: these are not its arguments; type `{name}{space}{arguments}`")
            }
            Mistake::Unclosed => f.write_str("a quotation mark is open; close it with `\"`"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn spawn(image: &str, until: Until) -> Command {
        let image = image.into();
        Command::Spawn { image, until }
    }

    #[test]
    fn lines_to_commands() {
        for (line, command) in [
            ("ps", Command::Processes),
            ("  mem  ", Command::Memory),
            ("help spawn", Command::Help(Some("spawn".into()))),
            ("inspect", Command::Inspect(None)),
            ("inspect 12", Command::Inspect(Some(12))),
            ("inspect 0xffffffffffffffff", Command::Inspect(Some(u64::MAX))),
            ("txlog", Command::Transactions(10)),
            ("txlog 3", Command::Transactions(3)),
            ("spawn test_proc", spawn("test_proc", Until::Started)),
            ("spawn -w \"a b\"", spawn("a b", Until::Ended)),
        ] {
            assert_eq!(parse(line).expect(line), Some(command), "{line}");
        }
        assert_eq!(parse(" ").expect("blank"), None);
    }

    #[test]
    fn wrong_arguments_show_the_right_ones() {
        for line in [
            "ps all",
            "inspect x",
            "inspect 0x",
            "inspect +1",
            "inspect 1 2",
            "inspect 18446744073709551616",
            "txlog -1",
            "spawn",
            "spawn -w",
            "spawn \"\"",
            "halt now",
        ] {
            let text = parse(line).expect_err(line).to_string();
            let name = line.split(' ').next().expect("a word");
            assert!(text.starts_with(&format!("{name}: these are not its arguments; type `{name}")), "{text}");
        }
        let text = parse("spawn").expect_err("no image").to_string();
        assert!(text.ends_with("type `spawn [-w] IMAGE`"), "{text}");
    }

    #[test]
    fn an_unknown_name_is_named_with_the_nearest() {
        let text = parse("shutdwon now").expect_err("unknown").to_string();
        let expected = "there is no command `shutdwon`; did you mean `shutdown`? `help` lists all";
        assert_eq!(text, expected);
    }

    #[test]
    fn what_was_typed_does_not_control_the_terminal() {
        let text = parse("\x1b[2J").expect_err("unknown").to_string();
        assert!(!text.contains(char::is_control), "{text:?}");
    }

    proptest! {
        #[test]
        fn any_line_is_a_command_or_a_mistake(line in "(?s).*") {
            if let Err(mistake) = parse(&line) {
                prop_assert!(!mistake.to_string().is_empty());
            }
        }

        #[test]
        fn any_string_behind_a_name_is_taken_or_refused(index in 0..COMMANDS.len(), rest in "(?s).*") {
            let line = format!("{} {rest}", COMMANDS[index].name);
            prop_assert!(!matches!(parse(&line), Ok(None) | Err(Mistake::Unknown(_))));
        }
    }
}
