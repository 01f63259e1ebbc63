//! The replacement of what serves by an instance of another image, live.
//!
//! This server prepares: it reads the image, sees that it serves what is served and goes on with the state that there is, makes an
//! instance of it beside the one that serves, and notes in the graph that the image is on trial. Then the kernel does the rest, and
//! signals when it is over (see the kernel's `replacer`). What remains is to make the image the current one of its name, or to strike
//! the trial out, and to give back what is of no use any more. Services and processes that serve are replaced in this way; a
//! process that serves nobody is tried by the [`reconciler`](crate::reconciler) alone.
//!
//! It may be another instance of this server that does that: what there is of a replacement is in the kernel's objects, each
//! with a note of whose it is, and in the graph. So this server can be replaced itself like any other, and fail at any time.

use alloc::string::String;
use alloc::vec::Vec;

use abi::KernelError;
use abi::interfaces::process as codes;
use abi::interfaces::process::{Progress, ReplacementSummary, Strike, Why};
use abi::kernel::{Overdue, ReplacementPhase, ReplacementReason};
use abi::token::{All, Cap, Replacement};
use clients::Allocation;
use object_store::Oid;
use runtime::objects::{self, Replaced};
use runtime::{Pending, Server, say};
use spawner::{Instance, Memory};

use crate::candidate::{Candidate, Journey, adopt_by_process, allocations_of, candidate, may_replace};
use crate::catalogue;
use crate::factory::{Factory, Refusal};
use crate::followed::Followed;
use crate::left::OfReplacement;
use crate::reconciler::Reconciler;
use crate::schemas::NoCommonSchema;
use crate::services::{self, How, Obstacle};
use crate::subject::{Owner, Subject, renote};
use crate::table::{Process, Standing};

/// What this server makes for the replacements of one subject.
#[derive(Debug)]
struct Of {
    subject: Subject,
    /// The last replacement's record, and what it is made of.
    record: Option<(Cap<Replacement, All>, Vec<Allocation>)>,
    /// What the present instance of a service is made of, where that was made here.
    allocations: Vec<Allocation>,
    candidate: Option<Candidate>,
}

/// All replacements of this boot.
#[derive(Debug, Default)]
pub struct Replacements {
    of: Vec<Of>,
    /// What a test has happen to the next one.
    pub strike: Option<Strike>,
    /// Who waits for the end of one.
    waiting: Vec<(Subject, Pending)>,
    /// The current image of each name that runs, as it was when that was last followed.
    followed: Followed,
}

impl From<Obstacle> for Refusal {
    fn from(obstacle: Obstacle) -> Self {
        match obstacle {
            Obstacle::Busy => Refusal(codes::BUSY, 0),
            Obstacle::Label(label) => Refusal(codes::OTHER_INTERFACE, label),
            Obstacle::State => Refusal(codes::WOULD_LOSE_STATE, 0),
            Obstacle::Kernel(error) => error.into(),
        }
    }
}

impl From<NoCommonSchema> for Refusal {
    fn from(_: NoCommonSchema) -> Self {
        Refusal(codes::OTHER_STATE, 0)
    }
}

impl Replacements {
    /// Goes on with what an earlier instance of this server has begun.
    pub fn go_on(left: Vec<OfReplacement>, factory: &mut Factory) -> Replacements {
        let mut replacements = Replacements::default();
        for part in left {
            let OfReplacement { owner, record, instance, allocations } = part;
            match (owner, instance) {
                (Owner::Record(subject), _) => {
                    replacements.of(subject).record = record.map(|record| (record, allocations));
                }
                (Owner::Instance(service), _) => replacements.of(Subject::Service(service)).allocations = allocations,
                (Owner::Candidate(subject), Some((instance, image))) => {
                    replacements.of(subject).candidate = Some(Candidate { instance, image, allocations });
                }
                // It was in the making, or on its way out.
                _ => factory.give_back(allocations),
            }
        }
        for of in &replacements.of {
            if let Subject::Service(service) = of.subject
                && of.is_open()
            {
                services::is_replaced(service);
            }
        }
        replacements
    }

    /// Whether the kernel replaces a process.
    pub fn is_open(&self, process: Oid) -> bool {
        self.of.iter().any(|of| of.subject == Subject::Process(process) && of.is_open())
    }

