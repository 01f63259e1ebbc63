//! The machine and the real ledger together, in every order of events of a small world: two clients of two calls each, of which
//! one can be parked again and one cannot, an old instance and a new one with two reply objects, and an end of either
//! instance, a deadline, a refusal or an abort at any moment.
//!
//! The ledger's objects name each other by address, so a world cannot be copied: each one is made anew by the steps that lead to it,
//! and those that were seen before are told by what can be seen of them. What the kernel's `replacer` does for an action is done
//! here in the same order.

use std::collections::{HashSet, VecDeque};

use ledger::{Called, Endpoint, Received, Receiver, Replay, Reply, Request, State};
use replace::{Action, Carries, Event, Overdue, Phase, Replacement};

const CLIENTS: usize = 2;
const REPLIES: usize = 2;
/// What each client calls, one after the other.
const CALLS: [[u32; 2]; CLIENTS] = [[REPLAYABLE, ONCE], [ONCE, REPLAYABLE]];
/// A label whose requests can be parked again, and one whose cannot.
const REPLAYABLE: u32 = 0;
const ONCE: u32 = 1;
/// Ends, refusals and aborts in one world, at most.
const ACCIDENTS: u8 = 2;

const OLD: usize = 0;
const NEW: usize = 1;

/// What happens next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Step {
    /// The replacement begins.
    Begin,
    Call(usize),
    /// An instance receives, or answers what a reply object holds.
    Receive(usize),
    Answer(usize, usize),
    /// An instance that waits has a signal, and does something about what it holds.
    Rouse(usize),
    /// The machine hears of something.
    Hears(Event),
}

/// What an instance is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Doing {
    /// It was not started, imports, or is frozen: it takes no part.
    Nothing,
    Runs,
    /// It waits for a request.
    Waits,
    Ended,
}

/// What the kernel does for the sake of requests, to be left out in turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Deed {
    ParkAgain,
    Open,
    Release,
}

/// The kernel's objects, at addresses that stay.
struct Objects {
    endpoint: Endpoint,
    gate: Request,
    requests: [Request; CLIENTS],
    receivers: [Receiver; 2],
    replies: [Reply; REPLIES],
}

/// All of a world that is not in the ledger.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Account {
    /// `None` before it begins: the old instance may have requests then.
    machine: Option<Replacement>,
    carries: Carries,
    doing: [Doing; 2],
    /// Who has the endpoint and the reply objects.
    serves: usize,
    /// Calls of each client that have begun and that have ended, and how often the present one was delivered.
    begun: [usize; CLIENTS],
    ended: [usize; CLIENTS],
    delivered: [u8; CLIENTS],
    /// Those whose requests are parked, in order.
    parked: Vec<usize>,
    accidents: u8,
}

/// What can be seen of a world.
#[derive(PartialEq, Eq, Hash)]
struct Seen {
    account: Account,
    is_shut: bool,
    /// What each reply object holds, whom it names, and in which order those stand at the endpoint that hold something.
    held: Vec<Option<(usize, Option<usize>)>>,
    receivers: Vec<Option<usize>>,
    list: Vec<Option<usize>>,
}

struct World {
    objects: *mut Objects,
    account: Account,
    left_out: Option<Deed>,
}

impl Drop for World {
    fn drop(&mut self) {
        // SAFETY: made by `Box::into_raw`, and nobody else has it.
        drop(unsafe { Box::from_raw(self.objects) });
    }
}

type Checked = Result<(), &'static str>;

fn check(holds: bool, wrong: &'static str) -> Checked {
    if holds { Ok(()) } else { Err(wrong) }
}

