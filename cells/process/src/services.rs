//! The services that were started before this server: console, block driver, persistence, memory, and this server itself.
//!
//! The root task left what they are made of in fixed slots of this cell's CNode, which is kept when this server begins
//! again. An instance that failed begins again from its image, in its own memory, without the graph and without anybody's
//! help; requests that are parked at its endpoint wait for it.
//!
//! This server calls most of them. While such a call is parked the kernel interrupts it when an instance ends
//! (`runtime::on_interrupt`): then [`attend`] does what is due and the call is sent again, so that nobody waits for a service
//! that only the waiting one could start. It calls nobody; what there is to say is kept for the main loop. The kernel looks after
//! this server itself in the same way.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use abi::interfaces::process::services::{EACH, END, FIRST};
use abi::interfaces::process::{CellSummary, State, Strike, Use, Victim};
use abi::kernel::{Clock, Overdue, Scratch, ThreadState};
use abi::token::{All, CNode, Cap, Endpoint, Frame, Image, Loader, Notification, Replacement, Tcb, VSpace};
use abi::{CallError, KernelError};
use runtime::Environment;
use runtime::objects::{self, Footprint, Instance as Outcome, ReplacementTerms, Share};
use spin::Mutex;

use crate::backoff::{Failures, Verdict};
use crate::faults::Fault;
use crate::identity::{self, Identity};
use crate::schemas::Schemas;
use crate::subject::renote;
use crate::{ENDED, REPLACED, holdings};

/// Nanoseconds that a phase of a replacement may take.
const PATIENCE: u64 = 2_000_000_000;
/// Nanoseconds for which a new instance is on trial.
pub const TRIAL: u64 = 500_000_000;

/// The bit by which this server tells itself to look at what was done inside a call.
pub(crate) const ATTENDED: u64 = 4;

/// Those whose state is in their capabilities, or goes over with them: an instance goes on with what the one before it left.
const KEEP_SCRATCH: [&str; 3] = ["memory", "process", "persistence"];

/// Those that this server calls, and the one that they call.
const CALLED: [&str; 4] = ["console", "virtio_blk", "persistence", "memory"];

