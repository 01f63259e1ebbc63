//! What those who take part in a replacement tell it, as they go about their own business.

use core::ptr::{null, null_mut};

use replace::Event;

use crate::replacement::{Replacement, find};
use crate::replacer;
use crate::tcb::Tcb;

/// An instance is about to end. What it holds is parked again before its requests are answered as those of the dead.
pub(crate) fn noted_end(thread: &Tcb) {
    let Some(replacement) = thread.replacement() else { return };
    replacement.park_again(thread);
    if replacement.is_ending.get() {
        return;
    }
    let is_old = core::ptr::eq(thread, replacement.old.get());
    replacement.tell(if is_old { Event::OldEnded } else { Event::NewEnded });
}

/// A thread is about to receive: the schema in which it is to export a copy of its state first, if it is to.
#[inline(always)]
pub(crate) fn wants_copy(thread: &Tcb) -> Option<u64> {
    let open = thread.replacement()?;
    open.asks_for_copy(thread).then(|| open.export.schema.get())
}

/// A thread waits for requests: if its endpoint is shut, that may be what a replacement waits for.
#[inline(always)]
pub(crate) fn noted_rest(thread: &Tcb) {
    if let Some(replacement) = thread.replacement() {
        replacer::noted_rest(replacement);
    }
}

/// A thread answers: what it exported before counts.
#[inline(always)]
pub(crate) fn noted_reply(thread: &Tcb) {
    if let Some(replacement) = thread.replacement()
        && core::ptr::eq(thread, replacement.new.get())
    {
        replacement.export.count();
        let replies = &replacement.account.replies;
        replies.set(replies.get() + 1);
        if replies.get() == replacement.trial_replies.get() {
            replacement.tell(Event::Proven);
        }
    }
}

/// A thread's memory goes away.
pub(crate) fn forget(thread: &Tcb) {
    let Some(replacement) = thread.replacement() else { return };
    thread.replacement.set(null());
    for place in [&replacement.old, &replacement.new] {
        if core::ptr::eq(place.get(), thread) {
            place.set(null());
        }
    }
    replacement.tell(Event::Abort);
}

/// An endpoint's memory goes away.
pub(crate) fn endpoint_gone(address: usize) {
    let served_there = |replacement: &Replacement| replacement.endpoint.get().expose_provenance() == address;
    while let Some(replacement) = find(served_there) {
        replacement.endpoint.set(null_mut());
        replacement.tell(Event::Abort);
    }
}
