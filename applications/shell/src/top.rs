//! What the cells use.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use runtime::Call;
use runtime::abi::interfaces::process::{Top, Use};
use runtime::abi::kernel::BODY_MAX;

use crate::failure::{Failure, Server};
use crate::servers::Servers;
use crate::table::{Side, Table};
use crate::text::{Bytes, Milliseconds};

/// What a cell uses, with a name of its own.
pub type Line = (String, Use<'static>);

/// Lists the cells that run, the one that ran longest first.
///
/// # Errors
/// Those of the calls.
pub fn list(servers: &Servers) -> Result<String, Failure> {
    let mut lines = uses(servers)?;
    lines.sort_by_key(|(_, line)| core::cmp::Reverse(line.ticks));
    Ok(table(&lines).to_string())
}

/// What the cells that run use, each with its name, the services first; in as many replies as it takes.
///
/// # Errors
/// Those of the calls.
pub fn uses(servers: &Servers) -> Result<Vec<Line>, Failure> {
    let endpoint = servers.endpoint(Server::Process)?;
    let mut lines: Vec<Line> = Vec::new();
    let mut room = [0; BODY_MAX];
    loop {
        let before = lines.len();
        let (answered, length) = Call::new(endpoint, Top { from: before as u64 })
            .into_bytes(&mut room)
            .map_err(|error| Failure::Call(Server::Process, error))?;
        let page: Vec<Use<'_>> =
            postcard::from_bytes(room.get(..length).unwrap_or(&[])).map_err(|_| Failure::BadReply(Server::Process))?;
        lines.extend(page.into_iter().map(|line| (line.name.to_string(), Use { name: "", ..line })));
        if lines.len() == before || lines.len() as u64 >= answered.value {
            return Ok(lines);
        }
    }
}

fn table(lines: &[Line]) -> Table {
    let columns = [
        ("NAME", Side::Left),
        ("PRIORITY", Side::Right),
        ("THREADS", Side::Right),
        ("TIME", Side::Right),
        ("HEAP", Side::Right),
        ("PARKED", Side::Right),
        ("HELD", Side::Right),
        ("EPOCH", Side::Right),
    ];
    let mut table = Table::new(&columns);
    for (name, Use { priority, threads, ticks, heap, requests, .. }) in lines {
        let numbers = match requests {
            Some((parked, held, epoch)) => [parked, held, epoch].map(ToString::to_string),
            None => ["-", "-", "-"].map(String::from),
        };
        let [parked, held, epoch] = &numbers;
        let (priority, threads, time) = (priority.to_string(), threads.to_string(), Milliseconds(*ticks).to_string());
        table.row([name, &priority, &threads, &time, &Bytes(*heap).to_string(), parked, held, epoch]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_without_an_endpoint_has_no_requests() {
        let shell = Use {
            name: "",
            process: 27,
            priority: 16,
            threads: 1,
            ticks: 1234,
            heap: 4096,
            memory: 8192,
            untyped: 0,
            requests: None,
        };
        let memory = Use { requests: Some((2, 1, 7)), ..shell.clone() };
        let text = table(&[("shell".into(), shell), ("memory".into(), memory)]).to_string();
        let words: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(words.get(1), Some(&alloc::vec!["shell", "16", "1", "1.234", "4", "KiB", "-", "-", "-"]));
        assert_eq!(words.get(2), Some(&alloc::vec!["memory", "16", "1", "1.234", "4", "KiB", "2", "1", "7"]));
    }
}
