//! `bench`: instructions that kernel operations take, counted in the emulator.
//!
//! Under `-icount shift=0` the time-stamp counter counts executed instructions, so the figures are the same on every machine. The
//! bench cell takes the samples and prints a line a row; this module prints the table beside published figures, and fails where a
//! call takes more than it may.
//!
//! The row `rpc` is a call and its answer through the stubs that every cell uses, three words and one result, with every check in
//! it that `kernel/objects/src/ipc/short.rs` lists: 60 instructions from the client's call to the server's first
//! instruction, 51 from its answer to the client's first instruction, and 36 to 38 of client, server and its loop, and the readings,
//! as the compiler arranges these.

use std::time::Duration;

use crate::bench_disk::{self, Counts};
use crate::cli;
use crate::fail;
use crate::failure::Result;
use crate::project::Project;
use crate::qemu::{Echo, Machine};

/// The most instructions that call and reply may take together.
const RPC_LIMIT: u64 = 155;
/// How long the samples may take.
const PATIENCE: Duration = Duration::from_secs(300);
/// What precedes a row.
const ROW: &str = "bench: row ";

/// What seL4 takes for the same in the same emulator (default configuration), and Linux where it has such a thing.
const PEERS: [(&str, &str, &str); 9] = [
    ("rpc", "498", "10364"),
    ("yield", "279", "-"),
    ("copy", "853", "-"),
    ("mint", "892", "-"),
    ("delete", "753", "-"),
    ("endpoint_retype", "901", "-"),
    ("signal", "409", "-"),
    ("signal_to_waiter", "574", "-"),
    ("thread_create", "8854", "-"),
];

/// A row of the table: instructions.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Row {
    name: String,
    least: u64,
    mode: u64,
    most: u64,
    samples: u64,
}

/// Boots the benchmarks, prints the table, and checks the limit.
///
/// # Errors
/// They do not run, or a call takes more than it may.
pub fn run(project: &Project) -> Result<()> {
    let mut rows = measure(project, KERNEL)?;
    check(&rows)?;
    rows.extend(measure(project, SYSTEM)?);
    print(&rows);
    for together in [1, 8] {
        let Counts { commits, writes, flushes } = bench_disk::count(together)?;
        println!(
            "commit_object on a disk, {together} at a time: {commits} commits, {writes} writes, {flushes} flushes"
        );
    }
    Ok(())
}

/// The limit alone, as one of the tests.
///
/// # Errors
/// As for [`run`].
pub fn gate(project: &Project) -> Result<()> {
    check(&measure(project, KERNEL)?)
}

/// The two sets: operations of the kernel alone, and those of the system, with its store in memory.
const KERNEL: &str = "bench";
const SYSTEM: &str = "bench-system";

fn measure(project: &Project, set: &str) -> Result<Vec<Row>> {
    let boot = cli::build(project, set)?.counting();
    let mut machine = Machine::spawn(&boot, None, Echo::Silent)?;
    let text = machine.expect("bench: done", PATIENCE)?;
    machine.wait(PATIENCE)?.clean()?;
    Ok(text.lines().filter_map(row).collect())
}

/// What most calls take: a timer's interrupt in the middle of one is none of the call's.
fn check(rows: &[Row]) -> Result<()> {
    match rows.iter().find(|row| row.name == "rpc") {
        None => fail!("the benchmarks printed no row for a call"),
        Some(rpc) if rpc.mode > RPC_LIMIT => {
            fail!("a call takes {} instructions, and may take {RPC_LIMIT}", rpc.mode)
        }
        Some(_) => Ok(()),
    }
}

fn row(line: &str) -> Option<Row> {
    let mut words = line.trim().strip_prefix(ROW)?.split_whitespace();
    let name = words.next()?.to_owned();
    let mut number = || words.next()?.parse().ok();
    Some(Row { name, least: number()?, mode: number()?, most: number()?, samples: number()? })
}

fn print(rows: &[Row]) {
    println!(
        "Instructions, QEMU -icount shift=0, one CPU; the two readings of the counter (row empty) are in each figure."
    );
    println!("Privilege crossings and CR3 writes of TelOS: none in any row. seL4: x86_64, default configuration.");
    println!(
        "{:<18}{:>9}{:>9}{:>9}{:>8}{:>8}{:>8}  min",
        "operation", "min", "mode", "max", "samples", "seL4", "Linux"
    );
    for row in rows {
        let Row { name, least, mode, most, samples } = row;
        let (_, sel4, linux) = PEERS.iter().find(|(peer, ..)| peer == name).unwrap_or(&("", "-", "-"));
        println!("{name:<18}{least:>9}{mode:>9}{most:>9}{samples:>8}{sel4:>8}{linux:>8}  {}", row.steadiness());
    }
}

impl Row {
    /// Whether the most frequent count is the least: if not, the operation does not do the same each time, or is so long that the
    /// timer always interrupts it.
    fn steadiness(&self) -> &'static str {
        if self.least == self.mode { "= mode" } else { "< mode" }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_read_and_other_lines_are_not() {
        let read = Row { name: "rpc".into(), least: 150, mode: 151, most: 900, samples: 1024 };
        assert_eq!(row("bench: row rpc 150 151 900 1024\r"), Some(read));
        assert_eq!(row("bench: row rpc 150 many 900 1024"), None);
        assert_eq!(row("bench: done"), None);
    }

    #[test]
    fn a_row_tells_whether_the_least_count_is_the_usual_one() {
        let of = |mode| Row { name: "rpc".into(), least: 150, mode, most: 900, samples: 1024 }.steadiness();
        assert_eq!((of(150), of(151)), ("= mode", "< mode"));
    }

    #[test]
    fn a_call_may_take_so_many_and_no_more() {
        let rows = |mode| [Row { name: "rpc".into(), least: 150, mode, most: 900, samples: 1024 }];
        assert!(check(&rows(RPC_LIMIT)).is_ok());
        assert!(check(&rows(RPC_LIMIT + 1)).is_err());
        assert!(check(&[]).is_err());
    }
}
