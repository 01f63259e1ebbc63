//! The memory of the slots: for each a header, a status byte and room for data, and the chain that they form.

use alloc::vec::Vec;

use virtio_drivers::PAGE_SIZE;

use crate::error::Error;
use crate::queue::SLOT_BYTES;
use crate::region::Region;
use crate::request::{HEADER_BYTES, Operation, Status, UNWRITTEN};

/// Bytes between the headers of two slots: the header, its status byte, and nothing else in the same 32 bytes.
const STRIDE: usize = 32;
/// Slots whose headers fit into one page.
pub(crate) const MAX_SLOTS: usize = PAGE_SIZE / STRIDE;

/// Header page and data of all slots. Slots do not overlap, so that what is said of one holds whatever another does.
#[derive(Debug)]
pub(crate) struct Memory {
    headers: Region,
    data: Vec<Region>,
}

impl Memory {
    /// Memory for as many slots as the pool has room for, `most` at most.
    ///
    /// # Errors
    /// `NoMemory` where there is room for none.
    pub(crate) fn take(most: usize) -> Result<Self, Error> {
        let headers = Region::take(1)?;
        let data: Vec<Region> =
            (0..most.min(MAX_SLOTS)).map_while(|_| Region::take(SLOT_BYTES / PAGE_SIZE).ok()).collect();
        if data.is_empty() {
            return Err(Error::NoMemory);
        }
        Ok(Memory { headers, data })
    }

    /// How many slots there are.
    pub(crate) fn slots(&self) -> usize {
        self.data.len()
    }

    /// The data of a slot.
    ///
    /// # Errors
    /// `OutOfSlot`.
    pub(crate) fn data(&self, slot: usize) -> Result<&Region, Error> {
        self.data.get(slot).ok_or(Error::OutOfSlot)
    }

    /// The data of a slot, to write.
    ///
    /// # Errors
    /// `OutOfSlot`.
    pub(crate) fn data_mut(&mut self, slot: usize) -> Result<&mut Region, Error> {
        self.data.get_mut(slot).ok_or(Error::OutOfSlot)
    }

    /// Writes the header of a slot and clears its status.
    ///
    /// # Safety
    /// The device does not hold the slot.
    ///
    /// # Errors
    /// `OutOfSlot`.
    pub(crate) unsafe fn prepare(&mut self, slot: usize, operation: Operation, sector: u64) -> Result<(), Error> {
        let header = operation.header(sector);
        // SAFETY: the device does not hold the slot, by the caller's word.
        unsafe { self.headers.write(slot * STRIDE, &header) }?;
        let status = slot * STRIDE + HEADER_BYTES;
        // SAFETY: as above.
        unsafe { self.headers.write(status, &[UNWRITTEN]) }
    }

    /// What the device said of a slot's last request.
    ///
    /// # Safety
    /// The device does not hold the slot.
    ///
    /// # Errors
    /// `OutOfSlot`.
    pub(crate) unsafe fn status(&self, slot: usize) -> Result<Status, Error> {
        let mut byte = [UNWRITTEN];
        // SAFETY: the device does not hold the slot, by the caller's word.
        unsafe { self.headers.read(slot * STRIDE + HEADER_BYTES, &mut byte) }?;
        let [byte] = byte;
        Ok(Status::from_byte(byte))
    }

    /// The buffers of a request, as `virtio-drivers` takes them: those that the device reads, then those it writes.
    ///
    /// The slices serve to name the buffers. `virtio-drivers` turns them into addresses and does not touch what they
    /// point to, since the Hal's `share` and `unshare` copy nothing.
    ///
    /// # Safety
    /// The device does not hold the slot, or `run` hands it the slot as its last deed or has just got it back.
    ///
    /// # Errors
    /// `OutOfSlot`.
    pub(crate) unsafe fn with_chain<R>(
        &self,
        slot: usize,
        operation: Operation,
        run: impl for<'a> FnOnce(&'a [&'a [u8]], &'a mut [&'a mut [u8]]) -> R,
    ) -> Result<R, Error> {
        let data = self.data(slot)?;
        let at = slot * STRIDE;
        // SAFETY: nobody writes a header but `prepare`, which needs `&mut self`; the slice ends with this function.
        let header = unsafe { self.headers.slice(at, HEADER_BYTES) }?;
        // SAFETY: the byte is no part of the header or of another slot, and this is its only reference.
        let status = unsafe { self.headers.slice_mut(at + HEADER_BYTES, 1) }?;
        Ok(match operation {
            Operation::Flush => run(&[header], &mut [status]),
            Operation::Write { length } => {
                // SAFETY: data is written through `data_mut` alone, which needs `&mut self`.
                let bytes = unsafe { data.slice(0, length) }?;
                run(&[header, bytes], &mut [status])
            }
            Operation::Read { length } => {
                // SAFETY: no other reference into a slot's data lives beyond one copy; the region is this slot's own.
                let bytes = unsafe { data.slice_mut(0, length) }?;
                run(&[header], &mut [bytes, status])
            }
        })
    }
}
