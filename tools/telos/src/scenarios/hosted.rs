//! Objects of the graph that serve others: made at the prompt, hosted, called, changed while they serve.

use crate::fail;
use crate::failure::Result;
use crate::qemu::{Echo, Machine};
use crate::run::make_state;
use crate::scenarios::session::settle;
use crate::scenarios::workspace::{does, says};
use crate::scenarios::{PATIENCE, Stage};

/// What the object serves, one slot a line as it is typed.
const ADDER: &str = "adder = object of Server uses Callable { name = 'adder'; total = 0; \
     interface = ['1': 'Add(amount: u64) -> u64', '2': 'Total() -> u64', '3': 'Refuse() -> u64', '4': 'Forever() -> u64', \
     '5': 'Lost() -> u64', '6': 'Words() -> u64']; \
     method add(amount) { self.total = self.total + amount; self.total }; method refuse { self.add(100); self.raise(7) }; \
     method forever { self.add(100); while true { } }; method words { self.add(100); 'no number' } }";

/// An object is hosted; each failure has a code and leaves the object as it was; a method is edited and a label added while it
/// serves; a call within a transaction is part of that; the process server begins again, the power is cut, and it serves.
pub fn objects(stage: &Stage) -> Result<()> {
    let state = stage.folder.join("state.fs");
    make_state(&state)?;
    let mut machine = Machine::spawn(&stage.boot, Some(&state), Echo::Silent)?;
    settle(&mut machine)?;
    does(&mut machine, ADDER)?;
    machine.send_line("adder.spawn(images.objects, userCapabilities); 'spawned'")?;
    machine.expect("'spawned'", PATIENCE)?;
    machine.send_line("")?;
    call(&mut machine, "1 5", "5")?;
    call(&mut machine, "1 6", "11")?;
    failures(&mut machine)?;
    call(&mut machine, "2", "11")?;
    changes(&mut machine)?;
    transactions(&mut machine)?;
    machine.send_line("kill process")?;
    machine.expect("process stopped; it begins again", PATIENCE)?;
    machine.expect_prompt(PATIENCE)?;
    call(&mut machine, "2", "18")?;
    machine.kill()?;

    let mut machine = Machine::spawn(&stage.boot, Some(&state), Echo::Silent)?;
    machine.expect("objects: serves 7 labels of object #", PATIENCE)?;
    machine.send_line("")?;
    machine.expect_prompt(PATIENCE)?;
    call(&mut machine, "1 1", "20")?;
    call(&mut machine, "7", "40")?;
    ends(&mut machine)?;
    machine.send_line("shutdown")?;
    machine.wait(PATIENCE)?.clean()
}

/// Calls a label of the object, with words.
fn call(machine: &mut Machine, label: &str, expected: &str) -> Result<()> {
    machine.send_line(&format!("call adder {label}"))?;
    machine.expect(&format!("call adder {label}"), PATIENCE)?;
    // Rows of the log may stand before and behind it, never within it.
    machine.expect(&format!("\n{expected}"), PATIENCE)?;
    let rest = machine.expect_prompt(PATIENCE)?;
    if rest.starts_with(|next: char| next.is_ascii_digit()) {
        fail!("`call adder {label}` was to print {expected}, and printed more:\n{expected}{rest}");
    }
    Ok(())
}

/// Its own code, fuel, a method that is not there, an answer of another form, words that are not declared, no such label.
fn failures(machine: &mut Machine) -> Result<()> {
    for (typed, code) in
        [("3", "7"), ("4", "2147483652"), ("5", "2147483650"), ("6", "2147483654"), ("2 1", "2147483649")]
    {
        machine.send_line(&format!("call adder {typed}"))?;
        machine.expect(&format!("code {code}"), PATIENCE)?;
        machine.expect_prompt(PATIENCE)?;
    }
    machine.send_line("call adder 9")?;
    machine.expect("`adder` does not serve label 9", PATIENCE)?;
    machine.expect_prompt(PATIENCE).map(drop)
}

/// A method is edited in a transaction that is given up, and in one that is kept; a label is added.
fn changes(machine: &mut Machine) -> Result<()> {
    let edit = "mirror(adder).define('method add(n) { self.total = self.total + 2 * n; self.total }')";
    machine.send_line(&format!("PS.beginTransaction(); {edit}; PS.abort(); 'given up'"))?;
    machine.expect("\n'given up'", PATIENCE)?;
    machine.expect_prompt(PATIENCE)?;
    call(machine, "1 1", "12")?;
    does(machine, edit)?;
    call(machine, "1 1", "14")?;
    let labels = "adder.interface = adder.interface.put('7', 'Double() -> u64')";
    does(machine, &format!("mirror(adder).define('method double {{ 2 * self.total }}'); {labels}"))?;
    call(machine, "7", "28")
}

/// What another object has it do within a transaction is kept or given up with it.
fn transactions(machine: &mut Machine) -> Result<()> {
    does(machine, "client = object uses Transactional { target = adder; native add(amount) = 'target/1' }")?;
    says(machine, "client.beginTransaction(); client.add(50); client.abort(); 'given up'", "'given up'")?;
    call(machine, "2", "14")?;
    says(machine, "client.beginTransaction(); client.add(2); client.commit(); 'kept'", "'kept'")?;
    call(machine, "2", "18")
}

/// It goes on where its end was given up with a transaction, and ends where that was kept.
fn ends(machine: &mut Machine) -> Result<()> {
    says(machine, "adder.setPriority(9); adder.yieldTimeslice(); 'done'", "'done'")?;
    says(machine, "PS.beginTransaction(); adder.terminate(); PS.abort(); 'given up'", "'given up'")?;
    call(machine, "7", "40")?;
    machine.send_line("adder.terminate()")?;
    machine.expect(" of adder stopped, as the graph says", PATIENCE)?;
    machine.send_line("")?;
    machine.expect_prompt(PATIENCE)?;
    machine.send_line("call adder 2")?;
    machine.expect("neither a process nor a service of the name `adder` runs", PATIENCE)?;
    machine.expect_prompt(PATIENCE).map(drop)
}
