//! What a tab does with candidates.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

/// What a tab does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Completion {
    /// There is no candidate.
    Nothing,
    /// This continues the word.
    Insert(String),
    /// The word goes on in several ways from here.
    Choices(Vec<String>),
}

/// The word that stands before the cursor.
pub fn last_word(before: &str) -> &str {
    before.rsplit(char::is_whitespace).next().unwrap_or_default()
}

/// Decides, by the candidates for the whole last word. Those that do not continue it, or would control the terminal,
/// are none.
pub fn complete(word: &str, mut candidates: Vec<String>) -> Completion {
    candidates.retain(|candidate| candidate.starts_with(word) && !candidate.contains(char::is_control));
    candidates.sort_unstable();
    candidates.dedup();
    let rest = |text: &str| text.get(word.len()..).unwrap_or_default().to_string();
    match candidates.as_slice() {
        [] => Completion::Nothing,
        [only] => {
            let mut insert = rest(only);
            insert.push(' ');
            Completion::Insert(insert)
        }
        // They are sorted: what the first and the last share, all do.
        [first, .., last] => {
            let common = common_prefix(first, last);
            match common.len() > word.len() {
                true => Completion::Insert(rest(common)),
                false => Completion::Choices(candidates),
            }
        }
    }
}

fn common_prefix<'a>(first: &'a str, second: &str) -> &'a str {
    let same = first.char_indices().zip(second.chars()).find(|((_, left), right)| left != right);
    let end = match same {
        Some(((index, _), _)) => index,
        None => first.len().min(second.len()),
    };
    first.get(..end).unwrap_or(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decide(word: &str, candidates: &[&str]) -> Completion {
        complete(word, candidates.iter().map(|text| text.to_string()).collect())
    }

    #[test]
    fn the_only_candidate_is_completed() {
        let rest = Completion::Insert("lp ".to_string());
        assert_eq!(decide("he", &["help", "halt"]), rest);
        assert_eq!(decide("help", &["help"]), Completion::Insert(" ".to_string()));
    }

    #[test]
    fn several_are_completed_as_far_as_they_agree() {
        assert_eq!(decide("s", &["spät", "späh"]), Completion::Insert("pä".to_string()));
        let choices = Completion::Choices(vec!["spawn".to_string(), "spin".to_string()]);
        assert_eq!(decide("sp", &["spin", "spawn", "spin"]), choices);
        assert_eq!(decide("sp", &["sp", "spin"]), Completion::Choices(vec!["sp".to_string(), "spin".to_string()]));
    }

    #[test]
    fn what_does_not_continue_the_word_is_no_candidate() {
        assert_eq!(decide("x", &["help", "x\x1b[2J"]), Completion::Nothing);
        assert_eq!(decide("ä", &["a", "öä"]), Completion::Nothing);
    }

    #[test]
    fn the_word_before_the_cursor() {
        assert_eq!(last_word("spawn te"), "te");
        assert_eq!(last_word("spawn\u{3000}te"), "te");
        assert_eq!((last_word("spawn "), last_word("")), ("", ""));
    }
}
