//! State files: what a second boot finds, what is refused, and what power cuts leave.

use std::fs;
use std::path::Path;

use object_store::{BlockDevice, DeviceError, DeviceState, FileStorage, FormatOptions};

use crate::fail;
use crate::failure::{Context, Result};
use crate::qemu::{Echo, Machine, Outcome};
use crate::run::make_state;
use crate::scenarios::{PATIENCE, Stage};
use crate::state_file::FileDevice;

/// What the persistence server prints for a commit, before the TID.
const COMMITTED: &str = "persistence: committed at TID ";
/// Power cuts of one run.
const KILLS: u64 = 20;

/// A second boot makes no second genesis, does not run the test process again, and knows the first boot's transactions.
pub fn second_boot(stage: &Stage) -> Result<()> {
    let state = stage.folder.join("state.fs");
    make_state(&state)?;
    let mut machine = Machine::spawn(&stage.boot, Some(&state), Echo::Silent)?;
    machine.expect("root_task: genesis committed at TID ", PATIENCE)?;
    machine.expect("TelOS: test_proc alive.", PATIENCE)?;
    machine.expect("ended (Exited(0)), noted at TID ", PATIENCE)?;
    machine.send_line("shutdown")?;
    let first = machine.transcript();
    machine.wait(PATIENCE)?.clean()?;
    let mut machine = Machine::spawn(&stage.boot, Some(&state), Echo::Silent)?;
    machine.expect_prompt(PATIENCE)?;
    let log = machine.ask("txlog 1000", PATIENCE)?;
    let second = machine.transcript();
    machine.send_line("shutdown")?;
    machine.wait(PATIENCE)?.clean()?;
    for wrong in ["genesis committed", "test_proc alive", "images of the boot archive became current"] {
        if second.contains(wrong) {
            fail!("the second boot printed `{wrong}` again");
        }
    }
    all_there(&acknowledged(&first), &log)
}

/// A disk that holds something else is refused, and left as it was.
pub fn foreign_bytes(stage: &Stage) -> Result<()> {
    let state = stage.folder.join("state.fs");
    let bytes: Vec<u8> = b"This is no state file. ".iter().copied().cycle().take(4 << 20).collect();
    fs::write(&state, &bytes).context(state.display())?;
    let mut machine = Machine::spawn(&stage.boot, Some(&state), Echo::Silent)?;
    machine.expect("persistence: the disk holds something else", PATIENCE)?;
    match machine.wait(PATIENCE)? {
        Outcome::Failed => {}
        other => fail!("a boot on a foreign disk was to fail, and there was {other:?}"),
    }
    if fs::read(&state).context(state.display())? != bytes {
        fail!("the foreign disk was written to");
    }
    Ok(())
}

/// A disk of zeros is formatted, and one on which formatting was interrupted is formatted again; both then serve.
pub fn resumed(stage: &Stage) -> Result<()> {
    let zeros = stage.folder.join("zeros.fs");
    fs::write(&zeros, vec![0; SMALL]).context(zeros.display())?;
    good_boot_that_says(stage, &zeros, "persistence: formatted ")?;
    let half = stage.folder.join("half.fs");
    half_format(&half)?;
    good_boot_that_says(stage, &half, "persistence: formatting was interrupted: formatting again")
}

/// Bytes of a small state file.
const SMALL: usize = 64 << 20;

fn good_boot_that_says(stage: &Stage, state: &Path, line: &str) -> Result<()> {
    let mut machine = Machine::spawn(&stage.boot, Some(state), Echo::Silent)?;
    machine.expect(line, PATIENCE)?;
    machine.expect("root_task: genesis committed at TID ", PATIENCE)?;
    machine.expect_prompt(PATIENCE)?;
    machine.send_line("shutdown")?;
    machine.wait(PATIENCE)?.clean()?;
    let length = fs::metadata(state).context(state.display())?.len();
    if length != SMALL as u64 {
        fail!("{} has {length} bytes now", state.display());
    }
    good_boot(stage, state, &[]).map(drop)
}

/// A disk whose power is cut in the middle of its formatting.
struct Cut {
    disk: FileDevice,
    flushes: u32,
}

impl BlockDevice for Cut {
    fn sectors(&self) -> u64 {
        self.disk.sectors()
    }

