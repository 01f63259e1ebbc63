//! Genesis on a graph in memory.

mod invariants;
mod language;
mod upgrade;
mod version_1;

use std::collections::BTreeMap;

use object_model::{BadObject, Object, Oid, Record, Slot, Value};

use crate::{
    Established, Fault, Graph, Image, KEPT_FAULTS, LOBBY, Made, NAMES, Present, Restart, State, VERSION, current_image,
    enter_image, enter_process, establish, faults, present, processes, restart, state, with_fault,
};

#[derive(Clone, Debug, Default, PartialEq)]
struct InMemory {
    records: BTreeMap<Oid, Record>,
    last: u64,
}

impl Graph for InMemory {
    type Error = BadObject;
    fn new_object(&mut self) -> Result<Oid, BadObject> {
        self.last += 1;
        Ok(Oid::new(self.last))
    }
    fn put(&mut self, oid: Oid, object: &Object) -> Result<(), BadObject> {
        self.records.insert(oid, object.to_record()?);
        Ok(())
    }
    fn get(&mut self, oid: Oid) -> Result<Object, BadObject> {
        Object::from_record(&self.records[&oid])
    }
}

impl InMemory {
    fn root(&mut self) -> Object {
        self.get(Oid::ROOT).expect("just made")
    }

    fn named(&mut self, name: &str) -> Object {
        let oid = self.root().reference(name).expect(name);
        self.get(oid).expect(name)
    }
}

fn made() -> (InMemory, Object) {
    let mut graph = InMemory::default();
    assert_eq!(establish(&mut graph, Oid::ROOT, None), Ok(Established::Made));
    let root = graph.root();
    (graph, root)
}

/// The slots that the plan lists, with the number of arguments where there are any.
fn check_slots(graph: &mut InMemory) {
    let slots: [(&str, &[&str]); 8] = [
        ("BaseObject", &["parent", "oid"]),
        (
            "Process",
            &["parent", "tcbCap", "cspaceCap", "vspaceCap", "processCap", "spawn/2", "terminate", "setPriority/1"],
        ),
        ("Server", &["parent", "endpointCap", "mainLoop/1", "interface"]),
        ("MemoryRegion", &["cap", "size", "permissions", "memoryCap", "allocate/2", "free"]),
        ("Image", &["name", "version", "build", "hash", "bytes"]),
        ("Callable", &["_dispatchMessage/1"]),
        ("Transactional", &["beginTransaction", "commit", "abort", "note/1", "persistenceCap"]),
        ("Schedulable", &["setPriority/1", "yieldTimeslice"]),
    ];
    for (name, expected) in slots {
        let object = graph.named(name);
        for slot in expected {
            assert!(object.slot(slot).is_some(), "{name} lacks {slot}");
        }
    }
}

#[test]
fn the_plan_s_prototypes_have_their_slots() {
    let (mut graph, _) = made();
    check_slots(&mut graph);
}

fn check_servers(graph: &mut InMemory) {
    let root = graph.root();
    for name in ["persistence", "memory", "process"] {
        let server = graph.named(name);
        assert_eq!(server.reference("parent"), root.reference("Server"));
        for (slot, origin) in [("_dispatchMessage/1", "Callable"), ("commit", "Transactional")] {
            let slot = server.slot(slot).expect("composed");
            assert_eq!(server.origin(slot), root.reference(origin));
        }
        let traits: Vec<Oid> = server.composition().expect("composed").traits().collect();
        assert_eq!(
            traits,
            [root.reference("Callable"), root.reference("Transactional")].map(|oid| oid.expect("there"))
        );
        let cap = server.get("endpointCap").and_then(|value| server.recipe(value));
        assert!(cap.is_some_and(|recipe| format!("{recipe:?}").contains(name)));
    }
}

#[test]
fn the_three_servers_are_clones_composed_with_two_traits() {
    let (mut graph, _) = made();
    check_servers(&mut graph);
}

