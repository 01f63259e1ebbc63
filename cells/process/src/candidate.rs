//! An instance that is to take the place of another: made beside it, and put into its place.

use alloc::vec::Vec;

use abi::KernelError;
use abi::interfaces::process as codes;
use abi::token::{All, CNode, Cap, Frame, Image};
use clients::Allocation;
use object_store::Oid;
use runtime::objects;
use spawner::{Instance, Memory, page_bits};

use crate::catalogue;
use crate::factory::{Factory, Refusal};
use crate::identity::Identity;
use crate::schemas::Schemas;
use crate::services::{self, Obstacle};
use crate::subject::{Owner, Subject, allocation_of, renote};
use crate::table::{Process, Standing};

/// An instance that is to take a place.
#[derive(Debug)]
pub struct Candidate {
    /// The instance, not started.
    pub instance: Instance,
    /// What it is of.
    pub image: Cap<Image, All>,
    /// What it is all made of.
    pub allocations: Vec<Allocation>,
}

/// Where a state travels, and its schema.
#[derive(Debug)]
pub struct Journey {
    /// Half of it is room for one export.
    pub frame: Cap<Frame, All>,
    /// The schema.
    pub schema: u32,
}

/// What an instance that takes a place brings: its CNode is not among it.
pub fn allocations_of(instance: &Instance, image: &Cap<Image, All>, own: &Cap<CNode, All>) -> Vec<Allocation> {
    let Instance { vspace, tcb, frames, .. } = instance;
    let parts = [allocation_of(vspace, own), allocation_of(tcb, own), allocation_of(image, own)];
    parts.into_iter().chain(frames.iter().map(|frame| allocation_of(frame, own))).flatten().collect()
}

/// The candidate is the process's instance.
pub fn adopt_by_process(process: &mut Process, candidate: Candidate, factory: &mut Factory) -> Result<(), KernelError> {
    let Candidate { instance, image, allocations } = candidate;
    let own = factory.memory.cnode();
    let (Some(old), Some(old_image)) = (process.instance.take(), process.image.take()) else {
        return Err(KernelError::InvalidCapability);
    };
    let kept = allocations_of(&instance, &image, own);
    let retired = allocations_of(&old, &old_image, own);
    let Identity { version, hash, .. } = Identity::of(&factory.loader, &image)?;
    let (_, start, end) = objects::instance_info(&instance.vspace)?;
    let owner = Owner::Process(process.oid).noted();
    renote(&instance.vspace, owner, own)?;
    renote(&instance.tcb, owner, own)?;
    renote(&image, owner, own)?;
    for frame in &instance.frames {
        renote(frame, owner, own)?;
    }
    // The CNode stays: the two have changed theirs.
    process.instance = Some(Instance { cnode: old.cnode, ..instance });
    process.image = Some(image);
    (process.version, process.hash, process.text, process.standing) = (version, hash, (start, end), Standing::Own);
    process.allocations.retain(|allocation| !retired.contains(allocation));
    let (kept, spare): (Vec<_>, Vec<_>) = allocations.into_iter().partition(|allocation| kept.contains(allocation));
    process.allocations.extend(kept);
    factory.give_back(retired);
    factory.give_back(spare);
    Ok(())
}

/// Whether a process can be replaced by an instance of an image; answers what it may have of the processor.
pub fn may_replace(process: &Process, image: &Cap<Image, All>, factory: &Factory) -> Result<objects::Share, Obstacle> {
    let (Some(instance), Some(endpoint)) = (&process.instance, &process.endpoint) else { return Err(Obstacle::Busy) };
    if process.state != codes::State::Running || process.standing != Standing::Own {
        return Err(Obstacle::Busy);
    }
    services::serves(&factory.loader, image, endpoint)?;
    Ok(objects::thread_info(&instance.tcb)?.share)
}

/// An instance of an image, beside the one that serves, and where the state of that travels to it.
pub fn candidate(
    subject: Subject,
    image: Oid,
    name: &str,
    process: Option<&Process>,
    factory: &mut Factory,
) -> Result<(Candidate, Option<Journey>), Refusal> {
    let object = catalogue::image(&mut factory.graph, image)?;
    if object.name != name {
        return Err(Refusal(codes::BAD_IMAGE, 0));
    }
    factory.memory.note_owner(Owner::Candidate(subject).noted());
    let made = make(&object.bytes, subject, process, factory);
    factory.memory.note_owner(clients::Owner::default());
    let allocations = factory.memory.take_allocations();
    match made {
        Ok((instance, image, journey)) => Ok((Candidate { instance, image, allocations }, journey)),
        Err(refusal) => {
            factory.give_back(allocations);
            Err(refusal)
        }
    }
}

type Made = (Instance, Cap<Image, All>, Option<Journey>);

fn make(bytes: &[u8], subject: Subject, process: Option<&Process>, factory: &mut Factory) -> Result<Made, Refusal> {
    let image = spawner::image(&mut factory.memory, bytes)?;
    let needs = objects::image_needs(&factory.loader, &image)?;
    let new = Schemas::of(&factory.loader, &image)?;
    let old = match (subject, process) {
        (Subject::Service(service), _) => services::schemas(service)?,
        (Subject::Process(_), process) => match process.and_then(|process| process.image.as_ref()) {
            Some(old) => Schemas::of(&factory.loader, old)?,
            None => return Err(Refusal(codes::BUSY, 0)),
        },
    };
    let schema = Schemas::between(&old, &new)?;
    let instance = Instance::with_needs(&mut factory.memory, &factory.loader, &image, &needs)?;
    // A state is no larger than the heap that it lies in; one half of the frame takes the next export. It is made last, so that it
    // can be told from the instance's own frames.
    let journey = match schema {
        Some(schema) => {
            let frame = factory.memory.make(page_bits(needs.heap.saturating_mul(2)))?;
            Some(Journey { frame, schema })
        }
        None => None,
    };
    Ok((instance, image, journey))
}
