//! The address at which a capability to memory is mapped.
//!
//! A capability is mapped at one address at most; to map the memory twice takes two capabilities. The
//! tables are paging's: it calls these two, and hears of the end of a mapped capability through
//! [`Hooks::cap_removed`]. When a VSpace is destroyed, paging clears the mappings in it and the
//! capabilities stay.

use crate::{Context, Error, Hooks, Slot};

/// Notes that the memory is mapped at `address`. To note the same address again is no error.
///
/// # Errors
/// `FailedLookup` (empty slot), `InvalidCapability` (not memory), `InvalidArgument(0)` (address 0, or
/// mapped at another).
pub fn set_mapping<H: Hooks>(_context: &mut Context<'_, H>, slot: &Slot, address: u64) -> Result<(), Error> {
    let kind = slot.kind().ok_or(Error::FailedLookup)?;
    if !kind.is_memory() {
        return Err(Error::InvalidCapability);
    }
    let mapped = slot.badge();
    if address == 0 || (mapped != 0 && mapped != address) {
        return Err(Error::InvalidArgument(0));
    }
    slot.badge.set(address);
    Ok(())
}

/// Notes that the memory is not mapped any more, and answers where it was.
///
/// # Errors
/// `FailedLookup` (empty slot), `InvalidCapability` (not memory).
pub fn clear_mapping<H: Hooks>(_context: &mut Context<'_, H>, slot: &Slot) -> Result<Option<u64>, Error> {
    let kind = slot.kind().ok_or(Error::FailedLookup)?;
    if !kind.is_memory() {
        return Err(Error::InvalidCapability);
    }
    let mapped = slot.badge.replace(0);
    Ok((mapped != 0).then_some(mapped))
}
