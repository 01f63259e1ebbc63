//! A machine in QEMU with its serial console on pipes.
//!
//! [`Machine::expect`] waits for output, never for time alone: each wait ends at the text, at the end of the machine,
//! at a kernel panic or at the deadline. Dropping a [`Machine`] ends it.

use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::accelerator::{Accelerator, choose};
use crate::fail;
use crate::failure::{Context, Failure, Result};
use crate::iso::{Boot, Clock, Firmware};

/// The shell's prompt at the start of a line.
pub const PROMPT: &str = "\ntelos> ";
/// What the kernel prints first when it stops for a bug.
const PANIC: &str = "kernel panic: ";
/// How long a kernel that panicked may take over its report. It ends the machine itself after that, if it can.
const REPORT: Duration = Duration::from_secs(2);
/// UEFI for virtual machines, from Debian's `ovmf`.
const OVMF: &str = "/usr/share/ovmf/OVMF.fd";

/// How a machine ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It shut down and said that all went well.
    Clean,
    /// It shut down and said that something failed.
    Failed,
    /// It was reset, closed or killed; QEMU's exit status, if there is one.
    Ended(Option<i32>),
}

impl Outcome {
    /// By QEMU's exit status: the debug-exit device makes 2 n + 1 of the number n that the kernel writes.
    pub fn of(status: ExitStatus) -> Outcome {
        match status.code() {
            Some(33) => Outcome::Clean,
            Some(35) => Outcome::Failed,
            other => Outcome::Ended(other),
        }
    }

    /// An error unless the machine ended cleanly.
    ///
    /// # Errors
    /// Says how it ended.
    pub fn clean(self) -> Result<()> {
        match self {
            Outcome::Clean => Ok(()),
            Outcome::Failed => fail!("the machine shut down with a failure (exit status 35)"),
            Outcome::Ended(Some(0)) => fail!("the machine was reset or closed without a shutdown"),
            Outcome::Ended(Some(code)) => fail!("QEMU ended with exit status {code}"),
            Outcome::Ended(None) => fail!("QEMU was killed"),
        }
    }
}

/// How a machine ended, and all that it said.
#[derive(Clone, Debug)]
pub struct End {
    /// How it ended.
    pub outcome: Outcome,
    /// What the console has shown.
    pub transcript: String,
}

/// Where the console's output goes besides the transcript.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Echo {
    /// To standard output, as it comes.
    Stdout,
    /// Nowhere.
    Silent,
}

#[derive(Default)]
struct Console {
    text: String,
    closed: bool,
}

/// What the reading thread and the machine share.
type Shared = Arc<(Mutex<Console>, Condvar)>;

fn lock(shared: &Shared) -> MutexGuard<'_, Console> {
    shared.0.lock().unwrap_or_else(PoisonError::into_inner)
}

/// When a wait is over: at its deadline, or as soon after a panic as the report is out.
struct Wait {
    until: Instant,
    panicked: bool,
}

impl Wait {
    fn new(deadline: Duration) -> Wait {
        Wait { until: Instant::now() + deadline, panicked: false }
    }

    /// How long is left after this output.
    fn left(&mut self, text: &str) -> Duration {
        if !self.panicked && panic_line(text).is_some() {
            self.panicked = true;
            self.until = self.until.min(Instant::now() + REPORT);
        }
        self.until.saturating_duration_since(Instant::now())
    }
}

/// A running machine.
pub struct Machine {
    child: Child,
    input: ChildStdin,
    console: Shared,
    /// How much of the console was consumed by [`Machine::expect`].
    seen: usize,
}

/// QEMU's command line up to the serial console.
pub fn command(boot: &Boot, state: Option<&Path>) -> Command {
    let mut command = Command::new("qemu-system-x86_64");
    command.args(["-machine", "pc", "-m", "512M", "-smp", "1", "-nic", "none", "-display", "none", "-monitor", "none"]);
    match boot.clock {
        Clock::Instructions => {
            command.args(["-accel", "tcg", "-icount", "shift=0,sleep=off", "-cpu", "max,vendor=GenuineIntel"])
        }
        Clock::Host if fast(boot) => command.args(["-accel", "kvm", "-cpu", "max"]),
        Clock::Host => command.args(["-accel", "tcg", "-cpu", "max"]),
    };
    command.args(["-device", "isa-debug-exit,iobase=0xf4,iosize=4", "-no-reboot"]);
    if boot.firmware == Firmware::Uefi {
        command.args(["-bios", OVMF]);
    }
    command.args(["-boot", "d", "-cdrom"]).arg(&boot.iso);
    if let Some(state) = state {
        let path = state.display().to_string().replace(',', ",,");
        command.arg("-drive").arg(format!("id=p_disk,if=none,file={path},format=raw,cache=writeback"));
        command.args(["-device", "virtio-blk-pci,drive=p_disk,disable-modern=off"]);
    }
    command.args(&boot.extra);
    command
}

