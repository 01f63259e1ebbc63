//! Bytes to keys.
//!
//! Bytes come one by one, so that a sequence may be cut anywhere. What is no key is dropped: unknown sequences,
//! control characters without a meaning here, and bytes that are no UTF-8.

/// What was pressed, by what it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// A character to insert; never a control character.
    Character(char),
    /// Return: `\r`, `\n`, or both as one.
    Enter,
    /// Tab.
    Complete,
    /// Backspace, or Ctrl-H.
    DeleteBefore,
    /// The delete key.
    DeleteAt,
    /// Ctrl-D: deletes, or ends the input on an empty line.
    DeleteOrEnd,
    /// Cursor left, or Ctrl-B.
    Left,
    /// Cursor right, or Ctrl-F.
    Right,
    /// Home, or Ctrl-A.
    Start,
    /// End, or Ctrl-E.
    End,
    /// Cursor up, or Ctrl-P.
    Earlier,
    /// Cursor down, or Ctrl-N.
    Later,
    /// Ctrl-K.
    KillToEnd,
    /// Ctrl-U.
    KillToStart,
    /// Ctrl-W.
    KillWord,
    /// Ctrl-C.
    Interrupt,
    /// Ctrl-L.
    ClearScreen,
}

const ESCAPE: u8 = 0x1b;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Ground,
    /// Behind a `\r`, whose `\n` is part of it.
    Return,
    /// Behind an escape.
    Escape,
    /// Inside `ESC [`, with its first number and whether that has ended.
    Sequence { number: u16, ended: bool },
    /// Behind `ESC O`.
    Application,
    /// Inside a character of several bytes.
    Utf8 { bytes: [u8; 4], have: u8, want: u8 },
}

/// The decoder of one terminal.
#[derive(Debug, Default)]
pub struct Decoder {
    state: State,
}

impl Decoder {
    /// The key that a byte completes, if it does.
    pub fn feed(&mut self, byte: u8) -> Option<Key> {
        match core::mem::take(&mut self.state) {
            State::Ground => self.ground(byte),
            State::Return if byte == b'\n' => None,
            State::Return => self.ground(byte),
            State::Escape => {
                self.state = match byte {
                    b'[' => State::Sequence { number: 0, ended: false },
                    b'O' => State::Application,
                    _ if byte < 0x20 || byte == 0x7f => return self.ground(byte),
                    _ => State::Ground,
                };
                None
            }
            State::Application if byte >= 0x20 => named(byte, 0),
            State::Sequence { number, ended } => self.sequence(byte, number, ended),
            State::Utf8 { bytes, have, want } => self.continued(byte, bytes, have, want),
            State::Application => self.ground(byte),
        }
    }

    fn ground(&mut self, byte: u8) -> Option<Key> {
        Some(match byte {
            0x01 => Key::Start,
            0x02 => Key::Left,
            0x03 => Key::Interrupt,
            0x04 => Key::DeleteOrEnd,
            0x05 => Key::End,
            0x06 => Key::Right,
            0x08 | 0x7f => Key::DeleteBefore,
            b'\t' => Key::Complete,
            b'\n' => Key::Enter,
            0x0b => Key::KillToEnd,
            0x0c => Key::ClearScreen,
            b'\r' => {
                self.state = State::Return;
                Key::Enter
            }
            0x0e => Key::Later,
            0x10 => Key::Earlier,
            0x15 => Key::KillToStart,
            0x17 => Key::KillWord,
            ESCAPE => {
                self.state = State::Escape;
                return None;
            }
            0x20..0x7f => Key::Character(char::from(byte)),
            _ => {
                self.begin(byte);
                return None;
            }
        })
    }

    /// The first byte of a character of several; nothing begins at others.
    fn begin(&mut self, byte: u8) {
        let want = match byte {
            0xc2..=0xdf => 2,
            0xe0..=0xef => 3,
            0xf0..=0xf4 => 4,
            _ => return,
        };
        let bytes = [byte, 0, 0, 0];
        self.state = State::Utf8 { bytes, have: 1, want };
    }

