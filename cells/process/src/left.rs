//! Processes as the instance of this server before this one left them.
//!
//! When this server ends the kernel lets it begin again with its CNode as it was. Each capability that it holds for a process
//! carries a note of whose it is and which allocation it came with, so that the table is rebuilt from the kernel's own. What
//! is not whole was in the making, and what that instance had for itself is of no use to this one: both go, and their memory
//! with them.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use abi::interfaces::process::{State, services};
use abi::kernel::{Kind, ThreadState};
use abi::token::{All, CNode, Cap, Endpoint, Frame, Image, Replacement, Tcb, VSpace};
use clients::Allocation;
use object_store::Oid;
use runtime::{Environment, objects};
use spawner::Instance;

use crate::backoff::Failures;
use crate::catalogue;
use crate::factory::Factory;
use crate::identity::Identity;
use crate::subject::Owner;
use crate::table::{Prepared, Process, Standing};

/// The first slot of what this server holds by its own doing.
const FIRST: u32 = services::END;
/// What an earlier instance of this server left of a replacement, or of an instance that it made for a service.
#[derive(Debug)]
pub struct OfReplacement {
    /// What of it.
    pub owner: Owner,
    /// A record.
    pub record: Option<Cap<Replacement, All>>,
    /// An instance that is whole, with its image.
    pub instance: Option<(Instance, Cap<Image, All>)>,
    /// What it is all made of; what is not named here goes with that.
    pub allocations: Vec<Allocation>,
}

/// What there is of one process.
#[derive(Debug, Default)]
struct Parts {
    tcb: Option<Cap<Tcb, All>>,
    cnode: Option<Cap<CNode, All>>,
    vspace: Option<Cap<VSpace, All>>,
    image: Option<Cap<Image, All>>,
    endpoint: Option<Cap<Endpoint, All>>,
    record: Option<Cap<Replacement, All>>,
    frames: Vec<(Allocation, Cap<Frame, All>)>,
    allocations: Vec<Allocation>,
}

/// What was found.
#[derive(Debug, Default)]
pub struct Left {
    parts: BTreeMap<Owner, Parts>,
}

impl Left {
    /// Takes over what stands in the CNode. Call it before anything is put there.
    pub fn find(environment: &mut Environment) -> Left {
        let mut left = Left::default();
        // Of a service's capabilities the CNode is there as long as the service, and nobody else has one there.
        let is_service = |first: &u32| environment.inspect(first + 2).is_some_and(|info| info.endowed == 1);
        let services = (services::FIRST..services::END).step_by(services::EACH as usize).take_while(is_service);
        let behind_services = services.last().map_or(0, |first| first + services::EACH);
        for slot in environment.left(FIRST) {
            let Some(info) = environment.inspect(slot) else { continue };
            let (noted, allocation) = clients::Owner::of(info.note);
            let Some(owner) = Owner::of(noted) else {
                environment.discard(slot);
                continue;
            };
            let parts = left.parts.entry(owner).or_default();
            if (services::FIRST..behind_services).contains(&slot) {
                // It is taken with its service.
                parts.allocations.push(allocation);
                continue;
            }
            const TCB: u8 = Kind::Tcb as u8;
            const CNODE: u8 = Kind::CNode as u8;
            const VSPACE: u8 = Kind::VSpace as u8;
            const IMAGE: u8 = Kind::Image as u8;
            const FRAME: u8 = Kind::Frame as u8;
            const ENDPOINT: u8 = Kind::Endpoint as u8;
            const UNTYPED: u8 = Kind::Untyped as u8;
            const REPLACEMENT: u8 = Kind::Replacement as u8;
            match info.kind {
                TCB => parts.tcb = environment.take(slot),
                CNODE => parts.cnode = environment.take(slot),
                VSPACE => parts.vspace = environment.take(slot),
                IMAGE => parts.image = environment.take(slot),
                FRAME => parts.frames.extend(environment.take(slot).map(|frame| (allocation, frame))),
                ENDPOINT => parts.endpoint = environment.take(slot),
                REPLACEMENT => parts.record = environment.take(slot),
                // A server makes its reply objects of it; here it only has to stay.
                UNTYPED => {}
                _ => environment.discard(slot),
            }
            parts.allocations.push(allocation);
        }
        left
    }

    /// Takes what belongs to replacements out of it, and to instances that were made for services.
    pub fn take_of_replacements(&mut self) -> Vec<OfReplacement> {
        let is_wanted = |owner: &Owner| matches!(owner, Owner::Instance(_) | Owner::Candidate(_) | Owner::Record(_));
        let owners: Vec<Owner> = self.parts.keys().copied().filter(is_wanted).collect();
        let taken = |owner| {
            let Parts { tcb, cnode, vspace, image, record, mut frames, allocations, .. } = self.parts.remove(&owner)?;
            frames.sort_by_key(|(allocation, _)| *allocation);
            // Behind code, stack and heap there may be one in which a state travels.
            let mut frames = frames.into_iter().map(|(_, frame)| frame);
            let frames = frames.next().zip(frames.next()).zip(frames.next());
            let whole = tcb.zip(cnode).zip(vspace).zip(image).zip(frames);
            let instance = whole.map(|((((tcb, cnode), vspace), image), ((code, stack), heap))| {
                (Instance { cnode, vspace, tcb, frames: [code, stack, heap] }, image)
            });
            Some(OfReplacement { owner, record, instance, allocations })
        };
        owners.into_iter().filter_map(taken).collect()
    }

    /// The processes among it: those that were started, and those that were not. The rest is given back.
    pub fn sort(self, factory: &mut Factory) -> (Vec<Process>, Vec<Prepared>) {
        let (mut table, mut prepared) = (Vec::new(), Vec::new());
        for (owner, parts) in self.parts {
            let allocations = parts.allocations.clone();
            let found = match owner {
                Owner::Process(oid) => process(oid, parts, factory),
                // What it had for itself is of no use to this one.
                _ => None,
            };
            match found {
                Some((process, ThreadState::Started | ThreadState::Ended)) => table.push(process),
                Some((process, _)) => prepared.push(Prepared { process, transaction: None }),
                None => factory.give_back(allocations),
            }
        }
        (table, prepared)
    }
}

fn process(oid: Oid, parts: Parts, factory: &mut Factory) -> Option<(Process, ThreadState)> {
    let Parts { tcb, cnode, vspace, image, endpoint, mut frames, allocations, .. } = parts;
    frames.sort_by_key(|(allocation, _)| *allocation);
    let mut frames = frames.into_iter().map(|(_, frame)| frame);
    let frames = [frames.next()?, frames.next()?, frames.next()?];
    let instance = Instance { cnode: cnode?, vspace: vspace?, tcb: tcb?, frames };
    let state = objects::thread_info(&instance.tcb).ok()?.state;
    let (_, start, end) = objects::instance_info(&instance.vspace).ok()?;
    let image = image?;
    let Identity { name, version, hash } = Identity::of(&factory.loader, &image).ok()?;
    let name = catalogue::process_name(&mut factory.graph, oid).unwrap_or(name);
    let process = Process {
        oid,
        name,
        version,
        hash,
        text: (start, end),
        state: State::Running,
        noted: false,
        restart: factory.restart_of(oid),
        failures: Failures::default(),
        rests: None,
        image: Some(image),
        instance: Some(instance),
        endpoint,
        standing: Standing::Own,
        allocations,
        waiting: Vec::new(),
    };
    Some((process, state))
}
