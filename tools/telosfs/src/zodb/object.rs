//! An object as the two pickles of a ZODB record: its class, and its state.

use object_model::{Object, Recipe, Value};
use object_store::{Oid, Record};

use super::pickle::Pickle;
use crate::state::Names;
use crate::text::slot_name;

/// The record of an object.
pub(super) fn pickled(names: &Names, oid: Oid, record: &Record) -> Vec<u8> {
    let mut class = Pickle::new();
    class.class();
    let mut state = Pickle::new();
    state.mapping(|state| {
        state.text("data");
        match Object::from_record(record) {
            Ok(object) => state.mapping(|data| {
                for slot in object.slots() {
                    data.text(&slot_name(slot));
                    value(data, &object, &slot.value);
                }
            }),
            Err(_) => state.mapping(|data| {
                data.text("payload");
                data.binary(&record.payload);
                data.text("references");
                data.list(|list| record.references.iter().for_each(|oid| list.reference(oid.number())));
            }),
        }
        state.text("telos_oid");
        state.text(&names.oid(oid));
        state.text("telos_schema");
        state.list(|list| {
            list.integer(i128::from(record.schema));
            list.integer(i128::from(record.version));
        });
    });
    let mut bytes = class.finish();
    bytes.extend(state.finish());
    bytes
}

/// A value of an object.
fn value(pickle: &mut Pickle, object: &Object, shown: &Value) {
    match shown {
        Value::Nil => pickle.none(),
        Value::Bool(value) => pickle.boolean(*value),
        Value::Int(value) => pickle.integer(i128::from(*value)),
        Value::Float(number) => pickle.float(number.0),
        Value::Text(text) => pickle.text(text),
        Value::Bytes(bytes) => pickle.binary(bytes),
        Value::Reference(_) => match object.target(shown) {
            Some(oid) => pickle.reference(oid.number()),
            None => pickle.none(),
        },
        Value::List(values) => pickle.list(|list| values.iter().for_each(|one| value(list, object, one))),
        Value::Map(entries) => pickle.mapping(|map| {
            for (name, inner) in entries {
                map.text(name);
                value(map, object, inner);
            }
        }),
        Value::Capability(_) => match object.recipe(shown) {
            Some(recipe) => capability(pickle, recipe),
            None => pickle.none(),
        },
        Value::Native { endpoint_slot, label } => pickle.mapping(|map| {
            map.text("native");
            map.text(endpoint_slot);
            map.text("label");
            map.integer(i128::from(*label));
        }),
        Value::Primitive(name) => pickle.mapping(|map| {
            map.text("primitive");
            map.text(name);
        }),
        Value::Symbol(name) => pickle.mapping(|map| {
            map.text("symbol");
            map.text(name);
        }),
        Value::Method(method) => pickle.mapping(|map| {
            map.text("source");
            map.text(&method.source);
        }),
    }
}

fn capability(pickle: &mut Pickle, recipe: &Recipe) {
    pickle.mapping(|map| {
        map.text("capability");
        map.text(&format!("{:?}", recipe.kind()));
        if let Recipe::Service { service, rights, .. } = recipe {
            map.text("service");
            map.text(service);
            map.text("rights");
            map.integer(i128::from(*rights));
        }
    });
}