impl World {
    fn new(carries: Carries, left_out: Option<Deed>) -> World {
        // SAFETY: the ledger's objects are plain data whose zero is a valid state, as their documents say.
        let objects = Box::into_raw(Box::new(unsafe { core::mem::zeroed::<Objects>() }));
        let account = Account {
            machine: None,
            carries,
            doing: [Doing::Runs, Doing::Nothing],
            serves: OLD,
            begun: [0; CLIENTS],
            ended: [0; CLIENTS],
            delivered: [0; CLIENTS],
            parked: Vec::new(),
            accidents: ACCIDENTS,
        };
        let world = World { objects, account, left_out };
        // SAFETY: live.
        let endpoint = unsafe { &mut *world.endpoint() };
        assert_eq!(endpoint.serve(REPLAYABLE, 1, Replay::Unanswered), Ok(()));
        assert_eq!(endpoint.serve(ONCE, 1, Replay::Never), Ok(()));
        world
    }

    fn endpoint(&self) -> *mut Endpoint {
        // SAFETY: the objects are live, here and below.
        unsafe { &raw mut (*self.objects).endpoint }
    }
    fn gate(&self) -> *mut Request {
        // SAFETY: as above.
        unsafe { &raw mut (*self.objects).gate }
    }
    fn request(&self, client: usize) -> *mut Request {
        // SAFETY: as above.
        unsafe { &raw mut (*self.objects).requests }.cast::<Request>().wrapping_add(client)
    }
    fn receiver(&self, which: usize) -> *mut Receiver {
        // SAFETY: as above.
        unsafe { &raw mut (*self.objects).receivers }.cast::<Receiver>().wrapping_add(which)
    }
    fn reply(&self, index: usize) -> *mut Reply {
        // SAFETY: as above.
        unsafe { &raw mut (*self.objects).replies }.cast::<Reply>().wrapping_add(index)
    }

    fn client_of(&self, request: *mut Request) -> usize {
        (0..CLIENTS).find(|client| self.request(*client) == request).expect("a request of a client's")
    }
    fn instance_of(&self, receiver: *mut Receiver) -> Option<usize> {
        (0..2).find(|which| self.receiver(*which) == receiver)
    }

    /// The client whose request a reply object holds, and the instance that received it.
    fn held(&self, index: usize) -> Option<(usize, Option<usize>)> {
        // SAFETY: live.
        let reply = unsafe { &*self.reply(index) };
        let request = reply.request();
        (!request.is_null()).then(|| (self.client_of(request), self.instance_of(reply.receiver())))
    }

    /// The phase of the replacement, where it is open.
    fn phase(&self) -> Option<Phase> {
        self.account.machine.map(|machine| machine.phase()).filter(|phase| !matches!(phase, Phase::Ended(_)))
    }

    fn label(&self, client: usize) -> u32 {
        CALLS[client][self.account.begun[client] - 1]
    }

    /// A request has come to an instance.
    fn arrived(&mut self, client: usize, which: usize) -> Checked {
        let account = &mut self.account;
        account.parked.retain(|parked| *parked != client);
        account.doing[which] = Doing::Runs;
        account.delivered[client] += 1;
        check(which == account.serves, "a request came to an instance that does not serve")?;
        check(self.label(client) == REPLAYABLE || self.account.delivered[client] == 1, "a request was done twice")
    }

    /// A call ends, with its answer or without.
    fn call_ends(&mut self, client: usize) -> Checked {
        check(self.account.ended[client] < self.account.begun[client], "a call ended twice")?;
        self.account.ended[client] += 1;
        self.account.delivered[client] = 0;
        // SAFETY: live.
        check(unsafe { (*self.request(client)).state() } == State::Idle, "a call ended and its request did not")
    }

    fn is_shut(&self) -> bool {
        // SAFETY: live.
        unsafe { (*self.endpoint()).is_shut() }
    }

    fn shut(&mut self) {
        if !self.is_shut() {
            // SAFETY: live; the gate is this endpoint's alone.
            unsafe { Endpoint::shut(self.endpoint(), self.gate()) };
        }
    }

    fn open(&mut self) -> Checked {
        let mut served = Vec::new();
        if self.left_out != Some(Deed::Open) && self.is_shut() {
            // SAFETY: live, and the closure calls nothing.
            unsafe { Endpoint::open(self.endpoint(), |receiver, request| served.push((receiver, request))) };
        }
        for (receiver, request) in served {
            let which = self.instance_of(receiver).ok_or("a request came to nobody")?;
            self.arrived(self.client_of(request), which)?;
        }
        Ok(())
    }

