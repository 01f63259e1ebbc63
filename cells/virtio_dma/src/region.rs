//! A run of DMA pages with one owner, read and written by checked copies.
//!
//! A [`Region`] is affine: who holds it is the only user on this side. Whether the *device* uses it at a time is the
//! queue's to know; see there.

use core::ptr::NonNull;

use virtio_drivers::PAGE_SIZE;

use crate::error::Error;
use crate::pool;

/// Pages of the pool, zeroed when taken.
#[derive(Debug)]
pub(crate) struct Region {
    start: NonNull<u8>,
    pages: usize,
}

impl Region {
    /// Takes pages of the pool.
    ///
    /// # Errors
    /// `NoMemory`.
    pub(crate) fn take(pages: usize) -> Result<Self, Error> {
        let (_, start) = pool::take(pages).ok_or(Error::NoMemory)?;
        Ok(Region { start, pages })
    }

    /// Where a range begins; `OutOfSlot` where it is not all inside.
    fn at(&self, offset: usize, length: usize) -> Result<NonNull<u8>, Error> {
        let end = offset.checked_add(length).ok_or(Error::OutOfSlot)?;
        if end > self.pages * PAGE_SIZE {
            return Err(Error::OutOfSlot);
        }
        // SAFETY: the offset lies inside this region, which is one mapped range.
        Ok(unsafe { self.start.add(offset) })
    }

    /// Copies bytes into it.
    ///
    /// # Safety
    /// The device does not use this range now.
    ///
    /// # Errors
    /// `OutOfSlot`.
    pub(crate) unsafe fn write(&mut self, offset: usize, bytes: &[u8]) -> Result<(), Error> {
        let to = self.at(offset, bytes.len())?;
        let from = NonNull::from(bytes).cast::<u8>();
        // SAFETY: `to` has room for the bytes, checked above; they are not in the pool, into which no reference leaves
        // this crate, so the two do not overlap; nobody else uses the range, by `&mut self` and the caller's word.
        unsafe { to.copy_from_nonoverlapping(from, bytes.len()) };
        Ok(())
    }

    /// Copies bytes out of it.
    ///
    /// # Safety
    /// The device does not write this range now.
    ///
    /// # Errors
    /// `OutOfSlot`.
    pub(crate) unsafe fn read(&self, offset: usize, bytes: &mut [u8]) -> Result<(), Error> {
        let from = self.at(offset, bytes.len())?;
        let to = NonNull::from(&mut *bytes).cast::<u8>();
        // SAFETY: as in `write`, the other way round; every byte was zeroed when the region was taken, so it is
        // initialised.
        unsafe { from.copy_to_nonoverlapping(to, bytes.len()) };
        Ok(())
    }

    /// A range of it as a slice, to be told to the device.
    ///
    /// # Safety
    /// Nobody writes the range while the slice lives, and the slice does not outlive the region.
    ///
    /// # Errors
    /// `OutOfSlot`.
    pub(crate) unsafe fn slice<'a>(&self, offset: usize, length: usize) -> Result<&'a [u8], Error> {
        let start = self.at(offset, length)?;
        // SAFETY: the range is inside, mapped and initialised; no writer and the lifetime are the caller's word.
        Ok(unsafe { NonNull::slice_from_raw_parts(start, length).as_ref() })
    }

    /// A range of it as a mutable slice, to be told to the device.
    ///
    /// # Safety
    /// Nobody else uses the range through a Rust reference while the slice lives, and it does not outlive the region.
    ///
    /// # Errors
    /// `OutOfSlot`.
    pub(crate) unsafe fn slice_mut<'a>(&self, offset: usize, length: usize) -> Result<&'a mut [u8], Error> {
        let start = self.at(offset, length)?;
        // SAFETY: the range is inside, mapped and initialised; exclusiveness and the lifetime are the caller's word.
        Ok(unsafe { NonNull::slice_from_raw_parts(start, length).as_mut() })
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        // Cannot fail: the pages were taken for this region and are given back once. The queue resets the device first.
        let _ = pool::give(self.start, self.pages);
    }
}
