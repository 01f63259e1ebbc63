//! The messages.

use alloc::string::String;
use alloc::vec::Vec;

use abi::interfaces::process::{self as codes, CellSummary, Process as Method, ProcessSummary, State, Strike, Use};
use abi::kernel::{Clock, Overdue, TIMEOUT_NONE};
use abi::token::{CallOnly, Cap, Endpoint};
use abi::{CallError, KernelError};
use object_store::Oid;
use runtime::{Event, Heap, Request, Server, objects};

use crate::catalogue::Wanted;
use crate::factory::{Beginner, Refusal};
use crate::failure_points::Point;
use crate::reconciler::Reconciler;
use crate::replacements::Replacements;
use crate::services;
use crate::subject::Subject;
use crate::table::{Prepared, Process};
use crate::{REPLACED, catalogue, holdings, imports};

/// Summaries of one reply, at most: they fit a message with names and versions as long as manifests have them.
const PAGE: usize = 12;

/// Serves for ever.
pub fn run(mut server: Server, mut reconciler: Reconciler, mut replacements: Replacements, heap: &'static Heap) -> u64 {
    replacements.settle(&mut reconciler, &mut server);
    replacements.follow_graph(&mut reconciler);
    let mut due = services::attend();
    loop {
        // What a request changed is looked at before whoever asked for it goes on.
        let mut changed = None;
        let event = server.next_event_within(patience(&[due, reconciler.next_due()]));
        // What follows calls others: whoever rests would be waited for in vain.
        services::bring_back();
        match event {
            Ok(Event::Signal(bits)) => {
                if bits & REPLACED != 0 {
                    replacements.settle(&mut reconciler, &mut server);
                }
                reconciler.signalled(bits | services::ATTENDED, &mut server);
                replacements.settle(&mut reconciler, &mut server);
            }
            Ok(Event::Request(request)) => changed = answer(request, &mut reconciler, &mut replacements, heap),
            Err(CallError::Kernel(KernelError::TimedOut, _)) => {
                reconciler.signalled(services::ATTENDED, &mut server);
                replacements.settle(&mut reconciler, &mut server);
            }
            Err(error) => runtime::bug!("receive failed: {error}"),
        }
        if let Some(oid) = changed {
            reconciler.converge(oid, &mut server);
        }
        if reconciler.take_images_changed() {
            replacements.follow_graph(&mut reconciler);
        }
        due = services::attend();
    }
}

/// Nanoseconds until the first of these moments, if there is one.
fn patience(moments: &[Option<u64>]) -> u64 {
    let first = moments.iter().flatten().min();
    first.map_or(TIMEOUT_NONE, |moment| moment.saturating_sub(runtime::clock(Clock::Monotonic)))
}

