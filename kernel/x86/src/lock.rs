//! A lock that interrupt handlers may take too.
//!
//! [`IrqMutex`] keeps interrupts off while it is held, so that a handler never spins for a lock that the code which it
//! interrupted holds. Everything shared with a handler stands behind this type; nothing else needs to know why.

use crate::cpu::InterruptsOff;
use core::ops::{Deref, DerefMut};

/// No holder keeps a lock for this many tries.
const PATIENCE: u32 = 1 << 26;

/// A spin lock that is held with interrupts off. Hold it for a bounded, short time.
pub struct IrqMutex<T>(spin::Mutex<T>);

/// Access to the locked value. Interrupts are restored to what they were when it is dropped.
#[must_use]
pub struct IrqGuard<'a, T> {
    // Order matters: fields drop from first to last, and the lock must be free before interrupts come back.
    guard: spin::MutexGuard<'a, T>,
    _off: InterruptsOff,
}

impl<T> IrqMutex<T> {
    /// A free lock.
    pub const fn new(value: T) -> Self {
        Self(spin::Mutex::new(value))
    }

    /// Takes the lock, turning interrupts off first. To take it while holding it is a bug of the kernel, and ends it.
    #[inline]
    pub fn lock(&self) -> IrqGuard<'_, T> {
        let off = InterruptsOff::enter();
        for _ in 0..PATIENCE {
            if let Some(guard) = self.0.try_lock() {
                return IrqGuard { guard, _off: off };
            }
            core::hint::spin_loop();
        }
        crate::bug!("a lock was never given back");
    }

    /// Takes the lock if it is free. For panics, where the holder may be the code that panicked.
    pub fn try_lock(&self) -> Option<IrqGuard<'_, T>> {
        let off = InterruptsOff::enter();
        self.0.try_lock().map(|guard| IrqGuard { guard, _off: off })
    }
}

impl<T> Deref for IrqGuard<'_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.guard
    }
}

impl<T> DerefMut for IrqGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.guard
    }
}
