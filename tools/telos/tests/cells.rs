//! The builder on a small tree: what a cell file holds, when it changes, and what fails a build.
#![expect(clippy::tests_outside_test_module, reason = "an integration test is one")]

mod project;

use image::{Archive, Demand, Trust, verify};
use project::Tree;

const IMPORTS: &[&str] = &["telos_k_log", "telos_k_exit"];

fn trust(tree: &Tree) -> Trust<'static> {
    let seed = std::fs::read_to_string(tree.root.join("target/config/telos/signing.key")).expect("a key was made");
    let mut bytes = [0; 32];
    for (index, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&seed[index * 2..index * 2 + 2], 16).expect("hexadecimal");
    }
    let project = telos::project::Project::at(&tree.root, None).expect("a tree");
    let kernel_abi = telos::abi::kernel_abi(&project).expect("declarations").hash;
    Trust { key: image::write::SigningKey::from_seed(bytes).public(), kernel_abi, imports: IMPORTS }
}

#[test]
fn cells_are_described_signed_and_packed_in_boot_order() {
    let tree = Tree::new();
    tree.ok(&["cells"]);
    let packed = tree.built("cells.archive");
    let archive = Archive::open(&packed).expect("an archive");
    let names: Vec<&str> = archive.iter().map(|entry| entry.name).collect();
    assert_eq!(names, ["sum", "echo"]);
    for entry in archive.iter() {
        entry.check().expect("undamaged");
        assert_eq!(entry.bytes, tree.built(&format!("cells/{}.cell", entry.name)));
        let cell = verify(entry.bytes, &trust(&tree)).expect("verifies");
        let mut out = vec![0; cell.layout().bytes() as usize];
        let loaded = cell.relocate(&mut out, 0xffff_ffff_a000_0000, |_| Some(0xffff_ffff_8000_1000)).expect("fits");
        assert!(loaded.text.contains(&loaded.entry));
        let (name, offset) = cell.symbol_at(loaded.entry - loaded.text.start).expect("the entry has a name");
        assert_eq!((name, offset), ("telos_cell_entry", 0));
    }
    let file = tree.built("cells/sum.cell");
    let cell = verify(&file, &trust(&tree)).expect("verifies");
    let manifest = cell.manifest();
    assert_eq!((manifest.name, manifest.version), ("sum", "0.3.1"));
    assert!(manifest.compiler.starts_with("rustc 1."));
    let demands: Vec<_> = manifest.demands.iter().collect();
    assert_eq!(demands, [Demand::Heap(65536), Demand::Stack(16384), Demand::Slots(32), Demand::Capability("clock")]);
    assert_eq!((manifest.schema_written, manifest.schemas_readable.iter().collect::<Vec<_>>()), (2, vec![1, 2]));
    let labels: Vec<_> = manifest.labels.iter().map(|label| (label.label, label.signature)).collect();
    assert_eq!(labels, [(1, 0x4141_4141_4141_4141), (2, 0x4242_4242_4242_4242)]);
    let dependencies: Vec<_> = manifest.dependencies.iter().map(|dependency| dependency.name).collect();
    assert_eq!(dependencies, ["abi", "runtime", "sum"]);
    // The zeroed table and the counter that is not zero.
    assert!(cell.layout().data.end - cell.layout().data.start >= 4808);
}

#[test]
fn an_unchanged_cell_keeps_its_bytes_and_a_changed_one_gets_a_higher_build_number() {
    let tree = Tree::new();
    tree.ok(&["cells"]);
    let (sum, echo) = (tree.built("cells/sum.cell"), tree.built("cells/echo.cell"));
    tree.edit("cells/echo/src/lib.rs", "world", "earth");
    tree.ok(&["cells"]);
    assert_eq!(tree.built("cells/sum.cell"), sum);
    let changed = tree.built("cells/echo.cell");
    assert_ne!(changed, echo);
    let build = |file: &[u8]| verify(file, &trust(&tree)).expect("verifies").manifest().build;
    assert!(build(&changed) > build(&echo));
}

#[test]
fn unsafe_in_a_cell_fails_the_build_with_its_line() {
    let tree = Tree::new();
    tree.edit(
        "cells/echo/src/lib.rs",
        "pub fn main() {",
        "pub fn main() {\n    unsafe { core::hint::unreachable_unchecked() }",
    );
    let said = tree.fails(&["cells"]);
    assert!(said.contains("cells/echo/src/lib.rs:6: unsafe"), "{said}");
}

#[test]
fn unsafe_from_a_macro_of_another_own_crate_fails_the_build() {
    let tree = Tree::new();
    tree.write("cells/helper/Cargo.toml", "[package]\nname = \"helper\"\nversion = \"0.1.0\"\nedition = \"2024\"\n");
    let body = "#![no_std]\n#[macro_export]\nmacro_rules! peek { ($at:expr) => { unsafe { *($at as *const u8) } } }\n";
    tree.write("cells/helper/src/lib.rs", body);
    tree.edit("cells/echo/Cargo.toml", "[dependencies]", "[dependencies]\nhelper = { path = \"../helper\" }");
    tree.edit("cells/echo/src/lib.rs", "pub fn main() {", "pub fn main() {\n    helper::peek!(8);");
    let said = tree.fails(&["cells"]);
    assert!(said.contains("cells/helper/src/lib.rs:3: unsafe"), "{said}");
}

