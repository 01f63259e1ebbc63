//! The other cells of the tests: further instances of this one, each with a role.

use alloc::vec;
use alloc::vec::Vec;

use abi::interface::Method;
use abi::kernel::TIMEOUT_NONE;
use abi::token::{All, CNode, CallOnly, Cap, Endpoint, Notification, Reply, Untyped};
use abi::{CallError, slots as fixed};
use runtime::{Buf, Call, Environment, Event, Pending, Request, Server, objects};

use crate::protocol::{Reported, Role, Task, how, methods, slots};

/// Bytes of the Buf of [`Role::Lend`], as a power of two.
const BUF_BITS: u8 = 12;

/// Does what the task says; the status is a [`Reported`].
pub fn run(mut environment: Environment, task: Task) -> u64 {
    let reported = match task.role {
        Role::Serve | Role::ServeSignals => serve(environment, task),
        Role::Call => Reported::of(call(&target(&mut environment), task)),
        Role::Lend => Reported::of(lend(environment, task.value)),
        Role::Busy => busy(&witness(&mut environment)),
        Role::Signal => Reported::of(signal(&witness(&mut environment), task.value)),
        Role::Receive => Reported::of(receive(environment, task.value)),
        Role::Wait => {
            let notification: Cap<Notification, All> = environment.need(fixed::NOTIFICATION, "its notification");
            Reported::of(objects::wait(&notification, TIMEOUT_NONE))
        }
        Role::Transact => Reported::of(transact(environment, task.value)),
        Role::BeginAndEnd => Reported::of(one(&target(&mut environment), methods::Begin {})),
        Role::CallForEver => call_for_ever(&target(&mut environment)),
    };
    reported.to_status()
}

fn target(environment: &mut Environment) -> Cap<Endpoint, CallOnly> {
    environment.need(slots::TARGET, "an endpoint to call")
}

fn witness(environment: &mut Environment) -> Cap<Notification, All> {
    environment.need(slots::WITNESS, "a notification to signal")
}

fn signal(witness: &Cap<Notification, All>, bits: u64) -> Result<u64, CallError> {
    objects::signal(witness, bits).map(|()| bits).map_err(|error| CallError::Kernel(error, 0))
}

fn one<M: Method<Value = u64>>(target: &Cap<Endpoint, CallOnly>, method: M) -> Result<u64, CallError> {
    Call::new(target, method).send().map(|answered| answered.value)
}

/// Calls the method of a label. For `Who` the outcome is the thread that the server was told, not the badge.
fn call(target: &Cap<Endpoint, CallOnly>, task: Task) -> Result<u64, CallError> {
    let value = task.value;
    match task.label {
        methods::Who::LABEL => Call::new(target, methods::Who {}).send().map(|answered| answered.second),
        methods::Hold::LABEL => one(target, methods::Hold { key: value }),
        methods::Die::LABEL => one(target, methods::Die { how: value }),
        methods::Spin::LABEL => one(target, methods::Spin { steps: value }),
        methods::Forward::LABEL => one(target, methods::Forward { steps: value }),
        methods::Make::LABEL => one(target, methods::Make { how: value }),
        methods::Late::LABEL => one(target, methods::Late { nanoseconds: value, value: 1 }),
        label => panic!("bug: a peer is to call label {label}"),
    }
}

fn call_for_ever(target: &Cap<Endpoint, CallOnly>) -> Reported {
    loop {
        if let Err(error) = one(target, methods::Who {}) {
            return Reported::of(Err(error));
        }
    }
}

fn lend(mut environment: Environment, key: u64) -> Result<u64, CallError> {
    let cnode = environment.cnode();
    let target = target(&mut environment);
    let vspace = environment.need(fixed::VSPACE, "its VSpace");
    let scratch: Cap<Untyped> = environment.need(slots::SCRATCH, "memory");
    let mapped = objects::retype(&scratch, BUF_BITS, &cnode).and_then(|cap| Buf::map(cap, &vspace));
    let mut buf = mapped.map_err(|error| CallError::Kernel(error, 0))?;
    Call::new(&target, methods::Hold { key }).lend(&mut buf).send().map(|answered| answered.value)
}

