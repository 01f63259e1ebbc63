//! The processes, and the cells that they run.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use runtime::Call;
use runtime::abi::interfaces::process::{List, ProcessSummary, Spawn, State, Wait};
use runtime::abi::kernel::BODY_MAX;

use crate::command::Until;
use crate::failure::{Failure, Server};
use crate::servers::Servers;
use crate::text::{Oid, Plain, column};

/// What a list shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Table {
    /// What runs.
    Processes,
    /// What it runs.
    Cells,
}

/// Lists the processes, in as many replies as it takes.
///
/// # Errors
/// Those of the calls.
pub fn list(servers: &Servers, table: Table) -> Result<String, Failure> {
    let endpoint = servers.endpoint(Server::Process)?;
    let mut text = heading(table);
    let mut room = [0; BODY_MAX];
    let mut from = 0;
    loop {
        let (answered, length) = Call::new(endpoint, List { from })
            .into_bytes(&mut room)
            .map_err(|error| Failure::Call(Server::Process, error))?;
        let body = room.get(..length).unwrap_or(&[]);
        let shown = append(&mut text, table, body)?;
        from += shown;
        if shown == 0 || from >= answered.value {
            return Ok(text);
        }
    }
}

/// Starts a process.
///
/// # Errors
/// Those of the calls.
pub fn spawn(servers: &Servers, image: &str, until: Until) -> Result<String, Failure> {
    let endpoint = servers.endpoint(Server::Process)?;
    let failed = |error| Failure::Call(Server::Process, error);
    let started = Call::new(endpoint, Spawn {}).bytes(image.as_bytes()).send().map_err(failed)?;
    let process = started.value;
    let name = Plain(image);
    if until == Until::Started {
        return Ok(format!("started {name} as {}\n", Oid(process)));
    }
    // Said at once: the process may run for long.
    let line = format!("started {name} as {}\n", Oid(process));
    servers.console.write(line.as_bytes());
    let status = Call::new(endpoint, Wait { process }).words().map_err(failed)?;
    Ok(format!("{name} ended with status {status}\n"))
}

fn heading(table: Table) -> String {
    match table {
        Table::Processes => row(&[("OID", 20), ("STATE", 14), ("VERSION", 10), ("NAME", 0)]),
        Table::Cells => row(&[("NAME", 18), ("VERSION", 10), ("HASH", 18), ("TEXT", 36), ("STATE", 0)]),
    }
}

/// Appends the processes of one reply; answers how many.
fn append(text: &mut String, table: Table, body: &[u8]) -> Result<u64, Failure> {
    let processes: Vec<ProcessSummary<'_>> =
        postcard::from_bytes(body).map_err(|_| Failure::BadReply(Server::Process))?;
    for process in &processes {
        *text += &line(table, process);
    }
    Ok(processes.len() as u64)
}

fn line(table: Table, process: &ProcessSummary<'_>) -> String {
    let state = match process.state {
        State::Running => "running".to_string(),
        State::Exited(status) => format!("exited {status}"),
        State::Failed => "failed".to_string(),
    };
    match table {
        Table::Processes => {
            let oid = Oid(process.oid).to_string();
            row(&[(&oid, 20), (&state, 14), (process.version, 10), (process.name, 0)])
        }
        Table::Cells => {
            let hash = format!("{:016x}", process.hash);
            let range = format!("{:016x}-{:016x}", process.text, process.text_end);
            row(&[(process.name, 18), (process.version, 10), (&hash, 18), (&range, 36), (&state, 0)])
        }
    }
}

/// One line of columns, each with a space behind it at least.
fn row(columns: &[(&str, usize)]) -> String {
    let columns: Vec<String> = columns.iter().map(|(text, width)| column(text, width.saturating_sub(1))).collect();
    let mut line = columns.join(" ");
    line.truncate(line.trim_end().len());
    line.push('\n');
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn body(processes: &[ProcessSummary<'_>]) -> Vec<u8> {
        postcard::to_allocvec(processes).expect("it is encodable")
    }

    fn summary(name: &str, state: State) -> ProcessSummary<'_> {
        ProcessSummary {
            oid: 0x2a,
            name,
            version: "0.1.0",
            hash: 0xfeed,
            text: 0xffff_ffff_8100_0000,
            text_end: 0xffff_ffff_8100_4000,
            state,
        }
    }

    #[test]
    fn a_process_is_a_line() {
        let mut text = heading(Table::Processes);
        let given = [summary("shell", State::Running), summary("test_proc", State::Exited(3))];
        assert_eq!(append(&mut text, Table::Processes, &body(&given)), Ok(2));
        let expected = "\
OID                 STATE         VERSION   NAME
0x000000000000002a  running       0.1.0     shell
0x000000000000002a  exited 3      0.1.0     test_proc
";
        assert_eq!(text, expected);
    }

    #[test]
    fn a_cell_is_a_line() {
        let mut text = heading(Table::Cells);
        let given = [summary("a_name_that_is_too_long", State::Failed)];
        assert_eq!(append(&mut text, Table::Cells, &body(&given)), Ok(1));
        let expected = "\
NAME              VERSION   HASH              TEXT                                STATE
a_name_that_is_too_long 0.1.0     000000000000feed  ffffffff81000000-ffffffff81004000   failed
";
        assert_eq!(text, expected);
    }

    proptest! {
        #[test]
        fn any_reply_is_shown_or_refused(name in "(?s).{0,30}", version in "(?s).{0,30}", cut: prop::sample::Index) {
            let state = State::Exited(7);
            let summary = ProcessSummary { version: &version, ..summary(&name, state) };
            let bytes = body(&[summary]);
            for length in [bytes.len(), cut.index(bytes.len())] {
                let mut text = String::new();
                let appended = append(&mut text, Table::Cells, &bytes[..length]);
                prop_assert_eq!(appended.is_ok(), length == bytes.len());
                prop_assert!(!text.replace('\n', "").contains(char::is_control));
                prop_assert_eq!(text.lines().count(), usize::from(appended.is_ok()));
            }
        }

        #[test]
        fn noise_is_refused_or_shown(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let _ = append(&mut String::new(), Table::Processes, &bytes);
        }
    }
}
