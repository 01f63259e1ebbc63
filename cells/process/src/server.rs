//! The messages, and the reconciler.

use alloc::vec::Vec;

use abi::interfaces::process::{self as codes, CellSummary, Process as Method, ProcessSummary, State};
use object_store::Oid;
use runtime::objects::{self, Instance as Outcome};
use runtime::{Event, Request, Server, say};

use crate::catalogue;
use crate::factory::{Factory, Refusal};
use crate::failure_points::Point;
use crate::introduced::Introductions;
use crate::table::Process;

/// Summaries of one reply, at most: they fit a message with names and versions as long as manifests have them.
const PAGE: usize = 12;

/// Serves for ever.
pub fn run(mut server: Server, mut factory: Factory) -> u64 {
    let mut table: Vec<Process> = Vec::new();
    let mut introductions = Introductions::default();
    revive_all(&mut factory, &mut table);
    loop {
        match server.next_event() {
            Event::Signal(_) => settle_ended(&mut server, &mut factory, &mut table),
            Event::Request(request) => answer(request, &mut factory, &mut table, &mut introductions),
        }
    }
}

fn answer(request: Request<'_>, factory: &mut Factory, table: &mut Vec<Process>, introductions: &mut Introductions) {
    match Method::decode(request.label(), request.words()) {
        Some(Method::CreateProcess(method)) => {
            let made = factory.create(Oid::new(method.image), Oid::new(method.capabilities));
            finish_create(request, made, factory, table);
        }
        Some(Method::Spawn(_)) => {
            let name = core::str::from_utf8(request.body()).unwrap_or("");
            let made = catalogue::spawn_arguments(&mut factory.graph, name)
                .map_err(Refusal::from)
                .and_then(|(image, capabilities)| factory.create(image, capabilities));
            finish_create(request, made, factory, table);
        }
        Some(Method::List(method)) => list(request, method.from, table),
        Some(Method::Introduce(method)) => {
            introductions.introduce(request, method.hash, factory.memory.cnode());
        }
        Some(Method::Cells(method)) => cells(request, method.from, introductions, table),
        Some(Method::Terminate(method)) => terminate(request, Oid::new(method.process), table),
        Some(Method::Wait(method)) => wait(request, Oid::new(method.process), table),
        Some(Method::PlantFailure(method)) => match Point::from_number(method.point) {
            Some(point) => {
                factory.planted = Some(point);
                request.ok(Point::ALL.len() as u64);
            }
            None => request.refuse(codes::PLANTED, Point::ALL.len() as u64),
        },
        None => request.refuse(codes::BAD_IMAGE, 0),
    }
}

fn finish_create(
    request: Request<'_>,
    made: Result<Process, Refusal>,
    factory: &mut Factory,
    table: &mut Vec<Process>,
) {
    match made {
        Ok(process) => {
            let oid = process.oid.number();
            table.push(process);
            start(factory, table.last_mut());
            request.ok(oid);
        }
        Err(Refusal(code, detail)) => request.refuse(code, detail),
    }
}

/// The graph says that it runs: it does.
fn start(factory: &Factory, process: Option<&mut Process>) {
    let Some(process) = process else { return };
    let Some(instance) = &process.instance else { return };
    match instance.start() {
        Ok(()) => say!(factory.console, "process #{} of {} started", process.oid.number(), process.name),
        Err(error) => say!(factory.console, "process #{} does not start: {error:?}", process.oid.number()),
    }
}

/// At start: every Process object that says it runs gets an instance.
fn revive_all(factory: &mut Factory, table: &mut Vec<Process>) {
    let wanted = match catalogue::running(&mut factory.graph) {
        Ok(wanted) => wanted,
        Err(error) => {
            say!(factory.console, "the processes in the graph cannot be read: {error:?}");
            return;
        }
    };
    for oid in wanted {
        match factory.revive(oid) {
            Ok(process) => {
                table.push(process);
                start(factory, table.last_mut());
            }
            Err(Refusal(code, _)) => {
                say!(factory.console, "process #{} cannot run again: code {code}", oid.number());
            }
        }
    }
}

/// Notes in the graph what became of instances that ended, answers who waited, and gives their memory back.
fn settle_ended(server: &mut Server, factory: &mut Factory, table: &mut [Process]) {
    for process in table.iter_mut().filter(|process| process.state == State::Running) {
        let Some(instance) = &process.instance else { continue };
        process.state = match objects::instance_info(&instance.vspace) {
            Ok((Outcome::Running, ..)) => continue,
            Ok((Outcome::Exited(status), ..)) => State::Exited(status),
            Ok((Outcome::Failed, ..)) | Err(_) => State::Failed,
        };
        let (status, code) = match process.state {
            State::Exited(status) => (status, 0),
            _ => (u64::MAX, 0),
        };
        match catalogue::note_end(&mut factory.graph, process.oid, process.state) {
            Ok(tid) => say!(
                factory.console,
                "process #{} of {} ended ({:?}), noted at TID {}",
                process.oid.number(),
                process.name,
                process.state,
                tid.number()
            ),
            Err(error) => {
                say!(factory.console, "the end of process #{} is not noted: {error:?}", process.oid.number());
            }
        }
        process.instance = None;
        for allocation in process.allocations.drain(..) {
            let _ = factory.memory.free(allocation);
        }
        for pending in process.waiting.drain(..) {
            server.answer(pending, code, status, &[]);
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