fn busy(witness: &Cap<Notification, All>) -> Reported {
    let _ = signal(witness, 1);
    let mut steps = 0u64;
    loop {
        steps = core::hint::black_box(steps.wrapping_add(1));
    }
}

fn receive(mut environment: Environment, microseconds: u64) -> Result<u64, CallError> {
    let endpoint = environment.need(fixed::ENDPOINT, "an endpoint");
    let reply: Cap<Reply, All> = environment.need(fixed::REPLY, "a reply object");
    match Server::new(endpoint, vec![reply]).next_event_within(microseconds * 1000)? {
        Event::Signal(bits) => Ok(bits),
        Event::Request(request) => Ok(u64::from(request.label())),
    }
}

fn transact(mut environment: Environment, keep: u64) -> Result<u64, CallError> {
    let cnode = environment.cnode();
    let store = target(&mut environment);
    let maker: Cap<Endpoint, CallOnly> = environment.need(slots::SECOND, "who makes objects");
    let scope = one(&store, methods::Begin {})?;
    if one(&maker, methods::Scope {})? != scope {
        panic!("another scope travels with the call");
    }
    let made = Call::new(&maker, methods::Give {}).send()?;
    let object: Cap<Notification, All> = match made.granted {
        Some(granted) => granted.claim(&cnode).map_err(|error| CallError::Kernel(error, 1))?,
        None => panic!("nothing came with the reply"),
    };
    signal(&object, 1)?;
    one(&store, methods::Finish { keep })?;
    if one(&maker, methods::Scope {})? != 0 {
        panic!("the scope still travels with calls");
    }
    signal(&object, 7)
}

/// A serving peer.
struct Serving {
    cnode: Cap<CNode, All>,
    scratch: Cap<Untyped>,
    target: Option<Cap<Endpoint, CallOnly>>,
    held: Vec<(u64, Pending)>,
    count: u64,
    /// The badges of those who asked to be held, the first in the highest digit.
    order: u64,
}

fn serve(mut environment: Environment, task: Task) -> Reported {
    let cnode = environment.cnode();
    let endpoint = environment.need(fixed::ENDPOINT, "the endpoint that it serves");
    let scratch: Cap<Untyped> = environment.need(slots::SCRATCH, "memory");
    let reply: Cap<Reply, All> = environment.need(fixed::REPLY, "a reply object");
    if let Err(error) = objects::serve_labels(&endpoint, methods::Peer::LABELS) {
        panic!("the endpoint refuses the labels: {error:?}");
    }
    let mut replies = vec![reply];
    match objects::reply_objects(&scratch, &cnode, task.value as usize) {
        Ok(more) => replies.extend(more),
        Err(error) => panic!("no reply objects: {error:?}"),
    }
    let witness: Option<Cap<Notification, All>> = environment.take(slots::WITNESS);
    if task.role == Role::ServeSignals {
        let notification = environment.need(fixed::NOTIFICATION, "its notification");
        let thread = environment.need(fixed::TCB, "its thread");
        if let Err(error) = objects::bind(&thread, &notification) {
            panic!("the notification cannot be bound: {error:?}");
        }
    }
    let target = environment.take(slots::TARGET);
    let mut serving = Serving { cnode, scratch, target, held: Vec::new(), count: 0, order: 0 };
    let mut server = Server::new(endpoint, replies);
    loop {
        let release = match server.next_event_within(TIMEOUT_NONE) {
            Ok(Event::Signal(bits)) => {
                if let Some(witness) = &witness {
                    let _ = signal(witness, bits);
                }
                None
            }
            Ok(Event::Request(request)) => serving.answer(request),
            Err(error) => return Reported::of(Err(error)),
        };
        if let Some((pending, value)) = release {
            server.answer(pending, 0, value, &[]);
        }
    }
}

