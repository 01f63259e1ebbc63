//! From a wrapper's static library to one relocatable object that the verifier takes.
//!
//! The library holds the wrapper's object, into which link-time optimisation has folded every crate, and the objects
//! of `compiler_builtins`, from which only what is referred to is kept. The result has one global symbol, the entry.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use object::read::archive::ArchiveFile;
use object::{Object, ObjectSection};

use crate::fail;
use crate::failure::{Context, Result};
use crate::project::{Project, read, write};
use crate::toolchain::run_quietly;

/// Where a cell's generated labels stand until they are in the manifest.
const LABELS: &str = ".telos.labels";
const MANIFEST: &str = ".telos.manifest";

/// A cell's object on its way to an image.
pub struct CellObject {
    folder: PathBuf,
    /// The finished object, without a manifest.
    pub bytes: Vec<u8>,
    /// The labels that its wrapper declares, with the hash of each signature.
    pub labels: Vec<(u32, u64)>,
}

impl CellObject {
    /// Links the objects of a static library into one. Intermediate files go to `folder`.
    ///
    /// # Errors
    /// The library has no object of the wrapper, or the linker says no.
    pub fn link(project: &Project, library: &Path, cell: &str, folder: &Path) -> Result<CellObject> {
        let objects = extract(library, cell, folder)?;
        let linked = folder.join("linked.o");
        let mut command = Command::new("ld");
        command.args(["-r", "--gc-sections", "-e", image::ENTRY, "-T"]).arg(project.cfg("cell.ld"));
        run_quietly(command.arg("-o").arg(&linked).args(objects))?;
        let labels = labels(&read(&linked)?)?;
        let stripped = folder.join("stripped.o");
        let mut command = Command::new("objcopy");
        command.arg(format!("--keep-global-symbol={}", image::ENTRY));
        // Local functions keep their names for fault traces.
        command.args(["--strip-debug", "--discard-locals"]);
        for section in [LABELS, ".comment", ".note*", ".eh_frame"] {
            command.arg(format!("--remove-section={section}")).arg(format!("--remove-section=.rela{section}"));
        }
        run_quietly(command.arg(&linked).arg(&stripped))?;
        Ok(CellObject { folder: folder.to_owned(), bytes: read(&stripped)?, labels })
    }

    /// The object with a section for the manifest, of so many zero bytes.
    ///
    /// # Errors
    /// `objcopy` says no.
    pub fn with_manifest(&self, size: usize) -> Result<Vec<u8>> {
        let (from, blank, to) = (self.folder.join("plain.o"), self.folder.join("blank"), self.folder.join("room.o"));
        write(&from, &self.bytes)?;
        write(&blank, &vec![0; size])?;
        let mut command = Command::new("objcopy");
        command.arg(format!("--add-section={MANIFEST}={}", blank.display()));
        command.arg(format!("--set-section-flags={MANIFEST}=readonly,contents"));
        run_quietly(command.arg(&from).arg(&to))?;
        read(&to)
    }
}

/// Writes the objects of a library into a folder: the wrapper's first.
fn extract(library: &Path, cell: &str, folder: &Path) -> Result<Vec<PathBuf>> {
    let data = read(library)?;
    let archive = ArchiveFile::parse(&*data).context(library.display())?;
    let _ = fs::remove_dir_all(folder.join("members"));
    let (mut own, mut helpers) = (Vec::new(), Vec::new());
    for (index, member) in archive.members().enumerate() {
        let member = member.context(library.display())?;
        let name = String::from_utf8_lossy(member.name()).into_owned();
        let wrapper = format!("cell_{cell}");
        let is_own = name.strip_prefix(&wrapper).is_some_and(|rest| rest.starts_with(['-', '.']));
        if !is_own && !name.starts_with("compiler_builtins") {
            continue;
        }
        let path = folder.join("members").join(format!("{index}.o"));
        write(&path, member.data(&*data).context(library.display())?)?;
        if is_own { own.push(path) } else { helpers.push(path) }
    }
    if own.is_empty() {
        fail!("{}: no object of cell_{cell} in it", library.display());
    }
    own.append(&mut helpers);
    Ok(own)
}

/// The pairs in the labels' section: a label and the hash of its signature, little endian; none without the section.
fn labels(object: &[u8]) -> Result<Vec<(u32, u64)>> {
    let file = object::File::parse(object).context("the linked object")?;
    let Some(section) = file.section_by_name(LABELS) else {
        return Ok(Vec::new());
    };
    let mut rest = section.data().context(LABELS)?;
    let mut labels = Vec::new();
    while let Some((label, after)) = rest.split_first_chunk::<4>() {
        let Some((hash, after)) = after.split_first_chunk::<8>() else {
            break;
        };
        labels.push((u32::from_le_bytes(*label), u64::from_le_bytes(*hash)));
        rest = after;
    }
    if !rest.is_empty() {
        fail!("the section {LABELS} is not a list of labels (4 bytes) and hashes (8 bytes)");
    }
    Ok(labels)
}
