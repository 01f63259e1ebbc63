//! What the system's own operations cost, seen by a process: with the store in memory, so that no disk is waited for.
//!
//! The process that the root task asks for is the driver. It makes more processes of its own image, which end at once. What the
//! servers log meanwhile is a part of what is counted, as it is a part of their work.

use alloc::vec::Vec;

use abi::CallError;
use abi::interfaces::process::{Progress, Replace, ReplacementSummary, WaitReplaced};
use abi::kernel::BODY_MAX;
use abi::slots;
use abi::token::{All, CNode, CallOnly, Cap, Endpoint, Machine};
use clients::{Graph, GraphError, processes};
use object_model::{Oid, Record};
use runtime::{Call, Console, Environment, objects, say};

use crate::samples::{Row, count, report, take};

/// Samples of what makes a process.
const SAMPLES: usize = 64;
/// Bytes of the object that is read and committed.
const PAYLOAD: usize = 100;
/// Bytes of states that a client keeps.
const KEPT: usize = 1 << 16;
/// Samples of what is on trial for half a second each.
const REPLACEMENTS: usize = 16;
/// The service that is replaced: it has no state, but what its capabilities are.
const REPLACED: &str = "memory";
/// The cell's own name in the graph, and the list of what its processes may have.
const IMAGE: &str = "bench";
const LIST: &str = "onceCapabilities";

/// Counts everything, reports, and halts the machine; a process without the right to do that ends at once.
pub fn run(mut environment: Environment) -> u64 {
    let Some(machine) = environment.take::<Machine, All>(slots::FIRST_GRANTED) else { return 0 };
    let server = environment.need(slots::PROCESS, "the process server");
    let cnode = environment.cnode();
    let console = Console::new(environment.take(slots::CONSOLE), "bench");
    let graph = Graph::new(environment.need(slots::PERSISTENCE, "the persistence server"), None);
    match rows(graph, &cnode, &server) {
        Ok(rows) => report(&console, &rows),
        Err(error) => {
            say!(console, "failed: {error:?}");
            objects::halt(&machine, 1)
        }
    }
    objects::halt(&machine, 0)
}

/// Why nothing can be counted.
#[derive(Debug)]
enum Failure {
    Call(#[expect(dead_code, reason = "for the log")] CallError),
    Graph(#[expect(dead_code, reason = "for the log")] GraphError),
    /// The root mapping lacks what genesis put there.
    Incomplete,
}

impl From<CallError> for Failure {
    fn from(error: CallError) -> Self {
        Failure::Call(error)
    }
}

impl From<GraphError> for Failure {
    fn from(error: GraphError) -> Self {
        Failure::Graph(error)
    }
}

/// Every operation in the order of the report.
fn rows(mut graph: Graph, cnode: &Cap<CNode, All>, server: &Cap<Endpoint, CallOnly>) -> Result<Vec<Row>, Failure> {
    let root = graph.root()?;
    let root = graph.object(root)?;
    let of_root = |name: &str| root.reference(name).ok_or(Failure::Incomplete);
    let image = genesis::current_image(&graph.object(of_root("images")?)?, IMAGE).ok_or(Failure::Incomplete)?;
    let list = of_root(LIST)?;
    let endpoint = objects::duplicate(graph.endpoint(), cnode, 0).map_err(|error| CallError::Kernel(error, 0))?;
    let mut keeping = Graph::new(endpoint, None).keeping(KEPT);
    let record = kept(&mut graph)?;
    committed(&mut graph, record)?;
    // Once each, since a round that fails later is taken again without end.
    undone(&graph, server, image, list)?;
    created(server, image, list)?;
    replaced(server)?;
    keeping.begin()?;
    let kept_states = take(|| got(&mut keeping, record).ok(), SAMPLES);
    keeping.abort()?;
    Ok(alloc::vec![
        ("get_object", take(|| got(&mut graph, record).ok(), SAMPLES)),
        ("get_kept", kept_states),
        ("commit_object", take(|| committed(&mut graph, record).ok(), SAMPLES)),
        ("create_undone", take(|| undone(&graph, server, image, list).ok(), SAMPLES)),
        ("create_process", take(|| created(server, image, list).ok(), SAMPLES)),
        ("replace_pause", take(|| replaced(server).ok().flatten(), REPLACEMENTS)),
    ])
}

/// An object of the graph that only this process has.
fn kept(graph: &mut Graph) -> Result<Oid, Failure> {
    graph.begin()?;
    let oid = graph.new_object()?;
    graph.put(oid, &Record { payload: alloc::vec![7; PAYLOAD], ..Record::default() })?;
    graph.commit()?;
    Ok(oid)
}

/// An object's record, out of the server's cache, in the message: no transaction is open.
fn got(graph: &mut Graph, oid: Oid) -> Result<u64, Failure> {
    let (spent, record) = count(|| graph.get(oid));
    record?;
    Ok(spent)
}

/// A transaction that stores one object: begin, store, commit.
fn committed(graph: &mut Graph, oid: Oid) -> Result<u64, Failure> {
    let record = Record { payload: alloc::vec![7; PAYLOAD], ..Record::default() };
    let (spent, done) = count(|| {
        graph.begin()?;
        graph.put(oid, &record)?;
        graph.commit()
    });
    done?;
    Ok(spent)
}

/// CreateProcess in a transaction that is aborted afterwards: each sample finds the store as the one before did.
fn undone(graph: &Graph, server: &Cap<Endpoint, CallOnly>, image: Oid, list: Oid) -> Result<u64, Failure> {
    graph.begin()?;
    let (spent, process) = count(|| processes::create(server, image, list));
    graph.abort()?;
    process?;
    Ok(spent)
}

/// CreateProcess in a transaction of its own, to where the caller has its answer. The store has more processes each time.
fn created(server: &Cap<Endpoint, CallOnly>, image: Oid, list: Oid) -> Result<u64, Failure> {
    let (spent, process) = count(|| processes::create(server, image, list));
    processes::wait(server, process?)?;
    Ok(spent)
}

/// Replaces a service by an instance of its own image; answers the nanoseconds for which its requests waited, which are
/// instructions here. `None` where the new one did not stay.
fn replaced(server: &Cap<Endpoint, CallOnly>) -> Result<Option<u64>, Failure> {
    Call::new(server, Replace { image: 0, force: 0 }).bytes(REPLACED.as_bytes()).send()?;
    let mut room = [0; BODY_MAX];
    let (_, length) = Call::new(server, WaitReplaced {}).bytes(REPLACED.as_bytes()).into_bytes(&mut room)?;
    let body = room.get(..length).ok_or(CallError::Malformed)?;
    let summary: ReplacementSummary<'_> = postcard::from_bytes(body).map_err(|_| CallError::Malformed)?;
    Ok((summary.progress == Progress::Confirmed).then_some(summary.pause))
}
