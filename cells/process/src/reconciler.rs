//! The reconciler: makes the kernel's state follow the graph.
//!
//! It looks at a process when an instance has ended, when a transaction has that wrote a Process object (the persistence
//! server signals, and tells which were committed), and at start, which is how processes come back after a power cut. Each
//! time it compares what the committed graph says with what there is, and does what [`decision`](crate::decision) answers,
//! until they agree.
//!
//! The persistence server never calls this one: it signals a notification, and is asked. So a process that was made in its
//! caller's transaction waits here, prepared, and is started when its object is found in the committed graph; where
//! the transaction was aborted the kernel has revoked what it was made of, and it is forgotten.

use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::vec::Vec;

use abi::interfaces::process::{self as codes, Progress, State, Usage, Why};
use abi::kernel::{Clock, Scratch};
use abi::token::{All, CallOnly, Cap, Loader, Notification};
use clients::{Changed, Outcome};
use genesis::Restart;
use object_store::{Oid, Tid};
use runtime::objects::{self, Instance as Ended};
use runtime::{Server, say};

use crate::backoff::Verdict;
use crate::catalogue::{Beginner, CatalogueError};
use crate::decision::{Action, Actual, Desired, MOST_STEPS, When, decide};
use crate::factory::{Factory, Refusal};
use crate::faults::Fault;
use crate::identity::{self, Identity};
use crate::left::Left;
use crate::replacements::end_trial;
use crate::table::{Prepared, Process, Standing};
use crate::{CHANGED, ENDED, catalogue, services};

/// The greatest priority of a process: every server stands above it.
const MOST_PRIORITY: u8 = 40;

/// Everything that there is of processes.
#[derive(Debug)]
pub struct Reconciler {
    /// What makes and unmakes them.
    pub factory: Factory,
    /// Those that run, or ran since boot.
    pub table: Vec<Process>,
    prepared: Vec<Prepared>,
    given_up: BTreeSet<Oid>,
    /// Failures that the graph does not know of yet.
    faults: Vec<genesis::Fault>,
    /// The last trial of each process that had one in this boot.
    pub trials: Vec<Tried>,
    /// The last commit whose changes were looked at; `None` where the graph cannot be watched.
    seen: Option<Tid>,
    /// The object of images.
    images: Option<Oid>,
    /// Whether it has changed since that was last asked.
    images_changed: bool,
}

/// An image that a process has tried, or tries.
#[derive(Debug)]
pub struct Tried {
    /// The process.
    pub process: Oid,
    /// Its name.
    pub name: String,
    /// How far that is, or how it ended.
    pub progress: Progress,
}

impl Reconciler {
    /// Watches the graph from now on, by signals of `changed`, and makes the kernel's state follow it.
    ///
    /// What `is_replaced` says of a process is that the kernel is about to give it another instance.
    pub fn start(
        mut factory: Factory,
        left: Left,
        changed: [Cap<Notification, CallOnly>; 2],
        is_replaced: impl Fn(Oid) -> bool,
        server: &mut Server,
    ) -> Self {
        let (mut table, prepared) = left.sort(&mut factory);
        for process in table.iter_mut().filter(|process| is_replaced(process.oid)) {
            process.standing = Standing::Replaced;
        }
        let watched = watch(&mut factory, changed)
            .inspect_err(|error| say!(factory.console, "the graph cannot be watched: {error:?}"));
        let (images, seen) = watched.ok().unzip();
        let mut reconciler = Reconciler {
            factory,
            table,
            prepared,
            faults: Vec::new(),
            trials: Vec::new(),
            given_up: BTreeSet::new(),
            seen,
            images,
            images_changed: false,
        };
        reconciler.find_ended();
        let everything = reconciler.everything();
        reconciler.converge_all(everything, server);
        reconciler
    }

    /// What there is of a process that runs, or ran since boot.
    pub fn process(&self, oid: Oid) -> Option<&Process> {
        self.table.iter().find(|process| process.oid == oid)
    }

    /// Takes a process over that waits for its transaction.
    pub fn take(&mut self, prepared: Prepared) {
        self.prepared.push(prepared);
    }