    fn of(&mut self, subject: Subject) -> &mut Of {
        let place = self.of.iter().position(|of| of.subject == subject).unwrap_or_else(|| {
            self.of.push(Of { subject, record: None, allocations: Vec::new(), candidate: None });
            self.of.len() - 1
        });
        match self.of.get_mut(place) {
            Some(of) => of,
            None => runtime::bug!("what was found or put there is gone"),
        }
    }

    /// Replaces what runs under a name by an instance of an image; without one, of the image of its name that came last. `overdue` says
    /// what becomes of an instance that does not answer in time what it holds.
    ///
    /// # Errors
    /// A code of the interface; everything is as it was.
    pub fn begin(
        &mut self,
        name: &str,
        image: Option<Oid>,
        overdue: Overdue,
        reconciler: &mut Reconciler,
    ) -> Result<(), Refusal> {
        let subject = Subject::named(name, &reconciler.table).ok_or(Refusal(codes::NO_SUCH_PROCESS, 0))?;
        self.check_idle(subject, reconciler)?;
        if let Subject::Process(oid) = subject
            && reconciler.process(oid).is_some_and(|process| reconciler.factory.hosts(process))
        {
            return Err(Refusal(codes::BAD_IMAGE, 0));
        }
        let versions = catalogue::versions(&mut reconciler.factory.graph, name)?;
        let image = image.or(versions.newest).or(versions.current).ok_or(Refusal(codes::BAD_IMAGE, 0))?;
        if let Subject::Process(oid) = subject
            && reconciler.process(oid).is_some_and(|process| process.endpoint.is_none())
        {
            return reconciler.try_image(oid, image);
        }
        let Reconciler { factory, table, .. } = reconciler;
        let process = match subject {
            Subject::Process(oid) => table.iter_mut().find(|process| process.oid == oid),
            Subject::Service(_) => None,
        };
        let (candidate, journey) = candidate(subject, image, name, process.as_deref(), factory)?;
        let begun = self.begin_with(subject, (name, image, overdue), (&candidate, journey), process, factory);
        match begun {
            Ok(()) => {
                say!(factory.console, "{name} is replaced by an instance of image #{}", image.number());
                self.of(subject).candidate = Some(candidate);
                Ok(())
            }
            Err(refusal) => {
                factory.give_back(candidate.allocations);
                let _ = catalogue::note_trial(&mut factory.graph, name, None);
                Err(refusal)
            }
        }
    }

    fn begin_with(
        &mut self,
        subject: Subject,
        (name, image, overdue): (&str, Oid, Overdue),
        (candidate, journey): (&Candidate, Option<Journey>),
        process: Option<&mut Process>,
        factory: &mut Factory,
    ) -> Result<(), Refusal> {
        let (share, argument) = match &process {
            Some(process) => (may_replace(process, &candidate.image, factory)?, process.oid.number()),
            None => match subject {
                Subject::Service(service) => (services::may_replace(service, &candidate.image)?, 0),
                Subject::Process(_) => return Err(Refusal(codes::NO_SUCH_PROCESS, 0)),
            },
        };
        candidate.instance.configure(&factory.scheduler, share, argument)?;
        if self.of(subject).record.is_none() {
            factory.memory.note_owner(Owner::Record(subject).noted());
            let record = factory.memory.make::<Replacement>(0);
            factory.memory.note_owner(clients::Owner::default());
            // It stays for as long as the subject does.
            let allocations = factory.memory.take_allocations();
            self.of(subject).record = Some((record?, allocations));
        }
        catalogue::note_trial(&mut factory.graph, name, Some(image))?;
        let how = How { overdue, strike: self.strike.take() };
        let Some((record, _)) = &self.of(subject).record else { runtime::bug!("the record that was made is gone") };
        let state = journey.as_ref().map(|journey| (&journey.frame, journey.schema));
        let new = (&candidate.instance.tcb, &candidate.image);
        match (process, subject) {
            (Some(process), _) => {
                let (Some(instance), Some(image)) = (&process.instance, &process.image) else {
                    return Err(Refusal(codes::BUSY, 0));
                };
                services::begin(record, (&instance.tcb, image), new, how, state)?;
                process.standing = Standing::Replaced;
                Ok(())
            }
            (None, Subject::Service(service)) => Ok(services::replace(service, record, new, how, state)?),
            (None, Subject::Process(_)) => Err(Refusal(codes::NO_SUCH_PROCESS, 0)),
        }
    }

