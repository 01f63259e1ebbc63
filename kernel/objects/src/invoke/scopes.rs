//! Transactions: what hangs on a scope is kept or revoked.

use abi::KernelError;
use abi::token::RawCap;
use capability::{ObjectKind, Progress, Rights};

use super::capabilities::{finish_reaping, leave_if_ended};
use super::{Result, Words, object, scope, token};
use crate::reply::Reply;
use crate::tcb::Tcb;
use crate::{authority, instance, scheduler};

pub(super) fn attach(raw: RawCap, words: &Words) -> Result<u64> {
    object(token(words, 2), ObjectKind::Settle, Rights::empty())?;
    let scope = scope(raw)?;
    let slot = object(token(words, 0), ObjectKind::Reply, Rights::SEND)?;
    // SAFETY: the capability names a live reply object.
    let reply = unsafe { Reply::at(slot.object() as usize) };
    // SAFETY: as above.
    let request = unsafe { (*reply.core.get()).request() };
    if request.is_null() {
        return Err(KernelError::IllegalOperation.into());
    }
    // SAFETY: requests in the ledger are of live threads.
    let beginner = unsafe { Tcb::of_request(request) };
    scope.attach(beginner, scheduler::current().bound.get())
}

pub(super) fn info(raw: RawCap, words: &mut Words) -> Result<u64> {
    let scope = scope(raw)?;
    words[0] = scope.identity();
    Ok(scope.state() as u64)
}

pub(super) fn settle(raw: RawCap, words: &Words) -> Result<u64> {
    object(token(words, 0), ObjectKind::Settle, Rights::empty())?;
    let scope = scope(raw)?;
    authority::with(|context| capability::settle(context, &scope.anchor));
    scope.end(scheduler::current());
    Ok(0)
}

pub(super) fn abort(raw: RawCap, words: &Words) -> Result<u64> {
    object(token(words, 0), ObjectKind::Settle, Rights::empty())?;
    scope(raw)?.end(scheduler::current());
    loop {
        let scope = scope(raw)?;
        match authority::with(|context| capability::revoke_all_step(context, &scope.anchor, authority::BUDGET)) {
            Progress::More => leave_if_ended(),
            _ => break,
        }
    }
    finish_reaping();
    instance::tell_of_abort();
    Ok(0)
}

pub(super) fn watch_aborts(raw: RawCap, words: &Words) -> Result<u64> {
    object(raw, ObjectKind::Loader, Rights::EXECUTE)?;
    let notification = object(token(words, 0), ObjectKind::Notification, Rights::SEND)?;
    instance::watch_aborts(notification, words[2]).map(|()| 0)
}
