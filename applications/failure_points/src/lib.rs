//! Two tests that make the process server fail where no accident would hit it, and look for what is left.
//!
//! * [`creation`]: every point of CreateProcess;
//! * [`strikes`]: every phase of a replacement, with `every-phase` on the kernel's command line.
//!
//! Either prints a line a case and the totals, and stops the machine.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod creation;
mod strikes;

use abi::CallError;
use abi::interfaces::process::{Spawn, Wait};
use abi::slots;
use abi::token::{All, CallOnly, Cap, Endpoint, Machine};
use clients::{Graph, GraphError};
use runtime::{Call, Console, Environment, objects};

/// What is made again and again.
const IMAGE: &[u8] = b"test_proc";
/// Exit code of a test that failed.
const FAILED: u64 = 0x11;
/// The word of the command line that chooses [`strikes`].
const EVERY_PHASE: &str = "every-phase";
/// Bytes of the command line that are looked at.
const LONGEST: usize = 256;

/// Whom the tests ask.
struct Servers {
    graph: Graph,
    memory: Cap<Endpoint, CallOnly>,
    process: Cap<Endpoint, CallOnly>,
}

impl Servers {
    /// Whether a process can be made, runs and ends well.
    fn can_spawn(&self) -> Result<bool, CallError> {
        let process = Call::new(&self.process, Spawn {}).bytes(IMAGE).send()?.value;
        Ok(Call::new(&self.process, Wait { process }).words()? == 0)
    }
}

/// Why a case failed.
#[derive(Debug)]
enum Failure {
    /// A call failed.
    Call(CallError),
    /// The graph cannot be read.
    Graph(GraphError),
    /// Something is not as it should be.
    Wrong(alloc::string::String),
}

impl From<CallError> for Failure {
    fn from(error: CallError) -> Self {
        Failure::Call(error)
    }
}

impl From<GraphError> for Failure {
    fn from(error: GraphError) -> Self {
        Failure::Graph(error)
    }
}

impl core::fmt::Display for Failure {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Failure::Call(error) => write!(f, "{error}"),
            Failure::Graph(error) => write!(f, "{error}"),
            Failure::Wrong(what) => f.write_str(what),
        }
    }
}

type Outcome = Result<(), Failure>;

/// Fails with what was found and what was expected, unless that is the same.
fn equal<T: PartialEq + core::fmt::Debug>(what: &str, found: T, expected: T) -> Outcome {
    if found == expected {
        return Ok(());
    }
    Err(Failure::Wrong(alloc::format!("{what}: {found:?} instead of {expected:?}")))
}

/// Lines and totals.
struct Report {
    console: Console,
    passed: u32,
    failed: u32,
}

impl Report {
    fn count(&mut self, name: core::fmt::Arguments<'_>, outcome: Outcome) {
        match outcome {
            Ok(()) => {
                self.passed += 1;
                self.console.line(format_args!("test {name} ... ok"));
            }
            Err(failure) => {
                self.failed += 1;
                self.console.line(format_args!("test {name} ... FAILED: {failure}"));
            }
        }
    }
}

/// The entry of the cell.
pub fn main(mut environment: Environment) -> u64 {
    let console = Console::new(environment.take(slots::CONSOLE), "test");
    let mut servers = Servers {
        graph: Graph::new(environment.need(slots::PERSISTENCE, "the persistence server"), None),
        memory: environment.need(slots::MEMORY, "the memory server"),
        process: environment.need(slots::PROCESS, "the process server"),
    };
    let machine: Cap<Machine, All> = environment.need(slots::FIRST_GRANTED, "the machine");
    let mut report = Report { console, passed: 0, failed: 0 };
    if is_every_phase(&machine) {
        strikes::run(&mut servers, &mut report);
    } else {
        creation::run(&servers, &mut report);
    }
    report.console.line(format_args!("{} passed, {} failed", report.passed, report.failed));
    objects::halt(&machine, if report.failed == 0 { 0 } else { FAILED })
}

fn is_every_phase(machine: &Cap<Machine, All>) -> bool {
    let mut room = [0; LONGEST];
    let length = objects::command_line(machine, &mut room).unwrap_or(0) as usize;
    let line = room.get(..length.min(LONGEST)).and_then(|line| core::str::from_utf8(line).ok()).unwrap_or("");
    line.split_whitespace().any(|word| word == EVERY_PHASE)
}
