//! Runs any text as a program with little fuel: a value or an error, and the session goes on.
#![no_main]

mod nowhere;

use language::{Limits, Session};
use libfuzzer_sys::fuzz_target;
use nowhere::{Nobody, Nothing};

fuzz_target!(|source: &str| {
    let limits = Limits { fuel: 20_000, depth: 200, stack: 40_000, memory: 400_000, garbage: 40_000 };
    let mut session = Session::new(None, limits);
    let mut store = Nothing::default();
    let _ = session.run_source(&mut store, &mut Nobody, source);
    let answer = session.run_source(&mut store, &mut Nobody, "20 + 22");
    assert_eq!(answer.map(|outcome| outcome.text), Ok("42".into()));
});