    /// Something has happened, as the bits say.
    pub fn signalled(&mut self, bits: u64, server: &mut Server) {
        let mut due = BTreeSet::new();
        if bits & (ENDED | services::ATTENDED) != 0 {
            self.find_ended();
        }
        if bits & CHANGED != 0 {
            due.extend(self.prepared.iter().map(|prepared| prepared.process.oid));
            self.collect_changes(&mut due);
        }
        // Those that ended just now, and those whose end the graph refused to be told of.
        due.extend(self.table.iter().filter(|process| is_to_be_noted(process)).map(|process| process.oid));
        self.converge_all(due, server);
        self.tell_faults();
    }

    /// Ends a process for good, whether it runs or rests between two attempts. `false` where there is nothing to end. The
    /// graph is told when the process is next looked at.
    pub fn terminate(&mut self, oid: Oid) -> bool {
        let Some(process) = self.table.iter_mut().find(|process| process.oid == oid) else { return false };
        let runs = process.state == State::Running;
        if runs && process.instance.as_ref().is_none_or(|instance| objects::stop_thread(&instance.tcb).is_err()) {
            return false;
        }
        let rested = process.rests.take().is_some();
        // Whoever asked for its end does not want it to begin again.
        process.state = if runs { State::Failed } else { process.state };
        runs || rested
    }

    /// Lets a process that serves nobody try another image. The new instance is made before the old one ends; there is nobody whose
    /// requests would wait for it, and nothing that it hands over: what a process has to keep is in the graph. Where the new one fails
    /// within the time of a trial, an instance of the image before takes its place.
    ///
    /// # Errors
    /// `BAD_IMAGE`, or why there is no new instance: then the old one goes on.
    pub fn try_image(&mut self, oid: Oid, image: Oid) -> Result<(), Refusal> {
        let name = self.process(oid).map(|process| process.name.clone()).ok_or(Refusal(codes::NO_SUCH_PROCESS, 0))?;
        if catalogue::image(&mut self.factory.graph, image)?.name != name {
            return Err(Refusal(codes::BAD_IMAGE, 0));
        }
        catalogue::note_trial(&mut self.factory.graph, &name, Some(image))?;
        if let Err(refusal) = self.renew(oid, Some(image)) {
            let _ = catalogue::note_trial(&mut self.factory.graph, &name, None);
            return Err(refusal);
        }
        let until = runtime::clock(Clock::Monotonic).saturating_add(services::TRIAL);
        if let Some(new) = self.table.iter_mut().find(|process| process.oid == oid) {
            new.standing = Standing::OnTrial { until };
        }
        self.trials.retain(|tried| tried.process != oid);
        self.trials.push(Tried { process: oid, name, progress: Progress::Trial });
        Ok(())
    }

    /// Puts an instance of an image, or of the current one, into the place of the one that a process has.
    fn renew(&mut self, oid: Oid, image: Option<Oid>) -> Result<(), Refusal> {
        let prepared = self.factory.remake(oid, image)?;
        let Some(place) = self.table.iter().position(|process| process.oid == oid) else {
            runtime::bug!("a process that was found is gone")
        };
        let old = self.table.remove(place);
        if let Some(instance) = &old.instance {
            let _ = objects::stop_thread(&instance.tcb);
        }
        self.factory.give_back(old.allocations);
        self.prepared.push(prepared);
        self.launch(oid);
        if let Some(new) = self.table.iter_mut().find(|process| process.oid == oid) {
            new.waiting = old.waiting;
        }
        Ok(())
    }

    /// Ends the trials that are over. Whoever lived through it is what its name stands for; whoever ended meanwhile, be it in order, has
    /// not taken the place of what ran.
    fn end_trials(&mut self) {
        let now = runtime::clock(Clock::Monotonic);
        let ended: Vec<(Oid, State)> = self
            .table
            .iter()
            .filter_map(|process| match (process.standing, process.state) {
                (Standing::OnTrial { until }, State::Running) if until > now => None,
                (Standing::OnTrial { .. }, state) => Some((process.oid, state)),
                _ => None,
            })
            .collect();
        for (oid, state) in ended {
            let has_failed = state != State::Running;
            let Some(process) = self.table.iter_mut().find(|process| process.oid == oid) else { continue };
            process.standing = Standing::Own;
            let name = process.name.clone();
            if has_failed {
                process.rests = None;
            }
            end_trial(&name, !has_failed, &mut self.factory);
            let progress = if has_failed { Progress::Returned(Why::NewEnded) } else { Progress::Confirmed };
            if let Some(tried) = self.trials.iter_mut().find(|tried| tried.process == oid) {
                tried.progress = progress;
            }
            let what = if has_failed { "not replaced: the new instance failed" } else { "replaced" };
            say!(self.factory.console, "{name} is {what}");
            if has_failed && let Err(Refusal(code, _)) = self.renew(oid, None) {
                say!(self.factory.console, "{name} does not go on either: code {code}");
            }
        }
    }

