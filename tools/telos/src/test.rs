//! `test`: every kind of test in order, and one line of totals at the end.
//!
//! Host tests, in-kernel tests under BIOS, a boot under UEFI, scenarios. A kind that fails does not keep the next from
//! running. Each test prints `test NAME ... ok` or `FAILED`; the last line is `N passed, N failed`.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::cli::{Settings, build};
use crate::config::MachineTest;
use crate::crash_test::kills;
use crate::failure::{Context, Result};
use crate::iso::{self, Boot, Firmware};
use crate::project::Project;
use crate::qemu::{Echo, Machine, Outcome};
use crate::run::make_state;
use crate::scenarios::{self, PATIENCE, Scenario, Stage};
use crate::{bench, config, fail, kernel, mutants, reboot, stops, toolchain};

/// How many tests passed and failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    passed: usize,
    failed: usize,
}

impl Totals {
    fn add(&mut self, other: Totals) {
        self.passed += other.passed;
        self.failed += other.failed;
    }

    /// Runs one test, prints its line and counts it.
    pub(crate) fn count(&mut self, name: &str, test: impl FnOnce() -> Result<()>) {
        match test() {
            Ok(()) => {
                println!("test {name} ... ok");
                self.passed += 1;
            }
            Err(failure) => {
                println!("test {name} ... FAILED\n{failure}");
                self.failed += 1;
            }
        }
    }

    /// Prints the totals.
    ///
    /// # Errors
    /// A test failed, or there was none.
    pub fn report(self) -> Result<()> {
        println!("{} passed, {} failed", self.passed, self.failed);
        if self.failed > 0 || self.passed == 0 {
            fail!("not all tests passed");
        }
        Ok(())
    }
}

/// Runs everything.
///
/// # Errors
/// A test failed, or there was none.
pub fn all(project: &Project, _settings: &Settings) -> Result<()> {
    let mut totals = host(project)?;
    let mut built = None;
    totals.count("build", || {
        built = Some(build(project, "")?);
        Ok(())
    });
    if let Some(boot) = built {
        totals.count("kernel_has_no_symbol_of_a_cell", || kernel::check_symbols(project));
        machine_tests(project, "", &mut totals)?;
        let set = config::boot_set(project)?;
        let has = |name: &str| set.iter().any(|cell| cell.name == name);
        if has("bench") {
            totals.count("a_call_takes_at_most_155_instructions", || bench::gate(project));
        }
        let uefi = Scenario { name: "uefi_boot_to_prompt", ..scenarios::ALL[0] };
        let stage = |firmware| Boot { firmware, ..boot.clone() };
        scenario(project, stage(Firmware::Uefi), &uefi, &mut totals);
        let fits = |each: &&Scenario| each.needs.is_none_or(has);
        for each in scenarios::ALL.iter().filter(fits) {
            scenario(project, stage(Firmware::Bios), each, &mut totals);
        }
    }
    totals.report()
}

/// Runs the host tests only.
///
/// # Errors
/// A test failed, or there was none.
pub fn host_only(project: &Project) -> Result<()> {
    host(project)?.report()
}

/// Runs the tests in the machine and the scenarios whose names contain a word.
///
/// # Errors
/// One failed, or there is none.
pub fn scenarios_named(project: &Project, name: &str) -> Result<()> {
    let boot = build(project, "")?;
    let mut totals = Totals::default();
    machine_tests(project, name, &mut totals)?;
    for each in scenarios::ALL.iter().filter(|each| each.name.contains(name)) {
        scenario(project, boot.clone(), each, &mut totals);
    }
    totals.report()
}

/// The tests that `test` runs in short, at length.
const SOAK: [(&str, &str); 1] = [("probe_with_10000_kills", "probe kills=10000")];
/// Machines that are killed under load.
const MACHINES_KILLED: u64 = 50;
/// How long one of them may take.
const SOAK_PATIENCE: Duration = Duration::from_secs(3600);

/// Runs what `test` runs with short counts, with the full ones, and asks whether the tests would notice a missing check.
///
/// # Errors
/// One failed.
pub fn soak(project: &Project) -> Result<()> {
    build(project, "")?;
    let mut totals = Totals::default();
    for (name, words) in SOAK {
        totals.add(in_machine(project, name, words, SOAK_PATIENCE)?);
    }
    totals.count("kills_of_machines_under_load", || {
        let boot = Boot::new(iso::make(project, "")?, Firmware::Bios);
        let folder = project.target.join("scenarios/kills_of_machines_under_load");
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).context(folder.display())?;
        kills::run(&boot, &folder, MACHINES_KILLED, 1)
    });
    totals.add(mutants::run(project, "")?);
    totals.report()
}

/// The tests in the machine whose names contain a word.
fn machine_tests(project: &Project, word: &str, totals: &mut Totals) -> Result<()> {
    for (name, test) in config::machine_tests(project)?.into_iter().filter(|(name, _)| name.contains(word)) {
        match test {
            MachineTest::Totals(word) => totals.add(in_machine(project, &name, &word, PATIENCE)?),
            MachineTest::Stop(stop) => totals.count(&name, || stops::run(project, &stop)),
        }
    }
    Ok(())
}

/// Runs the scenario that spans a reboot.
///
/// # Errors
/// It failed.
pub fn reboot(project: &Project, settings: &Settings) -> Result<()> {
    let mut totals = Totals::default();
    totals.count("test_reboot", || match settings.state {
        Some(_) => reboot::second_half_of(project, settings),
        None => reboot::both_halves(project),
    });
    totals.report()
}

