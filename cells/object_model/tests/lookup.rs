//! Look-up, resend and assignment over objects.

use std::collections::{BTreeMap, BTreeSet};

use object_model::{
    Missing, Object, Oid, Place, Sender, Slot, SlotKind, Unassignable, Value, Verdict, assign, explain, lookup, resend,
    resend_via,
};
use proptest::prelude::*;

type Graph = BTreeMap<Oid, Object>;

fn oid(number: u64) -> Oid {
    Oid::new(number)
}

/// Objects, each with its parents and the selectors of its data slots, which hold the object's own number.
fn graph(objects: &[(u64, &[u64], &[&str])]) -> Graph {
    objects
        .iter()
        .map(|(number, parents, names)| {
            let mut object = Object::new();
            for parent in *parents {
                object = object.parent(&format!("parent{parent}"), Some(oid(*parent)));
            }
            for name in *names {
                object = object.data(name, Value::Int(number.cast_signed()));
            }
            (oid(*number), object)
        })
        .collect()
}

fn holder(graph: &Graph, receiver: u64, selector: &str) -> Result<u64, Missing<Oid, Oid>> {
    lookup(graph, oid(receiver), selector, Sender::Other).map(|found| found.holder.number())
}

#[test]
fn own_slot_wins_then_parents_are_searched() {
    let graph = graph(&[(1, &[], &["a", "b"]), (2, &[1], &["b"]), (3, &[2], &[])]);
    assert_eq!(holder(&graph, 3, "a"), Ok(1));
    assert_eq!(holder(&graph, 3, "b"), Ok(2));
    assert_eq!(holder(&graph, 3, "c"), Err(Missing::NotUnderstood));
    let found = lookup(&graph, oid(3), "a", Sender::Other).expect("it is there");
    assert_eq!(found.path, [oid(3), oid(2), oid(1)]);
}

#[test]
fn two_parents_that_both_answer_are_ambiguous_and_both_paths_are_told() {
    let graph = graph(&[(1, &[], &["a"]), (2, &[], &["a"]), (3, &[2], &[]), (4, &[1, 3], &[])]);
    let paths = vec![vec![oid(4), oid(1)], vec![oid(4), oid(3), oid(2)]];
    assert_eq!(holder(&graph, 4, "a"), Err(Missing::Ambiguous(paths)));
}

#[test]
fn one_slot_reached_twice_counts_once() {
    let graph = graph(&[(1, &[], &["a"]), (2, &[1], &[]), (3, &[1], &[]), (4, &[2, 3], &[])]);
    assert_eq!(holder(&graph, 4, "a"), Ok(1));
}

#[test]
fn a_slot_that_another_parent_overrides_drops_out() {
    let graph = graph(&[(1, &[], &["a"]), (2, &[1], &["a"]), (3, &[1], &[]), (4, &[2, 3], &[])]);
    assert_eq!(holder(&graph, 4, "a"), Ok(2));
}

#[test]
fn cycles_end_and_dominate_nothing() {
    let round = graph(&[(1, &[2], &[]), (2, &[1], &["a"])]);
    assert_eq!(holder(&round, 1, "a"), Ok(2));
    assert_eq!(holder(&round, 1, "b"), Err(Missing::NotUnderstood));
    let both = graph(&[(1, &[2], &["a"]), (2, &[1], &["a"]), (3, &[1, 2], &[])]);
    assert!(matches!(holder(&both, 3, "a"), Err(Missing::Ambiguous(paths)) if paths.len() == 2));
}

#[test]
fn a_missing_parent_is_an_error_and_not_an_end() {
    let graph = graph(&[(1, &[9], &[])]);
    assert_eq!(holder(&graph, 1, "a"), Err(Missing::World(oid(9))));
}

#[test]
fn the_number_of_arguments_is_part_of_the_name() {
    let mut object = Object::new().data("at", Value::Nil).native("spawn", "endpointCap", 1);
    object.set("at/1", SlotKind::Method, Value::Nil);
    let graph = Graph::from([(oid(1), object)]);
    for selector in ["at", "at/1", "spawn", "spawn/2"] {
        assert_eq!(holder(&graph, 1, selector), Ok(1), "{selector}");
    }
    assert_eq!(holder(&graph, 1, "at/2"), Err(Missing::NotUnderstood));
}

#[test]
fn a_private_slot_is_found_by_own_messages_in_the_receiver_only() {
    let mut keeper = Object::new();
    keeper.put(Slot::new("secret", SlotKind::Data, Value::Int(7)).private());
    let thief = Object::new().parent("parent", Some(oid(1)));
    let graph = Graph::from([(oid(1), keeper), (oid(2), thief)]);
    assert!(lookup(&graph, oid(1), "secret", Sender::Own).is_ok());
    assert_eq!(lookup(&graph, oid(1), "secret", Sender::Other), Err(Missing::NotUnderstood));
    assert_eq!(lookup(&graph, oid(2), "secret", Sender::Own), Err(Missing::NotUnderstood));
    assert_eq!(resend(&graph, oid(2), oid(2), "secret"), Err(Missing::NotUnderstood));
    let told = explain(&graph, oid(2), "secret").expect("small");
    assert!(matches!(told.as_slice(), [one] if one.verdict == Verdict::Private));
}

