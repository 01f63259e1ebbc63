//! Any bytes as a log of a disk's writes: it is read or refused, and whatever is read can happen to a small disk.
#![no_main]

use crash_replay::Log;
use crash_replay::disk::{Disk, events};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(log) = Log::read(bytes) else {
        return;
    };
    let mut disk = Disk::new(vec![0; 64 * 512]);
    for event in events(&log) {
        disk.feel(&event);
    }
    let _ = disk.digest(&disk.kept());
});
