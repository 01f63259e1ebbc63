//! The main loop: requests in, parts to the device, completions back, answers out.

use alloc::vec::Vec;

use abi::interfaces::block::{self, Block};
use abi::kernel::TIMEOUT_NONE;
use abi::token::{All, Cap, Endpoint, Irq, Notification, ReceiveOnly, Reply};
use runtime::{Event, Pending, Request, Server, bug, objects};
use virtio_dma::{BlockQueue, Slot, Status};

use crate::Failure;
use crate::extent::Extent;
use crate::schedule::{Outcome, Part, Schedule, Work};

/// The bit that the interrupt sets in the notification.
pub(crate) const INTERRUPT: u64 = 1;
/// Reply objects. One stays behind to receive with, so that one request fewer is held at a time.
pub(crate) const REPLIES: usize = 32;

/// The driver at work.
#[derive(Debug)]
pub(crate) struct Driver {
    server: Server,
    notification: Cap<Notification, All>,
    device: Device,
}

/// The device, with the requests that it works on.
#[derive(Debug)]
struct Device {
    queue: BlockQueue,
    irq: Cap<Irq, All>,
    schedule: Schedule<Pending>,
}

impl Driver {
    /// A driver for a queue that is up.
    pub(crate) fn new(
        queue: BlockQueue,
        irq: Cap<Irq, All>,
        notification: Cap<Notification, All>,
        endpoint: Cap<Endpoint, ReceiveOnly>,
        replies: Vec<Cap<Reply, All>>,
    ) -> Self {
        let part = (queue.request_bytes() / block::SECTOR) as u64;
        let schedule = Schedule::new(replies.len() - 1, queue.slots(), part);
        Driver { server: Server::new(endpoint, replies), notification, device: Device { queue, irq, schedule } }
    }

    /// Serves until the device or the kernel fails it.
    pub(crate) fn run(mut self) -> Failure {
        loop {
            if let Err(failure) = self.turn() {
                return failure;
            }
        }
    }

    /// One event: a request or an interrupt; an interrupt alone while no more requests can be held.
    fn turn(&mut self) -> Result<(), Failure> {
        if !self.device.schedule.has_room() {
            // No answer of words waits for `next` to send it: one leaves the room as it was, and there was room then.
            objects::wait(&self.notification, TIMEOUT_NONE)?;
            return self.device.interrupt(&mut self.server);
        }
        match self.server.next_event() {
            Event::Signal(_) => self.device.interrupt(&mut self.server),
            Event::Request(request) => {
                if let Some((work, pending)) = self.device.admit(request) {
                    self.device.begin(work, pending, &mut self.server)?;
                }
                Ok(())
            }
        }
    }
}

impl Device {
    /// Checks a request. Answers it at once, or keeps it for [`Self::begin`].
    fn admit(&self, mut request: Request<'_>) -> Option<(Work, Pending)> {
        let capacity = self.queue.sectors();
        let lease = request.lease().len();
        let work = match Block::decode(request.label(), request.words()) {
            Some(Block::Capacity(_)) => {
                request.ok(capacity);
                return None;
            }
            Some(Block::IsReadOnly(_)) => {
                request.ok(self.queue.is_read_only().into());
                return None;
            }
            Some(Block::Write(_) | Block::Flush(_)) if self.queue.is_read_only() => {
                request.refuse(block::READ_ONLY, 0);
                return None;
            }
            Some(Block::Flush(_)) => Some(Work::Flush),
            Some(Block::Read(read)) => Extent::checked(read.sector, read.count, capacity, lease).ok().map(Work::Read),
            Some(Block::Write(write)) => {
                Extent::checked(write.sector, write.count, capacity, lease).ok().map(Work::Write)
            }
            None => None,
        };
        let Some(work) = work else {
            request.refuse(block::OUT_OF_RANGE, capacity);
            return None;
        };
        match request.defer() {
            Ok(pending) => Some((work, pending)),
            Err(_) => bug!("a request was received with no reply object to hold it"),
        }
    }

    /// Takes a request on.
    fn begin(&mut self, work: Work, pending: Pending, server: &mut Server) -> Result<(), Failure> {
        match self.schedule.accept(work, pending) {
            Ok(_) => self.submit(),
            Err(nothing_to_do) => {
                server.answer(nothing_to_do, 0, 0, &[]);
                Ok(())
            }
        }
    }

    /// Submits whatever may be submitted, and tells the device once.
    fn submit(&mut self) -> Result<(), Failure> {
        while let Some((slot, part)) = self.schedule.issue() {
            match part.work {
                Work::Read(extent) => {
                    self.queue.submit_read(Slot(slot), extent.sector, extent.bytes())?;
                }
                Work::Write(extent) => {
                    let Some((_, pending)) = self.schedule.carried(slot) else {
                        bug!("a part was issued for a request that is not held")
                    };
                    self.queue.copy_in(Slot(slot), 0, share(pending, &part, extent))?;
                    self.queue.submit_write(Slot(slot), extent.sector, extent.bytes())?;
                }
                Work::Flush => self.queue.submit_flush(Slot(slot))?,
            }
        }
        self.queue.announce();
        Ok(())
    }

    /// Collects what the device has completed, answers what is finished, and submits what may follow. The line is
    /// acknowledged after the last poll: a later completion raises it again.
    fn interrupt(&mut self, server: &mut Server) -> Result<(), Failure> {
        self.queue.acknowledge()?;
        while let Some((slot, status)) = self.queue.poll_completed()? {
            self.completed(slot, status, server)?;
        }
        objects::irq_acknowledge(&self.irq)?;
        self.submit()
    }

    fn completed(&mut self, slot: Slot, status: Status, server: &mut Server) -> Result<(), Failure> {
        let Some((part, pending)) = self.schedule.carried(slot.0) else {
            bug!("a slot was in flight that carried no part")
        };
        let outcome = match status {
            Status::Done => Outcome::Done,
            Status::Failed | Status::Unsupported => Outcome::Failed,
        };
        if let (Work::Read(extent), Outcome::Done) = (part.work, outcome) {
            self.queue.copy_out(slot, 0, share(pending, &part, extent))?;
        }
        if let Some((pending, outcome)) = self.schedule.complete(slot.0, outcome) {
            let code = match outcome {
                Outcome::Done => 0,
                Outcome::Failed => block::DEVICE_ERROR,
            };
            server.answer(pending, code, 0, &[]);
        }
        Ok(())
    }
}

/// A part's share of the memory that was lent with its request.
fn share<'a>(pending: &'a mut Pending, part: &Part, extent: Extent) -> &'a mut [u8] {
    let range = part.offset..part.offset + extent.bytes();
    match pending.lease().get_mut(range) {
        Some(share) => share,
        None => bug!("the lease is shorter than it was when the request was admitted"),
    }
}
