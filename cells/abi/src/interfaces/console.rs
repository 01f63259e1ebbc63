//! The console server: messages out, lines in.
//!
//! Codes: [`LINE_TOO_LONG`], [`BUSY`], [`MALFORMED`], [`NO_LINE`]. Bodies are raw bytes (no postcard): text in UTF-8.
//!
//! The server owns the row in which a line is edited: a message that comes meanwhile is written above it, whole, and the row
//! is shown again as it was.

use crate::interface::Word;

/// A line was longer than a body.
pub const LINE_TOO_LONG: u32 = 1;
/// As many requests wait as the server can hold. Nothing was done; try again.
pub const BUSY: u32 = 2;
/// The words of the request are none of its method's, or its body is no text.
pub const MALFORMED: u32 = 3;
/// The caller has no line at a tab; it may have lost it to another reader. Ask for a line.
pub const NO_LINE: u32 = 4;

/// Why a line was handed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum Ending {
    /// It was entered; the body is its text.
    Entered = 0,
    /// Ctrl-C: what was typed is to be forgotten.
    Interrupted = 1,
    /// Ctrl-D on an empty line: no more comes.
    EndOfInput = 2,
    /// A tab. The body is the text before the cursor, and the line stays as it is for Complete to go on with.
    Tab = 3,
}

impl Word for Ending {
    fn to_word(&self) -> u64 {
        *self as u64
    }
    fn from_word(word: u64) -> Option<Self> {
        [Ending::Entered, Ending::Interrupted, Ending::EndOfInput, Ending::Tab]
            .into_iter()
            .find(|ending| *ending as u64 == word)
    }
}

crate::interface! {
    /// What a console client asks.
    Console {
        /// Writes the body's bytes; answers when they are queued for the device.
        1 Write();
        /// Waits for a key press; answers with the bytes typed since.
        replayable 2 Read();
        /// Shows the body as a prompt and lets a line be edited behind it; answers when it is handed over.
        replayable 3 ReadLine() -> Ending;
        /// Goes on with the line that was handed over at a tab. The body names what may stand in the place of its last word
        /// before the cursor, a word a line; nothing changes without any. Answers as ReadLine.
        replayable 4 Complete() -> Ending;
        /// A program begins to run for the caller. Until the caller reads again, Ctrl-C signals the notification that travels with
        /// the request, where nobody else reads; what was typed before it is dropped.
        5 Interrupts();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endings_travel_in_a_word() {
        for ending in [Ending::Entered, Ending::Interrupted, Ending::EndOfInput, Ending::Tab] {
            assert_eq!(Ending::from_word(ending.to_word()), Some(ending));
        }
        assert_eq!(Ending::from_word(4), None);
    }
}
