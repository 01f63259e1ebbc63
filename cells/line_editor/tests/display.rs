//! What a terminal shows is what the editor holds, whatever is typed.

use line_editor::history::MAX_LINES;
use line_editor::{Event, LineEditor};
use proptest::prelude::*;

const PROMPT: &str = "telos> ";

/// One row of a terminal that is wide enough. A wide character takes two columns, the second of which is empty.
#[derive(Default)]
struct Terminal {
    row: Vec<Option<char>>,
    column: usize,
    bells: usize,
}

fn width(character: char) -> usize {
    if character >= '\u{2e80}' { 2 } else { 1 }
}

fn columns(text: &str) -> usize {
    text.chars().map(width).sum()
}

impl Terminal {
    fn show(&mut self, bytes: &[u8]) {
        let text = std::str::from_utf8(bytes).expect("the echo is UTF-8");
        let mut characters = text.chars();
        while let Some(character) = characters.next() {
            match character {
                '\r' => self.column = 0,
                '\n' => self.row.clear(),
                '\x08' => self.column -= 1,
                '\x07' => self.bells += 1,
                '\x1b' => match characters.by_ref().skip(1).find(|end| end.is_alphabetic()) {
                    Some('K') => self.row.truncate(self.column),
                    Some('J') => self.row.clear(),
                    Some('H') => self.column = 0,
                    other => panic!("the terminal does not know {other:?}"),
                },
                character => {
                    assert!(!character.is_control(), "{character:?} reached the terminal");
                    let end = self.column + width(character);
                    self.row.resize(self.row.len().max(end), None);
                    self.row[self.column] = Some(character);
                    self.row[self.column + 1..end].fill(None);
                    self.column = end;
                }
            }
        }
    }

    fn text(&self) -> String {
        self.row.iter().flatten().collect()
    }
}

struct Session {
    editor: LineEditor,
    terminal: Terminal,
    events: Vec<Event>,
}

impl Session {
    fn new() -> Self {
        let mut session = Session { editor: LineEditor::default(), terminal: Terminal::default(), events: Vec::new() };
        session.begin();
        session
    }

    fn begin(&mut self) {
        let mut out = Vec::new();
        self.editor.begin(PROMPT, &mut out);
        self.terminal.show(&out);
    }

    fn press(&mut self, byte: u8) {
        let mut out = Vec::new();
        match self.editor.feed(byte, &mut out) {
            None => self.terminal.show(&out),
            Some(Event::Tab) => {
                self.editor.complete(["spawn", "spin", "späh", "help"].map(String::from).to_vec(), &mut out);
                self.terminal.show(&out);
            }
            Some(event) => {
                self.terminal.show(&out);
                assert_eq!((self.terminal.text().as_str(), self.terminal.column), ("", 0));
                self.events.push(event);
                self.begin();
            }
        }
        self.check();
    }

    /// Something else is written in the row, which then comes back below.
    fn interrupt(&mut self) {
        let mut out = Vec::new();
        self.editor.hide(&mut out);
        self.terminal.show(&out);
        assert_eq!((self.terminal.text().as_str(), self.terminal.column), ("", 0));
        self.terminal.show("a message\r\n".as_bytes());
        out.clear();
        self.editor.redraw(&mut out);
        self.terminal.show(&out);
        self.check();
    }

    fn check(&self) {
        let expected = format!("{PROMPT}{}", self.editor.text());
        assert_eq!(self.terminal.text().trim_end(), expected.trim_end());
        assert_eq!(self.terminal.column, columns(PROMPT) + columns(self.editor.before_cursor()));
    }

    fn type_in(&mut self, bytes: &[u8]) -> &mut Self {
        bytes.iter().for_each(|byte| self.press(*byte));
        self
    }
}

fn line(text: &str) -> Event {
    Event::Line(text.to_string())
}

#[test]
fn a_line_typed_and_mended() {
    let mut session = Session::new();
    session.type_in(b"hlep\x08\x08\x08elx\x02\x1b[3~p\r");
    assert_eq!(session.events, [line("help")]);
}

