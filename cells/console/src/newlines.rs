//! What a message becomes on the line: terminals want a carriage return before each line feed.

use alloc::vec::Vec;

/// The bytes with each bare `\n` as `\r\n`. One that has its `\r` already stays as it is.
pub fn for_terminal(message: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(message.len() + message.len() / 16 + 1);
    let mut last = None;
    for byte in message {
        if *byte == b'\n' && last != Some(b'\r') {
            bytes.push(b'\r');
        }
        bytes.push(*byte);
        last = Some(*byte);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::for_terminal;

    #[test]
    fn bare_line_feeds_get_their_return() {
        assert_eq!(for_terminal(b"a\nb\n"), b"a\r\nb\r\n");
        assert_eq!(for_terminal(b"\n\n"), b"\r\n\r\n");
    }

    #[test]
    fn what_has_its_return_keeps_it_single() {
        assert_eq!(for_terminal(b"a\r\nb\r"), b"a\r\nb\r");
    }
}
