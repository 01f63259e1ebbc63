//! A static that the one CPU has for itself while interrupts are off.

use core::cell::UnsafeCell;

/// State behind the crate's contract: touched with interrupts off alone, so by one user at a time.
pub(crate) struct Exclusive<T>(UnsafeCell<T>);

// SAFETY: one CPU, and every access is with interrupts off (the crate's contract): there is no second user.
unsafe impl<T> Sync for Exclusive<T> {}

impl<T> Exclusive<T> {
    pub(crate) const fn new(value: T) -> Self {
        Exclusive(UnsafeCell::new(value))
    }

    /// The value, to share. Types with `Cell`s inside need no more.
    #[inline(always)]
    pub(crate) fn get(&self) -> &T {
        // SAFETY: interrupts are off; exclusive references exist within `with` alone, which does not nest with this
        // for the types that are used with both.
        unsafe { &*self.0.get() }
    }

    /// Runs `f` on the value. `f` must neither switch threads nor come back here.
    #[inline(always)]
    pub(crate) fn with<R>(&self, f: impl FnOnce(&mut T) -> R) -> R {
        // SAFETY: interrupts are off and `f` neither switches nor nests: this is the only reference.
        f(unsafe { &mut *self.0.get() })
    }
}