/// Answers a request, at once or later. Answers which process it changed.
fn answer(
    request: Request<'_>,
    reconciler: &mut Reconciler,
    replacements: &mut Replacements,
    heap: &'static Heap,
) -> Option<Oid> {
    let factory = &mut reconciler.factory;
    match Method::decode(request.label(), request.words()) {
        Some(Method::CreateProcess(method)) => {
            let beginner = beginner(&request);
            let wanted = Wanted { image: Oid::new(method.image), capabilities: Oid::new(method.capabilities) };
            let made = factory.create(wanted, beginner, starter(&request));
            return finish_create(request, made, beginner, reconciler);
        }
        Some(Method::Spawn(_)) => {
            let beginner = beginner(&request);
            let name = core::str::from_utf8(request.body()).unwrap_or("");
            let made = catalogue::spawn_arguments(&mut factory.graph, name)
                .map_err(Refusal::from)
                .and_then(|wanted| factory.create(wanted, beginner, starter(&request)));
            return finish_create(request, made, beginner, reconciler);
        }
        Some(Method::List(method)) => list(request, method.from, &reconciler.table),
        Some(Method::Terminate(method)) => {
            let oid = Oid::new(method.process);
            // Who is on trial is ended first: then it is the other one's turn.
            if replacements.kill_trial(Subject::Process(oid)) {
                request.ok(0);
                return None;
            }
            if reconciler.terminate(oid) {
                request.ok(0);
                return Some(oid);
            }
            request.refuse(codes::NO_SUCH_PROCESS, oid.number());
        }
        Some(Method::Wait(method)) => wait(request, Oid::new(method.process), &mut reconciler.table),
        Some(Method::Kill(_)) => {
            let name = core::str::from_utf8(request.body());
            let killed = name.is_ok_and(|name| services::kill(name) || replacements.kill(name));
            if killed { request.ok(0) } else { request.refuse(codes::NO_SUCH_PROCESS, 0) }
        }
        Some(Method::Replace(method)) => {
            let image = (method.image != 0).then_some(Oid::new(method.image));
            let overdue = if method.force == 0 { Overdue::GoesOn } else { Overdue::Ends };
            let begun = name_of(&request).and_then(|name| replacements.begin(&name, image, overdue, reconciler));
            finish(request, begun);
        }
        Some(Method::Rollback(_)) => {
            let begun = name_of(&request).and_then(|name| {
                let previous = replacements.previous(&name, reconciler)?;
                replacements.begin(&name, Some(previous), Overdue::GoesOn, reconciler)
            });
            finish(request, begun);
        }
        Some(Method::Capabilities(method)) => {
            let name = core::str::from_utf8(request.body()).unwrap_or("");
            let from = u32::try_from(method.from).unwrap_or(u32::MAX);
            match holdings::page(factory.memory.cnode(), &reconciler.table, method.process, name, from) {
                Ok((next, page)) => request.ok_bytes(next, &page),
                Err(Refusal(code, detail)) => request.refuse(code, detail),
            }
        }
        Some(Method::Top(method)) => top(request, method.from, &reconciler.table),
        Some(Method::Import(method)) => {
            let mut request = request;
            let bytes = request.lease().get(..method.length as usize);
            match bytes.ok_or(Refusal(codes::IMAGE_REFUSED, 0)).and_then(|bytes| imports::import(bytes, reconciler)) {
                Ok((oid, text)) => request.ok_bytes(oid.number(), text.as_bytes()),
                Err(Refusal(code, detail)) => request.refuse(code, detail),
            }
        }
        Some(Method::WaitReplaced(_)) => wait_replaced(request, replacements, reconciler),
        Some(Method::Replacements(_)) => {
            let (count, list) = replacements.list(reconciler);
            request.ok_bytes(count, &list);
        }
        Some(Method::Cells(method)) => cells(request, method.from, &reconciler.table),
        Some(Method::PlantFailure(method)) => {
            let points = Point::ALL.len() as u64;
            match (Point::from_number(method.point), Strike::from_point(method.point)) {
                (Some(point), _) => factory.planted = Some(point),
                (None, Some(strike)) => replacements.strike = Some(strike),
                (None, None) => {
                    request.refuse(codes::PLANTED, points);
                    return None;
                }
            }
            request.ok(points);
        }
        Some(Method::Connect(_)) => {
            let connected = name_of(&request).and_then(|name| connect(&name, request.badge(), reconciler));
            match connected {
                Ok(endpoint) => request.ok_grant(0, endpoint),
                Err(Refusal(code, detail)) => request.refuse(code, detail),
            }
        }
        Some(Method::SetPriority(method)) => {
            let oid = Oid::new(method.process);
            match reconciler.set_priority(oid, method.priority) {
                Ok(()) => {
                    request.ok(0);
                    return Some(oid);
                }
                Err(Refusal(code, detail)) => request.refuse(code, detail),
            }
        }
        Some(Method::GetUsage(_)) => {
            let capabilities = objects::count(factory.memory.cnode());
            let usage = reconciler.usage(capabilities, heap.used() as u64);
            request.ok_body(usage.heap, &usage);
        }
        None => request.refuse(codes::BAD_IMAGE, 0),
    }
    None
}

/// The name that is a request's body.
fn name_of(request: &Request<'_>) -> Result<String, Refusal> {
    let name = core::str::from_utf8(request.body()).map_err(|_| Refusal(codes::NO_SUCH_PROCESS, 0))?;
    Ok(name.into())
}

fn finish(request: Request<'_>, done: Result<(), Refusal>) {
    match done {
        Ok(()) => request.ok(0),
        Err(Refusal(code, detail)) => request.refuse(code, detail),
    }
}

fn wait_replaced(request: Request<'_>, replacements: &mut Replacements, reconciler: &Reconciler) {
    let named = name_of(&request).ok().and_then(|name| Subject::named(&name, &reconciler.table));
    let Some(subject) = named else { return request.refuse(codes::NO_SUCH_PROCESS, 0) };
    match replacements.is_under_way(subject, reconciler) {
        Ok(()) => match request.defer() {
            Ok(pending) => replacements.wait(subject, pending),
            Err(request) => request.refuse(codes::OUT_OF_MEMORY, 0),
        },
        Err(Some(summary)) => request.ok_bytes(0, &summary),
        Err(None) => request.refuse(codes::NO_SUCH_PROCESS, 0),
    }
}

