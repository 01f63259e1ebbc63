//! What is typed while a program runs that may be interrupted.
//!
//! Otherwise bytes that nobody reads stay in the kernel. To see Ctrl-C among them they have to be taken from there, and stand
//! here until somebody reads; an interruption drops those that were typed before it, as it drops a line.

use alloc::collections::VecDeque;

/// Ctrl-C.
const INTERRUPT: u8 = 0x03;
/// The most bytes that stand here. What is beyond stays in the kernel, a Ctrl-C among it too, until there is room.
const MOST: usize = 4096;

/// Bytes typed ahead, oldest first.
#[derive(Debug, Default)]
pub struct Ahead {
    bytes: VecDeque<u8>,
}

impl Ahead {
    /// How many more bytes there is room for.
    pub fn room(&self) -> usize {
        MOST.saturating_sub(self.bytes.len())
    }

    /// Takes bytes in; answers whether there was an interruption among them.
    pub fn typed(&mut self, bytes: &[u8]) -> bool {
        let last = bytes.iter().rposition(|byte| *byte == INTERRUPT);
        let behind = match last {
            Some(place) => {
                self.bytes.clear();
                bytes.get(place + 1..).unwrap_or(&[])
            }
            None => bytes,
        };
        self.bytes.extend(behind);
        last.is_some()
    }

    /// Hands out what fits, oldest first; how much.
    pub fn read(&mut self, into: &mut [u8]) -> usize {
        let length = into.len().min(self.bytes.len());
        for (place, byte) in into.iter_mut().zip(self.bytes.drain(..length)) {
            *place = byte;
        }
        length
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_out_as_they_came_in() {
        let mut ahead = Ahead::default();
        assert!(!ahead.typed(b"abc"));
        assert!(!ahead.typed(b"de"));
        let mut room = [0; 4];
        assert_eq!((ahead.read(&mut room), &room), (4, b"abcd"));
        assert_eq!((ahead.read(&mut room), room[0]), (1, b'e'));
        assert_eq!(ahead.read(&mut room), 0);
    }

    #[test]
    fn an_interruption_drops_what_was_typed_before() {
        let mut ahead = Ahead::default();
        ahead.typed(b"before");
        assert!(ahead.typed(b"more\x03one\x03behind"));
        let mut room = [0; 16];
        let length = ahead.read(&mut room);
        assert_eq!(&room[..length], b"behind");
    }

    #[test]
    fn what_is_full_takes_no_more() {
        let mut ahead = Ahead::default();
        ahead.typed(&[b'x'; MOST]);
        assert_eq!(ahead.room(), 0);
        ahead.read(&mut [0; 10]);
        assert_eq!(ahead.room(), 10);
    }
}
