//! The processes, and the cells that are loaded.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use runtime::Call;
use runtime::abi::interfaces::process::{
    BAD_IMAGE, CellSummary, Cells, Kill, List, NO_SUCH_PROCESS, ProcessSummary, Spawn, State, Terminate, Wait,
};
use runtime::abi::kernel::BODY_MAX;
use runtime::abi::{CallError, KernelError};

use crate::command::{Target, Until};
use crate::directory::{self, Process};
use crate::failure::{Failure, Server};
use crate::nearest::nearest;
use crate::records::Records;
use crate::servers::Servers;
use crate::table::{Side, Table};
use crate::text::{Oid, Plain};

/// What Wait answers for a process that failed.
const FAILED: u64 = u64::MAX;

/// Lists the processes of the graph, with what the process server knows of those of this boot.
///
/// # Errors
/// Those of the calls, and of reading the objects.
pub fn list(servers: &Servers, records: &mut Records) -> Result<String, Failure> {
    let known = directory::processes(servers, records)?;
    let endpoint = servers.endpoint(Server::Process)?;
    let mut live = Vec::new();
    let mut room = [0; BODY_MAX];
    loop {
        let (answered, length) =
            Call::new(endpoint, List { from: live.len() as u64 }).into_bytes(&mut room).map_err(failed)?;
        let page = live_page(room.get(..length).unwrap_or(&[]))?;
        let is_last = page.is_empty();
        live.extend(page);
        if is_last || live.len() as u64 >= answered.value {
            return Ok(process_table(&known, &live).to_string());
        }
    }
}

/// Lists the processes as the graph has them, and nothing else.
///
/// # Errors
/// Those of reading the objects.
pub fn list_past(servers: &Servers, records: &mut Records) -> Result<String, Failure> {
    let known = directory::processes(servers, records)?;
    let mut table = Table::new(&[("OID", Side::Left), ("STATE", Side::Left), ("NAME", Side::Left)]);
    for process in known {
        let said = match process.state {
            Some(genesis::State::Running) => state(State::Running),
            other => earlier(other),
        };
        table.row([&Oid(process.oid).to_string(), &said, &process.name]);
    }
    Ok(table.to_string())
}

/// Lists the cells of this boot, in as many replies as it takes.
///
/// # Errors
/// Those of the calls.
pub fn cells(servers: &Servers) -> Result<String, Failure> {
    let endpoint = servers.endpoint(Server::Process)?;
    let mut table = cell_table();
    let mut room = [0; BODY_MAX];
    loop {
        let before = table.len();
        let (answered, length) =
            Call::new(endpoint, Cells { from: before as u64 }).into_bytes(&mut room).map_err(failed)?;
        append_cells(&mut table, room.get(..length).unwrap_or(&[]))?;
        if table.len() == before || table.len() as u64 >= answered.value {
            return Ok(table.to_string());
        }
    }
}

/// Ends a process, or stops a service.
///
/// # Errors
/// Those of the calls; `NoProcess`, `Ambiguous`.
pub fn kill(servers: &Servers, records: &mut Records, target: &Target) -> Result<String, Failure> {
    let endpoint = servers.endpoint(Server::Process)?;
    let name = match find(servers, records, target)? {
        Found::Process(process) => return terminate(servers, process),
        Found::Service(name) => name,
    };
    match Call::new(endpoint, Kill {}).bytes(name.as_bytes()).send() {
        Ok(_) => Ok(format!("{} stopped; it begins again\n", Plain(name))),
        // It was the process server itself, which cannot answer.
        Err(CallError::Kernel(KernelError::ServerDied, _)) => Ok(format!("{} stopped; it begins again\n", Plain(name))),
        Err(error) => Err(refused(error, servers, records, target)),
    }
}

/// What a user means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found<'t> {
    /// The process of this object.
    Process(u64),
    /// The service of this name, if there is one.
    Service(&'t str),
}

/// Finds what a user means: a process that runs comes before a service of the same name.
///
/// # Errors
/// Those of reading the objects; `Ambiguous`.
pub fn find<'t>(servers: &Servers, records: &mut Records, target: &'t Target) -> Result<Found<'t>, Failure> {
    let name = match target {
        Target::Object(process) => return Ok(Found::Process(*process)),
        Target::Named(name) => name,
    };
    match directory::running(servers, records, name)? {
        Some(process) => Ok(Found::Process(process)),
        None => Ok(Found::Service(name)),
    }
}

