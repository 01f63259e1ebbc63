//! The replacement of an instance by another, as a state machine: what happens next, whatever happens.
//!
//! ```text
//!   begin --state of its own--> Copying --copied--> Rehearsing --rehearsed--+
//!     |                            |                    |                   |
//!     |                            |    any failure: Ended(Returned)        |
//!     v                                                                     v
//!   Draining <--------------------------------------------------------------+
//!      |
//!      +--drained--> Freezing --frozen--> Thawing --thawed--> Probation --proven--> Ended(Confirmed)
//!      |                |                    |                    |
//!      |  deadline, abort, refusal, death    |                    |  the same
//!      v                v                    v                    v
//!   Ended(Returned)  Ended(Returned)      Ended(Returned), <-- Restoring --refusal, deadline, death--> Ended(Lost)
//!                                         by Restoring where
//!                                         the old one died
//! ```
//!
//! The machine knows no threads, no memory and no clock: the kernel tells it of [`Event`]s and does the [`Action`]s that it
//! answers, in their order, at once. No process takes part in it, so it comes to its end whoever dies. Each phase has a
//! deadline, which the kernel sets when the phase changes.
//!
//! An instance with a state of its own is *rehearsed* first: the old one exports a copy and goes on, the new one imports the copy
//! and exports it back. What fails then costs the clients nothing, since no request has parked. What was imported in
//! the rehearsal is of no use afterwards, as the old one has gone on meanwhile: the same new instance imports the state itself.
//!
//! An instance without one may also be *forced* out: where it does not answer in time what it has, it ends, as if by a failure,
//! and the new one begins.
//!
//! From [`Phase::Freezing`] on the state of the service is in one place at any time: with the old instance until it is frozen,
//! then in the *export*, the bytes that the old one left and that the new one renews before each reply of its probation. An
//! instance that imports never changes them.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

#[cfg(test)]
mod tests;

/// How far a replacement is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// The old instance serves, and is to export a copy of its state.
    Copying,
    /// The old instance serves; the new one imports the copy and exports it back, without an effect on anybody.
    Rehearsing,
    /// New requests park; the old instance answers what it has.
    Draining,
    /// The old instance exports its state. It answers nothing from now on.
    Freezing,
    /// The new instance imports it, without an effect on anybody.
    Thawing,
    /// The new instance serves, and renews the export before each reply.
    Probation,
    /// The old instance imports the last export; nobody serves.
    Restoring,
    /// It is over.
    Ended(Outcome),
}

/// Who serves in the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The new instance.
    Confirmed,
    /// The old one, with all that was answered for; or, where it died with its state, whoever begins again in its place.
    Returned(Reason),
    /// Nobody with the state: the service begins again without.
    Lost,
}

/// Why the old instance serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// Somebody asked for it.
    Aborted,
    /// A phase took too long.
    TimedOut,
    /// An instance said that it cannot export, or cannot import what it was given.
    Refused,
    /// The old instance ended.
    OldEnded,
    /// The new instance ended.
    NewEnded,
}

/// What has happened.
#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// The copy is there.
    Copied,
    /// The new instance has imported the copy, and exported the same.
    Rehearsed,
    /// The old instance holds no request.
    Drained,
    /// The export is there.
    Frozen,
    /// Whoever imports has done it, and it holds.
    Thawed,
    /// Probation is over: enough requests, or time.
    Proven,
    /// Whoever exports or imports cannot.
    Refused,
    /// The phase has lasted too long.
    Deadline,
    /// The old instance ended.
    OldEnded,
    /// The new instance ended.
    NewEnded,
    /// Somebody with the authority wants the old instance back.
    Abort,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// The old instance exports a copy of its state when it next receives, and goes on.
    Copy,
    /// The new instance imports the copy and exports it back.
    Rehearse,
    /// New requests park; the receiver gets none.
    Gate,
    /// The receiver gets what is parked.
    Ungate,
    /// The old instance exports.
    Freeze,
    /// The old instance, which has no state of its own, is torn down with what it holds. That is as good as an export.
    TearDown,
    /// The new instance imports the export.
    Thaw,
    /// The service is the new instance's.
    SwitchToNew,
    /// The service is the old instance's.
    SwitchToOld,
    /// The old instance goes on where it was frozen, its state as it was.
    Resume,
    /// The old instance, begun again if it has ended, imports the export.
    Restore,
    /// The old instance is torn down, if it is there.
    EndOld,
    /// The new instance is torn down, if it is there.
    EndNew,
}

/// What the two instances hand over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Carries {
    /// A state of their own. It would be lost if the old instance did not come to export it.
    State,
    /// Nothing: what the service answers by is in the graph or in the kernel's tables.
    Nothing(Overdue),
}

