//! Replacements: begun and watched by whoever makes instances, and the part that the instances themselves take.

use core::ptr::{with_exposed_provenance, with_exposed_provenance_mut};

use abi::KernelError;
use abi::kernel::{Exported, Overdue, ReplacementPhase};
use abi::token::RawCap;
use capability::{ObjectKind, Rights};
use replace::{Event, Phase};

use super::{Result, Words, object, thread, threads, token};
use crate::export::Place;
use crate::replacement::{Replacement, Terms};
use crate::scheduler;
use crate::tcb::Tcb;

fn replacement<'a>(raw: RawCap) -> Result<&'a Replacement> {
    let slot = object(raw, ObjectKind::Replacement, Rights::empty())?;
    // SAFETY: the capability names a live replacement.
    Ok(unsafe { Replacement::at(slot.object() as usize) })
}

pub(super) fn terms(raw: RawCap, words: &Words) -> Result<u64> {
    let export = match token(words, 0) {
        token if token.is_empty() => None,
        token => Some(object(token, ObjectKind::Frame, Rights::READ | Rights::WRITE)?),
    };
    let notification = object(token(words, 2), ObjectKind::Notification, Rights::SEND)?;
    let scratch = threads::scratch(words[5] & u64::from(u32::MAX))?;
    let overdue = match words[5] >> 32 {
        word if word == Overdue::GoesOn as u64 => Overdue::GoesOn,
        word if word == Overdue::Ends as u64 => Overdue::Ends,
        _ => return Err(KernelError::InvalidArgument.into()),
    };
    let [.., bits, _, patience, trial, trial_replies, schema] = *words;
    let terms = Terms { export, notification, bits, scratch, overdue, patience, trial, trial_replies, schema };
    replacement(raw)?.set_terms(&terms).map(|()| 0)
}

pub(super) fn begin(raw: RawCap, words: &Words) -> Result<u64> {
    object(token(words, 0), ObjectKind::Loader, Rights::EXECUTE)?;
    let (old, new) = (thread(token(words, 2))?, thread(token(words, 4))?);
    let old_image = object(token(words, 6), ObjectKind::Image, Rights::READ)?;
    let new_image = object(token(words, 8), ObjectKind::Image, Rights::READ)?;
    replacement(raw)?.begin(old, new, old_image, new_image)?;
    scheduler::give_way();
    Ok(0)
}

pub(super) fn info(raw: RawCap, words: &mut Words) -> Result<u64> {
    let replacement = replacement(raw)?;
    let account = &replacement.account;
    let (phase, reason) = replacement.told();
    words[0] = reason;
    words[1] = account.pause.get();
    words[2] = account.delivered.get().into();
    words[3] = account.deferred.get().into();
    words[4] = account.parked.get().into();
    words[5] = account.replies.get();
    Ok(phase)
}

pub(super) fn tell(raw: RawCap, event: Event) -> Result<u64> {
    let replacement = replacement(raw)?;
    if !replacement.is_open() {
        return Err(KernelError::IllegalOperation.into());
    }
    replacement.tell(event);
    scheduler::give_way();
    Ok(0)
}

pub(super) fn plant(raw: RawCap, words: &Words) -> Result<u64> {
    let phase = ReplacementPhase::from_number(words[0]).ok_or(KernelError::InvalidArgument)?;
    let victim = object(token(words, 1), ObjectKind::Tcb, Rights::empty())?;
    replacement(raw)?.plant(phase, victim).map(|()| 0)
}

/// The calling thread, named by its own token, with the replacement that it takes part in and the phase of that.
fn own<'a>(raw: RawCap) -> Result<(&'a Tcb, Option<(&'a Replacement, Phase)>)> {
    let me = thread(raw)?;
    if !core::ptr::eq(me, scheduler::current()) {
        return Err(KernelError::IllegalOperation.into());
    }
    let open = me.replacement().and_then(|open| Some((open, open.machine()?.phase())));
    Ok((me, open))
}

