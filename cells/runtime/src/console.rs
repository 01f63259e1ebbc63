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

    /// Writes bytes as they are.
    pub fn write(&self, bytes: &[u8]) {
        let Some(endpoint) = &self.endpoint else {
            return;
        };
        for part in bytes.chunks(abi::kernel::BODY_MAX) {
            // Nobody is left to tell when the console itself is gone.
            let _ = Call::new(endpoint, console::Write {}).bytes(part).send();
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