/// One of them.
#[derive(Debug)]
struct Service {
    identity: Identity,
    vspace: Cap<VSpace, All>,
    tcb: Cap<Tcb, All>,
    cnode: Cap<CNode, All>,
    /// Where its capabilities stand in this server's own CNode.
    first_slot: u32,
    image: Cap<Image, All>,
    endpoint: Option<Cap<Endpoint, All>>,
    scratch: Scratch,
    failures: Failures,
    condition: Condition,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Condition {
    Runs,
    /// It failed, and begins again at this time.
    Rests(u64),
    /// Another instance takes its place: the kernel sees to it.
    Replaced,
    /// Its endpoint is gone: who calls it is told.
    GivenUp,
}

/// All of them, and what looking after them takes.
#[derive(Debug)]
struct Services {
    loader: Arc<Cap<Loader, All>>,
    notification: Cap<Notification, All>,
    services: Vec<Service>,
    faults: Vec<Fault>,
}

/// Behind a lock since a handler without arguments reaches it. The cell has one thread, and no call is made while it is held.
static SERVICES: Mutex<Option<Services>> = Mutex::new(None);

/// Takes them out of the environment, and looks after them from now on. Answers what is wrong with this server's own part.
pub fn take(
    environment: &mut Environment,
    loader: Arc<Cap<Loader, All>>,
    notification: Cap<Notification, All>,
) -> Result<(), abi::KernelError> {
    let mut services = Vec::new();
    for first in (FIRST..END).step_by(EACH as usize) {
        let parts = (environment.take(first), environment.take(first + 1), environment.take(first + 2));
        let (Some(vspace), Some(tcb), Some(cnode)) = parts else { break };
        let (image, endpoint) = (environment.need(first + 3, "the image of a service"), environment.take(first + 4));
        services.push(Service::new(&loader, (vspace, tcb, cnode), image, endpoint, first)?);
    }
    let own = services.iter().find(|service| service.identity.name == env!("CARGO_PKG_NAME"));
    let kept = own.map(|own| objects::keep(&loader, &own.tcb, &own.image, own.scratch));
    // This server's own instance before this one: the kernel has let it begin again, and nobody was there to be told.
    let fault = own.zip(objects::kept_fault(&loader)).map(|(own, (report, ends))| {
        let _ = objects::signal(&notification, ATTENDED);
        Fault::new(own.identity.clone(), None, ends, Verdict::At(report.time), Some(report))
    });
    *SERVICES.lock() = Some(Services { loader, notification, services, faults: fault.into_iter().collect() });
    runtime::on_interrupt(interrupted);
    kept.unwrap_or(Ok(()))
}

/// Does what is due. Answers when there will be more to do, in nanoseconds since boot.
pub fn attend() -> Option<u64> {
    with(|services| services.attend(runtime::clock(Clock::Monotonic))).flatten()
}

/// Does what is due, and waits for what rests of the services that this server calls: before a call that may need just that, where
/// nothing interrupts the call any more since the signal of the end was taken.
pub fn bring_back() {
    let due = || {
        with(|services| {
            services.attend(runtime::clock(Clock::Monotonic));
            services.rests(|service| CALLED.contains(&service.identity.name.as_str()))
        })
    };
    while let Some(due) = due().flatten() {
        runtime::sleep(due.saturating_sub(runtime::clock(Clock::Monotonic)));
    }
}

/// An instance that has taken a service's place begins again, if it has ended before this server could make it the service's own.
pub fn revive(number: usize, vspace: &Cap<VSpace, All>, tcb: &Cap<Tcb, All>, image: &Cap<Image, All>) {
    with(|services| {
        let Some(service) = services.services.get(number) else { return };
        if matches!(objects::instance_info(vspace), Ok((Outcome::Failed | Outcome::Exited(_), ..))) {
            // Where that is refused, it is found to have failed when it is the service's own.
            let _ = objects::restart(tcb, &services.loader, image, service.scratch)
                .and_then(|()| objects::start_thread(tcb));
        }
    });
}

/// The failures since the last time that this was asked.
pub fn take_faults() -> Vec<Fault> {
    with(|services| core::mem::take(&mut services.faults)).unwrap_or_default()
}

/// Stops the instance of a service. `false` where there is none of that name that runs. This server's own ends here.
pub fn kill(name: &str) -> bool {
    let stopped = with(|services| {
        let service = services.services.iter().find(|service| service.identity.name == name)?;
        (service.condition == Condition::Runs).then(|| objects::stop_thread(&service.tcb).is_ok())
    });
    stopped.flatten() == Some(true)
}

/// Lines of `cells`, one each.
pub fn summaries() -> Vec<(String, String, CellSummary<'static>)> {
    with(|services| services.services.iter().map(Service::summary).collect()).unwrap_or_default()
}

/// The number of a service that can be asked for something.
pub fn number_of(name: &str) -> Option<usize> {
    with(|services| services.services.iter().position(|service| service.identity.name == name)).flatten()
}

/// Its name.
pub fn name_of(number: usize) -> Option<String> {
    with(|services| services.services.get(number).map(|service| service.identity.name.clone())).flatten()
}

/// What the services are instances of, by number.
pub fn identities() -> Vec<Identity> {
    with(|services| services.services.iter().map(|service| service.identity.clone()).collect()).unwrap_or_default()
}

/// What the services use, each with its name.
pub fn uses() -> Vec<(String, Use<'static>)> {
    with(|services| services.services.iter().filter_map(Service::usage).collect()).unwrap_or_default()
}

/// What an instance uses.
pub fn usage(tcb: &Cap<Tcb, All>, vspace: &Cap<VSpace, All>) -> Option<Use<'static>> {
    let info = objects::thread_info(tcb).ok().filter(|info| info.state == ThreadState::Started)?;
    let Footprint { heap, memory, threads } = objects::footprint(vspace).ok()?;
    let (priority, ticks) = (info.priority, info.ticks);
    Some(Use { name: "", process: 0, priority, threads, ticks, heap, memory, untyped: 0, requests: None })
}

/// Why a service is not replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// It does not run, or is being replaced.
    Busy,
    /// The image does not serve this label as the service does.
    Label(u64),
    /// Its state would be lost by force.
    State,
    /// The kernel refuses.
    Kernel(abi::KernelError),
}