#[test]
fn the_compiler_refuses_what_the_word_does_not_show() {
    let tree = Tree::new();
    // Before edition 2024 this attribute is written without the word.
    tree.edit("cells/echo/Cargo.toml", "edition = \"2024\"", "edition = \"2021\"");
    tree.edit("cells/echo/src/lib.rs", "pub fn main() {", "#[no_mangle]\npub fn memcpy() {}\npub fn main() {");
    let said = tree.fails(&["cells"]);
    assert!(said.contains("unsafe-code") && said.contains("no_mangle"), "{said}");
}

#[test]
fn programs_for_the_host_are_refused_in_own_crates() {
    let tree = Tree::new();
    tree.write("cells/echo/build.rs", "fn main() {}");
    let said = tree.fails(&["cells"]);
    assert!(said.contains("cells/echo/build.rs: a cell has no build script"), "{said}");
    drop(tree);
    let tree = Tree::new();
    tree.write(
        "cells/helper/Cargo.toml",
        "[package]\nname = \"helper\"\nversion = \"0.1.0\"\nedition = \"2024\"\n[lib]\nproc-macro = true\n",
    );
    tree.write("cells/helper/src/lib.rs", "");
    tree.edit("cells/echo/Cargo.toml", "[dependencies]", "[dependencies]\nhelper = { path = \"../helper\" }");
    let said = tree.fails(&["cells"]);
    assert!(said.contains("procedural macro"), "{said}");
}

#[test]
fn a_crate_that_is_not_on_the_list_fails_the_build() {
    let tree = Tree::new();
    tree.edit("cells/echo/Cargo.toml", "[dependencies]", "[dependencies]\ncfg-if = \"1\"");
    tree.edit("cfg/dependencies.toml", "cfg-if = ", "# cfg-if = ");
    let said = tree.fails(&["cells"]);
    assert!(said.contains("cfg-if 1") && said.contains("is not on the list"), "{said}");
}

#[test]
fn a_cell_that_needs_another_import_is_refused_before_it_is_written() {
    let tree = Tree::new();
    tree.edit("cells/abi/src/kernel.rs", "pub fn telos_k_log", "pub fn telos_x_log");
    tree.edit("cells/runtime/src/lib.rs", "telos_k_log", "telos_x_log");
    let said = tree.fails(&["cells"]);
    assert!(said.contains("would be refused: telos_x_log is not a kernel function"), "{said}");
}

#[test]
fn the_kernel_s_surface_has_every_file_of_its_folder() {
    let tree = Tree::new();
    let project = telos::project::Project::at(&tree.root, None).expect("project");
    let hash = || telos::abi::kernel_abi(&project).expect("declarations").hash;
    let before = hash();
    tree.write("cells/abi/src/kernel/part.rs", "//! Words.\n");
    assert_eq!(hash(), before);
    tree.write("cells/abi/src/kernel/part.rs", "pub struct Part(u64);\n");
    assert_ne!(hash(), before);
}

/// What the fault stubs refer to, in the stand-ins for ABI and runtime.
fn with_stand_ins_for_faults() -> Tree {
    let tree = Tree::new();
    let answer = "
        pub struct Answer { pub status: u64 }
        pub struct RawCap { pub slot: u64, pub generation: u64 }
        pub struct Reception { pub endpoint: RawCap, pub reply: RawCap, pub timeout: u64 }
        pub struct Letter { pub label: u32, pub words: [u64; 3] }
        impl Letter { pub const FAILURE: u32 = 1; }
        pub const TIMEOUT_NONE: u64 = 0;
        pub unsafe fn call(_: [u64; 3], _: u64, _: u64) -> Answer { Answer { status: 0 } }
        pub unsafe fn receive(_: *const Reception) -> Letter { Letter { label: 0, words: [0; 3] } }
    ";
    tree.edit("cells/abi/src/kernel.rs", "unsafe extern", &format!("{answer}unsafe extern"));
    let reply = "pub fn telos_k_reply(a: u64, b: u64, c: u64, d: u64, e: u64, f: *const u8) -> Answer;\n    /// Ends";
    tree.edit("cells/abi/src/kernel.rs", "/// Ends", reply);
    let act = "
        Read(usize), Write(usize), Call(usize), UndefinedInstruction, GeneralProtection, Reply(RawCap), Send(RawCap, u32),
        Receive(RawCap, RawCap)
    ";
    let door = format!(
        "pub use abi;\npub mod forbidden {{\n    use abi::kernel::RawCap;\n    pub enum Act {{ {act} }}\n    pub fn open(door: fn(Act) -> u64) {{ core::hint::black_box(door); }}\n}}\n"
    );
    tree.edit("cells/runtime/src/lib.rs", "use core::alloc", &format!("{door}use core::alloc"));
    tree
}

fn has_fault_stubs(tree: &Tree, cell: &str) -> bool {
    let file = tree.built(&format!("cells/{cell}.cell"));
    file.windows(15).any(|bytes| bytes == b"telos_forbidden")
}

#[test]
fn fault_stubs_are_in_the_cells_that_ask_for_them_alone() {
    let tree = with_stand_ins_for_faults();
    tree.edit("cfg/boot.toml", "slots = 16", "slots = 16\ntest = true\nfaults = true");
    tree.ok(&["cells"]);
    assert!(has_fault_stubs(&tree, "echo"));
    assert!(!has_fault_stubs(&tree, "sum"));
}

#[test]
fn fault_stubs_are_refused_in_a_cell_that_is_not_for_tests() {
    let tree = Tree::new();
    tree.edit("cfg/boot.toml", "slots = 16", "slots = 16\nfaults = true");
    let said = tree.fails(&["cells"]);
    assert!(said.contains("the cell echo has `faults` without `test`"), "{said}");
}
