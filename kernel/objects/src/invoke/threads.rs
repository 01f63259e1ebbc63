//! Threads and the instances that they are: parts, start and stop, priority, restart.

use abi::KernelError;
use abi::kernel::{FaultReport, Scratch};
use abi::token::RawCap;
use capability::{ObjectKind, Progress, Rights};
use threads::Budget;

use super::capabilities::{finish_reaping, leave_if_ended};
use super::{Result, Words, image, object, thread, token, vspace};
use crate::instance::{self, Parts};
use crate::notification::Notification;
use crate::tcb::State;
use crate::{Failure, keeper, report, restart, scheduler};

pub(super) fn configure(raw: RawCap, words: &Words) -> Result<u64> {
    let parts = Parts {
        cnode: object(token(words, 0), ObjectKind::CNode, Rights::empty())?,
        vspace: object(token(words, 2), ObjectKind::VSpace, Rights::empty())?,
        stack: object(token(words, 4), ObjectKind::Frame, Rights::READ | Rights::WRITE)?,
        heap: object(token(words, 6), ObjectKind::Frame, Rights::READ | Rights::WRITE)?,
        argument: words[8],
    };
    instance::configure(thread(raw)?, &parts).map(|()| 0)
}

pub(super) fn stop(raw: RawCap) -> Result<u64> {
    let thread = thread(raw)?;
    match thread.vspace() {
        Some(_) if thread.state.get() != State::Ended => {
            report::stopped(thread);
            instance::end_instance(thread, crate::vspace::Outcome::Failed, 0);
        }
        _ => instance::end_thread(thread),
    }
    finish_reaping();
    Ok(0)
}

pub(super) fn scratch(word: u64) -> Result<Scratch> {
    match word {
        word if word == Scratch::Clear as u64 => Ok(Scratch::Clear),
        word if word == Scratch::Keep as u64 => Ok(Scratch::Keep),
        _ => Err(KernelError::InvalidArgument.into()),
    }
}

pub(super) fn restart_instance(raw: RawCap, words: &Words) -> Result<u64> {
    object(token(words, 0), ObjectKind::Loader, Rights::EXECUTE)?;
    let scratch = scratch(words[4])?;
    let mut cursor = 0;
    // After each step others may have run: the thread is looked up again.
    while scratch == Scratch::Clear && restart::clear_step(thread(raw)?, &mut cursor)? == Progress::More {
        leave_if_ended();
    }
    restart::renew(thread(raw)?, image(token(words, 2))?).map(|()| 0)
}

pub(super) fn keep(raw: RawCap, words: &Words) -> Result<u64> {
    object(raw, ObjectKind::Loader, Rights::EXECUTE)?;
    let tcb = object(token(words, 0), ObjectKind::Tcb, Rights::empty())?;
    let image = object(token(words, 2), ObjectKind::Image, Rights::READ)?;
    keeper::keep(tcb, image, scratch(words[4])?).map(|()| 0)
}

pub(super) fn priority(raw: RawCap, words: &Words) -> Result<u64> {
    let authority = object(token(words, 0), ObjectKind::Scheduler, Rights::empty())?;
    let most = authority.badge();
    if words[2] > most {
        return Err(Failure(KernelError::OutOfRange, most));
    }
    let part = |word: u64| u32::try_from(word).ok();
    let budget = part(words[3]).zip(part(words[4])).and_then(|(allowance, period)| Budget::new(allowance, period));
    let budget = budget.ok_or(KernelError::InvalidArgument)?;
    scheduler::set_own_priority(thread(raw)?, words[2] as u8, budget);
    scheduler::give_way();
    Ok(0)
}

pub(super) fn bind(raw: RawCap, words: &Words) -> Result<u64> {
    let thread = thread(raw)?;
    let slot = object(token(words, 0), ObjectKind::Notification, Rights::RECEIVE)?;
    // SAFETY: the capability names a live notification.
    unsafe { Notification::at(slot.object() as usize) }.bind(thread)?;
    thread.interrupts.set(words[2]);
    Ok(0)
}

pub(super) fn tcb_info(raw: RawCap, words: &mut Words) -> Result<u64> {
    let thread = thread(raw)?;
    words[0] = thread.identity();
    words[1] = thread.ticks.get();
    words[2] = thread.priority().into();
    words[3] = thread.own_priority.get().into();
    words[4] = thread.budget.get().allowance().into();
    words[5] = thread.budget.get().period().into();
    Ok(thread.state.get() as u64)
}

/// # Safety
/// As [`super::invoke`].
pub(super) unsafe fn fault(raw: RawCap, words: &Words) -> Result<u64> {
    let report = report::of(thread(raw)?).ok_or(KernelError::IllegalOperation)?;
    let into = core::ptr::with_exposed_provenance_mut::<FaultReport>(words[0] as usize);
    // SAFETY: the word is the address of a report that is the caller's.
    unsafe { into.write(*report) };
    Ok(0)
}

/// # Safety
/// As [`super::invoke`].
pub(super) unsafe fn kept_fault(raw: RawCap, words: &Words) -> Result<u64> {
    object(raw, ObjectKind::Loader, Rights::EXECUTE)?;
    let (report, ends) = keeper::take_report().ok_or(KernelError::IllegalOperation)?;
    let into = core::ptr::with_exposed_provenance_mut::<FaultReport>(words[0] as usize);
    // SAFETY: the word is the address of a report that is the caller's.
    unsafe { into.write(report) };
    Ok(ends.into())
}

pub(super) fn vspace_info(raw: RawCap, words: &mut Words) -> Result<u64> {
    let vspace = vspace(raw)?;
    let text = vspace.text.get();
    words[0] = vspace.exit_status.get();
    words[1] = text.start;
    words[2] = text.start + text.bytes;
    words[3] = vspace.heap.get().bytes;
    words[4] = vspace.mapped_bytes();
    words[5] = vspace.thread_count();
    Ok(vspace.outcome.get() as u64)
}

pub(super) fn watch_instances(raw: RawCap, words: &Words) -> Result<u64> {
    object(raw, ObjectKind::Loader, Rights::EXECUTE)?;
    let notification = object(token(words, 0), ObjectKind::Notification, Rights::SEND)?;
    instance::watch(notification, words[2]).map(|()| 0)
}