impl From<abi::KernelError> for Obstacle {
    fn from(error: abi::KernelError) -> Self {
        Obstacle::Kernel(error)
    }
}

/// Whether a service can be replaced by an instance of an image; answers what it may have of the processor.
pub fn may_replace(number: usize, image: &Cap<Image, All>) -> Result<Share, Obstacle> {
    with(|services| {
        let service = services.services.get(number).filter(|service| service.condition == Condition::Runs);
        let service = service.ok_or(Obstacle::Busy)?;
        if let Some(endpoint) = &service.endpoint {
            serves(&services.loader, image, endpoint)?;
        }
        Ok(objects::thread_info(&service.tcb)?.share)
    })
    .unwrap_or(Err(Obstacle::Busy))
}

/// Whether an image serves all that is served at an endpoint, in the same way.
pub fn serves(
    loader: &Cap<Loader, All>,
    image: &Cap<Image, All>,
    endpoint: &Cap<Endpoint, All>,
) -> Result<(), Obstacle> {
    objects::image_serves(loader, image, endpoint).map_err(|error| match error {
        CallError::Kernel(KernelError::UnknownLabel | KernelError::WrongSignature, label) => Obstacle::Label(label),
        CallError::Kernel(error, _) => Obstacle::Kernel(error),
        CallError::Server(..) | CallError::Malformed => Obstacle::Kernel(KernelError::ImageRefused),
    })
}

/// The schemas of the state of a service.
pub fn schemas(number: usize) -> Result<Schemas, Obstacle> {
    with(|services| {
        let service = services.services.get(number).ok_or(Obstacle::Busy)?;
        Ok(Schemas::of(&services.loader, &service.image)?)
    })
    .unwrap_or(Err(Obstacle::Busy))
}

/// How something is replaced.
#[derive(Clone, Copy, Debug)]
pub struct How {
    /// What becomes of an instance that does not answer in time what it holds.
    pub overdue: Overdue,
    /// What a test has happen meanwhile.
    pub strike: Option<Strike>,
}

/// A thread and the image that it is of.
pub type Side<'a> = (&'a Cap<Tcb, All>, &'a Cap<Image, All>);

/// Has the kernel replace an instance by another; where it has a state, that travels in a frame, in a schema.
pub fn begin(
    record: &Cap<Replacement, All>,
    old: Side<'_>,
    new: Side<'_>,
    how: How,
    state: Option<(&Cap<Frame, All>, u32)>,
) -> Result<(), Obstacle> {
    with(|services| services.begin(record, (old, new), (Scratch::Clear, how), state)).unwrap_or(Err(Obstacle::Busy))
}

/// Has the kernel replace the instance of a service.
pub fn replace(
    number: usize,
    record: &Cap<Replacement, All>,
    new: Side<'_>,
    how: How,
    state: Option<(&Cap<Frame, All>, u32)>,
) -> Result<(), Obstacle> {
    with(|services| {
        let service = services.services.get(number).ok_or(Obstacle::Busy)?;
        services.begin(record, ((&service.tcb, &service.image), new), (service.scratch, how), state)?;
        if let Some(service) = services.services.get_mut(number) {
            service.condition = Condition::Replaced;
        }
        Ok(())
    })
    .unwrap_or(Err(Obstacle::Busy))
}

/// A replacement of the service is under way, which an earlier instance of this server has begun.
pub fn is_replaced(number: usize) {
    with(|services| {
        if let Some(service) = services.services.get_mut(number) {
            service.condition = Condition::Replaced;
        }
    });
}

/// The instance that the service has now: VSpace, thread and image.
pub type NewParts = (Cap<VSpace, All>, Cap<Tcb, All>, Cap<Image, All>);

/// A replacement is over, and the instance is the service's still.
pub fn is_settled(number: usize) {
    with(|services| {
        if let Some(service) = services.services.get_mut(number) {
            service.condition = Condition::Runs;
        }
    });
}

/// A replacement is over. The new parts are the service's from now on, in the slots where they belong, and what was there goes.
pub fn settle(number: usize, parts: NewParts, own: &Cap<CNode, All>) -> Result<(), KernelError> {
    with(|services| {
        let Services { loader, services, .. } = services;
        if number < services.len() {
            let settled = services.remove(number).with_parts(parts, loader, own)?;
            services.insert(number, settled);
        }
        Ok(())
    })
    .unwrap_or(Ok(()))
}

