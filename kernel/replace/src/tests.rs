//! Every order of events in a small world: two clients, a service whose state is a counter for each, and an end of either
//! instance, a refusal, a deadline or an abort at any moment. The instances hand that state over, or it is in the graph.
//!
//! A request carries its number, and the state what was done last for each client: so a request that is delivered again has no
//! second effect, and a gap between the two is an effect that was lost.

use std::collections::HashSet;
use std::vec::Vec;

use crate::{Action, Carries, Event, Outcome, Overdue, Phase, Replacement};

const CLIENTS: usize = 2;
/// Requests of each client.
const REQUESTS: u8 = 2;
/// Whether a request of a client can be delivered again.
const REPLAYABLE: [bool; CLIENTS] = [true, false];

type State = [u8; CLIENTS];

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Which {
    Old,
    New,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Stage {
    Received,
    Done,
    Exported,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Instance {
    lives: bool,
    /// It waits in the kernel, and receives nothing.
    frozen: bool,
    state: State,
    holds: Option<(usize, Stage)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct World {
    carries: Carries,
    replacement: Replacement,
    gated: bool,
    /// Whether requests have parked for the replacement's sake, and whether it was rehearsed before.
    has_paused: bool,
    has_rehearsed: bool,
    serves: Which,
    instances: [Instance; 2],
    export: Option<State>,
    /// The state, where the instances have none of their own.
    graph: State,
    /// Whether somebody was asked to export or import, and has not done it.
    asked: bool,
    /// Whether a request of the client is parked.
    parked: [bool; CLIENTS],
    /// Answers of each client, those among them that its server died.
    answered: [u8; CLIENTS],
    /// Whether a client does not know what became of its last effect, since the server died.
    unknown: [bool; CLIENTS],
    /// The old instance did not answer in time what it had.
    was_overdue: bool,
    /// The old instance was torn down although nobody said so.
    was_forced: bool,
    /// An instance ended with the only copy of the state, as it may without any replacement.
    lost: bool,
    /// Ends, refusals and the like that may still come.
    accidents: u8,
}

type Checked<T> = Result<T, &'static str>;

/// Actions as the kernel does them: a planted defect leaves some out.
type Bend = fn(Action) -> bool;

fn check(holds: bool, wrong: &'static str) -> Checked<()> {
    if holds { Ok(()) } else { Err(wrong) }
}

impl World {
    fn new(carries: Carries, holds: Option<(usize, Stage)>, bend: Bend) -> World {
        let (replacement, actions) = Replacement::begin(carries);
        let old = Instance { lives: true, frozen: false, state: [0; CLIENTS], holds };
        let mut world = World {
            carries,
            replacement,
            gated: false,
            has_paused: false,
            has_rehearsed: false,
            serves: Which::Old,
            instances: [old, Instance { frozen: true, holds: None, ..old }],
            export: None,
            graph: [0; CLIENTS],
            asked: false,
            parked: [false; CLIENTS],
            answered: [0; CLIENTS],
            unknown: [false; CLIENTS],
            was_overdue: false,
            was_forced: false,
            lost: false,
            accidents: 2,
        };
        world.act(actions, bend);
        world
    }

    fn of(&mut self, which: Which) -> &mut Instance {
        &mut self.instances[which as usize]
    }

    /// The state that an instance answers by.
    fn state(&mut self, which: Which) -> &mut State {
        match self.carries {
            Carries::State => &mut self.of(which).state,
            Carries::Nothing(_) => &mut self.graph,
        }
    }

    fn end(&mut self, which: Which) {
        let instance = self.of(which);
        instance.lives = false;
        match instance.holds.take() {
            Some((client, _)) if REPLAYABLE[client] => self.parked[client] = true,
            Some((client, _)) => {
                self.answered[client] += 1;
                self.unknown[client] = true;
            }
            None => {}
        }
    }

    fn act(&mut self, actions: &[Action], bend: Bend) {
        for action in actions.iter().copied().filter(|action| bend(*action)) {
            match action {
                Action::Gate => (self.gated, self.has_paused) = (true, true),
                Action::Ungate => self.gated = false,
                Action::Freeze => {
                    (self.of(Which::Old).frozen, self.asked) = (true, true);
                    if self.carries != Carries::State {
                        self.end(Which::Old);
                    }
                }
                Action::TearDown => {
                    self.was_forced |= self.carries != Carries::Nothing(Overdue::Ends);
                    self.end(Which::Old);
                    (self.of(Which::Old).frozen, self.asked) = (true, true);
                }
                Action::Copy | Action::Rehearse | Action::Thaw => self.asked = true,
                Action::SwitchToNew => {
                    self.serves = Which::New;
                    self.of(Which::New).frozen = false;
                }
                Action::SwitchToOld => self.serves = Which::Old,
                Action::Resume => {
                    // Without a state of its own it has ended, and begins again.
                    self.of(Which::Old).lives |= self.carries != Carries::State;
                    self.of(Which::Old).frozen = false;
                }
                Action::Restore => {
                    let old = self.of(Which::Old);
                    (old.lives, old.frozen) = (true, true);
                    self.asked = true;
                }
                Action::EndOld => self.end(Which::Old),
                Action::EndNew => self.end(Which::New),
            }
        }
    }

    fn tell(mut self, event: Event, bend: Bend) -> World {
        let before = self.replacement.phase();
        let actions = self.replacement.on(event);
        self.asked &= self.replacement.phase() == before;
        self.act(actions, bend);
        let ended = matches!(self.replacement.phase(), Phase::Ended(_));
        self.was_overdue |= before == Phase::Draining && event == Event::Deadline;
        self.has_rehearsed |= event == Event::Rehearsed;
        self.lost |= self.carries == Carries::State && self.replacement.phase() == Phase::Ended(Outcome::Lost);
        // The service begins again, without what nobody has.
        let may_begin_again = self.lost || self.carries != Carries::State;
        if ended && may_begin_again && !self.instances[self.serves as usize].lives {
            let last = self.answered;
            let serves = self.serves;
            *self.of(serves) = Instance { lives: true, frozen: false, state: last, holds: None };
        }
        self
    }

    fn accident(self) -> Option<World> {
        Some(World { accidents: self.accidents.checked_sub(1)?, ..self })
    }

    /// What can come next.
    fn steps(self, bend: Bend) -> Checked<Vec<World>> {
        let mut next = Vec::new();
        for client in 0..CLIENTS {
            let idle = !self.parked[client] && self.instances.iter().all(|i| i.holds.is_none_or(|(c, _)| c != client));
            if idle && self.answered[client] < REQUESTS {
                let mut world = self;
                world.parked[client] = true;
                next.push(world);
            }
            let server = self.instances[self.serves as usize];
            if self.parked[client] && !self.gated && server.lives && !server.frozen && server.holds.is_none() {
                let phase = self.replacement.phase();
                let open = matches!(phase, Phase::Copying | Phase::Rehearsing | Phase::Probation | Phase::Ended(_));
                check(open, "a request was delivered while nobody was to serve")?;
                let mut world = self;
                world.parked[client] = false;
                world.of(self.serves).holds = Some((client, Stage::Received));
                next.push(world);
            }
        }
        for which in [Which::Old, Which::New] {
            next.extend(self.work(which)?);
        }
        self.events(bend, &mut next);
        Ok(next)
    }

    /// An instance does the next thing for the request that it holds.
    fn work(self, which: Which) -> Checked<Option<World>> {
        let instance = self.instances[which as usize];
        let Some((client, stage)) = instance.holds.filter(|_| instance.lives) else { return Ok(None) };
        let is_over = which == Which::Old && matches!(self.replacement.phase(), Phase::Thawing | Phase::Probation);
        check(!is_over, "an instance works on when its time is over")?;
        let mut world = self;
        let number = self.answered[client] + 1;
        match stage {
            Stage::Received => {
                let done = world.state(which)[client];
                let is_known = !self.lost && !self.unknown[client];
                check(!is_known || done == number || done + 1 == number, "an effect was lost")?;
                check(done < number || REPLAYABLE[client], "an effect was doubled")?;
                world.state(which)[client] = number;
                world.unknown[client] = false;
                world.of(which).holds = Some((client, Stage::Done));
            }
            Stage::Done if which == Which::New && self.replacement.phase() == Phase::Probation => {
                world.export = Some(instance.state);
                world.of(which).holds = Some((client, Stage::Exported));
            }
            Stage::Done | Stage::Exported => {
                check(!instance.frozen, "a frozen instance answered")?;
                world.answered[client] = number;
                world.of(which).holds = None;
            }
        }
        Ok(Some(world))
    }

    fn events(self, bend: Bend, next: &mut Vec<World>) {
        let [old, new] = self.instances;
        let phase = self.replacement.phase();
        let has_state = self.carries == Carries::State;
        match phase {
            Phase::Copying if old.lives && self.asked && old.holds.is_none() => {
                next.push(World { export: Some(old.state), ..self }.tell(Event::Copied, bend));
            }
            Phase::Rehearsing if new.lives && self.asked => {
                let mut world = self;
                world.of(Which::New).state = self.export.unwrap_or_default();
                next.push(world.tell(Event::Rehearsed, bend));
            }
            Phase::Draining if old.lives && old.holds.is_none() => next.push(self.tell(Event::Drained, bend)),
            Phase::Freezing if (old.lives || !has_state) && self.asked => {
                next.push(World { export: Some(old.state), ..self }.tell(Event::Frozen, bend));
            }
            Phase::Thawing if new.lives && self.asked => {
                let mut world = self;
                world.of(Which::New).state = self.export.unwrap_or_default();
                next.push(world.tell(Event::Thawed, bend));
            }
            Phase::Probation if new.lives => next.push(self.tell(Event::Proven, bend)),
            Phase::Restoring if old.lives && self.asked => {
                let mut world = self;
                (world.of(Which::Old).state, world.of(Which::Old).frozen) = (self.export.unwrap_or_default(), false);
                next.push(world.tell(Event::Thawed, bend));
            }
            _ => {}
        }
        if matches!(phase, Phase::Ended(_)) {
            return;
        }
        // A deadline comes in any case, sooner or later; that the old instance does not import its own state is an accident.
        if let Some(world) = self.accident() {
            for event in [Event::Refused, Event::Abort, Event::Deadline] {
                next.push(world.tell(event, bend));
            }
            for (which, event) in [(Which::Old, Event::OldEnded), (Which::New, Event::NewEnded)] {
                if self.instances[which as usize].lives {
                    let mut world = world;
                    world.end(which);
                    let has_only_copy = which == Which::Old
                        && matches!(phase, Phase::Copying | Phase::Rehearsing | Phase::Draining | Phase::Freezing);
                    world.lost |= has_state && has_only_copy;
                    next.push(world.tell(event, bend));
                }
            }
        }
        if phase != Phase::Restoring {
            next.push(self.tell(Event::Deadline, bend));
        }
    }

    fn check_end(&self) -> Checked<()> {
        check(matches!(self.replacement.phase(), Phase::Ended(_)), "the replacement is stuck")?;
        check(self.answered == [REQUESTS; CLIENTS], "a request is stuck")?;
        let [old, new] = self.instances;
        check(old.lives != new.lives, "not one instance is left")?;
        let server = self.instances[self.serves as usize];
        check(server.lives && !self.gated, "nobody serves")?;
        let was_rehearsed = self.has_rehearsed || self.carries != Carries::State;
        check(was_rehearsed || !self.has_paused, "requests parked for what was not rehearsed")?;
        check(!self.was_forced, "an instance was torn down unasked")?;
        let mut world = *self;
        let state = *world.state(self.serves);
        let is_complete = |client: usize| state[client] == REQUESTS || self.unknown[client] && state[client] < REQUESTS;
        check(self.lost || (0..CLIENTS).all(is_complete), "an effect was lost or doubled")
    }
}

/// Looks at every state that can be reached; answers how many there are.
fn explore(bend: Bend) -> Checked<usize> {
    let kinds = [Carries::State, Carries::Nothing(Overdue::GoesOn), Carries::Nothing(Overdue::Ends)];
    kinds.into_iter().map(|carries| explore_with(carries, bend)).sum()
}

/// The same of one kind of service. In some of the states the new instance is confirmed.
fn explore_with(carries: Carries, bend: Bend) -> Checked<usize> {
    // When it begins, the old instance may have a request.
    let holds = [None].into_iter().chain((0..CLIENTS).map(|client| Some((client, Stage::Received))));
    let mut open: Vec<World> = holds.map(|holds| World::new(carries, holds, bend)).collect();
    let mut seen: HashSet<World> = open.iter().copied().collect();
    while let Some(world) = open.pop() {
        let next: Vec<World> = world.steps(bend)?.into_iter().filter(|next| *next != world).collect();
        if next.is_empty() {
            world.check_end()?;
        }
        open.extend(next.into_iter().filter(|next| seen.insert(*next)));
    }
    let confirmed = Phase::Ended(Outcome::Confirmed);
    let succeeds = |is_meant: fn(&World) -> bool| {
        seen.iter().any(|world| world.replacement.phase() == confirmed && is_meant(world))
    };
    check(succeeds(|_| true), "no replacement ever succeeds")?;
    let is_forced = carries == Carries::Nothing(Overdue::Ends);
    check(
        succeeds(|world| world.was_overdue) == is_forced,
        "who is overdue ends where that is forced, and there alone",
    )?;
    Ok(seen.len())
}

#[test]
fn nothing_is_lost_doubled_or_stuck() {
    let states = explore(|_| true).expect("sound");
    assert!(states > 1_000, "{states} states are too few to mean anything");
}

#[test]
fn an_action_left_out_is_found() {
    let left_out: [(Action, Bend); 13] = [
        (Action::TearDown, |action| action != Action::TearDown),
        (Action::Copy, |action| action != Action::Copy),
        (Action::Rehearse, |action| action != Action::Rehearse),
        (Action::Freeze, |action| action != Action::Freeze),
        (Action::Thaw, |action| action != Action::Thaw),
        (Action::Gate, |action| action != Action::Gate),
        (Action::Ungate, |action| action != Action::Ungate),
        (Action::SwitchToNew, |action| action != Action::SwitchToNew),
        (Action::SwitchToOld, |action| action != Action::SwitchToOld),
        (Action::Resume, |action| action != Action::Resume),
        (Action::Restore, |action| action != Action::Restore),
        (Action::EndOld, |action| action != Action::EndOld),
        (Action::EndNew, |action| action != Action::EndNew),
    ];
    for (action, bend) in left_out {
        assert!(explore(bend).is_err(), "nobody missed {action:?}");
    }
}
