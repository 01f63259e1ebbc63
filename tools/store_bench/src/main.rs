//! The store beside SQLite and redb: one disk, one run, rounds in turn.
//!
//! `cargo run --release -- [DIRECTORY] [OBJECTS]`. Every commit is durable. Each figure is the median of several rounds, in
//! which the stores take turns in another order, and the ratios are medians of the ratios within a round, so that what else
//! the machine does falls on all of them. The raw disk is an overwrite of as many bytes as the store writes, and a flush.

mod device;
mod load;
mod rival;
mod table;
mod whole;

use std::path::PathBuf;
use std::sync::LazyLock;

use device::FileDevice;
use load::measured;
use rival::all;
use table::Table;

/// Rounds of each measurement.
const ROUNDS: usize = 5;
/// Bytes of a payload.
pub const PAYLOAD: usize = 100;
/// Objects in the stores that commits are measured on.
const SMALL: u64 = 20_000;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let directory = arguments.next().map_or_else(std::env::temp_dir, PathBuf::from).join("store_bench");
    let objects = arguments.next().and_then(|count| count.parse().ok()).unwrap_or(1_000_000);
    let _ = std::fs::remove_dir_all(&directory);
    std::fs::create_dir_all(&directory).expect("the directory can be made");
    payload(0);
    let mut table = Table::default();
    println!("{}", load::told());
    commits(&directory, &mut table);
    inserts_and_loads(&directory, objects, &mut table);
    whole::measure(&directory, objects, &mut table);
    print!("{table}");
    println!("\n{}", load::told());
    let _ = std::fs::remove_dir_all(&directory);
}

/// Bytes that do not compress. They are made beforehand, so that no figure has the making of them in it.
static BYTES: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    let mut bytes = Vec::new();
    while bytes.len() < (1 << 20) + PAYLOAD {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes
});

/// Payloads, each another.
pub fn payload(seed: u64) -> &'static [u8] {
    let start = scattered(seed, 1 << 20) as usize;
    &BYTES[start..start + PAYLOAD]
}

/// Numbers below `bound`, evenly.
pub fn scattered(seed: u64, bound: u64) -> u64 {
    let mut mixed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (mixed ^ (mixed >> 31)) % bound
}

fn commits(directory: &std::path::Path, table: &mut Table) {
    let mut raw = FileDevice::create(&directory.join("raw"), 64 << 20);
    let mut rivals = all(directory, "small", SMALL);
    for rival in &mut rivals {
        for first in (0..SMALL).step_by(1_000) {
            rival.insert(first, 1_000);
        }
    }
    let mut seed = 0;
    for round in 0..ROUNDS {
        // A commit of one object takes one sector and clears the next.
        table.add("commits of 1 object", "raw disk", measured(200, || raw.overwrite(200, 1_024)));
        table.add("commits of 100 objects", "raw disk", measured(100, || raw.overwrite(100, 13_312)));
        for turn in 0..rivals.len() {
            let rival = &mut rivals[(turn + round) % 3];
            let mut change = |count: u64, size: usize| {
                for _ in 0..count {
                    seed += 1;
                    let mut oids: Vec<u64> = (0..size as u64).map(|n| scattered(seed << 8 | n, SMALL)).collect();
                    oids.sort_unstable();
                    oids.dedup();
                    rival.update(&oids);
                }
            };
            let one = measured(200, || change(200, 1));
            let hundred = measured(100, || change(100, 100));
            table.add("commits of 1 object", rival.name(), one);
            table.add("commits of 100 objects", rival.name(), hundred);
            let clients: Vec<Vec<u64>> =
                (0..50).map(|turn| (0..8).map(|n| scattered(seed * 7 + turn, SMALL / 8) * 8 + n).collect()).collect();
            let eight = measured(400, || clients.iter().for_each(|oids| rival.update_together(oids)));
            table.add("commits of 1 object, 8 clients", rival.name(), eight);
        }
    }
}

fn inserts_and_loads(directory: &std::path::Path, objects: u64, table: &mut Table) {
    const INSERTS: u64 = 100_000;
    for round in 0..3 {
        let mut rivals = all(directory, &format!("inserts{round}"), INSERTS);
        for turn in 0..rivals.len() {
            let rival = &mut rivals[(turn + round) % 3];
            let inserted =
                measured(INSERTS, || (0..INSERTS).step_by(1_000).for_each(|first| rival.insert(first, 1_000)));
            table.add("inserted objects, 1000 a commit", rival.name(), inserted);
        }
    }
    let mut rivals = all(directory, "large", objects);
    for rival in &mut rivals {
        (0..objects).step_by(1_000).for_each(|first| rival.insert(first, 1_000));
        rival.settle();
    }
    for round in 0..ROUNDS {
        for turn in 0..rivals.len() {
            let rival = &mut rivals[(turn + round) % 3];
            let mut loaded = 0;
            let loads = measured(100_000, || {
                loaded = (0..100_000).map(|n| rival.load(scattered(n + round as u64 * 1_000_003, objects))).sum();
            });
            assert_eq!(loaded, 100_000 * PAYLOAD);
            if round > 0 {
                table.add("hot loads", rival.name(), loads);
            }
        }
    }
}
