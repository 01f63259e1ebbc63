//! The replacement of a service's instance by one of another image, live.
//!
//! This server prepares: it reads the image, sees that it serves what the service serves, makes an instance of it beside the one
//! that serves, and notes in the graph that the image is on trial. Then the kernel does the rest, and signals when it is over
//! (see the kernel's `replacer`). What remains is to make the image the current one of its name, or to strike the trial out, and
//! to give back what is of no use any more.
//!
//! It may be another instance of this server that does that: what there is of a replacement is in the kernel's objects, each
//! with a note of whose it is, and in the graph. So this server can be replaced itself like any other, and fail at any time.

use alloc::string::String;
use alloc::vec::Vec;

use abi::interfaces::process as codes;
use abi::interfaces::process::{Progress, ReplacementSummary, Strike, Why};
use abi::kernel::{Overdue, ReplacementPhase, ReplacementReason};
use abi::token::{All, Cap, Image, Replacement};
use clients::Allocation;
use object_store::Oid;
use runtime::objects::{self, Replaced};
use runtime::{Pending, Server, say};
use spawner::{Instance, Memory};

use crate::catalogue;
use crate::factory::{Factory, Refusal};
use crate::identity::Identity;
use crate::left::{OfService, Owner};
use crate::services::{self, How, Obstacle};

/// What this server makes for one service.
#[derive(Debug)]
struct Of {
    service: usize,
    /// The last replacement's record.
    record: Option<Cap<Replacement, All>>,
    /// What the present instance is made of, where that was made here.
    allocations: Vec<Allocation>,
    candidate: Option<Candidate>,
}

/// An instance that is to take a place.
#[derive(Debug)]
struct Candidate {
    instance: Instance,
    image: Cap<Image, All>,
    allocations: Vec<Allocation>,
}

/// All replacements of this boot.
#[derive(Debug, Default)]
pub struct Replacements {
    of: Vec<Of>,
    /// What a test has happen to the next one.
    pub strike: Option<Strike>,
    /// Who waits for the end of one.
    waiting: Vec<(usize, Pending)>,
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

impl Replacements {
    /// Goes on with what an earlier instance of this server has begun.
    pub fn go_on(left: Vec<OfService>, factory: &mut Factory) -> Replacements {
        let mut replacements = Replacements::default();
        for part in left {
            let OfService { owner, record, instance, allocations } = part;
            match owner {
                Owner::Record(service) => replacements.of(service).record = record,
                Owner::Instance(service) => replacements.of(service).allocations = allocations,
                Owner::Candidate(service) => match instance {
                    Some((instance, image)) => {
                        replacements.of(service).candidate = Some(Candidate { instance, image, allocations });
                    }
                    // It was in the making, or on its way out.
                    None => factory.give_back(allocations),
                },
            }
        }
        for of in &replacements.of {
            if of.candidate.is_some() && of.phase().is_some_and(is_open) {
                services::is_replaced(of.service);
            }
        }
        replacements
    }

    fn of(&mut self, service: usize) -> &mut Of {
        let place = self.of.iter().position(|of| of.service == service).unwrap_or_else(|| {
            self.of.push(Of { service, record: None, allocations: Vec::new(), candidate: None });
            self.of.len() - 1
        });
        match self.of.get_mut(place) {
            Some(of) => of,
            None => runtime::bug!("what was found or put there is gone"),
        }
    }

