//! Where a command's answer goes, and where what is beside it goes: warnings, progress, reasons.

use std::io::Write;
use std::time::{Duration, Instant};

use crate::failure::Failure;

/// Whether long work tells how far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// It does, on a row that is written over.
    Shown,
    /// It does not.
    Hidden,
}

/// The two streams of a command.
pub struct Console<'a> {
    /// The answer.
    pub out: &'a mut dyn Write,
    /// Everything else.
    pub notes: &'a mut dyn Write,
    /// Whether progress is told.
    pub progress: Progress,
}

impl Console<'_> {
    /// Writes a line of the answer.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn print(&mut self, line: &str) -> Result<(), Failure> {
        Ok(writeln!(self.out, "{line}")?)
    }

    /// Writes a line beside the answer.
    pub fn note(&mut self, line: &str) {
        // Where the notes cannot be written there is nobody to tell.
        let _ = writeln!(self.notes, "{line}");
    }

    pub(crate) fn flush(&mut self) -> Result<(), Failure> {
        Ok(self.out.flush()?)
    }

    /// Begins to tell how far some work is.
    pub(crate) fn meter(&self, what: &'static str) -> Meter {
        Meter { what, begun: Instant::now(), shown: None, count: 0, visible: self.progress == Progress::Shown }
    }
}

/// How long work takes before it tells how far it is, and between two times.
const PATIENCE: Duration = Duration::from_millis(500);

/// How far some work is.
pub(crate) struct Meter {
    what: &'static str,
    begun: Instant,
    shown: Option<Instant>,
    count: u64,
    visible: bool,
}

impl Meter {
    /// One more is done.
    pub(crate) fn step(&mut self, notes: &mut dyn Write) {
        self.count += 1;
        // The clock is not asked for each of millions.
        if self.count.is_multiple_of(256) {
            self.reach(self.count, notes);
        }
    }

    /// So many are done.
    pub(crate) fn reach(&mut self, count: u64, notes: &mut dyn Write) {
        self.count = count;
        if !self.visible || self.shown.unwrap_or(self.begun).elapsed() < PATIENCE {
            return;
        }
        self.shown = Some(Instant::now());
        // Where the notes cannot be written there is nobody to tell.
        let _ = write!(notes, "\r{count} {}", self.what);
        let _ = notes.flush();
    }

    /// The work is done, and its row is cleared.
    pub(crate) fn end(self, notes: &mut dyn Write) {
        if self.shown.is_some() {
            let _ = write!(notes, "\r\x1b[K");
        }
    }
}
