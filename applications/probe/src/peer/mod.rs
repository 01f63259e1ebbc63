//! The other cells of the tests: further instances of this one, each with a role.

mod ending;
mod serving;
pub mod tally;

pub use ending::LAST_WORDS;

use abi::interface::Method;
use abi::kernel::TIMEOUT_NONE;
use abi::token::{All, CNode, CallOnly, Cap, Endpoint, Frame, Image, Irq, Notification, Reply, Untyped, VSpace};
use abi::{CallError, KernelError, slots as fixed};
use runtime::{Answered, Buf, Call, Environment, Event, Server, objects};

use crate::protocol::{methods, slots, using};
use crate::task::{Reported, Role, Task};

/// The signals that end a call of [`Role::CallInterruptibly`].
pub const INTERRUPTING: u64 = 2 | 4;
/// Calls of [`Role::Press`] from one signal to the next.
pub const STRETCH: u64 = 16;
/// Bytes of the Buf of [`Role::Lend`], as a power of two.
pub const BUF_BITS: u8 = 12;

/// Does what the task says; the status is a [`Reported`].
pub fn run(environment: Environment, task: Task) -> u64 {
    Reported::of(perform(environment, task)).to_status()
}

fn perform(mut environment: Environment, task: Task) -> Result<u64, CallError> {
    match task.role {
        Role::Serve => serving::run(environment, task.value),
        Role::Call => call(&target(&mut environment), task),
        Role::CallInterruptibly => {
            let notification: Cap<Notification, All> = environment.need(fixed::NOTIFICATION, "its notification");
            let thread = environment.need(fixed::TCB, "its thread");
            objects::bind_and_interrupt(&thread, &notification, INTERRUPTING).map_err(failed)?;
            call(&target(&mut environment), task)
        }
        Role::Lend => lend(environment, task.value),
        Role::Busy => {
            signal(&witness(&mut environment), 1)?;
            ending::run_for_ever()
        }
        Role::Signal => signal(&witness(&mut environment), task.value),
        Role::StopItself => {
            let thread = environment.need(fixed::TCB, "its thread");
            objects::stop_thread(&thread).map(|()| 0).map_err(failed)
        }
        Role::Receive => receive(environment, task.value),
        Role::Wait => {
            let notification: Cap<Notification, All> = environment.need(fixed::NOTIFICATION, "its notification");
            objects::wait(&notification, TIMEOUT_NONE)
        }
        Role::Sleep => {
            runtime::sleep(if task.value == 0 { TIMEOUT_NONE } else { task.value });
            Ok(0)
        }
        Role::Transact => transact(environment, Some(task.value)),
        Role::BeginAndEnd => transact(environment, None),
        Role::UseWhatWasTaken => use_what_was_taken(environment, task.value),
        Role::Tally => tally::serve(environment, task.value),
        Role::Count => {
            let enough = environment.take(fixed::NOTIFICATION);
            tally::count(&target(&mut environment), enough.as_ref(), task)
        }
        Role::DeleteSecond => {
            ask(&target(&mut environment), methods::Hold { key: task.value })?;
            objects::delete::<Frame, All>(environment.need(slots::SECOND, "what is to be deleted"));
            Ok(0)
        }
        Role::Press => {
            let (target, witness) = (target(&mut environment), witness(&mut environment));
            for answered in 1..=task.value {
                Call::new(&target, methods::Who { badge: 0, thread: 0 }).words()?;
                if answered % STRETCH == 0 {
                    signal(&witness, 1)?;
                }
            }
            Ok(task.value)
        }
        Role::Drive => drive(environment, task.value),
        Role::TakeWhenFull => take_when_full(environment, task.value),
    }
}

fn target(environment: &mut Environment) -> Cap<Endpoint, CallOnly> {
    environment.need(slots::TARGET, "an endpoint to call")
}

fn witness(environment: &mut Environment) -> Cap<Notification, All> {
    environment.need(slots::WITNESS, "a notification to signal")
}

fn signal(notification: &Cap<Notification, All>, bits: u64) -> Result<u64, CallError> {
    objects::signal(notification, bits).map(|()| bits).map_err(failed)
}

fn failed(error: KernelError) -> CallError {
    CallError::Kernel(error, 0)
}

/// Waits for the answer for ever: time limits are the tests' own affair.
fn ask<M: Method<Value = u64>>(target: &Cap<Endpoint, CallOnly>, method: M) -> Result<u64, CallError> {
    Call::new(target, method).send().map(|answered: Answered<M>| answered.value)
}

/// Calls the method of a label. `Who` and `Spin` are sent as words alone.
fn call(target: &Cap<Endpoint, CallOnly>, task: Task) -> Result<u64, CallError> {
    let value = task.value;
    match task.label {
        methods::Who::LABEL => Call::new(target, methods::Who { badge: value, thread: value }).words(),
        methods::Spin::LABEL => Call::new(target, methods::Spin { steps: value }).words(),
        methods::Write::LABEL => ask(target, methods::Write { digit: value }),
        methods::Reverse::LABEL => ask(target, methods::Reverse {}),
        methods::Hold::LABEL => ask(target, methods::Hold { key: value }),
        methods::HoldAgain::LABEL => ask(target, methods::HoldAgain { key: value }),
        methods::End::LABEL => ask(target, methods::End { how: value }),
        methods::Forward::LABEL => ask(target, methods::Forward { steps: value }),
        methods::Make::LABEL => ask(target, methods::Make { how: value }),
        label => panic!("bug: a peer is to call label {label}"),
    }
}

