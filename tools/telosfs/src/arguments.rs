//! The command line: a command, its operands and options, in any order.

use std::path::PathBuf;

use object_store::Tid;

use crate::failure::Failure;
use crate::{help, point};

/// What a command line asks for.
pub(crate) enum Request {
    /// A help text.
    Help(&'static str),
    /// A command on a state file.
    Do(Arguments),
}

/// A command on a state file.
pub(crate) struct Arguments {
    pub(crate) file: PathBuf,
    pub(crate) format: Format,
    pub(crate) command: Command,
}

/// How an answer is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// For people.
    Text,
    /// For programs.
    Json,
    /// For Graphviz.
    Dot,
    /// For a browser.
    Html,
    /// A FileStorage of ZODB.
    Zodb,
}

/// A command with its operands.
pub(crate) enum Command {
    Verify,
    Log { count: Option<usize>, since: Option<Tid> },
    Show { oid: String, at: Option<Tid> },
    History { oid: String, count: Option<usize> },
    Diff { from: Tid, to: Tid },
    References { oid: String, at: Option<Tid> },
    Referrers { oid: String },
    Graph,
    Export { output: Option<PathBuf> },
    Recover { output: PathBuf },
}

/// What a command takes.
struct Syntax {
    name: &'static str,
    operands: &'static [&'static str],
    options: &'static [&'static str],
    /// The first is usual.
    formats: &'static [(&'static str, Format)],
    help: &'static str,
}

const TABLES: &[(&str, Format)] = &[("text", Format::Text), ("json", Format::Json)];

const COMMANDS: &[Syntax] = &[
    Syntax { name: "verify", operands: &[], options: &[], formats: TABLES, help: help::VERIFY },
    Syntax { name: "log", operands: &[], options: &["-n", "--since"], formats: TABLES, help: help::LOG },
    Syntax { name: "show", operands: &["OID"], options: &["--at"], formats: TABLES, help: help::SHOW },
    Syntax { name: "history", operands: &["OID"], options: &["-n"], formats: TABLES, help: help::HISTORY },
    Syntax { name: "diff", operands: &["TID1", "TID2"], options: &[], formats: TABLES, help: help::DIFF },
    Syntax { name: "refs", operands: &["OID"], options: &["--at"], formats: TABLES, help: help::REFERENCES },
    Syntax { name: "referrers", operands: &["OID"], options: &[], formats: TABLES, help: help::REFERRERS },
    Syntax {
        name: "graph",
        operands: &[],
        options: &[],
        formats: &[("dot", Format::Dot), ("html", Format::Html), ("json", Format::Json)],
        help: help::GRAPH,
    },
    Syntax {
        name: "export",
        operands: &[],
        options: &["--output"],
        formats: &[("json", Format::Json), ("zodb", Format::Zodb)],
        help: help::EXPORT,
    },
    Syntax { name: "recover", operands: &["OUT"], options: &[], formats: TABLES, help: help::RECOVER },
];

/// The words of a command line, taken apart.
#[derive(Default)]
struct Words {
    operands: Vec<String>,
    options: Vec<(String, String)>,
}

impl Words {
    fn option(&self, name: &str) -> Option<&str> {
        self.options.iter().rev().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    fn operand(&self, place: usize) -> String {
        self.operands.get(place).cloned().unwrap_or_default()
    }

    fn point(&self, name: &str) -> Result<Option<Tid>, Failure> {
        self.option(name).map(point::parse).transpose()
    }

    fn count(&self) -> Result<Option<usize>, Failure> {
        let parse = |text: &str| {
            text.parse().map_err(|_| Failure::usage(format!("-n wants a number of rows, and `{text}` is none")))
        };
        self.option("-n").map(parse).transpose()
    }
}

impl Arguments {
    /// Reads a command line; `usual` is the state file where it names none.
    ///
    /// # Errors
    /// It makes no sense.
    pub(crate) fn parse(line: &[String], usual: Option<&str>) -> Result<Request, Failure> {
        let mut words = Words::default();
        let mut rest = line.iter();
        let mut asks_help = false;
        while let Some(word) = rest.next() {
            let (name, value) = match word.split_once('=') {
                Some((name, value)) if name.starts_with("--") => (name, Some(value.to_owned())),
                _ => (word.as_str(), None),
            };
            match name {
                "-h" | "--help" => asks_help = true,
                "-n" | "--since" | "--at" | "--format" | "--output" | "--state" => {
                    let value = value.or_else(|| rest.next().cloned());
                    let value = value.ok_or_else(|| Failure::usage(format!("{name} wants a value behind it")))?;
                    words.options.push((name.into(), value));
                }
                _ if name.starts_with('-') && name.len() > 1 => {
                    return Err(Failure::usage(format!("there is no option `{name}`; `telosfs --help` lists all")));
                }
                _ => words.operands.push(word.clone()),
            }
        }
        let Some(name) = (!words.operands.is_empty()).then(|| words.operands.remove(0)) else {
            return if asks_help || line.is_empty() {
                Ok(Request::Help(help::ALL))
            } else {
                Err(Failure::usage("which command? `telosfs --help` lists all"))
            };
        };
        let known = if name == "help" { Some(words.operands.first().map_or("", String::as_str)) } else { None };
        if known == Some("") {
            return Ok(Request::Help(help::ALL));
        }
        let asked = known.unwrap_or(&name);
        let Some(syntax) = COMMANDS.iter().find(|syntax| syntax.name == asked) else {
            return Err(Failure::usage(format!("there is no command `{asked}`; `telosfs --help` lists all")));
        };
        if asks_help || known.is_some() {
            return Ok(Request::Help(syntax.help));
        }
        syntax.check(&words)?;
        Ok(Request::Do(Arguments {
            file: words.option("--state").or(usual).unwrap_or("telos_state.fs").into(),
            format: syntax.format(&words)?,
            command: command(syntax.name, &words)?,
        }))
    }
}

impl Syntax {
    fn check(&self, words: &Words) -> Result<(), Failure> {
        let name = self.name;
        for (option, _) in &words.options {
            if !["--format", "--state"].contains(&option.as_str()) && !self.options.contains(&option.as_str()) {
                return Err(Failure::usage(format!("`{name}` has no option {option}; see `telosfs {name} --help`")));
            }
        }
        if words.operands.len() == self.operands.len() {
            return Ok(());
        }
        let usage = [&[name], self.operands].concat().join(" ");
        // A shell takes what begins with `#` for a comment, and it never arrives.
        let hint = if self.operands.contains(&"OID") { "; leave the # of an OID out, or quote it" } else { "" };
        Err(Failure::usage(format!("use it as `telosfs {usage}`{hint}")))
    }