    /// Writes the priority of a process into the graph, which the kernel's state then follows.
    ///
    /// # Errors
    /// `BAD_PRIORITY`, `NO_SUCH_PROCESS`, the store's.
    pub fn set_priority(&mut self, oid: Oid, priority: u64, beginner: Beginner) -> Result<(), Refusal> {
        let wanted = u8::try_from(priority).ok().filter(|wanted| (1..=MOST_PRIORITY).contains(wanted));
        let wanted = wanted.ok_or(Refusal(codes::BAD_PRIORITY, MOST_PRIORITY.into()))?;
        Ok(catalogue::set_priority(&mut self.factory.graph, oid, wanted, beginner)?)
    }

    /// Puts a process that runs behind the others of its priority.
    ///
    /// # Errors
    /// `NO_SUCH_PROCESS`, the kernel's.
    pub fn yield_timeslice(&self, oid: Oid) -> Result<(), Refusal> {
        let running = self.process(oid).filter(|process| process.state == State::Running);
        let instance = running.and_then(|process| process.instance.as_ref());
        let instance = instance.ok_or(Refusal(codes::NO_SUCH_PROCESS, oid.number()))?;
        let share = objects::thread_info(&instance.tcb)?.share;
        // Whose priority changes goes to the end of its queue. None of those that share it runs before this is done: this server
        // stands above them.
        let priority = share.priority ^ 1;
        objects::set_share(&instance.tcb, &self.factory.scheduler, objects::Share { priority, ..share })?;
        Ok(objects::set_share(&instance.tcb, &self.factory.scheduler, share)?)
    }

    /// Gives a process that runs the priority that the graph asks for.
    fn follow_priority(&mut self, oid: Oid) {
        let Some(instance) = self.process(oid).and_then(|process| process.instance.as_ref()) else { return };
        let Ok(info) = objects::thread_info(&instance.tcb) else { return };
        let wanted = catalogue::priority(&mut self.factory.graph, oid).filter(|wanted| *wanted <= MOST_PRIORITY);
        let Some(priority) = wanted.filter(|wanted| *wanted != info.share.priority) else { return };
        let Some(instance) = self.process(oid).and_then(|process| process.instance.as_ref()) else { return };
        let share = objects::Share { priority, ..info.share };
        match objects::set_share(&instance.tcb, &self.factory.scheduler, share) {
            Ok(()) => say!(self.factory.console, "process #{} has priority {priority}", oid.number()),
            Err(error) => {
                say!(self.factory.console, "process #{} keeps its priority: {error:?}", oid.number());
            }
        }
    }

    /// Lets the endpoint of a process serve what its object declares, where its image serves nothing of its own. A label that is not
    /// declared any more is refused by the cell that hosts the object.
    fn follow_interface(&mut self, oid: Oid) {
        let Some(process) = self.table.iter().find(|process| process.oid == oid) else { return };
        let Some(endpoint) = process.endpoint.as_ref().filter(|_| self.factory.hosts(process)) else { return };
        let labels = self.factory.graph.object(oid).map_err(Refusal::from);
        let served = labels
            .and_then(|object| Ok(catalogue::labels(&object)?))
            .and_then(|labels| Ok(objects::serve_labels(endpoint, &labels)?));
        if let Err(Refusal(code, _)) = served {
            say!(self.factory.console, "process #{} serves what it did: code {code}", oid.number());
        }
    }

    /// When there will be something to do, in nanoseconds since boot.
    pub fn next_due(&self) -> Option<u64> {
        let rests = self.table.iter().filter_map(|process| match process.rests {
            Some(Verdict::At(then)) => Some(then),
            Some(Verdict::GiveUp) | None => None,
        });
        let trials = self.table.iter().filter_map(|process| match process.standing {
            Standing::OnTrial { until } => Some(until),
            Standing::Own | Standing::Replaced => None,
        });
        rests.chain(trials).min()
    }

