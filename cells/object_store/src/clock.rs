//! Time, as far as a store needs it.
//!
//! A [`Clock`] gives transaction numbers their calendar meaning and nothing more: [`next_tid`] keeps them strictly
//! increasing whatever the clock does.

use crate::{StorageError, Tid};

/// Clock readings above this are taken as this, so that a broken clock cannot use up the numbers (year 148 000).
const LATEST: u64 = 1 << 62;

/// A source of microseconds since 1970. It may stand still, jump or go back.
pub trait Clock {
    /// The time now.
    fn now(&mut self) -> u64;
}

impl<F: FnMut() -> u64> Clock for F {
    fn now(&mut self) -> u64 {
        self()
    }
}

/// The number of the transaction after `last`: the clock's, or `last + 1` if the clock is behind.
///
/// # Errors
/// [`StorageError::Exhausted`] when no greater number is left.
pub fn next_tid(clock: &mut impl Clock, last: Tid) -> Result<Tid, StorageError> {
    let least = last.number().checked_add(1).filter(|&tid| tid < u64::MAX).ok_or(StorageError::Exhausted)?;
    Ok(Tid::new(clock.now().min(LATEST).max(least)))
}