    fn read(&mut self, sector: u64, buffer: &mut [u8]) -> std::result::Result<(), DeviceError> {
        self.disk.read(sector, buffer)
    }

    fn write(&mut self, sector: u64, data: &[u8]) -> std::result::Result<(), DeviceError> {
        self.disk.write(sector, data)
    }

    fn flush(&mut self) -> std::result::Result<(), DeviceError> {
        self.flushes = self.flushes.checked_sub(1).ok_or(DeviceError::Failed)?;
        self.disk.flush()
    }
}

fn half_format(path: &Path) -> Result<()> {
    let file = fs::File::options().read(true).write(true).create_new(true).open(path).context(path.display())?;
    file.set_len(SMALL as u64).context(path.display())?;
    let mut device = Cut { disk: FileDevice::new(file).context(path.display())?, flushes: 1 };
    let done = FileStorage::format(&mut device, [7; 16], FormatOptions::default());
    match (done, FileStorage::probe(&mut device)) {
        (Err(_), Ok(DeviceState::HalfFormatted)) => Ok(()),
        other => fail!("the formatting was to be interrupted: {other:?}"),
    }
}

/// The emulator is killed at seeded moments, first format and genesis among them; each time the next boot is good and knows
/// every transaction that was acknowledged before.
pub fn power_cuts(stage: &Stage) -> Result<()> {
    let state = stage.folder.join("state.fs");
    let mut known = Vec::new();
    let mut seed = 0x9e37_79b9_7f4a_7c15u64;
    for kill in 0..KILLS {
        // Every fourth cut is on a new disk: format and genesis.
        if kill % 4 == 0 {
            let _ = fs::remove_file(&state);
            known.clear();
        }
        make_state(&state)?;
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let lines = 6 + (seed >> 33) % 40;
        known.extend(cut_after(stage, &state, lines)?);
        known.extend(good_boot(stage, &state, &known)?);
    }
    Ok(())
}

/// Boots, and kills the emulator when so many lines have been printed, or the prompt shows and a process was spawned.
fn cut_after(stage: &Stage, state: &Path, lines: u64) -> Result<Vec<String>> {
    let mut machine = Machine::spawn(&stage.boot, Some(state), Echo::Silent)?;
    machine.expect("kernel: root task started", PATIENCE)?;
    for _ in 0..lines {
        let line = machine.expect("\n", PATIENCE)?;
        if line.contains("everything is given away") {
            machine.send_line("spawn test_proc")?;
        }
    }
    let printed = machine.transcript();
    machine.kill()?;
    Ok(acknowledged(&printed))
}

/// Boots to the prompt, checks the log, and shuts down; what this boot itself committed is answered.
pub(super) fn good_boot(stage: &Stage, state: &Path, known: &[String]) -> Result<Vec<String>> {
    let mut machine = Machine::spawn(&stage.boot, Some(state), Echo::Silent)?;
    machine.expect_prompt(PATIENCE)?;
    let log = machine.ask("txlog 1000", PATIENCE)?;
    machine.send_line("shutdown")?;
    let printed = machine.transcript();
    machine.wait(PATIENCE)?.clean()?;
    all_there(known, &log)?;
    Ok(acknowledged(&printed))
}

/// The TIDs of commits that wrote something and were acknowledged, as far as their lines were printed whole.
pub(super) fn acknowledged(transcript: &str) -> Vec<String> {
    transcript
        .split_inclusive('\n')
        .filter(|line| line.ends_with('\n') && !line.contains(": 0 objects"))
        .filter_map(|line| line.split_once(COMMITTED)?.1.split(':').next().map(str::to_owned))
        .collect()
}

fn all_there(known: &[String], log: &str) -> Result<()> {
    for tid in known {
        if !log.contains(tid.as_str()) {
            fail!("transaction {tid} was acknowledged and is not in the log:\n{log}");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn acknowledged_commits_are_read_from_whole_lines() {
        let text = "persistence: committed at TID 17: 2 objects\r\npersistence: committed at TID 18: 0 objects\r\n\
                    telos> persistence: committed at TID 19: 1 objects\r\npersistence: committed at TID 20: 3 obj";
        assert_eq!(acknowledged(text), ["17", "19"]);
        assert!(all_there(&["17".into()], "17 2 objects").is_ok());
        assert!(all_there(&["19".into()], "17 2 objects").is_err());
    }
}
