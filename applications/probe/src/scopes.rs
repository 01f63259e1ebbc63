//! Transactions as the kernel sees them: what is made under one stands or falls with it.

use alloc::vec;

use abi::KernelError;
use abi::token::{All, Cap, Endpoint, Reply, Scope};
use runtime::{Event, Server, objects};

use crate::lab::{Failed, HIGH, Lab, MIDDLE, Peer, Test, Tested, same};
use crate::protocol::{Reported, Role, Task, methods::Peer as Method, slots};

pub const TESTS: &[(&str, Test)] = &[
    ("what_is_made_in_a_transaction_stays_when_it_is_settled", settled),
    ("what_is_made_in_a_transaction_goes_when_it_is_aborted", aborted),
    ("a_transaction_whose_beginner_ends_is_told_of", orphaned),
];

/// The bit that says that a transaction lost its beginner.
const ORPHANED: u64 = 1 << 63;

fn settled(lab: &mut Lab) -> Tested {
    let peer = transact(lab, 1)?;
    same("the object", peer.reported(lab)?, Reported::Value(7))
}

fn aborted(lab: &mut Lab) -> Tested {
    let peer = transact(lab, 0)?;
    same("the object", peer.reported(lab)?, Reported::kernel(KernelError::InvalidCapability, 0))
}

/// Plays the store for a peer that begins a transaction, has an object made elsewhere, and finishes.
fn transact(lab: &mut Lab, keep: u64) -> Tested<Peer> {
    let (store, maker): (Cap<Endpoint, All>, Cap<Endpoint, All>) = (lab.object(0)?, lab.object(0)?);
    let _maker = lab.serving(&maker, 0, MIDDLE)?;
    let peer = lab.peer(Task::new(Role::Transact, keep), HIGH)?;
    peer.grant_call(slots::TARGET, &store, 1)?;
    peer.grant_call(slots::SECOND, &maker, 1)?;
    serve(lab, store, &peer)?;
    Ok(peer)
}

/// Serves Begin and Finish until the peer has ended.
fn serve(lab: &mut Lab, store: Cap<Endpoint, All>, peer: &Peer) -> Tested {
    objects::serve_labels(&store, Method::LABELS)?;
    peer.start(lab)?;
    let scope: Cap<Scope, All> = lab.object(0)?;
    let reply: Cap<Reply, All> = lab.object(0)?;
    let mut server = Server::new(objects::receiving(store), vec![reply]);
    serve_until_ended(lab, &mut server, &scope, peer)
}

fn serve_until_ended(lab: &Lab, server: &mut Server, scope: &Cap<Scope, All>, peer: &Peer) -> Tested {
    while peer.runs()? {
        match server.next_event() {
            Event::Signal(bits) if bits & ORPHANED != 0 => {
                return Err(Failed("a transaction lost its beginner".into()));
            }
            Event::Signal(_) => {}
            Event::Request(request) => match Method::decode(request.label(), request.words()) {
                Some(Method::Begin(_)) => {
                    let begun = objects::attach_scope(scope, request.reply_object(), &lab.settle)?;
                    request.ok(begun);
                }
                Some(Method::Finish(finish)) => {
                    match finish.keep {
                        0 => objects::abort_scope(scope, &lab.settle)?,
                        _ => objects::settle_scope(scope, &lab.settle)?,
                    }
                    request.ok(0);
                }
                _ => request.refuse(1, 0),
            },
        }
    }
    Ok(())
}

fn orphaned(lab: &mut Lab) -> Tested {
    let store: Cap<Endpoint, All> = lab.object(0)?;
    let peer = lab.peer(Task::new(Role::BeginAndEnd, 0), HIGH)?;
    peer.grant_call(slots::TARGET, &store, 1)?;
    match serve(lab, store, &peer) {
        Err(Failed(reason)) if reason.contains("lost its beginner") => {}
        other => {
            other?;
            // The bit may have come with the end of the peer.
            let bits = objects::wait(&lab.notification, 0)?;
            same("the bit", bits & ORPHANED, ORPHANED)?;
        }
    }
    Ok(())
}