impl Serving {
    /// Answers a request. What it releases is to be answered with a value.
    fn answer(&mut self, mut request: Request<'_>) -> Option<(Pending, u64)> {
        use methods::Peer;
        self.count += 1;
        let Some(method) = Peer::decode(request.label(), request.words()) else {
            request.refuse(1, 0);
            return None;
        };
        match method {
            Peer::Who(_) => {
                let (badge, thread) = (request.badge(), request.thread());
                request.ok_two(badge, thread);
            }
            Peer::Reverse(_) => {
                let body: Vec<u8> = request.body().iter().rev().copied().collect();
                request.ok_bytes(body.len() as u64, &body);
            }
            Peer::Fill(fill) => {
                let lease = request.lease();
                for (index, byte) in lease.iter_mut().enumerate() {
                    *byte = (fill.seed as u8).wrapping_add(index as u8);
                }
                let length = lease.len() as u64;
                request.ok(length);
            }
            Peer::Sum(_) => {
                let sum = request.lease().iter().map(|byte| u64::from(*byte)).sum();
                request.ok(sum);
            }
            Peer::Take(take) => self.take(request, take.bits),
            Peer::Give(_) => match objects::retype::<Notification>(&self.scratch, 0, &self.cnode) {
                Ok(made) => request.ok_grant(0, made),
                Err(error) => request.refuse(3, error as u64),
            },
            Peer::Hold(hold) => {
                self.order = self.order << 4 | request.badge() & 15;
                match request.defer() {
                    Ok(pending) => self.held.push((hold.key, pending)),
                    Err(request) => request.refuse(4, 0),
                }
            }
            Peer::Order(_) => request.ok(self.order),
            Peer::Release(release) => {
                let at = self.held.iter().position(|(key, _)| *key == release.key);
                request.ok(at.is_some().into());
                return at.map(|at| (self.held.remove(at).1, release.value));
            }
            Peer::Die(die) => end(die.how),
            Peer::Spin(spin) => {
                compute(spin.steps);
                request.ok(spin.steps);
            }
            Peer::Late(late) => {
                runtime::sleep(late.nanoseconds);
                request.ok(late.value);
            }
            Peer::Count(_) => request.ok(self.count),
            Peer::Forward(forward) => {
                let Some(target) = &self.target else { panic!("bug: no target to forward to") };
                match one(target, methods::Spin { steps: forward.steps }) {
                    Ok(value) => request.ok(value),
                    Err(_) => request.refuse(5, 0),
                }
            }
            Peer::Long(long) => request.ok_bytes(0, &vec![0x5a; long.length as usize]),
            Peer::Make(make) => match objects::retype::<Notification>(&self.scratch, 0, &self.cnode) {
                Ok(made) => {
                    if make.how != 0 {
                        end(make.how);
                    }
                    request.ok(made.raw().slot);
                }
                Err(error) => request.refuse(3, error as u64),
            },
            Peer::Scope(_) => {
                let scope = request.scope();
                request.ok(scope);
            }
            Peer::Begin(_) | Peer::Finish(_) => request.refuse(6, 0),
        }
        None
    }

    fn take(&self, mut request: Request<'_>, bits: u64) {
        let claimed = request.granted().map(|granted| granted.claim::<Notification, All>(&self.cnode));
        match claimed {
            Some(Ok(notification)) => {
                let done = signal(&notification, bits);
                objects::delete(notification);
                request.ok(done.is_ok().into());
            }
            Some(Err(error)) => request.refuse(3, error as u64),
            None => request.refuse(2, 0),
        }
    }
}

/// Work that cannot be left out, and is not measured by a clock.
fn compute(steps: u64) {
    for step in 0..steps {
        core::hint::black_box(step);
    }
}

fn end(way: u64) -> ! {
    match way {
        how::PANIC => panic!("as it was asked to"),
        how::OVERFLOW => {
            core::hint::black_box(deeper(1));
        }
        how::OVERFLOW_IN_KERNEL => {
            core::hint::black_box(deeper_in_kernel(1));
        }
        how::EXIT => runtime::exit(Reported::Value(99).to_status()),
        _ => {}
    }
    loop {
        compute(1 << 20);
    }
}

/// Never ends but by the end of the stack.
fn deeper(depth: u64) -> u64 {
    let frame = core::hint::black_box([depth; 32]);
    match depth {
        0 => 0,
        _ => deeper(depth + 1) + frame.iter().sum::<u64>(),
    }
}

/// The same, with a function of the kernel on each level.
fn deeper_in_kernel(depth: u64) -> u64 {
    let frame = core::hint::black_box([depth; 32]);
    runtime::yield_now();
    match depth {
        0 => 0,
        _ => deeper_in_kernel(depth + 1) + frame.iter().sum::<u64>(),
    }
}
