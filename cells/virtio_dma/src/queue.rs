//! The request queue of a virtio block device.
//!
//! A [`Slot`] is a place for one request with its data. Invariant: a slot is either *idle*, and then the device holds
//! none of its memory, or *in flight*, and then its memory is the device's until [`BlockQueue::poll_completed`] has
//! taken its chain from the used ring. Copies reach idle slots only; submitting takes an idle slot. Completion is
//! signalled by INTx; nothing here waits.

use alloc::vec;
use alloc::vec::Vec;
use core::sync::atomic::{Ordering, fence};

use abi::token::{All, Cap, DmaFrame, PciFunction, VSpace};
use runtime::bug;
use runtime::objects::dma_map;
use virtio_drivers::queue::VirtQueue;
use virtio_drivers::transport::pci::PciTransport;
use virtio_drivers::transport::pci::bus::PciRoot;
use virtio_drivers::transport::{DeviceStatus, InterruptStatus, Transport};

use crate::configuration::{Configuration, FUNCTION, enable_dma, enable_registers};
use crate::error::Error;
use crate::memory::{MAX_SLOTS, Memory};
use crate::negotiate::{self, Geometry};
use crate::pool::{self, PoolHal};
use crate::registers::Registers;
use crate::request::{Operation, Status};

/// Bytes of data that a slot holds.
pub const SLOT_BYTES: usize = 32 * 1024;
/// Bytes of a sector.
pub(crate) const SECTOR: usize = 512;

/// Descriptors of the queue. QEMU offers 128 at least.
const DESCRIPTORS: usize = 64;
/// Descriptors that a request takes: header, data, status.
const CHAIN: usize = 3;
/// The block device's only queue, where multi-queue is not negotiated.
const QUEUE: u16 = 0;

const _: () = assert!(DESCRIPTORS / CHAIN <= MAX_SLOTS);

/// A place for one request. Its number lies below [`BlockQueue::slots`]; another is refused where it is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Slot(pub usize);

/// The request queue, with all that it needs: registers, rings, slots, and the capabilities that they come from.
#[derive(Debug)]
pub struct BlockQueue<T: Transport = PciTransport> {
    // Dropped in this order. The transport resets the device, which then touches memory no more; what follows gives
    // its pages back to the pool.
    transport: Registers<T>,
    queue: VirtQueue<PoolHal, DESCRIPTORS>,
    memory: Memory,
    /// Which slots are in flight.
    in_flight: Vec<bool>,
    /// Slot and operation of each chain in flight, by its first descriptor.
    chains: [Option<(Slot, Operation)>; DESCRIPTORS],
    geometry: Geometry,
    unannounced: bool,
    /// Kept, so that safe code cannot delete them under the device.
    _endowment: Option<(Cap<PciFunction, All>, Cap<DmaFrame, All>)>,
}

impl BlockQueue {
    /// Brings a device up. It keeps the function and the frame for good: once in the life of a cell.
    ///
    /// # Errors
    /// As [`Error`] says; the device is left reset.
    pub fn new(
        function: Cap<PciFunction, All>,
        vspace: &Cap<VSpace, All>,
        frame: Cap<DmaFrame, All>,
    ) -> Result<Self, Error> {
        enable_registers(&function)?;
        let configuration = Configuration::map(&function, vspace)?;
        let mut root = PciRoot::new(configuration);
        let transport = PciTransport::new::<PoolHal, _>(&mut root, FUNCTION)?;
        let mut transport = Registers::new(transport);
        // Before anything else: an earlier instance of the driver may have left the device at work in this frame.
        negotiate::reset(&mut *transport)?;
        enable_dma(&function)?;
        let (address, physical, length) = dma_map(&frame, vspace)?;
        // SAFETY: the kernel just mapped this range, contiguous, for this cell; the frame's token is kept below or
        // lost, so that no safe code can name the frame again, and a reset device does not use it.
        unsafe { pool::register(address as usize, physical, length as usize) }?;
        let mut queue = Self::with_transport(transport, MAX_SLOTS)?;
        queue._endowment = Some((function, frame));
        Ok(queue)
    }
}

