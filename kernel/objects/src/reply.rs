//! A reply object as it lies in memory: the ledger's part, the pin of the Buf that was lent, and what hangs on the request.

use core::cell::UnsafeCell;
use core::mem::size_of;
use core::ptr::with_exposed_provenance;

use capability::{Anchor, Slot};

/// A reply object.
#[repr(C)]
pub(crate) struct Reply {
    pub(crate) core: UnsafeCell<ledger::Reply>,
    pub(crate) pin: Slot,
    pub(crate) anchor: Anchor,
}

const _: () = assert!(size_of::<Reply>() <= 256);

impl Reply {
    /// # Safety
    /// There is a reply object at `address`, live for as long as the reference is used.
    #[inline(always)]
    pub(crate) unsafe fn at<'a>(address: usize) -> &'a Reply {
        // SAFETY: the caller's word.
        unsafe { &*with_exposed_provenance(address) }
    }

    /// The object around the ledger's part.
    ///
    /// # Safety
    /// `core` is that of a live reply object.
    #[inline(always)]
    pub(crate) unsafe fn of<'a>(core: *const ledger::Reply) -> &'a Reply {
        // SAFETY: `core` is the first field.
        unsafe { Self::at(core.expose_provenance()) }
    }
}
