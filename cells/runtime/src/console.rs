//! Text to the console, for cells that log.

use core::fmt::{self, Write};

use abi::interfaces::console;
use abi::token::{CallOnly, Cap, Endpoint};

use crate::Call;

/// A client of the console server. Each [`Console::say`] is one message, so that lines of several cells do not mix.
#[derive(Debug)]
pub struct Console {
    endpoint: Option<Cap<Endpoint, CallOnly>>,
    name: &'static str,
}

impl Console {
    /// A console for lines that begin with a name; without an endpoint it is mute.
    pub fn new(endpoint: Option<Cap<Endpoint, CallOnly>>, name: &'static str) -> Self {
        Console { endpoint, name }
    }

    /// Writes a line `name: text`.
    pub fn say(&self, text: fmt::Arguments<'_>) {
        let mut line = Line { bytes: [0; 512], length: 0 };
        let _ = write!(line, "{}: {text}", self.name);
        line.length = line.length.min(line.bytes.len() - 1);
        line.bytes[line.length] = b'\n';
        self.write(&line.bytes[..=line.length]);
    }

    /// Writes a line without the name: for output that is read by others.
    pub fn line(&self, text: fmt::Arguments<'_>) {
        let mut line = Line { bytes: [0; 512], length: 0 };
        let _ = write!(line, "{text}");
        line.length = line.length.min(line.bytes.len() - 1);
        line.bytes[line.length] = b'\n';
        self.write(&line.bytes[..=line.length]);
    }

    /// Writes bytes as they are. What does not fit one message is parted between rows, so that rows of others do not come into
    /// the middle of one.
    pub fn write(&self, bytes: &[u8]) {
        let Some(endpoint) = &self.endpoint else {
            return;
        };
        let mut rest = bytes;
        while !rest.is_empty() {
            let (part, behind) = rest.split_at(message_length(rest));
            // Nobody is left to tell when the console itself is gone.
            let _ = Call::new(endpoint, console::Write {}).bytes(part).send();
            rest = behind;
        }
    }

    /// The endpoint, for other calls.
    pub fn endpoint(&self) -> Option<&Cap<Endpoint, CallOnly>> {
        self.endpoint.as_ref()
    }
}

/// Says a line on a console: `say!(console, "committed at TID {tid}")`.
#[macro_export]
macro_rules! say {
    ($console:expr, $($text:tt)*) => { $console.say(format_args!($($text)*)) };
}

/// How much of what is to be written goes into the next message: whole rows if there are any, otherwise what fits.
fn message_length(bytes: &[u8]) -> usize {
    match bytes.get(..abi::kernel::BODY_MAX) {
        Some(fitting) if fitting.len() < bytes.len() => {
            fitting.iter().rposition(|byte| *byte == b'\n').map_or(fitting.len(), |end| end + 1)
        }
        _ => bytes.len(),
    }
}

struct Line {
    bytes: [u8; 512],
    length: usize,
}

impl Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for (slot, byte) in self.bytes.iter_mut().skip(self.length).zip(text.bytes()) {
            *slot = byte;
            self.length += 1;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::message_length;
    use abi::kernel::BODY_MAX;

    #[test]
    fn long_texts_are_parted_between_rows() {
        let mut text = vec![b'x'; BODY_MAX + 10];
        assert_eq!(message_length(&text), BODY_MAX);
        text[100] = b'\n';
        text[200] = b'\n';
        assert_eq!(message_length(&text), 201);
        assert_eq!(message_length(&text[..BODY_MAX]), BODY_MAX);
        assert_eq!(message_length(b"short"), 5);
    }
}
