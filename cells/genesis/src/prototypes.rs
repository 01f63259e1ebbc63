//! The plan's prototypes and traits, and the Process object.

use object_model::{BadObject, CapabilityKind, Object, Oid, Recipe, SlotKind, Value, compose};

use crate::{Graph, VERSION};

/// Bits of the right to call an endpoint and to hand capabilities over.
const CALL: u8 = 5;

fn void(kind: CapabilityKind) -> Recipe {
    Recipe::Void(kind)
}

/// Creates everything, with the root mapping, in the open transaction.
///
/// # Errors
/// The graph's.
pub fn create<G: Graph>(graph: &mut G, root: Oid) -> Result<(), G::Error> {
    let mut mapping = Object::new().data("version", Value::Int(VERSION));
    let mut add = |graph: &mut G, name: &str, make: &dyn Fn(Oid) -> Object| -> Result<Oid, G::Error> {
        let oid = graph.new_object()?;
        graph.put(oid, &make(oid).numbered(oid))?;
        let reference = mapping.refer(oid);
        mapping.set(name, SlotKind::Data, reference);
        Ok(oid)
    };
    let base = add(graph, "BaseObject", &|_| Object::new().parent("parent", None))?;
    let process = add(graph, "Process", &|_| process_prototype(base))?;
    let server = add(graph, "Server", &|_| server_prototype(process))?;
    add(graph, "MemoryRegion", &|_| memory_region(base))?;
    add(graph, "Image", &|_| image_prototype(base))?;
    let callable = Object::new().primitive("_dispatchMessage", "dispatchMessage");
    let callable_oid = add(graph, "Callable", &|_| callable.clone())?;
    let transactional = transactional();
    let transactional_oid = add(graph, "Transactional", &|_| transactional.clone())?;
    add(graph, "Schedulable", &|_| {
        Object::new().primitive("setPriority", "setPriority").primitive("yieldTimeslice", "yieldTimeslice")
    })?;
    for name in ["persistence", "memory", "process"] {
        let mut instance = server_instance(server, name);
        compose(&mut instance, &[(callable_oid, &callable), (transactional_oid, &transactional)])
            .map_err(|_| BadObject::DoubledName)?;
        add(graph, name, &|_| instance.clone())?;
    }
    add(graph, "images", &|_| Object::new())?;
    add(graph, "processes", &|_| Object::new().data("list", Value::List(alloc::vec::Vec::new())))?;
    let user = ["console", "persistence", "memory"];
    let shell = ["console", "persistence", "memory", "process", "machine"];
    add(graph, "userCapabilities", &|_| capabilities(&user, Restart::Allowed))?;
    add(graph, "onceCapabilities", &|_| capabilities(&user, Restart::Never))?;
    add(graph, "shellCapabilities", &|_| capabilities(&shell, Restart::Allowed))?;
    graph.put(root, &mapping)
}

/// A list of capabilities, by the names that the process server knows, and whether who gets them may be started again.
fn capabilities(names: &[&str], restart: Restart) -> Object {
    let names = names.iter().map(|name| Value::text(name)).collect();
    with_restart(Object::new().data("names", Value::List(names)), restart)
}

fn process_prototype(base: Oid) -> Object {
    Object::new()
        .parent("parent", Some(base))
        .holding("tcbCap", void(CapabilityKind::Tcb))
        .holding("cspaceCap", void(CapabilityKind::CNode))
        .holding("vspaceCap", void(CapabilityKind::VSpace))
        .data("processCap", Value::Nil)
        .native("spawn", "processCap", 1)
        .native("terminate", "processCap", 3)
        .primitive("setPriority", "setPriority")
}

fn server_prototype(process: Oid) -> Object {
    Object::new()
        .parent("parent", Some(process))
        .holding("endpointCap", void(CapabilityKind::Endpoint))
        .primitive("mainLoop", "mainLoop")
}

fn server_instance(server: Oid, name: &str) -> Object {
    let recipe = Recipe::Service { kind: CapabilityKind::Endpoint, service: name.into(), rights: CALL };
    Object::new().parent("parent", Some(server)).data("name", Value::text(name)).holding("endpointCap", recipe)
}

