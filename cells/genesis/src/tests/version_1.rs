//! Genesis as version 1 made it: what an upgrade has to cope with.

use object_model::{BadObject, CapabilityKind, Object, Oid, Recipe, SlotKind, Value, compose};

use crate::Graph;

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
    let mut mapping = Object::new().data("version", Value::Int(1));
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
    add(graph, "userCapabilities", &|_| capabilities(&user, true))?;
    add(graph, "onceCapabilities", &|_| capabilities(&user, false))?;
    add(graph, "shellCapabilities", &|_| capabilities(&shell, true))?;
    graph.put(root, &mapping)
}

/// A list of capabilities, by the names that the process server knows, and whether who gets them may be started again.
fn capabilities(names: &[&str], restart: bool) -> Object {
    let names = names.iter().map(|name| Value::text(name)).collect();
    Object::new().data("names", Value::List(names)).data("restart", Value::Bool(restart))
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