fn map_buf(memory: &Cap<Untyped>, cnode: &Cap<CNode, All>, vspace: &Cap<VSpace, All>) -> Result<Buf, CallError> {
    let mapped = objects::retype(memory, BUF_BITS, cnode).and_then(|cap| Buf::map(cap, vspace));
    mapped.map_err(failed)
}

/// Names memory to the kernel that was taken away while this waited for the target.
fn use_what_was_taken(mut environment: Environment, how: u64) -> Result<u64, CallError> {
    let cnode = environment.cnode();
    let target = target(&mut environment);
    let vspace = environment.need(fixed::VSPACE, "its VSpace");
    let scratch: Cap<Untyped> = environment.need(slots::SCRATCH, "memory");
    let mut buf = map_buf(&scratch, &cnode, &vspace)?;
    if how != using::AS_ROOM_LATER {
        ask(&target, methods::Hold { key: 1 })?;
    }
    match how {
        using::AS_BODY => {
            let body = buf.bytes().get(..64).unwrap_or(&[]);
            Call::new(&target, methods::Reverse {}).bytes(body).send().map(|answered| answered.value)
        }
        using::AS_ROOM => {
            let call = Call::new(&target, methods::Long { length: 64 });
            call.into_bytes(buf.bytes_mut()).map(|(answered, _)| answered.value)
        }
        using::AS_ROOM_LATER => {
            let call = Call::new(&target, methods::Hold { key: 1 });
            call.into_bytes(buf.bytes_mut()).map(|(answered, _)| answered.value)
        }
        _ => {
            let image: Cap<Image, All> = environment.need(slots::SECOND, "an image object");
            objects::fill_image(&image, buf.bytes()).map(|()| 0).map_err(failed)
        }
    }
}

fn lend(mut environment: Environment, key: u64) -> Result<u64, CallError> {
    let cnode = environment.cnode();
    let target = target(&mut environment);
    let vspace = environment.need(fixed::VSPACE, "its VSpace");
    let scratch: Cap<Untyped> = environment.need(slots::SCRATCH, "memory");
    let mut buf = map_buf(&scratch, &cnode, &vspace)?;
    for (byte, value) in buf.bytes_mut().iter_mut().zip(1u64..) {
        *byte = value as u8;
    }
    Call::new(&target, methods::Hold { key }).lend(&mut buf).send().map(|answered| answered.value)
}

fn receive(mut environment: Environment, nanoseconds: u64) -> Result<u64, CallError> {
    let endpoint = environment.need(fixed::ENDPOINT, "an endpoint");
    let reply: Cap<Reply, All> = environment.need(fixed::REPLY, "a reply object");
    let mut server = Server::new(endpoint, alloc::vec![reply]);
    let got = match server.next_event_within(nanoseconds)? {
        Event::Signal(bits) => bits,
        Event::Request(request) => {
            let label = request.label();
            request.ok_bytes(label.into(), &[]);
            label.into()
        }
    };
    Ok(got)
}

/// A transaction of the first server, in which the second one makes an object; finished unless `keep` is `None`.
fn transact(mut environment: Environment, keep: Option<u64>) -> Result<u64, CallError> {
    let cnode = environment.cnode();
    let store = target(&mut environment);
    let maker: Cap<Endpoint, CallOnly> = environment.need(slots::SECOND, "who makes objects");
    let scope = ask(&store, methods::Begin {})?;
    assert!(ask(&maker, methods::Scope {})? == scope, "another scope travels with the call");
    let made = Call::new(&maker, methods::Give {}).send()?;
    let Some(granted) = made.granted else { panic!("nothing came with the reply") };
    let object: Cap<Notification, All> = granted.claim(&cnode).map_err(failed)?;
    signal(&object, 1)?;
    let travels = Call::new(&maker, methods::Scope {}).words()?;
    assert!(travels == scope, "another scope travels with words alone");
    let Some(keep) = keep else { return Ok(scope) };
    ask(&store, methods::Finish { keep })?;
    // The server that makes objects works in no transaction any more.
    Call::new(&maker, methods::Make { how: 0 }).words()?;
    let travels = Call::new(&maker, methods::Scope {}).words()?;
    assert!(travels == 0 && ask(&maker, methods::Scope {})? == 0, "the scope still travels with calls");
    signal(&object, 7)
}

fn drive(mut environment: Environment, how: u64) -> Result<u64, CallError> {
    let cnode = environment.cnode();
    let line: Cap<Irq, All> = environment.need(slots::SECOND, "an interrupt line");
    let scratch: Cap<Untyped> = environment.need(slots::SCRATCH, "memory");
    let notification: Cap<Notification, All> = objects::retype(&scratch, 0, &cnode).map_err(failed)?;
    objects::irq_bind(&line, &notification, 1).map_err(failed)?;
    ending::end(how)
}

/// Asks for a capability when the CNode has no more than so many slots left.
fn take_when_full(mut environment: Environment, left: u64) -> Result<u64, CallError> {
    let cnode = environment.cnode();
    let target = target(&mut environment);
    let witness = witness(&mut environment);
    fill(&cnode, &witness, left)?;
    let answered = Call::new(&target, methods::Give {}).send()?;
    Ok(answered.granted.is_some().into())
}

/// Fills a CNode with copies, and makes room for `left` of them again.
fn fill(cnode: &Cap<CNode, All>, source: &Cap<Notification, All>, left: u64) -> Result<(), CallError> {
    let mut last = alloc::vec::Vec::new();
    loop {
        match objects::duplicate::<_, _, All>(source, cnode, 0) {
            Ok(copy) => last.push(copy),
            Err(KernelError::TableFull) => break,
            Err(error) => return Err(failed(error)),
        }
    }
    for _ in 0..left {
        if let Some(copy) = last.pop() {
            objects::delete(copy);
        }
    }
    Ok(())
}