    fn continued(&mut self, byte: u8, mut bytes: [u8; 4], have: u8, want: u8) -> Option<Key> {
        if byte & 0xc0 != 0x80 {
            // The character was cut short; this byte stands for itself.
            return self.ground(byte);
        }
        if let Some(place) = bytes.get_mut(usize::from(have)) {
            *place = byte;
        }
        let have = have + 1;
        if have < want {
            self.state = State::Utf8 { bytes, have, want };
            return None;
        }
        let text = core::str::from_utf8(bytes.get(..usize::from(have))?).ok()?;
        let character = text.chars().next()?;
        (!character.is_control()).then_some(Key::Character(character))
    }

    fn sequence(&mut self, byte: u8, number: u16, ended: bool) -> Option<Key> {
        match byte {
            b'0'..=b'9' if !ended => {
                let digit = u16::from(byte - b'0');
                let number = number.saturating_mul(10).saturating_add(digit);
                self.state = State::Sequence { number, ended };
                None
            }
            0x20..=0x3f => {
                let ended = true;
                self.state = State::Sequence { number, ended };
                None
            }
            0x40..=0x7e => named(byte, number),
            _ => self.ground(byte),
        }
    }
}

/// The key of a sequence's last byte and first number.
fn named(last: u8, number: u16) -> Option<Key> {
    Some(match (last, number) {
        (b'A', _) => Key::Earlier,
        (b'B', _) => Key::Later,
        (b'C', _) => Key::Right,
        (b'D', _) => Key::Left,
        (b'H', _) | (b'~', 1 | 7) => Key::Start,
        (b'F', _) | (b'~', 4 | 8) => Key::End,
        (b'~', 3) => Key::DeleteAt,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(bytes: &[u8]) -> Vec<Key> {
        let mut decoder = Decoder::default();
        bytes.iter().filter_map(|byte| decoder.feed(*byte)).collect()
    }

    #[test]
    fn each_way_to_end_a_line_ends_one() {
        assert_eq!(keys(b"\r"), [Key::Enter]);
        assert_eq!(keys(b"\n"), [Key::Enter]);
        assert_eq!(keys(b"\r\n"), [Key::Enter]);
        assert_eq!(keys(b"\r\r\n\n"), [Key::Enter, Key::Enter, Key::Enter]);
    }

    #[test]
    fn sequences_of_cursor_keys() {
        assert_eq!(keys(b"\x1b[A\x1bOB"), [Key::Earlier, Key::Later]);
        assert_eq!(keys(b"\x1b[1;5C"), [Key::Right]);
        assert_eq!(keys(b"\x1b[3~\x1b[1~\x1b[8~"), [Key::DeleteAt, Key::Start, Key::End]);
        assert_eq!(keys(b"\x1b[99999999999999~\x1b[?25h\x1bx"), []);
    }

    #[test]
    fn a_sequence_that_is_cut_short_swallows_no_line_end() {
        for cut in [&b"\x1b\r"[..], b"\x1b[\r", b"\x1b[12;\r", b"\x1bO\r", b"\xe2\x82\r"] {
            assert_eq!(keys(cut), [Key::Enter], "{cut:?}");
        }
    }

    #[test]
    fn characters_of_several_bytes() {
        let text = "aä€漢🦀";
        let expected: Vec<Key> = text.chars().map(Key::Character).collect();
        assert_eq!(keys(text.as_bytes()), expected);
    }

    #[test]
    fn what_is_no_utf_8_is_dropped() {
        // A lone continuation, an overlong form, a surrogate, a number beyond Unicode, a C1 control character.
        for bad in [&b"\x80"[..], b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xc2\x9b"] {
            assert_eq!(keys(bad), [], "{bad:?}");
        }
        assert_eq!(keys(b"\xe2\x82z"), [Key::Character('z')]);
    }
}
