//! A line editor as a state machine: bytes in, echo and finished lines out.
//!
//! [`LineEditor::feed`] takes one byte of what was typed, appends to a buffer what the terminal is to be sent, and answers
//! an [`Event`] when a line is finished, or wants completing. It waits for nothing and reads nothing: who owns the terminal
//! drives it, and may take the row for something else between two bytes ([`LineEditor::hide`], [`LineEditor::redraw`]).
//!
//! * [`keys`]: bytes to keys, across ANSI sequences and UTF-8;
//! * [`buffer`]: the text and the cursor;
//! * [`history`]: lines entered before;
//! * [`completion`]: what a tab does with candidates;
//! * [`editor`]: keys to changes and echo.
//!
//! Invariant: after each byte the terminal's row shows the prompt and the text, with its cursor where the text's cursor
//! is. The width of characters need not be known for it: where one cannot be sure, the row is written anew from its
//! start. Two limits follow from not asking the terminal for anything: a text that is wider than the terminal is edited properly
//! at its end alone, and a combining mark may show apart from its letter while the cursor stands between them.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod buffer;
pub mod completion;
pub mod editor;
pub mod history;
pub mod keys;

pub use editor::{Event, LineEditor};
