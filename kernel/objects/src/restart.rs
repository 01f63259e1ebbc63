//! An instance begins again, in its own memory.
//!
//! A cell that ended left everything in place: its code, which cannot have changed, its frames, its CNode. To begin again it
//! needs its variables as its image has them, an empty stack, and its CNode as its creator left it: what it made for
//! itself, the *scratch* capabilities from a first slot on, goes. Nothing is allocated and nobody is asked, so that the
//! memory server and the persistence server can begin again like anybody else, and requests that are parked at their
//! endpoints never notice.
//!
//! What stays is the *endowment*, which its creator put there before the first start: endpoint, notification, device, untypeds.
//! It belongs to the service, which outlives its instances.

use abi::KernelError;
use capability::Progress;

use crate::instance::{self, ImageObject};
use crate::tcb::{State, Tcb};
use crate::vspace::Outcome;
use crate::{Failure, authority, memory};

/// Deletes one scratch capability of an instance that has ended; `More` while there may be others. `cursor` begins at 0.
///
/// # Errors
/// `IllegalOperation` while the instance runs.
pub(crate) fn clear_step(thread: &Tcb, cursor: &mut u32) -> Result<Progress, Failure> {
    check_ended(thread)?;
    clear_scratch_step(thread, cursor)
}

/// The same, of an instance that is not to use them any more.
pub(crate) fn clear_scratch_step(thread: &Tcb, cursor: &mut u32) -> Result<Progress, Failure> {
    let reaped = authority::with(|context| match context.has_pending() {
        true => capability::reap_step(context, authority::BUDGET),
        false => Progress::Done,
    });
    if reaped == Progress::More {
        return Ok(Progress::More);
    }
    let cnode = thread.cnode();
    while *cursor < cnode.capacity() {
        let slot = cnode.slot((*cursor).max(1))?;
        *cursor = slot.index() + 1;
        if !slot.is_empty() && !slot.is_endowed() {
            let _ = authority::with(|context| capability::delete(context, slot, authority::BUDGET))?;
            return Ok(Progress::More);
        }
    }
    Ok(Progress::Done)
}

fn check_ended(thread: &Tcb) -> Result<(), Failure> {
    let vspace = thread.vspace().ok_or(KernelError::IllegalOperation)?;
    let ended = thread.state.get() == State::Ended && vspace.outcome.get() != Outcome::Running;
    // Another thread of the instance may not have ended yet.
    if ended && vspace.first_thread().is_none() { Ok(()) } else { Err(KernelError::IllegalOperation.into()) }
}

/// Makes the first thread of an instance that has ended, and whose scratch capabilities are gone, ready to start: as a new
/// thread, with a number that was never used.
///
/// # Errors
/// `IllegalOperation` while the instance runs, or where its code, stack or heap was taken away; `ImageRefused` for another
/// image than the one that it was made of.
pub(crate) fn renew(thread: &Tcb, image: &ImageObject) -> Result<(), Failure> {
    check_ended(thread)?;
    let vspace = thread.vspace().ok_or(KernelError::IllegalOperation)?;
    if ![vspace.image.get(), vspace.stack.get(), vspace.heap.get()].into_iter().all(memory::is_mapped) {
        return Err(KernelError::IllegalOperation.into());
    }
    instance::renew_variables(image, vspace)?;
    vspace.forget_unmapped();
    vspace.outcome.set(Outcome::Running);
    vspace.exit_status.set(0);
    thread.renew();
    instance::prepare(thread, vspace)
}
