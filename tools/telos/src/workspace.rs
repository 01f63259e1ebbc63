//! The generated workspace: a wrapper crate for each cell, from `cfg/cell_wrapper.rs.in`.
//!
//! A wrapper holds what a cell cannot say without `unsafe`: entry, allocator, panic handler, and for a cell of the tests with
//! `faults = true` what is in `cfg/cell_faults.rs.in`. It lives under `target/`, never in the source tree. All wrappers are built
//! in one cargo run, with the root's profile and versions.

use std::fs;
use std::path::{Path, PathBuf};

use image::sha256;
use serde_json::Value;
use toml::Table;

use crate::config::{Allowed, Cell};
use crate::fail;
use crate::failure::{Context, Failure, Result};
use crate::project::{Project, hex, read, read_text, write};
use crate::toolchain::{self, TARGET};

/// The generated workspace and what came of building it.
pub struct Workspace {
    folder: PathBuf,
    target: PathBuf,
}

/// A crate that a cell is made of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Package {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
}

/// Name and version in a crate's Cargo.toml; a version taken from the workspace is looked up in `root`.
pub fn package(project: &Project, path: &str) -> Result<Package> {
    let file = project.root.join(path).join("Cargo.toml");
    let manifest: Table = toml::from_str(&read_text(&file)?).context(file.display())?;
    let field = |name: &str| manifest.get("package").and_then(|package| package.get(name));
    let root = root_manifest(project)?;
    let inherited = || root.get("workspace")?.get("package")?.get("version")?.as_str();
    let name = field("name").and_then(|name| name.as_str());
    let version = field("version").and_then(|version| version.as_str().or_else(inherited));
    match (name, version) {
        (Some(name), Some(version)) => Ok(Package { name: name.to_owned(), version: version.to_owned() }),
        _ => fail!("{}: no package name and version", file.display()),
    }
}

fn root_manifest(project: &Project) -> Result<Table> {
    let path = project.root.join("Cargo.toml");
    toml::from_str(&read_text(&path)?).context(path.display())
}

/// The package name of a cell's wrapper.
fn wrapper_name(cell: &str) -> String {
    format!("cell_{cell}")
}

/// What a wrapper says of the interface that its cell serves: the builder finds it there for the manifest.
fn served(interface: &str) -> String {
    format!(
        "\nconst SERVED: &[runtime::abi::interface::Label] = {interface}::LABELS;\n\
         #[used]\n\
         #[unsafe(link_section = \".telos.labels\")]\n\
         static LABELS: [[u8; 12]; SERVED.len()] = runtime::abi::interface::Label::encode(SERVED);\n"
    )
}

/// The source of a wrapper; what of a cell for tests goes behind it, and is opened at the entry.
fn wrapper(template: &str, faults: &str, cell: &str, package: &str, interface: Option<&str>) -> String {
    let open = if faults.is_empty() { "" } else { "runtime::forbidden::open(telos_forbidden);" };
    let source = template.replace("@NAME@", cell).replace("@CRATE@", &package.replace('-', "_"));
    source.replace("@FAULTS@", open) + faults + &interface.map_or_else(String::new, served)
}

impl Workspace {
    /// Writes the workspace for these cells.
    ///
    /// # Errors
    /// A crate is not there, or a file cannot be written.
    pub fn generate(project: &Project, cells: &[Cell]) -> Result<Workspace> {
        let folder = project.target.join("cells-workspace");
        let template = read_text(&project.cfg("cell_wrapper.rs.in"))?;
        let faults = read_text(&project.cfg("cell_faults.rs.in"))?;
        let mut members = Vec::new();
        for cell in cells {
            let name = wrapper_name(&cell.name);
            let package = package(project, &cell.path)?;
            let faults = if cell.faults { faults.as_str() } else { "" };
            let source = wrapper(&template, faults, &cell.name, &package.name, cell.interface.as_deref());
            write(&folder.join(&name).join("src/lib.rs"), source.as_bytes())?;
            let path = |inner: &str| toml_string(&project.root.join(inner));
            let manifest = format!(
                "[package]\nname = {name:?}\nversion = {:?}\nedition = \"2024\"\npublish = false\n\n[lib]\ncrate-type = [\"staticlib\"]\n\n\
                 [dependencies]\nruntime = {{ path = {} }}\n{} = {{ path = {} }}\n",
                package.version,
                path("cells/runtime"),
                package.name,
                path(&cell.path),
            );
            write(&folder.join(&name).join("Cargo.toml"), manifest.as_bytes())?;
            members.push(name);
        }
        let mut manifest = Table::new();
        manifest.insert("workspace".into(), toml::Value::Table(workspace_table(members)));
        if let Some(mut profile) = root_manifest(project)?.remove("profile") {
            // What a debugger reads is not in an image, and takes the compiler long.
            if let Some(release) = profile.get_mut("release").and_then(toml::Value::as_table_mut) {
                release.insert("debug".into(), 0.into());
            }
            manifest.insert("profile".into(), profile);
        }
        let text = toml::to_string(&manifest).context("cannot write the generated workspace")?;
        write(&folder.join("Cargo.toml"), text.as_bytes())?;
        copy_lock(project, &folder)?;
        Ok(Workspace { folder, target: project.target.join("cells") })
    }

