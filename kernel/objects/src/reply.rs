//! A reply object as it lies in memory: the ledger's part, the pin and the lease of the Buf that was lent, and what hangs on
//! the request.

use core::cell::UnsafeCell;
use core::mem::size_of;
use core::ptr::with_exposed_provenance;

use abi::kernel::Letter;
use capability::{Anchor, Slot};
use ledger::Endpoint;

use crate::lease::Lease;
use crate::tcb::Tcb;

/// A reply object.
#[repr(C)]
pub(crate) struct Reply {
    pub(crate) core: UnsafeCell<ledger::Reply>,
    pub(crate) pin: Slot,
    pub(crate) anchor: Anchor,
    pub(crate) lease: Lease,
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

    /// The ledger's part, to look at.
    #[inline(always)]
    fn ledger(&self) -> &ledger::Reply {
        // SAFETY: exclusive references to it exist within the ledger's functions alone, and none of them is running.
        unsafe { &*self.core.get() }
    }

    /// The thread whose request it holds.
    #[inline(always)]
    pub(crate) fn client<'a>(&self) -> Option<&'a Tcb> {
        let request = self.ledger().request();
        // SAFETY: the requests that reply objects hold are of live threads.
        (!request.is_null()).then(|| unsafe { Tcb::of_request(request) })
    }

    /// The words of the request that it holds.
    pub(crate) fn letter(&self) -> Option<Letter> {
        let request = self.ledger().request();
        // SAFETY: as above.
        unsafe { request.as_ref() }.map(|request| request.letter)
    }

    /// The thread that received with it last.
    #[inline(always)]
    pub(crate) fn server<'a>(&self) -> Option<&'a Tcb> {
        let receiver = self.ledger().receiver();
        // SAFETY: the receivers that reply objects name are of live threads.
        (!receiver.is_null()).then(|| unsafe { Tcb::of_receiver(receiver) })
    }

    /// The endpoint that it is bound to, null for none.
    #[inline(always)]
    pub(crate) fn endpoint(&self) -> *mut Endpoint {
        self.ledger().endpoint()
    }
}