impl<T: Transport> BlockQueue<T> {
    /// A queue over a transport whose device was reset; the pool is registered.
    pub(crate) fn with_transport(mut transport: Registers<T>, most_slots: usize) -> Result<Self, Error> {
        let geometry = negotiate::agree(&mut *transport)?;
        // Neither indirect descriptors, which come from the heap and not from the pool, nor event indices.
        let queue = VirtQueue::new(&mut *transport, QUEUE, false, false)?;
        let memory = Memory::take(most_slots.min(DESCRIPTORS / CHAIN))?;
        negotiate::finish(&mut *transport);
        let in_flight = vec![false; memory.slots()];
        Ok(BlockQueue {
            transport,
            queue,
            memory,
            in_flight,
            chains: [None; DESCRIPTORS],
            geometry,
            unannounced: false,
            _endowment: None,
        })
    }

    /// Sectors of 512 bytes that the device has.
    pub fn sectors(&self) -> u64 {
        self.geometry.sectors
    }

    /// Whether the device refuses to be written.
    pub fn is_read_only(&self) -> bool {
        self.geometry.is_read_only
    }

    /// How many slots there are: requests that can be in flight at once.
    pub fn slots(&self) -> usize {
        self.memory.slots()
    }

    /// The most bytes of data in one request, in whole sectors: one at least.
    pub fn request_bytes(&self) -> usize {
        SLOT_BYTES.min(self.geometry.largest) / SECTOR * SECTOR
    }

    /// Copies bytes into an idle slot, from its `offset` on.
    ///
    /// # Errors
    /// `SlotBusy`, `OutOfSlot`.
    pub fn copy_in(&mut self, slot: Slot, offset: usize, bytes: &[u8]) -> Result<(), Error> {
        self.idle(slot)?;
        // SAFETY: an idle slot's memory is not the device's.
        unsafe { self.memory.data_mut(slot.0)?.write(offset, bytes) }
    }

    /// Copies bytes out of an idle slot, from its `offset` on.
    ///
    /// # Errors
    /// `SlotBusy`, `OutOfSlot`.
    pub fn copy_out(&self, slot: Slot, offset: usize, bytes: &mut [u8]) -> Result<(), Error> {
        self.idle(slot)?;
        // SAFETY: an idle slot's memory is not the device's.
        unsafe { self.memory.data(slot.0)?.read(offset, bytes) }
    }

    /// Queues a read of `length` bytes, in whole sectors, into a slot. The device learns of it at [`Self::announce`].
    ///
    /// # Errors
    /// `SlotBusy`; `OutOfSlot` for a bad slot or length; `Queue`.
    pub fn submit_read(&mut self, slot: Slot, sector: u64, length: usize) -> Result<(), Error> {
        self.check_length(length)?;
        self.submit(slot, Operation::Read { length }, sector)
    }

    /// Queues a write of a slot's first `length` bytes, in whole sectors. As [`Self::submit_read`].
    ///
    /// # Errors
    /// As [`Self::submit_read`].
    pub fn submit_write(&mut self, slot: Slot, sector: u64, length: usize) -> Result<(), Error> {
        self.check_length(length)?;
        self.submit(slot, Operation::Write { length }, sector)
    }

    /// Queues a flush. It covers the writes whose completion was polled before. As [`Self::submit_read`].
    ///
    /// # Errors
    /// `SlotBusy`, `OutOfSlot`, `Queue`.
    pub fn submit_flush(&mut self, slot: Slot) -> Result<(), Error> {
        self.submit(slot, Operation::Flush, 0)
    }

    /// Tells the device of what was queued since the last time, once for all of it.
    pub fn announce(&mut self) {
        if !core::mem::take(&mut self.unannounced) {
            return;
        }
        // The index of the available ring must be out before the device's wish not to be told is read: on x86 a load
        // may pass an earlier store, and then both sides could wait for each other. Virtio 1.1, section 2.6.13.4.1.
        fence(Ordering::SeqCst);
        if self.queue.should_notify() {
            self.transport.notify(QUEUE);
        }
    }

