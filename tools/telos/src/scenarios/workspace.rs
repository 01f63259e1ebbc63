//! The language of objects at the prompt.

use crate::fail;
use crate::failure::Result;
use crate::qemu::{Echo, Machine};
use crate::run::make_state;
use crate::scenarios::session::settle;
use crate::scenarios::{PATIENCE, Stage};

const CTRL_C: &str = "\x03";
/// The prompt while a transaction is open.
const IN_TRANSACTION: &str = "\ntelos*> ";

/// Types a line and waits for what it prints, then for the prompt.
pub(super) fn says(machine: &mut Machine, line: &str, expected: &str) -> Result<()> {
    machine.send_line(line)?;
    // The end of the row belongs to the prompt that is waited for.
    machine.expect(&format!("\n{}", expected.trim_end()), PATIENCE)?;
    machine.expect_prompt(PATIENCE).map(drop)
}

/// Types a line that prints nothing. What is logged meanwhile is no matter.
pub(super) fn does(machine: &mut Machine, line: &str) -> Result<()> {
    machine.send_line(&format!("{line}; 'done'"))?;
    machine.expect("\n'done'", PATIENCE)?;
    machine.expect_prompt(PATIENCE).map(drop)
}

/// The same line within an open transaction, or that opens one.
fn says_within(machine: &mut Machine, line: &str, expected: &str) -> Result<()> {
    machine.send_line(line)?;
    machine.expect(&format!("\n{}", expected.trim_end()), PATIENCE)?;
    machine.expect(IN_TRANSACTION, PATIENCE).map(drop)
}

/// Programs run, errors point at their place, a program that runs away is interrupted, lines go on while a bracket is open; what
/// was named, and a method that was added to the live Server, are there after a power cut.
pub fn programs(stage: &Stage) -> Result<()> {
    let state = stage.folder.join("state.fs");
    make_state(&state)?;
    let mut machine = Machine::spawn(&stage.boot, Some(&state), Echo::Silent)?;
    settle(&mut machine)?;
    says(&mut machine, "2 + 3 * 4", "14\n")?;
    says(
        &mut machine,
        "a = (1 + ]",
        "source: an expression is missing before `]`\n   1 | a = (1 + ]\n     |          ^\n",
    )?;
    says(&mut machine, "1 / 0", "zeroDivide: 1 divided by 0\n")?;
    does(
        &mut machine,
        "kept = object { name = 'kept'; count = 41; method more { self.count = self.count + 1; self } }",
    )?;
    says(&mut machine, "kept.more.count", "42\n")?;
    goes_on(&mut machine)?;
    runs_away(&mut machine)?;
    in_a_transaction(&mut machine)?;
    does(&mut machine, "mirror(Server).define('method hello { \\'hello of \\' + self.name }')")?;
    says(&mut machine, "MMS.hello", "'hello of memory'\n")?;
    let log = machine.ask("txlog 3", PATIENCE)?;
    if !log.contains("mirror(Server).define") {
        fail!("the log was to say what the transaction was for:\n{log}");
    }
    machine.kill()?;

    let mut machine = Machine::spawn(&stage.boot, Some(&state), Echo::Silent)?;
    machine.expect_prompt(PATIENCE)?;
    says(&mut machine, "kept.count", "42\n")?;
    says(&mut machine, "kept.more.count", "43\n")?;
    says(&mut machine, "MMS.hello", "'hello of memory'\n")?;
    machine.send_line("shutdown")?;
    machine.wait(PATIENCE)?.clean()
}

/// Lines that go on while a bracket or a quotation mark is open; Ctrl-C drops them.
fn goes_on(machine: &mut Machine) -> Result<()> {
    machine.send_line("[1,")?;
    machine.expect("\n   ...> ", PATIENCE)?;
    says(machine, "2]", "[1, 2]\n")?;
    machine.send_line("object {")?;
    machine.expect("\n   ...> ", PATIENCE)?;
    machine.send(CTRL_C)?;
    machine.expect("^C\ntelos> ", PATIENCE)?;
    says(machine, "'it was dropped'", "'it was dropped'\n")
}

/// Ctrl-C ends a loop, and a program can not catch it. What was typed meanwhile is dropped with it.
fn runs_away(machine: &mut Machine) -> Result<()> {
    machine.send_line("count = 0; try { while true { count = count + 1 } } catch e { 'caught' }")?;
    machine.send("nothing of this")?;
    machine.send(CTRL_C)?;
    machine.expect("^C", PATIENCE)?;
    machine.expect("\ninterrupted: the program was stopped from outside", PATIENCE)?;
    machine.expect_prompt(PATIENCE)?;
    // What is typed ahead of a program that ends is there for the next line.
    machine.send_line("n = 0; while n < 100000 { n = n + 1 }; n")?;
    machine.send_line("n + 1")?;
    machine.expect("\n100000\n", PATIENCE)?;
    machine.expect("\n100001", PATIENCE)?;
    machine.expect_prompt(PATIENCE)?;
    says(machine, "object { method r { self.r } }.r", "depth: ")
}

/// An open transaction shows in the prompt, sees its own changes, and takes them back.
fn in_a_transaction(machine: &mut Machine) -> Result<()> {
    says_within(machine, "MMS.beginTransaction(); kept.count = 1000; other = 5; kept.count", "1000\n")?;
    says_within(machine, "kept.count + other", "1005\n")?;
    says_within(machine, "1 / 0", "zeroDivide: ")?;
    says_within(machine, "spawn -w test_proc", "spawn: that cannot be done while a transaction is open")?;
    says(machine, "MMS.abort(); kept.count", "42\n")?;
    says(machine, "other", "there is neither a command nor a name `other`")?;
    says_within(machine, "MMS.beginTransaction(); MMS.note('why not'); kept.count = 42; 'noted'", "'noted'\n")?;
    says(machine, "MMS.commit(); 'kept'", "'kept'\n")?;
    says(machine, "txlog 1", "TIME")
}