/// A capability to call the process of a name that serves, with the caller's own badge, by which that tells its clients apart.
fn connect(name: &str, badge: u64, reconciler: &Reconciler) -> Result<Cap<Endpoint, CallOnly>, Refusal> {
    let Some(Subject::Process(oid)) = Subject::named(name, &reconciler.table) else {
        return Err(Refusal(codes::NO_SUCH_PROCESS, 0));
    };
    let endpoint = reconciler.process(oid).and_then(|process| process.endpoint.as_ref());
    let endpoint = endpoint.ok_or(Refusal(codes::SERVES_NOBODY, 0))?;
    Ok(objects::duplicate(endpoint, reconciler.factory.memory.cnode(), badge)?)
}

/// Whose transaction a request works in.
fn beginner(request: &Request<'_>) -> Beginner {
    match request.scope() {
        0 => Beginner::Server,
        _ => Beginner::Caller,
    }
}

/// The process that a request comes from; `None` for the root task, which has no badge. See [`crate::grants`] for the others'.
fn starter(request: &Request<'_>) -> Option<Oid> {
    request.badge().checked_sub(1).map(Oid::new)
}

fn finish_create(
    request: Request<'_>,
    made: Result<Prepared, Refusal>,
    beginner: Beginner,
    reconciler: &mut Reconciler,
) -> Option<Oid> {
    match made {
        Ok(prepared) => {
            let oid = prepared.process.oid;
            reconciler.take(prepared);
            request.ok(oid.number());
            (beginner == Beginner::Server).then_some(oid)
        }
        Err(Refusal(code, detail)) => {
            request.refuse(code, detail);
            None
        }
    }
}

fn list(request: Request<'_>, from: u64, table: &[Process]) {
    let page: Vec<ProcessSummary<'_>> = table
        .iter()
        .skip(usize::try_from(from).unwrap_or(usize::MAX))
        .take(PAGE)
        .map(|process| ProcessSummary {
            oid: process.oid.number(),
            name: &process.name,
            version: &process.version,
            hash: process.hash,
            text: process.text.0,
            text_end: process.text.1,
            state: process.state,
        })
        .collect();
    request.ok_body(table.len() as u64, &page);
}

/// The cells of this boot. The code of a process that has ended is gone.
fn cells(request: Request<'_>, from: u64, table: &[Process]) {
    let services = services::summaries();
    let services = services.iter().map(|(name, version, summary)| CellSummary { name, version, ..summary.clone() });
    let processes = table.iter().map(|process| {
        let (text, text_end) = if process.instance.is_some() { process.text } else { (0, 0) };
        CellSummary {
            name: &process.name,
            version: &process.version,
            hash: process.hash,
            text,
            text_end,
            state: process.state,
        }
    });
    let all: Vec<CellSummary<'_>> = services.chain(processes).collect();
    let from = usize::try_from(from).unwrap_or(usize::MAX);
    let page: Vec<&CellSummary<'_>> = all.iter().skip(from).take(PAGE).collect();
    request.ok_body(all.len() as u64, &page);
}

/// What runs, and what that uses.
fn top(request: Request<'_>, from: u64, table: &[Process]) {
    let of_process = |process: &Process| {
        let instance = process.instance.as_ref()?;
        let usage = services::usage(&instance.tcb, &instance.vspace)?;
        let info = process.endpoint.as_ref().and_then(|endpoint| objects::endpoint_info(endpoint).ok());
        let requests = info.map(|info| (info.parked, info.held, info.epoch));
        let untyped = holdings::untyped(&instance.cnode);
        Some((process.name.clone(), Use { process: process.oid.number(), untyped, requests, ..usage }))
    };
    let all: Vec<(String, Use<'static>)> =
        services::uses().into_iter().chain(table.iter().filter_map(of_process)).collect();
    let from = usize::try_from(from).unwrap_or(usize::MAX);
    let page: Vec<Use<'_>> =
        all.iter().skip(from).take(PAGE).map(|(name, usage)| Use { name, ..usage.clone() }).collect();
    request.ok_body(all.len() as u64, &page);
}

fn wait(request: Request<'_>, oid: Oid, table: &mut [Process]) {
    let Some(process) = table.iter_mut().find(|process| process.oid == oid) else {
        return request.refuse(codes::NO_SUCH_PROCESS, oid.number());
    };
    match process.state {
        State::Exited(status) => request.ok(status),
        State::Failed if process.rests.is_none() => request.ok(u64::MAX),
        // It runs, or will again.
        State::Running | State::Failed => match request.defer() {
            Ok(pending) => process.waiting.push(pending),
            Err(request) => request.refuse(codes::OUT_OF_MEMORY, 0),
        },
    }
}
