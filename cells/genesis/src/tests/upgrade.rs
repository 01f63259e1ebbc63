//! Genesis over an older one, and over itself.

use object_model::{Object, Oid, SlotKind, Value};

use super::{InMemory, check_servers, check_slots, made, version_1};
use crate::{Established, Graph, Present, establish, present};

fn version_1() -> InMemory {
    let mut graph = InMemory::default();
    version_1::create(&mut graph, Oid::ROOT).expect("nothing to fail");
    graph
}

fn establish_again(graph: &mut InMemory) -> Established {
    let root = graph.root();
    establish(graph, Oid::ROOT, Some(root)).expect("nothing to fail")
}

#[test]
fn an_upgrade_leaves_what_a_new_state_has() {
    let mut graph = version_1();
    let numbers: Vec<_> = graph.root().references_of(&["Process", "images", "memory"]);
    assert_eq!(establish_again(&mut graph), Established::Upgraded { from: 1 });
    check_slots(&mut graph);
    check_servers(&mut graph);
    assert_eq!(present(&graph.root()), Present::Version(2));
    assert_eq!(graph.root().references_of(&["Process", "images", "memory"]), numbers, "objects keep their numbers");
    let (mut new, _) = made();
    for name in crate::NAMES {
        let names = |object: &Object| {
            let mut names: Vec<String> = object.slots().iter().map(|slot| slot.name.clone()).collect();
            names.sort_unstable();
            names
        };
        assert_eq!(names(&graph.named(name)), names(&new.named(name)), "{name}");
    }
}

#[test]
fn what_users_put_there_stays() {
    let mut graph = version_1();
    let root = graph.root();
    let process = root.reference("Process").expect("there");
    let edited = graph.get(process).expect("there").data("colour", Value::text("red")).referring("friend", Oid::ROOT);
    graph.put(process, &edited).expect("small");
    let list = root.reference("userCapabilities").expect("there");
    graph.put(list, &Object::new().data("names", Value::List(vec![]))).expect("small");
    let mut root = root.referring("faults", process);
    root.set("count", SlotKind::Data, Value::Int(5));
    graph.put(Oid::ROOT, &root).expect("small");
    assert_eq!(establish_again(&mut graph), Established::Upgraded { from: 1 });
    let process = graph.named("Process");
    assert_eq!(process.get("colour"), Some(&Value::text("red")));
    assert_eq!(process.reference("friend"), Some(Oid::ROOT));
    assert_eq!(graph.named("userCapabilities").get("names"), Some(&Value::List(vec![])));
    assert!(graph.root().reference("faults").is_some());
    assert_eq!(graph.root().get("count"), Some(&Value::Int(5)));
}

#[test]
fn over_itself_and_over_a_newer_one_it_changes_nothing() {
    let (mut graph, _) = made();
    let before = graph.clone();
    assert_eq!(establish_again(&mut graph), Established::Found);
    assert_eq!(graph, before);
    let newer = Object::new().data("version", Value::Int(3));
    graph.put(Oid::ROOT, &newer).expect("small");
    let before = graph.clone();
    assert_eq!(establish_again(&mut graph), Established::Found);
    assert_eq!(graph, before);
    assert_eq!(present(&newer), Present::Newer(3));
}

/// A power cut can only show none of it or all of it; but where part of it is there, the rest comes.
#[test]
fn what_is_missing_is_made_again() {
    let mut graph = version_1();
    let mut root = graph.root();
    root.remove("Schedulable");
    graph.put(Oid::ROOT, &root).expect("small");
    assert_eq!(establish_again(&mut graph), Established::Upgraded { from: 1 });
    check_slots(&mut graph);
}

trait References {
    fn references_of(&self, names: &[&str]) -> Vec<Option<Oid>>;
}

impl References for Object {
    fn references_of(&self, names: &[&str]) -> Vec<Option<Oid>> {
        names.iter().map(|name| self.reference(name)).collect()
    }
}