/// Why the process server refuses what was asked about a process or service.
pub fn refused(error: CallError, servers: &Servers, records: &mut Records, target: &Target) -> Failure {
    match (error, target) {
        (CallError::Server(NO_SUCH_PROCESS, _), Target::Named(name)) => {
            let names = killable(servers, records).unwrap_or_default();
            let meant = nearest(name, names.iter().map(String::as_str)).map(String::from);
            Failure::NoProcess { name: name.clone(), meant }
        }
        (error, _) => failed(error),
    }
}

fn terminate(servers: &Servers, process: u64) -> Result<String, Failure> {
    Call::new(servers.endpoint(Server::Process)?, Terminate { process }).send().map_err(failed)?;
    Ok(format!("process {} ended\n", Oid(process)))
}

/// The names of what can be killed.
///
/// # Errors
/// Those of the calls.
pub fn killable(servers: &Servers, records: &mut Records) -> Result<Vec<String>, Failure> {
    let processes = directory::processes(servers, records)?;
    let running = processes.into_iter().filter(|process| process.state == Some(genesis::State::Running));
    let mut names: Vec<String> = running.map(|process| process.name).collect();
    names.extend(cell_names(servers)?);
    names.sort();
    names.dedup();
    Ok(names)
}

/// The names of the cells that run, in as many replies as it takes.
///
/// # Errors
/// Those of the calls.
pub fn cell_names(servers: &Servers) -> Result<Vec<String>, Failure> {
    let endpoint = servers.endpoint(Server::Process)?;
    let (mut names, mut seen) = (Vec::new(), 0);
    let mut room = [0; BODY_MAX];
    loop {
        let (answered, length) = Call::new(endpoint, Cells { from: seen }).into_bytes(&mut room).map_err(failed)?;
        let cells: Vec<CellSummary<'_>> =
            postcard::from_bytes(room.get(..length).unwrap_or(&[])).map_err(|_| Failure::BadReply(Server::Process))?;
        seen += cells.len() as u64;
        names.extend(cells.iter().filter(|cell| cell.state == State::Running).map(|cell| cell.name.to_string()));
        if cells.is_empty() || seen >= answered.value {
            return Ok(names);
        }
    }
}

/// Starts a process.
///
/// # Errors
/// Those of the calls; `NoImage`.
pub fn spawn(servers: &Servers, records: &mut Records, image: &str, until: Until) -> Result<String, Failure> {
    let endpoint = servers.endpoint(Server::Process)?;
    let started = match Call::new(endpoint, Spawn {}).bytes(image.as_bytes()).send() {
        Ok(started) => started,
        Err(CallError::Server(BAD_IMAGE, _)) => {
            let names = directory::images(servers, records).unwrap_or_default();
            let meant = nearest(image, names.iter().map(String::as_str)).map(String::from);
            return Err(Failure::NoImage { name: image.into(), meant });
        }
        Err(error) => return Err(failed(error)),
    };
    let process = started.value;
    let name = Plain(image);
    let line = format!("started {name} as {}\n", Oid(process));
    if until == Until::Started {
        return Ok(line);
    }
    // Said at once: the process may run for long.
    servers.console.write(line.as_bytes());
    match Call::new(endpoint, Wait { process }).words().map_err(failed)? {
        FAILED => Ok(format!("{name} failed; the log above says why\n")),
        status => Ok(format!("{name} ended with status {status}\n")),
    }
}

fn failed(error: CallError) -> Failure {
    Failure::Call(Server::Process, error)
}

/// What the process server knows of a process of this boot.
struct Live {
    oid: u64,
    version: String,
    state: State,
}

fn live_page(body: &[u8]) -> Result<Vec<Live>, Failure> {
    let page: Vec<ProcessSummary<'_>> = postcard::from_bytes(body).map_err(|_| Failure::BadReply(Server::Process))?;
    let live =
        |summary: ProcessSummary<'_>| Live { oid: summary.oid, version: summary.version.into(), state: summary.state };
    Ok(page.into_iter().map(live).collect())
}

fn process_table(known: &[Process], live: &[Live]) -> Table {
    let columns = [("OID", Side::Left), ("STATE", Side::Left), ("VERSION", Side::Left), ("NAME", Side::Left)];
    let mut table = Table::new(&columns);
    for process in known {
        let live = live.iter().find(|live| live.oid == process.oid);
        let (state, version) = match live {
            Some(live) => (state(live.state), live.version.as_str()),
            None => (earlier(process.state), "-"),
        };
        table.row([&Oid(process.oid).to_string(), &state, version, &process.name]);
    }
    table
}

