//! What commands there are.

use alloc::format;
use alloc::string::{String, ToString};

use crate::command::{COMMANDS, Entry, Mistake, entry};
use crate::text::column;

fn usage(entry: &Entry) -> String {
    format!("{} {}", entry.name, entry.arguments)
}

/// Every command with its arguments and what it does.
pub fn all() -> String {
    let mut text = String::new();
    for entry in COMMANDS {
        text += &column(&usage(entry), 20);
        text += entry.help;
        text.push('\n');
    }
    text
}

/// What one command does, or that there is none of that name.
pub fn about(name: &str) -> String {
    match entry(name) {
        Some(entry) => format!("{}\n{}\n", usage(entry).trim_end(), entry.help),
        None => format!("{}\n", Mistake::Unknown(name.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_help_names_every_command_on_its_own_line() {
        let text = all();
        assert_eq!(text.lines().count(), COMMANDS.len());
        for (line, entry) in text.lines().zip(COMMANDS) {
            assert!(line.starts_with(entry.name) && line.ends_with(entry.help), "{line}");
        }
    }

    #[test]
    fn one_command_is_told_of() {
        assert!(about("spawn").starts_with("spawn [-w] IMAGE\nStarts"));
        assert!(about("pss").contains("did you mean `ps`"));
    }
}
