//! The runner on a small kernel: exit statuses, scripts, the state file, and every kind of test.
#![expect(clippy::tests_outside_test_module, reason = "an integration test is one")]

mod project;

use std::fs;
use std::io::Write;
use std::process::{Child, Stdio};

use project::{Tree, text};

/// Runs with a script on standard input; answers exit status and output.
fn typed(tree: &Tree, script: &str, timeout: &str) -> (Option<i32>, String) {
    let mut child = started(tree, timeout);
    child.stdin.take().expect("piped").write_all(script.as_bytes()).expect("typed");
    let done = child.wait_with_output().expect("telos ends");
    (done.status.code(), text(&done))
}

/// Runs with a script that is still to come.
fn started(tree: &Tree, timeout: &str) -> Child {
    let mut command = tree.telos(&["run"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).env("TIMEOUT", timeout);
    command.spawn().expect("telos starts")
}

#[test]
fn a_script_is_typed_line_by_line_and_the_machine_shuts_down() {
    let tree = Tree::new();
    let state = tree.root.join("telos_state.fs");
    let _ = fs::remove_file(&state);
    let (code, said) = typed(&tree, "one\ntwo\n", "120");
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("telos> one\nyou said one\ntelos> two\nyou said two\ntelos> shutdown\n"), "{said}");
    assert!(!said.contains(|c: char| c.is_control() && c != '\n'), "{said:?}");
    assert_eq!(fs::metadata(&state).expect("made").len(), 256 << 20);
    // What stands behind `reboot` is typed in the next boot.
    let (code, said) = typed(&tree, "one\nreboot\ntwo\n", "120");
    assert_eq!(code, Some(0), "{said}");
    let next = said.split("shell: rebooting").nth(1).unwrap_or_default();
    assert!(
        next.contains("root task started") && next.contains("you said two") && !next.contains("said one"),
        "{said}"
    );
    fs::write(&state, [0; 512]).expect("written");
    let (code, said) = typed(&tree, "shutdown\n", "120");
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(fs::read(&state).expect("kept"), [0; 512]);
    fs::remove_file(&state).expect("clean up");
}

#[test]
fn failures_have_a_status_and_a_reason() {
    let tree = Tree::new();
    let (code, said) = typed(&tree, "panic\nmore\n", "120");
    assert!(code == Some(3) && said.contains("the kernel panicked: kernel panic: asked to"), "{code:?} {said}");
    let (code, said) = typed(&tree, "reset\n", "120");
    assert!(code == Some(1) && said.contains("was reset, and nobody had typed `reboot`"), "{code:?} {said}");
    assert!(said.contains("the state file was ") && said.contains("telos_state.fs"), "{said}");
    // The prompt shows, and nobody types.
    let mut child = started(&tree, "4");
    let typist = child.stdin.take();
    let done = child.wait_with_output().expect("telos ends");
    let (code, said) = (done.status.code(), text(&done));
    assert!(code == Some(5) && said.contains("did not end within 4 s"), "{code:?} {said}");
    drop(typist);
    // No prompt shows.
    tree.edit("kernel/nucleus/src/main.rs", "\\r\\ntelos> ", "\\r\\nhush> ");
    let (code, said) = typed(&tree, "", "4");
    assert!(code == Some(5) && said.contains("did not end within 4 s"), "{code:?} {said}");
}

#[test]
fn a_file_that_is_no_state_is_neither_booted_nor_deleted() {
    let tree = Tree::new();
    let foreign = tree.root.join("target/photographs.fs");
    fs::create_dir_all(tree.root.join("target")).expect("made");
    fs::write(&foreign, "my holiday photographs").expect("written");
    for command in ["run", "fresh"] {
        let done = tree.telos(&[command]).env("STATE", &foreign).output().expect("telos starts");
        let said = text(&done);
        assert_eq!(done.status.code(), Some(1), "{said}");
        assert!(said.contains("photographs.fs holds something else than a TelOS state"), "{said}");
        assert!(said.contains("STATE="), "{said}");
        assert_eq!(fs::read_to_string(&foreign).expect("kept"), "my holiday photographs");
    }
    fs::write(&foreign, [0; 4096]).expect("written");
    let fresh = || {
        let done = tree.telos(&["fresh"]).env("STATE", &foreign).output().expect("telos starts");
        (done.status.code(), text(&done))
    };
    let (code, said) = fresh();
    assert!(code == Some(0) && said.contains("deleted ") && said.contains("photographs.fs: 4096 bytes"), "{said}");
    assert!(!foreign.exists());
    let (code, said) = fresh();
    assert!(code == Some(0) && said.contains("nothing to delete"), "{said}");
}

#[test]
fn every_kind_of_test_runs_and_is_counted() {
    let tree = Tree::new();
    let done = tree.telos(&["test"]).output().expect("telos starts");
    assert!(done.status.success(), "{}", text(&done));
    let said = String::from_utf8_lossy(&done.stdout);
    for name in ["build", "two", "a_stop_is_reported", "uefi_boot_to_prompt", "boot_to_prompt"] {
        assert!(said.contains(&format!("test {name} ... ok")), "{said}");
    }
    assert!(said.trim_end().ends_with("7 passed, 0 failed"), "{said}");
    tree.edit("kernel/nucleus/src/main.rs", "two ... ok\\r\\n2 passed, 0", "two ... FAILED\\r\\n1 passed, 1");
    tree.edit("cfg/machine-tests.toml", "asked to", "its own idea");
    let said = tree.fails(&["test"]);
    assert!(said.contains("\n5 passed, 2 failed\n"), "{said}");
}
