//! What an endpoint lets through, and what the kernel says of the sender.

use abi::interface::{Label, Method};
use abi::token::{CallOnly, Cap, Endpoint};
use abi::{CallError, KernelError};
use runtime::{Call, objects};

use crate::cells::Plan;
use crate::outcome::{Failure, Outcome, equal};
use crate::protocol::{methods, strange};
use crate::rig::{Rig, ask};
use crate::task::{Reported, Task};

tests! {
    a_label_that_nobody_serves_is_refused_before_the_server_sees_it,
    a_label_out_of_range_is_refused_before_the_server_sees_it,
    a_label_of_another_signature_is_told_before_it_is_called,
    who_may_call_cannot_declare_labels,
    badge_and_thread_are_the_kernel_s_word,
    a_request_that_waits_keeps_its_badge,
    a_badge_is_for_good,
}

/// How a method is served.
const fn label<M: Method>() -> Label {
    Label { number: M::LABEL, signature: M::SIGNATURE, is_replayable: false }
}

/// Calls a label in both forms that a call has.
fn refused<M: Method<Value = u64> + Copy>(client: &Cap<Endpoint, CallOnly>, method: M, error: KernelError) -> Outcome {
    let expected = Some(CallError::Kernel(error, 0));
    equal("the answer to words alone", Call::new(client, method).words().err(), expected)?;
    equal("the answer to a call with more", ask(client, method).err(), expected)
}

fn a_label_that_nobody_serves_is_refused_before_the_server_sees_it(rig: &mut Rig) -> Outcome {
    let (_, _, client) = rig.server(0)?;
    refused(&client, strange::Absent {}, KernelError::UnknownLabel)?;
    equal("requests that the server has seen", ask(&client, methods::Count {})?, 1)
}

fn a_label_out_of_range_is_refused_before_the_server_sees_it(rig: &mut Rig) -> Outcome {
    let (_, _, client) = rig.server(0)?;
    refused(&client, strange::OutOfRange {}, KernelError::UnknownLabel)?;
    refused(&client, strange::Alias {}, KernelError::UnknownLabel)?;
    // The labels under which the kernel itself speaks to a server.
    refused(&client, strange::Failure {}, KernelError::UnknownLabel)?;
    refused(&client, strange::Signal {}, KernelError::UnknownLabel)?;
    let refused =
        objects::serve_labels(&rig.endpoint()?, &[Label { number: 64, signature: 1, is_replayable: false }]).err();
    equal("the answer to a server", refused, Some(KernelError::OutOfRange))?;
    equal("requests that the server has seen", ask(&client, methods::Count {})?, 1)
}

fn a_label_of_another_signature_is_told_before_it_is_called(rig: &mut Rig) -> Outcome {
    const OTHER: &[Label] = &[label::<strange::Who>()];
    const ABSENT: &[Label] = &[label::<strange::Absent>()];
    let (_, _, client) = rig.server(0)?;
    equal("the labels that it serves", objects::check_labels(&client, methods::Peer::LABELS), Ok(()))?;
    equal("another signature", objects::check_labels(&client, OTHER), Err(KernelError::WrongSignature))?;
    equal("another label", objects::check_labels(&client, ABSENT), Err(KernelError::UnknownLabel))?;
    equal("requests that the server has seen", ask(&client, methods::Count {})?, 1)
}

fn who_may_call_cannot_declare_labels(rig: &mut Rig) -> Outcome {
    let (_, _, client) = rig.server(0)?;
    let refused = objects::serve_labels(&client, strange::Strange::LABELS);
    equal("the answer", refused, Err(KernelError::MissingRight))?;
    equal(
        "labels that nobody serves",
        ask(&client, strange::Absent {}),
        Err(CallError::Kernel(KernelError::UnknownLabel, 0)),
    )
}

fn badge_and_thread_are_the_kernel_s_word(rig: &mut Rig) -> Outcome {
    let (_, endpoint, plain) = rig.server(0)?;
    let own = objects::thread_info(&rig.tcb)?.identity;
    let (seven, nine) = (rig.client(&endpoint, 7)?, rig.client(&endpoint, 9)?);
    for (client, badge) in [(&plain, 0), (&seven, 7), (&nine, 9)] {
        let claim = methods::Who { badge: 1, thread: 2 };
        equal("the badge of words alone", Call::new(client, claim).words()?, badge)?;
        equal("the thread of words alone", Call::new(client, methods::WhoseThread {}).words()?, own)?;
        let answered = Call::new(client, claim).send()?;
        equal("badge and thread", (answered.value, answered.second), (badge, own))?;
    }
    let other = Plan::new(Task::call::<methods::Who>(1)).calling_as(&endpoint, 5).start(rig)?;
    rig.expect_report("the badge of another", other, Reported::Value(5))?;
    let identity = objects::thread_info(&rig.instance(other)?.tcb)?.identity;
    if identity == own { Err(Failure::Wrong("two threads have one number".into())) } else { Ok(()) }
}

fn a_request_that_waits_keeps_its_badge(rig: &mut Rig) -> Outcome {
    let endpoint = rig.endpoint()?;
    let caller = Plan::new(Task::call::<methods::Who>(1)).calling_as(&endpoint, 5).start(rig)?;
    Plan::serve(0).serving(&endpoint).start(rig)?;
    rig.expect_report("the badge", caller, Reported::Value(5))
}

fn a_badge_is_for_good(rig: &mut Rig) -> Outcome {
    let endpoint = rig.endpoint()?;
    let badged = rig.client(&endpoint, 9)?;
    for badge in [9, 10] {
        let minted = objects::duplicate::<_, _, CallOnly>(&badged, &rig.cnode, badge);
        equal("the answer to a second badge", minted.err(), Some(KernelError::IllegalOperation))?;
    }
    let copy: Cap<Endpoint, CallOnly> = objects::duplicate(&badged, &rig.cnode, 0)?;
    let info = objects::inspect(&rig.cnode, copy.raw().slot as u32);
    equal("the badge of a copy", info.map(|info| info.badge), Some(9))
}
