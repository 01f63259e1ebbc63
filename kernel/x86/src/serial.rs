//! The serial line COM1.
//!
//! Two ways to send. The normal one fills a ring that the transmitter-empty interrupt drains, and never waits. The polled one is
//! for early boot, before interrupts work, and for panics, after which nothing else works. Received bytes go from the
//! receive interrupt into a ring of their own. Whoever owns IRQ 4 calls [`on_interrupt`].
//!
//! A third ring keeps the kernel's log for a cell that owns what the terminal shows ([`keep_log`], [`take_log`]). What is
//! left in it leaves with the next thing that the kernel sends itself, so that nothing is lost where that cell ends.
//!
//! Invariant: with interrupts in use, the transmitter-empty interrupt is enabled exactly while the ring holds bytes.

use crate::lock::IrqMutex;
use core::sync::atomic::{AtomicU64, Ordering};
use uart_16550::backend::{Backend, PioBackend};
use uart_16550::spec::registers::{IER, MCR, offsets};
use uart_16550::{BaudRate, Config, Uart16550};

/// The legacy interrupt line of COM1.
pub const IRQ: u8 = 4;
const PORT: u16 = 0x3f8;
const SEND_CAPACITY: usize = 16 * 1024;
const RECEIVE_CAPACITY: usize = 4 * 1024;
const LOG_CAPACITY: usize = 8 * 1024;

static LINE: IrqMutex<Option<Line>> = IrqMutex::new(None);
static INTERRUPTS: AtomicU64 = AtomicU64::new(0);
static LOST: AtomicU64 = AtomicU64::new(0);

struct Line {
    uart: Uart16550<PioBackend>,
    send: Ring<SEND_CAPACITY>,
    receive: Ring<RECEIVE_CAPACITY>,
    log: Ring<LOG_CAPACITY>,
    mode: Mode,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Polled,
    Interrupts,
}

/// Finds and sets up the line in polled mode, 115200 baud, 8N1. Without a device all output vanishes.
pub fn install() {
    // SAFETY: COM1's eight registers stand at this port on every PC, and this is the only driver of it.
    let uart = unsafe { Uart16550::new_port(PORT) };
    let Ok(mut uart) = uart else { return };
    let config = Config { baud_rate: BaudRate::Baud115200, ..Config::DEFAULT };
    if uart.init(config).is_ok() {
        let (send, receive, log) = (Ring::new(), Ring::new(), Ring::new());
        *LINE.lock() = Some(Line { uart, send, receive, log, mode: Mode::Polled });
    }
}

/// Goes from polling to interrupts. IRQ 4 must be routed and unmasked, and lead to [`on_interrupt`].
pub fn enable_interrupts() {
    if let Some(line) = LINE.lock().as_mut() {
        line.mode = Mode::Interrupts;
        line.uart.enable_interrupts(IER::DATA_READY);
        line.pump();
    }
}

/// Queues as many of the bytes as fit and returns how many that was. Does not wait once interrupts are in use.
pub fn send(bytes: &[u8]) -> usize {
    let mut line = LINE.lock();
    let Some(line) = line.as_mut() else {
        return bytes.len();
    };
    match line.mode {
        Mode::Polled => {
            line.uart.send_bytes_exact(bytes);
            bytes.len()
        }
        Mode::Interrupts => {
            let taken = bytes.iter().take_while(|byte| line.send.push(**byte)).count();
            line.pump();
            taken
        }
    }
}

/// Queues the bytes, making room by polling should the ring be full: for the kernel's own log, of which nothing may be lost.
/// What was kept of the log goes first.
pub fn send_all(bytes: &[u8]) {
    if let Some(line) = LINE.lock().as_mut().filter(|line| line.log.len > 0) {
        line.flush();
    }
    let mut rest = bytes;
    loop {
        let taken = send(rest);
        rest = rest.get(taken..).unwrap_or_default();
        if rest.is_empty() {
            return;
        }
        if let Some(line) = LINE.lock().as_mut() {
            line.flush();
        }
    }
}

/// Sends the bytes by polling, after what the ring still holds. For panics: it takes no lock that it cannot have, and where the
/// panic happened with the line locked it drives the device directly.
pub fn send_polled(bytes: &[u8]) {
    if let Some(mut line) = LINE.try_lock() {
        if let Some(line) = line.as_mut() {
            line.flush();
            line.uart.send_bytes_exact(bytes);
        }
        return;
    }
    // SAFETY: the port is COM1's, as in `install`. The holder of the lock is the code that panicked, on this one CPU
    // and with interrupts off: it never runs again, so nobody else uses the registers.
    if let Ok(mut uart) = unsafe { Uart16550::new_port(PORT) } {
        uart.send_bytes_exact(bytes);
    }
}

/// Keeps a piece of the kernel's log for [`take_log`]. Where there is no room for it, everything that was kept is sent, and
/// the piece behind it: nothing is lost, but it may then stand in somebody's row.
pub fn keep_log(text: &[u8]) {
    let is_kept = match LINE.lock().as_mut() {
        Some(line) if line.log.room() >= text.len() => text.iter().all(|byte| line.log.push(*byte)),
        Some(_) => false,
        None => true,
    };
    if !is_kept {
        send_all(text);
    }
}

