//! The device's registers, with an end that does not wait for ever.
//!
//! `virtio-drivers`' PCI transport resets the device when it is dropped, and reads its status until the reset shows. A
//! broken device would hold the driver there. So the transport is never dropped; the device is reset here instead,
//! with a bounded number of reads.

use core::mem::ManuallyDrop;
use core::ops::{Deref, DerefMut};

use virtio_drivers::transport::Transport;

use crate::negotiate;

/// A transport whose device is reset at the end.
#[derive(Debug)]
pub(crate) struct Registers<T: Transport>(ManuallyDrop<T>);

impl<T: Transport> Registers<T> {
    pub(crate) fn new(transport: T) -> Self {
        Registers(ManuallyDrop::new(transport))
    }
}

impl<T: Transport> Deref for Registers<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: Transport> DerefMut for Registers<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0
    }
}

impl<T: Transport> Drop for Registers<T> {
    fn drop(&mut self) {
        // Where it fails nothing more can be done: the pool stays this cell's, and no other queue is made from it.
        let _ = negotiate::reset(&mut **self);
    }
}
