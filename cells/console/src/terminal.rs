//! What the terminal shows: messages in rows of their own, and below them the line that is being edited.
//!
//! Everything here answers the bytes that the device is to be sent. Invariants: a message that comes while a line is open is
//! written whole, above that line; the line then shows as before, with its cursor where it was; a prompt begins a row.

use alloc::string::String;
use alloc::vec::Vec;

use line_editor::{Event, LineEditor};

use crate::newlines::for_terminal;

const NEW_ROW: &[u8] = b"\r\n";
/// The sequence that leaves the cursor at the start of an empty row, besides a line feed.
const HOME: &[u8] = b"\x1b[H";

/// One terminal.
#[derive(Debug, Default)]
pub struct Terminal {
    editor: LineEditor,
    line: Line,
    /// Whether the last message left the cursor inside a row.
    is_in_row: bool,
}

/// Whether a line is being edited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Line {
    #[default]
    Closed,
    Open,
}

impl Terminal {
    /// Whether a line is being edited.
    pub fn has_line(&self) -> bool {
        self.line == Line::Open
    }

    /// A message. One that does not end its row has it ended where a line is open.
    pub fn message(&mut self, message: &[u8]) -> Vec<u8> {
        if message.is_empty() {
            return Vec::new();
        }
        let is_in_row = !message.ends_with(b"\n") && !message.ends_with(HOME);
        match self.line {
            Line::Closed => {
                self.is_in_row = is_in_row;
                for_terminal(message)
            }
            Line::Open => {
                let mut out = Vec::new();
                self.editor.hide(&mut out);
                out.extend(for_terminal(message));
                if is_in_row {
                    out.extend_from_slice(NEW_ROW);
                }
                self.editor.redraw(&mut out);
                out
            }
        }
    }

    /// Opens a line behind a prompt, of which control characters are left out.
    pub fn open(&mut self, prompt: &str) -> Vec<u8> {
        let mut out = Vec::new();
        if self.is_in_row {
            out.extend_from_slice(NEW_ROW);
        }
        let prompt: String = prompt.chars().filter(|character| !character.is_control()).collect();
        self.editor.begin(&prompt, &mut out);
        self.line = Line::Open;
        self.is_in_row = false;
        out
    }

    /// A byte that was typed into the open line. All events but [`Event::Tab`] close it.
    pub fn typed(&mut self, byte: u8) -> (Vec<u8>, Option<Event>) {
        let mut out = Vec::new();
        let event = self.editor.feed(byte, &mut out);
        if !matches!(event, None | Some(Event::Tab)) {
            self.line = Line::Closed;
        }
        (out, event)
    }

    /// The text before the cursor.
    pub fn before_cursor(&self) -> &str {
        self.editor.before_cursor()
    }

    /// Completes the word before the cursor of the open line.
    pub fn complete(&mut self, candidates: Vec<String>) -> Vec<u8> {
        let mut out = Vec::new();
        self.editor.complete(candidates, &mut out);
        out
    }