    /// What an instance holds and has not answered is parked again, as far as it can be.
    fn park_again(&mut self, which: usize) {
        for index in 0..REPLIES {
            let Some((client, Some(holder))) = self.held(index) else { continue };
            if holder != which || self.left_out == Some(Deed::ParkAgain) {
                continue;
            }
            // SAFETY: live, and bound there since it holds a request from there.
            if unsafe { Endpoint::park_again(self.endpoint(), self.reply(index)) }.is_ok() {
                self.account.parked.insert(0, client);
            }
        }
    }

    /// No reply object names an instance that gives the service up.
    fn forget(&mut self, which: usize) {
        for index in 0..REPLIES {
            // SAFETY: live.
            let names = self.instance_of(unsafe { (*self.reply(index)).receiver() }) == Some(which);
            if names {
                // SAFETY: live; the instance waits nowhere.
                unsafe { Reply::part(self.reply(index)) };
            }
        }
    }

    fn end(&mut self, which: usize) -> Checked {
        if self.account.doing[which] == Doing::Ended {
            return Ok(());
        }
        self.park_again(which);
        self.account.doing[which] = Doing::Ended;
        if self.account.serves == which {
            // SAFETY: live.
            unsafe { (*self.endpoint()).server_died() };
            let answers = self.left_out != Some(Deed::Release);
            for index in (0..REPLIES).filter(|_| answers) {
                // SAFETY: live.
                let (request, _) = unsafe { Reply::release(self.reply(index)) };
                let Some(request) = request else { continue };
                let client = self.client_of(request);
                check(self.label(client) == ONCE, "a request that can be parked again failed")?;
                self.call_ends(client)?;
            }
        }
        // SAFETY: live.
        unsafe { Receiver::cancel(self.receiver(which)) };
        self.forget(which);
        Ok(())
    }

    fn begins_again(&mut self, which: usize) {
        self.account.doing[which] = Doing::Runs;
    }

    fn exchange(&mut self, serves: usize) {
        self.forget(OLD);
        self.forget(NEW);
        self.account.serves = serves;
    }

    fn freeze(&mut self) -> Checked {
        self.park_again(OLD);
        if self.account.carries != Carries::State {
            return self.end(OLD);
        }
        // SAFETY: live.
        unsafe { Receiver::cancel(self.receiver(OLD)) };
        self.account.doing[OLD] = Doing::Nothing;
        Ok(())
    }

    fn act(&mut self, action: Action) -> Checked {
        let has_state = self.account.carries == Carries::State;
        match action {
            Action::Gate => self.shut(),
            Action::Ungate => self.open()?,
            Action::Copy | Action::Rehearse | Action::Thaw => {}
            Action::Freeze | Action::TearDown => self.freeze()?,
            Action::SwitchToNew => {
                self.exchange(NEW);
                if has_state {
                    // SAFETY: live.
                    unsafe { (*self.endpoint()).server_died() };
                }
                self.account.doing[NEW] = Doing::Runs;
            }
            Action::SwitchToOld => self.exchange(OLD),
            Action::Resume => self.begins_again(OLD),
            Action::Restore => {
                self.end(OLD)?;
                self.account.doing[OLD] = Doing::Nothing;
            }
            Action::EndOld => self.end(OLD)?,
            Action::EndNew => self.end(NEW)?,
        }
        Ok(())
    }

    fn hears(&mut self, event: Event) -> Checked {
        match event {
            Event::OldEnded => self.end(OLD)?,
            Event::NewEnded => self.end(NEW)?,
            // It waits no more, for as long as it exports.
            Event::Copied if self.account.doing[OLD] == Doing::Waits => {
                // SAFETY: live.
                unsafe { Receiver::cancel(self.receiver(OLD)) };
                self.account.doing[OLD] = Doing::Runs;
            }
            Event::Thawed if self.phase() == Some(Phase::Restoring) => self.begins_again(OLD),
            _ => {}
        }
        if matches!(event, Event::OldEnded | Event::NewEnded | Event::Refused | Event::Abort) {
            self.account.accidents -= 1;
        }
        for action in self.account.machine.as_mut().map_or(&[][..], |machine| machine.on(event)) {
            self.act(*action)?;
        }
        // Whoever serves and has ended begins again, as after a failure.
        if self.phase().is_none() && self.account.doing[self.account.serves] == Doing::Ended {
            self.begins_again(self.account.serves);
        }
        Ok(())
    }