    /// Fails if a cell depends on a crate that is not on the list, or that runs code in the build and may not.
    ///
    /// # Errors
    /// Names the crate and the list.
    pub fn check_dependencies(&self, project: &Project, allowed: &Allowed) -> Result<Dependencies> {
        let dependencies = Dependencies { metadata: self.metadata(project)? };
        let mut wrong = Vec::new();
        for package in dependencies.packages() {
            let name = text_field(package, "name");
            let foreign = !package.get("source").is_none_or(Value::is_null);
            let targets = package.get("targets").and_then(Value::as_array).into_iter().flatten();
            let builds = targets
                .filter_map(|target| target.get("kind")?.as_array())
                .flatten()
                .any(|kind| kind == "custom-build");
            if foreign && !allowed.crates.contains_key(name) {
                wrong.push(format!("{name} {} is not on the list", text_field(package, "version")));
            }
            if foreign && builds && !allowed.build_scripts.contains_key(name) {
                wrong.push(format!("{name} has a build script and is not on that list"));
            }
        }
        if !wrong.is_empty() {
            fail!("cfg/dependencies.toml does not allow what the cells depend on:\n{}", wrong.join("\n"));
        }
        Ok(dependencies)
    }

    /// What cargo says of the workspace. It is asked again when a manifest or the lock file has changed: nothing else says which
    /// crates there are, and the lock file has the hash of those from the registry.
    fn metadata(&self, project: &Project) -> Result<Value> {
        let (kept, key) = (self.folder.join("metadata.json"), self.folder.join("metadata.key"));
        let now = self.manifests(project)?;
        if fs::read_to_string(&key).is_ok_and(|then| then == now)
            && let Ok(text) = fs::read_to_string(&kept)
        {
            return serde_json::from_str(&text).context(kept.display());
        }
        let mut command = std::process::Command::new("cargo");
        command.args(["metadata", "--format-version", "1", "--filter-platform", TARGET]).current_dir(&self.folder);
        let text = toolchain::output(&mut command)?;
        let metadata = serde_json::from_str(&text).context("cargo metadata")?;
        write(&kept, text.as_bytes())?;
        // Cargo may have written the lock file meanwhile.
        write(&key, self.manifests(project)?.as_bytes())?;
        Ok(metadata)
    }

    /// The hash of every manifest of an own crate, of the generated ones and of the lock files.
    fn manifests(&self, project: &Project) -> Result<String> {
        let mut files = vec![
            project.root.join("Cargo.toml"),
            project.root.join("Cargo.lock"),
            self.folder.join("Cargo.toml"),
            self.folder.join("Cargo.lock"),
        ];
        let rooms = ["cells", "applications", "kernel"].map(|room| project.root.join(room));
        for room in rooms.iter().chain([&self.folder]) {
            for entry in fs::read_dir(room).into_iter().flatten() {
                files.push(entry.context(room.display())?.path().join("Cargo.toml"));
            }
        }
        files.sort();
        let mut all = Vec::new();
        for file in files.iter().filter(|file| file.is_file()) {
            all.extend_from_slice(file.as_os_str().as_encoded_bytes());
            all.extend(sha256(&read(file)?));
        }
        Ok(hex(&sha256(&all)))
    }