    /// Makes what there is of one process follow the graph.
    pub fn converge(&mut self, oid: Oid, server: &mut Server) {
        for _ in 0..=MOST_STEPS {
            let actual = self.actual(oid);
            let Some(action) = decide(self.desired(oid, actual), actual) else {
                if actual == Actual::Running {
                    self.follow_priority(oid);
                    self.follow_interface(oid);
                }
                return;
            };
            if !self.perform(action, oid, server) {
                return;
            }
        }
    }

    /// What is in use, beside the capabilities and the heap.
    pub fn usage(&self, capabilities: u32, heap: u64) -> Usage {
        let (processes, prepared) = (self.table.len() as u32, self.prepared.len() as u32);
        Usage { processes, prepared, capabilities, heap }
    }

    fn converge_all(&mut self, due: BTreeSet<Oid>, server: &mut Server) {
        for oid in due {
            self.converge(oid, server);
        }
    }

    /// Whether images were made current, or anything else of the object of images was committed, since this was last asked.
    pub fn take_images_changed(&mut self) -> bool {
        core::mem::take(&mut self.images_changed)
    }

    /// All processes of the graph, and all that there is anything of.
    fn everything(&mut self) -> BTreeSet<Oid> {
        let listed = catalogue::listed(&mut self.factory.graph).unwrap_or_else(|error| {
            say!(self.factory.console, "the processes in the graph cannot be read: {error:?}");
            Vec::new()
        });
        let prepared = self.prepared.iter().map(|prepared| prepared.process.oid);
        let known = self.table.iter().map(|process| process.oid).chain(prepared).chain(self.given_up.iter().copied());
        listed.into_iter().chain(known).collect()
    }

    /// What was committed since the last time.
    fn collect_changes(&mut self, due: &mut BTreeSet<Oid>) {
        while let Some(seen) = self.seen {
            match self.factory.graph.changes(seen) {
                Ok(Changed::Objects(upto, changed)) => {
                    self.seen = Some(upto);
                    if changed.is_empty() {
                        return;
                    }
                    self.images_changed |= self.images.is_some_and(|images| changed.contains(&images));
                    due.extend(changed.into_iter().filter(|oid| self.images != Some(*oid)));
                }
                Ok(Changed::Anything(upto)) => {
                    self.seen = Some(upto);
                    self.images_changed = true;
                    due.extend(self.everything());
                    return;
                }
                Err(error) => {
                    say!(self.factory.console, "the changes of the graph cannot be read: {error}");
                    return;
                }
            }
        }
    }

    /// Asks the kernel what became of the instances that ran.
    fn find_ended(&mut self) {
        let now = runtime::clock(Clock::Monotonic);
        let watched =
            |process: &&mut Process| process.state == State::Running && process.standing != Standing::Replaced;
        for process in self.table.iter_mut().filter(watched) {
            process.state = state_of(process);
            if process.state == State::Failed {
                self.faults.push(fault_of(process, now, &self.factory.loader));
            }
        }
        self.end_trials();
    }

    /// Says what has failed, and has the graph keep it: where that refuses, another time.
    fn tell_faults(&mut self) {
        for fault in services::take_faults() {
            let name = fault.identity.name.clone();
            let fault = fault.resolve(|offset| services::symbol(&name, offset));
            let (cause, consequence) = (&fault.cause, &fault.consequence);
            match fault.trace.first() {
                Some(place) => say!(self.factory.console, "cell {name} failed: {cause} at {place}; it {consequence}"),
                None => say!(self.factory.console, "cell {name} failed: {cause}; it {consequence}"),
            }
            self.faults.push(fault);
        }
        // More than the graph keeps would be for nothing.
        self.faults.drain(..self.faults.len().saturating_sub(genesis::KEPT_FAULTS));
        while let Some(fault) = self.faults.first() {
            if catalogue::keep_fault(&mut self.factory.graph, fault).is_err() {
                return;
            }
            self.faults.remove(0);
        }
    }

