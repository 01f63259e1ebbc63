//! The messages.

use alloc::vec::Vec;

use abi::interfaces::process::{self as codes, CellSummary, Process as Method, ProcessSummary, State};
use object_store::Oid;
use runtime::{Event, Heap, Request, Server, objects};

use crate::catalogue;
use crate::factory::{Beginner, Refusal};
use crate::failure_points::Point;
use crate::introduced::Introductions;
use crate::reconciler::Reconciler;
use crate::table::{Prepared, Process};

/// Summaries of one reply, at most: they fit a message with names and versions as long as manifests have them.
const PAGE: usize = 12;

/// Serves for ever.
pub fn run(mut server: Server, mut reconciler: Reconciler, heap: &'static Heap) -> u64 {
    let mut introductions = Introductions::default();
    loop {
        // A process of this server's own transaction is looked at before its creator goes on.
        let mut committed = None;
        match server.next_event() {
            Event::Signal(bits) => reconciler.signalled(bits, &mut server),
            Event::Request(request) => committed = answer(request, &mut reconciler, &mut introductions, heap),
        }
        if let Some(oid) = committed {
            reconciler.converge(oid, &mut server);
        }
    }
}

/// Answers a request, at once or later. Answers which process was committed for it.
fn answer(
    request: Request<'_>,
    reconciler: &mut Reconciler,
    introductions: &mut Introductions,
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
        Some(Method::Terminate(method)) => terminate(request, Oid::new(method.process), &mut reconciler.table),
        Some(Method::Wait(method)) => wait(request, Oid::new(method.process), &mut reconciler.table),
        Some(Method::Introduce(method)) => {
            introductions.introduce(request, method.hash, factory.memory.cnode());
        }
        Some(Method::Cells(method)) => cells(request, method.from, introductions, &reconciler.table),
        Some(Method::PlantFailure(method)) => match Point::from_number(method.point) {
            Some(point) => {
                factory.planted = Some(point);
                request.ok(Point::ALL.len() as u64);
            }
            None => request.refuse(codes::PLANTED, Point::ALL.len() as u64),
        },
        Some(Method::GetUsage(_)) => {
            let capabilities = objects::count(factory.memory.cnode());
            let usage = reconciler.usage(capabilities, heap.used() as u64);
            request.ok_body(usage.heap, &usage);
        }
        None => request.refuse(codes::BAD_IMAGE, 0),
    }
    None
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
fn cells(request: Request<'_>, from: u64, introductions: &Introductions, table: &[Process]) {
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
    let all: Vec<CellSummary<'_>> = introductions.summaries().chain(processes).collect();
    let from = usize::try_from(from).unwrap_or(usize::MAX);
    let page: Vec<&CellSummary<'_>> = all.iter().skip(from).take(PAGE).collect();
    request.ok_body(all.len() as u64, &page);
}

fn terminate(request: Request<'_>, oid: Oid, table: &mut [Process]) {
    let found = table.iter().find(|process| process.oid == oid && process.state == State::Running);
    match found.and_then(|process| process.instance.as_ref()) {
        Some(instance) => match objects::stop_thread(&instance.tcb) {
            Ok(()) => request.ok(0),
            Err(error) => request.refuse(codes::NO_SUCH_PROCESS, error as u64),
        },
        None => request.refuse(codes::NO_SUCH_PROCESS, oid.number()),
    }
}

fn wait(request: Request<'_>, oid: Oid, table: &mut [Process]) {
    let Some(process) = table.iter_mut().find(|process| process.oid == oid) else {
        return request.refuse(codes::NO_SUCH_PROCESS, oid.number());
    };
    match process.state {
        State::Exited(status) => request.ok(status),
        State::Failed => request.ok(u64::MAX),
        State::Running => match request.defer() {
            Ok(pending) => process.waiting.push(pending),
            Err(request) => request.refuse(codes::OUT_OF_MEMORY, 0),
        },
    }
}
