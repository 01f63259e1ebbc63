//! Devices that watch, and devices that misbehave.

use std::cell::RefCell;
use std::rc::Rc;

pub(crate) use crate::crash_test::{Event, RecordingDevice};
use crate::{BlockDevice, DeviceError, MemoryDevice};

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
    /// Fails once, after so many more transfers of that kind.
    pub(crate) countdown: Rc<RefCell<Option<(Fault, u64)>>>,
    pub(crate) writes: Rc<RefCell<u64>>,
}

impl FailingDevice {
    pub(crate) fn new(inner: MemoryDevice) -> Self {
        Self { inner, fault: Rc::default(), countdown: Rc::default(), writes: Rc::default() }
    }

    fn pass(&self, kind: Fault) -> Result<(), DeviceError> {
        let mut countdown = self.countdown.borrow_mut();
        if let Some((fault, left)) = countdown.as_mut()
            && *fault == kind
        {
            if *left == 0 {
                *countdown = None;
                return Err(DeviceError::Failed);
            }
            *left -= 1;
        }
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
