//! How far something is that takes long.

use alloc::format;
use alloc::string::String;

/// Thousandths between two lines.
const STEP: u64 = 100;
/// The progress of what is over.
pub const COMPLETE: u64 = 1000;

/// Which progress was told last.
#[derive(Debug, Default)]
pub struct Steps {
    told: u64,
}

impl Steps {
    /// The line for a progress in thousandths, where it is time for one.
    pub fn line(&mut self, thousandths: u64) -> Option<String> {
        let step = thousandths / STEP;
        if step <= self.told || thousandths >= COMPLETE {
            return None;
        }
        self.told = step;
        Some(format!("  {} %\n", step * STEP / 10))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_tenth_is_told_once() {
        let mut steps = Steps::default();
        let lines: Vec<String> =
            [0, 99, 100, 180, 999, 999, 1000].into_iter().filter_map(|at| steps.line(at)).collect();
        assert_eq!(lines, ["  10 %\n", "  90 %\n"]);
    }
}
