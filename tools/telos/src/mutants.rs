//! `mutants`: a check that nobody would miss is no check. Each one in the path of a call is taken out of a copy of the tree, and the
//! test that watches over it must turn red.
//!
//! `cfg/mutants.toml` lists what is taken out and which test must notice. The copy and all that is built of it lie in the target
//! folder. A text that is not found exactly once is a failure too: the list then no longer says what it was written for.
//!
//! A test turns red when it says so, and also when the machine stops or says nothing any more while that test alone runs, or before.
//! The tests are run on the unchanged copy first, where each must pass.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde::Deserialize;

use crate::fail;
use crate::failure::{Context, Result};
use crate::iso::{self, Boot, Firmware};
use crate::project::{Project, read, read_text, write};
use crate::qemu::{Echo, Machine, Stopped};
use crate::run::make_state;
use crate::scenarios::{self, Stage};
use crate::test::Totals;
use crate::{cells, kernel};

/// How long one test may take in the machine: a waiting test gives up by itself after a twentieth of it.
const PATIENCE: Duration = Duration::from_secs(100);
/// What lies in the root of the tree and is no part of a build.
const NOT_COPIED: [&str; 3] = ["target", "build", ".git"];

/// A change of the tree that a test must notice.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Mutant {
    /// What the system would do without the check.
    what: String,
    /// The file, from the root of the tree.
    file: String,
    /// The text that is taken out; it is there once.
    text: String,
    /// What stands there instead.
    instead: String,
    /// A test of the probe that turns red.
    probe: Option<String>,
    /// A host test that turns red, as `CRATE::NAME`.
    host: Option<String>,
    /// A scenario that turns red.
    scenario: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    mutant: Vec<Mutant>,
}

/// A test that watches over a check.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Watch {
    /// In the machine, by its name.
    Probe(String),
    /// On the host: the crate, and the name.
    Host(String, String),
    /// A scenario, by its name.
    Scenario(String),
}

/// What a test said.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Verdict {
    Passed,
    /// With what showed it.
    Red(String),
}

impl Mutant {
    fn watches(&self) -> Result<Vec<Watch>> {
        let mut watches: Vec<Watch> = self.probe.iter().cloned().map(Watch::Probe).collect();
        if let Some(host) = &self.host {
            let (package, test) = host.split_once("::").ok_or(host).context("a host test is CRATE::NAME")?;
            watches.push(Watch::Host(package.into(), test.into()));
        }
        watches.extend(self.scenario.iter().cloned().map(Watch::Scenario));
        if watches.is_empty() {
            fail!("no test is named for the mutant `{}`", self.what);
        }
        Ok(watches)
    }

    /// The file without the check.
    fn apply(&self, source: &str) -> Result<String> {
        match source.matches(&self.text).count() {
            1 => Ok(source.replacen(&self.text, &self.instead, 1)),
            found => fail!("{} has {found} times what the mutant `{}` takes out", self.file, self.what),
        }
    }
}

/// Runs every mutant; a word chooses those in whose description it stands.
///
/// # Errors
/// A check is not watched over, or the list does not fit the tree.
pub fn run(project: &Project, word: &str) -> Result<Totals> {
    let path = project.cfg("mutants.toml");
    let list: List = toml::from_str(&read_text(&path)?).context(path.display())?;
    let chosen: Vec<Mutant> = list.mutant.into_iter().filter(|mutant| mutant.what.contains(word)).collect();
    let copy = Copy::make(project)?;
    let mut totals = Totals::default();
    let mut watches = BTreeSet::new();
    for mutant in &chosen {
        watches.extend(mutant.watches()?);
    }
    println!("the unchanged copy first: {} tests", watches.len());
    copy.build()?;
    for watch in watches {
        totals.count(&watch.name(), || match copy.judge(&watch)? {
            Verdict::Passed => Ok(()),
            Verdict::Red(why) => fail!("it fails without any change: {why}"),
        });
    }
    for mutant in chosen {
        totals.count(&format!("mutant: {}", mutant.what), || copy.try_out(&mutant));
    }
    Ok(totals)
}

impl Watch {
    fn name(&self) -> String {
        match self {
            Watch::Probe(test) | Watch::Scenario(test) => test.clone(),
            Watch::Host(package, test) => format!("{package}::{test}"),
        }
    }
}

/// A copy of the tree, with its own builds.
struct Copy {
    project: Project,
}

