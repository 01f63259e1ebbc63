//! The runner on a small kernel: exit statuses, scripts, the state file, and every kind of test.
#![expect(clippy::tests_outside_test_module, reason = "an integration test is one")]

mod project;

use std::fs;
use std::io::Write;
use std::process::Stdio;

use project::{Tree, text};

/// Runs with a script on standard input.
fn typed(tree: &Tree, script: &str, timeout: &str) -> (bool, String) {
    let mut command = tree.telos(&["run"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).env("TIMEOUT", timeout);
    let mut child = command.spawn().expect("telos starts");
    child.stdin.take().expect("piped").write_all(script.as_bytes()).expect("typed");
    let done = child.wait_with_output().expect("telos ends");
    (done.status.success(), text(&done))
}

#[test]
fn a_script_is_typed_line_by_line_and_the_machine_shuts_down() {
    let tree = Tree::new();
    let (ok, said) = typed(&tree, "one\ntwo\n", "120");
    assert!(ok, "{said}");
    assert!(said.contains("telos> one\r\nyou said one\r\ntelos> two\r\nyou said two\r\ntelos> shutdown"), "{said}");
    let state = tree.root.join("telos_state.fs");
    assert_eq!(fs::metadata(&state).expect("made").len(), 256 << 20);
    fs::write(&state, [7; 512]).expect("written");
    let (ok, said) = typed(&tree, "shutdown\n", "120");
    assert!(ok, "{said}");
    assert_eq!(fs::read(&state).expect("kept"), [7; 512]);
    fs::remove_file(&state).expect("clean up");
}

#[test]
fn failures_have_a_status_and_a_reason() {
    let tree = Tree::new();
    let (ok, said) = typed(&tree, "panic\nmore\n", "120");
    assert!(!ok && said.contains("the kernel panicked"), "{said}");
    let (ok, said) = typed(&tree, "reset\n", "120");
    assert!(!ok && said.contains("the machine ended"), "{said}");
    tree.edit("kernel/nucleus/src/main.rs", "\\r\\ntelos> ", "\\r\\nhush> ");
    let (ok, said) = typed(&tree, "", "4");
    assert!(!ok && said.contains("the deadline passed"), "{said}");
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
    assert!(said.trim_end().ends_with("6 passed, 0 failed"), "{said}");
    tree.edit("kernel/nucleus/src/main.rs", "two ... ok\\r\\n2 passed, 0", "two ... FAILED\\r\\n1 passed, 1");
    tree.edit("cfg/machine-tests.toml", "asked to", "its own idea");
    let said = tree.fails(&["test"]);
    assert!(said.contains("\n4 passed, 2 failed\n"), "{said}");
}