#[test]
fn a_process_says_itself_which_priority_counts() {
    let (mut graph, root) = made();
    let process = graph.named("Process");
    let own: &Slot = process.slot("setPriority/1").expect("the plan lists it");
    assert_eq!(own.origin, None, "the prototype's own");
    let of_trait = process.slot("yieldTimeslice").expect("of the trait");
    assert_eq!(process.origin(of_trait), root.reference("Schedulable"));
    let steps = &process.composition().expect("composed").steps;
    assert!(steps.contains(&object_model::Step::Without("setPriority/1".into())), "it is left out by name: {steps:?}");
    for name in ["Callable", "Transactional", "Schedulable"] {
        assert!(graph.named(name).requires().is_some(), "{name} is a trait");
    }
}

#[test]
fn the_lobby_leads_to_everything_and_no_assignment_changes_that() {
    let (mut graph, root) = made();
    let lobby = graph.named("lobby");
    for (name, of) in LOBBY {
        assert_eq!(lobby.reference(name), root.reference(of), "{name}");
        assert_eq!(lobby.slot(name).map(|slot| slot.change), Some(object_model::Change::Constant), "{name}");
    }
    assert!(NAMES.iter().all(|name| root.reference(name).is_some()));
}

#[test]
fn the_prototype_chain_ends_at_the_base_object() {
    let (mut graph, root) = made();
    assert_eq!(graph.named("Server").reference("parent"), root.reference("Process"));
    assert_eq!(graph.named("Process").reference("parent"), root.reference("BaseObject"));
    assert_eq!(graph.named("BaseObject").get("parent"), Some(&Value::Nil));
}

#[test]
fn a_root_says_what_it_is() {
    let (_, root) = made();
    assert_eq!(present(&root), Present::Version(VERSION));
    assert_eq!(present(&Object::new()), Present::Nothing);
    assert_eq!(present(&Object::new().data("version", Value::Int(9))), Present::Newer(9));
}

#[test]
fn images_and_processes_are_found_again() {
    let mut images = Object::new();
    enter_image(&mut images, "shell", Oid::new(5));
    enter_image(&mut images, "shell", Oid::new(6));
    assert_eq!(current_image(&images, "shell"), Some(Oid::new(6)));
    assert_eq!(current_image(&images, "oid"), None);
    let mut list = Object::new();
    enter_process(&mut list, Oid::new(8));
    enter_process(&mut list, Oid::new(9));
    assert_eq!(processes(&list), [Oid::new(8), Oid::new(9)]);
    let image =
        Image { name: "shell".into(), version: "0.1.0".into(), build: u64::MAX, hash: vec![1], bytes: vec![2; 9] };
    let object = crate::image(Oid::new(1), Oid::new(5), &image, Some(Oid::new(4)));
    assert_eq!(Image::of(&object), Some(image.clone()));
    assert_eq!(object.reference("previous"), Some(Oid::new(4)));
    // As older systems stored them.
    let Some(Value::Bytes(bytes)) = object.get("bytes").cloned() else { panic!("bytes are there") };
    let older = Object::new().data("name", Value::text("shell")).data("hash", Value::Bytes(vec![1]));
    let older = older.data("bytes", Value::Bytes(bytes));
    assert_eq!(Image::of(&older), Some(Image { version: String::new(), build: 0, ..image.clone() }));
    let pushed = older.data("version", Value::text("0.1.1 build 7"));
    assert_eq!(Image::of(&pushed), Some(Image { version: "0.1.1".into(), build: 7, ..image }));
}

fn of_cell(cell: &str, restart: Restart) -> Made<'_> {
    Made { prototype: Oid::new(1), cell, image: Oid::new(3), capabilities: Oid::new(4), restart }
}