impl Copy {
    /// Makes the copy as the tree is now. Files that did not change are left alone, so that little is built again.
    fn make(project: &Project) -> Result<Copy> {
        let folder = project.target.join("mutants");
        let root = folder.join("tree");
        let mut files = BTreeSet::new();
        list_files(&project.root, &PathBuf::new(), &mut files)?;
        for file in &files {
            write(&root.join(file), &read(&project.root.join(file))?)?;
        }
        let mut there = BTreeSet::new();
        list_files(&root, &PathBuf::new(), &mut there)?;
        for stale in there.difference(&files) {
            fs::remove_file(root.join(stale)).context(stale.display())?;
        }
        Ok(Copy { project: Project::at(&root, Some(folder.join("build")))? })
    }

    fn build(&self) -> Result<()> {
        cells::build(&self.project)?;
        kernel::build(&self.project)
    }

    /// Takes a check out, asks the tests, and puts it back.
    fn try_out(&self, mutant: &Mutant) -> Result<()> {
        let path = self.project.root.join(&mutant.file);
        let source = read_text(&path)?;
        write(&path, mutant.apply(&source)?.as_bytes())?;
        let tried = self.is_noticed(mutant);
        write(&path, source.as_bytes())?;
        tried
    }

    fn is_noticed(&self, mutant: &Mutant) -> Result<()> {
        let watches = mutant.watches()?;
        if watches.iter().any(|watch| !matches!(watch, Watch::Host(..))) {
            self.build()?;
        }
        for watch in watches {
            match self.judge(&watch)? {
                Verdict::Red(why) => println!("  {}: {why}", watch.name()),
                Verdict::Passed => fail!("{} does not notice", watch.name()),
            }
        }
        Ok(())
    }

    fn judge(&self, watch: &Watch) -> Result<Verdict> {
        match watch {
            Watch::Probe(test) => self.judge_in_machine(test),
            Watch::Host(package, test) => self.judge_on_host(package, test),
            Watch::Scenario(name) => self.judge_by_scenario(name),
        }
    }

    fn judge_by_scenario(&self, name: &str) -> Result<Verdict> {
        let Some(scenario) = scenarios::ALL.iter().find(|each| each.name == name) else {
            fail!("there is no scenario `{name}`");
        };
        let boot = Boot::new(iso::make_named(&self.project, "mutant", "")?, Firmware::Bios);
        let folder = self.project.target.join("scenarios").join(name);
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).context(folder.display())?;
        match (scenario.run)(&Stage { project: self.project.clone(), boot, folder }) {
            Ok(()) => Ok(Verdict::Passed),
            Err(failure) => Ok(Verdict::Red(failure.0.lines().next().unwrap_or_default().to_owned())),
        }
    }

    fn judge_on_host(&self, package: &str, test: &str) -> Result<Verdict> {
        let mut command = Command::new("cargo");
        command.current_dir(&self.project.root).args(["test", "-p", package, "--target-dir"]);
        command.arg(self.project.target.join("host")).arg(test);
        let done = command.env_remove("CARGO_TARGET_DIR").output().context("cannot start cargo")?;
        let said = String::from_utf8_lossy(&done.stderr);
        match host_verdict(test, &String::from_utf8_lossy(&done.stdout)) {
            Some(verdict) => Ok(verdict),
            // It was built, and said nothing to its end.
            None if said.contains(" Running ") && said.contains("(signal: ") => {
                Ok(Verdict::Red("the test program died".into()))
            }
            None => fail!("{package} has no result\n{said}"),
        }
    }

    fn judge_in_machine(&self, test: &str) -> Result<Verdict> {
        let iso = iso::make_named(&self.project, "mutant", &format!("probe only={test}"))?;
        let state = self.project.target.join("mutant.fs");
        make_state(&state)?;
        let mut machine = Machine::spawn(&Boot::new(iso, Firmware::Bios), Some(&state), Echo::Silent)?;
        let until = Instant::now() + PATIENCE;
        match machine.wait_for("\nthe tests begin\n", until) {
            Ok(_) => machine_verdict(test, machine.wait_for(" failed\n", until)),
            Err(why) => Ok(Verdict::Red(format!("the machine does not come as far as the tests: {why:?}"))),
        }
    }
}

/// What the output of `cargo test` says of a test; `None` where it says nothing.
fn host_verdict(test: &str, output: &str) -> Option<Verdict> {
    output.lines().find_map(|line| {
        let (name, said) = line.strip_prefix("test ")?.split_once(" ... ")?;
        let is_it = name.trim_end_matches(" - should panic").rsplit("::").next() == Some(test);
        match (is_it, said) {
            (true, "ok") => Some(Verdict::Passed),
            (true, _) => Some(Verdict::Red(said.to_owned())),
            _ => None,
        }
    })
}

