//! Records as an enemy writes them: no byte of the payload becomes a capability, and versions are told apart.

use object_model::{CapabilityKind, Composition, Float, Method, Object, Oid, Recipe, Record, Slot, SlotKind, Value};

fn recipe(service: &str) -> Recipe {
    Recipe::Service { kind: CapabilityKind::Endpoint, service: service.into(), rights: 5 }
}

/// An object with everything in it.
fn full() -> Object {
    let method = Method { source: "(n) { self.m12 }".into(), bytecode: vec![1, 2, 3], sends: vec!["m12".into()] };
    let mut object = Object::new()
        .parent("parent", Some(Oid::new(7)))
        .data("number", Value::Float(Float(1.5)))
        .data("list", Value::List(vec![Value::Symbol("red".into()), Value::Int(8), Value::Capability(0)]))
        .as_trait(&["m99"]);
    object.put(Slot::new("m/1", SlotKind::Method, Value::Method(method)));
    let held = object.capability(recipe("memory"));
    object.put(Slot::new("endpointCap", SlotKind::Data, held).private().constant());
    object
}

/// Every recipe that some value of an object leads to.
fn authority(object: &Object) -> Vec<Recipe> {
    fn visit(object: &Object, value: &Value, found: &mut Vec<Recipe>) {
        found.extend(object.recipe(value).cloned());
        match value {
            Value::List(values) => values.iter().for_each(|value| visit(object, value, found)),
            Value::Map(entries) => entries.iter().for_each(|(_, value)| visit(object, value, found)),
            _ => {}
        }
    }
    let mut found = Vec::new();
    object.slots().iter().for_each(|slot| visit(object, &slot.value, &mut found));
    found
}

#[test]
fn everything_comes_back_in_the_second_version() {
    let object = full();
    let record = object.to_record().expect("small");
    assert_eq!(record.version, 2);
    assert_eq!(Object::from_record(&record).as_ref(), Ok(&object));
    let again = Object::from_record(&record).expect("just made").to_record();
    assert_eq!(again, Ok(record));
}

#[test]
fn what_the_first_version_can_say_is_written_in_it() {
    let object = Object::new().data("x", Value::Int(1)).primitive("m", "m");
    assert_eq!(object.to_record().map(|record| record.version), Ok(1));
}

#[test]
fn no_change_of_a_payload_byte_gives_authority() {
    let record = full().to_record().expect("small");
    for place in 0..record.payload.len() {
        for bit in 0..8 {
            let mut payload = record.payload.clone();
            payload[place] ^= 1 << bit;
            let flipped = Record { payload, ..record.clone() };
            if let Ok(object) = Object::from_record(&flipped) {
                assert!(authority(&object).iter().all(|found| *found == recipe("memory")), "byte {place}, bit {bit}");
            }
        }
    }
}

#[test]
fn without_a_capability_section_no_payload_gives_authority() {
    let record = Record { capabilities: Vec::new(), ..full().to_record().expect("small") };
    assert!(Object::from_record(&record).is_err());
    for place in 0..record.payload.len() {
        for byte in 0..=255 {
            let mut payload = record.payload.clone();
            payload[place] = byte;
            if let Ok(object) = Object::from_record(&Record { payload, ..record.clone() }) {
                assert_eq!(authority(&object), [], "byte {place} as {byte}");
            }
        }
    }
}

#[test]
fn any_change_of_the_capability_section_is_another_recipe_or_an_error() {
    let record = full().to_record().expect("small");
    for place in 0..record.capabilities.len() {
        for bit in 0..8 {
            let mut capabilities = record.capabilities.clone();
            capabilities[place] ^= 1 << bit;
            // It is the store that keeps this section from its clients; here it must only not break anything.
            let _ = Object::from_record(&Record { capabilities, ..record.clone() });
        }
    }
}

#[test]
fn a_clone_holds_nothing() {
    let copy = full().clone_as(Oid::new(9));
    let void = Recipe::Void(CapabilityKind::Endpoint);
    assert_eq!(authority(&copy), [void.clone(), void]);
}

#[test]
fn a_trait_gives_no_authority_to_its_users() {
    let mut user = Object::new();
    object_model::compose(&mut user, &[(Oid::new(3), &full())]).expect("no conflict");
    assert!(authority(&user).iter().all(|recipe| matches!(recipe, Recipe::Void(_))));
}

#[test]
fn a_composition_outside_the_table_is_refused() {
    let objects = std::collections::BTreeMap::from([(Oid::new(7), Object::new().as_trait(&[]))]);
    let user =
        object_model::compose_anew(&objects, Oid::new(1), &Object::new(), &Composition::of(Oid::new(7)), |_| true)
            .expect("the empty trait");
    let mut record = user.to_record().expect("small");
    assert_eq!(Object::from_record(&record).as_ref().map(Object::composition), Ok(user.composition()));
    record.references.clear();
    assert!(Object::from_record(&record).is_err());
}

/// One slot `x` with the number 1, as version 1 was first written.
#[test]
fn the_first_version_is_read_and_written_as_it_was() {
    let payload = vec![1, 1, b'x', 0, 2, 2, 0];
    let record = Record { schema: object_model::SCHEMA, version: 1, payload, ..Record::default() };
    let object = Object::new().data("x", Value::Int(1));
    assert_eq!(Object::from_record(&record).as_ref(), Ok(&object));
    assert_eq!(object.to_record(), Ok(record));
}

#[test]
fn an_unknown_version_or_flag_is_refused() {
    let record = full().to_record().expect("small");
    for version in [0, 3, 1] {
        assert!(Object::from_record(&Record { version, ..record.clone() }).is_err(), "version {version}");
    }
    let mut object = Object::new();
    object.put(Slot::new("x", SlotKind::Data, Value::Nil).private());
    let mut record = object.to_record().expect("small");
    let flags = record.payload.len() - 3;
    assert_eq!(record.payload[flags], 1);
    record.payload[flags] = 4;
    assert!(Object::from_record(&record).is_err());
}
