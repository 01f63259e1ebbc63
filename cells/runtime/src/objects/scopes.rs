//! Transactions: what hangs on a scope is kept or revoked.

use abi::kernel::{Operation, ScopeState};
use abi::token::{All, Cap, Loader, Notification, RawCap, Scope, Settle};

use super::{Result, invoke_with, words};
use crate::kernel::invoke;

/// Makes a scope the transaction of the thread whose request a reply object holds; answers the transaction's number.
///
/// # Errors
/// `IllegalOperation` where either has one already, `TableFull` where too many are open.
pub fn attach_scope(scope: &Cap<Scope, All>, reply: RawCap, authority: &Cap<Settle, All>) -> Result<u64> {
    let authority = authority.raw();
    let given = [reply.slot, reply.generation, authority.slot, authority.generation];
    invoke_with(Operation::ScopeAttach, scope.raw(), &given)
}

/// What became of the transaction of a scope.
///
/// # Errors
/// `InvalidCapability`.
pub fn scope_state(scope: &Cap<Scope, All>) -> Result<ScopeState> {
    scope_info(scope).map(|(state, _)| state)
}

/// What became of the transaction of a scope, and the number of it; 0 where it has none.
///
/// # Errors
/// `InvalidCapability`.
pub fn scope_info(scope: &Cap<Scope, All>) -> Result<(ScopeState, u64)> {
    let mut given = words(&[]);
    let state = match invoke(Operation::ScopeInfo, scope.raw(), &mut given)? {
        0 => ScopeState::Idle,
        1 => ScopeState::Open,
        _ => ScopeState::Orphaned,
    };
    let [identity, ..] = given;
    Ok((state, identity))
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
