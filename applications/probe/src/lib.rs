//! Tests of what the kernel claims, through real cells, with the authority of the root task.
//!
//! With the word `probe` on the boot command line the root task starts this cell instead of going on. It runs every test
//! of the modules below, prints `test NAME ... ok` or `FAILED: reason` for each and `N passed, N failed` at the end, and
//! stops the machine.
//!
//! * [`protocol`]: what the cells of the tests say to each other;
//! * [`peer`]: the other cells: further instances of this one, whose argument says what each does;
//! * [`lab`]: where peers and objects come from, and the check that each test leaves nothing behind;
//! * [`objects_of`], [`messages`], [`waits`], [`deaths`], [`scopes`], [`images`]: the tests.
//!
//! The tests' own thread has the lowest priority of all: a peer that is started, called or answered runs until it waits, before
//! the test goes on. So nothing here sleeps, and nothing depends on how fast the machine is.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod deaths;
mod images;
mod lab;
mod messages;
mod objects_of;
mod peer;
mod protocol;
mod scopes;
mod waits;

use runtime::Environment;

use lab::Lab;

/// The entry of the cell: the tests for argument 0, one of the peers for any other.
pub fn main(environment: Environment) -> u64 {
    match protocol::Task::from_argument(environment.argument()) {
        Some(task) => peer::run(environment, task),
        None => run(Lab::new(environment)),
    }
}

fn run(mut lab: Lab) -> u64 {
    for tests in [objects_of::TESTS, messages::TESTS, waits::TESTS, deaths::TESTS, scopes::TESTS, images::TESTS] {
        for (name, test) in tests {
            lab.run(name, *test);
        }
    }
    lab.finish()
}
