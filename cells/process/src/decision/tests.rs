//! Every pair of what is desired and what there is, and random histories of processes.

use proptest::prelude::*;

use super::*;

/// Every step succeeds.
const ALL_WELL: u8 = (1 << MOST_STEPS) - 1;

const STATES: [State; 3] = [State::Exited(0), State::Exited(7), State::Failed];

fn desires() -> [Desired; 4] {
    use Desired::*;
    [Running(Restart::Allowed), Running(Restart::Never), Stopped, Unknown]
}

fn actuals() -> Vec<Actual> {
    use Actual::*;
    let mut all = vec![Absent, GivenUp, Promised, Prepared, Running, Replaced];
    all.extend(STATES.map(Ended));
    all.extend([When::Now, When::Later].map(Failing));
    all
}

/// A process in a world where each step may fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct World {
    desired: Desired,
    actual: Actual,
}

impl World {
    /// Does a step; `None` where the graph refused, and the reconciler leaves it for another time.
    fn step(self, action: Action, succeeds: bool) -> Option<World> {
        let actual = match (action, succeeds) {
            (Action::Make, true) => Actual::Prepared,
            (Action::Make | Action::Start, false) => Actual::GivenUp,
            (Action::Start | Action::Restart, true) => Actual::Running,
            (Action::Restart, false) => Actual::Ended(State::Failed),
            (Action::Stop, _) => Actual::Ended(State::Failed),
            (Action::Discard, _) => Actual::Absent,
            (Action::Note(_), true) => return Some(World { desired: Desired::Stopped, ..self }),
            (Action::Note(_), false) => return None,
        };
        Some(World { actual, ..self })
    }

    /// Steps until there is nothing to be done. `outcomes` says bit by bit which steps succeed.
    fn converge(mut self, outcomes: u8) -> World {
        for number in 0..=MOST_STEPS {
            let Some(action) = decide(self.desired, self.actual) else { return self };
            assert!(number < MOST_STEPS, "{self:?} does not come to rest");
            match self.step(action, outcomes & 1 << number != 0) {
                Some(next) => self = next,
                None => return self,
            }
        }
        self
    }
}

#[test]
fn every_pair_comes_to_rest_whatever_fails() {
    for desired in desires() {
        for actual in actuals() {
            for outcomes in 0..1 << MOST_STEPS {
                let rest = World { desired, actual }.converge(outcomes);
                let agrees = match rest {
                    World { desired: Desired::Unknown, actual: Actual::Running | Actual::Ended(State::Failed) } => {
                        [rest.actual, Actual::Failing(When::Now)].contains(&actual)
                    }
                    World { desired: Desired::Unknown, .. } => rest.actual == actual,
                    World { desired: Desired::Running(_), actual: Actual::Failing(When::Later) } => true,
                    World { actual: Actual::Promised | Actual::Replaced, .. } => rest.actual == actual,
                    World { desired: Desired::Running(_), actual: Actual::Running | Actual::GivenUp } => true,
                    World { desired: Desired::Stopped, actual: Actual::Absent } => true,
                    // The graph refused to be told.
                    World { desired: Desired::Running(Restart::Never), actual: Actual::Absent } => outcomes != ALL_WELL,
                    World { desired: Desired::Running(_), actual: Actual::Ended(_) } => outcomes != ALL_WELL,
                    _ => false,
                };
                assert!(agrees, "{desired:?} and {actual:?} with {outcomes:b} come to rest as {rest:?}");
            }
        }
    }
}

#[test]
fn what_never_runs_twice_is_never_made_again() {
    for actual in actuals() {
        assert_ne!(decide(Desired::Running(Restart::Never), actual), Some(Action::Make));
    }
    let lost = decide(Desired::Running(Restart::Never), Actual::Absent);
    assert_eq!(lost, Some(Action::Note(State::Failed)), "its instance is lost, and so it has failed");
}

#[test]
fn an_end_is_noted_as_it_was() {
    for state in STATES {
        for restart in [Restart::Allowed, Restart::Never] {
            assert_eq!(decide(Desired::Running(restart), Actual::Ended(state)), Some(Action::Note(state)));
        }
    }
}

