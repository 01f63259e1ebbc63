//! The server that is called.

use abi::slots;
use runtime::{Environment, Event, Server, objects};

abi::interface! {
    /// What a client asks.
    Bench {
        /// Adds: three arguments, one result, and next to nothing to do.
        1 Add(a: u64, b: u64, c: u64) -> u64;
        /// Keeps a time stamp.
        2 Note(stamp: u64);
        /// The stamp that was kept last.
        3 Noted() -> u64;
        /// Fails, unanswered.
        4 Crash();
    }
}

/// Code: the words of the request are none of its method's.
const MALFORMED: u32 = 1;

/// Serves for ever.
pub fn run(mut environment: Environment) -> ! {
    let endpoint = environment.need(slots::ENDPOINT, "the endpoint that it serves");
    let reply = environment.need(slots::REPLY, "a reply object");
    if let Err(error) = objects::serve_labels(&endpoint, Bench::LABELS) {
        panic!("the endpoint refuses the labels of this server: {error:?}");
    }
    let mut server = Server::new(endpoint, alloc::vec![reply]);
    let mut noted = 0;
    loop {
        let Event::Request(request) = server.next_event() else { continue };
        match Bench::decode(request.label(), request.words()) {
            Some(Bench::Add(Add { a, b, c })) => request.ok(a.wrapping_add(b).wrapping_add(c)),
            Some(Bench::Note(Note { stamp })) => {
                noted = stamp;
                request.ok(0);
            }
            Some(Bench::Noted(_)) => request.ok(noted),
            Some(Bench::Crash(_)) => panic!("as it was asked to"),
            None => request.refuse(MALFORMED, 0),
        }
    }
}
