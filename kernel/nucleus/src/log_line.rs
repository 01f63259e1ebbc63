//! Log lines on the serial port: `[seconds.millis] kernel: text`.

use core::fmt::{self, Write};
use log::{LevelFilter, Log, Metadata, Record};
use x86::{clock, serial};

static LOGGER: SerialLog = SerialLog;

struct SerialLog;

/// Lets `log` macros reach the serial line.
pub fn install() {
    serial::install();
    // Fails only where a logger is set already, which is this one.
    let _ = log::set_logger(&LOGGER);
    log::set_max_level(LevelFilter::Info);
}

impl Log for SerialLog {
    fn enabled(&self, metadata: &Metadata) -> bool {
        metadata.level() <= log::max_level()
    }

    fn log(&self, record: &Record) {
        if self.enabled(record.metadata()) {
            let millis = clock::now_ns() / 1_000_000;
            let _ = write!(Queued, "[{}.{:03}] kernel: {}\r\n", millis / 1000, millis % 1000, record.args());
        }
    }

    fn flush(&self) {}
}

/// Text by way of the ring.
pub struct Queued;

impl Write for Queued {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        serial::send_all(text.as_bytes());
        Ok(())
    }
}

/// Text by polling, for when nothing else works.
pub struct Polled;

impl Write for Polled {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        serial::send_polled(text.as_bytes());
        Ok(())
    }
}
