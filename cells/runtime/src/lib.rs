//! What stands between a cell's safe code and the kernel: entry, heap, panic, typed wrappers of the kernel's
//! functions, the server loop and the client's calls.
//!
//! Every `unsafe` of a cell is here, in `abi` or in the generated wrapper; the cell itself is compiled with
//! `unsafe_code` forbidden. What keeps this sound in one sentence each:
//!
//! * tokens are adopted from slots that the kernel reported, once each ([`Environment`], `adopt` in [`objects`]);
//! * every pointer given to the kernel comes from a reference that outlives the call, and calls block;
//! * a Buf is lent by `&mut` for the length of a call, and its lease ends with the reply.
#![cfg_attr(not(test), no_std)]
#![cfg_attr(not(target_os = "none"), allow(unused, reason = "on the host only the parts without a kernel are built"))]

extern crate alloc;

mod buf;
mod client;
mod console;
mod environment;
pub mod forbidden;
mod heap;
mod interrupts;
mod kernel;
pub mod objects;
mod server;
mod state;

pub use abi;
pub use buf::Buf;
pub use client::{Answered, Call, call_label};
pub use console::Console;
pub use environment::Environment;
pub use heap::Heap;
pub use interrupts::on_interrupt;
pub use kernel::{clock, exit, sleep, time_stamp, yield_now};
pub use server::{Event, Pending, Request, Server};
pub use state::{Exporter, Exports, State};

pub use abi::kernel::{Clock, Start};

/// Ends the cell loudly: a state that cannot be has been.
#[macro_export]
macro_rules! bug {
    ($($why:tt)*) => { panic!("bug: {}", format_args!($($why)*)) };
}

/// Where the generated wrapper's entry goes: sets the heap up, collects the cell's capabilities, runs `main`, and ends
/// the cell with the status that it returns.
///
/// # Safety
/// `start` is what the kernel passed to the entry point, and this is the cell's first code to run.
#[cfg(target_os = "none")]
pub unsafe fn start(start: *const Start, heap: &'static Heap, main: fn(Environment) -> u64) -> ! {
    // SAFETY: the kernel left a `Start` there, by the caller's word.
    let start = unsafe { *start };
    // SAFETY: the kernel mapped this range for this cell alone, and nothing has used it yet.
    unsafe { heap.claim(start.heap, start.heap_length) };
    // SAFETY: the kernel says so, and this runs once.
    let environment = unsafe { Environment::new(start, heap) };
    exit(main(environment))
}

/// Where the generated wrapper's panic handler goes: the text reaches the fault report, and the cell ends.
#[cfg(target_os = "none")]
pub fn panicked(info: &core::panic::PanicInfo<'_>) -> ! {
    kernel::panicked(info)
}
