//! What a line is: a command, or a program of the language.
//!
//! A line is a command where its first word names one and stands alone or before a blank. Everything else is a program, so
//! that what the language gains needs no word here. Two words side by side mean nothing in the language: such a line was meant
//! as a command. The name of a command is no name for a value, since it could not be read again.

use crate::command::entry;

/// What a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line<'a> {
    /// There is nothing in it.
    Nothing,
    /// A command of the table.
    Command,
    /// A program.
    Program,
    /// A command that there is not: its name.
    Unknown(&'a str),
    /// A value is given the name of a command.
    Taken(&'a str),
}

/// Words that stand before or between values.
const JOINING: [&str; 22] = [
    "return",
    "not",
    "and",
    "or",
    "if",
    "else",
    "while",
    "for",
    "in",
    "try",
    "catch",
    "atomically",
    "object",
    "of",
    "uses",
    "trait",
    "requires",
    "private",
    "const",
    "parent",
    "method",
    "native",
];

/// Tells what a line is.
pub fn line(text: &str) -> Line<'_> {
    let text = text.trim();
    let is_name = |character: char| character.is_alphanumeric() || character == '_';
    let end = text.find(|character| !is_name(character)).unwrap_or(text.len());
    let (word, rest) = text.split_at(end);
    let behind = rest.trim_start();
    let is_apart = rest.is_empty() || rest.len() > behind.len();
    match entry(word) {
        _ if text.is_empty() => Line::Nothing,
        Some(_) if behind.starts_with('=') && !behind.starts_with("==") => Line::Taken(word),
        Some(_) if is_apart => Line::Command,
        None if is_apart && !word.is_empty() && !JOINING.contains(&word) && begins_value(behind) => Line::Unknown(word),
        _ => Line::Program,
    }
}

/// Whether a text begins with a name or a number, which cannot stand behind a name.
fn begins_value(text: &str) -> bool {
    let word = text.split(|character: char| !(character.is_alphanumeric() || character == '_')).next().unwrap_or("");
    (!word.is_empty() && !JOINING.contains(&word)) || text.starts_with(['#', '\''])
}

/// The name of which a line consists.
pub fn lone_name(text: &str) -> Option<&str> {
    let text = text.trim();
    let is_name = |character: char| character.is_alphanumeric() || character == '_';
    (!text.is_empty() && text.chars().all(is_name) && !text.starts_with(|first: char| first.is_ascii_digit()))
        .then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn commands_stand_alone_or_before_a_blank() {
        for command in
            ["ps", "  ps", "inspect #12", "kill shell", "txlog 3", "faults -v", "help \"ps", "ps all", "mem + 1"]
        {
            assert_eq!(line(command), Line::Command, "{command}");
        }
        assert_eq!(line("  "), Line::Nothing);
    }

    #[test]
    fn everything_else_is_a_program() {
        for program in [
            "n = 1",
            "n",
            "1 + 2",
            "ps.size",
            "inspect(o)",
            "images[0]",
            "o.x",
            "(ps)",
            "'text'",
            "not x",
            "return x",
            "if x { 1 }",
            "object { }",
            "a and b",
            "x - y",
            "x -y",
            "x == 1",
            "f (1)",
            "#a",
            "for i in l { i }",
            "}",
            "// ps",
            "ps2",
            "x { 1 }",
            "trait { }",
        ] {
            assert_eq!(line(program), Line::Program, "{program}");
        }
    }

    #[test]
    fn two_words_are_a_command_that_there_is_not() {
        assert_eq!(line("spwan test_proc"), Line::Unknown("spwan"));
        assert_eq!(line("shutdwon now"), Line::Unknown("shutdwon"));
        assert_eq!(line("inspct #12"), Line::Unknown("inspct"));
        assert_eq!(line("sleep 10"), Line::Unknown("sleep"));
    }

    #[test]
    fn names_of_commands_are_taken() {
        assert_eq!(line("ps = 1"), Line::Taken("ps"));
        assert_eq!(line("mem=1"), Line::Taken("mem"));
        assert_eq!(line("mem == 1"), Line::Command);
    }

    #[test]
    fn a_name_may_stand_alone() {
        assert_eq!(lone_name(" abc_1 "), Some("abc_1"));
        for other in ["", "1a", "a b", "a.b", "a()"] {
            assert_eq!(lone_name(other), None, "{other}");
        }
    }

    proptest! {
        #[test]
        fn any_line_is_something(text in "(?s).{0,40}") {
            prop_assert_eq!(line(&text) == Line::Nothing, text.trim().is_empty());
        }
    }
}
