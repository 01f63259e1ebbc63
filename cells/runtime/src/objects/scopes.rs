//! Transactions: what hangs on a scope is kept or revoked.

use abi::kernel::Operation;
use abi::token::{All, Cap, Loader, Notification, RawCap, Scope, Settle};

use super::{Result, invoke_with};

/// Makes a scope the transaction of the thread whose request a reply object holds.
///
/// # Errors
/// `IllegalOperation` where either has one already.
pub fn attach_scope(scope: &Cap<Scope, All>, reply: RawCap) -> Result<u64> {
    invoke_with(Operation::ScopeAttach, scope.raw(), &[reply.slot, reply.generation])
}

/// Keeps what hangs on a scope, and frees the scope for the next transaction.
///
/// # Errors
/// `InvalidCapability`.
pub fn settle_scope(scope: &Cap<Scope, All>, authority: &Cap<Settle, All>) -> Result<()> {
    let authority = authority.raw();
    invoke_with(Operation::ScopeSettle, scope.raw(), &[authority.slot, authority.generation]).map(drop)
}

/// Revokes what hangs on a scope, and frees the scope for the next transaction.
///
/// # Errors
/// `InvalidCapability`.
pub fn abort_scope(scope: &Cap<Scope, All>, authority: &Cap<Settle, All>) -> Result<()> {
    let authority = authority.raw();
    invoke_with(Operation::ScopeAbort, scope.raw(), &[authority.slot, authority.generation]).map(drop)
}

/// Signals `bits` whenever a transaction was aborted and its objects are revoked.
///
/// # Errors
/// `InvalidCapability`.
pub fn watch_aborts(loader: &Cap<Loader, All>, notification: &Cap<Notification, All>, bits: u64) -> Result<()> {
    let notification = notification.raw();
    invoke_with(Operation::WatchAborts, loader.raw(), &[notification.slot, notification.generation, bits]).map(drop)
}
