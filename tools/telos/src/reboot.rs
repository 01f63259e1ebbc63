//! `test-reboot`: the plan's persistence validation, its two halves with a power cut between them.
//!
//! The first half boots a fresh state with a random nonce on the kernel's command line; the root task stores it in the test
//! process's object and stops the machine unclean. The second half boots the same state without the nonce: the system must
//! print it from its store. That the second half can fail is shown on a disk of its own that holds nothing.

use std::fs;
use std::io::Read;
use std::path::Path;

use crate::cli::{self, Settings};
use crate::fail;
use crate::failure::{Context, Result};
use crate::iso::{self, Boot, Firmware};
use crate::project::Project;
use crate::qemu::{Echo, Machine, Outcome};
use crate::run::make_state;
use crate::scenarios::PATIENCE;

/// What the second half prints when, and only when, all that it checks holds.
const SUCCESS: &str = "TelOS: Persistence validation successful.";
/// What the test process prints.
const ALIVE: &str = "TelOS: test_proc alive.";
/// How the second half says which nonce it found.
const NONCE: &str = "TelOS: nonce ";

/// The second half alone, on a state that something else left.
///
/// # Errors
/// The state does not hold what it should.
pub fn second_half_of(project: &Project, settings: &Settings) -> Result<()> {
    let Some(state) = &settings.state else { fail!("no state file is named") };
    if !state.exists() {
        fail!("{} does not exist: `make run` makes a state file", state.display());
    }
    cli::build(project, "")?;
    match second_half(&Boot::new(iso::make(project, "validate")?, Firmware::Bios), state)? {
        Some(found) => println!("test-reboot: the state holds the test process; its nonce: {found}"),
        None => fail!("{} does not hold what it should: the system says so above", state.display()),
    }
    Ok(())
}

/// Both halves on a state file of their own, and the proof that the second can fail.
///
/// # Errors
/// A half failed, or the second half was content with an empty disk.
pub fn both_halves(project: &Project) -> Result<()> {
    cli::build(project, "")?;
    let folder = project.target.join("scenarios/test_reboot");
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).context(folder.display())?;
    let (state, blank) = (folder.join("state.fs"), folder.join("blank.fs"));
    make_state(&state)?;
    make_state(&blank)?;
    let nonce = nonce()?;
    let prepare = Boot::new(iso::make_named(project, "prepare", &format!("nonce={nonce}"))?, Firmware::Bios);
    first_half(&prepare, &state)?;
    let validate = Boot::new(iso::make(project, "validate")?, Firmware::Bios);
    let found = second_half(&validate, &state)?;
    if found.as_ref() != Some(&nonce) {
        fail!("the nonce was {nonce}, and the second half found {found:?}");
    }
    println!("test-reboot: nonce {nonce} came back");
    match second_half(&validate, &blank)? {
        Some(_) => fail!("the second half was content with an empty disk: it proves nothing"),
        None => println!("test-reboot: the second half fails on an empty disk, as it must"),
    }
    Ok(())
}

/// 16 random bytes in hexadecimal.
fn nonce() -> Result<String> {
    let mut bytes = [0u8; 16];
    let mut source = fs::File::open("/dev/urandom").context("/dev/urandom")?;
    source.read_exact(&mut bytes).context("/dev/urandom")?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Boots with the nonce until the machine stops itself, unclean.
fn first_half(boot: &Boot, state: &Path) -> Result<()> {
    let mut machine = Machine::spawn(boot, Some(state), Echo::Stdout)?;
    machine.expect(ALIVE, PATIENCE)?;
    machine.expect("the machine stops unclean", PATIENCE)?;
    match machine.wait(PATIENCE)? {
        Outcome::Halted => Ok(()),
        other => fail!("the first half was to stop unclean, and there was {other:?}"),
    }
}

/// Boots the state and answers the nonce that the system found in it; `None` where the system says, itself and with a
/// failure's status, that the state does not hold what it should.
fn second_half(boot: &Boot, state: &Path) -> Result<Option<String>> {
    let mut machine = Machine::spawn(boot, Some(state), Echo::Stdout)?;
    let text = machine.expect("TelOS: Persistence validation ", PATIENCE)?;
    let text = text + &machine.expect("\n", PATIENCE)?;
    let success = text.lines().any(|line| line.trim() == SUCCESS);
    match (machine.wait(PATIENCE)?, success) {
        (Outcome::Failed, false) => return Ok(None),
        (outcome, true) => outcome.clean()?,
        (outcome, false) => fail!("the second half did not print `{SUCCESS}`: {outcome:?}"),
    }
    match text.lines().find_map(|line| line.trim().strip_prefix(NONCE)) {
        Some(found) => Ok(Some(found.to_owned())),
        None => fail!("the second half printed no nonce"),
    }
}
