//! The console server: whole messages out, edited lines in.
//!
//! * [`ahead`]: what is typed while a program runs that may be interrupted;
//! * [`output`]: messages that wait for room in the device, and their writers;
//! * [`newlines`]: what a message becomes on the line;
//! * [`terminal`]: messages above the line that is being edited;
//! * [`server`]: the messages.
//!
//! This cell owns what the terminal shows. A message is written whole before the next one begins, whoever sends it, and above
//! the line that somebody types; the kernel's log is among the messages. A writer is answered when the device has taken
//! its last byte: a fast writer is held to the pace of the line, and nothing is polled. What nobody reads
//! stays in the kernel's ring, so that this cell's restart loses no input but the line itself, and what was typed ahead of a
//! program that may be interrupted.
//!
//! It calls nobody but the kernel: every other cell may log.
//!
//! # Capabilities
//! The fixed slots CNode, TCB, endpoint and notification. Then 16: the serial console; 17: an untyped of 64 KiB for reply
//! objects.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod ahead;
pub mod newlines;
pub mod output;
pub mod server;
pub mod terminal;

use abi::slots;
use abi::token::{All, Cap, Serial, Untyped};
use runtime::{Environment, Server, abi, objects};

/// The serial console.
const SERIAL: u32 = slots::FIRST_GRANTED;
/// The untyped of the reply objects.
const SCRATCH: u32 = SERIAL + 1;
/// The most requests held at once: readers, and writers whose message waits.
const MOST_HELD: usize = 64;
/// The bit that the kernel signals for bytes typed, for room in the device, and for lines of its log.
const SERIAL_READY: u64 = 1;

/// Serves for ever.
///
/// # Panics
/// Without a capability that it cannot do without, which ends the cell by name.
pub fn main(mut environment: Environment) -> u64 {
    let cnode = environment.cnode();
    let endpoint = environment.need(slots::ENDPOINT, "the endpoint that it serves");
    let serial: Cap<Serial, All> = environment.need(SERIAL, "the serial console");
    let scratch: Cap<Untyped> = environment.need(SCRATCH, "memory for reply objects");
    let notification = environment.need(slots::NOTIFICATION, "its notification");
    let thread = environment.need(slots::TCB, "its thread");
    // It is bound already where an earlier instance of the service did it.
    let _ = objects::bind(&thread, &notification);
    if let Err(error) = objects::serial_watch(&serial, &notification, SERIAL_READY) {
        panic!("the serial console cannot be watched: {error:?}");
    }
    if let Err(error) = objects::serve_labels(&endpoint, server::LABELS) {
        panic!("the endpoint refuses the labels of this server: {error:?}");
    }
    // As many as the CNode has slots for; the server itself insists on one.
    let replies = (0..MOST_HELD).map_while(|_| objects::retype(&scratch, 0, &cnode).ok()).collect();
    server::run(Server::new(endpoint, replies), &serial, &cnode)
}