    /// Closes the line without its having been entered: its row is empty again.
    pub fn close(&mut self) -> Vec<u8> {
        let mut out = Vec::new();
        if self.has_line() {
            self.editor.hide(&mut out);
            self.line = Line::Closed;
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The rows that a wide terminal shows, the last of which has the cursor.
    #[derive(Default)]
    struct Screen {
        rows: Vec<String>,
        row: String,
        column: usize,
    }

    impl Screen {
        fn show(&mut self, bytes: &[u8]) {
            let text = std::str::from_utf8(bytes).expect("UTF-8");
            let mut rest = text.chars();
            while let Some(character) = rest.next() {
                match character {
                    '\r' => self.column = 0,
                    '\n' => {
                        self.rows.push(std::mem::take(&mut self.row));
                        assert_eq!(self.column, 0, "a line feed without its return");
                    }
                    '\x08' => self.column -= 1,
                    '\x07' => {}
                    '\x1b' => {
                        assert_eq!(rest.by_ref().take(2).collect::<String>(), "[K");
                        self.row = self.row.chars().take(self.column).collect();
                    }
                    character => {
                        let mut row: Vec<char> = self.row.chars().collect();
                        row.resize(row.len().max(self.column + 1), ' ');
                        row[self.column] = character;
                        self.row = row.into_iter().collect();
                        self.column += 1;
                    }
                }
            }
        }
    }

    #[test]
    fn a_message_stands_above_the_line_whole() {
        let (mut terminal, mut screen) = (Terminal::default(), Screen::default());
        screen.show(&terminal.open("> "));
        for byte in b"ab\x02" {
            screen.show(&terminal.typed(*byte).0);
        }
        screen.show(&terminal.message(b"one\ntwo"));
        assert_eq!(screen.rows, ["one", "two"]);
        assert_eq!((screen.row.as_str(), screen.column), ("> ab", 3));
        screen.show(&terminal.message(b"three\n"));
        assert_eq!(screen.rows, ["one", "two", "three"]);
        assert_eq!((screen.row.as_str(), screen.column), ("> ab", 3));
    }

    #[test]
    fn a_prompt_begins_a_row() {
        let mut terminal = Terminal::default();
        assert_eq!(terminal.message(b"unfinished"), b"unfinished");
        assert_eq!(terminal.open(">\x1b "), b"\r\n> ");
        terminal.typed(b'\r');
        assert_eq!(terminal.message(b"\x1b[2J\x1b[H"), b"\x1b[2J\x1b[H");
        assert_eq!(terminal.open("> "), b"> ");
    }

    #[test]
    fn a_prompt_that_is_shown_again_differs_from_a_new_one() {
        let mut terminal = Terminal::default();
        terminal.open("> ");
        let out = terminal.message(b"x\n");
        assert_eq!(out, b"\r\x1b[Kx\r\n\r\x1b[K> ");
    }

    #[test]
    fn a_tab_leaves_the_line_open_and_others_close_it() {
        let mut terminal = Terminal::default();
        terminal.open("> ");
        terminal.typed(b'h');
        assert_eq!(terminal.typed(b'\t').1, Some(Event::Tab));
        assert_eq!((terminal.has_line(), terminal.before_cursor()), (true, "h"));
        terminal.complete(vec!["help".into()]);
        assert_eq!(terminal.typed(b'\r').1, Some(Event::Line("help ".into())));
        assert!(!terminal.has_line());
        assert_eq!(terminal.close(), b"");
        terminal.open("> ");
        assert_eq!(terminal.close(), b"\r\x1b[K");
        assert!(!terminal.has_line());
    }

    /// What happens at a terminal.
    #[derive(Clone, Debug)]
    enum Step {
        Typed(u8),
        Message(String),
    }

    fn step() -> impl Strategy<Value = Step> {
        let keys = prop::sample::select(b"abc \x01\x02\x05\x06\x08\x0b\x15\x17\x10\x0e\r".to_vec());
        prop_oneof![3 => keys.prop_map(Step::Typed), 1 => "[m-z]{1,5}(\n[m-z]{1,5}){0,2}\n?".prop_map(Step::Message)]
    }

    proptest! {
        #[test]
        fn messages_and_lines_never_mix(steps in prop::collection::vec(step(), 0..60)) {
            let (mut terminal, mut screen) = (Terminal::default(), Screen::default());
            let mut expected = Vec::new();
            screen.show(&terminal.open("> "));
            for step in steps {
                match step {
                    Step::Message(text) => {
                        expected.extend(text.lines().map(str::to_owned));
                        screen.show(&terminal.message(text.as_bytes()));
                    }
                    Step::Typed(byte) => {
                        let before = screen.row.trim_end().to_owned();
                        let (out, event) = terminal.typed(byte);
                        screen.show(&out);
                        if event.is_some() {
                            expected.push(before);
                            screen.show(&terminal.open("> "));
                        }
                    }
                }
                let shown: Vec<String> = screen.rows.iter().map(|row| row.trim_end().to_owned()).collect();
                prop_assert_eq!(&shown, &expected);
                prop_assert!(screen.row.starts_with("> "), "{}", screen.row);
                prop_assert_eq!(screen.column, 2 + terminal.before_cursor().len());
            }
        }
    }
}
