//! What the store holds, and what it does with its device and its memory.

use alloc::format;
use alloc::string::String;

use runtime::Call;
use runtime::abi::interfaces::persistence::{GetStatistics, GetStoreStatistics, Statistics, StoreStatistics};

use crate::failure::{Failure, Server};
use crate::servers::Servers;
use crate::text::{Date, Size};

/// Shows it.
///
/// # Errors
/// Those of the calls.
pub fn show(servers: &Servers) -> Result<String, Failure> {
    let endpoint = servers.endpoint(Server::Persistence)?;
    let failed = |error| Failure::Call(Server::Persistence, error);
    let holds = Call::new(endpoint, GetStatistics {}).decode(|_, statistics| statistics).map_err(failed)?;
    let does = Call::new(endpoint, GetStoreStatistics {}).decode(|_, statistics| statistics).map_err(failed)?;
    Ok(text(&holds, &does))
}

/// Whether changes are thrown away at the end; not, as far as is known, where the server does not tell.
pub fn is_demo(servers: &Servers) -> bool {
    let asked = servers.endpoint(Server::Persistence).map(|endpoint| {
        Call::new(endpoint, GetStoreStatistics {}).decode(|_, statistics: StoreStatistics| statistics.demo)
    });
    matches!(asked, Ok(Ok(true)))
}

fn text(holds: &Statistics, does: &StoreStatistics) -> String {
    let Statistics { objects, last, torn, .. } = *holds;
    let StoreStatistics { log, free, capacity, cache, loads: (hits, misses), commits, groups, device, horizon, demo } =
        *does;
    let room = match capacity {
        0 => "in memory; it ends with the server".into(),
        _ => format!("{} of log, {} free of {}", Size(log), Size(free), Size(capacity)),
    };
    let past = if horizon == 0 { "whole".into() } else { format!("whole from TID {horizon} on ({})", time(horizon)) };
    let share = (1000 * hits).checked_div(hits + misses).unwrap_or(0);
    let shared = match groups {
        (0, _) => String::new(),
        (groups, most) => format!("; {groups} flushes were shared, by {most} at the most"),
    };
    let (reads, writes, flushes) = device;
    let mut text = format!(
        "objects  {objects}\n\
         last     TID {last} ({})\n\
         room     {room}\n\
         past     {past}\n\
         cache    {} of {}; {hits} hits, {misses} misses ({}.{} %)\n\
         commits  {commits} since the server began{shared}\n\
         device   {reads} reads, {writes} writes, {flushes} flushes since then\n",
        time(last),
        Size(cache.0),
        Size(cache.1),
        share / 10,
        share % 10,
    );
    if torn > 0 {
        text += &format!("torn     {torn} batches were cut off when it was opened\n");
    }
    if demo {
        text += "demo     changes are in memory, and are thrown away at the end\n";
    }
    text
}

/// The time of a TID, which counts microseconds since 1970.
fn time(tid: u64) -> Date {
    Date(tid.saturating_mul(1000))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOLDS: Statistics = Statistics {
        objects: 57,
        last: 1_795_487_336_634_060,
        used: 0,
        capacity: 256 << 20,
        formatted: false,
        torn: 0,
    };

    #[test]
    fn figures_have_units() {
        let does = StoreStatistics {
            log: 3 << 20,
            free: 252 << 20,
            capacity: 256 << 20,
            cache: (1_500_000, 8 << 20),
            loads: (999, 1),
            commits: 12,
            groups: (2, 3),
            device: (1, 2, 3),
            horizon: 0,
            demo: false,
        };
        let expected = "\
objects  57
last     TID 1795487336634060 (2026-11-24 02:28:56)
room     3.0 MiB of log, 252.0 MiB free of 256.0 MiB
past     whole
cache    1.4 MiB of 8.0 MiB; 999 hits, 1 misses (99.9 %)
commits  12 since the server began; 2 flushes were shared, by 3 at the most
device   1 reads, 2 writes, 3 flushes since then
";
        assert_eq!(text(&HOLDS, &does), expected);
        let empty = StoreStatistics { demo: true, horizon: 5, ..StoreStatistics::default() };
        let said = text(&Statistics { torn: 2, ..HOLDS }, &empty);
        for part in ["in memory", "from TID 5 on", "(0.0 %)", "torn     2", "demo     changes"] {
            assert!(said.contains(part), "{part}: {said}");
        }
    }
}