fn memory_region(base: Oid) -> Object {
    Object::new()
        .parent("parent", Some(base))
        .holding("cap", void(CapabilityKind::Untyped))
        .data("size", Value::Int(0))
        .data("permissions", Value::text("rw"))
}

fn image_prototype(base: Oid) -> Object {
    Object::new()
        .parent("parent", Some(base))
        .data("name", Value::text(""))
        .data("version", Value::text(""))
        .data("build", Value::Int(0))
        .data("hash", Value::Bytes(alloc::vec::Vec::new()))
        .data("bytes", Value::Bytes(alloc::vec::Vec::new()))
}

/// Labels are those of the persistence server.
fn transactional() -> Object {
    Object::new()
        .native("beginTransaction", "persistenceCap", 1)
        .native("commit", "persistenceCap", 2)
        .native("abort", "persistenceCap", 3)
        .native("note", "persistenceCap", 8)
}

/// What a Process object says of its process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It is to run.
    Running,
    /// It ended by itself and is never run again.
    Exited(u64),
    /// It failed and is never run again.
    Failed,
}

/// What becomes of a process that lost its instance before it ended, by a power cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Restart {
    /// It is started again.
    Allowed,
    /// It has failed: it is never run twice.
    Never,
}

fn with_restart(object: Object, restart: Restart) -> Object {
    object.data("restart", Value::Bool(restart == Restart::Allowed))
}

/// What a Process object, or a list of capabilities, says of a restart: where it says nothing, it is allowed.
#[must_use]
pub fn restart(object: &Object) -> Restart {
    match object.get("restart") {
        Some(Value::Bool(false)) => Restart::Never,
        _ => Restart::Allowed,
    }
}

/// A Process object: a clone of the prototype with its image and its list of capabilities.
#[must_use]
pub fn process(prototype: Oid, oid: Oid, name: &str, image: Oid, capabilities: Oid, restart: Restart) -> Object {
    let object = Object::new()
        .parent("parent", Some(prototype))
        .holding("tcbCap", void(CapabilityKind::Tcb))
        .holding("cspaceCap", void(CapabilityKind::CNode))
        .holding("vspaceCap", void(CapabilityKind::VSpace))
        .data("name", Value::text(name))
        .referring("image", image)
        .referring("capabilities", capabilities)
        .numbered(oid);
    with_state(with_restart(object, restart), State::Running)
}

/// The same with the process that had it started, by its object.
#[must_use]
pub fn started_by(object: Object, starter: Oid) -> Object {
    object.referring("startedBy", starter)
}

/// The process that had a process started; `None` where the system did.
#[must_use]
pub fn starter(process: &Object) -> Option<Oid> {
    process.reference("startedBy")
}

/// The same with another state.
#[must_use]
pub fn with_state(object: Object, state: State) -> Object {
    match state {
        State::Running => object.data("state", Value::text("running")),
        State::Exited(status) => {
            object.data("state", Value::text("exited")).data("exitStatus", Value::Int(status.cast_signed()))
        }
        State::Failed => object.data("state", Value::text("failed")),
    }
}

/// The slot in which a Process object says its priority.
const PRIORITY: &str = "priority";

/// The same with another priority.
#[must_use]
pub fn with_priority(object: Object, priority: u8) -> Object {
    object.data(PRIORITY, Value::Int(priority.into()))
}

/// The priority that a Process object asks for, if it asks for one.
#[must_use]
pub fn priority(object: &Object) -> Option<u8> {
    match object.get(PRIORITY)? {
        Value::Int(priority) => u8::try_from(*priority).ok(),
        _ => None,
    }
}

/// What a Process object says; `None` where it is none.
#[must_use]
pub fn state(object: &Object) -> Option<State> {
    match object.get("state")? {
        Value::Text(text) if text == "running" => Some(State::Running),
        Value::Text(text) if text == "failed" => Some(State::Failed),
        Value::Text(text) if text == "exited" => match object.get("exitStatus")? {
            Value::Int(status) => Some(State::Exited(status.cast_unsigned())),
            _ => None,
        },
        _ => None,
    }
}
