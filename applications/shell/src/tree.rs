//! What runs, as a tree of who started whom.
//!
//! The kernel stands at the root: it looks after the process server, and that after all others. Services come from the boot, so
//! they stand at the process server's side, and processes below whichever process asked for them. What a process was started by
//! is in the graph, so that the tree is the same after a restart of the process server, or of the machine.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use runtime::abi::interfaces::process::Use;

use crate::directory::{self, Process};
use crate::failure::Failure;
use crate::records::Records;
use crate::servers::Servers;
use crate::table::{Side, Table};
use crate::text::{Bytes, Oid};
use crate::top::{self, Line};

/// The server whose children processes are.
const PROCESS_SERVER: &str = "process";

/// Shows the tree.
///
/// # Errors
/// Those of the calls, and of reading the objects.
pub fn show(servers: &Servers, records: &mut Records) -> Result<String, Failure> {
    let known = directory::processes(servers, records)?;
    Ok(table(&top::uses(servers)?, &known).to_string())
}

fn table(running: &[Line], known: &[Process]) -> Table {
    let mut table = Table::new(&[
        ("NAME", Side::Left),
        ("OID", Side::Left),
        ("THREADS", Side::Right),
        ("MEMORY", Side::Right),
        ("HEAP", Side::Right),
        ("UNTYPED", Side::Right),
    ]);
    table.row(["kernel", "-", "-", "-", "-", "-"]);
    let tree = Tree { running, known };
    let (mut services, rest): (Vec<&Line>, Vec<&Line>) = running.iter().partition(|(_, usage)| usage.process == 0);
    // With its branch it comes last.
    services.sort_by_key(|(name, _)| name == PROCESS_SERVER);
    let roots: Vec<&Line> = rest.into_iter().filter(|(_, usage)| tree.parent(usage.process).is_none()).collect();
    for (index, line) in services.iter().enumerate() {
        let children = if line.0 == PROCESS_SERVER { roots.as_slice() } else { &[] };
        tree.branch(&mut table, line, children, "", index + 1 == services.len());
    }
    table
}

struct Tree<'a> {
    running: &'a [Line],
    known: &'a [Process],
}

impl<'a> Tree<'a> {
    /// The process below which one stands: who had it started, if that runs. A process is older than what it starts, so it comes
    /// before it in the graph; another order is an error of whoever wrote the object, and no reason to go in circles.
    fn parent(&self, process: u64) -> Option<u64> {
        let place = self.known.iter().position(|known| known.oid == process)?;
        let starter = self.known.get(place)?.starter?;
        let is_older = self.known.get(..place)?.iter().any(|known| known.oid == starter);
        let runs = self.running.iter().any(|(_, usage)| usage.process == starter);
        (runs && is_older && starter != 0).then_some(starter)
    }

    fn children(&self, process: u64) -> Vec<&'a Line> {
        let is_child = |(_, usage): &&Line| usage.process != 0 && self.parent(usage.process) == Some(process);
        self.running.iter().filter(is_child).collect()
    }

    /// A row, and those below it.
    fn branch(&self, table: &mut Table, line: &Line, children: &[&Line], indent: &str, is_last: bool) {
        let (name, Use { process, threads, memory, heap, untyped, .. }) = line;
        let name = String::from(indent) + if is_last { "`- " } else { "|- " } + name;
        let oid = if *process == 0 { "-".to_string() } else { Oid(*process).to_string() };
        let [memory, heap, untyped] = [memory, heap, untyped].map(|bytes| match bytes {
            0 => "-".to_string(),
            bytes => Bytes(*bytes).to_string(),
        });
        table.row([&name, &oid, &threads.to_string(), &memory, &heap, &untyped]);
        let indent = String::from(indent) + if is_last { "   " } else { "|  " };
        for (index, child) in children.iter().enumerate() {
            self.branch(table, child, &self.children(child.1.process), &indent, index + 1 == children.len());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn line(name: &str, process: u64) -> Line {
        let usage = Use {
            name: "",
            process,
            priority: 16,
            threads: 1,
            ticks: 0,
            heap: 4096,
            memory: 65_536,
            untyped: if process == 0 { 1 << 20 } else { 0 },
            requests: None,
        };
        (name.into(), usage)
    }

    fn known(oid: u64, starter: Option<u64>) -> Process {
        Process { oid, name: "x".into(), state: Some(genesis::State::Running), starter }
    }

    #[test]
    fn processes_stand_below_who_had_them_started() {
        let running = [
            line("process", 0),
            line("memory", 0),
            line("shell", 27),
            line("worker", 30),
            line("helper", 31),
            line("orphan", 32),
        ];
        let known =
            [known(27, None), known(28, Some(27)), known(30, Some(27)), known(31, Some(30)), known(32, Some(28))];
        let expected = "\
NAME                OID                THREADS  MEMORY   HEAP  UNTYPED
kernel              -                        -       -      -        -
|- memory           -                        1  64 KiB  4 KiB    1 MiB
`- process          -                        1  64 KiB  4 KiB    1 MiB
   |- shell         #000000000000001b        1  64 KiB  4 KiB        -
   |  `- worker     #000000000000001e        1  64 KiB  4 KiB        -
   |     `- helper  #000000000000001f        1  64 KiB  4 KiB        -
   `- orphan        #0000000000000020        1  64 KiB  4 KiB        -
";
        assert_eq!(table(&running, &known).to_string(), expected);
    }

    proptest! {
        #[test]
        fn each_cell_stands_there_once(starters in prop::collection::vec(prop::option::of(0u64..12), 0..12)) {
            let mut running = alloc::vec![line("process", 0)];
            running.extend((1..).zip(&starters).map(|(oid, _)| line("x", oid)));
            let known: Vec<Process> = (1..).zip(&starters).map(|(oid, starter)| known(oid, *starter)).collect();
            let text = table(&running, &known).to_string();
            for oid in 1..=starters.len() {
                let times = text.lines().filter(|row| row.contains(&Oid(oid as u64).to_string())).count();
                prop_assert_eq!(times, 1, "{}", text);
            }
        }
    }
}
