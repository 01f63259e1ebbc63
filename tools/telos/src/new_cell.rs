//! `new-cell`: a server to begin from, out of the templates in `cfg/new_cell`.
//!
//! The crate goes to `cells/NAME`, where the workspace finds it, and an entry to the end of `cfg/boot.toml`, where the builder does.
//! A name that something has already is refused, and nothing is written then.

use std::fs;
use std::path::Path;

use toml::{Table, Value};

use crate::config::boot_set;
use crate::fail;
use crate::failure::{Context, Result};
use crate::project::{Project, read_text, write};

/// The longest name that a manifest holds.
const LONGEST: usize = 32;
/// The folders whose crates have names.
const ROOMS: [&str; 4] = ["cells", "applications", "kernel", "tools"];
/// Words that no crate can be named by, or that stand for a crate that comes with the compiler.
const RESERVED: [&str; 52] = [
    "abstract",
    "alloc",
    "as",
    "async",
    "await",
    "become",
    "box",
    "break",
    "const",
    "continue",
    "core",
    "crate",
    "do",
    "dyn",
    "else",
    "enum",
    "extern",
    "false",
    "final",
    "fn",
    "for",
    "gen",
    "if",
    "impl",
    "in",
    "let",
    "loop",
    "macro",
    "match",
    "mod",
    "move",
    "mut",
    "override",
    "priv",
    "proc_macro",
    "pub",
    "ref",
    "return",
    "self",
    "static",
    "std",
    "struct",
    "super",
    "test",
    "trait",
    "true",
    "try",
    "type",
    "unsafe",
    "use",
    "where",
    "while",
];

/// Makes a cell; answers what there is to say.
///
/// # Errors
/// The name is no cell's, or is taken; a file cannot be written.
pub fn create(project: &Project, name: &str) -> Result<String> {
    if let Some(wrong) = wrong_name(name) {
        fail!("`{name}` cannot name a cell: {wrong}; type for example `make new-cell NAME=greeter`");
    }
    if let Some(owner) = owner(project, name)? {
        fail!("the name `{name}` is taken by {owner}; choose another");
    }
    let template = |file: &str| Ok(read_text(&project.cfg("new_cell").join(file))?.replace("@NAME@", name));
    let (manifest, source) = (template("Cargo.toml.in")?, template("lib.rs.in")?);
    let folder = project.root.join("cells").join(name);
    write(&folder.join("Cargo.toml"), manifest.as_bytes())?;
    write(&folder.join("src/lib.rs"), source.as_bytes())?;
    let boot = project.cfg("boot.toml");
    let entry = format!(
        "\n[[cell]]\nname = \"{name}\"\npath = \"cells/{name}\"\nheap = 0x40000\nstack = 0x10000\nslots = 64\n\
         interface = \"{name}::Visits\"\nschema = 1\nreadable = [1]\n"
    );
    write(&boot, (read_text(&boot)? + &entry).as_bytes())?;
    Ok(format!(
        "cells/{name} is a server that works, and its comments are a guide; cfg/boot.toml has an entry for it\n\
         cargo test -p {name}     tests it on this machine\n\
         make push CELL={name}    sends it to the system that `make run` runs; there, `spawn {name}` starts it"
    ))
}

/// What is wrong with a name.
fn wrong_name(name: &str) -> Option<String> {
    let is_part = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    if !name.starts_with(|c: char| c.is_ascii_lowercase()) || !name.chars().all(is_part) {
        return Some("a name is of a-z, 0-9 and _, and begins with a letter".into());
    }
    if name.len() > LONGEST {
        return Some(format!("it has {} letters, and {LONGEST} are the most", name.len()));
    }
    RESERVED.contains(&name).then(|| "the language has the word for itself".into())
}

/// Who has a name already: a cell, a folder, or a crate that some crate depends on.
fn owner(project: &Project, name: &str) -> Result<Option<String>> {
    if boot_set(project)?.iter().any(|cell| cell.name == name) {
        return Ok(Some("a cell of cfg/boot.toml".into()));
    }
    if let Some(room) = ROOMS.iter().find(|room| project.root.join(room).join(name).exists()) {
        return Ok(Some(format!("{room}/{name}")));
    }
    let is_crate = crates(&project.root.join("Cargo.lock"))?.iter().any(|known| known.replace('-', "_") == name);
    Ok(is_crate.then(|| "a crate in Cargo.lock".into()))
}

/// The names of all crates in a lock file; none where there is no such file.
fn crates(lock: &Path) -> Result<Vec<String>> {
    if !fs::exists(lock).context(lock.display())? {
        return Ok(Vec::new());
    }
    let lock: Table = toml::from_str(&read_text(lock)?).context(lock.display())?;
    let packages = lock.get("package").and_then(Value::as_array).into_iter().flatten();
    Ok(packages.filter_map(|package| Some(package.get("name")?.as_str()?.to_owned())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::project::read;

    fn scratch(name: &str) -> Project {
        let root = std::env::temp_dir().join(format!("telos-new-cell-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&root);
        let tree = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        for file in ["Cargo.lock", "cfg/boot.toml", "cfg/new_cell/Cargo.toml.in", "cfg/new_cell/lib.rs.in"] {
            write(&root.join(file), &read(&tree.join(file)).expect("it is in the tree")).expect("written");
        }
        fs::create_dir_all(root.join("kernel/image")).expect("a folder");
        Project::at(&root, None).expect("it is there")
    }

    fn refusal(project: &Project, name: &str) -> String {
        let before = read(&project.cfg("boot.toml")).expect("it is there");
        let refusal = create(project, name).err().unwrap_or_else(|| panic!("{name} was taken")).0;
        assert_eq!(read(&project.cfg("boot.toml")).expect("it is there"), before);
        refusal
    }

    #[test]
    fn a_cell_is_made_once() {
        let project = scratch("once");
        let said = create(&project, "greeter").expect("made");
        assert!(said.contains("make push CELL=greeter"), "{said}");
        let cells = boot_set(&project).expect("well-formed");
        assert!(cells.iter().any(|cell| cell.name == "greeter" && cell.path == "cells/greeter"));
        let source = read_text(&project.root.join("cells/greeter/src/lib.rs")).expect("it is there");
        assert!(source.contains("cargo test -p greeter") && !source.contains('@'), "{source}");
        assert!(refusal(&project, "greeter").contains("is taken by a cell of cfg/boot.toml"));
        fs::remove_dir_all(&project.root).expect("clean up");
    }

    #[test]
    fn names_that_cannot_be_are_refused() {
        let project = scratch("names");
        for (name, why) in [
            ("", "begins with a letter"),
            ("9lives", "begins with a letter"),
            ("Greeter", "is of a-z, 0-9 and _"),
            ("my-cell", "is of a-z, 0-9 and _"),
            ("../x", "is of a-z, 0-9 and _"),
            ("caf\u{e9}", "is of a-z, 0-9 and _"),
            ("a_name_that_is_longer_than_a_manifest_holds", "32 are the most"),
            ("loop", "the language has the word"),
            ("core", "the language has the word"),
            ("memory", "is taken by a cell of cfg/boot.toml"),
            ("image", "is taken by kernel/image"),
            ("virtio_drivers", "is taken by a crate in Cargo.lock"),
        ] {
            let refusal = refusal(&project, name);
            assert!(refusal.contains(why), "{name}: {refusal}");
        }
        fs::remove_dir_all(&project.root).expect("clean up");
    }
}