/// True if the processor's own virtualisation works here. The answer is kept beside the image.
fn fast(boot: &Boot) -> bool {
    let beside = boot.iso.parent().unwrap_or(Path::new("."));
    choose(beside) == Accelerator::Kvm
}

impl Machine {
    /// Starts a machine, with a state file as its disk if one is named.
    ///
    /// # Errors
    /// QEMU is not there.
    pub fn spawn(boot: &Boot, state: Option<&Path>, echo: Echo) -> Result<Machine> {
        let mut command = command(boot, state);
        command.args(["-serial", "stdio"]);
        Machine::start(&mut command, echo)
    }

    /// Starts a program whose standard streams are the console.
    fn start(command: &mut Command, echo: Echo) -> Result<Machine> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start qemu-system-x86_64; try `make setup`")?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            fail!("QEMU has no console");
        };
        // The first line has a start too.
        let console: Shared = Arc::new((Mutex::new(Console { text: "\n".into(), closed: false }), Condvar::new()));
        let shared = Arc::clone(&console);
        thread::spawn(move || listen(output, &shared, echo));
        Ok(Machine { child, input, console, seen: 0 })
    }

    /// Waits for text that was not waited for before; returns what came up to its end.
    ///
    /// # Errors
    /// The deadline passed, the machine ended or the kernel panicked; says so with the last lines of output.
    pub fn expect(&mut self, pattern: &str, deadline: Duration) -> Result<String> {
        let mut wait = Wait::new(deadline);
        let shared = Arc::clone(&self.console);
        let mut console = lock(&shared);
        loop {
            let fresh = console.text.get(self.seen..).unwrap_or_default();
            if let Some(at) = fresh.find(pattern) {
                let end = at + pattern.len();
                let text = fresh.get(..end).unwrap_or_default().to_owned();
                self.seen += end;
                return Ok(text);
            }
            let left = wait.left(fresh);
            if console.closed || left.is_zero() {
                let reason = match panic_line(fresh) {
                    Some(line) => format!("the kernel panicked: {line},"),
                    None if console.closed => "the machine ended".into(),
                    None => "the deadline passed".into(),
                };
                let (wanted, seconds) = (pattern.trim(), deadline.as_secs());
                fail!("{reason} while waiting for {wanted:?} ({seconds} s)\n{}", tail(&console.text));
            }
            console = shared.1.wait_timeout(console, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Waits for the shell's prompt.
    ///
    /// # Errors
    /// As [`Machine::expect`].
    pub fn expect_prompt(&mut self, deadline: Duration) -> Result<String> {
        self.expect(PROMPT, deadline)
    }

    /// Types a line.
    ///
    /// # Errors
    /// The machine has ended.
    pub fn send_line(&mut self, line: &str) -> Result<()> {
        self.input
            .write_all(format!("{line}\n").as_bytes())
            .and_then(|()| self.input.flush())
            .context(format_args!("cannot type {line:?}: the machine ended"))
    }

    /// Types a command at the prompt and returns what it printed, up to the next prompt.
    ///
    /// # Errors
    /// As [`Machine::expect`].
    pub fn ask(&mut self, line: &str, deadline: Duration) -> Result<String> {
        self.send_line(line)?;
        self.expect_prompt(deadline)
    }

    /// Waits for the machine to end by itself.
    ///
    /// # Errors
    /// The deadline passed: the machine is ended. Or the kernel panicked.
    pub fn wait(self, deadline: Duration) -> Result<Outcome> {
        let end = self.end(deadline)?;
        match panic_line(&end.transcript) {
            Some(line) => Err(Failure(format!("the kernel panicked: {line}"))),
            None => Ok(end.outcome),
        }
    }

    /// Waits for the machine to end by itself, a panic of the kernel being one of the ways.
    ///
    /// # Errors
    /// The deadline passed: the machine is ended.
    pub fn end(mut self, deadline: Duration) -> Result<End> {
        let mut wait = Wait::new(deadline);
        let shared = Arc::clone(&self.console);
        let mut console = lock(&shared);
        while !console.closed {
            let left = wait.left(&console.text);
            if left.is_zero() {
                if let Some(line) = panic_line(&console.text) {
                    fail!("the kernel panicked and did not stop the machine: {line}\n{}", tail(&console.text));
                }
                fail!("the machine did not end within {} s\n{}", deadline.as_secs(), tail(&console.text));
            }
            console = shared.1.wait_timeout(console, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        drop(console);
        // The console closes when QEMU ends, so this does not wait long.
        let status = self.child.wait().context("QEMU")?;
        Ok(End { outcome: Outcome::of(status), transcript: self.transcript() })
    }

    /// Ends the machine at once, as a power cut would.
    ///
    /// # Errors
    /// It cannot be ended.
    pub fn kill(mut self) -> Result<()> {
        self.child.kill().context("cannot end QEMU")?;
        self.child.wait().context("QEMU").map(drop)
    }

    /// Everything that the console has shown.
    pub fn transcript(&self) -> String {
        lock(&self.console).text.get(1..).unwrap_or_default().to_owned()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // Fails only if it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Copies the console into the transcript until it closes.
fn listen(mut output: impl Read, shared: &Shared, echo: Echo) {
    let mut buffer = [0; 4096];
    loop {
        let length = match output.read(&mut buffer) {
            Ok(0) | Err(_) => break,
            Ok(length) => length,
        };
        let bytes = buffer.get(..length).unwrap_or_default();
        if echo == Echo::Stdout {
            let mut stdout = std::io::stdout();
            // A closed standard output must not end the machine.
            let _ = stdout.write_all(bytes).and_then(|()| stdout.flush());
        }
        lock(shared).text.extend(String::from_utf8_lossy(bytes).chars().filter(|c| *c != '\r'));
        shared.1.notify_all();
    }
    lock(shared).closed = true;
    shared.1.notify_all();
}

/// The line with which the kernel stopped for a bug, if it did.
pub fn panic_line(text: &str) -> Option<&str> {
    text.lines().find(|line| line.contains(PANIC))
}

/// The last lines of output, for a failure, with all of a panic's report.
pub fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let report = lines.iter().position(|line| line.contains(PANIC));
    let start = lines.len().saturating_sub(25).min(report.unwrap_or(usize::MAX));
    lines.get(start..).unwrap_or_default().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_secs(10);

    /// A shell script in the place of QEMU.
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
        let script = "printf 'kernel pan'; sleep 0.3; echo 'ic: no memory'; sleep 0.3; \
                      n=0; while [ $n -lt 40 ]; do n=$((n + 1)); echo \"at $n\"; done; exit 35";
        let failure = machine(script).expect_prompt(SOON).expect_err("no prompt comes").0;
        assert!(failure.starts_with("the kernel panicked: kernel panic: no memory,"), "{failure}");
        assert!(failure.contains("\nat 1\n") && failure.ends_with("\nat 40"), "{failure}");
        let end = machine(script).end(SOON).expect("it ends");
        assert!(end.outcome == Outcome::Failed && end.transcript.ends_with("\nat 40\n"), "{end:?}");
    }

    #[test]
    fn a_panic_ends_every_wait() {
        let mut first = machine("echo 'kernel panic: no memory'; read x");
        let failure = first.expect_prompt(SOON).expect_err("no prompt comes").0;
        assert!(failure.contains("the kernel panicked"), "{failure}");
        let failure = machine("echo 'kernel panic: no memory'; exit 33").wait(SOON).expect_err("not clean").0;
        assert!(failure.contains("no memory"), "{failure}");
        let failure = machine("echo 'kernel panic: no memory'; read x").wait(SOON).expect_err("not clean").0;
        assert!(failure.contains("did not stop the machine") && failure.contains("no memory"), "{failure}");
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
    fn exit_statuses_are_told_apart() {
        assert_eq!(machine("exit 35").wait(SOON).expect("ends"), Outcome::Failed);
        assert_eq!(machine("exit 0").wait(SOON).expect("ends"), Outcome::Ended(Some(0)));
        assert!(Outcome::Ended(Some(0)).clean().is_err());
        assert!(Outcome::Clean.clean().is_ok());
    }
}
