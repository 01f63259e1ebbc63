//! Objects as JSON, for programs.

use object_model::{Object, Recipe, Slot, SlotKind, Value};
use object_store::{Oid, Record, Tid};
use serde_json::{Map, Value as Json, json};

use crate::point;
use crate::state::Names;
use crate::text::hex;

/// A value of an object.
pub(crate) fn value(names: &Names, object: &Object, shown: &Value) -> Json {
    match shown {
        Value::Nil => Json::Null,
        Value::Bool(value) => json!(value),
        Value::Int(value) => json!(value),
        // JSON has no number for what is infinite or none.
        Value::Float(number) if number.0.is_finite() => json!({ "float": number.0 }),
        Value::Float(number) => json!({ "float": number.0.to_string() }),
        Value::Text(text) => json!(text),
        Value::Bytes(bytes) => json!({ "bytes": hex(bytes) }),
        Value::Reference(_) => json!({ "reference": object.target(shown).map(|oid| names.oid(oid)) }),
        Value::List(values) => values.iter().map(|one| value(names, object, one)).collect(),
        Value::Map(entries) => {
            let entries: Vec<Json> =
                entries.iter().map(|(name, inner)| json!([name, value(names, object, inner)])).collect();
            json!({ "map": entries })
        }
        Value::Capability(_) => json!({ "capability": object.recipe(shown).map(recipe) }),
        Value::Native { endpoint_slot, label } => {
            json!({ "native": { "endpoint_slot": endpoint_slot, "label": label } })
        }
        Value::Primitive(name) => json!({ "primitive": name }),
        Value::Symbol(name) => json!({ "symbol": name }),
        Value::Method(method) => json!({ "method": { "source": method.source, "sends": method.sends } }),
    }
}

fn recipe(recipe: &Recipe) -> Json {
    let kind = format!("{:?}", recipe.kind());
    match recipe {
        Recipe::Void(_) => json!({ "kind": kind, "service": null, "rights": 0 }),
        Recipe::Service { service, rights, .. } => json!({ "kind": kind, "service": service, "rights": rights }),
        Recipe::Held { number, .. } => json!({ "kind": kind, "service": null, "rights": 0, "held": number }),
    }
}

fn slot(names: &Names, object: &Object, slot: &Slot) -> Json {
    let kind = match slot.kind {
        SlotKind::Data => "data",
        SlotKind::Method => "method",
        SlotKind::Parent => "parent",
    };
    json!({
        "name": slot.name,
        "kind": kind,
        "value": value(names, object, &slot.value),
        "private": slot.reach == object_model::Reach::Private,
        "constant": slot.change == object_model::Change::Constant,
        "from": object.origin(slot).map(|oid| names.oid(oid)),
    })
}

/// A state of an object.
pub(crate) fn object(names: &Names, oid: Oid, tid: Tid, next: Option<Tid>, record: &Record) -> Json {
    let mut shown = Map::new();
    let references: Vec<String> = record.references.iter().map(|&oid| names.oid(oid)).collect();
    shown.insert("oid".into(), json!(names.oid(oid)));
    shown.insert("name".into(), json!(names.label(oid, record)));
    shown.insert("tid".into(), json!(tid.number()));
    shown.insert("time".into(), json!(point::date(tid)));
    shown.insert("next".into(), json!(next.map(Tid::number)));
    shown.insert("bytes".into(), json!(record.encoded_length()));
    shown.insert("schema".into(), json!(record.schema));
    shown.insert("version".into(), json!(record.version));
    shown.insert("references".into(), json!(references));
    match Object::from_record(record) {
        Ok(object) => {
            let slots: Json = object.slots().iter().map(|one| slot(names, &object, one)).collect();
            shown.insert("slots".into(), slots);
        }
        Err(_) => {
            shown.insert("payload".into(), json!(hex(&record.payload)));
        }
    }
    Json::Object(shown)
}
