//! Devices that watch, and devices that misbehave.

use alloc::vec::Vec;
use std::cell::RefCell;
use std::rc::Rc;

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

/// What a failing device fails at next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    Read,
    Write,
    Flush,
}

/// A device that fails when told to, and counts reads, writes and flushes.
#[derive(Clone, Debug)]
pub(crate) struct FailingDevice {
    pub(crate) inner: MemoryDevice,
    pub(crate) fault: Rc<RefCell<Option<Fault>>>,
    pub(crate) writes: Rc<RefCell<u64>>,
}

impl FailingDevice {
    pub(crate) fn new(inner: MemoryDevice) -> Self {
        Self { inner, fault: Rc::default(), writes: Rc::default() }
    }

    fn pass(&self, kind: Fault) -> Result<(), DeviceError> {
        if *self.fault.borrow() == Some(kind) { Err(DeviceError::Failed) } else { Ok(()) }
    }
}

impl BlockDevice for FailingDevice {
    fn sectors(&self) -> u64 {
        self.inner.sectors()
    }

    fn read(&mut self, sector: u64, buffer: &mut [u8]) -> Result<(), DeviceError> {
        self.pass(Fault::Read)?;
        self.inner.read(sector, buffer)
    }

    fn write(&mut self, sector: u64, data: &[u8]) -> Result<(), DeviceError> {
        *self.writes.borrow_mut() += 1;
        self.pass(Fault::Write)?;
        self.inner.write(sector, data)
    }

    fn flush(&mut self) -> Result<(), DeviceError> {
        self.pass(Fault::Flush)
    }
}
