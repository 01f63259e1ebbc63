//! A test: plants a failure at every point of CreateProcess, one after another, and looks for what is left.
//!
//! After each, the memory server must have what it had before (free bytes, largest block and allocations, so frames, threads
//! and CNodes are gone), the graph must have as many objects, and the process server as many processes. Then a process is
//! made without a planted failure, and runs. Prints a line a point and the totals, and stops the machine.
#![no_std]
#![forbid(unsafe_code)]

use abi::CallError;
use abi::interfaces::memory::{self, GetStatistics as MemoryStatistics};
use abi::interfaces::persistence::{self, GetStatistics as StoreStatistics};
use abi::interfaces::process::{List, PLANTED, PlantFailure, Spawn, Wait};
use abi::slots;
use abi::token::{All, CallOnly, Cap, Endpoint, Machine};
use runtime::{Call, Console, Environment, objects};

/// What is made again and again.
const IMAGE: &[u8] = b"test_proc";
/// Exit code of a test that failed.
const FAILED: u64 = 0x11;

struct Servers {
    persistence: Cap<Endpoint, CallOnly>,
    memory: Cap<Endpoint, CallOnly>,
    process: Cap<Endpoint, CallOnly>,
}

/// Everything that a failed CreateProcess must leave as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Before {
    memory: memory::Statistics,
    objects: u64,
    last: u64,
    processes: u64,
}

impl Servers {
    fn observe(&self) -> Result<Before, CallError> {
        let memory = Call::new(&self.memory, MemoryStatistics {}).decode(|_, body| body)?;
        let store: persistence::Statistics = Call::new(&self.persistence, StoreStatistics {}).decode(|_, body| body)?;
        let mut room = [0; abi::kernel::BODY_MAX];
        let (listed, _) = Call::new(&self.process, List { from: 0 }).into_bytes(&mut room)?;
        Ok(Before { memory, objects: store.objects, last: store.last, processes: listed.value })
    }

    /// One point; `Ok` says whether everything is as it was.
    fn fail_at(&self, console: &Console, point: u64) -> Result<bool, CallError> {
        let before = self.observe()?;
        Call::new(&self.process, PlantFailure { point }).words()?;
        let planted = match Call::new(&self.process, Spawn {}).bytes(IMAGE).send() {
            Err(CallError::Server(PLANTED, at)) => at == point,
            Err(error) => return Err(error),
            Ok(_) => false,
        };
        let after = self.observe()?;
        if !planted || after != before {
            console.line(format_args!("planted: {planted}; before: {before:?}; after: {after:?}"));
        }
        Ok(planted && after == before)
    }

    /// Without a planted failure it is made, runs and ends well.
    fn succeed(&self) -> Result<bool, CallError> {
        let process = Call::new(&self.process, Spawn {}).bytes(IMAGE).send()?.value;
        Ok(Call::new(&self.process, Wait { process }).words()? == 0)
    }
}

/// The entry of the cell.
pub fn main(mut environment: Environment) -> u64 {
    let console = Console::new(environment.take(slots::CONSOLE), "test");
    let servers = Servers {
        persistence: environment.need(slots::PERSISTENCE, "the persistence server"),
        memory: environment.need(slots::MEMORY, "the memory server"),
        process: environment.need(slots::PROCESS, "the process server"),
    };
    let machine: Cap<Machine, All> = environment.need(slots::FIRST_GRANTED, "the machine");
    let (mut passed, mut failed) = (0, 0);
    let mut count = |name: core::fmt::Arguments<'_>, result: Result<bool, CallError>| {
        match result {
            Ok(true) => {
                passed += 1;
                console.line(format_args!("test {name} ... ok"));
            }
            Ok(false) => {
                failed += 1;
                console.line(format_args!("test {name} ... FAILED: something is left"));
            }
            Err(error) => {
                failed += 1;
                console.line(format_args!("test {name} ... FAILED: {error}"));
            }
        };
    };
    // A number that is no point is refused with how many there are.
    let points = match Call::new(&servers.process, PlantFailure { point: u64::MAX }).words() {
        Err(CallError::Server(PLANTED, points)) => points,
        _ => 0,
    };
    count(format_args!("create_process_has_failure_points"), Ok(points > 0));
    for point in 0..points {
        count(format_args!("create_process_failing_at_point_{point}_leaves_nothing"), servers.fail_at(&console, point));
    }
    count(format_args!("create_process_succeeds_afterwards"), servers.succeed());
    console.line(format_args!("{passed} passed, {failed} failed"));
    objects::halt(&machine, if failed == 0 { 0 } else { FAILED })
}
