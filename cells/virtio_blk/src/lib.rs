//! The driver of virtio block devices: serves [`abi::interfaces::block`] over one device.
//!
//! Requests arrive at the endpoint, are deferred, and are answered when the device's interrupt tells that their parts
//! are done; several are under way at a time. Nothing polls and nothing spins: the cell waits for a message or for its
//! notification, and where no reply object is left to receive with, for the notification alone.
//!
//! * [`schedule`] decides what is submitted when: the logic, without hardware, tested on the host;
//! * `driver` moves data between leases and the device's slots, and answers;
//! * `listeners` are clients that go on while their flush is under way;
//! * `endowment` is what the cell is given.
//!
//! Order: requests that are under way together may reach the medium in any order. A flush is submitted when every
//! write received before it has completed, so its answer covers those; writes received later do not wait for it.
//!
//! The driver calls nobody but the kernel, save for a line on the console at its start and at its end.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod driver;
mod endowment;
pub mod extent;
mod listeners;
pub mod schedule;

use abi::interfaces::block::Block;
use runtime::{Console, Environment, objects, say};
use virtio_dma::BlockQueue;

use crate::driver::Driver;
use crate::endowment::Endowment;

/// The cell's status when the device cannot be used, or stopped being usable.
pub const DEVICE_UNUSABLE: u64 = 1;
/// The cell's status when the kernel refused something that the driver cannot do without.
pub const KERNEL_REFUSED: u64 = 2;

/// Brings the device up and serves it. Answers only when that is over, with the cell's status.
pub fn main(mut environment: Environment) -> u64 {
    let console = Console::new(environment.take(abi::slots::CONSOLE), "virtio_blk");
    match serve(&mut environment, &console) {
        Failure::Device(error) => {
            say!(console, "stopped: {error}");
            DEVICE_UNUSABLE
        }
        Failure::Kernel(error) => {
            say!(console, "stopped: the kernel refused: {error}");
            KERNEL_REFUSED
        }
    }
}

/// Why the driver ends: it serves for ever otherwise.
#[derive(Debug)]
enum Failure {
    /// The device will not do, or broke the specification.
    Device(virtio_dma::Error),
    /// The kernel refused an operation.
    Kernel(abi::CallError),
}

impl From<virtio_dma::Error> for Failure {
    fn from(error: virtio_dma::Error) -> Self {
        Self::Device(error)
    }
}

impl From<abi::CallError> for Failure {
    fn from(error: abi::CallError) -> Self {
        Self::Kernel(error)
    }
}

impl From<abi::KernelError> for Failure {
    fn from(error: abi::KernelError) -> Self {
        Self::Kernel(abi::CallError::Kernel(error, 0))
    }
}

fn serve(environment: &mut Environment, console: &Console) -> Failure {
    match start(environment, console) {
        Ok(driver) => driver.run(),
        Err(failure) => failure,
    }
}

fn start(environment: &mut Environment, console: &Console) -> Result<Driver, Failure> {
    let endowment = Endowment::take(environment);
    objects::bind(&endowment.tcb, &endowment.notification)?;
    objects::irq_bind(&endowment.irq, &endowment.notification, driver::INTERRUPT)?;
    let queue = BlockQueue::new(endowment.function, &endowment.vspace, endowment.frame)?;
    say!(
        console,
        "{} sectors, {}, {} requests of {} KiB in flight",
        queue.sectors(),
        if queue.is_read_only() { "read-only" } else { "flush negotiated" },
        queue.slots(),
        queue.request_bytes() / 1024
    );
    let replies = objects::reply_objects(&endowment.untyped, &endowment.cnode, driver::REPLIES)?;
    objects::serve_labels(&endowment.endpoint, Block::LABELS)?;
    Ok(Driver::new(queue, (endowment.irq, endowment.cnode), endowment.notification, endowment.endpoint, replies))
}
