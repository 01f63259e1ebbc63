//! Transactions as the kernel sees them: what is made under one stands or falls with it.

use alloc::vec;

use abi::KernelError;
use abi::kernel::ScopeState;
use abi::token::{All, Cap, Endpoint, Notification, Reply, Scope};
use runtime::{Event, Request, Server, objects};

use crate::cells::{End, Peer, Plan};
use crate::outcome::{Failure, Outcome, equal, holds};
use crate::protocol::methods::Peer as Method;
use crate::rig::{PATIENCE, Rig};
use crate::task::{Reported, Role, Task};

tests! {
    what_is_made_in_a_transaction_stays_when_it_is_settled,
    what_is_made_in_a_transaction_goes_when_it_is_aborted_and_the_watcher_hears_of_it,
    the_death_of_a_beginner_is_told_and_its_transaction_can_be_aborted,
    a_thread_has_one_transaction_and_a_scope_one_beginner,
}

/// The bit that says that a transaction lost its beginner.
const ORPHANED: u64 = 1 << 63;
/// The bits by which the watcher of aborted transactions hears.
const ABORTED: u64 = 6;

/// The tests in the part of a store: an endpoint where transactions are begun and finished.
struct Store {
    server: Server,
    scope: Cap<Scope, All>,
    /// Hears of orphans, as long as the test runs.
    orphans: Cap<Notification, All>,
    /// Hears of aborted transactions.
    watcher: Cap<Notification, All>,
}

impl Store {
    /// A store, and a client of it with a task, which has another server make objects.
    fn start(rig: &mut Rig, task: Task) -> Result<(Store, Peer), Failure> {
        let (_, maker, _) = rig.server(0)?;
        let endpoint: Cap<Endpoint, All> = rig.endpoint()?;
        let reply: Cap<Reply, All> = rig.make(0)?;
        let (orphans, watcher): (Cap<Notification, All>, Cap<Notification, All>) = (rig.make(0)?, rig.make(0)?);
        objects::bind(&rig.tcb, &orphans)?;
        objects::watch_aborts(&rig.loader, &watcher, ABORTED)?;
        let client = Plan::new(task).calling(&endpoint).calling_also(&maker).start(rig)?;
        let server = Server::new(objects::receiving(endpoint), vec![reply]);
        Ok((Store { server, scope: rig.make(0)?, orphans, watcher }, client))
    }

    /// Serves one request.
    fn serve(&mut self, rig: &Rig) -> Outcome {
        match self.server.next_event_within(PATIENCE)? {
            Event::Signal(bits) => Err(Failure::Wrong(alloc::format!("the signal {bits:#x} instead of a request"))),
            Event::Request(request) => answer(rig, &self.scope, request),
        }
    }

    /// Sends the last answer, and waits for signals.
    fn hear(&mut self) -> Result<u64, Failure> {
        match self.server.next_event_within(PATIENCE)? {
            Event::Signal(bits) => Ok(bits),
            Event::Request(request) => {
                let label = request.label();
                Err(Failure::Wrong(alloc::format!("a request of label {label} instead of a signal")))
            }
        }
    }

    /// Whether the watcher has heard of an aborted transaction since.
    fn has_heard(&self) -> bool {
        objects::wait(&self.watcher, 0) == Ok(ABORTED)
    }
}

fn answer(rig: &Rig, scope: &Cap<Scope, All>, request: Request<'_>) -> Outcome {
    match Method::decode(request.label(), request.words()) {
        Some(Method::Begin(_)) => {
            let begun = objects::attach_scope(scope, request.reply_object(), &rig.settle)?;
            request.ok(begun);
        }
        Some(Method::Finish(finish)) => {
            match finish.keep {
                0 => objects::abort_scope(scope, &rig.settle)?,
                _ => objects::settle_scope(scope, &rig.settle)?,
            }
            request.ok(0);
        }
        _ => request.refuse(1, 0),
    }
    Ok(())
}

/// Begin and Finish of a client, until it has ended.
fn transact(rig: &mut Rig, keep: u64) -> Result<(Store, Peer), Failure> {
    let (mut store, client) = Store::start(rig, Task::new(Role::Transact, keep))?;
    equal("the state before", objects::scope_state(&store.scope)?, ScopeState::Idle)?;
    store.serve(rig)?;
    equal("the state of an open one", objects::scope_state(&store.scope)?, ScopeState::Open)?;
    store.serve(rig)?;
    equal("the state afterwards", objects::scope_state(&store.scope)?, ScopeState::Idle)?;
    // The last answer goes out when the store receives again.
    let timed_out = store.server.next_event_within(1_000_000).err();
    equal("what else comes", timed_out, Some(abi::CallError::Kernel(KernelError::TimedOut, 0)))?;
    Ok((store, client))
}

fn what_is_made_in_a_transaction_stays_when_it_is_settled(rig: &mut Rig) -> Outcome {
    let (store, client) = transact(rig, 1)?;
    rig.expect_report("what the client does with the object", client, Reported::Value(7))?;
    holds("the watcher heard of nothing", !store.has_heard())
}

fn what_is_made_in_a_transaction_goes_when_it_is_aborted_and_the_watcher_hears_of_it(rig: &mut Rig) -> Outcome {
    let (store, client) = transact(rig, 0)?;
    let gone = Reported::Kernel(KernelError::InvalidCapability, 0);
    rig.expect_report("what the client does with the object", client, gone)?;
    holds("the watcher heard of it", store.has_heard())
}

fn the_death_of_a_beginner_is_told_and_its_transaction_can_be_aborted(rig: &mut Rig) -> Outcome {
    let (mut store, client) = Store::start(rig, Task::new(Role::BeginAndEnd, 0))?;
    store.serve(rig)?;
    equal("what the store hears", store.hear()?, ORPHANED)?;
    match rig.wait_end(client)? {
        End::Reported(Reported::Value(_)) => {}
        end => return Err(Failure::Wrong(alloc::format!("the client ended as {end:?}"))),
    }
    equal("the state", objects::scope_state(&store.scope)?, ScopeState::Orphaned)?;
    let notifications = |rig: &Rig| rig.count_kind(client, abi::kernel::Kind::Notification);
    equal("objects of the transaction", notifications(rig)?, 1)?;
    objects::abort_scope(&store.scope, &rig.settle)?;
    equal("objects of the transaction afterwards", notifications(rig)?, 0)?;
    equal("the state afterwards", objects::scope_state(&store.scope)?, ScopeState::Idle)?;
    holds("the watcher heard of it", store.has_heard())?;
    equal("more for the store to hear", objects::wait(&store.orphans, 0).ok(), None)
}

fn a_thread_has_one_transaction_and_a_scope_one_beginner(rig: &mut Rig) -> Outcome {
    let (mut store, _) = Store::start(rig, Task::new(Role::BeginAndEnd, 0))?;
    let second: Cap<Scope, All> = rig.make(0)?;
    let Event::Request(request) = store.server.next_event_within(PATIENCE)? else {
        return Err(Failure::Wrong("a signal instead of a request".into()));
    };
    let reply = request.reply_object();
    objects::attach_scope(&store.scope, reply, &rig.settle)?;
    let refused = Err(KernelError::IllegalOperation);
    equal("a second transaction of the thread", objects::attach_scope(&second, reply, &rig.settle), refused)?;
    equal("a second beginner of the scope", objects::attach_scope(&store.scope, reply, &rig.settle), refused)?;
    request.ok(0);
    Ok(())
}
