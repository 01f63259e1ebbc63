//! What reaches a server, and what comes back.

use alloc::vec;

use abi::KernelError;
use abi::kernel::BODY_MAX;
use abi::token::{All, Buf as BufObject, Cap, Endpoint, Notification};
use runtime::{Buf, Call, objects};

use crate::lab::{HIGH, Lab, MIDDLE, Test, Tested, claim, kernel_error, same};
use crate::protocol::{Reported, Task, methods, strange};

pub const TESTS: &[(&str, Test)] = &[
    ("a_server_learns_the_badge_and_the_thread_from_the_kernel", identity),
    ("an_unknown_label_never_reaches_the_server", unknown_labels),
    ("bodies_of_every_length_come_back_reversed", bodies),
    ("a_lent_buf_is_the_servers_until_the_reply", lending),
    ("capabilities_travel_with_calls_and_replies", grants),
    ("a_capability_that_finds_no_slot_stays_where_it_was", no_slot),
    ("deferred_requests_are_answered_in_any_order", deferred),
    ("a_short_call_and_a_long_one_may_alternate", alternating),
];

fn identity(lab: &mut Lab) -> Tested {
    let endpoint: Cap<Endpoint, All> = lab.object(0)?;
    let _server = lab.serving(&endpoint, 0, MIDDLE)?;
    let me = objects::thread_info(&lab.thread)?.identity;
    for badge in [7, u64::MAX] {
        let answered = Call::new(&lab.client(&endpoint, badge)?, methods::Who {}).send()?;
        same("badge", answered.value, badge)?;
        same("thread", answered.second, me)?;
    }
    let other = lab.calling(&endpoint, 7, Task::call::<methods::Who>(0), HIGH)?;
    let thread = objects::thread_info(&other.instance.tcb)?.identity;
    same("another's thread", other.reported(lab)?, Reported::Value(thread))?;
    same("no two threads have one number", thread == me, false)
}

fn unknown_labels(lab: &mut Lab) -> Tested {
    let endpoint: Cap<Endpoint, All> = lab.object(0)?;
    let _server = lab.serving(&endpoint, 0, MIDDLE)?;
    let client = lab.client(&endpoint, 1)?;
    let absent = Call::new(&client, strange::Absent {}).words();
    same("a label that is not served", kernel_error(absent)?.0, KernelError::UnknownLabel)?;
    let beyond = Call::new(&client, strange::OutOfRange {}).words();
    same("a label out of range", kernel_error(beyond)?.0, KernelError::UnknownLabel)?;
    let long = Call::new(&client, strange::Absent {}).bytes(&[1]).send();
    same("the same with a body", kernel_error(long)?.0, KernelError::UnknownLabel)?;
    same("another signature", objects::check_labels(&client, strange::Strange::LABELS).is_err(), true)?;
    objects::check_labels(&client, methods::Peer::LABELS)?;
    same("requests that the server saw", Call::new(&client, methods::Count {}).words()?, 1)
}

fn bodies(lab: &mut Lab) -> Tested {
    let endpoint: Cap<Endpoint, All> = lab.object(0)?;
    let _server = lab.serving(&endpoint, 0, MIDDLE)?;
    let client = lab.client(&endpoint, 1)?;
    let mut room = vec![0; BODY_MAX];
    for length in [0, 1, 7, BODY_MAX - 1, BODY_MAX] {
        let body: alloc::vec::Vec<u8> = (0..length).map(|index| (index % 251) as u8).collect();
        let (answered, got) = Call::new(&client, methods::Reverse {}).bytes(&body).into_bytes(&mut room)?;
        same("length at the server", answered.value, length as u64)?;
        same("length of the reply", got, length)?;
        same("the body", room.iter().take(length).rev().eq(body.iter()), true)?;
    }
    let long = Call::new(&client, methods::Reverse {}).bytes(&vec![0; BODY_MAX + 1]).send();
    same("a body that is too long", kernel_error(long)?, (KernelError::TooLarge, BODY_MAX as u64))?;
    let reply = Call::new(&client, methods::Long { length: 100 }).into_bytes(&mut [0; 99]);
    same("a reply without room", kernel_error(reply)?, (KernelError::TooLarge, 100))?;
    same("the server goes on", Call::new(&client, methods::Who {}).words()?, 1)
}

