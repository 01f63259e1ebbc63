//! One instance takes the place of another.

use abi::kernel::{Operation, Overdue, ReplacementPhase, ReplacementReason, Scratch};
use abi::token::{All, Cap, Frame, Image, Loader, Notification, RawCap, Replacement, Tcb};

use super::{Result, invoke_with, words};
use crate::kernel::invoke;

/// On what terms an instance is replaced.
#[derive(Clone, Copy, Debug)]
pub struct ReplacementTerms<'a> {
    /// Where its state is exported to; half of it is room for one export. `None` for an instance whose state is in the graph or
    /// the kernel's tables.
    pub export: Option<&'a Cap<Frame, All>>,
    /// Signalled with these bits when it is over.
    pub notification: &'a Cap<Notification, All>,
    /// The bits.
    pub bits: u64,
    /// What becomes of capabilities that the instances made for themselves.
    pub scratch: Scratch,
    /// Nanoseconds that a phase may take.
    pub patience: u64,
    /// What becomes of the old instance where it takes longer to answer what it holds.
    pub overdue: Overdue,
    /// Nanoseconds after which the new instance has proven itself, when it has answered what it was given.
    pub trial: u64,
    /// Replies after which it has; 0 for no such number.
    pub trial_replies: u64,
    /// The schema in which the state travels, which both instances can read and write.
    pub schema: u32,
}

/// Says on what terms a replacement will be.
///
/// # Errors
/// `IllegalOperation` while it is open.
pub fn replacement_terms(replacement: &Cap<Replacement, All>, terms: &ReplacementTerms<'_>) -> Result<()> {
    let export = terms.export.map_or(RawCap::EMPTY, Cap::raw);
    let notification = terms.notification.raw();
    let words = [
        export.slot,
        export.generation,
        notification.slot,
        notification.generation,
        terms.bits,
        terms.scratch as u64 | (terms.overdue as u64) << 32,
        terms.patience,
        terms.trial,
        terms.trial_replies,
        terms.schema.into(),
    ];
    invoke_with(Operation::ReplacementTerms, replacement.raw(), &words).map(drop)
}

/// Begins: where the instances have a state of their own, the new one is rehearsed with a copy of it first, while the old one
/// serves. Then requests park until the old instance has answered what it holds, then the new one, which was made and not started, takes
/// its place. The kernel brings that to an end, whoever dies.
///
/// # Errors
/// `IllegalOperation` where the old instance does not run or serves no endpoint in its fixed slot, the new one was started, or one of them takes part in another
/// replacement; `InvalidArgument` where an instance with a state of its own was to end when it is overdue.
pub fn begin_replacement(
    replacement: &Cap<Replacement, All>,
    loader: &Cap<Loader, All>,
    old: (&Cap<Tcb, All>, &Cap<Image, All>),
    new: (&Cap<Tcb, All>, &Cap<Image, All>),
) -> Result<()> {
    let tokens = [loader.raw(), old.0.raw(), new.0.raw(), old.1.raw(), new.1.raw()];
    let mut given = words(&[]);
    for (pair, token) in given.chunks_exact_mut(2).zip(tokens) {
        pair.copy_from_slice(&[token.slot, token.generation]);
    }
    invoke(Operation::ReplacementBegin, replacement.raw(), &mut given).map(drop)
}

/// For tests: has an instance stopped as soon as the next replacement has entered a phase.
///
/// # Errors
/// `IllegalOperation` while it is open.
pub fn plant_in_replacement(
    replacement: &Cap<Replacement, All>,
    phase: ReplacementPhase,
    victim: &Cap<Tcb, All>,
) -> Result<()> {
    let RawCap { slot, generation } = victim.raw();
    invoke_with(Operation::ReplacementPlant, replacement.raw(), &[phase as u64, slot, generation]).map(drop)
}

/// How a replacement stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replaced {
    /// How far it is.
    pub phase: ReplacementPhase,
    /// Why the old instance serves.
    pub reason: ReplacementReason,
    /// Nanoseconds for which requests parked.
    pub pause: u64,
    /// Requests that were with the old instance when they began to park, but for those that can be parked again.
    pub delivered: u64,
    /// Those that can be.
    pub deferred: u64,
    /// The most requests that were parked.
    pub parked: u64,
    /// Replies of the new instance on trial, as far as they were counted.
    pub replies: u64,
}

/// How a replacement stands.
///
/// # Errors
/// `InvalidCapability`.
pub fn replacement_info(replacement: &Cap<Replacement, All>) -> Result<Replaced> {
    use ReplacementReason::{Aborted, NewEnded, OldEnded, Refused, TimedOut};
    let mut given = words(&[]);
    let code = invoke(Operation::ReplacementInfo, replacement.raw(), &mut given)?;
    let reasons = [ReplacementReason::None, Aborted, TimedOut, Refused, OldEnded, NewEnded];
    let [reason, pause, delivered, deferred, parked, replies, ..] = given;
    let phase = ReplacementPhase::from_number(code);
    let reason = reasons.into_iter().find(|known| *known as u64 == reason);
    let (Some(phase), Some(reason)) = (phase, reason) else {
        crate::bug!("the kernel tells of a phase of a replacement that there is not: {code}")
    };
    Ok(Replaced { phase, reason, pause, delivered, deferred, parked, replies })
}

/// The old instance is to go on.
///
/// # Errors
/// `IllegalOperation` where it is over.
pub fn abort_replacement(replacement: &Cap<Replacement, All>) -> Result<()> {
    invoke_with(Operation::ReplacementAbort, replacement.raw(), &[]).map(drop)
}

/// The new instance has proven itself.
///
/// # Errors
/// `IllegalOperation` where it is over.
pub fn confirm_replacement(replacement: &Cap<Replacement, All>) -> Result<()> {
    invoke_with(Operation::ReplacementConfirm, replacement.raw(), &[]).map(drop)
}