    /// Replaces a service's instance by one of an image; without one, of the image of its name that came last. `overdue` says what
    /// becomes of an instance that does not answer in time what it holds.
    ///
    /// # Errors
    /// A code of the interface; everything is as it was.
    pub fn begin(
        &mut self,
        name: &str,
        image: Option<Oid>,
        overdue: Overdue,
        factory: &mut Factory,
    ) -> Result<(), Refusal> {
        let service = services::number_of(name).ok_or(Refusal(codes::NO_SUCH_PROCESS, 0))?;
        let versions = catalogue::versions(&mut factory.graph, name)?;
        let image = image.or(versions.newest).or(versions.current).ok_or(Refusal(codes::BAD_IMAGE, 0))?;
        let candidate = candidate(service, image, name, factory)?;
        let begun = self.begin_with(service, name, (image, overdue), &candidate, factory);
        match begun {
            Ok(()) => {
                say!(factory.console, "{name} is replaced by an instance of image #{}", image.number());
                self.of(service).candidate = Some(candidate);
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
        service: usize,
        name: &str,
        (image, overdue): (Oid, Overdue),
        candidate: &Candidate,
        factory: &mut Factory,
    ) -> Result<(), Refusal> {
        let share = services::may_replace(service, &candidate.image)?;
        candidate.instance.configure(&factory.scheduler, share, 0)?;
        if self.of(service).record.is_none() {
            factory.memory.note_owner(Owner::Record(service).number());
            let record = factory.memory.make::<Replacement>(0);
            factory.memory.note_owner(0);
            // It stays for as long as the service does.
            let _ = factory.memory.take_allocations();
            self.of(service).record = Some(record?);
        }
        catalogue::note_trial(&mut factory.graph, name, Some(image))?;
        let how = How { overdue, strike: self.strike.take() };
        let Some(record) = &self.of(service).record else { runtime::bug!("the record that was made is gone") };
        Ok(services::replace(service, record, how, (&candidate.instance.tcb, &candidate.image))?)
    }

    /// The image that was current before the one that is.
    ///
    /// # Errors
    /// `NO_PREVIOUS`, or the store's.
    pub fn previous(name: &str, factory: &mut Factory) -> Result<Oid, Refusal> {
        let versions = catalogue::versions(&mut factory.graph, name)?;
        versions.current.ok_or(Refusal(codes::NO_SUCH_PROCESS, 0))?;
        versions.previous.ok_or(Refusal(codes::NO_PREVIOUS, 0))
    }

    /// Finishes what the kernel has brought to an end, and answers who waited for it.
    pub fn settle(&mut self, factory: &mut Factory, server: &mut Server) {
        for place in 0..self.of.len() {
            let Some(of) = self.of.get_mut(place) else { continue };
            let Some(phase) = of.phase().filter(|phase| !is_open(*phase)) else { continue };
            if of.candidate.is_none() {
                continue;
            }
            of.settle(phase, factory);
            let service = of.service;
            let (ended, waiting) =
                core::mem::take(&mut self.waiting).into_iter().partition(|(waits_for, _)| *waits_for == service);
            self.waiting = waiting;
            let ended: Vec<(usize, Pending)> = ended;
            for (_, pending) in ended {
                server.answer(pending, 0, 0, &self.summary(service).unwrap_or_default());
            }
        }
    }

    /// Makes the services be what the graph says: those that were started from the boot archive, before there was a graph, may be of
    /// another image than the current one. A trial that nobody has brought to an end is over.
    pub fn follow_graph(&mut self, factory: &mut Factory) {
        for (service, Identity { name, hash, .. }) in services::identities().into_iter().enumerate() {
            if self.is_under_way(service).is_ok() {
                continue;
            }
            if let Err(Refusal(code, _)) = self.follow(&name, hash, factory) {
                say!(factory.console, "{name} is not of the image that is current: code {code}");
            }
        }
    }

    fn follow(&mut self, name: &str, hash: u64, factory: &mut Factory) -> Result<(), Refusal> {
        let versions = catalogue::versions(&mut factory.graph, name)?;
        if versions.trial.is_some() {
            say!(factory.console, "the trial of {name} was cut off: the image before it stays");
            catalogue::note_trial(&mut factory.graph, name, None)?;
        }
        let Some(current) = versions.current else { return Ok(()) };
        let image = catalogue::image(&mut factory.graph, current)?;
        let wanted = image.hash.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte));
        if wanted == hash { Ok(()) } else { self.begin(name, Some(current), Overdue::GoesOn, factory) }
    }

    /// Stops the instance that serves on trial, which ends that. `false` where none does.
    pub fn kill(&self, name: &str) -> bool {
        let Some(service) = services::number_of(name) else { return false };
        let on_trial = |of: &&Of| of.service == service && of.phase() == Some(ReplacementPhase::Probation);
        let candidate = self.of.iter().find(on_trial).and_then(|of| of.candidate.as_ref());
        candidate.is_some_and(|candidate| objects::stop_thread(&candidate.instance.tcb).is_ok())
    }

    /// Waits for the end of a replacement. `Err` where none is under way: the encoded summary of the last one, if there was one.
    ///
    /// # Errors
    /// As said.
    pub fn is_under_way(&self, service: usize) -> Result<(), Option<Vec<u8>>> {
        let is_under_way = self.of.iter().any(|of| of.service == service && of.candidate.is_some());
        if is_under_way { Ok(()) } else { Err(self.summary(service)) }
    }

    /// Somebody waits for the end of a replacement.
    pub fn wait(&mut self, service: usize, pending: Pending) {
        self.waiting.push((service, pending));
    }

    fn summary(&self, service: usize) -> Option<Vec<u8>> {
        let (name, replaced) =
            self.all().find(|(of, ..)| *of == service).map(|(_, name, replaced)| (name, replaced))?;
        postcard::to_allocvec(&summary(&name, &replaced)).ok()
    }

    /// The last replacement of each service, encoded; answers how many.
    pub fn list(&self) -> (u64, Vec<u8>) {
        let all: Vec<(usize, String, Replaced)> = self.all().collect();
        let list: Vec<ReplacementSummary<'_>> = all.iter().map(|(_, name, replaced)| summary(name, replaced)).collect();
        match postcard::to_allocvec(&list) {
            Ok(bytes) => (list.len() as u64, bytes),
            Err(error) => runtime::bug!("a list of summaries cannot be encoded: {error:?}"),
        }
    }

