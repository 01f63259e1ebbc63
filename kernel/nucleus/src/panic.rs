//! The end of the kernel: message, place and backtrace by polling, then out.

use crate::log_line::Polled;
use crate::probe;
use core::fmt::Write;
use core::panic::PanicInfo;
use core::sync::atomic::{AtomicBool, Ordering};
use paging::layout::{KERNEL, KERNEL_END};
use x86::{cpu, ports};

static PANICKED: AtomicBool = AtomicBool::new(false);
const DEEPEST: usize = 32;

#[panic_handler]
fn panic(info: &PanicInfo) -> ! {
    cpu::disable_interrupts();
    if PANICKED.swap(true, Ordering::Relaxed) {
        // The report itself failed. Say nothing more.
        ports::exit(ports::FAILURE);
    }
    let _ = write!(Polled, "\r\nkernel: {info}\r\n");
    backtrace(cpu::frame_pointer());
    ports::exit(ports::FAILURE)
}

/// Prints return addresses along the chain of frame pointers, as far as it can be read.
fn backtrace(mut frame: u64) {
    for _ in 0..DEEPEST {
        let (Ok(caller), Ok(address)) = (probe::read(frame), probe::read(frame.wrapping_add(8))) else {
            return;
        };
        if !(KERNEL..KERNEL_END).contains(&address) {
            return;
        }
        let _ = write!(Polled, "kernel:   at {address:#x}\r\n");
        // Stacks grow down, so callers stand higher; anything else would loop.
        if caller <= frame {
            return;
        }
        frame = caller;
    }
}
