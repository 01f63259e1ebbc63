//! The table of commands, and lines to commands.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use runtime::abi::kernel::Overdue;

use crate::arguments::{self, Wrong};
use crate::moments::Moment;
use crate::nearest::nearest;
use crate::oids::{BadOid, Oids};
use crate::past::View;
use crate::search::Wanted;
use crate::text::Plain;
use crate::words::{Unclosed, split};

/// A command with its arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// What commands there are, or what one does.
    Help(Option<String>),
    /// The processes.
    Processes,
    /// The cells that were loaded.
    Cells,
    /// How much memory there is.
    Memory,
    /// What the cells use.
    Top,
    /// Who started whom.
    Tree,
    /// An object.
    Inspect {
        /// Which; the root without one.
        oid: Option<u64>,
        /// How.
        form: Form,
    },
    /// So many transactions, the newest first.
    Transactions(u64),
    /// The revisions of an object.
    History {
        /// Which.
        oid: u64,
        /// So many, the newest first.
        count: u64,
    },
    /// Undoes transactions, in this order.
    Undo(Vec<Moment>),
    /// What was.
    At {
        /// After which transaction.
        moment: Moment,
        /// What of it.
        view: View,
    },
    /// Drops the past up to a transaction, or all that may go.
    Pack(Option<Moment>),
    /// Reads the whole store.
    Check,
    /// What the store holds and does.
    Store,
    /// Starts a process of an image.
    Spawn {
        /// The image's name.
        image: String,
        /// What to do then.
        until: Until,
    },
    /// Ends a process, or stops the instance of a service.
    Kill(Target),
    /// Calls a label of a process that serves.
    Call {
        /// Its name.
        name: String,
        /// The label.
        label: u32,
        /// The words.
        words: [u64; 3],
    },
    /// Gives a process a priority.
    Priority {
        /// Which.
        target: Target,
        /// The priority.
        priority: u64,
    },
    /// What a process or service holds.
    Capabilities(Target),
    /// Replaces the instance of a service.
    Replace {
        /// The service's name.
        name: String,
        /// The image; the one that came last, or the current one of the name, without one.
        image: Option<u64>,
        /// What becomes of an old instance that does not answer what it holds.
        overdue: Overdue,
        /// What to do then.
        until: Until,
    },
    /// Replaces it by the image that was current before.
    Rollback(String),
    /// The replacements of this boot.
    Replacements,
    /// The images.
    Images,
    /// So many failures, the newest first.
    Faults {
        /// How many.
        count: u64,
        /// How much of each.
        detail: Detail,
    },
    /// The slots that answer a selector, or the methods that send it.
    Search(Wanted, String),
    /// A step of the tour, counted from 1; the next one without.
    Tour(Option<u64>),
    /// Stops the machine at once.
    Halt,
    /// Ends everything in order, then stops the machine.
    Shutdown,
    /// Ends everything in order, then boots again.
    Reboot,
    /// How long the machine has run.
    Uptime,
    /// Clears the screen.
    Clear,
}

/// How an object is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Its slots.
    Slots,
    /// The bytes of its record.
    Bytes,
}

/// A process or service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// The process of this object.
    Object(u64),
    /// The process or the service of this name.
    Named(String),
}

/// How much is shown of a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// A line.
    Line,
    /// All that is known.
    All,
}

/// Until when a command waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// Until it has begun.
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
    /// What it does, in a sentence.
    pub help: &'static str,
    /// What else there is to know; may be empty.
    pub more: &'static str,
    parse: fn(&[&str]) -> Result<Command, Wrong>,
}

/// How many transactions are shown where no number is given.
const DEFAULT_TRANSACTIONS: u64 = 10;

/// How many failures are shown where no number is given.
const DEFAULT_FAULTS: u64 = 10;

