//! A device that records what is done to it.

use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::RefCell;

use crate::{BlockDevice, DeviceError, MemoryDevice};

/// What happened to a device, and what its user said meanwhile.
#[derive(Clone, Debug)]
pub(crate) enum Event<M> {
    Write { sector: u64, data: Vec<u8> },
    Flush,
    Mark(M),
}

/// The events of one device.
pub(crate) type Log<M> = Rc<RefCell<Vec<Event<M>>>>;

/// A device that records every write and flush.
#[derive(Clone, Debug)]
pub(crate) struct RecordingDevice<M> {
    pub(crate) inner: MemoryDevice,
    pub(crate) log: Log<M>,
    /// Claims to flush and does not: a planted defect.
    pub(crate) drops_flushes: bool,
}

impl<M> RecordingDevice<M> {
    pub(crate) fn new(inner: MemoryDevice) -> Self {
        Self { inner, log: Log::default(), drops_flushes: false }
    }
}

impl<M> BlockDevice for RecordingDevice<M> {
    fn sectors(&self) -> u64 {
        self.inner.sectors()
    }

    fn read(&mut self, sector: u64, buffer: &mut [u8]) -> Result<(), DeviceError> {
        self.inner.read(sector, buffer)
    }

    fn write(&mut self, sector: u64, data: &[u8]) -> Result<(), DeviceError> {
        self.log.borrow_mut().push(Event::Write { sector, data: data.to_vec() });
        self.inner.write(sector, data)
    }

    fn flush(&mut self) -> Result<(), DeviceError> {
        if !self.drops_flushes {
            self.log.borrow_mut().push(Event::Flush);
        }
        Ok(())
    }
}
