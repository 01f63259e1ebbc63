//! Calls that a signal ends while no server has received them.

use abi::KernelError;
use abi::token::{All, Cap, Notification};
use runtime::objects;

use crate::cells::{End, Plan};
use crate::outcome::{Outcome, equal};
use crate::protocol::methods;
use crate::rig::{Rig, ask};
use crate::task::{Reported, Task};

tests! {
    a_parked_call_is_interrupted_by_the_signals_that_were_named,
    a_call_is_interrupted_before_it_is_parked,
    a_call_that_a_server_has_received_is_not_interrupted,
    a_cell_that_begins_again_is_not_interrupted_before_it_asks,
}

const INTERRUPTED: Reported = Reported::Kernel(KernelError::Interrupted, 0);

fn a_parked_call_is_interrupted_by_the_signals_that_were_named(rig: &mut Rig) -> Outcome {
    let nobody = rig.endpoint()?;
    // Words alone, and with a body.
    for task in [Task::call_interruptibly::<methods::Who>(1), Task::call_interruptibly::<methods::Reverse>(1)] {
        let notification: Cap<Notification, All> = rig.make(0)?;
        let client = Plan::new(task).calling(&nobody).hearing(&notification).start(rig)?;
        objects::signal(&notification, 1 | 8)?;
        equal("after another signal", rig.end(client)?, End::Runs)?;
        objects::signal(&notification, 4)?;
        rig.expect_report("after the signal", client, INTERRUPTED)?;
        equal("the signals, which are still there", rig.wait(&notification)?, 1 | 4 | 8)?;
    }
    // It had no effect.
    Plan::serve(0).serving(&nobody).start(rig)?;
    equal("requests that a server sees", ask(&rig.client(&nobody, 0)?, methods::Count {})?, 1)
}

fn a_call_is_interrupted_before_it_is_parked(rig: &mut Rig) -> Outcome {
    let nobody = rig.endpoint()?;
    let notification: Cap<Notification, All> = rig.make(0)?;
    objects::signal(&notification, 2)?;
    let task = Task::call_interruptibly::<methods::Who>(1);
    let client = Plan::new(task).calling(&nobody).hearing(&notification).start(rig)?;
    rig.expect_report("a call with the signal there", client, INTERRUPTED)?;
    let other: Cap<Notification, All> = rig.make(0)?;
    objects::signal(&other, 1)?;
    let parked = Plan::new(task).calling(&nobody).hearing(&other).start(rig)?;
    equal("a call with another signal there", rig.end(parked)?, End::Runs)?;
    // Where a server waits there is nothing to interrupt.
    let (_, endpoint, _) = rig.server(0)?;
    let client = Plan::new(task).calling(&endpoint).hearing(&notification).start(rig)?;
    rig.expect_report("a call that is served", client, Reported::Value(0))
}

fn a_call_that_a_server_has_received_is_not_interrupted(rig: &mut Rig) -> Outcome {
    let (_, endpoint, server) = rig.server(1)?;
    let notification: Cap<Notification, All> = rig.make(0)?;
    let task = Task::call_interruptibly::<methods::Hold>(1);
    let client = Plan::new(task).calling(&endpoint).hearing(&notification).start(rig)?;
    objects::signal(&notification, 2)?;
    equal("after the signal", rig.end(client)?, End::Runs)?;
    ask(&server, methods::Release { key: 1, value: 5 })?;
    rig.expect_report("after the answer", client, Reported::Value(5))
}

fn a_cell_that_begins_again_is_not_interrupted_before_it_asks(rig: &mut Rig) -> Outcome {
    let nobody = rig.endpoint()?;
    let notification: Cap<Notification, All> = rig.make(0)?;
    let task = Task::call_interruptibly::<methods::Who>(1);
    let client = Plan::new(task).calling(&nobody).hearing(&notification).start(rig)?;
    objects::signal(&notification, 2)?;
    rig.expect_report("the first time", client, INTERRUPTED)?;
    equal("the signal", rig.wait(&notification)?, 2)?;
    objects::restart(&rig.instance(client)?.tcb, &rig.loader, &rig.image, abi::kernel::Scratch::Clear)?;
    rig.instance(client)?.start()?;
    equal("the second time", rig.end(client)?, End::Runs)?;
    objects::signal(&notification, 4)?;
    rig.expect_report("after the signal", client, INTERRUPTED)
}
