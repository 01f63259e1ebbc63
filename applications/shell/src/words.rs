//! A line into words.

use alloc::string::String;
use alloc::vec::Vec;

/// A quotation mark was opened and not closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unclosed;

/// The words of a line. White space parts them, except inside double quotes.
///
/// # Errors
/// [`Unclosed`].
pub fn split(line: &str) -> Result<Vec<String>, Unclosed> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut is_quoted = false;
    for character in line.chars() {
        match character {
            '"' => {
                is_quoted = !is_quoted;
                word.get_or_insert_default();
            }
            character if character.is_whitespace() && !is_quoted => words.extend(word.take()),
            character => word.get_or_insert_default().push(character),
        }
    }
    words.extend(word);
    match is_quoted {
        true => Err(Unclosed),
        false => Ok(words),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn white_space_parts_words_outside_quotes() {
        let words = split("  a \t\"b  c\"d \"\" ").expect("closed");
        assert_eq!(words, ["a", "b  cd", ""]);
        assert_eq!(split("a \"b"), Err(Unclosed));
        assert_eq!(split(" \n"), Ok(Vec::new()));
    }

    proptest! {
        #[test]
        fn quoted_words_come_back(words in prop::collection::vec("[^\"]{0,8}", 0..6)) {
            let quoted: Vec<String> = words.iter().map(|word| format!("\"{word}\"")).collect();
            prop_assert_eq!(split(&quoted.join(" ")), Ok(words));
        }
    }
}
