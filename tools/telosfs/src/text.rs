//! Objects and tables as text, for people. Whatever an object holds, no control character gets through.

use object_model::{Object, Slot, SlotKind, Value};
use object_store::Record;

use crate::state::Names;

/// The most characters of a text that are shown, and bytes of a byte string, and items of a list.
const TEXT_SHOWN: usize = 64;
const BYTES_SHOWN: usize = 16;
const ITEMS_SHOWN: usize = 32;
/// The most bytes of what is no object.
const HEAD_SHOWN: usize = 64;

/// Bytes in hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A slot's name with the mark of its kind: `()` for a method, `*` for a parent.
pub(crate) fn slot_name(slot: &Slot) -> String {
    let mark = match slot.kind {
        SlotKind::Data => "",
        SlotKind::Method => "()",
        SlotKind::Parent => "*",
    };
    format!("{}{mark}", slot.name.escape_debug())
}

/// A value of an object, in one row.
pub(crate) fn value(names: &Names, object: &Object, shown: &Value) -> String {
    match shown {
        Value::Nil => "nil".into(),
        Value::Bool(value) => value.to_string(),
        Value::Int(value) => value.to_string(),
        Value::Float(number) => format!("{:?}", number.0),
        Value::Text(text) => cut(&format!("{:?}", start(text)), start(text).len() < text.len(), text.len()),
        Value::Bytes(bytes) => {
            let head = hex(bytes.get(..BYTES_SHOWN).unwrap_or(bytes));
            if bytes.len() > BYTES_SHOWN { format!("<{head}... {} bytes>", bytes.len()) } else { format!("<{head}>") }
        }
        Value::Reference(_) => match object.target(shown) {
            Some(oid) => match names.name(oid) {
                Some(name) => format!("{} ({name})", names.oid(oid)),
                None => names.oid(oid),
            },
            None => "#?".into(),
        },
        Value::List(values) => {
            let items: Vec<String> = values.iter().take(ITEMS_SHOWN).map(|one| value(names, object, one)).collect();
            let more = if values.len() > ITEMS_SHOWN { format!(", ... {} items", values.len()) } else { String::new() };
            format!("[{}{more}]", items.join(", "))
        }
        Value::Map(entries) => {
            let one =
                |(name, inner): &(String, Value)| format!("{}: {}", name.escape_debug(), value(names, object, inner));
            let items: Vec<String> = entries.iter().take(ITEMS_SHOWN).map(one).collect();
            let more =
                if entries.len() > ITEMS_SHOWN { format!(", ... {} entries", entries.len()) } else { String::new() };
            format!("{{{}{more}}}", items.join(", "))
        }
        Value::Capability(_) => object.recipe(shown).map_or("capability ?".into(), ToString::to_string),
        Value::Native { endpoint_slot, label } => format!("native: label {label} of {}", endpoint_slot.escape_debug()),
        Value::Primitive(name) => format!("primitive {}", name.escape_debug()),
        Value::Symbol(name) => format!("symbol {}", name.escape_debug()),
        Value::Method(method) => {
            let source = &method.source;
            let shown = start(source).escape_debug().to_string();
            cut(&shown, start(source).len() < source.len(), source.len())
        }
    }
}

fn start(text: &str) -> &str {
    let end = text.char_indices().nth(TEXT_SHOWN).map_or(text.len(), |(place, _)| place);
    text.get(..end).unwrap_or(text)
}

fn cut(shown: &str, is_cut: bool, bytes: usize) -> String {
    if is_cut { format!("{shown}... ({bytes} bytes)") } else { shown.into() }
}

/// The rows of a record: its slots, or what can be said of it where it is no object.
pub(crate) fn record(names: &Names, record: &Record) -> Vec<String> {
    let object = match Object::from_record(record) {
        Ok(object) => object,
        Err(_) => return no_object(names, record),
    };
    let width = object.slots().iter().map(|slot| slot_name(slot).chars().count()).max().unwrap_or(0).min(24);
    let row = |slot: &Slot| {
        let from = object.origin(slot).map_or(String::new(), |oid| format!("  (from {})", names.oid(oid)));
        format!("{:width$} = {}{from}", slot_name(slot), value(names, &object, &slot.value))
    };
    object.slots().iter().map(row).collect()
}

fn no_object(names: &Names, record: &Record) -> Vec<String> {
    let payload = &record.payload;
    let head = hex(payload.get(..HEAD_SHOWN).unwrap_or(payload));
    let more = if payload.len() > HEAD_SHOWN { "..." } else { "" };
    let mut rows = vec![
        format!("schema {}, version {}: no object of slots", record.schema, record.version),
        format!("payload    = {} bytes: {head}{more}", payload.len()),
    ];
    if !record.references.is_empty() {
        let references: Vec<String> = record.references.iter().map(|&oid| names.oid(oid)).collect();
        rows.push(format!("references = {}", references.join(", ")));
    }
    rows
}

/// Prints rows in columns as wide as they need to be; the last column is never padded. Numbers go to the right.
pub(crate) fn table(heads: &[&str], rows: &[Vec<String>]) -> Vec<String> {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
        cells.chain(heads.get(column).map(|head| head.len())).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..heads.len()).map(width).collect();
    let is_number = |cell: &str| !cell.is_empty() && cell.bytes().all(|byte| byte.is_ascii_digit());
    let to_right: Vec<bool> = (0..heads.len())
        .map(|column| rows.iter().all(|row| row.get(column).is_some_and(|cell| is_number(cell))))
        .collect();
    let line = |cells: Vec<&str>| {
        let padded = cells.iter().zip(widths.iter().zip(&to_right)).map(|(cell, (&width, &right))| match right {
            true => format!("{cell:>width$}"),
            false => format!("{cell:<width$}"),
        });
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    let mut lines = vec![line(heads.to_vec())];
    lines.extend(rows.iter().map(|row| line(row.iter().map(String::as_str).collect())));
    lines
}
