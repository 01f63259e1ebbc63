//! Tests of what the kernel claims, through real cells, with the authority of the root task.
//!
//! With the word `probe` on the kernel's command line the root task starts this cell instead of going on. It runs every test,
//! prints a line for each and the totals, and stops the machine. The other cells of the tests are further instances of this
//! one, whose argument says what each does.
//!
//! * [`protocol`], [`task`]: what the cells say to each other, and how they are told what to do;
//! * [`peer`]: the other cells;
//! * [`rig`], [`cells`]: where objects and cells come from, and the check that each test leaves nothing behind;
//! * [`tests`]: the tests, a module a theme.
//!
//! Nothing waits for a fixed time. The tests run at [`cells::OWN`]; a peer above it runs at once when it is started or
//! called, until it waits, and one below runs when the tests wait for something that it does. Time limits are there to fail
//! a test instead of hanging, and where time itself is tested.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod cells;
mod outcome;
mod peer;
mod protocol;
mod rig;
mod task;
mod tests;

use runtime::Environment;

/// The entry of the cell: the tests for argument 0, one of the peers for any other.
pub fn main(environment: Environment) -> u64 {
    match task::Task::from_argument(environment.argument()) {
        Some(task) => peer::run(environment, task),
        None => rig::Rig::new(environment).run_all(),
    }
}
