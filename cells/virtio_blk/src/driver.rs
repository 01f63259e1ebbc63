//! The main loop: requests in, parts to the device, completions back, answers out.

use alloc::vec::Vec;

use abi::interfaces::block::{self, Block};
use abi::kernel::TIMEOUT_NONE;
use abi::token::{All, CNode, Cap, Endpoint, Irq, Notification, ReceiveOnly, Reply};
use runtime::{Event, Pending, Request, Server, bug, objects};
use virtio_dma::{BlockQueue, Slot, Status};

use crate::Failure;
use crate::extent::Extent;
use crate::listeners::{ListenerId, Listeners, Refused};
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
    cnode: Cap<CNode, All>,
    schedule: Schedule<Holder>,
    listeners: Listeners,
}

/// Who hears of the end of a request.
#[derive(Debug)]
enum Holder {
    /// Whoever waits for its answer.
    Caller(Pending),
    /// A client that went on: the bits for a flush that was done, and for one that failed.
    Listener { listener: ListenerId, done: u64, failed: u64 },
}

impl Driver {
    /// A driver for a queue that is up.
    pub(crate) fn new(
        queue: BlockQueue,
        (irq, cnode): (Cap<Irq, All>, Cap<CNode, All>),
        notification: Cap<Notification, All>,
        endpoint: Cap<Endpoint, ReceiveOnly>,
        replies: Vec<Cap<Reply, All>>,
    ) -> Self {
        let part = (queue.request_bytes() / block::SECTOR) as u64;
        let schedule = Schedule::new(replies.len() - 1, queue.slots(), part);
        Driver {
            server: Server::new(endpoint, replies),
            notification,
            device: Device { queue, irq, cnode, schedule, listeners: Listeners::default() },
        }
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
        if self.device.schedule.room() == 0 {
            // No answer of words waits for `next` to send it: one leaves room.
            objects::wait(&self.notification, TIMEOUT_NONE)?;
            return self.device.interrupt(&mut self.server);
        }
        match self.server.next_event() {
            Event::Signal(_) => self.device.interrupt(&mut self.server),
            Event::Request(request) => {
                if let Some((work, holder)) = self.device.admit(request) {
                    self.device.begin(work, holder, &mut self.server)?;
                }
                Ok(())
            }
        }
    }
}

impl Device {
    /// Checks a request. Answers it at once, or keeps it for [`Self::begin`].
    fn admit(&mut self, mut request: Request<'_>) -> Option<(Work, Holder)> {
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
            Some(Block::Write(_) | Block::Flush(_) | Block::BeginFlush(_)) if self.queue.is_read_only() => {
                request.refuse(block::READ_ONLY, 0);
                return None;
            }
            Some(Block::Listen(_)) => {
                self.listen(request);
                return None;
            }
            Some(Block::BeginFlush(wish)) => {
                let Some(listener) = self.listeners.of(request.badge()) else {
                    request.refuse(block::NO_LISTENER, 0);
                    return None;
                };
                // The answer is sent with the next receive, for which there must be room.
                if self.schedule.room() < 2 {
                    request.refuse(block::BUSY, 0);
                    return None;
                }
                request.ok(0);
                return Some((Work::Flush, Holder::Listener { listener, done: wish.done, failed: wish.failed }));
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
            Ok(pending) => Some((work, Holder::Caller(pending))),
            Err(_) => bug!("a request was received with no reply object to hold it"),
        }
    }

    /// Takes a request on.
    fn begin(&mut self, work: Work, holder: Holder, server: &mut Server) -> Result<(), Failure> {
        match self.schedule.accept(work, holder) {
            Ok(_) => self.submit(),
            Err(nothing_to_do) => {
                self.tell(nothing_to_do, Outcome::Done, server);
                Ok(())
            }
        }
    }

    /// Keeps the notification that a client names.
    fn listen(&mut self, mut request: Request<'_>) {
        let Some(Ok(signal)) = request.granted().map(|granted| granted.claim(&self.cnode)) else {
            return request.refuse(block::NO_LISTENER, 0);
        };
        match self.listeners.put(request.badge(), signal) {
            Ok(before) => {
                if let Some(before) = before {
                    objects::delete(before);
                }
                request.ok(0);
            }
            Err(Refused(signal)) => {
                objects::delete(signal);
                request.refuse(block::BUSY, 0);
            }
        }
    }

    /// Tells whoever is to hear of it how a request ended.
    fn tell(&self, holder: Holder, outcome: Outcome, server: &mut Server) {
        match (holder, outcome) {
            (Holder::Caller(pending), Outcome::Done) => server.answer(pending, 0, 0, &[]),
            (Holder::Caller(pending), Outcome::Failed) => server.answer(pending, block::DEVICE_ERROR, 0, &[]),
            (Holder::Listener { listener, done, .. }, Outcome::Done) => self.listeners.signal(listener, done),
            (Holder::Listener { listener, failed, .. }, Outcome::Failed) => self.listeners.signal(listener, failed),
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
                    let Some((_, holder)) = self.schedule.carried(slot) else {
                        bug!("a part was issued for a request that is not held")
                    };
                    self.queue.copy_in(Slot(slot), 0, share(holder, &part, extent))?;
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
        let Some((part, holder)) = self.schedule.carried(slot.0) else {
            bug!("a slot was in flight that carried no part")
        };
        let outcome = match status {
            Status::Done => Outcome::Done,
            Status::Failed | Status::Unsupported => Outcome::Failed,
        };
        if let (Work::Read(extent), Outcome::Done) = (part.work, outcome) {
            self.queue.copy_out(slot, 0, share(holder, &part, extent))?;
        }
        if let Some((holder, outcome)) = self.schedule.complete(slot.0, outcome) {
            self.tell(holder, outcome, server);
        }
        Ok(())
    }
}

/// A part's share of the memory that was lent with its request.
fn share<'a>(holder: &'a mut Holder, part: &Part, extent: Extent) -> &'a mut [u8] {
    let Holder::Caller(pending) = holder else { bug!("data moves for a request that lent no memory") };
    let range = part.offset..part.offset + extent.bytes();
    match pending.lease().get_mut(range) {
        Some(share) => share,
        None => bug!("the lease is shorter than it was when the request was admitted"),
    }
}
