//! Keys to changes of the line, and what the terminal is sent for them.

use alloc::string::String;
use alloc::vec::Vec;

use crate::buffer::Buffer;
use crate::completion::{Completion, complete, last_word};
use crate::history::History;
use crate::keys::{Decoder, Key};

const BELL: &[u8] = b"\x07";
const CLEAR_ROW: &[u8] = b"\r\x1b[K";
const CLEAR_SCREEN: &[u8] = b"\x1b[H\x1b[2J";

/// The end of a line. The terminal stands at the start of an empty row; the next line begins with [`LineEditor::begin`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A line was entered; it is in the history.
    Line(String),
    /// Ctrl-C: what was typed is to be forgotten.
    Interrupted,
    /// Ctrl-D on an empty line.
    EndOfInput,
    /// A tab, which ends nothing: [`LineEditor::complete`] takes what may stand before the cursor, and the line goes on.
    Tab,
}

/// The editor of one terminal.
#[derive(Debug, Default)]
pub struct LineEditor {
    prompt: String,
    buffer: Buffer,
    history: History,
    keys: Decoder,
}

impl LineEditor {
    /// Begins a line: at the start of an empty row, writes the prompt, which has no control characters.
    pub fn begin(&mut self, prompt: &str, out: &mut Vec<u8>) {
        self.prompt.clear();
        self.prompt.push_str(prompt);
        self.buffer.take();
        self.history.reset();
        out.extend_from_slice(self.prompt.as_bytes());
    }

    /// Takes one byte of what was typed. What the terminal is to be sent is appended to `out`.
    pub fn feed(&mut self, byte: u8, out: &mut Vec<u8>) -> Option<Event> {
        let key = self.keys.feed(byte)?;
        match key {
            Key::Enter => return Some(self.enter(out)),
            Key::Interrupt => {
                out.extend_from_slice(b"^C\r\n");
                self.buffer.take();
                self.history.reset();
                return Some(Event::Interrupted);
            }
            Key::DeleteOrEnd if self.buffer.text().is_empty() => {
                out.extend_from_slice(b"\r\n");
                return Some(Event::EndOfInput);
            }
            Key::Complete => return Some(Event::Tab),
            Key::ClearScreen => {
                out.extend_from_slice(CLEAR_SCREEN);
                self.redraw(out);
            }
            Key::Earlier | Key::Later => self.recall(key, out),
            Key::Character(character) => self.insert(character, out),
            Key::Left | Key::Right => self.step(key, out),
            Key::DeleteBefore => self.delete_before(out),
            Key::DeleteAt | Key::DeleteOrEnd => match self.buffer.delete_at() {
                Some(_) => self.redraw(out),
                None => out.extend_from_slice(BELL),
            },
            Key::Start => self.change(Buffer::to_start, out),
            Key::End => self.change(Buffer::to_end, out),
            Key::KillToEnd => self.change(Buffer::kill_to_end, out),
            Key::KillToStart => self.change(Buffer::kill_to_start, out),
            Key::KillWord => self.change(Buffer::kill_word, out),
        }
        None
    }

    /// What has been typed of the line.
    pub fn text(&self) -> &str {
        self.buffer.text()
    }

    /// What has been typed before the cursor.
    pub fn before_cursor(&self) -> &str {
        self.buffer.before()
    }

    /// The lines entered before, the oldest first.
    pub fn history(&self) -> impl Iterator<Item = &str> {
        self.history.lines()
    }

    fn enter(&mut self, out: &mut Vec<u8>) -> Event {
        out.extend_from_slice(b"\r\n");
        let line = self.buffer.take();
        self.history.enter(&line);
        Event::Line(line)
    }

    fn insert(&mut self, character: char, out: &mut Vec<u8>) {
        if !self.buffer.insert(character) {
            out.extend_from_slice(BELL);
        } else if self.buffer.is_at_end() {
            out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
        } else {
            self.redraw(out);
        }
    }

    fn delete_before(&mut self, out: &mut Vec<u8>) {
        match self.buffer.delete_before() {
            None => out.extend_from_slice(BELL),
            Some(gone) if gone.is_ascii() && self.is_plain() && self.buffer.is_at_end() => {
                out.extend_from_slice(b"\x08 \x08");
            }
            Some(_) => self.redraw(out),
        }
    }

    fn step(&mut self, key: Key, out: &mut Vec<u8>) {
        let passed = match key {
            Key::Left => self.buffer.left(),
            _ => self.buffer.right(),
        };
        match (passed, key) {
            (None, _) => out.extend_from_slice(BELL),
            (Some(_), Key::Left) if self.is_plain() => out.push(0x08),
            (Some(passed), _) if self.is_plain() => {
                out.extend_from_slice(passed.encode_utf8(&mut [0; 4]).as_bytes());
            }
            _ => self.redraw(out),
        }
    }

    fn change(&mut self, change: impl FnOnce(&mut Buffer), out: &mut Vec<u8>) {
        change(&mut self.buffer);
        self.redraw(out);
    }

    fn recall(&mut self, key: Key, out: &mut Vec<u8>) {
        let line = match key {
            Key::Earlier => self.history.earlier(self.buffer.text()),
            _ => self.history.later(),
        };
        match line {
            Some(line) => {
                self.buffer.set(line);
                self.redraw(out);
            }
            None => out.extend_from_slice(BELL),
        }
    }

    /// Completes the word before the cursor, of which the candidates are all that may stand in its place.
    pub fn complete(&mut self, candidates: Vec<String>, out: &mut Vec<u8>) {
        match complete(last_word(self.buffer.before()), candidates) {
            Completion::Nothing => out.extend_from_slice(BELL),
            Completion::Insert(rest) => match self.buffer.insert_all(&rest) {
                true => self.redraw(out),
                false => out.extend_from_slice(BELL),
            },
            Completion::Choices(choices) => {
                out.extend_from_slice(b"\r\n");
                out.extend_from_slice(choices.join("  ").as_bytes());
                out.extend_from_slice(b"\r\n");
                self.redraw(out);
            }
        }
    }

    /// Whether each character of the line takes one column, for sure.
    fn is_plain(&self) -> bool {
        self.buffer.text().is_ascii()
    }

    /// Empties the row, so that something else can be written there; [`LineEditor::redraw`] brings it back, a row below.
    pub fn hide(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(CLEAR_ROW);
    }

    /// Writes the row anew. To bring the cursor to its place, what stands before it is written again: that takes no
    /// knowledge of widths. The row is cleared first, by which a prompt that is shown again is told from a new one.
    pub fn redraw(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(CLEAR_ROW);
        out.extend_from_slice(self.prompt.as_bytes());
        out.extend_from_slice(self.buffer.text().as_bytes());
        if !self.buffer.is_at_end() {
            out.push(b'\r');
            out.extend_from_slice(self.prompt.as_bytes());
            out.extend_from_slice(self.buffer.before().as_bytes());
        }
    }
}