    /// The image that was current before the one that is.
    ///
    /// # Errors
    /// `NO_PREVIOUS`, `BUSY` while it is being replaced, or the store's.
    pub fn previous(&self, name: &str, reconciler: &mut Reconciler) -> Result<Oid, Refusal> {
        let subject = Subject::named(name, &reconciler.table).ok_or(Refusal(codes::NO_SUCH_PROCESS, 0))?;
        self.check_idle(subject, reconciler)?;
        let versions = catalogue::versions(&mut reconciler.factory.graph, name)?;
        versions.current.ok_or(Refusal(codes::NO_SUCH_PROCESS, 0))?;
        versions.previous.ok_or(Refusal(codes::NO_PREVIOUS, 0))
    }

    /// Finishes what has come to an end, and answers who waited for it.
    pub fn settle(&mut self, reconciler: &mut Reconciler, server: &mut Server) {
        for of in &mut self.of {
            if let Some(phase) = of.phase().filter(|phase| of.candidate.is_some() && !is_open(*phase)) {
                of.settle(phase, reconciler);
            }
        }
        self.forget_ended(reconciler);
        let waiting = core::mem::take(&mut self.waiting);
        for (subject, pending) in waiting {
            match self.is_under_way(subject, reconciler) {
                Ok(()) => self.waiting.push((subject, pending)),
                Err(summary) => server.answer(pending, 0, 0, &summary.unwrap_or_default()),
            }
        }
    }

    /// Gives back what there is for replacements of processes that have ended.
    fn forget_ended(&mut self, reconciler: &Reconciler) {
        let has_ended = |of: &Of| match of.subject {
            Subject::Process(oid) => {
                of.candidate.is_none() && reconciler.process(oid).is_none_or(|process| process.instance.is_none())
            }
            Subject::Service(_) => false,
        };
        let (ended, kept): (Vec<Of>, Vec<Of>) = core::mem::take(&mut self.of).into_iter().partition(has_ended);
        self.of = kept;
        for (_, allocations) in ended.into_iter().filter_map(|of| of.record) {
            reconciler.factory.give_back(allocations);
        }
    }

    /// Makes what runs be what the graph says: services that were started from the boot archive, before there was a graph, may be of
    /// another image than the current one, and so may be what runs after a commit that made another image current, such as the undo of
    /// an upgrade. A trial that nobody has brought to an end is over.
    pub fn follow_graph(&mut self, reconciler: &mut Reconciler) {
        let names = catalogue::on_trial(&mut reconciler.factory.graph).unwrap_or_default();
        for name in names {
            let subject = Subject::named(&name, &reconciler.table);
            if subject.is_some_and(|subject| self.is_under_way(subject, reconciler).is_ok()) {
                continue;
            }
            say!(reconciler.factory.console, "the trial of {name} is not under way: the image before it stays");
            if let Err(error) = catalogue::note_trial(&mut reconciler.factory.graph, &name, None) {
                say!(reconciler.factory.console, "the graph is not told that: {error:?}");
            }
        }
        let services = services::identities().into_iter().map(|identity| (identity.name, identity.hash));
        // The name of an object that is hosted is its own, and no image's.
        let factory = &reconciler.factory;
        let processes = reconciler.table.iter().filter(|process| process.is_to_run() && !factory.hosts(process));
        let processes = processes.map(|process| (process.name.clone(), process.hash));
        let running: Vec<(String, u64)> = services.chain(processes).collect();
        for (name, hash) in running {
            if let Err(Refusal(code, _)) = self.follow(&name, hash, reconciler) {
                say!(reconciler.factory.console, "{name} is not of the image that is current: code {code}");
            }
        }
    }

