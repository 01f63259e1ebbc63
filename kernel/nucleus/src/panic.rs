//! The end of the kernel: what went wrong, where, and how it came there, by polling; then out.

use crate::log_line::Polled;
use crate::probe;
use core::fmt::{self, Write};
use core::panic::PanicInfo;
use core::sync::atomic::{AtomicBool, Ordering};
use paging::layout::{KERNEL, KERNEL_END};
use spin::Once;
use trace::Symbols;
use x86::interrupts::TrapFrame;
use x86::{cpu, ports};

static STOPPED: AtomicBool = AtomicBool::new(false);
static SYMBOLS: Once<Symbols<'static>> = Once::new();

/// Lets reports name functions.
pub fn install(symbols: Symbols<'static>) {
    SYMBOLS.call_once(|| symbols);
}

#[panic_handler]
fn panic(info: &PanicInfo) -> ! {
    let (message, frame) = (info.message(), cpu::frame_pointer());
    match info.location() {
        Some(place) => report(format_args!("{message} ({place})"), None, frame),
        None => report(format_args!("{message}"), None, frame),
    }
}

/// Ends the kernel for an exception, whose trace begins with the code that raised it.
pub fn stop(frame: &TrapFrame, reason: fmt::Arguments<'_>) -> ! {
    report(format_args!("{reason}\r\nkernel: {frame:x?}"), Some(frame.rip), frame.rbp)
}

fn report(reason: fmt::Arguments<'_>, code: Option<u64>, frame: u64) -> ! {
    cpu::disable_interrupts();
    if STOPPED.swap(true, Ordering::Relaxed) {
        // The report itself failed. Say nothing more.
        ports::exit(ports::FAILURE);
    }
    let _ = write!(Polled, "\r\nkernel panic: {reason}\r\n");
    let callers = trace::frames(frame, KERNEL..KERNEL_END, |address| probe::read(address).ok());
    for address in code.into_iter().chain(callers) {
        let _ = match SYMBOLS.get().and_then(|symbols| symbols.find(address)) {
            Some(place) => write!(Polled, "kernel:   at {address:#x} {place}\r\n"),
            None => write!(Polled, "kernel:   at {address:#x}\r\n"),
        };
    }
    ports::exit(ports::FAILURE)
}