#[test]
fn cursor_keys_move_and_letters_go_in_between() {
    let mut session = Session::new();
    session.type_in("漢ab".as_bytes()).type_in(b"\x1b[D\x1b[Dx\x01y\x05z\x06\r");
    assert_eq!(session.events, [line("y漢xabz")]);
    assert_eq!(session.terminal.bells, 1, "there is nothing to the right of the end");
}

#[test]
fn kills() {
    let mut session = Session::new();
    session.type_in(b"one two three\x17X\r");
    session.type_in(b"abc\x02\x0b\r");
    session.type_in(b"abc\x02\x15\r");
    assert_eq!(session.events, [line("one two X"), line("ab"), line("c")]);
}

#[test]
fn history_is_recalled_and_edited() {
    let mut session = Session::new();
    session.type_in(b"one\rtwo\rdraft\x1b[A\x10!\r\x1b[A\x1b[A\x0e\x1b[B\r");
    let expected = [line("one"), line("two"), line("one!"), line("")];
    assert_eq!(session.events, expected);
    assert!(session.editor.history().eq(["one", "two", "one!"]));
}

#[test]
fn tabs_complete_and_list() {
    let mut session = Session::new();
    session.type_in(b"h\t1\rs\ta\t\r");
    assert_eq!(session.events, [line("help 1"), line("spawn ")]);
    let mut out = Vec::new();
    session.type_in(b"sp");
    assert_eq!(session.editor.feed(b'\t', &mut out), Some(Event::Tab));
    assert_eq!((session.editor.before_cursor(), out.as_slice()), ("sp", &b""[..]));
    session.editor.complete(vec!["spin".into(), "spawn".into()], &mut out);
    assert_eq!(out, b"\r\nspawn  spin\r\n\r\x1b[Ktelos> sp");
}

#[test]
fn control_keys_end_lines() {
    let mut session = Session::new();
    session.type_in(b"abc\x03\x04ab\x01\x04\r");
    let expected = [Event::Interrupted, Event::EndOfInput, line("b")];
    assert_eq!(session.events, expected);
}

#[test]
fn the_screen_is_cleared_but_not_the_line() {
    let mut session = Session::new();
    session.type_in(b"abc\x02\x0c");
    session.check();
    assert_eq!(session.editor.before_cursor(), "ab");
}

#[test]
fn beyond_the_longest_line_the_bell_rings() {
    let mut session = Session::new();
    session.type_in(&[b'x'; 1030]);
    assert_eq!((session.editor.text().len(), session.terminal.bells), (1024, 6));
    session.type_in(b"\r");
    assert_eq!(session.events, [line(&"x".repeat(1024))]);
}

/// What people type, and what they do not.
fn typing() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        4 => "[a-z ]{1,8}".prop_map(String::into_bytes),
        2 => "[äß漢字🦀a]{1,4}".prop_map(String::into_bytes),
        4 => (0u8..0x20).prop_map(|byte| vec![byte]),
        3 => prop::sample::select(vec!["\x1b[A", "\x1b[B", "\x1b[C", "\x1b[D", "\x1b[H", "\x1b[F", "\x1b[3~", "\x1bOA", "\x7f", "\r", "\r\n", "\t"])
            .prop_map(|keys| keys.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..6),
    ];
    prop::collection::vec(piece, 0..80).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn the_row_shows_the_line_whatever_is_typed_and_written_meanwhile(bytes in typing(), every in 1usize..9) {
        let mut session = Session::new();
        for piece in bytes.chunks(every) {
            session.type_in(piece).interrupt();
        }
        prop_assert!(session.editor.history().count() <= MAX_LINES);
        for event in &session.events {
            if let Event::Line(text) = event {
                prop_assert!(!text.contains(char::is_control));
            }
        }
    }

    #[test]
    fn printable_text_comes_out_as_it_went_in(text in "[ -~ä漢🦀]{0,60}") {
        let mut session = Session::new();
        session.type_in(text.as_bytes()).type_in(b"\r");
        prop_assert_eq!(&session.events, &[line(&text)]);
    }

    #[test]
    fn no_byte_stream_panics(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let mut editor = LineEditor::default();
        let mut out = Vec::new();
        for byte in bytes {
            editor.feed(byte, &mut out);
        }
        prop_assert!(std::str::from_utf8(&out).is_ok());
    }
}
