//! Process objects: what they say of their process.

use alloc::string::String;

use object_model::{CapabilityKind, Object, Oid, Recipe, Slot, SlotKind, Value};

/// The capability slots of a Process object, each with the kind of what stands there.
pub const CAPABILITIES: [(&str, CapabilityKind); 3] =
    [("tcbCap", CapabilityKind::Tcb), ("cspaceCap", CapabilityKind::CNode), ("vspaceCap", CapabilityKind::VSpace)];

/// With the capability slots of a Process object, void.
pub(crate) fn with_capabilities(object: Object) -> Object {
    CAPABILITIES.into_iter().fold(object, |object, (name, kind)| object.holding(name, Recipe::Void(kind)))
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

pub(crate) fn with_restart(object: Object, restart: Restart) -> Object {
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

/// What a process is made of, by its object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Made<'a> {
    /// The prototype Process, which every Process object refers to.
    pub prototype: Oid,
    /// The name of its cell: that of its image.
    pub cell: &'a str,
    /// Its Image object.
    pub image: Oid,
    /// Its list of capabilities.
    pub capabilities: Oid,
    /// Whether it may be started again.
    pub restart: Restart,
}

/// The object of a process that serves what it declares, with the recipe of its endpoint, by the name that it is found by.
#[must_use]
pub fn serving(object: Object) -> Object {
    let Some(service) = name_of(&object).map(String::from) else { return object };
    with_endpoint(object, endpoint(&service))
}

/// Bits of the right to call an endpoint and to hand capabilities over.
const CALL: u8 = 5;

/// With a private slot for an endpoint.
pub(crate) fn with_endpoint(mut object: Object, recipe: Recipe) -> Object {
    let value = object.capability(recipe);
    object.put(Slot::new("endpointCap", SlotKind::Data, value).private());
    object
}

/// The recipe of the endpoint of a service.
pub(crate) fn endpoint(service: &str) -> Recipe {
    Recipe::Service { kind: CapabilityKind::Endpoint, service: service.into(), rights: CALL }
}

/// A Process object: a clone of the prototype with its image and its list of capabilities.
#[must_use]
pub fn process(oid: Oid, made: Made<'_>) -> Object {
    filled(Object::new().parent("parent", Some(made.prototype)), oid, made)
}

/// An object as the Process object of a process that is to run. It keeps what else it is, and its name where it has one of its
/// own: a name that is not its cell's is that of the object which the cell hosts.
#[must_use]
pub fn filled(object: Object, oid: Oid, made: Made<'_>) -> Object {
    let of_cell = object.get(CELL);
    let is_named =
        matches!(object.get("name"), Some(Value::Text(name)) if !name.is_empty()) && object.get("name") != of_cell;
    let object = if is_named { object } else { object.data("name", Value::text(made.cell)) };
    let refers = object.parents().any(|parent| parent == made.prototype);
    // Who watches the prototype hears of all that refers to it: a clone of it delegates to what it delegates to.
    let object = if refers { object } else { object.referring("prototype", made.prototype) };
    let object = with_capabilities(object)
        .data(CELL, Value::text(made.cell))
        .referring("image", made.image)
        .referring("capabilities", made.capabilities)
        .numbered(oid);
    with_state(with_restart(object, made.restart), State::Running)
}

/// The slot in which a Process object says what it is an instance of.
const CELL: &str = "cell";

/// The name of the cell that a process is an instance of. Where only its own name is known it is that one.
#[must_use]
pub fn cell_of(process: &Object) -> Option<&str> {
    match process.get(CELL).or_else(|| process.get("name"))? {
        Value::Text(name) => Some(name),
        _ => None,
    }
}

/// The name under which a process is found.
#[must_use]
pub fn name_of(process: &Object) -> Option<&str> {
    match process.get("name")? {
        Value::Text(name) => Some(name),
        _ => None,
    }
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
