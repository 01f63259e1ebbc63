//! The other threads. What they see of the time reaches the driver through the server.

use abi::slots::NOTIFICATION;
use abi::token::{All, CallOnly, Cap, Endpoint, Notification};
use runtime::{Call, Environment, objects, time_stamp, yield_now};

use crate::server::Note;
use crate::slot;

/// Gives the processor back as soon as it has it, for ever.
pub fn yields(mut environment: Environment) -> ! {
    let server = environment.need(slot::SERVER, "the server");
    loop {
        yield_now();
        let stamp = time_stamp();
        note(&server, stamp);
    }
}

/// Waits for signals, for ever.
pub fn waits(mut environment: Environment) -> ! {
    let server = environment.need(slot::SERVER, "the server");
    let signal: Cap<Notification, All> = environment.need(NOTIFICATION, "its notification");
    loop {
        let woken = objects::wait(&signal, abi::kernel::TIMEOUT_NONE);
        let stamp = time_stamp();
        if let Err(error) = woken {
            panic!("the waiter cannot wait: {error}");
        }
        note(&server, stamp);
    }
}

/// The thread that is made to be counted: it waits, and never runs again.
pub fn stands_still() -> ! {
    loop {
        runtime::sleep(abi::kernel::TIMEOUT_NONE);
    }
}

fn note(server: &Cap<Endpoint, CallOnly>, stamp: u64) {
    if let Err(error) = Call::new(server, Note { stamp }).words() {
        panic!("the server keeps no time stamp: {error}");
    }
}
