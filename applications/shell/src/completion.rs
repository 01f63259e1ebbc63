//! What a tab may put before the cursor.

use alloc::collections::BTreeSet;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::command::COMMANDS;

/// What is expected at the cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// The name of a command.
    Command,
    /// The name of an image.
    Image,
    /// The name of what runs.
    Running,
    /// An OID.
    Object,
    /// What can be shown as it was.
    View,
    /// Nothing that is known here.
    Nothing,
}

/// The word that stands before the cursor, which may be empty.
pub fn last_word(before: &str) -> &str {
    before.rsplit(char::is_whitespace).next().unwrap_or_default()
}

/// What the text before the cursor asks for.
pub fn expected(before: &str) -> Expected {
    let preceding = before.strip_suffix(last_word(before)).unwrap_or_default();
    let words: Vec<&str> = preceding.split_whitespace().collect();
    match words.as_slice() {
        [] | ["help"] => Expected::Command,
        ["spawn"] | ["spawn", "-w"] => Expected::Image,
        ["kill" | "caps" | "priority"] if last_word(before).starts_with('#') => Expected::Object,
        ["kill" | "caps" | "call" | "priority"] => Expected::Running,
        ["rollback"] => Expected::Running,
        ["replace", "-n" | "-f", "-n" | "-f", rest @ ..]
        | ["replace", "-n" | "-f", rest @ ..]
        | ["replace", rest @ ..] => match rest {
            [] => Expected::Running,
            [_] => Expected::Object,
            _ => Expected::Nothing,
        },
        ["inspect" | "history"] | ["inspect", "-x"] => Expected::Object,
        ["at", _] => Expected::View,
        ["at", _, "inspect"] | ["at", _, "inspect", "-x"] => Expected::Object,
        _ => Expected::Nothing,
    }
}

/// The names of all commands.
pub fn commands() -> Vec<String> {
    COMMANDS.iter().map(|entry| entry.name.to_string()).collect()
}

/// The words that continue the last one before the cursor, a line each, as many as fit so many bytes. The first and the last in
/// their order are among them, so that what those two share all share.
pub fn fitting(before: &str, words: Vec<String>, bytes: usize) -> String {
    let word = last_word(before);
    let words: BTreeSet<String> = words.into_iter().filter(|candidate| candidate.starts_with(word)).collect();
    let mut text = String::new();
    let last = words.last().cloned().unwrap_or_default();
    for word in &words {
        if text.len() + word.len() + 1 + last.len() > bytes {
            text.push_str(&last);
            break;
        }
        text.push_str(word);
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_before_the_cursor_say_what_is_expected() {
        for (before, what) in [
            ("", Expected::Command),
            ("sp", Expected::Command),
            ("  help s", Expected::Command),
            ("spawn te", Expected::Image),
            ("spawn -w ", Expected::Image),
            ("inspect ", Expected::Object),
            ("inspect -x #1", Expected::Object),
            ("kill m", Expected::Running),
            ("caps m", Expected::Running),
            ("caps #1", Expected::Object),
            ("call #1", Expected::Running),
            ("replace m", Expected::Running),
            ("replace -f -n m", Expected::Running),
            ("replace -f memory #", Expected::Object),
            ("replace memory #1 ", Expected::Nothing),
            ("replace memory #", Expected::Object),
            ("history ", Expected::Object),
            ("at -1 ", Expected::View),
            ("at -1 inspect #", Expected::Object),
            ("at ", Expected::Nothing),
            ("rollback ", Expected::Running),
            ("kill memory ", Expected::Nothing),
            ("spawn a b", Expected::Nothing),
            ("ps ", Expected::Nothing),
        ] {
            assert_eq!(expected(before), what, "{before:?}");
        }
    }

    #[test]
    fn what_does_not_fit_keeps_the_ends() {
        let words = || ["ab", "aa", "ac", "ad", "b"].map(String::from).to_vec();
        assert_eq!(fitting("x a", words(), 100), "aa\nab\nac\nad\n");
        assert_eq!(fitting("x a", words(), 9), "aa\nab\nad");
        assert_eq!(fitting("x c", words(), 9), "");
    }
}
