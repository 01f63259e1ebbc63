//! The messages.

use alloc::string::String;
use alloc::vec::Vec;

use abi::interfaces::process::{
    self as codes, Begun, CellSummary, Process as Method, ProcessSummary, State, Strike, Use,
};
use abi::kernel::{Clock, Overdue, TIMEOUT_NONE};
use abi::{CallError, KernelError};
use object_store::Oid;
use runtime::{Event, Heap, Request, Server, objects};

use crate::factory::{Beginner, Refusal};
use crate::failure_points::Point;
use crate::reconciler::Reconciler;
use crate::replacements::Replacements;
use crate::services;
use crate::table::{Prepared, Process};
use crate::{REPLACED, catalogue, imports};

/// Summaries of one reply, at most: they fit a message with names and versions as long as manifests have them.
const PAGE: usize = 12;

/// Serves for ever.
pub fn run(mut server: Server, mut reconciler: Reconciler, mut replacements: Replacements, heap: &'static Heap) -> u64 {
    replacements.settle(&mut reconciler.factory, &mut server);
    replacements.follow_graph(&mut reconciler.factory);
    let mut due = services::attend();
    loop {
        // What a request changed is looked at before whoever asked for it goes on.
        let mut changed = None;
        match server.next_event_within(patience(&[due, reconciler.next_due()])) {
            Ok(Event::Signal(bits)) => {
                if bits & REPLACED != 0 {
                    replacements.settle(&mut reconciler.factory, &mut server);
                }
                due = services::attend();
                reconciler.signalled(bits, &mut server);
            }
            Ok(Event::Request(request)) => changed = answer(request, &mut reconciler, &mut replacements, heap),
            Err(CallError::Kernel(KernelError::TimedOut, _)) => {
                due = services::attend();
                reconciler.signalled(services::ATTENDED, &mut server);
            }
            Err(error) => runtime::bug!("receive failed: {error}"),
        }
        if let Some(oid) = changed {
            reconciler.converge(oid, &mut server);
        }
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
            let made = factory.create(Oid::new(method.image), Oid::new(method.capabilities), beginner);
            return finish_create(request, made, beginner, reconciler);
        }
        Some(Method::Spawn(_)) => {
            let beginner = beginner(&request);
            let name = core::str::from_utf8(request.body()).unwrap_or("");
            let made = catalogue::spawn_arguments(&mut factory.graph, name)
                .map_err(Refusal::from)
                .and_then(|(image, capabilities)| factory.create(image, capabilities, beginner));
            return finish_create(request, made, beginner, reconciler);
        }
        Some(Method::List(method)) => list(request, method.from, &reconciler.table),
        Some(Method::Terminate(method)) => {
            let oid = Oid::new(method.process);
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
            let begun = name_of(&request).and_then(|name| replace(&name, image, overdue, reconciler, replacements));
            finish(request, begun);
        }
        Some(Method::Rollback(_)) => {
            let begun = name_of(&request).and_then(|name| {
                let previous = Replacements::previous(&name, &mut reconciler.factory)?;
                replace(&name, Some(previous), Overdue::GoesOn, reconciler, replacements)
            });
            finish(request, begun);
        }
        Some(Method::Top(method)) => top(request, method.from, &reconciler.table),
        Some(Method::Import(method)) => {
            let mut request = request;
            let bytes = request.lease().get(..method.length as usize);
            match bytes.ok_or(Refusal(codes::IMAGE_REFUSED, 0)).and_then(|bytes| imports::import(bytes, factory)) {
                Ok((oid, text)) => request.ok_bytes(oid.number(), text.as_bytes()),
                Err(Refusal(code, detail)) => request.refuse(code, detail),
            }
        }
        Some(Method::WaitReplaced(_)) => wait_replaced(request, replacements),
        Some(Method::Replacements(_)) => {
            let (count, list) = replacements.list();
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

/// Replaces a service, or a process.
fn replace(
    name: &str,
    image: Option<Oid>,
    overdue: Overdue,
    reconciler: &mut Reconciler,
    replacements: &mut Replacements,
) -> Result<Begun, Refusal> {
    if services::number_of(name).is_some() {
        return replacements.begin(name, image, overdue, &mut reconciler.factory).map(|()| Begun::UnderWay);
    }
    reconciler.replace(name, image).map(|()| Begun::Done)
}

fn finish(request: Request<'_>, done: Result<Begun, Refusal>) {
    match done {
        Ok(begun) => request.ok(begun as u64),
        Err(Refusal(code, detail)) => request.refuse(code, detail),
    }
}

fn wait_replaced(request: Request<'_>, replacements: &mut Replacements) {
    let named = name_of(&request).ok().and_then(|name| services::number_of(&name));
    let Some(service) = named else { return request.refuse(codes::NO_SUCH_PROCESS, 0) };
    match replacements.is_under_way(service) {
        Ok(()) => match request.defer() {
            Ok(pending) => replacements.wait(service, pending),
            Err(request) => request.refuse(codes::OUT_OF_MEMORY, 0),
        },
        Err(Some(summary)) => request.ok_bytes(0, &summary),
        Err(None) => request.refuse(codes::NO_SUCH_PROCESS, 0),
    }
}

/// Whose transaction a request works in.
fn beginner(request: &Request<'_>) -> Beginner {
    match request.scope() {
        0 => Beginner::Server,
        _ => Beginner::Caller,
    }
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
        Some((process.name.clone(), services::usage(&instance.tcb, &instance.vspace)?))
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
