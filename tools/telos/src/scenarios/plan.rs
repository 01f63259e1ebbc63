//! The plan's three lines at the prompt, as they are written there, and what they change.

use crate::fail;
use crate::failure::{Context, Result};
use crate::qemu::{Echo, Machine};
use crate::run::make_state;
use crate::scenarios::session::{catch_up, settle};
use crate::scenarios::workspace::{does, says};
use crate::scenarios::{PATIENCE, Stage};

const SPAWN: &str = "new_proc = Process.clone().spawn(image_obj, cap_list)";
const ALLOCATE: &str = "mem_cap = MMS.allocate(size, type)";
const CHANGE: &str = "MyObject.beginTransaction(); MyObject.state = 'new'; MyObject.commit()";
const SIZE: u64 = 1 << 20;

/// What there is of everything that the lines make.
#[derive(Debug, PartialEq, Eq)]
struct Census {
    /// Bytes that the memory server has free, and its allocations.
    memory: (u64, u64),
    /// The lines of `ps`.
    processes: Vec<String>,
    /// The capabilities of the shell.
    capabilities: usize,
    /// The lines of `cells`, which has every thread's.
    cells: Vec<String>,
    /// The last transaction.
    tid: String,
}

/// Each line does what it says, in one transaction; given up, it leaves nothing; what it made is there after a power cut, but for
/// the memory, whose capability is void then.
pub fn lines(stage: &Stage) -> Result<()> {
    let state = stage.folder.join("state.fs");
    make_state(&state)?;
    let mut machine = Machine::spawn(&stage.boot, Some(&state), Echo::Silent)?;
    settle(&mut machine)?;
    does(&mut machine, "image_obj = images.counter; cap_list = userCapabilities")?;
    does(&mut machine, &format!("size = {SIZE}; type = 'untyped'; mem_cap = nil; new_proc = nil"))?;
    does(&mut machine, "MyObject = object uses Transactional { name = 'MyObject'; state = 'old' }")?;
    are_given_up(&mut machine)?;
    let oid = take_effect(&mut machine)?;
    machine.kill()?;

    let mut machine = Machine::spawn(&stage.boot, Some(&state), Echo::Silent)?;
    machine.expect(" of counter started", PATIENCE)?;
    catch_up(&mut machine)?;
    says(&mut machine, "MyObject.state", "'new'")?;
    says(&mut machine, "MMS.free(mem_cap)", "capVoid: ")?;
    let processes = machine.ask("ps", PATIENCE)?;
    if !processes.lines().any(|row| is_running(row, &oid)) {
        fail!("the process was to run again:\n{processes}");
    }
    does(&mut machine, "new_proc.terminate()")?;
    catch_up(&mut machine)?;
    let processes = machine.ask("ps", PATIENCE)?;
    if processes.lines().any(|row| is_running(row, &oid)) {
        fail!("the process was to have ended:\n{processes}");
    }
    machine.send_line("shutdown")?;
    machine.wait(PATIENCE)?.clean()
}

fn is_running(row: &str, oid: &str) -> bool {
    row.starts_with(&format!("{oid} ")) && row.contains("running")
}

/// All three in one transaction that is given up.
fn are_given_up(machine: &mut Machine) -> Result<()> {
    let before = census(machine)?;
    machine.send_line("MyObject.beginTransaction(); MyObject.state = 'never'; 'begun'")?;
    machine.expect("\n'begun'", PATIENCE)?;
    machine.send_line(&format!("{SPAWN}; 'spawned'"))?;
    machine.expect("\n'spawned'", PATIENCE)?;
    machine.send_line(&format!("{ALLOCATE}; [mem_cap.isVoid, new_proc == nil, MyObject.state]"))?;
    machine.expect("\n[false, false, 'never']", PATIENCE)?;
    does(machine, "MyObject.abort()")?;
    says(machine, "[mem_cap, new_proc, MyObject.state]", "[nil, nil, 'old']")?;
    catch_up(machine)?;
    let after = census(machine)?;
    match before == after {
        true => Ok(()),
        false => fail!("what was given up left something:\n{before:#?}\n{after:#?}"),
    }
}

/// Each in a transaction of its own. Answers the number of the process.
fn take_effect(machine: &mut Machine) -> Result<String> {
    let before = census(machine)?;
    does(machine, SPAWN)?;
    catch_up(machine)?;
    let processes = machine.ask("ps", PATIENCE)?;
    let known = |row: &&str| row.contains("running") && row.ends_with("counter");
    let oid =
        processes.lines().find(known).and_then(|row| row.split_whitespace().next()).unwrap_or_default().to_string();
    if oid.is_empty() {
        fail!("`ps` was to list the process:\n{processes}");
    }
    says(machine, "call counter 1", "1")?;
    let log = machine.ask("txlog 2", PATIENCE)?;
    if !log.contains("new_proc = Process.clone().spawn(image_obj, cap_list)") {
        fail!("`txlog` was to name the line:\n{log}");
    }
    let spawned = census(machine)?;
    if spawned.cells.len() != before.cells.len() + 1 {
        fail!("`cells` was to list one more:\n{:#?}", spawned.cells);
    }
    does(machine, ALLOCATE)?;
    let allocated = census(machine)?;
    if allocated.memory != (spawned.memory.0 - SIZE, spawned.memory.1 + 1) {
        fail!("`mem` was to show {SIZE} bytes less: {:?} and {:?}", spawned.memory, allocated.memory);
    }
    if allocated.capabilities != spawned.capabilities + 1 {
        fail!("`caps` was to show one more: {} and {}", spawned.capabilities, allocated.capabilities);
    }
    does(machine, CHANGE)?;
    let log = machine.ask("txlog 1", PATIENCE)?;
    if !log.contains("MyObject.state = 'new'") {
        fail!("`txlog` was to name the line:\n{log}");
    }
    Ok(oid)
}

fn census(machine: &mut Machine) -> Result<Census> {
    let rows = |text: &str, wanted: &dyn Fn(&str) -> bool| -> Vec<String> {
        text.lines().filter(|row| wanted(row)).map(String::from).collect()
    };
    let memory = machine.ask("mem", PATIENCE)?;
    let figure = |name: &str| -> Result<u64> {
        let row = memory.lines().find(|row| row.trim_start().starts_with(name)).unwrap_or_default();
        let digits = row.split_whitespace().nth(1).unwrap_or_default();
        digits.parse::<u64>().context(format!("no figure {name} in\n{memory}"))
    };
    let memory = (figure("free")?, figure("allocations")?);
    let processes = rows(&machine.ask("ps", PATIENCE)?, &|row| row.starts_with('#'));
    let capabilities = machine.ask("caps shell", PATIENCE)?;
    let is_slot = |row: &str| row.split_whitespace().next().is_some_and(|word| word.parse::<u32>().is_ok());
    let capabilities = rows(&capabilities, &is_slot).len();
    let cells = rows(&machine.ask("cells", PATIENCE)?, &|row| row.contains("running"));
    let log = machine.ask("txlog 1", PATIENCE)?;
    let tid = log.lines().filter_map(|row| row.split_whitespace().nth(2)).find(|word| word.len() == 16);
    Ok(Census { memory, processes, capabilities, cells, tid: tid.unwrap_or_default().into() })
}
