//! Source text: places in it, and errors that point there.

use alloc::string::String;
use core::fmt;

/// The longest source that is compiled, in bytes.
pub const SOURCE_LIMIT: usize = 1 << 20;

/// A place in a source: bytes from its beginning.
pub type Position = u32;

/// What is wrong with a source, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceError {
    /// What is wrong, in words.
    pub message: String,
    /// Where.
    pub at: Position,
    /// The line's number, from 1 on.
    pub line: u32,
    /// The column, in characters from 1 on.
    pub column: u32,
    /// The line.
    pub text: String,
}

/// The most characters of a line that are shown.
const LINE_SHOWN: usize = 120;

impl SourceError {
    /// An error at a place in a source.
    pub(crate) fn new(source: &str, at: Position, message: impl Into<String>) -> Self {
        let (line, column, text) = line_of(source, at);
        Self { message: message.into(), at, line, column, text: text.into() }
    }
}

/// Number, column and text of the line of a place. A place inside a character is that character's.
pub(crate) fn line_of(source: &str, at: Position) -> (u32, u32, &str) {
    let mut at = (at as usize).min(source.len());
    while !source.is_char_boundary(at) {
        at -= 1;
    }
    let (before, after) = source.split_at(at);
    let start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let end = at + after.find('\n').unwrap_or(after.len());
    let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
    let column = before.get(start..).unwrap_or("").chars().count() + 1;
    (line as u32, column as u32, source.get(start..end).unwrap_or(""))
}

/// Four lines: what is wrong, where, the line, and a caret under the place. A long line is cut around it.
impl fmt::Display for SourceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = (self.column as usize).saturating_sub(1);
        let skipped = place.saturating_sub(LINE_SHOWN / 2);
        writeln!(f, "{}", self.message)?;
        write!(f, "{:>4} | ", self.line)?;
        for character in self.text.chars().skip(skipped).take(LINE_SHOWN) {
            write!(f, "{}", if character.is_control() { ' ' } else { character })?;
        }
        write!(f, "\n     | {:1$}^", "", place - skipped)
    }
}
