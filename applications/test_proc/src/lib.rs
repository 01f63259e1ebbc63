//! The test process of the plan: says that it is alive, and ends.
#![no_std]
#![forbid(unsafe_code)]

use abi::slots;
use runtime::{Console, Environment};

/// The entry of the cell.
pub fn main(mut environment: Environment) -> u64 {
    let console = Console::new(environment.take(slots::CONSOLE), "test_proc");
    console.write(b"TelOS: test_proc alive.\n");
    0
}
