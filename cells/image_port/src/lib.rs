//! The serial line on which images reach a running system.
//!
//! The line is a 16550 behind a PCI function (QEMU's `pci-serial`); the registers are those of the PC16550D data sheet. Whoever
//! is at the other end sends a frame ([`frame`]) and waits for a line of text. The bytes are collected in a Buf and lent to the
//! process server, which has them verified and stored: this cell trusts nothing and has no authority over anything but the line.
//!
//! # Capabilities
//! The fixed slots CNode, VSpace, TCB, endpoint, reply object, notification, console and process server. Then 16: the PCI function;
//! 17: its interrupt; 18: memory for the Buf.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod frame;
mod line;

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use abi::interfaces::process::{IMAGE_REFUSED, Import, OUT_OF_MEMORY, STORE_FAILED};
use abi::kernel::BODY_MAX;
use abi::token::{All, Buf as BufObject, CallOnly, Cap, Endpoint, Notification, Tcb, Untyped, VSpace};
use abi::{CallError, KernelError, slots};
use runtime::{Buf, Call, Console, Environment, Event, Server, objects, say};

use frame::{Collected, Collector};
use line::Line;

const FUNCTION: u32 = slots::FIRST_GRANTED;
const IRQ: u32 = FUNCTION + 1;
const MEMORY: u32 = FUNCTION + 2;
/// Bytes of the Buf, as a power of two: no image is longer.
const BUF_BITS: u8 = 21;
/// The bit of the line's interrupts.
const INTERRUPT: u64 = 1;
/// Nanoseconds of silence after which what has come of a frame is forgotten.
const SILENCE: u64 = 2_000_000_000;

/// Serves for ever; ends with the kernel's error where the line cannot be used.
pub fn main(mut environment: Environment) -> u64 {
    let console = Console::new(environment.take(slots::CONSOLE), "image_port");
    match run(&mut environment, &console) {
        Ok(never) => match never {},
        Err(error) => {
            say!(console, "stopped: {error:?}");
            1
        }
    }
}

fn run(environment: &mut Environment, console: &Console) -> Result<core::convert::Infallible, KernelError> {
    let cnode = environment.cnode();
    let vspace: Cap<VSpace, All> = environment.need(slots::VSPACE, "its VSpace");
    let thread: Cap<Tcb, All> = environment.need(slots::TCB, "its thread");
    let notification: Cap<Notification, All> = environment.need(slots::NOTIFICATION, "its notification");
    let endpoint = environment.need(slots::ENDPOINT, "its endpoint");
    let reply = environment.need(slots::REPLY, "a reply object");
    let process: Cap<Endpoint, CallOnly> = environment.need(slots::PROCESS, "the process server");
    let memory: Cap<Untyped, All> = environment.need(MEMORY, "memory for images");
    let buf: Cap<BufObject, All> = objects::retype(&memory, BUF_BITS, &cnode)?;
    let mut buf = Buf::map(buf, &vspace)?;
    let irq = environment.need(IRQ, "the line's interrupt");
    objects::bind(&thread, &notification)?;
    objects::irq_bind(&irq, &notification, INTERRUPT)?;
    let mut line = Line::new(environment.need(FUNCTION, "the line"), irq)?;
    let mut collector = Collector::default();
    let mut server = Server::new(endpoint, Vec::from([reply]));
    loop {
        // Half a frame is not waited for for ever: its sender may be gone.
        let patience = if collector.is_empty() { abi::kernel::TIMEOUT_NONE } else { SILENCE };
        match server.next_event_within(patience) {
            Ok(Event::Signal(_)) => line.attend(|bytes| collect(bytes, &mut collector, &mut buf, &process, console))?,
            // Its endpoint serves no label.
            Ok(Event::Request(request)) => request.refuse(0, 0),
            Err(CallError::Kernel(KernelError::TimedOut, _)) => {
                say!(console, "an image was cut off");
                collector = Collector::default();
            }
            Err(error) => runtime::bug!("receive failed: {error}"),
        }
    }
}

/// Takes bytes that have come; answers what there is to say to whoever sent them.
fn collect(
    bytes: &[u8],
    collector: &mut Collector,
    buf: &mut Buf,
    process: &Cap<Endpoint, CallOnly>,
    console: &Console,
) -> Option<String> {
    let mut said: Option<String> = None;
    for byte in bytes {
        let line = match collector.take(*byte, buf.bytes_mut()) {
            Collected::Part => continue,
            Collected::TooLong(length) => {
                format!("refused: an image of {length} bytes; {} are the most", 1u64 << BUF_BITS)
            }
            Collected::Whole(length) => store(length, buf, process),
        };
        say!(console, "{line}");
        said = Some(said.unwrap_or_default() + &line + "\n");
    }
    said
}

fn store(length: usize, buf: &mut Buf, process: &Cap<Endpoint, CallOnly>) -> String {
    let mut room = [0; BODY_MAX];
    let stored = Call::new(process, Import { length: length as u64 }).lend(buf).into_bytes(&mut room);
    match stored {
        Ok((_, length)) => {
            let text = room.get(..length).and_then(|bytes| core::str::from_utf8(bytes).ok()).unwrap_or("?");
            format!("stored: {text}")
        }
        Err(CallError::Server(IMAGE_REFUSED, _)) => {
            "refused: it does not verify against this kernel; the console says which rule, and `make build` brings both up to date"
                .to_string()
        }
        Err(CallError::Server(OUT_OF_MEMORY, _)) => "refused: there is no memory to look at it".to_string(),
        Err(CallError::Server(STORE_FAILED, code)) => format!("refused: the store answered with code {code}"),
        Err(error) => format!("refused: the process server failed: {error}"),
    }
}