#[test]
fn resend_starts_above_the_holder_and_a_directed_one_in_one_parent() {
    let graph = graph(&[(1, &[], &["a"]), (2, &[], &["a"]), (3, &[1, 2], &["a"]), (4, &[3], &["a"])]);
    let found =
        |found: Result<object_model::Match<Oid, &Slot>, Missing<Oid, Oid>>| found.map(|one| one.holder.number());
    assert_eq!(found(resend(&graph, oid(4), oid(4), "a")), Ok(3));
    assert!(matches!(resend(&graph, oid(3), oid(4), "a"), Err(Missing::Ambiguous(_))));
    assert_eq!(found(resend_via(&graph, oid(3), "parent2", oid(4), "a")), Ok(2));
    assert_eq!(found(resend_via(&graph, oid(3), "a", oid(4), "a")), Err(Missing::NoParent));
}

#[test]
fn assignment_writes_the_receiver_only() {
    let mut above = Object::new().data("a", Value::Int(1)).primitive("m", "m");
    above.put(Slot::new("fixed", SlotKind::Data, Value::Nil).constant());
    let below = Object::new().parent("parent", Some(oid(1)));
    let graph = Graph::from([(oid(1), above), (oid(2), below)]);
    assert_eq!(assign(&graph, oid(1), "a", Sender::Other), Ok(Place::Own));
    assert_eq!(assign(&graph, oid(2), "a", Sender::Other), Ok(Place::New));
    for name in ["m", "fixed"] {
        let constant = Unassignable::Constant { holder: oid(1) };
        assert_eq!(assign(&graph, oid(2), name, Sender::Other), Err(constant));
    }
    assert_eq!(assign(&graph, oid(2), "parent", Sender::Own), Err(Unassignable::Constant { holder: oid(2) }));
    let missing = Unassignable::Missing(Missing::NotUnderstood);
    assert_eq!(assign(&graph, oid(2), "b", Sender::Other), Err(missing));
}

#[test]
fn explain_tells_every_candidate() {
    let graph = graph(&[(1, &[], &["a"]), (2, &[1], &["a"]), (3, &[], &["a"]), (4, &[2, 3], &[])]);
    let told: Vec<_> = explain(&graph, oid(4), "a")
        .expect("small")
        .into_iter()
        .map(|one| (one.path.last().map(|oid| oid.number()), one.verdict))
        .collect();
    let expected = [(Some(2), Verdict::Ambiguous), (Some(1), Verdict::Overridden), (Some(3), Verdict::Ambiguous)];
    assert_eq!(told, expected);
}

/// What a node's ancestors are, itself left out unless it is in a cycle.
fn above(graph: &Graph, node: u64) -> BTreeSet<u64> {
    let mut seen = BTreeSet::new();
    let mut waiting = vec![node];
    while let Some(next) = waiting.pop() {
        for parent in graph[&oid(next)].parents() {
            if seen.insert(parent.number()) {
                waiting.push(parent.number());
            }
        }
    }
    seen
}

/// Self's rule, as it is written: recursive, with the objects on the way.
fn by_the_rule(graph: &Graph, node: u64, way: &[u64]) -> BTreeSet<u64> {
    if way.contains(&node) {
        return BTreeSet::new();
    }
    let object = &graph[&oid(node)];
    if object.slot("a").is_some() {
        return BTreeSet::from([node]);
    }
    let way: Vec<u64> = way.iter().copied().chain([node]).collect();
    object.parents().flat_map(|parent| by_the_rule(graph, parent.number(), &way)).collect()
}

proptest! {
    #[test]
    fn any_graph_is_searched_by_the_rule(
        nodes in prop::collection::vec((prop::collection::btree_set(0u64..6, 0..3), any::<bool>()), 6)
    ) {
        let graph: Graph = nodes.iter().enumerate().map(|(number, (parents, has))| {
            let object = parents.iter().fold(Object::new(), |object, parent| {
                object.parent(&format!("p{parent}"), Some(oid(*parent)))
            });
            (oid(number as u64), if *has { object.data("a", Value::Nil) } else { object })
        }).collect();
        for receiver in 0..6 {
            let all = by_the_rule(&graph, receiver, &[]);
            let left: BTreeSet<u64> = all.iter().copied().filter(|one| {
                !all.iter().any(|other| {
                    other != one && above(&graph, *other).contains(one) && !above(&graph, *one).contains(other)
                })
            }).collect();
            match lookup(&graph, oid(receiver), "a", Sender::Other) {
                Ok(found) => prop_assert_eq!(left, BTreeSet::from([found.holder.number()])),
                Err(Missing::NotUnderstood) => prop_assert!(left.is_empty()),
                Err(Missing::Ambiguous(paths)) => {
                    let told: BTreeSet<u64> = paths.iter().filter_map(|path| path.last()).map(|one| one.number()).collect();
                    prop_assert!(told.len() > 1);
                    prop_assert_eq!(told, left);
                }
                Err(other) => prop_assert!(false, "{other:?}"),
            }
        }
    }
}
