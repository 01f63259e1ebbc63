//! A test of transactions that span the servers: what their commits, their aborts and the deaths of their beginners leave of
//! processes, kernel objects and memory.
//!
//! One image plays three parts:
//!
//! * the [`driver`] makes what the tests need, runs them, prints a line a test and the totals, and stops the machine. The tests
//!   themselves are in [`processes`], [`deaths`], [`groups`] and [`late`];
//! * a [`child`] is a process that the driver makes: the first thing that it does is to leave a trace in the *mailbox*, an
//!   object that was there before it, so that nothing can run unnoticed. It knows its part by that object;
//! * a [`drone`] is a further thread of the driver's own cell, which begins a transaction and is ended in the middle of it.
//!
//! With `handovers` on the kernel's command line it is [`handovers`] that are tested: the persistence server is replaced under
//! transactions that are open. With `upgrade` it is an [`upgrade`] that is undone.
//!
//! [`figures`] is what has to be the same before and after.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod child;
mod deaths;
mod driver;
mod drone;
mod figures;
mod groups;
mod handovers;
mod late;
mod mailbox;
mod processes;
mod upgrade;

use abi::slots;
use clients::Graph;
use runtime::Environment;

/// The entry of the cell.
pub fn main(mut environment: Environment) -> u64 {
    if let Some(errand) = drone::Errand::of(environment.argument()) {
        return drone::run(environment, errand);
    }
    let mut graph = Graph::new(environment.need(slots::PERSISTENCE, "the persistence server"), None);
    match mailbox::find(&mut graph) {
        Ok(Some(mailbox)) => child::run(&environment, graph, mailbox),
        Ok(None) => driver::run(environment, graph),
        Err(error) => panic!("the root mapping cannot be read: {error}"),
    }
}
