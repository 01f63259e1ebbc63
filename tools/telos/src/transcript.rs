//! The console's output as rows of text, for a file or a pipe: what a terminal would show in the end, row by row.
//!
//! A row that is cleared and written again appears once, as it was when it ended; other sequences for terminals are
//! dropped.

/// The row that has not ended, and what the terminal would do with the next byte.
#[derive(Debug, Default)]
pub struct Rows {
    /// The bytes of each character.
    row: Vec<Vec<u8>>,
    column: usize,
    state: State,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Text,
    Escape,
    Sequence,
}

impl Rows {
    /// Takes output; answers the rows that have ended with it, each with its line feed.
    pub fn feed(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut ended = Vec::new();
        for byte in bytes {
            self.state = match (self.state, byte) {
                (State::Text, 0x1b) => State::Escape,
                (State::Text, b'\n') => {
                    ended.extend(self.row.drain(..).flatten());
                    ended.push(b'\n');
                    self.column = 0;
                    State::Text
                }
                (State::Text, byte) => {
                    self.text(*byte);
                    State::Text
                }
                (State::Escape, b'[') => State::Sequence,
                (State::Escape, _) => State::Text,
                (State::Sequence, 0x40..=0x7e) => {
                    if *byte == b'K' {
                        self.row.truncate(self.column);
                    }
                    State::Text
                }
                (State::Sequence, _) => State::Sequence,
            };
        }
        ended
    }

    /// The row that has not ended, with a line feed unless it is empty.
    pub fn finish(&mut self) -> Vec<u8> {
        let mut row: Vec<u8> = self.row.drain(..).flatten().collect();
        if !row.is_empty() {
            row.push(b'\n');
        }
        row
    }

    fn text(&mut self, byte: u8) {
        match byte {
            b'\r' => self.column = 0,
            0x08 => self.column = self.column.saturating_sub(1),
            // A further byte of a character of UTF-8.
            0x80..=0xbf => {
                if let Some(character) = self.column.checked_sub(1).and_then(|last| self.row.get_mut(last)) {
                    character.push(byte);
                }
            }
            b'\t' | b' '.. if byte != 0x7f => {
                match self.row.get_mut(self.column) {
                    Some(place) => *place = vec![byte],
                    None => self.row.push(vec![byte]),
                }
                self.column += 1;
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        let mut rows = Rows::default();
        let mut bytes: Vec<u8> = text.bytes().flat_map(|byte| rows.feed(&[byte])).collect();
        bytes.extend(rows.finish());
        String::from_utf8(bytes).expect("UTF-8")
    }

    #[test]
    fn rows_appear_as_they_were_when_they_ended() {
        assert_eq!(shown("one\r\ntwo\r\n"), "one\ntwo\n");
        assert_eq!(shown("telos> p\r\x1b[Ka\r\n\r\x1b[Ktelos> ps\r\n"), "a\ntelos> ps\n");
        assert_eq!(shown("telos> ab\x08 \x08c"), "telos> ac\n");
        assert_eq!(shown("ä€\x08 \x08b\r\n"), "äb\n");
    }

    #[test]
    fn other_sequences_are_dropped() {
        assert_eq!(shown("\x1b[H\x1b[2J\x1b[1;1H  Booting\x07\r\n\x1bcx\x1b[?25h"), "  Booting\nx\n");
        assert_eq!(shown(""), "");
    }
}