fn scenario(project: &Project, boot: Boot, scenario: &Scenario, totals: &mut Totals) {
    totals.count(scenario.name, || {
        let folder = project.target.join("scenarios").join(scenario.name);
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).context(folder.display())?;
        (scenario.run)(&Stage { project: project.clone(), boot, folder })
    });
}

/// The crates whose tests cannot run on the host: the kernel's binary, and those that say so in their Cargo.toml
/// (`[package.metadata.telos] host-tests = false`).
///
/// # Errors
/// cargo says no.
pub fn not_for_host(project: &Project) -> Result<Vec<String>> {
    let mut command = Command::new("cargo");
    command.args(["metadata", "--format-version", "1", "--no-deps"]).current_dir(&project.root);
    let metadata: Value = serde_json::from_str(&toolchain::output(&mut command)?).context("cargo metadata")?;
    let packages = metadata.get("packages").and_then(Value::as_array);
    let named = packages.into_iter().flatten().filter(|package| {
        let says_no = package.pointer("/metadata/telos/host-tests").and_then(Value::as_bool) == Some(false);
        says_no || package.get("name").is_some_and(|name| name == "nucleus")
    });
    Ok(named.filter_map(|package| Some(package.get("name")?.as_str()?.to_owned())).collect())
}

/// `cargo test`, with a line for each test program and in full what failed.
fn host(project: &Project) -> Result<Totals> {
    let mut command = Command::new("cargo");
    command.current_dir(&project.root).args(["test", "--workspace", "--no-fail-fast"]);
    for name in not_for_host(project)? {
        command.args(["--exclude", &name]);
    }
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().context("cannot start cargo")?;
    let output = child.stdout.take().ok_or("no output").context("cargo")?;
    let mut totals = Totals::default();
    for line in BufReader::new(output).lines() {
        let line = line.context("cargo")?;
        if let Some(counted) = result_line(&line) {
            totals.add(counted);
        } else if !line.is_empty() && !line.ends_with("... ok") && !line.starts_with("running ") {
            println!("{line}");
        }
    }
    let status = child.wait().context("cargo")?;
    if !status.success() && totals.failed == 0 {
        // A test program that does not build or dies says nothing that can be counted.
        println!("test host_tests ... FAILED\ncargo test: {status}");
        totals.failed += 1;
    }
    println!("host tests: {} passed, {} failed", totals.passed, totals.failed);
    Ok(totals)
}

/// The counts in `test result: ok. 3 passed; 0 failed; ...`.
fn result_line(line: &str) -> Option<Totals> {
    let rest = line.strip_prefix("test result: ")?;
    let count = |noun: &str| {
        let words: Vec<&str> = rest.split([' ', ';', '.']).filter(|word| !word.is_empty()).collect();
        words.windows(2).find_map(|pair| match pair {
            [number, word] if *word == noun => number.parse().ok(),
            _ => None,
        })
    };
    Some(Totals { passed: count("passed")?, failed: count("failed")? })
}

/// The counts in the kernel's `3 passed, 0 failed`.
fn kernel_totals(transcript: &str) -> Option<Totals> {
    transcript.lines().rev().find_map(|line| {
        let (passed, rest) = line.trim().split_once(" passed, ")?;
        let failed = rest.strip_suffix(" failed")?;
        Some(Totals { passed: passed.parse().ok()?, failed: failed.parse().ok()? })
    })
}

/// Tests that run inside the machine, chosen by a word of the kernel's command line, and what they print.
fn in_machine(project: &Project, name: &str, words: &str, patience: Duration) -> Result<Totals> {
    let mut totals = Totals::default();
    let mut counted = None;
    totals.count(name, || {
        let boot = Boot::new(iso::make(project, words)?, Firmware::Bios);
        let folder = project.target.join("scenarios").join(name);
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).context(folder.display())?;
        let state = folder.join("state.fs");
        make_state(&state)?;
        let mut machine = Machine::spawn(&boot, Some(&state), Echo::Silent)?;
        let text = machine.expect(" failed\n", patience)?;
        for line in text.lines().filter(|line| line.starts_with("test ")) {
            println!("{line}");
        }
        counted = kernel_totals(&text);
        match (counted, machine.wait(PATIENCE)?) {
            (None, _) => fail!("the machine printed no totals"),
            (Some(Totals { failed: 0, .. }), Outcome::Clean) => Ok(()),
            (Some(found), outcome) => fail!("{} failed, {outcome:?}", found.failed),
        }
    });
    // The kernel's own counts stand for the run, unless the run as a whole failed although each test passed.
    if let Some(found) = counted.filter(|found| found.failed > 0 || totals.failed == 0) {
        totals = found;
    }
    Ok(totals)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_read_from_cargo_and_from_the_kernel() {
        let line = "test result: FAILED. 12 passed; 3 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s";
        assert_eq!(result_line(line), Some(Totals { passed: 12, failed: 3 }));
        assert_eq!(result_line("test x ... ok"), None);
        assert_eq!(kernel_totals("test a ... ok\n4 passed, 1 failed\n"), Some(Totals { passed: 4, failed: 1 }));
        assert_eq!(kernel_totals("booting\n"), None);
    }

    #[test]
    fn no_tests_at_all_is_a_failure() {
        assert!(Totals::default().report().is_err());
        assert!(Totals { passed: 1, failed: 0 }.report().is_ok());
        assert!(Totals { passed: 1, failed: 1 }.report().is_err());
    }
}
