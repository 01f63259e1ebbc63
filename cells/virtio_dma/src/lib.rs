//! DMA memory and the virtqueue of a virtio block device, behind a safe interface.
//!
//! This is the one place of a virtio driver where `unsafe` stands. What it offers is safe: [`BlockQueue`] owns the
//! device's registers, its queue and the memory that the device reads and writes, and hands out none of the three.
//! Data goes in and out by copying, into slots that the device does not hold at that time.
//!
//! * `pages` is the allocator's bookkeeping, `pool` the memory behind it and the `Hal` of `virtio-drivers`;
//! * `region` is a piece of that memory with checked copies;
//! * `memory` lays the slots out in it;
//! * `windows` are the mapped BARs; `bars` answers their sizes; `configuration` joins both to the kernel;
//! * `registers` resets the device at the end;
//! * `negotiate` brings the device up to the agreed features; `queue` submits requests and collects completions.
//!
//! What is trusted: the device itself. Nothing stands between it and memory without an IOMMU; this crate keeps *safe
//! code* from aiming it anywhere but at the pool.
#![cfg_attr(not(test), no_std)]

extern crate alloc;

mod bars;
mod configuration;
mod error;
#[cfg(test)]
mod fake;
mod memory;
mod negotiate;
mod pages;
mod pool;
mod queue;
mod region;
mod registers;
mod request;
#[cfg(test)]
mod tests;
mod windows;

pub use error::Error;
pub use queue::{BlockQueue, SLOT_BYTES, Slot};
pub use request::Status;
