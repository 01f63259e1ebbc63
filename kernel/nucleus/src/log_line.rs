//! Log lines on the serial port: `[seconds.millis] kernel: text`.
//!
//! A cell that owns what the terminal shows gets them to write, so that they stand in rows of their own; without one they go
//! to the serial line at once.

use core::fmt::{self, Write};
use log::{LevelFilter, Log, Metadata, Record};
use objects::devices;
use x86::cpu::InterruptsOff;
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
            // A line is kept whole: nobody takes a part of it meanwhile.
            let _off = InterruptsOff::enter();
            match devices::is_log_read() {
                true => {
                    line(&mut Kept, record);
                    devices::signal_log();
                }
                false => line(&mut Queued, record),
            }
        }
    }

    fn flush(&self) {}
}

fn line(to: &mut impl Write, record: &Record) {
    let millis = clock::now_ns() / 1_000_000;
    let _ = write!(to, "[{}.{:03}] kernel: {}\r\n", millis / 1000, millis % 1000, record.args());
}

/// Text by way of whoever reads the log.
struct Kept;

impl Write for Kept {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        serial::keep_log(text.as_bytes());
        Ok(())
    }
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
