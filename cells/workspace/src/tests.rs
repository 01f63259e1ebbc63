//! A small graph, searched.

use alloc::collections::BTreeMap;
use alloc::vec;

use alloc::string::String;
use object_model::{Method, Reach, Slot, SlotKind, Value};
use proptest::prelude::*;

use super::*;
use crate::search::{Found, implementors, senders};
use crate::walk::{Extent, walk};

#[derive(Default)]
struct Memory(BTreeMap<Oid, Object>);

impl Objects for Memory {
    type Error = ();

    fn read(&mut self, oid: Oid) -> Result<Option<(Object, Vec<Oid>)>, ()> {
        let Some(object) = self.0.get(&oid) else { return Ok(None) };
        let record = object.to_record().map_err(|_| ())?;
        Ok(Some((object.clone(), record.references)))
    }
}

fn method(mut object: Object, selector: &str, source: &str) -> Object {
    let method = Method { source: source.into(), bytecode: Vec::new(), sends: Vec::new() };
    object.put(Slot::new(selector, SlotKind::Method, Value::Method(method)));
    object
}

/// A root with an account and a saving of it, and an image that is not looked at.
fn graph() -> Memory {
    let oid = Oid::new;
    let account = Object::new().data("name", Value::text("account")).data("balance", Value::Int(0));
    let account = method(account, "deposit/1", "(n) { self.balance = self.balance + n; self }");
    let mut saving = Object::new().parent("parent", Some(oid(1))).data("name", Value::text("saving"));
    saving = method(saving, "deposit/1", "(n) { resend.deposit(n + 1) }");
    saving = method(saving, "twice/1", "(n) {\n  [1, 2].each({ |x| self.deposit(n) })\n}");
    saving = method(saving, "broken", "{ self.deposit( }");
    let mut secret = Slot::new("code", SlotKind::Data, Value::Int(42));
    secret.reach = Reach::Private;
    saving.put(secret);
    let images = Object::new().referring("image", oid(5));
    let root = Object::new().referring("saving", oid(2)).referring("images", oid(4)).referring("lost", oid(9));
    let image = method(Object::new(), "deposit/1", "(n) { n }");
    Memory(BTreeMap::from([(oid(0), root), (oid(1), account), (oid(2), saving), (oid(4), images), (oid(5), image)]))
}

fn at(found: &[Found]) -> Vec<(u64, &str)> {
    found.iter().map(|one| (one.oid.number(), one.selector.as_str())).collect()
}

#[test]
fn a_walk_visits_each_once_and_leaves_out_what_it_is_told() {
    let mut visited = Vec::new();
    let extent = walk(&mut graph(), Oid::ROOT, &["images"], |oid, _| visited.push(oid.number()));
    assert_eq!((extent, visited), (Ok(Extent::Whole), vec![0, 2, 1]));
    let mut circle = graph();
    circle.0.insert(Oid::new(1), Object::new().referring("back", Oid::new(0)));
    let mut visited = 0;
    assert_eq!(walk(&mut circle, Oid::ROOT, &[], |_, _| visited += 1), Ok(Extent::Whole));
    assert_eq!(visited, 5);
}

#[test]
fn implementors_are_methods_and_data() {
    let (found, _) = implementors(&mut graph(), Oid::ROOT, &["images"], "deposit/1").expect("readable");
    assert_eq!(at(&found), [(2, "deposit/1"), (1, "deposit/1")]);
    assert_eq!(found[0].name.as_deref(), Some("saving"));
    assert_eq!(found[0].text, "(n) { resend.deposit(n + 1) }");
    let (found, _) = implementors(&mut graph(), Oid::ROOT, &[], "balance").expect("readable");
    assert_eq!((at(&found), found[0].text.as_str()), (vec![(1, "balance")], "data"));
    let (found, _) = implementors(&mut graph(), Oid::ROOT, &[], "deposit").expect("readable");
    assert_eq!(found, []);
}

#[test]
fn senders_are_found_in_blocks_and_resends_and_not_in_texts() {
    let mut graph = graph();
    graph.0.insert(Oid::new(1), method(Object::new(), "say", "{ 'deposit' + self.deposits }"));
    let (found, _) = senders(&mut graph, Oid::ROOT, &["images"], "deposit/1").expect("readable");
    assert_eq!(at(&found), [(2, "deposit/1"), (2, "twice/1")]);
    let (found, _) = senders(&mut graph, Oid::ROOT, &[], "+/1").expect("readable");
    assert_eq!(at(&found), [(2, "deposit/1"), (1, "say")]);
}

#[test]
fn a_path_of_slots_leads_to_what_it_understands() {
    let names = |path: &[&str]| understood::names(&mut graph(), Oid::ROOT, path).expect("readable");
    assert_eq!(names(&["saving"]), ["balance", "broken", "deposit", "name", "twice"]);
    assert_eq!(names(&[]), ["images", "lost", "saving"]);
    assert_eq!(names(&["saving", "balance"]), Vec::<String>::new());
    assert_eq!(names(&["nothing"]), Vec::<String>::new());
    assert_eq!(names(&["lost"]), Vec::<String>::new());
}

#[test]
fn parents_in_a_circle_end() {
    let mut graph = Memory::default();
    graph.0.insert(Oid::new(0), Object::new().parent("a", Some(Oid::new(1))).data("x", Value::Nil));
    graph.0.insert(Oid::new(1), Object::new().parent("a", Some(Oid::new(0))).data("y", Value::Nil));
    assert_eq!(understood::names(&mut graph, Oid::ROOT, &[]), Ok(vec!["x".into(), "y".into()]));
}

proptest! {
    #[test]
    fn any_source_is_searched(source in "(?s).{0,60}", selector in "[a-z+]{0,4}(/[0-9])?") {
        let mut graph = Memory::default();
        graph.0.insert(Oid::ROOT, method(Object::new(), "m", &source));
        prop_assert!(senders(&mut graph, Oid::ROOT, &[], &selector).is_ok());
    }
}
