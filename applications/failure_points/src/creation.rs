//! A failure at every point of CreateProcess, one after another.
//!
//! After each, the memory server must have what it had before (free bytes, largest block and allocations, so frames, threads
//! and CNodes are gone), the graph must have as many objects, and the process server as many processes. Then a process is
//! made without a planted failure, and runs.

use abi::CallError;
use abi::interfaces::memory::{self, GetStatistics as MemoryStatistics};
use abi::interfaces::persistence::{self, GetStatistics as StoreStatistics};
use abi::interfaces::process::{List, PLANTED, PlantFailure, Spawn};
use runtime::Call;

use crate::{IMAGE, Outcome, Report, Servers, equal};

/// Everything that a failed CreateProcess must leave as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Before {
    memory: memory::Statistics,
    objects: u64,
    last: u64,
    processes: u64,
}

/// All points.
pub fn run(servers: &Servers, report: &mut Report) {
    // A number that is no point is refused with how many there are.
    let points = match Call::new(&servers.process, PlantFailure { point: u64::MAX }).words() {
        Err(CallError::Server(PLANTED, points)) => points,
        _ => 0,
    };
    report.count(format_args!("create_process_has_failure_points"), equal("there are some", points > 0, true));
    for point in 0..points {
        report.count(format_args!("create_process_failing_at_point_{point}_leaves_nothing"), fail_at(servers, point));
    }
    let spawned = servers.can_spawn().map_err(Into::into).and_then(|can| equal("a process runs", can, true));
    report.count(format_args!("create_process_succeeds_afterwards"), spawned);
}

fn observe(servers: &Servers) -> Result<Before, CallError> {
    let memory = Call::new(&servers.memory, MemoryStatistics {}).decode(|_, body| body)?;
    let store: persistence::Statistics =
        Call::new(servers.graph.endpoint(), StoreStatistics {}).decode(|_, body| body)?;
    let mut room = [0; abi::kernel::BODY_MAX];
    let (listed, _) = Call::new(&servers.process, List { from: 0 }).into_bytes(&mut room)?;
    Ok(Before { memory, objects: store.objects, last: store.last, processes: listed.value })
}

fn fail_at(servers: &Servers, point: u64) -> Outcome {
    let before = observe(servers)?;
    Call::new(&servers.process, PlantFailure { point }).words()?;
    let planted = match Call::new(&servers.process, Spawn {}).bytes(IMAGE).send() {
        Err(CallError::Server(PLANTED, at)) => at == point,
        Err(error) => return Err(error.into()),
        Ok(_) => false,
    };
    equal("it failed there", planted, true)?;
    equal("what there is", observe(servers)?, before)
}