    fn desired(&mut self, oid: Oid, actual: Actual) -> Desired {
        let graph = &mut self.factory.graph;
        match (catalogue::desired(graph, oid), actual) {
            // For this server to make, an object counts as a process when it stands in the list.
            (Desired::Running(restart), Actual::Absent) => match catalogue::listed(graph) {
                Ok(listed) if listed.contains(&oid) => Desired::Running(restart),
                Ok(_) => Desired::Stopped,
                Err(_) => Desired::Unknown,
            },
            (desired, _) => desired,
        }
    }

    fn actual(&mut self, oid: Oid) -> Actual {
        if let Some(prepared) = self.prepared.iter_mut().find(|prepared| prepared.process.oid == oid) {
            if let Some(transaction) = prepared.transaction {
                match self.factory.graph.outcome(transaction) {
                    Ok(Outcome::Open) | Err(_) => return Actual::Promised,
                    // Whether it was committed, the graph says better than anybody.
                    Ok(Outcome::Committed(_) | Outcome::Aborted | Outcome::Unknown) => prepared.transaction = None,
                }
            }
            return Actual::Prepared;
        }
        let process = self.table.iter().find(|process| process.oid == oid);
        match process {
            Some(process) if process.standing == Standing::Replaced => Actual::Replaced,
            Some(process) if process.state == State::Running => Actual::Running,
            Some(Process { rests: Some(Verdict::At(then)), .. }) => {
                let is_due = *then <= runtime::clock(Clock::Monotonic);
                Actual::Failing(if is_due { When::Now } else { When::Later })
            }
            Some(process) if is_to_be_noted(process) => Actual::Ended(process.state),
            _ if self.given_up.contains(&oid) => Actual::GivenUp,
            _ => Actual::Absent,
        }
    }

    /// Does one step. `false` where there is no sense in another one now.
    fn perform(&mut self, action: Action, oid: Oid, server: &mut Server) -> bool {
        let number = oid.number();
        match action {
            Action::Make => match self.factory.remake(oid, None) {
                Ok(prepared) => self.prepared.push(prepared),
                Err(Refusal(code, _)) => {
                    say!(self.factory.console, "process #{number} cannot run again: code {code}");
                    self.given_up.insert(oid);
                }
            },
            Action::Start => self.launch(oid),
            Action::Restart => self.begin_again(oid),
            Action::Stop => {
                if let Some(process) = self.table.iter_mut().find(|process| process.oid == oid) {
                    if let Some(instance) = &process.instance {
                        let _ = objects::stop_thread(&instance.tcb);
                    }
                    process.state = state_of(process);
                    say!(self.factory.console, "process #{number} of {} stopped, as the graph says", process.name);
                }
            }
            Action::Discard => {
                if let Some(prepared) = self.take_prepared(oid) {
                    say!(self.factory.console, "process #{number} of {} was not committed", prepared.process.name);
                    self.factory.give_back(prepared.process.allocations);
                }
                self.given_up.remove(&oid);
                self.release(oid, server);
                self.mark_noted(oid);
            }
            Action::Note(state) => return self.note(oid, state, server),
        }
        true
    }

    fn begin_again(&mut self, oid: Oid) {
        let Some(process) = self.table.iter_mut().find(|process| process.oid == oid) else { return };
        let (number, name) = (oid.number(), &process.name);
        process.rests = None;
        let (Some(instance), Some(image)) = (&process.instance, &process.image) else { return };
        let begun = objects::restart(&instance.tcb, &self.factory.loader, image, Scratch::Clear)
            .and_then(|()| objects::start_thread(&instance.tcb));
        match begun {
            Ok(()) => {
                process.state = State::Running;
                process.failures.started(runtime::clock(Clock::Monotonic));
                say!(self.factory.console, "process #{number} of {name} begins again");
            }
            Err(error) => say!(self.factory.console, "process #{number} of {name} cannot begin again: {error:?}"),
        }
    }

    fn launch(&mut self, oid: Oid) {
        let Some(Prepared { mut process, .. }) = self.take_prepared(oid) else { return };
        let started = match &process.instance {
            Some(instance) => instance.start(),
            None => Err(abi::KernelError::InvalidCapability),
        };
        let (number, name) = (oid.number(), &process.name);
        match started {
            Ok(()) => {
                say!(self.factory.console, "process #{number} of {name} started");
                process.failures.started(runtime::clock(Clock::Monotonic));
                self.table.retain(|process| process.oid != oid);
                self.table.push(process);
            }
            Err(error) => {
                say!(self.factory.console, "process #{number} of {name} does not start: {error:?}");
                self.factory.give_back(process.allocations);
                self.given_up.insert(oid);
            }
        }
    }

