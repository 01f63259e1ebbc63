//! Feeds bytes to the collector of frames as they would come over the line, and looks at what it makes of them.
#![no_main]

use image_port::frame::{Collected, Collector};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let (mut collector, mut room) = (Collector::default(), [0; 64]);
    for byte in bytes {
        match collector.take(*byte, &mut room) {
            Collected::Whole(length) => assert!(length <= room.len() && collector.is_empty()),
            Collected::TooLong(length) => assert!(length > room.len() as u64 && collector.is_empty()),
            Collected::Part => {}
        }
    }
});