/// Takes what was kept of the kernel's log, oldest first; returns how many bytes.
pub fn take_log(buffer: &mut [u8]) -> usize {
    let mut line = LINE.lock();
    let Some(line) = line.as_mut() else { return 0 };
    let mut count = 0;
    for (slot, byte) in buffer.iter_mut().zip(core::iter::from_fn(|| line.log.pop())) {
        *slot = byte;
        count += 1;
    }
    count
}

/// Takes received bytes, oldest first; returns how many.
pub fn receive(buffer: &mut [u8]) -> usize {
    let mut line = LINE.lock();
    let Some(line) = line.as_mut() else { return 0 };
    if line.mode == Mode::Polled {
        return line.uart.receive_bytes(buffer);
    }
    let mut count = 0;
    for (slot, byte) in buffer.iter_mut().zip(core::iter::from_fn(|| line.receive.pop())) {
        *slot = byte;
        count += 1;
    }
    count
}

/// Whether what is sent goes out, or comes back as received (for tests).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loopback {
    /// Out.
    Off,
    /// Back.
    On,
}

/// Turns the device's loopback on or off, after what the ring holds has gone where it was meant to.
pub fn set_loopback(loopback: Loopback) {
    if let Some(line) = LINE.lock().as_mut() {
        line.flush();
        let mut control = line.uart.mcr();
        control.set(MCR::LOOP_BACK, loopback == Loopback::On);
        // SAFETY: the modem control register of the device that this module drives; the other bits stay as they are.
        unsafe { line.uart.backend_mut().write(offsets::MCR as u8, control.bits()) };
    }
}

/// How many bytes wait to be sent.
pub fn pending() -> usize {
    LINE.lock().as_ref().map_or(0, |line| line.send.len)
}

/// How many received bytes wait to be taken.
pub fn received() -> usize {
    LINE.lock().as_ref().map_or(0, |line| line.receive.len)
}

/// How many interrupts the line has had since boot.
pub fn interrupt_count() -> u64 {
    INTERRUPTS.load(Ordering::Relaxed)
}

/// How many received bytes were dropped because nobody took those before them.
pub fn lost() -> u64 {
    LOST.load(Ordering::Relaxed)
}

/// Serves the device until it has nothing to report: the line is edge-triggered, so one cause left over would be the last.
/// Call it from the handler of IRQ 4.
pub fn on_interrupt() {
    INTERRUPTS.fetch_add(1, Ordering::Relaxed);
    let mut line = LINE.lock();
    let Some(line) = line.as_mut() else { return };
    // A device takes and gives at most a FIFO's worth in each round; the bound keeps a broken one from holding the CPU.
    for _ in 0..64 {
        if !line.uart.isr().has_pending_interrupt() {
            return;
        }
        let _ = line.uart.lsr();
        while let Ok(byte) = line.uart.try_receive_byte() {
            if !line.receive.push(byte) {
                LOST.fetch_add(1, Ordering::Relaxed);
            }
        }
        line.pump();
    }
}

impl Line {
    /// Gives the device what it can take now, and asks for an interrupt when it can take more.
    fn pump(&mut self) {
        if self.uart.ready_to_send().is_ok() {
            let mut chunk = [0; 16];
            let mut count = 0;
            for (slot, byte) in chunk.iter_mut().zip(core::iter::from_fn(|| self.send.pop())) {
                *slot = byte;
                count += 1;
            }
            self.uart.send_bytes(chunk.get(..count).unwrap_or_default());
        }
        let enabled = self.uart.config().interrupts.contains(IER::THR_EMPTY);
        match (self.send.len == 0, enabled) {
            (false, false) => self.uart.enable_interrupts(IER::THR_EMPTY),
            (true, true) => self.uart.disable_interrupts(IER::THR_EMPTY),
            _ => {}
        }
    }

    /// Sends all that waits by polling, the log that was kept last.
    fn flush(&mut self) {
        while let Some(byte) = self.send.pop().or_else(|| self.log.pop()) {
            self.uart.send_bytes_exact(&[byte]);
        }
    }
}

/// A queue of bytes of fixed capacity.
struct Ring<const N: usize> {
    bytes: [u8; N],
    start: usize,
    len: usize,
}

impl<const N: usize> Ring<N> {
    const fn new() -> Self {
        Self { bytes: [0; N], start: 0, len: 0 }
    }

    /// Appends a byte; `false` if there is no room.
    fn push(&mut self, byte: u8) -> bool {
        if self.len == N {
            return false;
        }
        match self.bytes.get_mut((self.start + self.len) % N) {
            Some(slot) => *slot = byte,
            None => return false,
        }
        self.len += 1;
        true
    }

    /// How many more bytes it takes.
    fn room(&self) -> usize {
        N - self.len
    }

    /// Takes the oldest byte.
    fn pop(&mut self) -> Option<u8> {
        if self.len == 0 {
            return None;
        }
        let byte = self.bytes.get(self.start).copied();
        self.start = (self.start + 1) % N;
        self.len -= 1;
        byte
    }
}
