//! Failures of cells, as the graph keeps them.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use genesis::Fault;

use crate::command::Detail;
use crate::directory;
use crate::failure::Failure;
use crate::records::Records;
use crate::servers::Servers;
use crate::table::{Side, Table};
use crate::text::{Badge, Date, Oid, Plain};

/// The names of what a report has in `registers`, in order.
const REGISTERS: [&str; 17] = [
    "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "rsp", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15",
    "rflags",
];
/// Registers a line.
const COLUMNS: usize = 4;

/// Lists so many failures, the newest first.
///
/// # Errors
/// Those of reading the objects.
pub fn list(servers: &Servers, records: &mut Records, count: u64, detail: Detail) -> Result<String, Failure> {
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    let faults = directory::faults(servers, records, count)?;
    Ok(match (faults.is_empty(), detail) {
        (true, _) => "no cell has failed\n".to_string(),
        (false, Detail::Line) => table(&faults).to_string(),
        (false, Detail::All) => faults.iter().map(whole).collect::<Vec<_>>().join("\n"),
    })
}

fn table(faults: &[Fault]) -> Table {
    let columns = ["TIME (UTC)", "CELL", "CAUSE", "AT", "IT"].map(|name| (name, Side::Left));
    let mut table = Table::new(&columns);
    for fault in faults {
        let time = Date(fault.time).to_string();
        let at = fault.trace.first().map_or("-", String::as_str);
        table.row([&time, &fault.cell, &fault.cause, at, &fault.consequence]);
    }
    table
}

fn whole(fault: &Fault) -> String {
    let Fault { cell, version, hash, process, time, cause, trace, registers, request, consequence } = fault;
    let of = process.map_or_else(String::new, |process| format!(", process {}", Oid(process.number())));
    let mut text = format!("{} {} {} ({hash:016x}){of}\n", Date(*time), Plain(cell), Plain(version));
    text += &format!("  cause    {}\n  it       {}\n", Plain(cause), Plain(consequence));
    if let Some([label, badge, thread]) = request {
        text += &format!("  serving  label {label}, badge {}, thread {thread}\n", Badge(*badge));
    }
    for (index, place) in trace.iter().enumerate() {
        text += &format!("  {}  {}\n", if index == 0 { "at     " } else { "from   " }, Plain(place));
    }
    let named: Vec<_> = REGISTERS.iter().zip(registers).collect();
    for line in named.chunks(COLUMNS) {
        let line: Vec<_> = line.iter().map(|(name, value)| format!("{name:>6} {value:016x}")).collect();
        text += &format!("  {}\n", line.join("  "));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault() -> Fault {
        Fault {
            cell: "memory".into(),
            version: "0.1.0".into(),
            hash: 0xab,
            process: None,
            time: 1_795_487_336_000_000_000,
            cause: "page fault: read of 0x10".into(),
            trace: ["memory::a+0x10", "memory::main+0x2"].map(String::from).to_vec(),
            registers: (0..17).collect(),
            request: Some([3, 0x1b, 12]),
            consequence: "begins again".into(),
        }
    }

    #[test]
    fn a_failure_is_a_line() {
        let expected = "\
TIME (UTC)           CELL    CAUSE                     AT              IT
2026-11-24 02:28:56  memory  page fault: read of 0x10  memory::a+0x10  begins again
";
        assert_eq!(table(&[fault()]).to_string(), expected);
    }

    #[test]
    fn a_failure_is_shown_whole() {
        let text = whole(&fault());
        assert!(
            text.starts_with("2026-11-24 02:28:56 memory 0.1.0 (00000000000000ab)\n  cause    page fault"),
            "{text}"
        );
        assert!(text.contains("  serving  label 3, badge 27, thread 12\n  at       memory::a+0x10\n"), "{text}");
        assert!(text.contains("\n  from     memory::main+0x2\n     rax 0000000000000000"), "{text}");
        assert!(text.ends_with("rflags 0000000000000010\n"), "{text}");
        let short = Fault { registers: vec![], request: None, trace: vec![], ..fault() };
        assert_eq!(whole(&short).lines().count(), 3);
    }

    #[test]
    fn foreign_text_does_not_control_the_terminal() {
        let fault = Fault { cause: "\x1b[2J".into(), cell: "\x1b".into(), trace: vec!["\x1b".into()], ..fault() };
        for text in [table(core::slice::from_ref(&fault)).to_string(), whole(&fault)] {
            assert!(!text.replace('\n', "").contains(char::is_control), "{text:?}");
        }
    }
}
