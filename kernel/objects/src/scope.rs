//! Scopes: a transaction, as the kernel sees it.
//!
//! Threads carry the number of a transaction and never the address of its scope: a transaction can end while servers are
//! still at work for it, by its beginner's death or because the beginner did not wait for them. [`find`] answers the scope
//! that a number stands for; for a transaction that is over there is none, and what would have hung on it is refused instead
//! of being left behind or taken for the next transaction's.
//!
//! The number names a place of the table of open scopes and how often a place was given out, so that no number is used twice
//! and a look-up is one comparison.

use core::cell::Cell;
use core::ptr::{null, with_exposed_provenance};

use abi::KernelError;
use abi::kernel::ScopeState;
use capability::Anchor;

use crate::Failure;
use crate::exclusive::Exclusive;
use crate::notification::Notification;
use crate::tcb::Tcb;

/// The bit of its server's notification that says that a transaction lost its beginner.
pub(crate) const ORPHANED: u64 = 1 << 63;

/// The most transactions that are open at a time.
const MOST: usize = 64;

struct Table {
    open: [Cell<*const Scope>; MOST],
    given: Cell<u64>,
}

static TABLE: Exclusive<Table> =
    Exclusive::new(Table { open: [const { Cell::new(null()) }; MOST], given: Cell::new(0) });

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

/// The place in the table that a number names.
fn place<'a>(identity: u64) -> &'a Cell<*const Scope> {
    &TABLE.get().open[identity as usize % MOST]
}

/// The scope of a transaction; `None` for one that is over.
pub(crate) fn find<'a>(identity: u64) -> Option<&'a Scope> {
    // SAFETY: a scope leaves the table when its transaction ends, at the latest with the object: those in it are live.
    let scope = unsafe { place(identity).get().as_ref() }?;
    (scope.identity.get() == identity).then_some(scope)
}

impl Scope {
    /// # Safety
    /// There is a scope at `address`, live for as long as the reference is used.
    pub(crate) unsafe fn at<'a>(address: usize) -> &'a Scope {
        // SAFETY: the caller's word.
        unsafe { &*with_exposed_provenance(address) }
    }

    /// The number of its transaction, 0 for none.
    pub(crate) fn identity(&self) -> u64 {
        self.identity.get()
    }

    /// What became of its transaction.
    pub(crate) fn state(&self) -> ScopeState {
        match (self.identity.get(), self.beginner.get().is_null()) {
            (0, _) => ScopeState::Idle,
            (_, false) => ScopeState::Open,
            (_, true) => ScopeState::Orphaned,
        }
    }

    /// Becomes the transaction of a thread; `server` hears of the thread's death.
    ///
    /// # Errors
    /// `IllegalOperation` where the scope or the thread has one, `TableFull` where too many are open.
    pub(crate) fn attach(&self, beginner: &Tcb, server: *const Notification) -> Result<u64, Failure> {
        if self.identity.get() != 0 || beginner.scope() != 0 {
            return Err(KernelError::IllegalOperation.into());
        }
        let table = TABLE.get();
        let free = table.open.iter().position(|place| place.get().is_null()).ok_or(KernelError::TableFull)?;
        table.given.set(table.given.get() + 1);
        let identity = table.given.get() * MOST as u64 + free as u64;
        place(identity).set(self);
        self.identity.set(identity);
        self.beginner.set(beginner);
        self.server.set(server);
        beginner.set_own_scope(identity);
        Ok(identity)
    }

    /// The transaction is over: its number stands for nothing any more, wherever it is still carried. What hangs is the
    /// caller's affair. `serving` goes on without it.
    pub(crate) fn end(&self, serving: &Tcb) {
        let identity = self.identity.replace(0);
        if identity == 0 {
            return;
        }
        place(identity).set(null());
        // SAFETY: a thread that ends goes through `orphan`.
        if let Some(beginner) = unsafe { self.beginner.replace(null()).as_ref() } {
            beginner.set_own_scope(0);
        }
        if serving.lent_scope() == identity {
            serving.set_lent_scope(0);
        }
    }

    /// The beginner ends: its server is told, asks which transaction it was, and ends it.
    pub(crate) fn orphan(&self) {
        self.beginner.set(null());
        // SAFETY: the scope and the notification are of the same server, the only one with the authority to attach, which
        // makes both at its start and keeps them.
        if let Some(server) = unsafe { self.server.get().as_ref() } {
            server.signal(ORPHANED);
        }
    }
}
