//! Parts of cells that are taken away: a cell ends at once without its thread, its CNode or its VSpace, and when it needs it
//! without memory. Whoever waits for it is answered, and nobody else notices.

mod at_once;
mod later;

use alloc::vec::Vec;

use abi::KernelError;
use abi::token::{All, CNode, Cap, Object, Untyped};
use runtime::objects;
use spawner::{Instance, Memory};

use crate::cells::{Peer, Plan};
use crate::outcome::{Failure, Outcome, equal};
use crate::protocol::methods;
use crate::rig::{Rig, Stock, ask};
use crate::task::Reported;

tests! {
    taking_a_cell_s_thread_ends_it,
    taking_a_cell_s_cnode_ends_it,
    taking_a_cell_s_vspace_ends_it,
    taking_a_cell_s_code_ends_it_when_it_runs,
    taking_a_cell_s_stack_ends_it_when_it_runs,
    taking_a_server_s_heap_ends_it_when_it_serves,
}

const DIED: Reported = Reported::Kernel(KernelError::ServerDied, 1);
const MILLISECOND: u64 = 1_000_000;

/// What a cell is made of, each part of memory of its own, in the order in which `spawner` makes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Thread = 0,
    CNode = 1,
    VSpace = 2,
    Code = 3,
    Stack = 4,
    Heap = 5,
}

/// Memory that gives each object an untyped of its own.
struct Apart<'a> {
    rig: &'a mut Stock,
    parts: Vec<Cap<Untyped, All>>,
    cnode: &'a Cap<CNode, All>,
}

impl Memory for Apart<'_> {
    type Error = KernelError;

    fn make<T: Object>(&mut self, size_bits: u8) -> Result<Cap<T, All>, KernelError> {
        // Fixed kinds ignore the size, and no object here but frames is larger than this.
        let untyped = self.rig.make(size_bits.max(16))?;
        let made = objects::retype(&untyped, size_bits, self.cnode);
        self.parts.push(untyped);
        made
    }
}

/// A cell of which one part can be taken away.
fn cell(rig: &mut Rig, part: Part, plan: Plan<'_>) -> Result<(Peer, Cap<Untyped, All>), Failure> {
    let mut memory = Apart { rig: &mut rig.stock, parts: Vec::new(), cnode: &rig.cnode };
    let instance = Instance::with_needs(&mut memory, &rig.loader, &rig.image, &rig.needs)?;
    let parts = memory.parts;
    let peer = plan.start_as(rig, instance)?;
    let untyped = parts.into_iter().nth(part as usize).ok_or_else(|| Failure::Wrong("a part is missing".into()))?;
    Ok((peer, untyped))
}

/// Takes a part away; all of its memory comes back.
fn take(untyped: &Cap<Untyped, All>) -> Outcome {
    objects::revoke(untyped)?;
    let info = objects::untyped_info(untyped)?;
    equal("bytes that came back", (info.free, info.is_used), (info.size, false))
}

/// A situation of a cell whose part is taken away.
type Situation = fn(&mut Rig, Part) -> Outcome;

/// Takes a part away from cells in several situations; each leaves nothing behind, and a bystander serves on.
fn in_each(rig: &mut Rig, part: Part, situations: &[Situation]) -> Outcome {
    for situation in situations {
        let (_, _, bystander) = rig.server(0)?;
        situation(rig, part)?;
        equal("requests that another server has seen", ask(&bystander, methods::Count {})?, 1)?;
        rig.clear()?;
    }
    Ok(())
}

fn taking_a_cell_s_thread_ends_it(rig: &mut Rig) -> Outcome {
    in_each(rig, Part::Thread, at_once::ALL)
}

fn taking_a_cell_s_cnode_ends_it(rig: &mut Rig) -> Outcome {
    in_each(rig, Part::CNode, at_once::ALL)
}

fn taking_a_cell_s_vspace_ends_it(rig: &mut Rig) -> Outcome {
    in_each(rig, Part::VSpace, at_once::ALL)
}

fn taking_a_cell_s_code_ends_it_when_it_runs(rig: &mut Rig) -> Outcome {
    in_each(rig, Part::Code, later::ALL)
}

fn taking_a_cell_s_stack_ends_it_when_it_runs(rig: &mut Rig) -> Outcome {
    in_each(rig, Part::Stack, later::ALL)
}

fn taking_a_server_s_heap_ends_it_when_it_serves(rig: &mut Rig) -> Outcome {
    in_each(rig, Part::Heap, later::SERVING)
}
