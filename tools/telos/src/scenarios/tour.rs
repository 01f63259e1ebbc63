//! The tour, and the tools of the workspace.

use crate::failure::Result;
use crate::qemu::{Echo, Machine};
use crate::run::make_state;
use crate::scenarios::session::settle;
use crate::scenarios::workspace::{does, says};
use crate::scenarios::{PATIENCE, Stage};

/// What each step prints, in its order.
const STEPS: [&[&str]; 10] = [
    &["--- tour, 1 of 10 ---", "telos> MMS.name", "\n'memory'", "telos> MMS.statistics", "'allocations': "],
    &["telos> account.deposit(5).deposit(2).balance", "\n7"],
    &["\n[18, 7]", "\nobject savings: answers", "\nobject savings -> object account: is overridden"],
    &[
        "\nzeroDivide: 1 divided by 0",
        "telos> account.balance",
        "\n7",
        "\n1000",
        "telos*> PS.abort(); account.balance",
        "\n7",
    ],
    &["\ntraitConflict: #move is provided by ", "\n'walks'"],
    &["TelOS: test_proc alive.", "telos> ps", " exited 0 "],
    &["\n['I am persistence', 'I am memory', 'I am process']", "telos> implementors greet", "{ 'I am ' + self.name }"],
    &["; it understands `deposit/1`", "     |         ^"],
    &["TIME (UTC)", "mirror(Server).define("],
    &["telos> mirror(Server).remove(#greet)", "telos> for name in "],
];

/// Every step shows what it says; the last one takes away what the others named.
pub fn steps(stage: &Stage) -> Result<()> {
    let state = stage.folder.join("state.fs");
    make_state(&state)?;
    let mut machine = Machine::spawn(&stage.boot, Some(&state), Echo::Silent)?;
    settle(&mut machine)?;
    for (number, step) in STEPS.iter().enumerate() {
        machine.send_line("tour")?;
        for text in *step {
            machine.expect(text, PATIENCE)?;
        }
        let end = if number + 1 < STEPS.len() { "--- `tour` goes on ---" } else { "--- the end ---" };
        machine.expect(end, PATIENCE)?;
        machine.expect_prompt(PATIENCE)?;
    }
    says(&mut machine, "account", "there is neither a command nor a name `account`")?;
    says(&mut machine, "PS.greet", "notUnderstood: ")?;
    says(&mut machine, "tour 99", "tour: it has 10 steps")?;
    tools(&mut machine)?;
    machine.send_line("shutdown")?;
    machine.wait(PATIENCE)?.clean()
}

/// Who answers, who sends, and what a receiver understands behind a tab.
fn tools(machine: &mut Machine) -> Result<()> {
    does(
        machine,
        "purse = object { name = 'purse'; coins = 1; method spendAll { self.spend(self.coins) }; method spend(n) { n } }",
    )?;
    machine.send_line("senders spend/1")?;
    machine.expect("purse", PATIENCE)?;
    machine.expect("spendAll", PATIENCE)?;
    machine.expect("{ self.spend(self.coins) }", PATIENCE)?;
    machine.expect_prompt(PATIENCE)?;
    machine.send_line("implementors spend/1")?;
    machine.expect("spend/1", PATIENCE)?;
    machine.expect("(n) { n }", PATIENCE)?;
    machine.expect_prompt(PATIENCE)?;
    says(machine, "pur\t\x08.coi\t + 1", "2")?;
    says(machine, "[MMS.stati\t.size > 0]", "[true]")
}
