//! Images: the graph keeps them, whatever the boot archive holds.

use image::Archive;
use image::write::{pack, resign};

use crate::fail;
use crate::failure::{Context, Result};
use crate::iso::{self, Boot};
use crate::project::read;
use crate::qemu::{Echo, Machine};
use crate::run::make_state;
use crate::scenarios::{PATIENCE, Stage};
use crate::sign;

/// The application that is edited and removed.
const NAME: &str = "test_proc";
/// What it says, and what it says when it was edited: as long, so that its object can be edited in place.
const TEXT: &str = "TelOS: test_proc alive.";
const EDITED: &str = "TelOS: test_proc again.";
/// Its version in the manifest, behind format and name, each text behind its length; and after the edit.
const VERSION: &[u8] = b"\x01\x09test_proc\x050.1.0";
const NEXT_VERSION: &[u8] = b"\x01\x09test_proc\x050.1.1";

/// An application that was edited runs in its new form from the next boot on the same state on, and one that the boot
/// archive lacks still runs from the graph, in that form.
pub fn outlive_the_archive(stage: &Stage) -> Result<()> {
    let whole = read(&stage.project.build.join("cells.archive"))?;
    let images = Archive::open(&whole).context("cells.archive")?;
    let images: Vec<(&str, Vec<u8>)> = images.iter().map(|image| (image.name, image.bytes.to_vec())).collect();
    let edited: Result<Vec<(&str, Vec<u8>)>> = images
        .iter()
        .map(|(name, bytes)| Ok((*name, if *name == NAME { edit(bytes)? } else { bytes.clone() })))
        .collect();
    let removed: Vec<(&str, Vec<u8>)> = images.iter().filter(|(name, _)| *name != NAME).cloned().collect();
    if removed.len() + 1 != images.len() {
        fail!("the boot archive has no {NAME} to remove");
    }
    let (edited, removed) = (boot(stage, "edited", &edited?)?, boot(stage, "removed", &removed)?);
    let state = stage.folder.join("state.fs");
    make_state(&state)?;

    let mut machine = Machine::spawn(&stage.boot, Some(&state), Echo::Silent)?;
    machine.expect(" images of the boot archive became current at TID ", PATIENCE)?;
    runs(machine, TEXT, "0.1.0")?;

    let mut machine = Machine::spawn(&edited, Some(&state), Echo::Silent)?;
    machine.expect("root_task: 1 images of the boot archive became current at TID ", PATIENCE)?;
    runs(machine, EDITED, "0.1.1")?;

    // The archive of before is on the first image again: the graph has seen that, and keeps the newer one.
    for boot in [&removed, &stage.boot] {
        let machine = Machine::spawn(boot, Some(&state), Echo::Silent)?;
        let printed = runs(machine, EDITED, "0.1.1")?;
        if printed.contains("became current") {
            fail!("an image became current that the graph has seen:\n{printed}");
        }
    }
    Ok(())
}

/// The image as a build of an edited source leaves it: another text, another version, signed.
fn edit(file: &[u8]) -> Result<Vec<u8>> {
    changed(file, &[(TEXT.as_bytes(), EDITED.as_bytes()), (VERSION, NEXT_VERSION)])
}

/// An image with other bytes in the places of some, signed.
pub fn changed(file: &[u8], changes: &[(&[u8], &[u8])]) -> Result<Vec<u8>> {
    let mut file = file.to_vec();
    for (from, to) in changes {
        file = replace(&file, from, to)?;
    }
    resign(&file, &sign::key()?).context("an edited image")
}

/// Replaces bytes that stand in a file once.
fn replace(file: &[u8], from: &[u8], to: &[u8]) -> Result<Vec<u8>> {
    let places: Vec<usize> =
        file.windows(from.len()).enumerate().filter(|(_, bytes)| *bytes == from).map(|(place, _)| place).collect();
    let &[place] = places.as_slice() else {
        fail!("{} stands in the image of {NAME} {} times", String::from_utf8_lossy(from), places.len())
    };
    let mut file = file.to_vec();
    file.splice(place..place + from.len(), to.iter().copied());
    Ok(file)
}

fn boot(stage: &Stage, name: &str, images: &[(&str, Vec<u8>)]) -> Result<Boot> {
    let images: Vec<(&str, &[u8])> = images.iter().map(|(name, bytes)| (*name, bytes.as_slice())).collect();
    let iso = iso::make_of(&stage.project, name, "", pack(&images))?;
    Ok(Boot { iso, ..stage.boot.clone() })
}

/// Starts the application at the prompt: it says what it should, and is of the version; then ends the machine. Answers
/// what the machine printed.
fn runs(mut machine: Machine, text: &str, version: &str) -> Result<String> {
    machine.expect_prompt(PATIENCE)?;
    let said = machine.ask(&format!("spawn -w {NAME}"), PATIENCE)?;
    let ended = format!("{NAME} ended with status 0");
    if !said.lines().any(|line| line == text) || !said.contains(&ended) {
        fail!("`spawn` was to print {text:?} and {ended:?}:\n{said}");
    }
    let cells = machine.ask("cells", PATIENCE)?;
    let newest = cells.lines().rev().find(|line| line.starts_with(NAME)).unwrap_or_default();
    if newest.split_whitespace().nth(1) != Some(version) {
        fail!("{NAME} was to be of version {version}:\n{cells}");
    }
    machine.send_line("shutdown")?;
    let printed = machine.transcript();
    machine.wait(PATIENCE)?.clean()?;
    Ok(printed)
}
