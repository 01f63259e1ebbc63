//! What commands there are.

use alloc::format;
use alloc::string::{String, ToString};

use crate::command::{COMMANDS, Mistake, entry};
use crate::table::{Side, Table};

/// Every command with its arguments and what it does.
pub fn all() -> String {
    let mut table = Table::new(&[("COMMAND", Side::Left), ("WHAT IT DOES", Side::Left)]);
    for entry in COMMANDS {
        table.row([&entry.usage().to_string(), entry.help]);
    }
    table.to_string()
}

/// What one command does, or that there is none of that name.
pub fn about(name: &str) -> String {
    match entry(name) {
        Some(entry) if entry.more.is_empty() => format!("{}\n{}\n", entry.usage(), entry.help),
        Some(entry) => format!("{}\n{}\n{}\n", entry.usage(), entry.help, entry.more),
        None => format!("{}\n", Mistake::Unknown(name.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_help_names_every_command_on_its_own_line() {
        let text = all();
        assert_eq!(text.lines().count(), COMMANDS.len() + 1);
        for (line, entry) in text.lines().skip(1).zip(COMMANDS) {
            assert!(line.starts_with(entry.name) && line.ends_with(entry.help), "{line}");
        }
    }

    #[test]
    fn every_command_is_told_of() {
        for entry in COMMANDS {
            let text = about(entry.name);
            assert!(text.starts_with(&format!("{}\n{}\n", entry.usage(), entry.help)), "{text}");
            assert!(text.ends_with('\n') && !text.ends_with("\n\n"), "{text}");
        }
        assert!(about("halt").contains("status 2") && about("shutdown").contains("status 0"));
        assert!(about("pss").contains("did you mean `ps`"));
    }
}