    /// Reads the interrupt status, which takes INTx back. Then poll until `None`, and only then acknowledge the line:
    /// what completes meanwhile raises it again.
    ///
    /// # Errors
    /// `NeedsReset`.
    pub fn acknowledge(&mut self) -> Result<(), Error> {
        let cause = self.transport.ack_interrupt();
        let changed = cause.contains(InterruptStatus::DEVICE_CONFIGURATION_INTERRUPT);
        if changed && self.transport.get_status().contains(DeviceStatus::DEVICE_NEEDS_RESET) {
            return Err(Error::NeedsReset);
        }
        Ok(())
    }

    /// The next request that the device is done with: its slot, idle again, and how it went. `None` for now.
    ///
    /// # Errors
    /// `UnknownCompletion`, `Queue`: the device breaks the specification and must not be used on.
    pub fn poll_completed(&mut self) -> Result<Option<(Slot, Status)>, Error> {
        let Some(head) = self.queue.peek_used() else {
            return Ok(None);
        };
        let unknown = Error::UnknownCompletion(head);
        let chain = self.chains.get(usize::from(head)).copied().flatten();
        let Some((slot, operation)) = chain else {
            return Err(unknown);
        };
        let queue = &mut self.queue;
        let pop = on_chain(|inputs, outputs| {
            // SAFETY: `chains` recorded slot and operation when `add` answered this head, and the buffers are a
            // function of the two.
            unsafe { queue.pop_used(head, inputs, outputs) }
        });
        // SAFETY: the device returned the chain of this slot, so the slot is back.
        unsafe { self.memory.with_chain(slot.0, operation, pop) }??;
        self.set_chain(head, None);
        self.set_in_flight(slot, false);
        // SAFETY: as above.
        let status = unsafe { self.memory.status(slot.0) }?;
        Ok(Some((slot, status)))
    }

    fn idle(&self, slot: Slot) -> Result<(), Error> {
        match self.in_flight.get(slot.0) {
            Some(false) => Ok(()),
            Some(true) => Err(Error::SlotBusy),
            None => Err(Error::OutOfSlot),
        }
    }

    fn check_length(&self, length: usize) -> Result<(), Error> {
        let fits = length > 0 && length <= self.request_bytes() && length.is_multiple_of(SECTOR);
        fits.then_some(()).ok_or(Error::OutOfSlot)
    }

    fn submit(&mut self, slot: Slot, operation: Operation, sector: u64) -> Result<(), Error> {
        self.idle(slot)?;
        // SAFETY: an idle slot's memory is not the device's.
        unsafe { self.memory.prepare(slot.0, operation, sector) }?;
        let queue = &mut self.queue;
        let add = on_chain(|inputs, outputs| {
            // SAFETY: the buffers are a slot's memory, in the pool for as long as the queue lives (field order of
            // `BlockQueue`); the slot is marked in flight below, and then left alone until its chain was popped.
            unsafe { queue.add(inputs, outputs) }
        });
        // SAFETY: the slot is idle, and handing it to the device is all that `add` does.
        let head = unsafe { self.memory.with_chain(slot.0, operation, add) }??;
        self.set_chain(head, Some((slot, operation)));
        self.set_in_flight(slot, true);
        self.unannounced = true;
        Ok(())
    }

    fn set_chain(&mut self, head: u16, what: Option<(Slot, Operation)>) {
        match self.chains.get_mut(usize::from(head)) {
            Some(chain) => *chain = what,
            None => bug!("chain {head} of a queue of {DESCRIPTORS}"),
        }
    }

    fn set_in_flight(&mut self, slot: Slot, held: bool) {
        match self.in_flight.get_mut(slot.0) {
            Some(in_flight) => *in_flight = held,
            None => bug!("slot {} was checked and is not there", slot.0),
        }
    }
}

/// Gives a closure the type that [`Memory::with_chain`] takes.
fn on_chain<R, F>(run: F) -> F
where
    F: for<'a> FnOnce(&'a [&'a [u8]], &'a mut [&'a mut [u8]]) -> R,
{
    run
}