    /// An image that was followed once is not followed again, until another one is current: where it failed, it fails again.
    fn follow(&mut self, name: &str, hash: u64, reconciler: &mut Reconciler) -> Result<(), Refusal> {
        let subject = Subject::named(name, &reconciler.table);
        if subject.is_some_and(|subject| self.is_under_way(subject, reconciler).is_ok()) {
            return Ok(());
        }
        let graph = &mut reconciler.factory.graph;
        let Some(current) = catalogue::versions(graph, name)?.current else { return Ok(()) };
        if !self.followed.is_news(name, current) {
            return Ok(());
        }
        let image = catalogue::image(graph, current)?;
        let wanted = image.hash.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte));
        match wanted == hash {
            true => Ok(()),
            false => self.begin(name, Some(current), Overdue::GoesOn, reconciler),
        }
    }

    /// Stops the instance that serves on trial, which ends that. `false` where none does.
    pub fn kill(&self, name: &str) -> bool {
        let Some(service) = services::number_of(name) else { return false };
        self.kill_trial(Subject::Service(service))
    }

    /// The same for a subject.
    pub fn kill_trial(&self, subject: Subject) -> bool {
        let on_trial = |of: &&Of| of.subject == subject && of.phase() == Some(ReplacementPhase::Probation);
        let candidate = self.of.iter().find(on_trial).and_then(|of| of.candidate.as_ref());
        candidate.is_some_and(|candidate| objects::stop_thread(&candidate.instance.tcb).is_ok())
    }

    /// Whether a replacement is under way. `Err` where none is: the encoded summary of the last one, if there was one.
    ///
    /// # Errors
    /// As said.
    pub fn is_under_way(&self, subject: Subject, reconciler: &Reconciler) -> Result<(), Option<Vec<u8>>> {
        let is_tried = match subject {
            Subject::Process(oid) => {
                reconciler.process(oid).is_some_and(|process| matches!(process.standing, Standing::OnTrial { .. }))
            }
            Subject::Service(_) => false,
        };
        let is_under_way = self.of.iter().any(|of| of.subject == subject && of.candidate.is_some());
        if is_under_way || is_tried { Ok(()) } else { Err(self.summary(subject, reconciler)) }
    }

    fn check_idle(&self, subject: Subject, reconciler: &Reconciler) -> Result<(), Refusal> {
        match self.is_under_way(subject, reconciler) {
            Ok(()) => Err(Refusal(codes::BUSY, 0)),
            Err(_) => Ok(()),
        }
    }

    /// Somebody waits for the end of a replacement.
    pub fn wait(&mut self, subject: Subject, pending: Pending) {
        self.waiting.push((subject, pending));
    }

    fn summary(&self, subject: Subject, reconciler: &Reconciler) -> Option<Vec<u8>> {
        let all = self.all(reconciler);
        let (_, name, told) = all.iter().find(|(of, ..)| *of == subject)?;
        postcard::to_allocvec(&ReplacementSummary { name, ..told.clone() }).ok()
    }

    /// The last replacement of everything that had one, encoded; answers how many.
    pub fn list(&self, reconciler: &Reconciler) -> (u64, Vec<u8>) {
        let all = self.all(reconciler);
        let list: Vec<ReplacementSummary<'_>> =
            all.iter().map(|(_, name, told)| ReplacementSummary { name, ..told.clone() }).collect();
        match postcard::to_allocvec(&list) {
            Ok(bytes) => (list.len() as u64, bytes),
            Err(error) => runtime::bug!("a list of summaries cannot be encoded: {error:?}"),
        }
    }

    fn all(&self, reconciler: &Reconciler) -> Vec<(Subject, String, ReplacementSummary<'static>)> {
        let of_kernel = self.of.iter().filter_map(|of| {
            let replaced = objects::replacement_info(&of.record.as_ref()?.0).ok()?;
            let was_begun = replaced.phase != ReplacementPhase::Idle;
            let name = match of.subject {
                Subject::Service(service) => services::name_of(service),
                Subject::Process(oid) => reconciler.process(oid).map(|process| process.name.clone()),
            };
            Some((of.subject, name.filter(|_| was_begun)?, summary(&replaced)))
        });
        let tried = reconciler.trials.iter().map(|trial| {
            let told = ReplacementSummary { name: "", progress: trial.progress, pause: 0, parked: 0, delivered: 0 };
            (Subject::Process(trial.process), trial.name.clone(), told)
        });
        of_kernel.chain(tried).collect()
    }
}

impl Of {
    fn phase(&self) -> Option<ReplacementPhase> {
        Some(objects::replacement_info(&self.record.as_ref()?.0).ok()?.phase)
    }

    fn is_open(&self) -> bool {
        self.candidate.is_some() && self.phase().is_some_and(is_open)
    }

