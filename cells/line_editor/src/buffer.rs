//! The text of a line and the cursor in it.
//!
//! Invariants: the cursor stands between two characters; the text is at most [`MAX_LENGTH`] bytes long.

use alloc::string::String;

/// The most bytes of a line.
pub const MAX_LENGTH: usize = 1024;

/// The text and the cursor.
#[derive(Debug, Default)]
pub struct Buffer {
    text: String,
    cursor: usize,
}

impl Buffer {
    /// The text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The text before the cursor.
    pub fn before(&self) -> &str {
        self.text.get(..self.cursor).unwrap_or("")
    }

    /// The text behind the cursor.
    pub fn behind(&self) -> &str {
        self.text.get(self.cursor..).unwrap_or("")
    }

    /// Whether the cursor stands behind the last character.
    pub fn is_at_end(&self) -> bool {
        self.cursor == self.text.len()
    }

    /// Takes the text out; what stays is empty.
    pub fn take(&mut self) -> String {
        self.cursor = 0;
        core::mem::take(&mut self.text)
    }

    /// Replaces the text, with the cursor behind it. A text that is too long is cut.
    pub fn set(&mut self, text: &str) {
        self.take();
        for character in text.chars() {
            if !self.insert(character) {
                break;
            }
        }
    }

    /// Inserts at the cursor, which moves behind it. `false` where the line is full; then nothing was done.
    #[must_use]
    pub fn insert(&mut self, character: char) -> bool {
        let is_room = self.text.len() + character.len_utf8() <= MAX_LENGTH;
        if is_room {
            self.text.insert(self.cursor, character);
            self.cursor += character.len_utf8();
        }
        is_room
    }

    /// Inserts at the cursor, all of it or nothing; `false` where it does not fit.
    #[must_use]
    pub fn insert_all(&mut self, text: &str) -> bool {
        let is_room = self.text.len() + text.len() <= MAX_LENGTH;
        if is_room {
            self.text.insert_str(self.cursor, text);
            self.cursor += text.len();
        }
        is_room
    }

    /// Deletes the character before the cursor; `None` at the start.
    pub fn delete_before(&mut self) -> Option<char> {
        let passed = self.left()?;
        self.text.remove(self.cursor);
        Some(passed)
    }

    /// Deletes the character at the cursor; `None` at the end.
    pub fn delete_at(&mut self) -> Option<char> {
        self.behind().chars().next()?;
        Some(self.text.remove(self.cursor))
    }

    /// One character to the left; answers the one passed, `None` at the start.
    pub fn left(&mut self) -> Option<char> {
        let passed = self.before().chars().next_back()?;
        self.cursor -= passed.len_utf8();
        Some(passed)
    }

    /// One character to the right; answers the one passed, `None` at the end.
    pub fn right(&mut self) -> Option<char> {
        let passed = self.behind().chars().next()?;
        self.cursor += passed.len_utf8();
        Some(passed)
    }

    /// To the start.
    pub fn to_start(&mut self) {
        self.cursor = 0;
    }

    /// To the end.
    pub fn to_end(&mut self) {
        self.cursor = self.text.len();
    }

    /// Deletes from the cursor on.
    pub fn kill_to_end(&mut self) {
        self.text.truncate(self.cursor);
    }

    /// Deletes up to the cursor.
    pub fn kill_to_start(&mut self) {
        self.kill_from(0);
    }

    /// Deletes the word before the cursor, with the white space behind it.
    pub fn kill_word(&mut self) {
        let words = self.before().trim_end();
        let start = words.trim_end_matches(|character: char| !character.is_whitespace());
        self.kill_from(start.len());
    }

    fn kill_from(&mut self, start: usize) {
        self.text.drain(start..self.cursor);
        self.cursor = start;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_line_takes_no_more() {
        let mut buffer = Buffer::default();
        buffer.set(&"€".repeat(MAX_LENGTH));
        assert_eq!(buffer.text().len(), 1023);
        assert!(!buffer.insert('ä'));
        assert!(!buffer.insert_all("zz"));
        assert!(buffer.insert('z'));
        assert!(!buffer.insert('z'));
        assert_eq!(buffer.text().len(), MAX_LENGTH);
    }

    #[test]
    fn a_word_is_killed_with_the_space_behind_it() {
        let mut buffer = Buffer::default();
        buffer.set("one zwölf  ");
        buffer.kill_word();
        assert_eq!(buffer.text(), "one ");
        buffer.kill_word();
        assert_eq!(buffer.text(), "");
        buffer.kill_word();
    }

    #[test]
    fn the_ends_hold() {
        let mut buffer = Buffer::default();
        assert_eq!((buffer.left(), buffer.right()), (None, None));
        assert_eq!((buffer.delete_before(), buffer.delete_at()), (None, None));
        buffer.set("ä");
        buffer.to_start();
        assert_eq!((buffer.delete_before(), buffer.delete_at()), (None, Some('ä')));
    }
}