/// What happens to a process.
#[derive(Clone, Copy, Debug)]
enum Event {
    /// It is made in a transaction, its caller's or the server's own.
    Create,
    Commit,
    Abort,
    /// Its instance ends by itself.
    End(u8),
    /// Somebody writes into its object that it is to run, or not to.
    Write(bool),
    PowerCut,
    /// The server looks, and some of its steps fail.
    Look(u8),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        3 => Just(Event::Create),
        4 => Just(Event::Commit),
        2 => Just(Event::Abort),
        3 => (0..3u8).prop_map(Event::End),
        1 => any::<bool>().prop_map(Event::Write),
        1 => Just(Event::PowerCut),
        6 => any::<u8>().prop_map(Event::Look),
    ]
}

/// The history of one Process object.
#[derive(Debug)]
struct History {
    restart: Restart,
    world: World,
    /// The transaction that it is made in: committed, aborted, or neither yet.
    transaction: Option<Option<bool>>,
    /// Whether its object was ever committed.
    committed: bool,
    starts: u32,
}

impl History {
    fn new(restart: Restart) -> Self {
        let world = World { desired: Desired::Stopped, actual: Actual::Absent };
        History { restart, world, transaction: None, committed: false, starts: 0 }
    }

    fn take(&mut self, event: Event) {
        match event {
            Event::Create if self.transaction.is_none() => {
                self.transaction = Some(None);
                self.world.actual = Actual::Promised;
            }
            Event::Commit if self.transaction == Some(None) => {
                self.transaction = Some(Some(true));
                self.committed = true;
                self.world.desired = Desired::Running(self.restart);
            }
            Event::Abort if self.transaction == Some(None) => self.transaction = Some(Some(false)),
            Event::End(state) if self.world.actual == Actual::Running => {
                self.world.actual = Actual::Ended(STATES[usize::from(state)]);
            }
            Event::Write(runs) if self.committed => {
                self.world.desired = if runs { Desired::Running(self.restart) } else { Desired::Stopped };
            }
            Event::PowerCut => {
                // An open transaction is gone with it.
                self.transaction = self.transaction.map(|end| Some(end.unwrap_or(false)));
                self.world.actual = Actual::Absent;
            }
            Event::Look(outcomes) => self.look(outcomes),
            _ => {}
        }
    }

    fn look(&mut self, outcomes: u8) {
        if self.world.actual == Actual::Promised && self.transaction.is_some_and(|end| end.is_some()) {
            self.world.actual = Actual::Prepared;
        }
        for number in 0..=MOST_STEPS {
            let Some(action) = decide(self.world.desired, self.world.actual) else { return };
            assert!(number < MOST_STEPS, "{self:?} does not come to rest");
            let succeeds = outcomes & 1 << number != 0;
            if action == Action::Start {
                assert!(self.committed, "started before its commit");
                self.starts += u32::from(succeeds);
            }
            match self.world.step(action, succeeds) {
                Some(next) => self.world = next,
                None => return,
            }
        }
    }
}

proptest! {
    #[test]
    fn histories_keep_their_promises(never: bool, events in prop::collection::vec(event(), 1..60)) {
        let mut history = History::new(if never { Restart::Never } else { Restart::Allowed });
        for event in events {
            history.take(event);
            if matches!(history.world.actual, Actual::Running) {
                prop_assert!(history.committed, "runs though nothing of it was committed");
            }
            prop_assert!(!never || history.starts <= 1, "was run twice");
        }
        // With nothing in the way, the kernel's state follows the graph, and nothing is left of what was aborted.
        history.transaction = history.transaction.map(|end| Some(end.unwrap_or(false)));
        history.take(Event::Look(u8::MAX));
        match history.world {
            World { desired: Desired::Stopped, actual } => prop_assert_eq!(actual, Actual::Absent),
            World { actual, .. } => prop_assert!(matches!(actual, Actual::Running | Actual::GivenUp), "{actual:?}"),
        }
    }
}
