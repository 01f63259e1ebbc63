//! Kernel objects as they are in memory, and what invoking them does.
//!
//! The pure crates know the rules: `capability` who may, `ledger` where a request is, `threads` who runs next. Here they
//! meet the machine: an object is a `repr(C)` structure of cells at an address inside untyped memory, a thread is a
//! stack that can be switched to, and an invocation changes page tables.
//!
//! * [`ipc`]: call, receive, reply: the hot path;
//! * [`scheduler`]: who has the processor;
//! * [`invoke`]: every other operation, by kind of object;
//! * [`instance`]: cells: their memory, their start and their end;
//! * [`restart`]: how an instance begins again; [`keeper`]: the one that the kernel itself lets begin again;
//! * [`replacement`], [`replacer`]: how another instance takes its place, under load;
//! * [`authority`]: the one context of the capability layer and what it asks back.
//!
//! # Contract
//! Everything runs with interrupts off on the one CPU, entered through the functions of the kernel's surface or from an
//! interrupt, and never waits but in [`scheduler::block`] and at preemption points. So state is in [`core::cell::Cell`]s
//! and every function is run to its end, or to its switch, alone. References to objects are made from addresses that
//! capabilities or intrusive links hold; they are not kept across a switch unless the object holds the thread itself.
#![cfg(target_os = "none")]
#![no_std]

extern crate alloc;

pub mod authority;
pub mod devices;
mod exclusive;
mod export;
pub mod fault;
pub mod instance;
pub mod invoke;
pub mod ipc;
pub mod keeper;
mod lease;
pub mod memory;
pub mod notification;
mod replacement;
mod replacer;
mod reply;
mod report;
mod restart;
pub mod root;
pub mod scheduler;
mod scope;
mod status;
mod taking_part;
pub mod tcb;
mod vspace;

pub use status::Failure;