    fn take(&mut self, step: Step) -> Checked {
        match step {
            Step::Begin => {
                let (machine, actions) = Replacement::begin(self.account.carries);
                self.account.machine = Some(machine);
                for action in actions {
                    self.act(*action)?;
                }
            }
            Step::Call(client) => {
                self.account.begun[client] += 1;
                // SAFETY: live.
                unsafe { (*self.request(client)).letter.label = self.label(client) };
                // SAFETY: live, and idle: the client is in no call.
                match unsafe { Endpoint::call(self.endpoint(), self.request(client)) } {
                    Called::Delivered(receiver) => {
                        let which = self.instance_of(receiver).ok_or("a request came to nobody")?;
                        self.arrived(client, which)?;
                    }
                    Called::Parked => self.account.parked.push(client),
                }
            }
            Step::Receive(which) => {
                let free = (0..REPLIES).find(|index| self.held(*index).is_none()).ok_or("no reply object is free")?;
                // SAFETY: live, and the receiver waits nowhere.
                match unsafe { Endpoint::receive(self.endpoint(), self.receiver(which), self.reply(free)) } {
                    Ok(Received::Request(request)) => {
                        let client = self.client_of(request);
                        check(self.account.parked.first() == Some(&client), "another was before it")?;
                        self.arrived(client, which)?;
                    }
                    Ok(Received::Waiting) => self.account.doing[which] = Doing::Waits,
                    Err(_) => return Err("a reply object that is free was refused"),
                }
            }
            Step::Answer(which, index) => {
                check(self.account.serves == which, "an instance answered that does not serve")?;
                // SAFETY: live.
                let request = unsafe { Reply::answer(self.reply(index)) }.map_err(|_| "there was nothing to answer")?;
                self.call_ends(self.client_of(request))?;
            }
            Step::Rouse(which) => {
                // SAFETY: live.
                unsafe { Receiver::cancel(self.receiver(which)) };
                self.account.doing[which] = Doing::Runs;
            }
            Step::Hears(event) => self.hears(event)?,
        }
        self.check_books()
    }

    /// The ledger agrees with the books.
    fn check_books(&self) -> Checked {
        for client in 0..CLIENTS {
            // SAFETY: live.
            let state = unsafe { (*self.request(client)).state() };
            let is_in_call = self.account.begun[client] > self.account.ended[client];
            let is_parked = self.account.parked.contains(&client);
            check(is_in_call == (state != State::Idle), "a request is where no call is")?;
            check(is_parked == (state == State::Parked), "a request is not where it was put")?;
        }
        Ok(())
    }

