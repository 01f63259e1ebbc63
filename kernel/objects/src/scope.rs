//! Scopes: a transaction, as the kernel sees it.

use core::cell::Cell;
use core::ptr::{null, with_exposed_provenance};

use abi::KernelError;
use capability::Anchor;

use crate::Failure;
use crate::exclusive::Exclusive;
use crate::notification::Notification;
use crate::tcb::Tcb;

/// The bit of its server's notification that says that a transaction lost its beginner.
pub(crate) const ORPHANED: u64 = 1 << 63;

static LAST: Exclusive<Cell<u64>> = Exclusive::new(Cell::new(0));

/// A scope. Zeroed memory is one without a transaction; the first 16 bytes belong to the object layer.
#[repr(C)]
pub(crate) struct Scope {
    header: [u64; 2],
    /// What hangs on it until it is settled.
    pub(crate) anchor: Anchor,
    identity: Cell<u64>,
    beginner: Cell<*const Tcb>,
    server: Cell<*const Notification>,
}

impl Scope {
    /// # Safety
    /// There is a scope at `address`, live for as long as the reference is used.
    pub(crate) unsafe fn at<'a>(address: usize) -> &'a Scope {
        // SAFETY: the caller's word.
        unsafe { &*with_exposed_provenance(address) }
    }

    /// The number of its transaction, unique since boot; 0 for none.
    #[inline(always)]
    pub(crate) fn identity(&self) -> u64 {
        self.identity.get()
    }

    /// Becomes the transaction of a thread; `server` hears of the thread's death.
    ///
    /// # Errors
    /// `IllegalOperation` where the scope or the thread has one.
    pub(crate) fn attach(&self, beginner: &Tcb, server: *const Notification) -> Result<u64, Failure> {
        if self.identity.get() != 0 || beginner.scope().is_some() {
            return Err(KernelError::IllegalOperation.into());
        }
        let last = LAST.get();
        last.set(last.get() + 1);
        self.identity.set(last.get());
        self.beginner.set(beginner);
        self.server.set(server);
        beginner.own_scope.set(self);
        Ok(last.get())
    }

    /// The transaction is over: nobody carries it any more. What hangs is the caller's affair.
    pub(crate) fn end(&self, serving: &Tcb) {
        // SAFETY: a thread that ends goes through `orphan`.
        if let Some(beginner) = unsafe { self.beginner.replace(null()).as_ref() } {
            beginner.own_scope.set(null());
        }
        if core::ptr::eq(serving.lent_scope.get(), self) {
            serving.lent_scope.set(null());
        }
        self.identity.set(0);
    }

    /// The beginner ends: its server is told, and settles.
    pub(crate) fn orphan(&self) {
        self.beginner.set(null());
        // SAFETY: the scope and the notification are of the same server, which makes both at its start and keeps them.
        if let Some(server) = unsafe { self.server.get().as_ref() } {
            server.signal(ORPHANED);
        }
    }
}