    fn all(&self) -> impl Iterator<Item = (usize, String, Replaced)> {
        self.of.iter().filter_map(|of| {
            let replaced = objects::replacement_info(of.record.as_ref()?).ok()?;
            let was_begun = replaced.phase != ReplacementPhase::Idle;
            Some((of.service, services::name_of(of.service).filter(|_| was_begun)?, replaced))
        })
    }
}

impl Of {
    fn phase(&self) -> Option<ReplacementPhase> {
        Some(objects::replacement_info(self.record.as_ref()?).ok()?.phase)
    }

    /// The kernel is done: what has won stays, and the graph is told.
    fn settle(&mut self, phase: ReplacementPhase, factory: &mut Factory) {
        let Some(name) = services::name_of(self.service) else { return };
        // Whoever serves now may have ended since. It is needed first: the calls below may need it.
        match &self.candidate {
            Some(Candidate { instance, image, .. }) if phase == ReplacementPhase::Confirmed => {
                services::revive(self.service, &instance.vspace, &instance.tcb, image);
            }
            _ => {
                services::is_settled(self.service);
                services::bring_back();
            }
        }
        let trial = catalogue::versions(&mut factory.graph, &name).map(|versions| versions.trial);
        let is_confirmed = phase == ReplacementPhase::Confirmed;
        let told = match trial {
            Ok(Some(image)) if is_confirmed => catalogue::confirm(&mut factory.graph, &name, image).map(drop),
            Ok(Some(_)) => catalogue::note_trial(&mut factory.graph, &name, None).map(drop),
            Ok(None) => Ok(()),
            Err(error) => Err(error),
        };
        if let Err(error) = told {
            // It stays on trial in the graph, so that the image before it runs after a reboot.
            say!(factory.console, "the graph is not told of the replacement of {name}: {error:?}");
        }
        let Some(candidate) = self.candidate.take() else { return };
        let settled = match is_confirmed {
            true => self.adopt(candidate, factory),
            false => {
                factory.give_back(candidate.allocations);
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
    fn adopt(&mut self, candidate: Candidate, factory: &mut Factory) -> Result<(), abi::KernelError> {
        let Candidate { instance, image, allocations } = candidate;
        let Instance { cnode, vspace, tcb, frames } = instance;
        let own = factory.memory.cnode();
        // Its first CNode is that of the instance before it now, which is gone with what follows.
        let spare = objects::inspect(own, cnode.raw().slot as u32).map(|info| Allocation(info.note[1]));
        services::settle(self.service, (vspace, tcb, image), own)?;
        let owner = Owner::Instance(self.service).number();
        services::note_parts(self.service, owner, own)?;
        for frame in &frames {
            services::renote(frame, owner, own)?;
        }
        let retired = core::mem::take(&mut self.allocations);
        self.allocations = allocations.into_iter().filter(|allocation| Some(*allocation) != spare).collect();
        factory.give_back(retired);
        factory.give_back(spare.into_iter().collect());
        Ok(())
    }
}

/// An instance of an image, beside the one that serves.
fn candidate(service: usize, image: Oid, name: &str, factory: &mut Factory) -> Result<Candidate, Refusal> {
    let object = catalogue::image(&mut factory.graph, image)?;
    if object.name != name {
        return Err(Refusal(codes::BAD_IMAGE, 0));
    }
    factory.memory.note_owner(Owner::Candidate(service).number());
    let made = make(&object.bytes, factory);
    factory.memory.note_owner(0);
    let allocations = factory.memory.take_allocations();
    match made {
        Ok((instance, image)) => Ok(Candidate { instance, image, allocations }),
        Err(refusal) => {
            factory.give_back(allocations);
            Err(refusal)
        }
    }
}

fn make(bytes: &[u8], factory: &mut Factory) -> Result<(Instance, Cap<Image, All>), Refusal> {
    let image = spawner::image(&mut factory.memory, bytes)?;
    if objects::image_needs(&factory.loader, &image)?.schema != 0 {
        return Err(Refusal(codes::HAS_STATE, 0));
    }
    Ok((Instance::new(&mut factory.memory, &factory.loader, &image)?, image))
}

const fn is_open(phase: ReplacementPhase) -> bool {
    use ReplacementPhase::{Copying, Draining, Freezing, Probation, Rehearsing, Restoring, Thawing};
    matches!(phase, Copying | Rehearsing | Draining | Freezing | Thawing | Probation | Restoring)
}

fn summary<'a>(name: &'a str, replaced: &Replaced) -> ReplacementSummary<'a> {
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
    ReplacementSummary { name, progress, pause, parked, delivered }
}
