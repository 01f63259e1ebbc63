//! Building cells: check, compile, link, describe, sign, pack.
//!
//! The steps are in [`build`]. A cell whose object and description did not change keeps its file, so its hash and
//! build number stay; otherwise the build number grows.

use std::fs;
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

use image::write::{Fields, SigningKey, manifest_size, pack, seal};
use image::{Demand, Dependency, Label, Trust, VerifiedImage, sha256, verify};

use crate::abi::{KernelAbi, kernel_abi, short_hash};
use crate::config::{Cell, allowed, boot_set};
use crate::failure::{Context, Failure, Result};
use crate::object_file::CellObject;
use crate::project::{Project, hex, read, write};
use crate::workspace::{Package, Workspace, package};
use crate::{fail, scan, sign, toolchain};

/// What is the same for every cell of a build.
struct Builder<'p> {
    project: &'p Project,
    key: SigningKey,
    abi: KernelAbi,
    compiler: String,
    flags_hash: u64,
}

/// Builds every cell of the boot set into `build/cells/NAME.cell` and packs them into `build/cells.archive`.
///
/// # Errors
/// The first step that says no.
pub fn build(project: &Project) -> Result<()> {
    let cells = boot_set(project)?;
    let files = build_of(project, &cells, None)?;
    let is_pushed = |name: &str| cells.iter().any(|cell| cell.name == name && cell.image.is_some());
    let images: Vec<(&str, &[u8])> =
        files.iter().filter(|(name, _)| !is_pushed(name)).map(|(name, file)| (*name, file.as_slice())).collect();
    write(&project.build.join("cells.archive"), &pack(&images))
}

/// Builds one cell; answers its file, which the archive does not have yet.
///
/// # Errors
/// There is none of the name, or the first step that says no.
pub fn build_one(project: &Project, name: &str) -> Result<Vec<u8>> {
    let cells = boot_set(project)?;
    if !cells.iter().any(|cell| cell.name == name) {
        let names: Vec<&str> = cells.iter().map(|cell| cell.name.as_str()).collect();
        fail!(
            "there is no cell `{name}` in cfg/boot.toml; there are {}; `make new-cell NAME={name}` makes one to begin from",
            names.join(", ")
        );
    }
    match build_of(project, &cells, Some(name))?.pop() {
        Some((_, file)) => Ok(file),
        None => fail!("the cell {name} was not built"),
    }
}

/// The files of the cells of a boot set, or of one of them.
fn build_of<'c>(project: &Project, cells: &'c [Cell], only: Option<&str>) -> Result<Vec<(&'c str, Vec<u8>)>> {
    let allowed = allowed(project)?;
    if cells.is_empty() {
        scan::check(project, &allowed)?;
        return Ok(Vec::new());
    }
    let flags = toolchain::cell_flags(project)?;
    let workspace = Workspace::generate(project, cells)?;
    // Before anything is compiled: a crate that is not allowed may run code in the build.
    let dependencies = workspace.check_dependencies(project, &allowed)?;
    // The sources are read meanwhile. What is compiled of them does not run here, and is not signed before they are found clean.
    thread::scope(|scope| {
        let scanned = scope.spawn(|| scan::check(project, &allowed));
        let built = workspace.build(project, &allowed, &flags, only);
        let scanned = scanned.join().unwrap_or_else(|cause| std::panic::resume_unwind(cause));
        scanned.and(built)
    })?;
    let builder = Builder {
        project,
        key: sign::key()?,
        abi: kernel_abi(project)?,
        compiler: toolchain::compiler(project)?,
        flags_hash: short_hash(toolchain::flags_identity(&flags).as_bytes()),
    };
    let wanted = cells.iter().filter(|cell| only.is_none_or(|name| cell.name == name));
    wanted
        .map(|cell| Ok((cell.name.as_str(), builder.build(cell, &workspace, &dependencies.of(&cell.name))?)))
        .collect()
}

