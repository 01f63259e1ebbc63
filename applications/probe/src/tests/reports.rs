//! What is left to say of a cell that failed.

use abi::interface::Method;
use abi::kernel::{FaultCause, FaultReport, Scratch};
use alloc::boxed::Box;
use runtime::objects;

use crate::cells::{Peer, Plan};
use crate::outcome::{Failure, Outcome, equal, holds};
use crate::protocol::{ending, methods};
use crate::rig::{Rig, ask};
use crate::task::{Reported, Role, Task};

const MILLISECOND: u64 = 1_000_000;

tests! {
    a_failure_is_reported_with_its_cause,
    a_failure_is_reported_with_the_request_and_the_functions,
    a_cell_that_is_stopped_in_its_code_is_reported_with_its_place,
    a_cell_that_did_not_fail_has_no_report,
}

fn report(rig: &Rig, peer: Peer) -> Result<Box<FaultReport>, Failure> {
    objects::fault(&rig.instance(peer)?.tcb).ok_or_else(|| Failure::Wrong("there is no report".into()))
}

fn a_failure_is_reported_with_its_cause(rig: &mut Rig) -> Outcome {
    const EXCEPTION: u32 = FaultCause::Exception as u32;
    let (mut page_faults, mut others) = (alloc::vec::Vec::new(), alloc::vec::Vec::new());
    for (how, cause, vector) in [
        (ending::PANIC, FaultCause::Panic as u32, 0),
        (ending::PANIC_IN_DROP, FaultCause::Panic as u32, 0),
        (ending::OUT_OF_MEMORY, FaultCause::Panic as u32, 0),
        (ending::OVERFLOW, EXCEPTION, 14),
        (ending::OVERFLOW_IN_KERNEL, FaultCause::StackOverflow as u32, 0),
        (ending::OVERFLOW_IN_CALL, FaultCause::StackOverflow as u32, 0),
        (ending::READ_NULL, EXCEPTION, 14),
        (ending::WRITE_WILD, EXCEPTION, 14),
        (ending::UNDEFINED, EXCEPTION, 6),
        (ending::PROTECTION, EXCEPTION, 13),
        (ending::CALL_NULL, EXCEPTION, 14),
    ] {
        let (peer, _, client) = rig.server(0)?;
        holds("it dies", ask(&client, methods::End { how }).is_err())?;
        let report = report(rig, peer)?;
        equal("the cause", (report.cause, report.vector), (cause, vector))?;
        equal("the request's label", report.request[0], methods::End::LABEL.into())?;
        if vector == 14 {
            page_faults.push((how, report.address, report.error_code));
        } else if cause == EXCEPTION {
            others.push(report.registers[7]);
        }
    }
    let of =
        |wanted| page_faults.iter().find(|(how, ..)| *how == wanted).map(|(_, address, code)| (*address, code & 2));
    equal("the null pointer", of(ending::READ_NULL), Some((0, 0)))?;
    equal("the wild pointer", of(ending::WRITE_WILD), Some((0xffff_dfff_dead_b000, 2)))?;
    holds("there is a stack pointer", others.iter().all(|pointer| *pointer != 0))
}

fn a_failure_is_reported_with_the_request_and_the_functions(rig: &mut Rig) -> Outcome {
    let endpoint = rig.endpoint()?;
    let server = Plan::serve(0).serving(&endpoint).start(rig)?;
    let own = objects::thread_info(&rig.tcb)?.identity;
    holds("it dies", ask(&rig.client(&endpoint, 77)?, methods::End { how: ending::PANIC }).is_err())?;
    let report = report(rig, server)?;
    equal("the request", report.request, [methods::End::LABEL.into(), 77, own])?;
    let text = report.text.get(..report.text_length as usize).unwrap_or(&[]);
    holds("it says why", text.starts_with(b"as it was asked to at "))?;
    let trace = report.trace.get(..report.trace_length as usize).unwrap_or(&[]);
    let mut found = [false; 2];
    for back in trace {
        let mut room = [0; 160];
        let name = objects::image_symbol(&rig.loader, &rig.image, back - 1, &mut room)?;
        found[0] |= name.starts_with("probe::peer::ending::end+");
        found[1] |= name.starts_with("runtime::start+");
    }
    equal("who panicked, and where it all began, are in the trace", found, [true; 2])?;
    let mut nowhere = [0; 8];
    let beyond = objects::image_symbol(&rig.loader, &rig.image, 1 << 40, &mut nowhere);
    equal("a place outside of the code", beyond.map(str::len), Err(abi::KernelError::OutOfRange))
}

fn a_cell_that_is_stopped_in_its_code_is_reported_with_its_place(rig: &mut Rig) -> Outcome {
    let witness = rig.make(0)?;
    let busy = Plan::new(Task::new(Role::Busy, 0)).witness(&witness).priority(crate::cells::OWN - 1).start(rig)?;
    rig.wait(&witness)?;
    // It gave way in the function of the kernel that woke the tests, and runs on while they wait for another. That one's timer
    // takes the processor from it in its own code.
    let sleeper = Plan::new(Task::new(Role::Sleep, MILLISECOND)).start(rig)?;
    rig.expect_report("the sleeper", sleeper, Reported::Value(0))?;
    rig.stop(busy)?;
    let report = report(rig, busy)?;
    equal("the cause", report.cause, FaultCause::Stopped as u32)?;
    holds("its place is known", report.instruction != u64::MAX && report.registers[7] != 0)
}

fn a_cell_that_did_not_fail_has_no_report(rig: &mut Rig) -> Outcome {
    let (peer, _, client) = rig.server(0)?;
    let has_report = |rig: &Rig| rig.instance(peer).is_ok_and(|instance| objects::fault(&instance.tcb).is_some());
    holds("one that runs has none", !has_report(rig))?;
    holds("it dies", ask(&client, methods::End { how: ending::READ_NULL }).is_err())?;
    holds("one that failed has one", has_report(rig))?;
    objects::restart(&rig.instance(peer)?.tcb, &rig.loader, &rig.image, Scratch::Clear)?;
    holds("one that begins again has none", !has_report(rig))?;
    rig.instance(peer)?.start()?;
    holds("it ends", ask(&client, methods::End { how: ending::EXIT }).is_err())?;
    holds("one that ended by itself has none", !has_report(rig))
}
