//! The main loop.

use abi::slots;
use clients::Graph;
use object_model::Oid;
use runtime::{Console, Environment, Event, Request, Server, abi, objects, say};

use crate::{Counter, Counts, MALFORMED, NOT_SAVED, saved};

/// Requests that are held at once: each is answered before the next.
const REPLIES: usize = 1;

/// Serves as a version until the cell is ended.
///
/// # Panics
/// Without what a process that serves is given.
pub fn serve<C: Counts>(mut environment: Environment) -> u64 {
    // First of all: what another version leaves is taken over before anything else is touched.
    let thawed: Option<C> = environment.thaw();
    let process = Oid::new(environment.argument());
    let console = Console::new(environment.take(slots::CONSOLE), "counter");
    let mut graph = environment.take(slots::PERSISTENCE).map(|endpoint| Graph::new(endpoint, None));
    let endpoint = environment.need(slots::ENDPOINT, "the endpoint that it serves");
    let scratch = environment.need(slots::SCRATCH, "memory for reply objects");
    let replies = match objects::reply_objects(&scratch, &environment.cnode(), REPLIES) {
        Ok(replies) => replies,
        Err(error) => panic!("no reply object: {error:?}"),
    };
    let mut state = thawed.unwrap_or_else(|| begin(graph.as_mut(), process, &console));
    let mut server = Server::new(endpoint, replies).exporting(environment.exporter());
    loop {
        if let Event::Request(request) = server.next_event_with(&state) {
            answer(request, &mut state, graph.as_mut(), process);
        }
    }
}

/// The state of an instance that no other one came before: what was saved.
fn begin<C: Counts>(graph: Option<&mut Graph>, process: Oid, console: &Console) -> C {
    let saved = graph.map(|graph| saved::load(graph, process)).transpose();
    let counts = match saved {
        Ok(saved) => saved.unwrap_or_default(),
        Err(error) => panic!("what was saved cannot be read: {error}"),
    };
    say!(console, "version {} counts for {} clients", C::VERSION, counts.len());
    C::from_saved(counts)
}

fn answer<C: Counts>(request: Request<'_>, state: &mut C, graph: Option<&mut Graph>, process: Oid) {
    let client = request.badge();
    match Counter::decode(request.label(), request.words()) {
        Some(Counter::Next(_)) => {
            let count = state.next(client);
            request.ok(count);
        }
        Some(Counter::Get(_)) => request.ok(state.counts().get(&client).copied().unwrap_or(0)),
        Some(Counter::Total(_)) => request.ok(state.total()),
        Some(Counter::Save(_)) => match graph.map(|graph| saved::save(graph, process, state.counts())) {
            Some(Ok(tid)) => request.ok(tid),
            Some(Err(_)) | None => request.refuse(NOT_SAVED, 0),
        },
        Some(Counter::Version(_)) => request.ok(C::VERSION),
        None => request.refuse(MALFORMED, 0),
    }
}