#[test]
fn a_process_that_an_object_became_keeps_what_it_was() {
    let greeter = Object::new().data("name", Value::text("greeter")).primitive("greet", "greet");
    let filled = crate::filled(greeter, Oid::new(7), of_cell("objects", Restart::Allowed));
    assert_eq!((crate::name_of(&filled), crate::cell_of(&filled)), (Some("greeter"), Some("objects")));
    assert!(filled.slot("greet").is_some() && filled.get("tcbCap").is_some());
    let nameless = crate::filled(Object::new(), Oid::new(7), of_cell("shell", Restart::Allowed));
    assert_eq!((crate::name_of(&nameless), crate::cell_of(&nameless)), (Some("shell"), Some("shell")));
    assert_eq!(filled.reference("prototype"), Some(Oid::new(1)));
    assert_eq!(nameless.parents().count(), 0);
    let other = crate::filled(nameless, Oid::new(8), of_cell("counter", Restart::Allowed));
    assert_eq!((crate::name_of(&other), crate::cell_of(&other)), (Some("counter"), Some("counter")), "a clone of it");
    let serving = crate::serving(filled);
    let recipe = serving.get("endpointCap").and_then(|value| serving.recipe(value));
    assert_eq!(recipe, Some(&crate::process::endpoint("greeter")));
    let older = Object::new().data("name", Value::text("counter"));
    assert_eq!(crate::cell_of(&older), Some("counter"));
}

#[test]
fn a_process_keeps_its_exit_status() {
    let object = crate::process(Oid::new(2), of_cell("test_proc", Restart::Never));
    assert_eq!(state(&object), Some(State::Running));
    let ended = crate::with_state(object, State::Exited(7));
    assert_eq!(state(&ended), Some(State::Exited(7)));
    assert_eq!(state(&crate::with_state(ended, State::Failed)), Some(State::Failed));
    assert_eq!(state(&Object::new()), None);
}

#[test]
fn a_process_and_a_list_of_capabilities_say_whether_there_is_a_restart() {
    for said in [Restart::Allowed, Restart::Never] {
        let object = crate::process(Oid::new(2), of_cell("shell", said));
        assert_eq!(restart(&crate::with_state(object, State::Failed)), said);
    }
    assert_eq!(restart(&Object::new()), Restart::Allowed, "older objects say nothing");
    let (mut graph, _) = made();
    let mut list = |name: &str| graph.named(name);
    let (once, user) = (list("onceCapabilities"), list("userCapabilities"));
    assert_eq!((restart(&once), restart(&user)), (Restart::Never, Restart::Allowed));
    assert_eq!(once.get("names"), user.get("names"));
}

#[test]
fn a_fault_comes_back_as_it_was() {
    let service = Fault {
        cell: "memory".into(),
        version: "0.1.0".into(),
        hash: u64::MAX - 5,
        process: None,
        time: 1_700_000_000_000_000_000,
        cause: "page fault".into(),
        trace: vec!["memory::main+0x10".into(), "telos_cell_entry+0x2".into()],
        registers: (0..17).map(|number| number << 60).collect(),
        request: Some([3, 9, 12]),
        consequence: "it began again".into(),
    };
    let process =
        Fault { process: Some(Oid::new(77)), request: None, registers: vec![], trace: vec![], ..service.clone() };
    for fault in [service, process] {
        let record = fault.object(Oid::new(5)).to_record().expect("it encodes");
        let object = Object::from_record(&record).expect("it decodes");
        assert_eq!(Fault::of(&object), Some(fault));
    }
    assert_eq!(Fault::of(&Object::new()), None);
}

#[test]
fn the_last_faults_are_kept() {
    let mut list = Object::new();
    for number in 1..=KEPT_FAULTS as u64 + 3 {
        list = with_fault(Oid::new(9000), &list, Oid::new(number));
        list = Object::from_record(&list.to_record().expect("it encodes")).expect("it decodes");
    }
    let kept: Vec<u64> = faults(&list).into_iter().map(Oid::number).collect();
    assert_eq!(kept, (4..=KEPT_FAULTS as u64 + 3).collect::<Vec<_>>());
    assert_eq!(list.to_record().expect("it encodes").references.len(), KEPT_FAULTS, "the others are not reachable");
}