/// # Safety
/// As [`super::invoke`].
pub(super) unsafe fn export(raw: RawCap, words: &Words) -> Result<u64> {
    let (me, open) = own(raw)?;
    let Some((open, phase)) = open else { return Ok(Exported::Unwanted as u64) };
    let (is_old, is_new) = (core::ptr::eq(me, open.old.get()), core::ptr::eq(me, open.new.get()));
    let (from, length) = (with_exposed_provenance(words[0] as usize), words[1]);
    let place = match words[2] {
        0 => Place::Alone,
        1 => Place::Behind,
        _ => return Err(KernelError::InvalidArgument.into()),
    };
    match phase {
        // An instance that was on trial until now may export as well, unasked.
        Phase::Copying if is_old && open.is_asked.get() => {
            // SAFETY: the words are the range that the caller answers for.
            let is_kept = unsafe { keep_all(open, from, length) };
            open.tell(if is_kept { Event::Copied } else { Event::Refused });
            scheduler::give_way();
            Ok(Exported::Copied as u64)
        }
        Phase::Freezing if is_old && open.is_frozen.get() => {
            // SAFETY: as above.
            let is_kept = unsafe { keep_all(open, from, length) };
            open.tell(if is_kept { Event::Frozen } else { Event::Refused });
            scheduler::block();
            Ok(me.answer.get().value)
        }
        Phase::Probation if is_new && length == u64::MAX => {
            open.tell(Event::Refused);
            scheduler::block();
            Ok(Exported::Unwanted as u64)
        }
        Phase::Probation if is_new => {
            // SAFETY: as above.
            unsafe { open.export.keep(from, length as usize, place) }?;
            me.forget_reception();
            Ok(Exported::Staged as u64)
        }
        _ => Ok(Exported::Unwanted as u64),
    }
}

/// Keeps what an instance exports when it is asked to; `false` where it cannot, or there is no room.
///
/// # Safety
/// `from` is readable for `length` bytes, unless that says that there are none.
unsafe fn keep_all(open: &Replacement, from: *const u8, length: u64) -> bool {
    // SAFETY: the caller's word.
    let is_kept = length != u64::MAX && unsafe { open.export.keep(from, length as usize, Place::Alone) }.is_ok();
    if is_kept {
        open.export.count();
    }
    is_kept
}

/// # Safety
/// As [`super::invoke`].
pub(super) unsafe fn import(raw: RawCap, words: &mut Words) -> Result<u64> {
    let (me, open) = own(raw)?;
    let (open, _) = importing(me, open)?;
    // SAFETY: the words are the range that the caller answers for.
    let (length, schema) =
        unsafe { open.export.bring(with_exposed_provenance_mut(words[0] as usize), words[1] as usize) };
    words[0] = schema;
    Ok(length as u64)
}

pub(super) fn thawed(raw: RawCap, words: &Words) -> Result<u64> {
    let (me, open) = own(raw)?;
    let (open, phase) = importing(me, open)?;
    open.tell(match (words[0], phase) {
        (1, Phase::Rehearsing) => Event::Rehearsed,
        (1, _) => Event::Thawed,
        _ => Event::Refused,
    });
    if core::ptr::eq(me, open.new.get()) || words[0] != 1 {
        // What becomes of it, the replacer says; and where it was refused, nothing does.
        scheduler::block();
        return Ok(me.answer.get().value);
    }
    Ok(me.cnode().slot(abi::slots::CNODE)?.generation())
}

/// The replacement in which a thread is to import, and its phase.
fn importing<'a>(me: &Tcb, open: Option<(&'a Replacement, Phase)>) -> Result<(&'a Replacement, Phase)> {
    let (open, phase) = open.ok_or(KernelError::IllegalOperation)?;
    let imports = open.has_state()
        && match phase {
            Phase::Rehearsing | Phase::Thawing => core::ptr::eq(me, open.new.get()),
            Phase::Restoring => core::ptr::eq(me, open.old.get()),
            _ => false,
        };
    if imports { Ok((open, phase)) } else { Err(KernelError::IllegalOperation.into()) }
}
