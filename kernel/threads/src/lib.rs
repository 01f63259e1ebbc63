//! Who runs next, and who is woken when: the run queue and the timers, without hardware.
//!
//! * [`RunQueue`]: fixed priorities, round robin within one, constant-time choice by a bit map;
//! * [`Timers`]: nodes sorted by deadline;
//! * [`Budget`]: how much of its time a thread may run at its own priority.
//!
//! The first two are intrusive (see [`lists`]): the nodes live in the TCBs. Contract as there.
#![cfg_attr(not(test), no_std)]

mod budget;
mod run_queue;
mod timers;

pub use budget::{Budget, EXHAUSTED};
pub use run_queue::{PRIORITIES, RunNode, RunQueue};
pub use timers::{TimerNode, Timers};
