//! Notifications: a word of signals, ORed together until somebody takes them.

use core::cell::{Cell, UnsafeCell};
use core::ptr::{null, with_exposed_provenance};

use abi::KernelError;
use abi::kernel::Answer;
use ledger::Receiver;
use lists::List;

use crate::status::ok;
use crate::tcb::Tcb;
use crate::{Failure, ipc, scheduler};

/// A notification. Zeroed memory has no signals; the first 16 bytes belong to the object layer.
#[repr(C)]
pub struct Notification {
    header: [u64; 2],
    bits: Cell<u64>,
    waiting: UnsafeCell<List>,
    /// The thread whose receive it ends.
    bound: Cell<*const Tcb>,
}

impl Notification {
    /// # Safety
    /// There is a notification at `address`, live for as long as the reference is used.
    pub(crate) unsafe fn at<'a>(address: usize) -> &'a Notification {
        // SAFETY: the caller's word.
        unsafe { &*with_exposed_provenance(address) }
    }

    /// The list of who waits, for one operation on it.
    #[inline(always)]
    #[expect(clippy::mut_from_ref, reason = "interrupts are off, and the list's functions call nothing outside it")]
    fn waiting(&self) -> &mut List {
        // SAFETY: interrupts are off; the reference is used for one call of a list's function, which calls nothing
        // outside it: no second one exists.
        unsafe { &mut *self.waiting.get() }
    }

    #[inline(always)]
    pub(crate) fn take(&self) -> u64 {
        self.bits.replace(0)
    }

    pub(crate) fn bits(&self) -> u64 {
        self.bits.get()
    }

    #[inline(always)]
    pub(crate) fn has_bits(&self) -> bool {
        self.bits.get() != 0
    }

    /// ORs bits in; wakes the bound thread if it receives, else the first that waits.
    pub(crate) fn signal(&self, bits: u64) {
        self.bits.set(self.bits.get() | bits);
        // SAFETY: a thread that ends unbinds itself.
        if let Some(thread) = unsafe { self.bound.get().as_ref() } {
            // SAFETY: the receiver is the thread's own.
            if unsafe { (*thread.receiver.get()).is_waiting() } {
                // SAFETY: as above.
                unsafe { Receiver::cancel(thread.receiver.get()) };
                ipc::note_signal(thread, self.take());
                scheduler::wake(thread, ok(0));
                return;
            }
            thread.signalled.set(true);
            if bits & thread.interrupts.get() != 0 {
                ipc::interrupt(thread);
            }
        }
        // SAFETY: waiting threads are live: they leave through `abandon`.
        let link = unsafe { self.waiting().pop_front() };
        if !link.is_null() {
            // SAFETY: as above.
            let thread = unsafe { Tcb::of_wait(link) };
            thread.waiting_on.set(null());
            scheduler::wake(thread, ok(self.take()));
        }
    }

    /// Binds a thread.
    ///
    /// # Errors
    /// `IllegalOperation` where one is bound.
    pub(crate) fn bind(&self, thread: &Tcb) -> Result<(), Failure> {
        if !self.bound.get().is_null() || !thread.bound.get().is_null() {
            return Err(KernelError::IllegalOperation.into());
        }
        self.bound.set(thread);
        thread.bound.set(self);
        thread.signalled.set(self.has_bits());
        Ok(())
    }

    /// The thread that is bound.
    pub(crate) fn thread(&self) -> Option<&Tcb> {
        // SAFETY: a thread that ends unbinds itself.
        unsafe { self.bound.get().as_ref() }
    }

    pub(crate) fn unbind(&self) {
        self.bound.set(null());
    }

    /// Empties a notification that is going away.
    pub(crate) fn destroy(&self) {
        // SAFETY: a thread that ends unbinds itself.
        if let Some(thread) = unsafe { self.bound.get().as_ref() } {
            thread.unbind();
        }
        loop {
            // SAFETY: waiting threads are live.
            let link = unsafe { self.waiting().pop_front() };
            if link.is_null() {
                return;
            }
            // SAFETY: as above.
            let thread = unsafe { Tcb::of_wait(link) };
            thread.waiting_on.set(null());
            ipc::fail(thread, KernelError::Cancelled.into());
        }
    }
}

/// Waits for signals and takes them.
pub(crate) fn wait(me: &Tcb, notification: &Notification, timeout: u64) -> Answer {
    if notification.has_bits() {
        return ok(notification.take());
    }
    if timeout == 0 {
        return Failure(KernelError::TimedOut, 0).into();
    }
    me.waiting_on.set(notification);
    // SAFETY: the thread runs, so its link is on no list.
    unsafe { notification.waiting().push_back(me.wait.get()) };
    scheduler::arm(me, timeout);
    scheduler::block();
    me.answer.get()
}

/// Ends a thread's wait for a notification, if there is one.
pub(crate) fn abandon(thread: &Tcb) {
    // SAFETY: a notification that goes away ends the waits first.
    if let Some(notification) = unsafe { thread.waiting_on.replace(null()).as_ref() } {
        // SAFETY: the thread stands on the list of what it waits on.
        unsafe { notification.waiting().remove(thread.wait.get()) };
    }
}
