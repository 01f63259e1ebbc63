//! Reads any bytes as what a persistence server hands over; what is read is written again, and read back as it was.
#![no_main]

use libfuzzer_sys::fuzz_target;
use persistence::handover::{Handover, SCHEMA};
use runtime::State;

fuzz_target!(|bytes: &[u8]| {
    if let Some(handover) = Handover::read(bytes) {
        let written = handover.export(SCHEMA).expect("what was read can be written");
        let again = Handover::import(SCHEMA, &written).expect("what was written can be read");
        assert!(again.is_all_of(SCHEMA, &written));
    }
});