/// Notes an owner with the parts of a service's instance, which this server made.
pub fn note_parts(number: usize, owner: clients::Owner, own: &Cap<CNode, All>) -> Result<(), KernelError> {
    with(|services| {
        let Some(Service { vspace, tcb, image, .. }) = services.services.get(number) else { return Ok(()) };
        renote(vspace, owner, own)?;
        renote(tcb, owner, own)?;
        renote(image, owner, own)
    })
    .unwrap_or(Ok(()))
}

fn with<R>(use_them: impl FnOnce(&mut Services) -> R) -> Option<R> {
    SERVICES.lock().as_mut().map(use_them)
}

/// A call of this server was interrupted: an instance has ended. Where a service rests, there is nothing better to do than to wait
/// for it, since this call may be for just that.
fn interrupted() {
    let due = with(|services| {
        let bits = objects::wait(&services.notification, 0).unwrap_or(0);
        let due = services.attend(runtime::clock(Clock::Monotonic));
        // What was taken for others, and that there are faults to tell of, comes up in the main loop.
        let _ = objects::signal(&services.notification, bits & !ENDED | ATTENDED);
        due
    });
    if let Some(due) = due.flatten() {
        runtime::sleep(due.saturating_sub(runtime::clock(Clock::Monotonic)));
        attend();
    }
}

impl Services {
    fn begin(
        &self,
        record: &Cap<Replacement, All>,
        (old, new): (Side<'_>, Side<'_>),
        (scratch, How { overdue, strike }): (Scratch, How),
        state: Option<(&Cap<Frame, All>, u32)>,
    ) -> Result<(), Obstacle> {
        let terms = ReplacementTerms {
            export: state.map(|(frame, _)| frame),
            notification: &self.notification,
            bits: REPLACED,
            scratch,
            patience: PATIENCE,
            overdue,
            trial: TRIAL,
            trial_replies: 0,
            schema: state.map_or(0, |(_, schema)| schema),
        };
        objects::replacement_terms(record, &terms)?;
        if let Some(Strike { phase, victim }) = strike {
            let own = self.services.iter().find(|service| service.identity.name == env!("CARGO_PKG_NAME"));
            let victim = match victim {
                Victim::Old => Some(old.0),
                Victim::New => Some(new.0),
                Victim::ProcessServer => own.map(|own| &own.tcb),
            };
            objects::plant_in_replacement(record, phase, victim.ok_or(Obstacle::Busy)?)?;
        }
        objects::begin_replacement(record, &self.loader, old, new).map_err(|error| match error {
            KernelError::InvalidArgument => Obstacle::State,
            error => error.into(),
        })
    }

    fn attend(&mut self, now: u64) -> Option<u64> {
        for service in &mut self.services {
            if service.condition == Condition::Runs && service.has_failed() {
                let verdict = service.failures.failed(now);
                self.faults.push(service.fault(verdict));
                service.condition = match verdict {
                    Verdict::At(then) => Condition::Rests(then),
                    Verdict::GiveUp => service.give_up(),
                };
            }
            if let Condition::Rests(then) = service.condition
                && then <= now
            {
                let begun = service.begin_again(&self.loader, now);
                self.faults.extend(begun.err());
            }
        }
        self.rests(|_| true)
    }

    /// When the first of some that rest begins again.
    fn rests(&self, which: impl Fn(&Service) -> bool) -> Option<u64> {
        let rests =
            self.services.iter().filter(|service| which(service)).filter_map(|service| match service.condition {
                Condition::Rests(then) => Some(then),
                Condition::Runs | Condition::Replaced | Condition::GivenUp => None,
            });
        rests.min()
    }
}

impl Service {
    fn new(
        loader: &Cap<Loader, All>,
        (vspace, tcb, cnode): (Cap<VSpace, All>, Cap<Tcb, All>, Cap<CNode, All>),
        image: Cap<Image, All>,
        endpoint: Option<Cap<Endpoint, All>>,
        first_slot: u32,
    ) -> Result<Service, abi::KernelError> {
        let identity = Identity::of(loader, &image)?;
        let scratch = if KEEP_SCRATCH.contains(&identity.name.as_str()) { Scratch::Keep } else { Scratch::Clear };
        let (failures, condition) = (Failures::default(), Condition::Runs);
        Ok(Service { identity, vspace, tcb, cnode, first_slot, image, endpoint, scratch, failures, condition })
    }

