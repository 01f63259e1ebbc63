//! `diff`: what differs between the states after two transactions.

use std::collections::BTreeSet;

use object_model::{Object, Slot};
use object_store::{Load, Oid, Record, Storage, Tid};
use serde_json::{Map, Value as Json, json};

use super::print;
use crate::arguments::Format;
use crate::console::Console;
use crate::failure::Failure;
use crate::state::{Names, State};
use crate::text::slot_name;
use crate::{json, text};

/// An object that differs.
struct Difference {
    oid: Oid,
    old: Option<Record>,
    new: Option<Record>,
}

/// Shows what differs; the second may be the earlier one.
pub(super) fn run(
    state: &mut State,
    from: Tid,
    to: Tid,
    format: Format,
    console: &mut Console<'_>,
) -> Result<(), Failure> {
    let (old, new) = (state.before(Some(from))?, state.before(Some(to))?);
    let mut differences = Vec::new();
    for oid in changed_between(state, from.min(to), from.max(to), console)? {
        let (old, new) = (record(state.load(oid, old)?), record(state.load(oid, new)?));
        if old != new {
            differences.push(Difference { oid, old, new });
        }
    }
    let names = &state.names;
    let json = || {
        let objects: Vec<Json> = differences.iter().map(|one| one.json(names)).collect();
        json!({ "from": from.number(), "to": to.number(), "objects": objects })
    };
    print(format, console, json, || match differences.is_empty() {
        true => vec!["nothing differs".into()],
        false => differences.iter().flat_map(|one| one.text(names)).collect(),
    })
}

/// The objects that transactions after the first and up to the second changed.
fn changed_between(
    state: &mut State,
    first: Tid,
    second: Tid,
    console: &mut Console<'_>,
) -> Result<BTreeSet<Oid>, Failure> {
    let mut changed = BTreeSet::new();
    let mut meter = console.meter("transactions read");
    let mut after = first;
    while let Some(info) = state.store.transaction_after(after).map_err(|error| state.failure(error))? {
        if info.tid > second {
            break;
        }
        after = info.tid;
        changed.extend(info.changes.iter().map(|change| change.oid));
        meter.step(console.notes);
    }
    meter.end(console.notes);
    Ok(changed)
}

fn record(load: Load) -> Option<Record> {
    if let Load::Data { record, .. } = load { Some(record) } else { None }
}

impl Difference {
    fn change(&self) -> &'static str {
        match (&self.old, &self.new) {
            (None, _) => "created",
            (_, None) => "deleted",
            _ => "changed",
        }
    }

    fn label(&self, names: &Names) -> String {
        self.new.as_ref().or(self.old.as_ref()).map_or(String::new(), |record| names.label(self.oid, record))
    }

    /// The two states as objects; `None` where one that is there is none.
    fn objects(&self) -> Option<(Object, Object)> {
        let object = |record: &Option<Record>| match record {
            Some(record) => Object::from_record(record).ok(),
            None => Some(Object::new()),
        };
        Some((object(&self.old)?, object(&self.new)?))
    }

    fn json(&self, names: &Names) -> Json {
        let mut slots = Vec::new();
        if let Some((old, new)) = self.objects() {
            for (before, after) in differing(names, &old, &new) {
                let mut shown = Map::new();
                shown.insert("name".into(), json!(before.or(after).map(|slot| slot.name.clone())));
                if let Some(slot) = before {
                    shown.insert("old".into(), json::value(names, &old, &slot.value));
                }
                if let Some(slot) = after {
                    shown.insert("new".into(), json::value(names, &new, &slot.value));
                }
                slots.push(Json::Object(shown));
            }
        }
        json!({ "oid": names.oid(self.oid), "name": self.label(names), "change": self.change(), "slots": slots })
    }

    fn text(&self, names: &Names) -> Vec<String> {
        let label = self.label(names);
        let label = if label.is_empty() { label } else { format!(" {label}") };
        let mut lines = vec![format!("{} {}{label}", self.change(), names.oid(self.oid))];
        match self.objects() {
            None => lines.push("  its bytes differ; it is no object of slots".into()),
            Some((old, new)) => {
                for (before, after) in differing(names, &old, &new) {
                    let row = |mark, object: &Object, slot: &Slot| {
                        format!("  {mark} {} = {}", slot_name(slot), text::value(names, object, &slot.value))
                    };
                    lines.extend(before.map(|slot| row('-', &old, slot)));
                    lines.extend(after.map(|slot| row('+', &new, slot)));
                }
            }
        }
        lines
    }
}

/// The slots that differ: by their names, what they were and what they are. Values are compared as they are told in full, for
/// the same reference may have another index.
fn differing<'a>(names: &Names, old: &'a Object, new: &'a Object) -> Vec<(Option<&'a Slot>, Option<&'a Slot>)> {
    let told = |object: &Object, slot: &Slot| {
        let value = json::value(names, object, &slot.value);
        let bytecode =
            if let object_model::Value::Method(method) = &slot.value { method.bytecode.clone() } else { Vec::new() };
        (value, bytecode, slot.kind, slot.reach, slot.change, object.origin(slot))
    };
    let mut all: Vec<&str> = old.slots().iter().map(|slot| slot.name.as_str()).collect();
    all.extend(new.slots().iter().map(|slot| slot.name.as_str()).filter(|name| old.slot(name).is_none()));
    let pairs = all.into_iter().map(|name| (old.slot(name), new.slot(name)));
    let same = |(before, after): &(Option<&Slot>, Option<&Slot>)| {
        before.map(|slot| told(old, slot)) == after.map(|slot| told(new, slot))
    };
    pairs.filter(|pair| !same(pair)).collect()
}
