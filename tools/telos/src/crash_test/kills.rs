//! QEMU killed under load, again and again, on one state file.

use std::path::Path;

use object_store::crash_test::Random;

use crate::crash_test::load;
use crate::failure::Result;
use crate::iso::Boot;
use crate::qemu::{Echo, Machine};
use crate::run::make_state;
use crate::scenarios::PATIENCE;

/// Clients at a time.
const CLIENTS: usize = 4;

/// Boots on a state file so many times and kills QEMU at seeded moments of the load. Each time the file is looked at from the host,
/// and by the clients that come back; at last the machine shuts down in order.
///
/// # Errors
/// Something acknowledged is missing, or broken.
pub fn run(boot: &Boot, folder: &Path, kills: u64, seed: u64) -> Result<()> {
    let state = folder.join("state.fs");
    make_state(&state)?;
    let mut random = Random(seed);
    let mut acknowledged = Vec::new();
    for kill in 0..kills {
        let mut machine = Machine::spawn(boot, Some(&state), Echo::Silent)?;
        if kill == 0 {
            machine.expect_prompt(PATIENCE)?;
            load::start(&mut machine, CLIENTS)?;
        } else {
            load::come_back(&mut machine, CLIENTS)?;
        }
        load::work(&mut machine, 1 + random.below(25) as usize)?;
        // Anywhere in what happens next.
        for _ in 0..random.below(12) {
            machine.expect("\n", PATIENCE)?;
        }
        let transcript = machine.transcript();
        machine.kill()?;
        acknowledged.extend(load::acknowledged(&transcript));
        load::verify(&state, &acknowledged)?;
    }
    let mut machine = Machine::spawn(boot, Some(&state), Echo::Silent)?;
    load::come_back(&mut machine, CLIENTS)?;
    machine.send_line("shutdown")?;
    machine.expect("shell: shutting down", PATIENCE)?;
    acknowledged.extend(load::acknowledged(&machine.transcript()));
    machine.wait(PATIENCE)?.clean()?;
    load::verify(&state, &acknowledged)
}
