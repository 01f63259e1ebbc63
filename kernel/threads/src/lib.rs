//! Who runs next, and who is woken when: the run queue and the timers, without hardware.
//!
//! * [`RunQueue`]: fixed priorities, round robin within one, constant-time choice by a bit map;
//! * [`Timers`]: nodes sorted by deadline.
//!
//! Both are intrusive (see [`lists`]): the nodes live in the TCBs. Contract as there.
#![cfg_attr(not(test), no_std)]

mod run_queue;
mod timers;

pub use run_queue::{PRIORITIES, RunNode, RunQueue};
pub use timers::{TimerNode, Timers};