    /// The kernel is done: what has won stays, and the graph is told.
    fn settle(&mut self, phase: ReplacementPhase, reconciler: &mut Reconciler) {
        let Reconciler { factory, table, .. } = reconciler;
        let mut process = match self.subject {
            Subject::Process(oid) => table.iter_mut().find(|process| process.oid == oid),
            Subject::Service(_) => None,
        };
        let name = match (self.subject, &process) {
            (Subject::Service(service), _) => services::name_of(service),
            (Subject::Process(_), process) => process.as_ref().map(|process| process.name.clone()),
        };
        // Whoever serves now may have ended since. It is needed first: the calls below may need it.
        if let Subject::Service(service) = self.subject {
            match &self.candidate {
                Some(Candidate { instance, image, .. }) if phase == ReplacementPhase::Confirmed => {
                    services::revive(service, &instance.vspace, &instance.tcb, image);
                }
                _ => {
                    services::is_settled(service);
                    services::bring_back();
                }
            }
        }
        let Some(candidate) = self.candidate.take() else { return };
        let Some(name) = name else { return factory.give_back(candidate.allocations) };
        let is_confirmed = phase == ReplacementPhase::Confirmed;
        end_trial(&name, is_confirmed, factory);
        let settled = match (is_confirmed, &mut process, self.subject) {
            (true, Some(process), _) => adopt_by_process(process, candidate, factory),
            (true, None, Subject::Service(service)) => self.adopt(service, candidate, factory),
            (_, process, _) => {
                factory.give_back(candidate.allocations);
                if let Some(process) = process {
                    process.standing = Standing::Own;
                }
                Ok(())
            }
        };
        if let Err(error) = settled {
            runtime::bug!("what {name} is made of cannot be put into its place: {error:?}");
        }
        match is_confirmed {
            true => say!(factory.console, "{name} is replaced"),
            false => say!(factory.console, "{name} is not replaced: {phase:?}"),
        }
    }

    /// The candidate is the service's instance.
    fn adopt(&mut self, service: usize, candidate: Candidate, factory: &mut Factory) -> Result<(), KernelError> {
        let Candidate { instance, image, allocations } = candidate;
        let own = factory.memory.cnode();
        // Its first CNode is that of the instance before it now, and a state has arrived: that is gone with what follows.
        let kept = allocations_of(&instance, &image, own);
        let Instance { vspace, tcb, frames, .. } = instance;
        services::settle(service, (vspace, tcb, image), own)?;
        let owner = Owner::Instance(service).noted();
        services::note_parts(service, owner, own)?;
        for frame in &frames {
            renote(frame, owner, own)?;
        }
        let (kept, spare) = allocations.into_iter().partition(|allocation| kept.contains(allocation));
        let retired = core::mem::replace(&mut self.allocations, kept);
        factory.give_back(retired);
        factory.give_back(spare);
        Ok(())
    }
}

/// The graph is told how a trial ended.
pub fn end_trial(name: &str, is_confirmed: bool, factory: &mut Factory) {
    let trial = catalogue::versions(&mut factory.graph, name).map(|versions| versions.trial);
    let told = match trial {
        Ok(Some(image)) if is_confirmed => catalogue::confirm(&mut factory.graph, name, image).map(drop),
        Ok(Some(_)) => catalogue::note_trial(&mut factory.graph, name, None).map(drop),
        Ok(None) => Ok(()),
        Err(error) => Err(error),
    };
    if let Err(error) = told {
        // It stays on trial in the graph, so that the image before it runs after a reboot.
        say!(factory.console, "the graph is not told of the replacement of {name}: {error:?}");
    }
}

const fn is_open(phase: ReplacementPhase) -> bool {
    use ReplacementPhase::{Copying, Draining, Freezing, Probation, Rehearsing, Restoring, Thawing};
    matches!(phase, Copying | Rehearsing | Draining | Freezing | Thawing | Probation | Restoring)
}

fn summary(replaced: &Replaced) -> ReplacementSummary<'static> {
    let progress = match replaced.phase {
        ReplacementPhase::Copying | ReplacementPhase::Rehearsing => Progress::Rehearsing,
        ReplacementPhase::Idle | ReplacementPhase::Draining => Progress::Draining,
        ReplacementPhase::Freezing | ReplacementPhase::Thawing | ReplacementPhase::Restoring => Progress::Moving,
        ReplacementPhase::Probation => Progress::Trial,
        ReplacementPhase::Confirmed => Progress::Confirmed,
        ReplacementPhase::Lost => Progress::Lost,
        ReplacementPhase::Returned => Progress::Returned(match replaced.reason {
            ReplacementReason::None | ReplacementReason::Aborted => Why::Aborted,
            ReplacementReason::TimedOut => Why::TimedOut,
            ReplacementReason::Refused => Why::Refused,
            ReplacementReason::OldEnded => Why::OldEnded,
            ReplacementReason::NewEnded => Why::NewEnded,
        }),
    };
    let Replaced { pause, parked, delivered, .. } = *replaced;
    ReplacementSummary { name: "", progress, pause, parked, delivered }
}