    /// Tells the graph what became of a process. Its memory is given back, and who waits is answered, even where the graph
    /// refuses; then it is told another time.
    fn note(&mut self, oid: Oid, state: State, server: &mut Server) -> bool {
        let noted = catalogue::note_end(&mut self.factory.graph, oid, state);
        let name = self.table.iter().find(|process| process.oid == oid).map_or("?", |process| &process.name);
        let number = oid.number();
        match noted {
            Ok(tid) => {
                let tid = tid.number();
                say!(self.factory.console, "process #{number} of {name} ended ({state:?}), noted at TID {tid}");
                self.mark_noted(oid);
            }
            Err(error) => say!(self.factory.console, "the end of process #{number} is not noted: {error:?}"),
        }
        self.release(oid, server);
        noted.is_ok()
    }

    fn take_prepared(&mut self, oid: Oid) -> Option<Prepared> {
        let place = self.prepared.iter().position(|prepared| prepared.process.oid == oid)?;
        Some(self.prepared.swap_remove(place))
    }

    fn mark_noted(&mut self, oid: Oid) {
        if let Some(process) = self.table.iter_mut().find(|process| process.oid == oid) {
            process.noted = true;
        }
    }

    /// Gives back what a process that has ended is made of, and answers who waited for its end.
    fn release(&mut self, oid: Oid, server: &mut Server) {
        let Some(process) = self.table.iter_mut().find(|process| process.oid == oid) else { return };
        let status = match process.state {
            State::Running => return,
            State::Exited(status) => status,
            State::Failed => u64::MAX,
        };
        process.instance = None;
        process.image = None;
        process.endpoint = None;
        self.factory.give_back(core::mem::take(&mut process.allocations));
        for pending in process.waiting.drain(..) {
            server.answer(pending, 0, status, &[]);
        }
    }
}

/// Has two signals sent: when a transaction ends that wrote a Process object, and when one does that wrote the object of images.
/// Answers that one, and the last commit.
fn watch(
    factory: &mut Factory,
    [of_processes, of_images]: [Cap<Notification, CallOnly>; 2],
) -> Result<(Oid, Tid), CatalogueError> {
    let prototype = catalogue::prototype(&mut factory.graph)?;
    let images = catalogue::images(&mut factory.graph)?;
    // What changes between the two is told for the first.
    let seen = factory.graph.watch(prototype, of_processes)?;
    factory.graph.watch(images, of_images)?;
    Ok((images, seen))
}

/// Whether a process has ended and the graph does not tell so yet.
fn is_to_be_noted(process: &Process) -> bool {
    process.state != State::Running && !process.noted
}

/// A process has failed: what there is to say of it, and when it begins again.
fn fault_of(process: &mut Process, now: u64, loader: &Cap<Loader, All>) -> genesis::Fault {
    let may_begin_again = process.restart == Restart::Allowed && process.image.is_some();
    let verdict = if may_begin_again { process.failures.failed(now) } else { Verdict::GiveUp };
    process.rests = matches!(verdict, Verdict::At(_)).then_some(verdict);
    let report = process.instance.as_ref().and_then(|instance| objects::fault(&instance.tcb));
    let Process { name, version, hash, oid, failures, image, .. } = process;
    let identity = Identity { name: name.clone(), version: version.clone(), hash: *hash };
    let fault = Fault::new(identity, Some(*oid), failures.count(), verdict, report);
    fault.resolve(|offset| identity::symbol(loader, image.as_ref()?, offset))
}

/// What the kernel says of a process's instance.
fn state_of(process: &Process) -> State {
    let Some(instance) = &process.instance else { return process.state };
    match objects::instance_info(&instance.vspace) {
        Ok((Ended::Running, ..)) => State::Running,
        Ok((Ended::Exited(status), ..)) => State::Exited(status),
        Ok((Ended::Failed, ..)) | Err(_) => State::Failed,
    }
}