    /// What can come next.
    fn steps(&self) -> Vec<Step> {
        let Account { machine, doing, serves, begun, ended, accidents, .. } = &self.account;
        let mut steps = Vec::new();
        for client in 0..CLIENTS {
            if begun[client] == ended[client] && begun[client] < CALLS[client].len() {
                steps.push(Step::Call(client));
            }
        }
        for which in [OLD, NEW] {
            let holds = |index| self.held(index).is_some_and(|(_, holder)| holder == Some(which));
            if doing[which] == Doing::Waits && (0..REPLIES).any(holds) {
                steps.push(Step::Rouse(which));
            }
            if doing[which] != Doing::Runs {
                continue;
            }
            if (0..REPLIES).any(|index| self.held(index).is_none()) && *serves == which {
                steps.push(Step::Receive(which));
            }
            steps.extend((0..REPLIES).filter(|index| holds(*index)).map(|index| Step::Answer(which, index)));
        }
        if machine.is_none() {
            steps.push(Step::Begin);
        }
        let Some(phase) = self.phase() else { return steps };
        // SAFETY: live.
        let endpoint = unsafe { &*self.endpoint() };
        // SAFETY: nobody changes anything.
        let is_drained = doing[OLD] == Doing::Waits && unsafe { endpoint.count() }.delivered == 0;
        let comes = match phase {
            Phase::Copying => Some(Event::Copied),
            Phase::Rehearsing => Some(Event::Rehearsed),
            Phase::Draining => is_drained.then_some(Event::Drained),
            Phase::Freezing => Some(Event::Frozen),
            Phase::Thawing | Phase::Restoring => Some(Event::Thawed),
            Phase::Probation => Some(Event::Proven),
            Phase::Ended(_) => None,
        };
        steps.extend(comes.map(Step::Hears));
        steps.push(Step::Hears(Event::Deadline));
        if *accidents > 0 {
            steps.extend([Event::Refused, Event::Abort].map(Step::Hears));
            for (which, event) in [(OLD, Event::OldEnded), (NEW, Event::NewEnded)] {
                if doing[which] != Doing::Ended {
                    steps.push(Step::Hears(event));
                }
            }
        }
        steps
    }

    fn check_end(&self) -> Checked {
        check(self.account.machine.is_some() && self.phase().is_none(), "the replacement is stuck")?;
        let all = CALLS.map(|calls| calls.len());
        check(self.account.begun == all && self.account.ended == all, "a call is stuck")
    }

    /// What can be seen of it, by which it is known again.
    fn seen(&self) -> Seen {
        let mut list = Vec::new();
        // SAFETY: live.
        let endpoint = unsafe { &*self.endpoint() };
        // SAFETY: nothing is changed.
        unsafe { endpoint.for_each_delivered(|reply| list.push((0..REPLIES).find(|i| self.reply(*i) == reply))) };
        let names = (0..REPLIES).map(|index| {
            // SAFETY: live.
            self.instance_of(unsafe { (*self.reply(index)).receiver() })
        });
        Seen {
            account: self.account.clone(),
            is_shut: endpoint.is_shut(),
            held: (0..REPLIES).map(|index| self.held(index)).collect(),
            receivers: names.collect(),
            list,
        }
    }
}

/// Makes the world that some steps lead to.
fn world(carries: Carries, left_out: Option<Deed>, path: &[Step]) -> Result<World, &'static str> {
    let mut world = World::new(carries, left_out);
    for step in path {
        world.take(*step)?;
    }
    Ok(world)
}

/// Looks at every world that can be reached; answers how many there are, or what goes wrong first, with the way there.
fn explore(carries: Carries, left_out: Option<Deed>) -> Result<usize, (&'static str, Vec<Step>)> {
    let mut seen = HashSet::new();
    let mut open = VecDeque::from([Vec::new()]);
    while let Some(path) = open.pop_front() {
        let at = world(carries, left_out, &path).map_err(|wrong| (wrong, path.clone()))?;
        if !seen.insert(at.seen()) {
            continue;
        }
        let steps = at.steps();
        if steps.is_empty() {
            at.check_end().map_err(|wrong| (wrong, path.clone()))?;
        }
        open.extend(steps.into_iter().map(|step| path.iter().copied().chain([step]).collect::<Vec<Step>>()));
    }
    Ok(seen.len())
}

const KINDS: [Carries; 3] = [Carries::State, Carries::Nothing(Overdue::GoesOn), Carries::Nothing(Overdue::Ends)];

#[test]
fn every_call_ends_once_whatever_happens_to_the_instances() {
    for carries in KINDS {
        let worlds = explore(carries, None).expect("sound");
        println!("{carries:?}: {worlds} worlds");
        assert!(worlds > 1_000, "{worlds} worlds are too few to mean anything");
    }
}

#[test]
fn what_the_kernel_leaves_out_is_found() {
    for deed in [Deed::ParkAgain, Deed::Open, Deed::Release] {
        let missed = KINDS.iter().all(|carries| explore(*carries, Some(deed)).is_ok());
        assert!(!missed, "nobody missed {deed:?}");
    }
}
