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
use abi::token::{All, CNode, Cap, Frame, Image, Tcb, VSpace};
use clients::Allocation;
use object_store::Oid;
use runtime::{Environment, objects};
use spawner::Instance;

use crate::backoff::Failures;
use crate::factory::Factory;
use crate::identity::Identity;
use crate::table::{Prepared, Process};

/// The first slot of what this server holds by its own doing.
const FIRST: u32 = services::END;
/// Noted as owner of what this server allocates for itself: no Process object has this number.
pub const OWN: u64 = u64::MAX;

/// What there is of one process.
#[derive(Debug, Default)]
struct Parts {
    tcb: Option<Cap<Tcb, All>>,
    cnode: Option<Cap<CNode, All>>,
    vspace: Option<Cap<VSpace, All>>,
    image: Option<Cap<Image, All>>,
    frames: Vec<(u64, Cap<Frame, All>)>,
    allocations: Vec<u64>,
}

/// What was found.
#[derive(Debug, Default)]
pub struct Left {
    parts: BTreeMap<u64, Parts>,
}

impl Left {
    /// Takes over what stands in the CNode. Call it before anything is put there.
    pub fn find(environment: &mut Environment) -> Left {
        let mut left = Left::default();
        for slot in environment.left(FIRST) {
            let Some(info) = environment.inspect(slot) else { continue };
            let [owner, allocation] = info.note;
            if owner == 0 {
                environment.discard(slot);
                continue;
            }
            let parts = left.parts.entry(owner).or_default();
            const TCB: u8 = Kind::Tcb as u8;
            const CNODE: u8 = Kind::CNode as u8;
            const VSPACE: u8 = Kind::VSpace as u8;
            const IMAGE: u8 = Kind::Image as u8;
            const FRAME: u8 = Kind::Frame as u8;
            match info.kind {
                TCB => parts.tcb = environment.take(slot),
                CNODE => parts.cnode = environment.take(slot),
                VSPACE => parts.vspace = environment.take(slot),
                IMAGE => parts.image = environment.take(slot),
                FRAME => parts.frames.extend(environment.take(slot).map(|frame| (allocation, frame))),
                _ => environment.discard(slot),
            }
            parts.allocations.push(allocation);
        }
        left
    }

    /// The processes among it: those that were started, and those that were not. The rest is given back.
    pub fn sort(self, factory: &mut Factory) -> (Vec<Process>, Vec<Prepared>) {
        let (mut table, mut prepared) = (Vec::new(), Vec::new());
        for (owner, parts) in self.parts {
            let allocations: Vec<_> = parts.allocations.iter().copied().map(Allocation).collect();
            match process(Oid::new(owner), parts, factory) {
                Some((process, ThreadState::Started | ThreadState::Ended)) => table.push(process),
                Some((process, _)) => prepared.push(Prepared { process, transaction: None }),
                None => factory.give_back(allocations),
            }
        }
        (table, prepared)
    }
}

fn process(oid: Oid, parts: Parts, factory: &mut Factory) -> Option<(Process, ThreadState)> {
    let Parts { tcb, cnode, vspace, image, mut frames, allocations } = parts;
    frames.sort_by_key(|(allocation, _)| *allocation);
    let mut frames = frames.into_iter().map(|(_, frame)| frame);
    let frames = [frames.next()?, frames.next()?, frames.next()?];
    let instance = Instance { cnode: cnode?, vspace: vspace?, tcb: tcb?, frames };
    let state = objects::thread_info(&instance.tcb).ok()?.state;
    let (_, start, end) = objects::instance_info(&instance.vspace).ok()?;
    let image = image?;
    let Identity { name, version, hash } = Identity::of(&factory.loader, &image).ok()?;
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
        allocations: allocations.into_iter().map(Allocation).collect(),
        waiting: Vec::new(),
    };
    Some((process, state))
}
