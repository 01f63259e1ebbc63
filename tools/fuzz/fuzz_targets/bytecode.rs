//! Verifies any bytes as bytecode and runs what verifies, with little fuel.
#![no_main]

mod nowhere;

use language::{BYTECODE_VERSION, Limits, Session};
use libfuzzer_sys::fuzz_target;
use nowhere::{Nobody, Nothing};

fuzz_target!(|bytes: &[u8]| {
    let limits = Limits { fuel: 20_000, depth: 200, stack: 40_000, memory: 400_000, garbage: 40_000 };
    let mut session = Session::new(None, limits);
    let mut store = Nothing::default();
    let _ = session.run_bytecode(&mut store, &mut Nobody, &[&[BYTECODE_VERSION], bytes].concat(), "");
    let answer = session.run_source(&mut store, &mut Nobody, "20 + 22");
    assert_eq!(answer.map(|outcome| outcome.text), Ok("42".into()));
});
