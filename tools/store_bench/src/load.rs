//! What else the machine does, and what this thread takes of it.

use std::time::{Duration, Instant};

/// How often a second something was done, and what it took of the processor.
#[derive(Clone, Copy)]
pub struct Figure {
    /// How often a second, by the clock on the wall.
    pub rate: f64,
    /// Nanoseconds that the processor worked for each, in this program and for it in the kernel.
    pub processor: f64,
}

/// Measures work that does something `count` times.
pub fn measured(count: u64, work: impl FnOnce()) -> Figure {
    let (start, processor) = (Instant::now(), processor_time());
    work();
    let (wall, processor) = (start.elapsed(), processor_time().saturating_sub(processor));
    Figure { rate: count as f64 / wall.as_secs_f64(), processor: processor.as_nanos() as f64 / count as f64 }
}

/// What this thread has had of a processor.
fn processor_time() -> Duration {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    Duration::from_nanos(told.split(' ').next().and_then(|time| time.parse().ok()).unwrap_or_default())
}

/// The machine's processors, and how many programs wanted one in the last minute, on average.
pub fn told() -> String {
    let processors = std::thread::available_parallelism().map_or(0, usize::from);
    let averages = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let minute = averages.split(' ').next().unwrap_or("unknown").to_owned();
    format!("{processors} processors, load {minute}")
}