/// Every command, in the order of the help.
pub const COMMANDS: &[Entry] = &[
    Entry {
        name: "help",
        arguments: "[COMMAND]",
        help: "Lists the commands, or tells what one does.",
        more: "Keys: arrows, Home, End and Delete edit the line, arrow up and down recall earlier ones, Tab completes\n\
               commands, images and OIDs that were shown, Ctrl-C drops the line, Ctrl-D on an empty one ends.",
        parse: |words| Ok(Command::Help(arguments::at_most_one(words)?.map(String::from))),
    },
    Entry {
        name: "ps",
        arguments: "",
        help: "Lists the processes in the graph, those of earlier boots too: OID, state, version and name.",
        more: "`exited 3` is the status that a process ended with, `failed` that it was stopped for a fault; neither is\n\
               ever run again. `not started` is to run, and could not be started in this boot: the log says why.\n\
               The version is that of the image, for what ran in this boot.",
        parse: |words| arguments::none(words).map(|()| Command::Processes),
    },
    Entry {
        name: "cells",
        arguments: "",
        help: "Lists the cells loaded in this boot: name, version, start of the image's hash, addresses of the text, state.",
        more: "The servers that the boot began with come first. A cell that has ended has no addresses.",
        parse: |words| arguments::none(words).map(|()| Command::Cells),
    },
    Entry {
        name: "top",
        arguments: "",
        help: "Lists the cells that run: priority, threads, processor time in seconds, heap, and requests.",
        more: "The time is that of the first thread, counted by the timer in milliseconds. PARKED requests wait at the cell's endpoint, HELD ones it has taken and not answered. EPOCH counts the instances that\n\
               served there before. The one with the most ticks comes first.",
        parse: |words| arguments::none(words).map(|()| Command::Top),
    },
    Entry {
        name: "tree",
        arguments: "",
        help: "Shows what runs as a tree of who started whom: OID, threads, mapped memory, heap, and untyped memory held.",
        more: "The kernel looks after `process`, and that after the other services and the processes. A process stands below the one\n\
               that had it started, as its object says in `startedBy`, or below `process` where that is gone or there is none.\n\
               MEMORY is code, stack, heap and buffers. UNTYPED counts each byte once; what memory holds, the others get theirs from.",
        parse: |words| arguments::none(words).map(|()| Command::Tree),
    },
    Entry {
        name: "mem",
        arguments: "",
        help: "Shows how much memory the memory server has, in bytes.",
        more: "",
        parse: |words| arguments::none(words).map(|()| Command::Memory),
    },
    Entry {
        name: "inspect",
        arguments: "[-x] [OID]",
        help: "Shows the slots of a persistent object, of the root without an OID; with -x, the bytes of its record.",
        more: "The root names what there is: the digits of an OID that was shown may\n\
               be cut short where no other begins so, and Tab completes them. `#root` is the root.\n\
               `name*` is a parent, `name()` a method. A capability shows how it is made again, never a live one.",
        parse: |words| inspected(words).map(|(oid, form)| Command::Inspect { oid, form }),
    },
    Entry {
        name: "txlog",
        arguments: "[COUNT]",
        help: "Lists committed transactions, the newest first; 10 without a count.",
        more: "The time is that of the TID, which counts microseconds since 1970 and never goes back, even if the clock does.",
        parse: |words| {
            let count = arguments::at_most_one(words)?.map(arguments::count).transpose()?;
            Ok(Command::Transactions(count.unwrap_or(DEFAULT_TRANSACTIONS)))
        },
    },
    Entry {
        name: "history",
        arguments: "OID [COUNT]",
        help: "Lists the revisions of an object, the newest first; 10 without a count.",
        more: "Each is the state that a transaction left: `at TID inspect OID` shows it. `ended` in place of the bytes: the\n\
               transaction ended the object. What a pack has dropped is not there any more.",
        parse: |words| {
            let (oid, count) = arguments::one_or_two(words, "an OID")?;
            let count = count.map(arguments::count).transpose()?.unwrap_or(DEFAULT_TRANSACTIONS);
            Ok(Command::History { oid: arguments::oid(oid)?, count })
        },
    },
    Entry {
        name: "undo",
        arguments: "TID [TID...]",
        help: "Undoes transactions, in this order, in a new one: what they changed is as it was before.",
        more: "A TID is one of `txlog`; -1 is the last transaction, -2 the one before it. All are undone or none: where an object\n\
               was changed since, the later transactions have to be undone first. What runs follows: a priority that is undone\n\
               is the old one again, an upgrade that is undone brings the old code back. An undo can be undone. Authority never\n\
               comes back by it.",
        parse: |words| {
            let moments: Vec<Moment> =
                words.iter().map(|word| arguments::transaction(word)).collect::<Result<_, _>>()?;
            if moments.is_empty() { Err(Wrong::Missing("a TID")) } else { Ok(Command::Undo(moments)) }
        },
    },
    Entry {
        name: "at",
        arguments: "TID inspect [-x] [OID] | ps | images",
        help: "Shows an object, the processes or the images as they stood after a transaction.",
        more: "A TID is one of `txlog` or `history`, -1 for the last transaction, or a time as 2026-11-27T22:30:05 (UTC) for the\n\
               last one up to then. Nothing is changed by looking, and no authority comes back. What a pack has dropped cannot be\n\
               looked at: `store` says from where on the past is whole.",
        parse: |words| {
            let (moment, rest) = words.split_first().ok_or(Wrong::Missing("a TID"))?;
            let moment = arguments::moment(moment)?;
            let (what, rest) = rest.split_first().ok_or(Wrong::Missing("`inspect`, `ps` or `images`"))?;
            let view = match *what {
                "inspect" => inspected(rest).map(|(oid, form)| View::Inspect { oid, form }),
                "ps" => arguments::none(rest).map(|()| View::Processes),
                "images" => arguments::none(rest).map(|()| View::Images),
                other => Err(Wrong::NoView(other.into())),
            };
            Ok(Command::At { moment, view: view? })
        },
    },
    Entry {
        name: "pack",
        arguments: "[TID]",
        help: "Drops the past up to a transaction, without one all of it, and the objects that nothing reaches.",
        more: "A TID is one of `txlog`, -1 for the last transaction, or a time. What stands after the transaction stays, with its\n\
               history. Requests are served meanwhile. References to objects that are not there are counted and named.",
        parse: |words| Ok(Command::Pack(arguments::at_most_one(words)?.map(arguments::moment).transpose()?)),
    },
    Entry {
        name: "fsck",
        arguments: "",
        help: "Reads and checks the whole store while it serves, and names the first damage.",
        more: "Nothing is repaired by it. Each record has a checksum with its object and transaction in it.",
        parse: |words| arguments::none(words).map(|()| Command::Check),
    },
    Entry {
        name: "store",
        arguments: "",
        help: "Shows what the store holds, how much room it has, and what its cache and its device do.",
        more: "",
        parse: |words| arguments::none(words).map(|()| Command::Store),
    },
    Entry {
        name: "spawn",
        arguments: "[-w] IMAGE",
        help: "Starts a process of the current image of that name and prints its OID; with -w, waits for its end.",
        more: "The image comes from the graph, not from the boot archive. With -w the status is printed.",
        parse: |words| {
            let (waits, words) = arguments::option(words, "-w")?;
            let image = arguments::one(words, "the name of an image")?.into();
            Ok(Command::Spawn { image, until: if waits { Until::Ended } else { Until::Started } })
        },
    },
    Entry {
        name: "kill",
        arguments: "NAME|OID",
        help: "Ends a process for good, or stops a service, which then begins again.",
        more: "A process that is ended so is `failed` and never run again. A service keeps its endpoint: requests that wait there\n\
               are served by its next instance, requests that it had received are answered with an error.",
        parse: |words| Ok(Command::Kill(target(words)?)),
    },
    Entry {
        name: "call",
        arguments: "NAME LABEL [WORD...]",
        help: "Calls a process that serves, by the number of a method, with up to three numbers; prints the number it answers.",
        more: "`spawn counter`, then `call counter 1` counts one up, `call counter 4` saves the counts. Which labels there are, and what\n\
               they take, is in the cell's interface. An answer that does not come within 10 seconds is not waited for.",
        parse: |words| {
            let (name, rest) = words.split_first().ok_or(Wrong::Missing("the name of a process that serves"))?;
            let (label, rest) = rest.split_first().ok_or(Wrong::Missing("the number of a method"))?;
            let mut given = [0; 3];
            if let Some(word) = rest.get(given.len()) {
                return Err(Wrong::Unexpected((*word).into()));
            }
            for (place, word) in given.iter_mut().zip(rest) {
                *place = arguments::word(word)?;
            }
            let label = u32::try_from(arguments::word(label)?).map_err(|_| Wrong::Word((*label).into()))?;
            Ok(Command::Call { name: (*name).into(), label, words: given })
        },
    },
    Entry {
        name: "priority",
        arguments: "NAME|OID PRIORITY",
        help: "Gives a process a priority from 1 to 40, the greater the sooner; it stays with the process across reboots.",
        more: "A process starts with 16. Every server stands above all processes, and whoever is called runs at the priority of\n\
               its callers too. `top` shows the present ones.",
        parse: |words| {
            let (word, priority) = arguments::one_or_two(words, "the name of a process, or an OID")?;
            let priority = priority.ok_or(Wrong::Missing("a priority"))?;
            Ok(Command::Priority { target: target(&[word])?, priority: arguments::count(priority)? })
        },
    },
    Entry {
        name: "caps",
        arguments: "NAME|OID",
        help: "Lists the capabilities of a running process or service: slot, kind, rights, badge, and what each is.",
        more: "They are read from the kernel's table. FROM tells who put a capability there: what comes from its creator stays when\n\
               the cell begins again, what it made itself goes, except in memory and process, whose state that is. The badge is\n\
               what the server at the other end knows the cell by. `all` rights: to hold it is the whole authority.",
        parse: |words| Ok(Command::Capabilities(target(words)?)),
    },
    Entry {
        name: "replace",
        arguments: "[-n] [-f] NAME [IMAGE]",
        help: "Replaces a running service or process by an instance of another image; of the newest without one.",
        more: "With -n the end is not waited for: `replacements` shows it. Requests to a service wait meanwhile, and are served by\n\
               the new instance. It is on trial for half a second: where it fails, or does not answer, the old one goes on. The\n\
               image must serve all that is served, in the same way, and go on with its state. A process that serves nobody begins\n\
               anew, and is of the image before again where it fails in that time. What does not answer within two seconds what it\n\
               has received is not replaced; with -f it is ended then, and those requests fail.",
        parse: |words| {
            let ([goes_on, is_forced], words) = arguments::options(words, ["-n", "-f"])?;
            let overdue = if is_forced { Overdue::Ends } else { Overdue::GoesOn };
            let (name, image) = arguments::one_or_two(words, "the name of a service or process")?;
            let until = if goes_on { Until::Started } else { Until::Ended };
            Ok(Command::Replace { name: name.into(), image: image.map(arguments::oid).transpose()?, overdue, until })
        },
    },
    Entry {
        name: "images",
        arguments: "",
        help: "Lists the images in the graph: OID, name, version, build, start of the hash, TID, bytes, and what they are.",
        more: "`current` runs from the next start on, `before` is what `rollback` takes, `new` came by `make push` and is what\n\
               `replace` takes. A build number stands for what is in the image: it grows when that changes, and the same image keeps\n\
               it. The TID is that of the transaction that stored the image.",
        parse: |words| arguments::none(words).map(|()| Command::Images),
    },
    Entry {
        name: "rollback",
        arguments: "NAME",
        help: "Replaces a running service or process by the image that was current before the one that is.",
        more: "That is remembered across reboots. To roll back twice is to come back.",
        parse: |words| {
            arguments::one(words, "the name of a service or process").map(|name| Command::Rollback(name.into()))
        },
    },
    Entry {
        name: "replacements",
        arguments: "",
        help: "Lists the last replacement of each service in this boot: how far it is, how long requests waited, and how many.",
        more: "WAITED counts the microseconds for which the endpoint was shut, PARKED the most requests that stood there then,\n\
               HELD those that the old instance was at when it was shut.",
        parse: |words| arguments::none(words).map(|()| Command::Replacements),
    },
    Entry {
        name: "faults",
        arguments: "[-v] [COUNT]",
        help: "Lists the last failures of cells, the newest first; 10 without a count; with -v, all that is known of them.",
        more: "The last 64 are kept in the graph, so those of earlier boots are there too. `at` is the function in which it\n\
               failed. A request is named by its label, badge and thread.",
        parse: |words| {
            let (is_verbose, words) = arguments::option(words, "-v")?;
            let count = arguments::at_most_one(words)?.map(arguments::count).transpose()?;
            let detail = if is_verbose { Detail::All } else { Detail::Line };
            Ok(Command::Faults { count: count.unwrap_or(DEFAULT_FAULTS), detail })
        },
    },
    Entry {
        name: "implementors",
        arguments: "SELECTOR",
        help: "Lists the slots of objects in the graph that answer a selector: object, name, slot, and source.",
        more: "`implementors deposit/1`: the number of arguments is part of a selector. Images are not searched. `mirror(o).explain(#s)`\n\
               tells which of them answers for an object.",
        parse: |words| {
            arguments::one(words, "a selector").map(|name| Command::Search(Wanted::Implementors, selector(name)))
        },
    },
    Entry {
        name: "senders",
        arguments: "SELECTOR",
        help: "Lists the methods of objects in the graph that send a selector, to whomever: object, name, method, and source.",
        more: "`senders deposit/1`. Images are not searched.",
        parse: |words| arguments::one(words, "a selector").map(|name| Command::Search(Wanted::Senders, selector(name))),
    },
    Entry {
        name: "tour",
        arguments: "[STEP]",
        help: "Shows the system, a step each time: what is to be seen, and lines that do it.",
        more: "The lines are carried out as if you had typed them. With a number it goes on at that step; the steps build on each other.",
        parse: |words| Ok(Command::Tour(arguments::at_most_one(words)?.map(arguments::count).transpose()?)),
    },
    Entry {
        name: "halt",
        arguments: "",
        help: "Stops the machine at once, uncleanly: what is not committed is lost.",
        more: "The runner behind `make run` ends with status 2. The next boot finds the last commit.",
        parse: |words| arguments::none(words).map(|()| Command::Halt),
    },
    Entry {
        name: "shutdown",
        arguments: "",
        help: "Ends in order and stops the machine. The end of input (Ctrl-D) does the same.",
        more: "The runner behind `make run` ends with status 0. Processes that run are to run again at the next boot.",
        parse: |words| arguments::none(words).map(|()| Command::Shutdown),
    },
    Entry {
        name: "reboot",
        arguments: "",
        help: "Ends in order, then resets the machine, which boots again.",
        more: "As `shutdown`, processes that run are to run again. The runner behind `make run` stays with the machine: lines on its\n\
               standard input that follow are typed at the prompts of the next boot.",
        parse: |words| arguments::none(words).map(|()| Command::Reboot),
    },
    Entry {
        name: "uptime",
        arguments: "",
        help: "Shows how long the machine has run, and the time.",
        more: "",
        parse: |words| arguments::none(words).map(|()| Command::Uptime),
    },
    Entry {
        name: "clear",
        arguments: "",
        help: "Clears the screen.",
        more: "",
        parse: |words| arguments::none(words).map(|()| Command::Clear),
    },
];