    /// Builds every wrapper.
    ///
    /// # Errors
    /// The compiler says no; it has said why.
    pub fn build(&self, project: &Project, allowed: &Allowed, flags: &[String], only: Option<&str>) -> Result<()> {
        let mut flags = flags.to_vec();
        flags.push(crate::policy::fingerprint(allowed));
        let mut command = toolchain::cargo_build(&self.folder, &self.target, &flags);
        let wrapper = std::env::current_exe().context("cannot find this program")?;
        crate::policy::install(&mut command, project, allowed, &wrapper);
        command.arg("--quiet");
        if let Some(cell) = only {
            command.arg("--package").arg(wrapper_name(cell));
        }
        // What the compiler says belongs into the failure when a test builds, and on the terminal in any case.
        toolchain::run_quietly(&mut command).map_err(|Failure(text)| Failure(format!("the cells do not build: {text}")))
    }

    /// The static library of a cell's wrapper.
    pub fn library(&self, cell: &str) -> PathBuf {
        self.target.join(TARGET).join("release").join(format!("lib{}.a", wrapper_name(cell)))
    }
}

fn workspace_table(members: Vec<String>) -> Table {
    let mut table = Table::new();
    table.insert("resolver".into(), "3".into());
    table.insert("members".into(), toml::Value::Array(members.into_iter().map(toml::Value::String).collect()));
    table
}

fn toml_string(path: &Path) -> String {
    toml::Value::String(path.display().to_string()).to_string()
}

/// Takes over the root's versions. Cargo then adds the wrappers to the copy, so it is made only when the root's changes.
fn copy_lock(project: &Project, folder: &Path) -> Result<()> {
    let from = project.root.join("Cargo.lock");
    if !from.is_file() {
        return Ok(());
    }
    let bytes = read(&from)?;
    let taken = folder.join("Cargo.lock.taken");
    if fs::read(&taken).is_ok_and(|old| old == bytes) && folder.join("Cargo.lock").is_file() {
        return Ok(());
    }
    write(&folder.join("Cargo.lock"), &bytes)?;
    write(&taken, &bytes)
}

/// Which crates each cell is made of.
pub struct Dependencies {
    metadata: Value,
}

impl Dependencies {
    fn packages(&self) -> impl Iterator<Item = &Value> {
        self.metadata.get("packages").and_then(Value::as_array).into_iter().flatten()
    }

    /// The crates that are compiled into a cell, by name, without its wrapper.
    pub fn of(&self, cell: &str) -> Vec<Package> {
        let nodes = self.metadata.pointer("/resolve/nodes").and_then(Value::as_array);
        let node = |id: &str| nodes.into_iter().flatten().find(|node| text_field(node, "id") == id);
        let find = |id: &str| self.packages().find(|package| text_field(package, "id") == id);
        let wrapper = wrapper_name(cell);
        let Some(start) = self.packages().find(|package| text_field(package, "name") == wrapper) else {
            return Vec::new();
        };
        let mut queue = vec![text_field(start, "id")];
        let mut seen = queue.clone();
        while let Some(id) = queue.pop() {
            let inner = node(id).and_then(|node| node.get("deps")?.as_array()).into_iter().flatten();
            for next in inner.filter(|next| is_normal(next)).map(|next| text_field(next, "pkg")) {
                if !seen.contains(&next) && !find(next).is_some_and(is_macro) {
                    seen.push(next);
                    queue.push(next);
                }
            }
        }
        let mut packages: Vec<Package> = seen
            .iter()
            .skip(1)
            .filter_map(|id| find(id))
            .map(|package| Package {
                name: text_field(package, "name").into(),
                version: text_field(package, "version").into(),
            })
            .collect();
        packages.sort();
        packages
    }
}

/// True for a dependency that is linked, as opposed to one of the build or the tests.
fn is_normal(dependency: &Value) -> bool {
    let kinds = dependency.get("dep_kinds").and_then(Value::as_array);
    kinds.into_iter().flatten().any(|kind| kind.get("kind").is_none_or(Value::is_null))
}

fn is_macro(package: &Value) -> bool {
    let targets = package.get("targets").and_then(Value::as_array).into_iter().flatten();
    targets.filter_map(|target| target.get("kind")?.as_array()).flatten().any(|kind| kind == "proc-macro")
}

fn text_field<'v>(value: &'v Value, name: &str) -> &'v str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}