/// What a machine says that runs one test.
fn machine_verdict(test: &str, waited: std::result::Result<String, Stopped>) -> Result<Verdict> {
    let text = match waited {
        Ok(text) => text,
        Err(Stopped::Panicked(text)) => return Ok(Verdict::Red(format!("the kernel panicked: {text}"))),
        Err(Stopped::Ended) => return Ok(Verdict::Red("the machine stopped".into())),
        Err(Stopped::TimedOut) => return Ok(Verdict::Red("the machine said nothing any more".into())),
    };
    match text.lines().find_map(|line| line.strip_prefix(&format!("test {test} ... "))) {
        Some("ok") => Ok(Verdict::Passed),
        Some(said) => Ok(Verdict::Red(said.to_owned())),
        None => fail!("there is no test `{test}` in the probe"),
    }
}

/// The files below a folder that are parts of a build, as paths from the root.
fn list_files(root: &Path, below: &Path, files: &mut BTreeSet<PathBuf>) -> Result<()> {
    let folder = root.join(below);
    for entry in fs::read_dir(&folder).context(folder.display())? {
        let entry = entry.context(folder.display())?;
        let name = entry.file_name();
        let path = below.join(&name);
        let is_left_out = below.as_os_str().is_empty() && NOT_COPIED.iter().any(|left_out| name == *left_out);
        if entry.file_type().context(path.display())?.is_dir() {
            if !is_left_out {
                list_files(root, &path, files)?;
            }
        } else if !is_left_out && path.extension().is_none_or(|extension| extension != "fs") {
            files.insert(path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mutant(text: &str) -> Mutant {
        Mutant {
            what: "anybody may call".into(),
            file: "call.rs".into(),
            text: text.into(),
            instead: "if false".into(),
            probe: Some("who_may_call".into()),
            host: None,
            scenario: None,
        }
    }

    #[test]
    fn what_is_taken_out_is_there_once() {
        let source = "if a {\n}\nif b {\n}\n";
        assert_eq!(mutant("if a").apply(source).expect("there"), "if false {\n}\nif b {\n}\n");
        for (text, found) in [("if ", "2 times"), ("if c", "0 times")] {
            let refused = mutant(text).apply(source).expect_err("not once");
            assert!(refused.0.contains(found), "{refused}");
        }
    }

    #[test]
    fn a_mutant_names_a_test() {
        let nobody = Mutant { probe: None, ..mutant("") };
        assert!(nobody.watches().is_err());
        assert!(Mutant { host: Some("ledger".into()), ..nobody.clone() }.watches().is_err());
        let both = Mutant { host: Some("ledger::order".into()), ..mutant("") };
        let expected = [Watch::Probe("who_may_call".into()), Watch::Host("ledger".into(), "order".into())];
        assert_eq!(both.watches().expect("two"), expected);
        let third = Mutant { scenario: Some("boot".into()), probe: None, ..mutant("") };
        assert_eq!(third.watches().expect("one"), [Watch::Scenario("boot".into())]);
    }

    #[test]
    fn a_host_test_is_found_by_its_whole_name() {
        let output = "\nrunning 2 tests\ntest tests::order ... ok\ntest tests::order_of_two ... FAILED\n";
        assert_eq!(host_verdict("order", output), Some(Verdict::Passed));
        assert_eq!(host_verdict("order_of_two", output), Some(Verdict::Red("FAILED".into())));
        assert_eq!(host_verdict("two", output), None);
    }

    #[test]
    fn a_test_is_red_however_the_machine_ends() {
        let said = |text: &str| Ok(format!("test order ... {text}\n0 passed, 1 failed\n"));
        assert_eq!(machine_verdict("order", said("ok")).expect("known"), Verdict::Passed);
        assert_eq!(machine_verdict("order", said("FAILED: 3")).expect("known"), Verdict::Red("FAILED: 3".into()));
        assert!(machine_verdict("other", said("ok")).is_err());
        for stopped in [Stopped::Panicked("a bug".into()), Stopped::Ended, Stopped::TimedOut] {
            assert!(matches!(machine_verdict("order", Err(stopped)), Ok(Verdict::Red(_))));
        }
    }

    #[test]
    fn the_list_fits_the_tree() {
        let project = Project::at(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../.."), None).expect("the tree");
        let path = project.cfg("mutants.toml");
        let list: List = toml::from_str(&read_text(&path).expect("a list")).expect("well-formed");
        for mutant in list.mutant {
            let source = read_text(&project.root.join(&mutant.file)).expect("a file");
            mutant.apply(&source).expect("there once");
            mutant.watches().expect("a test");
        }
    }
}