impl Builder<'_> {
    /// One cell: its file, as written to `build/cells`.
    fn build(&self, cell: &Cell, workspace: &Workspace, dependencies: &[Package]) -> Result<Vec<u8>> {
        let folder = self.project.target.join("cells").join("objects").join(&cell.name);
        let object = CellObject::link(self.project, &workspace.library(&cell.name), &cell.name, &folder)?;
        let package = package(self.project, &cell.path)?;
        let labels: Vec<Label> = object.labels.iter().map(|&(label, signature)| Label { label, signature }).collect();
        let mut demands = vec![Demand::Heap(cell.heap), Demand::Stack(cell.stack), Demand::Slots(cell.slots)];
        demands.extend(cell.capabilities.iter().map(|name| Demand::Capability(name)));
        let dependencies: Vec<Dependency<'_>> =
            dependencies.iter().map(|package| Dependency { name: &package.name, version: &package.version }).collect();
        let fields = Fields {
            name: cell.image_name(),
            version: &package.version,
            build: 0,
            compiler: &self.compiler,
            flags_hash: self.flags_hash,
            kernel_abi: self.abi.hash,
            labels: &labels,
            schema_written: cell.schema,
            schemas_readable: &cell.readable,
            demands: &demands,
            dependencies: &dependencies,
        };
        // Everything that can make a difference, except the build number.
        let identity = format!("{} {fields:?} {}", hex(&sha256(&object.bytes)), hex(&self.key.public()));
        let path = self.project.build.join("cells").join(format!("{}.cell", cell.name));
        let record = folder.join("identity");
        let old = fs::read(&path).ok();
        let same = fs::read_to_string(&record).is_ok_and(|text| text == identity);
        if let Some(old) = old.as_deref().filter(|old| same && self.verify(old).is_ok()) {
            return Ok(old.to_vec());
        }
        let previous = old.as_deref().and_then(|old| self.verify(old).ok()).map_or(0, |image| image.manifest().build);
        let fields = Fields { build: next_build(previous), ..fields };
        let file = self.sign(&object, &fields)?;
        self.verify(&file).map_err(|refusal| Failure(format!("the cell {} would be refused: {refusal}", cell.name)))?;
        write(&path, &file)?;
        write(&record, identity.as_bytes())?;
        Ok(file)
    }

    fn sign(&self, object: &CellObject, fields: &Fields<'_>) -> Result<Vec<u8>> {
        // The size does not depend on the section's own size, which stands in no record.
        let size = manifest_size(&object.with_manifest(1)?, fields).context(fields.name)?;
        seal(object.with_manifest(size)?, fields, &self.key).context(fields.name)
    }

    /// Asks what the kernel would ask.
    fn verify<'f>(&self, file: &'f [u8]) -> std::result::Result<VerifiedImage<'f>, image::Refusal> {
        let imports: Vec<&str> = self.abi.imports.iter().map(String::as_str).collect();
        verify(file, &Trust { key: self.key.public(), kernel_abi: self.abi.hash, imports: &imports })
    }
}

/// A build number above the previous one, also when the record of the previous one is gone: seconds since 1970.
fn next_build(previous: u64) -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
    now.max(previous.saturating_add(1))
}

/// Prints what a cell file says about itself.
///
/// # Errors
/// It cannot be read, or the kernel would refuse it.
pub fn show(project: &Project, name: &str) -> Result<()> {
    let path = project.build.join("cells").join(format!("{name}.cell"));
    let file = read(&path)?;
    let abi = kernel_abi(project)?;
    let imports: Vec<&str> = abi.imports.iter().map(String::as_str).collect();
    let trust = Trust { key: sign::key()?.public(), kernel_abi: abi.hash, imports: &imports };
    let image = verify(&file, &trust).context(path.display())?;
    println!("{:#?}\n{:#?}\nhash {}", image.manifest(), image.layout(), hex(image.hash()));
    Ok(())
}