fn state(state: State) -> String {
    match state {
        State::Running => "running".to_string(),
        State::Exited(status) => format!("exited {status}"),
        State::Failed => "failed".to_string(),
    }
}

/// What a process object says of which the process server knows nothing.
fn earlier(said: Option<genesis::State>) -> String {
    match said {
        Some(genesis::State::Running) => "not started".to_string(),
        Some(genesis::State::Exited(status)) => state(State::Exited(status)),
        Some(genesis::State::Failed) => state(State::Failed),
        None => "?".to_string(),
    }
}

fn cell_table() -> Table {
    Table::new(&[
        ("NAME", Side::Left),
        ("VERSION", Side::Left),
        ("HASH", Side::Left),
        ("TEXT", Side::Left),
        ("STATE", Side::Left),
    ])
}

/// Appends the cells of one reply.
fn append_cells(table: &mut Table, body: &[u8]) -> Result<(), Failure> {
    let cells: Vec<CellSummary<'_>> = postcard::from_bytes(body).map_err(|_| Failure::BadReply(Server::Process))?;
    for cell in &cells {
        let hash = format!("{:016x}", cell.hash);
        let range = match cell.text == cell.text_end {
            true => "-".to_string(),
            false => format!("{:016x}-{:016x}", cell.text, cell.text_end),
        };
        table.row([cell.name, cell.version, &hash, &range, &state(cell.state)]);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn cell(name: &str, state: State) -> CellSummary<'_> {
        let text = 0xffff_ffff_8100_0000;
        let text_end = if state == State::Running { text + 0x4000 } else { text };
        CellSummary { name, version: "0.1.0", hash: 0xfeed, text, text_end, state }
    }

    fn body(cells: &[CellSummary<'_>]) -> Vec<u8> {
        postcard::to_allocvec(cells).expect("it is encodable")
    }

    fn known(oid: u64, name: &str, state: Option<genesis::State>) -> Process {
        Process { oid, name: name.into(), state, starter: None }
    }

    #[test]
    fn processes_of_earlier_boots_stand_beside_those_of_this_one() {
        use genesis::State::{Exited, Failed, Running};
        let known = [
            known(9, "test_proc", Some(Exited(3))),
            known(10, "bench", Some(Failed)),
            known(11, "lost", Some(Running)),
            // The graph is a moment older than what the server says.
            known(12, "test_proc", Some(Running)),
            known(13, "shell", Some(Running)),
            known(14, "x", None),
        ];
        let summary =
            |oid, state| ProcessSummary { oid, name: "n", version: "0.1.0", hash: 0, text: 0, text_end: 0, state };
        let page = postcard::to_allocvec(&[summary(12, State::Exited(0)), summary(13, State::Running)].as_slice());
        let live = live_page(&page.expect("it is encodable")).expect("well-formed");
        let expected = "\
OID                STATE        VERSION  NAME
#0000000000000009  exited 3     -        test_proc
#000000000000000a  failed       -        bench
#000000000000000b  not started  -        lost
#000000000000000c  exited 0     0.1.0    test_proc
#000000000000000d  running      0.1.0    shell
#000000000000000e  ?            -        x
";
        assert_eq!(process_table(&known, &live).to_string(), expected);
    }

    #[test]
    fn a_cell_is_a_line_and_has_addresses_while_it_is_loaded() {
        let mut table = cell_table();
        let given = [cell("a_name_that_is_long", State::Running), cell("gone", State::Failed)];
        append_cells(&mut table, &body(&given)).expect("well-formed");
        let expected = "\
NAME                 VERSION  HASH              TEXT                               STATE
a_name_that_is_long  0.1.0    000000000000feed  ffffffff81000000-ffffffff81004000  running
gone                 0.1.0    000000000000feed  -                                  failed
";
        assert_eq!(table.to_string(), expected);
    }

    proptest! {
        #[test]
        fn any_reply_is_shown_or_refused(name in "(?s).{0,30}", cut: prop::sample::Index) {
            let bytes = body(&[cell(&name, State::Exited(7))]);
            for length in [bytes.len(), cut.index(bytes.len())] {
                let mut table = cell_table();
                let appended = append_cells(&mut table, &bytes[..length]);
                prop_assert_eq!(appended.is_ok(), length == bytes.len());
                prop_assert_eq!(table.len(), usize::from(appended.is_ok()));
                prop_assert!(!table.to_string().replace('\n', "").contains(char::is_control));
            }
        }

        #[test]
        fn noise_is_refused_or_shown(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let _ = append_cells(&mut cell_table(), &bytes);
            let _ = live_page(&bytes);
        }
    }
}
