//! Genesis on a graph in memory.

use std::collections::BTreeMap;

use object_model::{BadObject, Object, Oid, Record, Value};

use crate::{
    Fault, Graph, Image, KEPT_FAULTS, Present, Restart, State, create, current_image, enter_image, enter_process,
    faults, present, processes, restart, state, with_fault,
};

#[derive(Default)]
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

fn made() -> (InMemory, Object) {
    let mut graph = InMemory::default();
    create(&mut graph, Oid::ROOT).expect("nothing to fail");
    let root = graph.get(Oid::ROOT).expect("just made");
    (graph, root)
}

#[test]
fn the_plan_s_prototypes_have_their_slots() {
    let (mut graph, root) = made();
    let slots: [(&str, &[&str]); 8] = [
        ("BaseObject", &["parent", "oid"]),
        ("Process", &["parent", "tcbCap", "cspaceCap", "vspaceCap", "spawn", "terminate", "setPriority"]),
        ("Server", &["parent", "endpointCap", "mainLoop"]),
        ("MemoryRegion", &["cap", "size", "permissions"]),
        ("Image", &["name", "version", "hash", "bytes"]),
        ("Callable", &["_dispatchMessage"]),
        ("Transactional", &["beginTransaction", "commit", "abort", "note"]),
        ("Schedulable", &["setPriority", "yieldTimeslice"]),
    ];
    for (name, expected) in slots {
        let object = graph.get(root.reference(name).expect(name)).expect(name);
        for slot in expected {
            assert!(object.slot(slot).is_some(), "{name} lacks {slot}");
        }
    }
}

#[test]
fn the_three_servers_are_clones_composed_with_two_traits() {
    let (mut graph, root) = made();
    for name in ["persistence", "memory", "process"] {
        let server = graph.get(root.reference(name).expect(name)).expect(name);
        assert_eq!(server.reference("parent"), root.reference("Server"));
        for (slot, origin) in [("_dispatchMessage", "Callable"), ("commit", "Transactional")] {
            let slot = server.slot(slot).expect("composed");
            assert_eq!(server.origin(slot), root.reference(origin));
        }
        let cap = server.get("endpointCap").and_then(|value| server.recipe(value));
        assert!(cap.is_some_and(|recipe| format!("{recipe:?}").contains(name)));
    }
}

#[test]
fn the_prototype_chain_ends_at_the_base_object() {
    let (mut graph, root) = made();
    let server = graph.get(root.reference("Server").expect("there")).expect("there");
    assert_eq!(server.reference("parent"), root.reference("Process"));
    let process = graph.get(root.reference("Process").expect("there")).expect("there");
    assert_eq!(process.reference("parent"), root.reference("BaseObject"));
    let base = graph.get(root.reference("BaseObject").expect("there")).expect("there");
    assert_eq!(base.get("parent"), Some(&Value::Nil));
}

#[test]
fn a_root_says_what_it_is() {
    let (_, root) = made();
    assert_eq!(present(&root), Present::Version(1));
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

#[test]
fn a_process_keeps_its_exit_status() {
    let object = crate::process(Oid::new(1), Oid::new(2), "test_proc", Oid::new(3), Oid::new(4), Restart::Never);
    assert_eq!(state(&object), Some(State::Running));
    let ended = crate::with_state(object, State::Exited(7));
    assert_eq!(state(&ended), Some(State::Exited(7)));
    assert_eq!(state(&crate::with_state(ended, State::Failed)), Some(State::Failed));
    assert_eq!(state(&Object::new()), None);
}

#[test]
fn a_process_and_a_list_of_capabilities_say_whether_there_is_a_restart() {
    for said in [Restart::Allowed, Restart::Never] {
        let object = crate::process(Oid::new(1), Oid::new(2), "shell", Oid::new(3), Oid::new(4), said);
        assert_eq!(restart(&crate::with_state(object, State::Failed)), said);
    }
    assert_eq!(restart(&Object::new()), Restart::Allowed, "older objects say nothing");
    let (mut graph, root) = made();
    let mut list = |name: &str| graph.get(root.reference(name).expect(name)).expect(name);
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