/// What becomes of an old instance that has not answered what it holds when the time for that is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Overdue {
    /// It goes on.
    GoesOn,
    /// It ends with what it holds.
    Ends,
}

/// One replacement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Replacement {
    phase: Phase,
    /// What ends a drain that takes too long.
    overdue: Overdue,
    /// The old instance ended while its state was in the export.
    has_old_ended: bool,
    /// Why the old instance is being restored.
    reason: Reason,
}

impl Replacement {
    /// Begins: the new instance has been made, and was not started.
    #[must_use]
    pub const fn begin(carries: Carries) -> (Replacement, &'static [Action]) {
        let (phase, overdue, actions): (Phase, Overdue, &'static [Action]) = match carries {
            Carries::State => (Phase::Copying, Overdue::GoesOn, &[Action::Copy]),
            Carries::Nothing(overdue) => (Phase::Draining, overdue, &[Action::Gate]),
        };
        (Replacement { phase, overdue, has_old_ended: false, reason: Reason::Aborted }, actions)
    }

    /// How far it is.
    #[must_use]
    pub const fn phase(&self) -> Phase {
        self.phase
    }

    /// Something has happened. What does not belong to the phase is ignored: it comes late.
    pub fn on(&mut self, event: Event) -> &'static [Action] {
        use Action::{
            EndNew, EndOld, Freeze, Gate, Rehearse, Restore, Resume, SwitchToNew, SwitchToOld, TearDown, Thaw, Ungate,
        };
        let (phase, actions): (Phase, &'static [Action]) = match (self.phase, event) {
            (Phase::Copying, Event::Copied) => (Phase::Rehearsing, &[Rehearse]),
            (Phase::Rehearsing, Event::Rehearsed) => (Phase::Draining, &[Gate]),
            (Phase::Draining, Event::Drained) => (Phase::Freezing, &[Freeze]),
            (Phase::Draining, Event::Deadline) if self.overdue == Overdue::Ends => (Phase::Freezing, &[TearDown]),
            (Phase::Freezing, Event::Frozen) => (Phase::Thawing, &[Thaw]),
            (Phase::Thawing, Event::Thawed) => (Phase::Probation, &[SwitchToNew, Ungate]),
            (Phase::Probation, Event::Proven) => (Phase::Ended(Outcome::Confirmed), &[EndOld]),
            (Phase::Restoring, Event::Thawed) => (self.returned(), &[Ungate]),
            // Its state is in the export: there is no need of it before the new one fails.
            (Phase::Thawing | Phase::Probation, Event::OldEnded) => {
                self.has_old_ended = true;
                return &[];
            }
            (Phase::Restoring, Event::OldEnded | Event::Refused | Event::Deadline) => {
                (Phase::Ended(Outcome::Lost), &[EndOld, Ungate])
            }
            (phase, event) => {
                let Some(reason) = failure(phase, event) else { return &[] };
                self.reason = reason;
                match phase {
                    // Nobody has waited.
                    Phase::Copying | Phase::Rehearsing => (self.returned(), &[EndNew]),
                    Phase::Draining => (self.returned(), &[EndNew, Ungate]),
                    Phase::Freezing if reason == Reason::OldEnded => (self.returned(), &[EndNew, Ungate]),
                    Phase::Freezing => (self.returned(), &[EndNew, Resume, Ungate]),
                    Phase::Thawing if self.has_old_ended => (Phase::Restoring, &[EndNew, Restore]),
                    Phase::Thawing => (self.returned(), &[EndNew, Resume, Ungate]),
                    Phase::Probation => (Phase::Restoring, &[Gate, EndNew, SwitchToOld, Restore]),
                    Phase::Restoring | Phase::Ended(_) => return &[],
                }
            }
        };
        self.phase = phase;
        actions
    }

    const fn returned(&self) -> Phase {
        Phase::Ended(Outcome::Returned(self.reason))
    }
}

/// Why an event ends the way to the new instance, if it does.
const fn failure(phase: Phase, event: Event) -> Option<Reason> {
    match (phase, event) {
        (Phase::Restoring | Phase::Ended(_), _) | (Phase::Draining, Event::Refused) => None,
        (_, Event::Refused) => Some(Reason::Refused),
        (_, Event::Deadline) => Some(Reason::TimedOut),
        (_, Event::OldEnded) => Some(Reason::OldEnded),
        (_, Event::NewEnded) => Some(Reason::NewEnded),
        (_, Event::Abort) => Some(Reason::Aborted),
        (_, Event::Copied | Event::Rehearsed | Event::Drained | Event::Frozen | Event::Thawed | Event::Proven) => None,
    }
}