    /// The service with another instance.
    fn with_parts(
        self,
        (vspace, tcb, image): NewParts,
        loader: &Cap<Loader, All>,
        own: &Cap<CNode, All>,
    ) -> Result<Service, KernelError> {
        let identity = Identity::of(loader, &image)?;
        objects::delete(self.vspace);
        objects::delete(self.tcb);
        objects::delete(self.image);
        Ok(Service {
            vspace: objects::place(vspace, own, self.first_slot)?,
            tcb: objects::place(tcb, own, self.first_slot + 1)?,
            image: objects::place(image, own, self.first_slot + 3)?,
            identity,
            failures: Failures::default(),
            condition: Condition::Runs,
            ..self
        })
    }

    /// This server itself runs whenever it looks: the kernel has seen to it.
    fn has_failed(&self) -> bool {
        matches!(objects::instance_info(&self.vspace), Ok((Outcome::Failed | Outcome::Exited(_), ..)))
    }

    fn fault(&self, verdict: Verdict) -> Fault {
        let report = objects::fault(&self.tcb);
        Fault::new(self.identity.clone(), None, self.failures.count(), verdict, report)
    }

    /// Where the kernel refuses that (the service was taken apart), the service is given up: the fault says so.
    fn begin_again(&mut self, loader: &Cap<Loader, All>, now: u64) -> Result<(), Fault> {
        let begun = objects::restart(&self.tcb, loader, &self.image, self.scratch)
            .and_then(|()| objects::start_thread(&self.tcb));
        self.failures.started(now);
        if begun.is_ok() {
            self.condition = Condition::Runs;
            return Ok(());
        }
        self.condition = self.give_up();
        Err(self.fault(Verdict::GiveUp))
    }

    /// Nobody waits for ever for what will not come.
    fn give_up(&mut self) -> Condition {
        if let Some(endpoint) = self.endpoint.take() {
            let _ = objects::revoke(&endpoint);
            objects::delete(endpoint);
        }
        Condition::GivenUp
    }

    fn usage(&self) -> Option<(String, Use<'static>)> {
        let info = self.endpoint.as_ref().and_then(|endpoint| objects::endpoint_info(endpoint).ok());
        let requests = info.map(|info| (info.parked, info.held, info.epoch));
        Some((
            self.identity.name.clone(),
            Use { untyped: holdings::untyped(&self.cnode), requests, ..usage(&self.tcb, &self.vspace)? },
        ))
    }

    fn summary(&self) -> (String, String, CellSummary<'static>) {
        let (state, text, text_end) = match objects::instance_info(&self.vspace) {
            Ok((Outcome::Running, start, end)) => (State::Running, start, end),
            // Who serves is the one on trial, which is not the service's yet.
            Ok(_) if self.condition == Condition::Replaced => (State::Running, 0, 0),
            Ok((Outcome::Exited(status), ..)) => (State::Exited(status), 0, 0),
            Ok((Outcome::Failed, ..)) | Err(_) => (State::Failed, 0, 0),
        };
        let Identity { name, version, hash } = self.identity.clone();
        (name, version, CellSummary { name: "", version: "", hash, text, text_end, state })
    }
}

/// Looks at what a service is made of.
pub fn look_at<R>(
    number: usize,
    look: impl FnOnce(&Cap<Tcb, All>, &Cap<VSpace, All>, &Cap<CNode, All>) -> R,
) -> Option<R> {
    with(|services| services.services.get(number).map(|Service { tcb, vspace, cnode, .. }| look(tcb, vspace, cnode)))
        .flatten()
}

/// The function that an offset into the code of a service lies in.
pub fn symbol(name: &str, offset: u64) -> Option<String> {
    with(|services| {
        let service = services.services.iter().find(|service| service.identity.name == name)?;
        identity::symbol(&services.loader, &service.image, offset)
    })
    .flatten()
}
