//! What genesis makes: each object by its definition.
//!
//! Definitions know each other by numbers that are given out before ([`Numbers`]), so that they may refer to each other in
//! circles: the transactions of every object are the persistence server's, which is such an object itself.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use object_model::{CapabilityKind, Composition, Method, Object, Oid, Reach, Recipe, Slot, SlotKind, Value};

use crate::process::{Restart, endpoint, with_capabilities, with_endpoint, with_restart};

/// The slots of the root, in the order in which they are made.
pub const NAMES: [&str; 17] = [
    "BaseObject",
    "Process",
    "Server",
    "MemoryRegion",
    "Image",
    "Callable",
    "Transactional",
    "Schedulable",
    "persistence",
    "memory",
    "process",
    "images",
    "processes",
    "userCapabilities",
    "onceCapabilities",
    "shellCapabilities",
    "lobby",
];

/// The names of a session's lobby, with the slots of the root that they stand for.
pub const LOBBY: [(&str, &str); 16] = [
    ("BaseObject", "BaseObject"),
    ("Process", "Process"),
    ("Server", "Server"),
    ("MemoryRegion", "MemoryRegion"),
    ("Image", "Image"),
    ("Callable", "Callable"),
    ("Transactional", "Transactional"),
    ("Schedulable", "Schedulable"),
    ("PS", "persistence"),
    ("MMS", "memory"),
    ("PMS", "process"),
    ("images", "images"),
    ("processes", "processes"),
    ("userCapabilities", "userCapabilities"),
    ("onceCapabilities", "onceCapabilities"),
    ("shellCapabilities", "shellCapabilities"),
];