/// What is to be inspected, and how.
fn inspected(words: &[&str]) -> Result<(Option<u64>, Form), Wrong> {
    let (is_raw, words) = arguments::option(words, "-x")?;
    let oid = arguments::at_most_one(words)?.map(arguments::oid).transpose()?;
    Ok((oid, if is_raw { Form::Bytes } else { Form::Slots }))
}

/// A process or service, as it is typed.
fn target(words: &[&str]) -> Result<Target, Wrong> {
    let word = arguments::one(words, "the name of a process or service, or an OID")?;
    Ok(if word.starts_with('#') { Target::Object(arguments::oid(word)?) } else { Target::Named(word.into()) })
}

/// A selector, which may be typed as a symbol.
fn selector(word: &str) -> String {
    word.strip_prefix('#').unwrap_or(word).into()
}

/// The line of the table with a name.
pub fn entry(name: &str) -> Option<&'static Entry> {
    COMMANDS.iter().find(|entry| entry.name == name)
}

impl Entry {
    /// As it is typed.
    pub fn usage(&self) -> impl fmt::Display {
        let space = if self.arguments.is_empty() { "" } else { " " };
        fmt::from_fn(move |f| write!(f, "{}{space}{}", self.name, self.arguments))
    }
}

/// Why a line is no command.
#[derive(Clone, Debug)]
pub enum Mistake {
    /// There is no command of this name.
    Unknown(String),
    /// There is neither a command nor a value of this name.
    NoName(String),
    /// Its arguments are others.
    Usage(&'static Entry, Wrong),
    /// A quotation mark was not closed.
    Unclosed,
}

/// The command of a line, in which OIDs may be cut short; `None` for a blank one.
///
/// # Errors
/// [`Mistake`].
pub fn parse(line: &str, oids: &Oids) -> Result<Option<Command>, Mistake> {
    let words = split(line).map_err(|Unclosed| Mistake::Unclosed)?;
    let Some((name, arguments)) = words.split_first() else {
        return Ok(None);
    };
    let entry = entry(name).ok_or_else(|| Mistake::Unknown(name.clone()))?;
    let whole: Result<Vec<String>, BadOid> = arguments.iter().map(|word| oids.whole(word)).collect();
    let command = whole.map_err(Wrong::Oid).and_then(|whole| {
        let words: Vec<&str> = whole.iter().map(String::as_str).collect();
        (entry.parse)(&words)
    });
    command.map(Some).map_err(|wrong| Mistake::Usage(entry, wrong))
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Mistake::Unknown(name) | Mistake::NoName(name) => {
                match self {
                    Mistake::NoName(_) => write!(f, "there is neither a command nor a name `{}`; ", Plain(name))?,
                    _ => write!(f, "there is no command `{}`; ", Plain(name))?,
                }
                if let Some(meant) = nearest(name, COMMANDS.iter().map(|entry| entry.name)) {
                    write!(f, "did you mean `{meant}`? ")?;
                }
                f.write_str("`help` lists all")
            }
            Mistake::Usage(entry, wrong) => write!(f, "{}: {wrong}; type `{}`", entry.name, entry.usage()),
            Mistake::Unclosed => f.write_str("a quotation mark is open; close it with `\"`"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// As in a session that has shown a few.
    fn parse(line: &str) -> Result<Option<Command>, Mistake> {
        let mut oids = Oids::default();
        oids.note("#000000000000000c #1b0000000000001a");
        oids.note_root(7);
        super::parse(line, &oids)
    }

    fn replace(image: Option<u64>, overdue: Overdue, until: Until) -> Command {
        Command::Replace { name: "memory".into(), image, overdue, until }
    }

    fn at(moment: Moment, view: View) -> Command {
        Command::At { moment, view }
    }

    fn spawn(image: &str, until: Until) -> Command {
        let image = image.into();
        Command::Spawn { image, until }
    }

    fn inspect(oid: Option<u64>, form: Form) -> Command {
        Command::Inspect { oid, form }
    }

    #[test]
    fn lines_to_commands() {
        for (line, command) in [
            ("ps", Command::Processes),
            ("  mem  ", Command::Memory),
            ("help spawn", Command::Help(Some("spawn".into()))),
            ("inspect", inspect(None, Form::Slots)),
            ("inspect #0", inspect(Some(12), Form::Slots)),
            ("inspect #root", inspect(Some(7), Form::Slots)),
            ("inspect -x #ffffffffffffffff", inspect(Some(u64::MAX), Form::Bytes)),
            ("inspect -x", inspect(None, Form::Bytes)),
            ("txlog", Command::Transactions(10)),
            ("txlog 3", Command::Transactions(3)),
            ("history #0", Command::History { oid: 12, count: 10 }),
            ("history #root 3", Command::History { oid: 7, count: 3 }),
            ("undo 12 -1", Command::Undo(alloc::vec![Moment::Tid(12), Moment::Back(1)])),
            ("at 12 inspect", at(Moment::Tid(12), View::Inspect { oid: None, form: Form::Slots })),
            ("at -2 inspect -x #0", at(Moment::Back(2), View::Inspect { oid: Some(12), form: Form::Bytes })),
            ("at 1970-01-01T00:01 ps", at(Moment::Time(60_000_000), View::Processes)),
            ("at 3 images", at(Moment::Tid(3), View::Images)),
            ("pack", Command::Pack(None)),
            ("pack -3", Command::Pack(Some(Moment::Back(3)))),
            ("fsck", Command::Check),
            ("store", Command::Store),
            ("kill #000", Command::Kill(Target::Object(12))),
            ("kill memory", Command::Kill(Target::Named("memory".into()))),
            ("call counter 1", Command::Call { name: "counter".into(), label: 1, words: [0; 3] }),
            ("call x 2 3 0x10", Command::Call { name: "x".into(), label: 2, words: [3, 16, 0] }),
            ("priority #00 7", Command::Priority { target: Target::Object(12), priority: 7 }),
            ("priority x 7", Command::Priority { target: Target::Named("x".into()), priority: 7 }),
            ("replace memory", replace(None, Overdue::GoesOn, Until::Ended)),
            ("replace memory #1b", replace(Some(0x1b00_0000_0000_001a), Overdue::GoesOn, Until::Ended)),
            ("replace -n memory", replace(None, Overdue::GoesOn, Until::Started)),
            ("replace -f memory #0", replace(Some(12), Overdue::Ends, Until::Ended)),
            ("replace -f -n memory", replace(None, Overdue::Ends, Until::Started)),
            ("caps memory", Command::Capabilities(Target::Named("memory".into()))),
            ("caps #0000", Command::Capabilities(Target::Object(12))),
            ("rollback memory", Command::Rollback("memory".into())),
            ("replacements", Command::Replacements),
            ("images", Command::Images),
            ("top", Command::Top),
            ("tree", Command::Tree),
            ("reboot", Command::Reboot),
            ("faults", Command::Faults { count: 10, detail: Detail::Line }),
            ("faults -v 1", Command::Faults { count: 1, detail: Detail::All }),
            ("spawn test_proc", spawn("test_proc", Until::Started)),
            ("spawn -w \"a b\"", spawn("a b", Until::Ended)),
        ] {
            assert_eq!(parse(line).expect(line), Some(command), "{line}");
        }
        assert_eq!(parse(" ").expect("blank"), None);
    }

    #[test]
    fn wrong_arguments_are_named_with_what_to_type() {
        for (line, said) in [
            ("ps all", "ps: `all` is one argument too many; type `ps`"),
            ("halt now", "halt: `now` is one argument too many; type `halt`"),
            ("reboot now", "reboot: `now` is one argument too many; type `reboot`"),
            (
                "inspect x",
                "inspect: `x` is no OID, which is written # and 16 hexadecimal digits, or #root; type `inspect [-x] [OID]`",
            ),
            ("inspect #0 2", "inspect: `2` is one argument too many; type `inspect [-x] [OID]`"),
            ("inspect -q 1", "inspect: there is no option `-q`; type `inspect [-x] [OID]`"),
            ("txlog -1", "txlog: `-1` is no count, which is a number from 1 on; type `txlog [COUNT]`"),
            ("history", "history: an OID is missing; type `history OID [COUNT]`"),
            ("undo", "undo: a TID is missing; type `undo TID [TID...]`"),
            (
                "undo 2026-01-01T00:00",
                "undo: `2026-01-01T00:00` is no transaction, which is a TID, or -1 for the last; type `undo TID [TID...]`",
            ),
            (
                "at noon ps",
                "at: `noon` is no transaction, which is a TID, -1 for the last, or a time as 2026-11-27T22:30:05; type `at TID inspect [-x] [OID] | ps | images`",
            ),
            ("at 3", "at: `inspect`, `ps` or `images` is missing; type `at TID inspect [-x] [OID] | ps | images`"),
            (
                "at 3 top",
                "at: `top` cannot be shown as it was, but `inspect`, `ps` and `images` can; type `at TID inspect [-x] [OID] | ps | images`",
            ),
            ("pack 1 2", "pack: `2` is one argument too many; type `pack [TID]`"),
            ("spawn", "spawn: the name of an image is missing; type `spawn [-w] IMAGE`"),
            ("kill", "kill: the name of a process or service, or an OID is missing; type `kill NAME|OID`"),
            ("caps", "caps: the name of a process or service, or an OID is missing; type `caps NAME|OID`"),
            ("replace", "replace: the name of a service or process is missing; type `replace [-n] [-f] NAME [IMAGE]`"),
            ("replace a 1 2", "replace: `2` is one argument too many; type `replace [-n] [-f] NAME [IMAGE]`"),
            ("replace -f -f a", "replace: there is no option `-f`; type `replace [-n] [-f] NAME [IMAGE]`"),
            (
                "kill #1x",
                "kill: `#1x` is no OID, which is written # and 16 hexadecimal digits, or #root; type `kill NAME|OID`",
            ),
            (
                "kill #2",
                "kill: nothing that was shown here begins with `#2`; type all 16 digits, or list the object first; type `kill NAME|OID`",
            ),
            ("faults 0", "faults: `0` is no count, which is a number from 1 on; type `faults [-v] [COUNT]`"),
            ("spawn -w", "spawn: the name of an image is missing; type `spawn [-w] IMAGE`"),
            ("spawn \"\"", "spawn: the name of an image is missing; type `spawn [-w] IMAGE`"),
        ] {
            assert_eq!(parse(line).expect_err(line).to_string(), said);
        }
    }

    #[test]
    fn an_unknown_name_is_named_with_the_nearest() {
        let text = parse("shutdwon now").expect_err("unknown").to_string();
        let expected = "there is no command `shutdwon`; did you mean `shutdown`? `help` lists all";
        assert_eq!(text, expected);
        let text = parse("xyzzy").expect_err("unknown").to_string();
        assert_eq!(text, "there is no command `xyzzy`; `help` lists all");
    }

    #[test]
    fn what_was_typed_does_not_control_the_terminal() {
        for line in ["\x1b[2J", "ps \x1b[2J", "inspect \x1b[2J", "txlog \x1b", "spawn -\x1b"] {
            let text = parse(line).expect_err("wrong").to_string();
            assert!(!text.contains(char::is_control), "{text:?}");
        }
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
