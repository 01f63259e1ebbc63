//! Objects against their encoding, and the composition of traits.

use proptest::prelude::*;

use crate::{BadObject, CapabilityKind, Object, Oid, Recipe, Record, Slot, SlotKind, Value, compose};

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Nil),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Int),
        ".{0,8}".prop_map(Value::Text),
        prop::collection::vec(any::<u8>(), 0..8).prop_map(Value::Bytes),
        "[a-z]{1,6}".prop_map(Value::Primitive),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| prop::collection::vec(inner, 0..4).prop_map(Value::List))
}

proptest! {
    #[test]
    fn an_object_comes_back_as_it_was(
        slots in prop::collection::btree_map("[a-z]{1,6}", value(), 0..6), targets in prop::collection::vec(1u64..99, 0..4)
    ) {
        let mut object = Object::new();
        for (name, value) in slots {
            object.set(&name, SlotKind::Data, value);
        }
        for target in targets {
            object = object.referring(&format!("ref{target}"), Oid::new(target));
        }
        let record = object.to_record().expect("within the limits");
        prop_assert_eq!(Object::from_record(&record), Ok(object));
    }

    #[test]
    fn any_bytes_are_an_object_or_an_error(payload in prop::collection::vec(any::<u8>(), 0..200)) {
        let record = Record { schema: crate::SCHEMA, version: crate::VERSION, payload, ..Record::default() };
        let _ = Object::from_record(&record);
    }
}

#[test]
fn a_reference_that_no_slot_uses_is_left_out() {
    let mut object = Object::new().referring("a", Oid::new(7)).referring("b", Oid::new(8));
    object.remove("a");
    let record = object.to_record().expect("small");
    assert_eq!(record.references, [Oid::new(8)]);
    let back = Object::from_record(&record).expect("just made");
    assert_eq!(back.reference("b"), Some(Oid::new(8)));
}

#[test]
fn a_reference_outside_the_table_is_refused() {
    let object = Object::new().referring("a", Oid::new(7));
    let mut record = object.to_record().expect("small");
    record.references.clear();
    assert_eq!(Object::from_record(&record), Err(BadObject::NoSuchIndex(0)));
}

#[test]
fn capabilities_are_recipes_beside_the_payload() {
    let recipe = Recipe::Service { kind: CapabilityKind::Endpoint, service: "memory".into(), rights: 5 };
    let object = Object::new().holding("endpointCap", recipe.clone());
    let record = object.to_record().expect("small");
    assert!(!record.capabilities.is_empty());
    let back = Object::from_record(&record).expect("just made");
    assert_eq!(back.get("endpointCap").and_then(|value| back.recipe(value)), Some(&recipe));
}

#[test]
fn traits_are_flattened_with_their_origin() {
    let first = Object::new().primitive("m11", "eleven").primitive("m12", "twelve");
    let second = Object::new().native("m21", "endpointCap", 3);
    let mut object = Object::new().primitive("m12", "own");
    compose(&mut object, &[(Oid::new(1), &first), (Oid::new(2), &second)]).expect("no conflict");
    let m11 = object.slot("m11").expect("from the first");
    assert_eq!(object.origin(m11), Some(Oid::new(1)));
    assert_eq!(object.get("m12"), Some(&Value::Primitive("own".into())));
    assert_eq!(object.slot("m21").and_then(|slot| object.origin(slot)), Some(Oid::new(2)));
}

#[test]
fn a_conflict_is_refused_and_changes_nothing() {
    let first = Object::new().primitive("m12", "twelve");
    let second = Object::new().primitive("m12", "other");
    let mut object = Object::new().data("x", Value::Int(1));
    let before = object.clone();
    let conflict = compose(&mut object, &[(Oid::new(1), &first), (Oid::new(2), &second)]).expect_err("both provide it");
    assert_eq!(conflict.names, ["m12"]);
    assert_eq!(object, before);
    compose(&mut object, &[(Oid::new(1), &first), (Oid::new(1), &first)]).expect("one trait twice is no conflict");
}

#[test]
fn every_kind_of_value_is_rendered() {
    let recipe = Recipe::Service { kind: CapabilityKind::Endpoint, service: "memory".into(), rights: 5 };
    let mut object = Object::new()
        .parent("parent", Some(Oid::new(4)))
        .data("bytes", Value::Bytes(vec![1; 40]))
        .data("text", Value::text("one\ntwo"))
        .native("spawn", "processCap", 4)
        .primitive("wait", "wait")
        .data("list", Value::List(vec![Value::Nil, Value::Bool(true), Value::Int(-7)]))
        .data("map", Value::Map(vec![("a\tb".into(), Value::Nil)]))
        .holding("tcbCap", Recipe::Void(CapabilityKind::Tcb))
        .holding("endpointCap", recipe);
    let origin = Object::new().primitive("commit", "commit");
    compose(&mut object, &[(Oid::new(9), &origin)]).expect("no conflict");
    let expected = r#"parent*     = #0000000000000004
bytes       = <01010101010101010101010101010101... 40 bytes>
text        = "one\ntwo"
spawn()     = native: label 4 of processCap
wait()      = primitive wait
list        = [nil, true, -7]
map         = {a\tb: nil}
tcbCap      = capability (Tcb, void)
endpointCap = capability (Endpoint of memory, rights 0b101)
commit()    = primitive commit  (from #0000000000000009)
"#;
    assert_eq!(object.render(), expected);
    let _: &[Slot] = object.slots();
}

#[test]
fn long_values_are_cut_and_say_so() {
    let object = Object::new()
        .data("text", Value::text(&"x".repeat(100)))
        .data("list", Value::List(vec![Value::Nil; 65]))
        .data("map", Value::Map((0..65).map(|number| (format!("n{number}"), Value::Nil)).collect()));
    let text = object.render();
    for cut in ["x\"... (100 bytes)\n", "nil, ...] (65 items)\n", "nil, ...} (65 entries)\n"] {
        assert!(text.contains(cut), "{text}");
    }
}

proptest! {
    #[test]
    fn a_slot_is_one_row_whatever_it_is_called(slots in prop::collection::btree_map("(?s).{0,30}", value(), 0..6)) {
        let mut object = Object::new();
        for (name, value) in &slots {
            object.set(name, SlotKind::Data, value.clone());
        }
        let text = object.render();
        prop_assert_eq!(text.lines().count(), slots.len());
        prop_assert!(!text.replace('\n', "").contains(char::is_control));
    }
}
