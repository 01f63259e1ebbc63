//! Shell scripts in the place of QEMU.

use std::fs::File;
use std::os::fd::AsFd;

use super::*;

const SOON: Duration = Duration::from_secs(10);

impl Machine {
    /// Types a line whenever the machine has printed the next of these: what it prints comes in parts.
    fn answer_when_seen(&self, cues: &'static [&str]) {
        let shared = Arc::clone(&self.console);
        let mut input = File::from(self.input.as_fd().try_clone_to_owned().expect("a pipe"));
        thread::spawn(move || {
            for cue in cues {
                let mut console = lock(&shared);
                while !console.text.contains(cue) && !console.closed {
                    console = shared.1.wait(console).unwrap_or_else(PoisonError::into_inner);
                }
                drop(console);
                // One that has ended takes no line.
                let _ = input.write_all(b"\n");
            }
        });
    }
}

fn machine(script: &str) -> Machine {
    Machine::start(Command::new("sh").args(["-c", script]), Echo::Silent).expect("sh starts")
}

#[test]
fn types_at_the_prompt_and_reads_the_answer() {
    let mut machine = machine("printf 'telos> '; read x; printf \"got $x\\r\\ntelos> \"; read x; exit 33");
    machine.expect_prompt(SOON).expect("first prompt");
    assert_eq!(machine.ask("hello", SOON).expect("an answer"), "got hello\ntelos> ");
    machine.send_line("shutdown").expect("typed");
    assert_eq!(machine.wait(SOON).expect("it ends"), Outcome::Clean);
}

#[test]
fn a_panics_report_is_waited_for_and_shown() {
    const CUES: &[&str] = &["kernel pan", "ic: no ", "memory"];
    let script = "printf 'kernel pan'; read x; printf 'ic: no '; read x; echo memory; read x; \
                  n=0; while [ $n -lt 40 ]; do n=$((n + 1)); echo \"at $n\"; done; exit 35";
    let mut first = machine(script);
    first.answer_when_seen(CUES);
    let failure = first.expect_prompt(SOON).expect_err("no prompt comes").0;
    assert!(failure.starts_with("the kernel panicked (kernel panic: no memory) "), "{failure}");
    assert!(failure.contains("\nat 1\n") && failure.ends_with("\nat 40"), "{failure}");
    let second = machine(script);
    second.answer_when_seen(CUES);
    let end = second.stop(SOON).expect("it ends");
    assert!(end.outcome == Outcome::Failed && end.transcript.ends_with("\nat 40\n"), "{end:?}");
    let failure = machine("echo 'kernel panic: no memory'; read x").stop(SOON).expect_err("it does not stop").0;
    assert!(failure.contains("did not stop") && failure.contains("no memory"), "{failure}");
}

#[test]
fn a_panic_ends_every_wait() {
    let mut first = machine("echo 'kernel panic: no memory'; read x");
    let failure = first.expect_prompt(SOON).expect_err("no prompt comes").0;
    assert!(failure.contains("the kernel panicked"), "{failure}");
    // A machine that hangs in its panic is not waited for.
    let failure = machine("echo 'kernel panic: no memory'; read x").wait(SOON).expect_err("not clean").0;
    assert!(failure.contains("no memory"), "{failure}");
    let failure = machine("echo 'kernel panic: no memory'; exit 33").wait(SOON).expect_err("not clean").0;
    assert!(failure.contains("no memory"), "{failure}");
}

#[test]
fn an_early_end_and_a_deadline_are_told_apart() {
    let failure = machine("echo hello").expect_prompt(SOON).expect_err("it ends").0;
    assert!(failure.contains("the machine ended") && failure.contains("hello"), "{failure}");
    let failure = machine("read x").expect_prompt(Duration::from_millis(50)).expect_err("silence").0;
    assert!(failure.contains("the deadline passed"), "{failure}");
    let failure = machine("read x").wait(Duration::from_millis(50)).expect_err("silence").0;
    assert!(failure.contains("did not end"), "{failure}");
}

#[test]
fn lines_to_type_are_waited_for_no_longer_than_the_machine_lives() {
    let later = Instant::now() + SOON;
    let mut machine = machine("read x; exit 33");
    machine.read_typed(&b"one\ntwo"[..]);
    for expected in [Some("one"), Some("two"), None, None] {
        let line = machine.next_typed(later).expect("it lives").expect("readable");
        assert_eq!(line.as_deref(), expected);
    }
    let mut machine = self::machine("read x; exit 33");
    let (silent, _typist) = std::io::pipe().expect("a pipe");
    machine.read_typed(std::io::BufReader::new(silent));
    assert_eq!(machine.next_typed(Instant::now()).map(drop), Err(Stopped::TimedOut));
    machine.send_line("").expect("typed");
    assert_eq!(machine.next_typed(later).map(drop), Err(Stopped::Ended));
}

#[test]
fn exit_statuses_are_told_apart() {
    assert_eq!(machine("exit 35").wait(SOON).expect("ends"), Outcome::Failed);
    assert_eq!(machine("exit 5").wait(SOON).expect("ends"), Outcome::Halted);
    assert_eq!(machine("exit 0").wait(SOON).expect("ends"), Outcome::Ended(Some(0)));
    assert!(Outcome::Ended(Some(0)).clean().is_err());
    assert!(Outcome::Clean.clean().is_ok());
}
