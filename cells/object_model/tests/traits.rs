//! Objects composed of traits: what is laid in, what is refused, and what an edited trait does to its users.

use std::collections::BTreeMap;

use object_model::{Composition, Method, Object, Oid, Refusal, Slot, SlotKind, Value, compose_anew, edit_trait};

type Graph = BTreeMap<Oid, Object>;
const T1: Oid = Oid::new(1);
const T2: Oid = Oid::new(2);
const X: Oid = Oid::new(3);
const USER: Oid = Oid::new(10);

fn method(object: &mut Object, name: &str, source: &str, sends: &[&str]) {
    let sends = sends.iter().map(|name| (*name).into()).collect();
    let method = Method { source: source.into(), bytecode: Vec::new(), sends };
    object.put(Slot::new(name, SlotKind::Method, Value::Method(method)));
}

/// T1 {m11 = 11, m12 = 12, m13 = self.m12}, T2 {m21 = 21, m22 = 22}, X {m12 = 'X'}.
fn fixture() -> Graph {
    let [mut t1, mut t2, mut x] = [(); 3].map(|()| Object::new().as_trait(&[]));
    method(&mut t1, "m11", "{ 11 }", &[]);
    method(&mut t1, "m12", "{ 12 }", &[]);
    method(&mut t1, "m13", "{ self.m12 }", &["m12"]);
    method(&mut t2, "m21", "{ 21 }", &[]);
    method(&mut t2, "m22", "{ 22 }", &[]);
    method(&mut x, "m12", "{ 'X' }", &[]);
    Graph::from([(T1, t1), (T2, t2), (X, x)])
}

fn source<'a>(object: &'a Object, name: &str) -> Option<&'a str> {
    match object.get(name)? {
        Value::Method(method) => Some(&method.source),
        _ => None,
    }
}

fn composed(graph: &Graph, object: &Object, composition: &Composition) -> Result<Object, Refusal<Oid>> {
    compose_anew(graph, USER, object, composition, |_| false)
}

#[test]
fn slots_are_laid_in_with_their_origin_and_what_they_came_of_is_kept() {
    let graph = fixture();
    let both = Composition::of(T1).sum(Composition::of(T2));
    let user = composed(&graph, &Object::new(), &both).expect("no conflict");
    for (name, body, origin) in [("m11", "{ 11 }", T1), ("m13", "{ self.m12 }", T1), ("m22", "{ 22 }", T2)] {
        assert_eq!(source(&user, name), Some(body));
        assert_eq!(user.slot(name).and_then(|slot| user.origin(slot)), Some(origin));
    }
    assert_eq!(user.composition(), Some(&both));
    let bare = composed(&graph, &user, &Composition::default()).expect("nothing to refuse");
    assert_eq!((bare.slots(), bare.composition()), (&[][..], None));
}

#[test]
fn a_conflict_names_the_selector_and_the_traits() {
    let graph = fixture();
    let both = Composition::of(T1).sum(Composition::of(X));
    let Err(Refusal::Conflict(conflicts)) = composed(&graph, &Object::new(), &both) else { panic!("no conflict") };
    let origins: Vec<Oid> = conflicts["m12"].iter().map(|identity| identity.origin).collect();
    assert_eq!((conflicts.len(), origins), (1, vec![T1, X]));
    let mut own = Object::new();
    method(&mut own, "m12", "{ 'own' }", &[]);
    let user = composed(&graph, &own, &both).expect("the own slot decides");
    assert_eq!(source(&user, "m12"), Some("{ 'own' }"));
}

#[test]
fn what_is_required_comes_from_the_object_a_trait_or_a_parent() {
    let mut graph = fixture();
    let open = Composition::of(T1).without("m12");
    let required = BTreeMap::from([("m12".to_string(), vec!["m13".to_string()])]);
    assert_eq!(composed(&graph, &Object::new(), &open), Err(Refusal::Requires(required)));
    assert!(composed(&graph, &Object::new().primitive("m12", "m12"), &open).is_ok());
    assert!(composed(&graph, &Object::new(), &open.clone().sum(Composition::of(X))).is_ok());
    graph.insert(Oid::new(4), Object::new().primitive("m12", "m12"));
    assert!(composed(&graph, &Object::new().parent("parent", Some(Oid::new(4))), &open).is_ok());
}

#[test]
fn a_data_slot_keeps_its_value_and_outlives_its_trait() {
    let mut graph = fixture();
    graph.insert(X, Object::new().as_trait(&[]).data("count", Value::Int(0)));
    let mut user = composed(&graph, &Object::new(), &Composition::of(X)).expect("no conflict");
    assert!(user.write("count", Value::Int(5)));
    graph.insert(USER, user);
    let edited = Object::new().as_trait(&[]).data("count", Value::Int(1)).data("more", Value::Nil);
    let changed = edit_trait(&graph, (X, edited), &[USER], |_| false).expect("nobody refuses");
    let user = &changed.last().expect("the user").1;
    assert_eq!((user.get("count"), user.get("more")), (Some(&Value::Int(5)), Some(&Value::Nil)));
    let bare = composed(&graph, user, &Composition::default()).expect("nothing to refuse");
    assert_eq!(bare.get("count"), Some(&Value::Int(5)));
    assert!(bare.slots().iter().all(|slot| slot.origin.is_none()));
}

#[test]
fn an_edit_reaches_users_of_users_or_nobody() {
    let mut graph = fixture();
    let (middle, user, other) = (Oid::new(20), Oid::new(21), Oid::new(22));
    let part = compose_anew(&graph, middle, &Object::new().as_trait(&[]), &Composition::of(T1), |_| false);
    graph.insert(middle, part.expect("no conflict"));
    for (oid, composition) in [(user, Composition::of(middle).sum(Composition::of(T1))), (other, Composition::of(X))] {
        let made = compose_anew(&graph, oid, &Object::new(), &composition, |_| false).expect("one origin, no conflict");
        graph.insert(oid, made);
    }
    let mut edited = graph[&T1].clone();
    method(&mut edited, "m11", "{ 111 }", &[]);
    let changed = edit_trait(&graph, (T1, edited.clone()), &[user, middle, other], |_| false).expect("nobody refuses");
    let oids: Vec<Oid> = changed.iter().map(|(oid, _)| *oid).collect();
    assert_eq!(oids, [T1, middle, user]);
    assert!(changed.iter().all(|(_, object)| source(object, "m11") == Some("{ 111 }")));

    method(&mut edited, "m14", "{ self.m99 }", &["m99"]);
    let refusals = edit_trait(&graph, (T1, edited), &[user, middle, other], |_| false).expect_err("m99 is nowhere");
    assert!(matches!(refusals.as_slice(), [(oid, Refusal::Requires(_))] if *oid == user));
}

#[test]
fn a_trait_is_never_composed_of_itself() {
    let mut graph = fixture();
    let t2 = compose_anew(&graph, T2, &graph[&T2], &Composition::of(T1), |_| false).expect("no cycle yet");
    graph.insert(T2, t2);
    let refused = compose_anew(&graph, T1, &graph[&T1], &Composition::of(T2), |_| false);
    assert_eq!(refused, Err(Refusal::Cycle(T1)));
}

#[test]
fn only_a_trait_is_a_trait() {
    let mut graph = fixture();
    graph.insert(Oid::new(4), Object::new());
    let refused = composed(&graph, &Object::new(), &Composition::of(Oid::new(4)));
    assert_eq!(refused, Err(Refusal::NoTrait(Oid::new(4))));
}