    fn format(&self, words: &Words) -> Result<Format, Failure> {
        let usual = self.formats.first().map_or("text", |(name, _)| name);
        let asked = words.option("--format").unwrap_or(usual);
        let found = self.formats.iter().find(|(name, _)| *name == asked).map(|(_, format)| *format);
        found.ok_or_else(|| {
            let names: Vec<&str> = self.formats.iter().map(|(name, _)| *name).collect();
            Failure::usage(format!("`{}` has no format `{asked}`; it has {}", self.name, names.join(", ")))
        })
    }
}

fn command(name: &str, words: &Words) -> Result<Command, Failure> {
    let oid = words.operand(0);
    Ok(match name {
        "verify" => Command::Verify,
        "log" => Command::Log { count: words.count()?, since: words.point("--since")? },
        "show" => Command::Show { oid, at: words.point("--at")? },
        "history" => Command::History { oid, count: words.count()? },
        "diff" => Command::Diff { from: point::parse(&words.operand(0))?, to: point::parse(&words.operand(1))? },
        "refs" => Command::References { oid, at: words.point("--at")? },
        "referrers" => Command::Referrers { oid },
        "graph" => Command::Graph,
        "export" => Command::Export { output: words.option("--output").map(PathBuf::from) },
        "recover" => Command::Recover { output: words.operand(0).into() },
        other => return Err(Failure::usage(format!("there is no command `{other}`"))),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Status;

    fn parse(line: &str) -> Result<Request, Failure> {
        Arguments::parse(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>(), Some("usual.fs"))
    }

    fn parsed(line: &str) -> Arguments {
        match parse(line) {
            Ok(Request::Do(arguments)) => arguments,
            Ok(Request::Help(_)) => panic!("{line}: help"),
            Err(failure) => panic!("{line}: {}", failure.text),
        }
    }

    #[test]
    fn options_stand_anywhere() {
        for line in ["show --at 17 #root --format json", "--format=json show #root --at=17"] {
            let arguments = parsed(line);
            assert_eq!((arguments.file, arguments.format), ("usual.fs".into(), Format::Json));
            assert!(
                matches!(arguments.command, Command::Show { oid, at } if oid == "#root" && at == Some(Tid::new(17)))
            );
        }
        assert_eq!(parsed("--state other.fs verify").file, PathBuf::from("other.fs"));
        assert_eq!(parsed("graph").format, Format::Dot);
    }

    #[test]
    fn what_makes_no_sense_is_a_usage_error_that_says_what_to_do() {
        for (line, said) in [
            ("shwo", "no command `shwo`"),
            ("show", "leave the # of an OID out"),
            ("show a b", "telosfs show OID"),
            ("log -n", "wants a value"),
            ("log -n many", "number of rows"),
            ("verify --since 1h", "has no option --since"),
            ("log --format html", "it has text, json"),
            ("log --fast", "no option `--fast`"),
            ("diff 1 yesterday", "no TID and no time"),
            ("--state x", "which command?"),
        ] {
            match parse(line) {
                Err(failure) => {
                    assert_eq!(failure.status, Status::Usage, "{line}");
                    assert!(failure.text.contains(said), "{line}: {}", failure.text);
                }
                Ok(_) => panic!("{line} was understood"),
            }
        }
    }

    #[test]
    fn every_command_has_help_with_its_formats_and_the_list_has_every_command() {
        for syntax in COMMANDS {
            for line in [format!("{} --help", syntax.name), format!("help {}", syntax.name)] {
                let Ok(Request::Help(text)) = parse(&line) else { panic!("{line}") };
                assert!(text.starts_with(&format!("telosfs {}", syntax.name)), "{text}");
                assert!(syntax.options.iter().all(|option| text.contains(option)), "{text}");
                assert!(syntax.formats.iter().all(|(name, _)| text.contains(name)), "{text}");
            }
            assert!(help::ALL.contains(&format!("\n  {}", syntax.name)), "{}", syntax.name);
        }
        for status in [Status::Damage, Status::Usage, Status::CannotOpen, Status::NotFound, Status::CannotWrite] {
            assert!(help::ALL.contains(&format!("{} ", status as u8)), "{status:?}");
        }
    }
}