/// The numbers of what genesis makes.
#[derive(Clone, Debug, Default)]
pub struct Numbers(pub(crate) BTreeMap<&'static str, Oid>);

impl Numbers {
    /// The object of a name; the root where there is none, which no definition asks for.
    fn of(&self, name: &str) -> Oid {
        self.0.get(name).copied().unwrap_or(Oid::ROOT)
    }
}

/// One object of genesis.
#[derive(Clone, Debug)]
pub struct Definition {
    /// The slot of the root that it stands in.
    pub name: &'static str,
    /// It, without what its traits give it.
    pub object: Object,
    /// What it is composed of.
    pub composition: Composition,
    /// Whether an object that is there already is left as it is: what stands in it is not genesis's to say.
    pub is_kept: bool,
}

/// Every object, in the order of [`NAMES`].
#[must_use]
pub fn definitions(numbers: &Numbers) -> Vec<Definition> {
    let user = ["console", "persistence", "memory"];
    let shell = ["console", "persistence", "memory", "process", "machine"];
    let servers = |name| (server(numbers, name), server_traits(numbers), false);
    NAMES
        .into_iter()
        .map(|name| {
            let none = Composition::default;
            let (object, composition, is_kept) = match name {
                "BaseObject" => (Object::new().parent("parent", None), none(), false),
                "Process" => (process_prototype(numbers), process_traits(numbers), false),
                "Server" => (server_prototype(numbers), none(), false),
                "MemoryRegion" => (memory_region(numbers), none(), false),
                "Image" => (image_prototype(numbers), none(), false),
                "Callable" => (callable(), none(), false),
                "Transactional" => (transactional(numbers), none(), false),
                "Schedulable" => (schedulable(), none(), false),
                "persistence" | "memory" | "process" => servers(name),
                "processes" => (Object::new().data("list", Value::List(Vec::new())), none(), true),
                "userCapabilities" => (capabilities(&user, Restart::Allowed), none(), true),
                "onceCapabilities" => (capabilities(&user, Restart::Never), none(), true),
                "shellCapabilities" => (capabilities(&shell, Restart::Allowed), none(), true),
                "lobby" => (lobby(numbers), none(), false),
                _ => (Object::new(), none(), true),
            };
            Definition { name, object, composition, is_kept }
        })
        .collect()
}

/// A list of capabilities, by the names that the process server knows, and whether who gets them may be started again.
fn capabilities(names: &[&str], restart: Restart) -> Object {
    let names = names.iter().map(|name| Value::text(name)).collect();
    with_restart(Object::new().data("names", Value::List(names)), restart)
}

/// With a slot that refers to an object and that no assignment changes.
fn constant(mut object: Object, name: &str, oid: Oid) -> Object {
    let value = object.refer(oid);
    object.put(Slot::new(name, SlotKind::Data, value).constant());
    object
}

/// With a method in the language. The interpreter compiles it when it is first sent, so that only the source stands here, and
/// what it sends to itself.
fn method(mut object: Object, selector: &str, source: &str, sends: &[&str]) -> Object {
    let sends: Vec<String> = sends.iter().map(|name| String::from(*name)).collect();
    let method = Method { source: source.into(), bytecode: Vec::new(), sends };
    object.put(Slot::new(selector, SlotKind::Method, Value::Method(method)).constant());
    object
}

/// `setPriority` is said here and in Schedulable: the composition leaves the trait's out, see [`process_traits`].
fn process_prototype(numbers: &Numbers) -> Object {
    let object = with_capabilities(Object::new().parent("parent", Some(numbers.of("BaseObject"))));
    constant(object, "processCap", numbers.of("process"))
        .native("spawn/2", "processCap", 19)
        .native("terminate", "processCap", 3)
        .native("wait", "processCap", 5)
        .native("setPriority/1", "processCap", 18)
}

/// A process is scheduled, and what changes it is a transaction. Its own `setPriority` is the one that counts.
fn process_traits(numbers: &Numbers) -> Composition {
    let schedulable = Composition::of(numbers.of("Schedulable")).without("setPriority/1");
    schedulable.sum(Composition::of(numbers.of("Transactional")))
}

/// What is done with a message to a Server object: the cell that hosts the object takes it, and sends it this.
const MAIN_LOOP: &str = "(message) { self._dispatchMessage(message) }";

fn server_prototype(numbers: &Numbers) -> Object {
    let object = Object::new().parent("parent", Some(numbers.of("Process"))).data("interface", Value::Map(Vec::new()));
    let object = with_endpoint(object, Recipe::Void(CapabilityKind::Endpoint));
    method(object, "mainLoop/1", MAIN_LOOP, &["_dispatchMessage/1"])
}

fn private(mut object: Object, name: &str) -> Object {
    if let Some(slot) = object.slot(name).cloned() {
        object.put(Slot { reach: Reach::Private, ..slot });
    }
    object
}

/// One of the three servers. What it serves beyond what every process understands are natives of its own.
fn server(numbers: &Numbers, name: &str) -> Object {
    let object = Object::new().parent("parent", Some(numbers.of("Server"))).data("name", Value::text(name));
    let object = with_endpoint(object, endpoint(name));
    match name {
        "persistence" => object.native("root", "endpointCap", 7).native("statistics", "endpointCap", 10).native(
            "revision/1",
            "endpointCap",
            15,
        ),
        "memory" => object
            .native("allocate/1", "endpointCap", 1)
            .native("allocate/2", "endpointCap", 3)
            .native("free/1", "endpointCap", 2)
            .native("statistics", "endpointCap", 4),
        _ => object
            .native("create/2", "endpointCap", 1)
            .native("start/1", "endpointCap", 4)
            .native("kill/1", "endpointCap", 7)
            .native("rollback/1", "endpointCap", 11),
    }
}

fn server_traits(numbers: &Numbers) -> Composition {
    Composition::of(numbers.of("Callable")).sum(Composition::of(numbers.of("Transactional")))
}

/// How a MemoryRegion is filled, and given back.
const ALLOCATE: &str = "(size, type) { self.cap = self.memoryCap.allocate(size, type); self.size = size; self }";
const FREE: &str = "{ self.memoryCap.free(self.cap); self.size = 0; self }";

fn memory_region(numbers: &Numbers) -> Object {
    let object = Object::new()
        .parent("parent", Some(numbers.of("BaseObject")))
        .holding("cap", Recipe::Void(CapabilityKind::Untyped))
        .data("size", Value::Int(0))
        .data("permissions", Value::text("rw"));
    let object = constant(private(object, "cap"), "memoryCap", numbers.of("memory"));
    let object = method(object, "allocate/2", ALLOCATE, &["memoryCap"]);
    method(object, "free", FREE, &["cap", "memoryCap"])
}

fn image_prototype(numbers: &Numbers) -> Object {
    Object::new()
        .parent("parent", Some(numbers.of("BaseObject")))
        .data("name", Value::text(""))
        .data("version", Value::text(""))
        .data("build", Value::Int(0))
        .data("hash", Value::Bytes(Vec::new()))
        .data("bytes", Value::Bytes(Vec::new()))
}

/// A message is a map: its label, the selector that the object's `interface` names for it, the arguments, and who sent it.
const DISPATCH: &str = "(message) { self.perform(message.at('selector'), message.at('arguments')) }";

fn callable() -> Object {
    method(Object::new(), "_dispatchMessage/1", DISPATCH, &["perform/2"]).as_trait(&[])
}

/// Labels are those of the persistence server.
fn transactional(numbers: &Numbers) -> Object {
    constant(Object::new(), "persistenceCap", numbers.of("persistence"))
        .native("beginTransaction", "persistenceCap", 1)
        .native("commit", "persistenceCap", 2)
        .native("abort", "persistenceCap", 3)
        .native("note/1", "persistenceCap", 8)
        .as_trait(&[])
}

/// Labels are those of the process server.
fn schedulable() -> Object {
    Object::new()
        .native("setPriority/1", "processCap", 18)
        .native("yieldTimeslice", "processCap", 20)
        .as_trait(&["processCap"])
}

/// What a session starts from. The names of genesis are constant; what is named at the prompt comes beside them.
fn lobby(numbers: &Numbers) -> Object {
    let object = Object::new().parent("parent", Some(numbers.of("BaseObject")));
    LOBBY.into_iter().fold(object, |object, (name, of)| constant(object, name, numbers.of(of)))
}