fn lending(lab: &mut Lab) -> Tested {
    let endpoint: Cap<Endpoint, All> = lab.object(0)?;
    let _server = lab.serving(&endpoint, 0, MIDDLE)?;
    let client = lab.client(&endpoint, 1)?;
    let object: Cap<BufObject, All> = lab.object(12)?;
    let mut buf = Buf::map(object, &lab.vspace)?;
    for seed in 0..3u64 {
        let filled = Call::new(&client, methods::Fill { seed }).lend(&mut buf).send()?;
        same("bytes that were lent", filled.value, 4096)?;
        let as_filled =
            buf.bytes().iter().enumerate().all(|(index, byte)| *byte == (seed as u8).wrapping_add(index as u8));
        same("what the server wrote", as_filled, true)?;
    }
    buf.bytes_mut().fill(3);
    same("what the server reads", Call::new(&client, methods::Sum {}).lend(&mut buf).send()?.value, 3 * 4096)?;
    same("without a Buf there is nothing", Call::new(&client, methods::Sum {}).send()?.value, 0)
}

fn grants(lab: &mut Lab) -> Tested {
    let endpoint: Cap<Endpoint, All> = lab.object(0)?;
    let _server = lab.serving(&endpoint, 0, MIDDLE)?;
    let client = lab.client(&endpoint, 1)?;
    let mine: Cap<Notification, All> = lab.object(0)?;
    let copy: Cap<Notification, All> = objects::duplicate(&mine, &lab.cnode, 0)?;
    let taken = Call::new(&client, methods::Take { bits: 6 }).grant(copy).send()?;
    same("the server could signal", taken.value, 1)?;
    same("the signal", objects::wait(&mine, 0)?, 6)?;
    let given: Cap<Notification, All> = claim(lab, Call::new(&client, methods::Give {}).send()?.granted)?;
    objects::signal(&given, 5)?;
    same("a capability that came with a reply", objects::wait(&given, 0)?, 5)?;
    // A server that does not take what comes along deletes it.
    let unwanted: Cap<Notification, All> = objects::duplicate(&mine, &lab.cnode, 0)?;
    let slot = unwanted.raw().slot as u32;
    Call::new(&client, methods::Count {}).grant(unwanted).send()?;
    same("what was given away is gone", objects::inspect(&lab.cnode, slot).is_none_or(|info| info.kind == 0), true)
}

fn no_slot(lab: &mut Lab) -> Tested {
    let endpoint: Cap<Endpoint, All> = lab.object(0)?;
    let server = lab.serving(&endpoint, 0, MIDDLE)?;
    let client = lab.client(&endpoint, 1)?;
    // Fill the server's table.
    let filler: Cap<Notification, All> = lab.object(0)?;
    while objects::copy(&filler, &server.instance.cnode, 0, u8::MAX, 0).is_ok() {}
    let mine: Cap<Notification, All> = lab.object(0)?;
    let refused = Call::new(&client, methods::Take { bits: 6 }).grant(mine).send();
    same("the server got nothing", refused.err(), Some(abi::CallError::Server(2, 0)))?;
    same("the server goes on", Call::new(&client, methods::Who {}).words()?, 1)
}

fn deferred(lab: &mut Lab) -> Tested {
    let endpoint: Cap<Endpoint, All> = lab.object(0)?;
    let _server = lab.serving(&endpoint, 4, MIDDLE)?;
    let client = lab.client(&endpoint, 9)?;
    let mut held = vec![];
    for key in 0..3 {
        held.push(lab.calling(&endpoint, key + 1, Task::call::<methods::Hold>(key), HIGH)?);
    }
    for (key, value) in [(1u64, 21u64), (2, 22), (0, 20)] {
        same("it is held", Call::new(&client, methods::Release { key, value }).words()?, 1)?;
        let Some(peer) = held.get(key as usize) else { continue };
        same("its answer", peer.reported(lab)?, Reported::Value(value))?;
    }
    same("nothing is held twice", Call::new(&client, methods::Release { key: 1, value: 1 }).words()?, 0)
}

fn alternating(lab: &mut Lab) -> Tested {
    let endpoint: Cap<Endpoint, All> = lab.object(0)?;
    let _server = lab.serving(&endpoint, 2, MIDDLE)?;
    let client = lab.client(&endpoint, 3)?;
    let mut room = [0; 8];
    for round in 0..50u64 {
        same("a short call", Call::new(&client, methods::Who {}).words()?, 3)?;
        let body = round.to_le_bytes();
        let (_, length) = Call::new(&client, methods::Reverse {}).bytes(&body).into_bytes(&mut room)?;
        same("a long call", (length, room.iter().rev().eq(body.iter())), (8, true))?;
        if round % 10 == 0 {
            let held = lab.calling(&endpoint, 4, Task::call::<methods::Hold>(round), HIGH)?;
            same("a short call meanwhile", Call::new(&client, methods::Who {}).words()?, 3)?;
            Call::new(&client, methods::Release { key: round, value: round }).words()?;
            same("a deferred one", held.reported(lab)?, Reported::Value(round))?;
        }
    }
    same("requests that the server saw", Call::new(&client, methods::Count {}).words()?, 116)
}
