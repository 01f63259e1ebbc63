//! What ends a cell when it needs what it has lost: at a switch to it, in a function of the kernel, or in its own code.

use abi::token::{All, Cap, Notification, Untyped};
use abi::{CallError, KernelError};
use runtime::Call;

use super::{DIED, MILLISECOND, Part, Situation, cell, take};
use crate::cells::{End, OWN, Plan};
use crate::outcome::{Outcome, equal};
use crate::protocol::methods;
use crate::rig::{PATIENCE, Rig, ask};
use crate::task::{Role, Task};

/// All of these end a cell without code or stack.
pub const ALL: &[Situation] = &[it_runs, it_wakes, it_is_called, it_holds, it_is_answered];
/// These end a cell without a heap.
pub const SERVING: &[Situation] = &[it_is_called, it_holds];

fn it_runs(rig: &mut Rig, part: Part) -> Outcome {
    let witness: Cap<Notification, All> = rig.make(0)?;
    let busy = Plan::new(Task::new(Role::Busy, 0)).priority(OWN - 1).witness(&witness);
    let (peer, untyped) = cell(rig, part, busy)?;
    rig.wait(&witness)?;
    take(&untyped)?;
    equal("the cell's end", rig.wait_end(peer)?, End::Failed)
}

fn it_wakes(rig: &mut Rig, part: Part) -> Outcome {
    let (peer, untyped) = cell(rig, part, Plan::new(Task::new(Role::Sleep, MILLISECOND)))?;
    take(&untyped)?;
    equal("the cell's end", rig.wait_end(peer)?, End::Failed)
}

fn it_is_called(rig: &mut Rig, part: Part) -> Outcome {
    let endpoint = rig.endpoint()?;
    let (peer, untyped) = cell(rig, part, Plan::serve(0).serving(&endpoint))?;
    take(&untyped)?;
    let client = rig.client(&endpoint, 0)?;
    let answer = Call::new(&client, methods::Reverse {}).bytes(&[1; 64]).timeout(PATIENCE).send();
    equal("the call", answer.err(), Some(CallError::Kernel(KernelError::ServerDied, 1)))?;
    equal("the cell's end", rig.end(peer)?, End::Failed)?;
    Plan::serve(0).serving(&endpoint).start(rig)?;
    equal("requests that the next server has seen", ask(&client, methods::Count {})?, 1)
}

/// With the next request, those before it are answered as well, and what was lent with them comes back.
fn it_holds(rig: &mut Rig, part: Part) -> Outcome {
    let endpoint = rig.endpoint()?;
    let (peer, untyped) = cell(rig, part, Plan::serve(1).serving(&endpoint))?;
    let lent: Cap<Untyped, All> = rig.make(14)?;
    let caller = Plan::new(Task::new(Role::Lend, 1)).calling(&endpoint).scratch(&lent).start(rig)?;
    take(&untyped)?;
    let answer = ask(&rig.client(&endpoint, 0)?, methods::Count {});
    equal("the next call", answer, Err(CallError::Kernel(KernelError::ServerDied, 1)))?;
    equal("the cell's end", rig.end(peer)?, End::Failed)?;
    rig.expect_report("the caller before", caller, DIED)?;
    take(&lent)
}

fn it_is_answered(rig: &mut Rig, part: Part) -> Outcome {
    let (_, endpoint, server) = rig.server(1)?;
    let (peer, untyped) = cell(rig, part, Plan::new(Task::call::<methods::Hold>(1)).calling(&endpoint))?;
    take(&untyped)?;
    equal("whether it is held", ask(&server, methods::Release { key: 1, value: 5 })?, 1)?;
    equal("the answer", ask(&server, methods::Status {})?, 0)?;
    equal("the cell's end", rig.wait_end(peer)?, End::Failed)
}
