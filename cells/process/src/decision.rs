//! What has to be done so that the kernel's state follows the graph: the reconciler's pure part.
//!
//! Two things are compared: what the committed graph says of a process ([`Desired`]) and what there is of it ([`Actual`]).
//! [`decide`] answers the one step that brings the second nearer to the first, or none where they agree. It knows nothing of
//! why they differ: a new process, one that ended, one whose object was changed or undone, a power cut, all come to
//! the same table. Every step that succeeds or fails changes what is compared, and no sequence of them is longer than
//! [`MOST_STEPS`].

use abi::interfaces::process::State;
use genesis::Restart;

/// The most steps until nothing is left to be done, whatever fails.
pub const MOST_STEPS: u32 = 3;

/// What the committed graph says of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Desired {
    /// It is to run.
    Running(Restart),
    /// It is not: it has ended, or there is no such Process object.
    Stopped,
    /// The graph does not answer.
    Unknown,
}

/// What there is of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Actual {
    /// Nothing.
    Absent,
    /// Nothing, and an attempt to change that has failed.
    GivenUp,
    /// An instance that was made in a transaction which has not ended.
    Promised,
    /// An instance that was never started.
    Prepared,
    /// An instance that runs.
    Running,
    /// An instance in whose place the kernel puts another one.
    Replaced,
    /// An instance that failed, and is allowed to begin again: now, or later.
    Failing(When),
    /// An instance that has ended, in this state.
    Ended(State),
}

/// When an instance that failed begins again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// It is time.
    Now,
    /// It rests: there will be another look.
    Later,
}

/// One step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Make an instance: [`Actual::Prepared`], or [`Actual::GivenUp`] where there is no memory for it.
    Make,
    /// Start the instance: [`Actual::Running`], or [`Actual::GivenUp`] without the instance.
    Start,
    /// Let the instance begin again: [`Actual::Running`], or [`Actual::Ended`] where that is refused.
    Restart,
    /// Stop the instance: [`Actual::Ended`].
    Stop,
    /// Give back what there is: [`Actual::Absent`].
    Discard,
    /// Write the state into the graph, which then says [`Desired::Stopped`]; where that fails it is tried again another
    /// time.
    Note(State),
}

/// The next step; `None` where there is nothing to be done, or nothing that would help.
#[must_use]
pub fn decide(desired: Desired, actual: Actual) -> Option<Action> {
    match (desired, actual) {
        // What a transaction promised is nobody's affair before its end.
        (_, Actual::Promised) => None,
        // There will be another look when it is known who runs.
        (_, Actual::Replaced) => None,
        // To begin again nobody is asked: the graph said that it runs, and its servers may be the ones that failed.
        (Desired::Running(_) | Desired::Unknown, Actual::Failing(When::Now)) => Some(Action::Restart),
        (Desired::Running(_) | Desired::Unknown, Actual::Failing(When::Later)) => None,
        (Desired::Unknown, _) => None,
        (Desired::Running(_), Actual::Prepared) => Some(Action::Start),
        (Desired::Running(_), Actual::Running | Actual::GivenUp) => None,
        (Desired::Running(_), Actual::Ended(state)) => Some(Action::Note(state)),
        (Desired::Running(Restart::Allowed), Actual::Absent) => Some(Action::Make),
        (Desired::Running(Restart::Never), Actual::Absent) => Some(Action::Note(State::Failed)),
        (Desired::Stopped, Actual::Running) => Some(Action::Stop),
        (Desired::Stopped, Actual::Prepared | Actual::Failing(_) | Actual::Ended(_) | Actual::GivenUp) => {
            Some(Action::Discard)
        }
        (Desired::Stopped, Actual::Absent) => None,
    }
}

#[cfg(test)]
mod tests;
