//! A machine in QEMU with its serial console on pipes.
//!
//! [`Machine::expect`] waits for output, never for time alone: each wait ends at the text, at the end of the machine,
//! at a kernel panic or at the deadline. Dropping a [`Machine`] ends it.

use std::collections::VecDeque;
use std::io::{BufRead, IsTerminal, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::accelerator::{Accelerator, choose};
use crate::fail;
use crate::failure::{Context, Result};
use crate::iso::{Boot, Clock, Disk, Firmware, OnReset};
use crate::transcript::Rows;

/// The shell's prompt where a new line begins. One that is shown again, below a message, has a sequence before it.
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
    /// It was stopped at once, from inside: what was not committed is lost.
    Halted,
    /// It was reset, closed or killed; QEMU's exit status, if there is one.
    Ended(Option<i32>),
}

impl Outcome {
    /// By QEMU's exit status: the debug-exit device makes 2 n + 1 of the number n that the kernel writes.
    pub fn of(status: ExitStatus) -> Outcome {
        match status.code() {
            Some(33) => Outcome::Clean,
            Some(35) => Outcome::Failed,
            Some(5) => Outcome::Halted,
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
            Outcome::Failed => fail!("the machine stopped itself for a failure, which its last lines tell"),
            Outcome::Halted => fail!("the machine was halted: what was not committed is lost"),
            Outcome::Ended(Some(0)) => fail!("the machine was reset or closed without a shutdown"),
            Outcome::Ended(Some(code)) => fail!("QEMU ended with exit status {code}, for a reason of its own"),
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
    /// To standard output: as it comes if that is a terminal, otherwise as rows of text.
    Stdout,
    /// Nowhere.
    Silent,
}

/// Why a wait ended without what was waited for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// The kernel panicked, with this text.
    Panicked(String),
    /// The machine ended.
    Ended,
    /// The deadline passed.
    TimedOut,
}

#[derive(Default)]
struct Console {
    text: String,
    /// The same as it came.
    raw: Vec<u8>,
    closed: bool,
    typed: VecDeque<std::io::Result<String>>,
    typed_all: bool,
}

/// What the reading thread and the machine share.
type Shared = Arc<(Mutex<Console>, Condvar)>;

fn lock(shared: &Shared) -> MutexGuard<'_, Console> {
    shared.0.lock().unwrap_or_else(PoisonError::into_inner)
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
            // What is counted must not depend on random numbers.
            command.args([
                "-accel",
                "tcg",
                "-icount",
                "shift=0,sleep=off",
                "-cpu",
                "max,vendor=GenuineIntel",
                "-seed",
                "1",
            ])
        }
        Clock::Host if fast(boot) => command.args(["-accel", "kvm", "-cpu", "max"]),
        Clock::Host => command.args(["-accel", "tcg", "-cpu", "max"]),
    };
    command.args(["-device", "isa-debug-exit,iobase=0xf4,iosize=4"]);
    if boot.reset == OnReset::Ends {
        command.arg("-no-reboot");
    }
    if boot.firmware == Firmware::Uefi {
        command.args(["-bios", OVMF]);
    }
    command.args(["-boot", "d", "-cdrom"]).arg(&boot.iso);
    if let Some(state) = state {
        let path = state.display().to_string().replace(',', ",,");
        let access = if boot.disk == Disk::ReadOnly { ",readonly=on" } else { "" };
        command.arg("-drive").arg(format!("id=p_disk,if=none,file={path},format=raw,cache=writeback{access}"));
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
        let console = Console { text: "\n".into(), ..Console::default() };
        let console: Shared = Arc::new((Mutex::new(console), Condvar::new()));
        let shared = Arc::clone(&console);
        thread::spawn(move || listen(output, &shared, echo));
        Ok(Machine { child, input, console, seen: 0 })
    }

    /// Waits until `found` finds something, and takes what it says of how much was consumed. A panic ends the wait once its
    /// report is out.
    fn watch<T>(
        &mut self,
        mut until: Instant,
        mut found: impl FnMut(&mut Console, &mut usize) -> Option<T>,
    ) -> std::result::Result<T, Stopped> {
        let shared = Arc::clone(&self.console);
        let mut console = lock(&shared);
        let mut panicked = false;
        loop {
            if let Some(found) = found(&mut console, &mut self.seen) {
                return Ok(found);
            }
            let fresh = console.text.get(self.seen..).unwrap_or_default();
            if !panicked && fresh.contains(PANIC) {
                panicked = true;
                until = until.min(Instant::now() + REPORT);
            }
            let left = until.saturating_duration_since(Instant::now());
            if console.closed || left.is_zero() {
                return Err(match panic_text(fresh) {
                    Some(text) => Stopped::Panicked(text),
                    None if console.closed => Stopped::Ended,
                    None => Stopped::TimedOut,
                });
            }
            console = shared.1.wait_timeout(console, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Waits for text that was not waited for before; returns what came up to its end.
    ///
    /// # Errors
    /// What ended the wait.
    pub fn wait_for(&mut self, pattern: &str, until: Instant) -> std::result::Result<String, Stopped> {
        self.watch(until, |console, seen| {
            let fresh = console.text.get(*seen..).unwrap_or_default();
            let end = fresh.find(pattern)? + pattern.len();
            let text = fresh.get(..end).unwrap_or_default().to_owned();
            *seen += end;
            Some(text)
        })
    }

    /// The same, with a deadline and with words for a failure.
    ///
    /// # Errors
    /// The deadline passed, the machine ended or the kernel panicked; says so with the last lines of output.
    pub fn expect(&mut self, pattern: &str, deadline: Duration) -> Result<String> {
        let reason = match self.wait_for(pattern, Instant::now() + deadline) {
            Ok(text) => return Ok(text),
            Err(Stopped::Panicked(text)) => format!("the kernel panicked ({text})"),
            Err(Stopped::Ended) => "the machine ended".into(),
            Err(Stopped::TimedOut) => "the deadline passed".into(),
        };
        let (pattern, seconds) = (pattern.trim(), deadline.as_secs());
        fail!("{reason} while waiting for {pattern:?} ({seconds} s)\n{}", tail(&lock(&self.console).text))
    }

    /// Reads lines that are to be typed, in a thread of its own, for [`Machine::next_typed`].
    pub fn read_typed(&self, lines: impl BufRead + Send + 'static) {
        let shared = Arc::clone(&self.console);
        thread::spawn(move || {
            for line in lines.lines() {
                let failed = line.is_err();
                lock(&shared).typed.push_back(line);
                shared.1.notify_all();
                if failed {
                    break;
                }
            }
            lock(&shared).typed_all = true;
            shared.1.notify_all();
        });
    }

    /// Waits for the next line to be typed; `None` behind the last.
    ///
    /// # Errors
    /// What ended the wait; within, that the lines cannot be read.
    pub fn next_typed(&mut self, until: Instant) -> std::result::Result<std::io::Result<Option<String>>, Stopped> {
        self.watch(until, |console, _| match console.typed.pop_front() {
            Some(line) => Some(line.map(Some)),
            None => console.typed_all.then_some(Ok(None)),
        })
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
        self.send(&format!("{line}\n"))
    }

    /// Types a command at the prompt and returns what it printed, up to the next prompt.
    ///
    /// # Errors
    /// As [`Machine::expect`].
    pub fn ask(&mut self, line: &str, deadline: Duration) -> Result<String> {
        self.send_line(line)?;
        self.expect_prompt(deadline)
    }

    /// Types keys as they are.
    ///
    /// # Errors
    /// The machine has ended.
    pub fn send(&mut self, keys: &str) -> Result<()> {
        self.input
            .write_all(keys.as_bytes())
            .and_then(|()| self.input.flush())
            .context(format_args!("cannot type {keys:?}: the machine ended"))
    }

    /// Waits for the machine to end by itself.
    ///
    /// # Errors
    /// The deadline passed: the machine is ended. Or the kernel panicked.
    pub fn wait(self, deadline: Duration) -> Result<Outcome> {
        let console = Arc::clone(&self.console);
        match self.end(Instant::now() + deadline) {
            Ok(status) => Ok(Outcome::of(status)),
            Err(Stopped::Panicked(text)) => fail!("the kernel panicked: {text}"),
            Err(Stopped::TimedOut | Stopped::Ended) => {
                fail!("the machine did not end within {} s\n{}", deadline.as_secs(), tail(&lock(&console).text))
            }
        }
    }

    /// The same without words.
    ///
    /// # Errors
    /// `TimedOut`, `Panicked`: the machine is ended.
    pub fn end(mut self, until: Instant) -> std::result::Result<ExitStatus, Stopped> {
        // A panic is told at once, in whatever was printed before.
        self.seen = 0;
        self.watch(until, |console, _| console.closed.then_some(()))?;
        let panicked = panic_text(&lock(&self.console).text);
        // The console closes when QEMU ends, so this does not wait long.
        let status = self.child.wait();
        match (panicked, status) {
            (Some(text), _) => Err(Stopped::Panicked(text)),
            (None, Ok(status)) => Ok(status),
            (None, Err(_)) => Err(Stopped::Ended),
        }
    }

    /// Waits for the machine to end by itself, a panic of the kernel being one of the ways.
    ///
    /// # Errors
    /// It did not.
    pub fn stop(mut self, deadline: Duration) -> Result<End> {
        let closed = self.watch(Instant::now() + deadline, |console, _| console.closed.then_some(()));
        let transcript = self.transcript();
        if let Err(why) = closed {
            fail!("the machine did not stop ({why:?})\n{}", tail(&transcript));
        }
        Ok(End { outcome: Outcome::of(self.child.wait().context("QEMU")?), transcript })
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

    /// What a terminal shows of it: the rows as they ended, and the one that has not.
    pub fn rows(&self) -> Vec<String> {
        let mut rows = Rows::default();
        let mut shown = rows.feed(&lock(&self.console).raw);
        shown.extend(rows.finish());
        String::from_utf8_lossy(&shown).lines().map(str::to_owned).collect()
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
    let mut rows = (!std::io::stdout().is_terminal()).then(Rows::default);
    let print = |bytes: &[u8]| {
        let mut stdout = std::io::stdout();
        // A closed standard output must not end the machine.
        let _ = stdout.write_all(bytes).and_then(|()| stdout.flush());
    };
    loop {
        let length = match output.read(&mut buffer) {
            Ok(0) | Err(_) => break,
            Ok(length) => length,
        };
        let bytes = buffer.get(..length).unwrap_or_default();
        match (echo, &mut rows) {
            (Echo::Silent, _) => {}
            (Echo::Stdout, None) => print(bytes),
            (Echo::Stdout, Some(rows)) => print(&rows.feed(bytes)),
        }
        let mut console = lock(shared);
        console.raw.extend_from_slice(bytes);
        console.text.extend(String::from_utf8_lossy(bytes).chars().filter(|c| *c != '\r'));
        drop(console);
        shared.1.notify_all();
    }
    if let (Echo::Stdout, Some(rows)) = (echo, &mut rows) {
        print(&rows.finish());
    }
    lock(shared).closed = true;
    shared.1.notify_all();
}

/// What the kernel said when it stopped for a bug, if it did.
pub fn panic_text(text: &str) -> Option<String> {
    text.lines().find(|line| line.contains(PANIC)).map(|line| line.trim().to_owned())
}

/// The last lines of output, for a failure, with all of a panic's report.
pub fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let report = lines.iter().position(|line| line.contains(PANIC));
    let start = lines.len().saturating_sub(25).min(report.unwrap_or(usize::MAX));
    lines.get(start..).unwrap_or_default().join("\n")
}

#[cfg(test)]
mod tests;
