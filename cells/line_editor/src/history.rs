//! Lines entered before.

use alloc::collections::VecDeque;
use alloc::string::{String, ToString};

/// The most lines kept.
pub const MAX_LINES: usize = 200;

/// The lines, the oldest first, and how far back one has gone.
///
/// Invariants: at most [`MAX_LINES`]; no line is blank, or the same as the one before it.
#[derive(Debug, Default)]
pub struct History {
    lines: VecDeque<String>,
    /// Steps back from the line being edited; 0 is that line itself.
    back: usize,
    draft: String,
}

impl History {
    /// Enters a line and comes back to the present.
    pub fn enter(&mut self, line: &str) {
        self.back = 0;
        if line.trim().is_empty() || self.lines.back().is_some_and(|last| last == line) {
            return;
        }
        if self.lines.len() == MAX_LINES {
            self.lines.pop_front();
        }
        self.lines.push_back(line.to_string());
    }

    /// Comes back to the present.
    pub fn reset(&mut self) {
        self.back = 0;
    }

    /// The line before; `None` at the oldest. The line being edited is kept for the way back.
    pub fn earlier(&mut self, edited: &str) -> Option<&str> {
        let index = self.lines.len().checked_sub(self.back + 1)?;
        if self.back == 0 {
            self.draft = edited.to_string();
        }
        self.back += 1;
        self.lines.get(index).map(String::as_str)
    }

    /// The line after; at last the one that was being edited. `None` in the present.
    pub fn later(&mut self) -> Option<&str> {
        self.back = self.back.checked_sub(1)?;
        if self.back == 0 {
            return Some(&self.draft);
        }
        let index = self.lines.len().checked_sub(self.back)?;
        self.lines.get(index).map(String::as_str)
    }

    /// The lines, the oldest first.
    pub fn lines(&self) -> impl Iterator<Item = &str> {
        self.lines.iter().map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blank_and_repeated_lines_are_not_kept() {
        let mut history = History::default();
        for line in ["a", "a", "", "  ", "b", "a"] {
            history.enter(line);
        }
        assert!(history.lines().eq(["a", "b", "a"]));
    }

    #[test]
    fn the_oldest_goes_first() {
        let mut history = History::default();
        for number in 0..MAX_LINES + 5 {
            history.enter(&number.to_string());
        }
        assert_eq!(history.lines().count(), MAX_LINES);
        assert_eq!(history.lines().next(), Some("5"));
    }

    #[test]
    fn the_way_back_ends_at_the_draft() {
        let mut history = History::default();
        assert_eq!(history.earlier("x"), None);
        history.enter("one");
        history.enter("two");
        assert_eq!(history.later(), None);
        assert_eq!(history.earlier("draft"), Some("two"));
        assert_eq!(history.earlier("two"), Some("one"));
        assert_eq!(history.earlier("one"), None);
        assert_eq!(history.later(), Some("two"));
        assert_eq!(history.later(), Some("draft"));
        assert_eq!(history.later(), None);
    }
}
