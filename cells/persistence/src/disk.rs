//! The block device as the store wants it, by messages to the driver.
//!
//! Data passes through one Buf that is lent for the length of each call; longer transfers go in parts. A flush can be begun,
//! and its end is signalled: each has bits of its own, so that one that is heard late is not taken for the next.

use core::ops::Range;

use object_store::{BlockDevice, DeviceError, FlushSignal, SECTOR};
use runtime::abi::CallError;
use runtime::abi::interfaces::block::{self, BeginFlush, Capacity, Flush, IsReadOnly, Listen, Read, Write};
use runtime::abi::token::{All, CNode, CallOnly, Cap, Endpoint, Notification};
use runtime::{Buf, Call, objects};

/// A disk behind a driver.
#[derive(Debug)]
pub struct Disk {
    driver: Cap<Endpoint, CallOnly>,
    buf: Buf,
    sectors: u64,
    is_read_only: bool,
    ear: Ear,
    /// Flushes that were begun.
    begun: u64,
}

/// By what this server hears of the end of a flush.
#[derive(Debug)]
pub struct Ear {
    /// The notification that is bound to its thread.
    pub notification: Cap<Notification, All>,
    /// Its CNode, where the driver's copy is made.
    pub cnode: Cap<CNode, All>,
}

/// Flushes with bits of their own, the lowest of the notification: none is told so late that as many have begun since.
const SIGNALS: u64 = 24;

impl Disk {
    /// The driver's disk.
    ///
    /// # Errors
    /// The driver's, or the kernel's.
    pub fn new(driver: Cap<Endpoint, CallOnly>, buf: Buf, ear: Ear) -> Result<Self, CallError> {
        let sectors = Call::new(&driver, Capacity {}).words()?;
        let is_read_only = Call::new(&driver, IsReadOnly {}).words()? != 0;
        let disk = Disk { driver, buf, sectors, is_read_only, ear, begun: 0 };
        // A driver that does not tell of flushes is waited for.
        let _ = disk.listen();
        disk.forget_flushes();
        Ok(disk)
    }

    /// Whether the device refuses to be written.
    pub fn is_read_only(&self) -> bool {
        self.is_read_only
    }

    /// What an instance of this server before this one has begun is not told any more; what was told is nobody's.
    fn forget_flushes(&self) {
        let told = objects::wait(&self.ear.notification, 0).unwrap_or(0);
        let others = told & !((1 << (2 * SIGNALS)) - 1);
        if others != 0 {
            let _ = objects::signal(&self.ear.notification, others);
        }
    }

    /// Names the notification to the driver.
    fn listen(&self) -> Result<(), CallError> {
        let signal: Cap<Notification, CallOnly> = objects::duplicate(&self.ear.notification, &self.ear.cnode, 0)
            .map_err(|error| CallError::Kernel(error, 0))?;
        Call::new(&self.driver, Listen {}).grant(signal).send().map(drop)
    }

    fn parts(&self, sector: u64, length: usize) -> Result<Parts, DeviceError> {
        Parts::new(sector, length, self.sectors, self.buf.bytes().len())
    }
}

impl BlockDevice for Disk {
    fn sectors(&self) -> u64 {
        self.sectors
    }

    fn read(&mut self, sector: u64, buffer: &mut [u8]) -> Result<(), DeviceError> {
        for Part { sector, range } in self.parts(sector, buffer.len())? {
            let count = (range.len() / SECTOR) as u64;
            Call::new(&self.driver, Read { sector, count }).lend(&mut self.buf).send().map_err(failure)?;
            let (Some(into), Some(from)) = (buffer.get_mut(range.clone()), self.buf.bytes().get(..range.len())) else {
                runtime::bug!("a part lies outside its transfer")
            };
            into.copy_from_slice(from);
        }
        Ok(())
    }

    fn write(&mut self, sector: u64, data: &[u8]) -> Result<(), DeviceError> {
        for Part { sector, range } in self.parts(sector, data.len())? {
            let count = (range.len() / SECTOR) as u64;
            let (Some(from), Some(into)) = (data.get(range.clone()), self.buf.bytes_mut().get_mut(..range.len()))
            else {
                runtime::bug!("a part lies outside its transfer")
            };
            into.copy_from_slice(from);
            Call::new(&self.driver, Write { sector, count }).lend(&mut self.buf).send().map_err(failure)?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), DeviceError> {
        Call::new(&self.driver, Flush {}).words().map_err(failure)
    }

    fn begin_flush(&mut self) -> Option<FlushSignal> {
        let first = 2 * (self.begun % SIGNALS);
        let signal = FlushSignal { done: 1 << first, failed: 2 << first };
        let begin = || Call::new(&self.driver, BeginFlush { done: signal.done, failed: signal.failed }).words();
        let begun = match begin() {
            // An instance of the driver that has not heard of this server.
            Err(CallError::Server(block::NO_LISTENER, _)) => self.listen().and_then(|()| begin()),
            begun => begun,
        };
        self.begun += 1;
        begun.ok().map(|()| signal)
    }
}

/// A driver that died or does not answer has failed: what it had accepted and not flushed is unknown.
fn failure(error: CallError) -> DeviceError {
    match error {
        CallError::Server(block::OUT_OF_RANGE, _) => DeviceError::OutOfRange,
        _ => DeviceError::Failed,
    }
}

/// One message's share of a transfer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Its first sector.
    pub sector: u64,
    /// Its bytes in the whole transfer.
    pub range: Range<usize>,
}

/// The parts of a transfer, in order.
#[derive(Clone, Debug)]
pub struct Parts {
    sector: u64,
    done: usize,
    length: usize,
    most: usize,
}

impl Parts {
    /// The parts of `length` bytes from `sector` on, none of them above `room` bytes.
    ///
    /// # Errors
    /// `OutOfRange` where the transfer is no whole number of sectors, or does not lie on a device of so many.
    pub fn new(sector: u64, length: usize, sectors: u64, room: usize) -> Result<Self, DeviceError> {
        let most = room / SECTOR * SECTOR;
        let end = sector.checked_add((length / SECTOR) as u64);
        let lies_within = end.is_some_and(|end| end <= sectors);
        if !length.is_multiple_of(SECTOR) || !lies_within || most == 0 {
            return Err(DeviceError::OutOfRange);
        }
        Ok(Parts { sector, done: 0, length, most })
    }
}

impl Iterator for Parts {
    type Item = Part;

    fn next(&mut self) -> Option<Part> {
        let bytes = (self.length - self.done).min(self.most);
        if bytes == 0 {
            return None;
        }
        let part = Part { sector: self.sector, range: self.done..self.done + bytes };
        self.done += bytes;
        self.sector += (bytes / SECTOR) as u64;
        Some(part)
    }
}
