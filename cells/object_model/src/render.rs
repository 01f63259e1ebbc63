//! An object as text, for a person.
//!
//! References are shown as `#` and 16 hexadecimal digits, by which they can be looked at in turn. Whatever an object holds, the text has one row
//! a slot and no control character in it.

use alloc::string::String;
use core::fmt::{self, Write};

use crate::{Object, Oid, Recipe, Slot, SlotKind, Value};

/// The most characters of a text that are shown.
const TEXT_SHOWN: usize = 64;
/// The most bytes of a byte string.
const BYTES_SHOWN: usize = 16;
/// The most items of a list or map.
const ITEMS_SHOWN: usize = 64;
/// The widest column of names.
const NAMES_WIDTH: usize = 24;

impl Object {
    /// A row a slot: its name, marked `()` for a method and `*` for a parent, what stands in it, and the trait that it
    /// comes from.
    #[must_use]
    pub fn render(&self) -> String {
        let width = self.slots().iter().map(|slot| name(slot).chars().count()).max().unwrap_or(0).min(NAMES_WIDTH);
        let mut text = String::new();
        for slot in self.slots() {
            // Writing to a string does not fail.
            let _ = self.render_slot(&mut text, slot, width);
        }
        text
    }

    fn render_slot(&self, out: &mut String, slot: &Slot, width: usize) -> fmt::Result {
        write!(out, "{:width$} = ", name(slot))?;
        match slot.value {
            // The object's own number, which is shown as it is typed.
            Value::Int(number) if slot.name == "oid" => write!(out, "{}", Oid::new(number.cast_unsigned()))?,
            _ => self.render_value(out, &slot.value)?,
        }
        if let Some(origin) = self.origin(slot) {
            write!(out, "  (from {origin})")?;
        }
        out.write_char('\n')
    }

    fn render_value(&self, out: &mut String, value: &Value) -> fmt::Result {
        match value {
            Value::Nil => out.write_str("nil"),
            Value::Bool(value) => write!(out, "{value}"),
            Value::Int(value) => write!(out, "{value}"),
            Value::Text(text) => {
                let shown: String = text.chars().take(TEXT_SHOWN).collect();
                write!(out, "{shown:?}")?;
                if shown.len() < text.len() { write!(out, "... ({} bytes)", text.len()) } else { Ok(()) }
            }
            Value::Bytes(bytes) => {
                out.write_str("<")?;
                for byte in bytes.iter().take(BYTES_SHOWN) {
                    write!(out, "{byte:02x}")?;
                }
                if bytes.len() > BYTES_SHOWN { write!(out, "... {} bytes>", bytes.len()) } else { out.write_str(">") }
            }
            Value::Reference(_) => match self.target(value) {
                Some(oid) => write!(out, "{oid}"),
                None => out.write_str("#?"),
            },
            Value::List(values) => {
                out.write_str("[")?;
                for (index, value) in values.iter().take(ITEMS_SHOWN).enumerate() {
                    out.write_str(if index == 0 { "" } else { ", " })?;
                    self.render_value(out, value)?;
                }
                out.write_str(if values.len() > ITEMS_SHOWN { ", ...]" } else { "]" })?;
                if values.len() > ITEMS_SHOWN { write!(out, " ({} items)", values.len()) } else { Ok(()) }
            }
            Value::Map(entries) => {
                out.write_str("{")?;
                for (index, (name, value)) in entries.iter().take(ITEMS_SHOWN).enumerate() {
                    write!(out, "{}{}: ", if index == 0 { "" } else { ", " }, name.escape_debug())?;
                    self.render_value(out, value)?;
                }
                out.write_str(if entries.len() > ITEMS_SHOWN { ", ...}" } else { "}" })?;
                if entries.len() > ITEMS_SHOWN { write!(out, " ({} entries)", entries.len()) } else { Ok(()) }
            }
            Value::Capability(_) => match self.recipe(value) {
                Some(recipe) => write!(out, "{recipe}"),
                None => out.write_str("capability ?"),
            },
            Value::Native { endpoint_slot, label } => {
                write!(out, "native: label {label} of {}", endpoint_slot.escape_debug())
            }
            Value::Primitive(name) => write!(out, "primitive {}", name.escape_debug()),
            Value::Float(number) => write!(out, "{:?}", number.0),
            Value::Symbol(name) => write!(out, "#{}", name.escape_debug()),
            Value::Method(method) => {
                let shown: String = method.source.chars().take(TEXT_SHOWN).collect();
                write!(out, "{}", shown.escape_debug())?;
                if shown.len() < method.source.len() {
                    write!(out, "... ({} bytes)", method.source.len())
                } else {
                    Ok(())
                }
            }
        }
    }
}

/// A slot's name with the mark of its kind.
fn name(slot: &Slot) -> String {
    let mut name: String = slot.name.escape_debug().collect();
    name.push_str(match slot.kind {
        SlotKind::Data => "",
        SlotKind::Method => "()",
        SlotKind::Parent => "*",
    });
    name
}

/// What a sealed capability is made of again.
impl fmt::Display for Recipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Recipe::Held { kind, .. } => write!(f, "capability ({kind:?}, held by the cell that got it)"),
            Recipe::Void(kind) => write!(f, "capability ({kind:?}, void)"),
            Recipe::Service { kind, service, rights } => {
                write!(f, "capability ({kind:?} of {}, rights {rights:#b})", service.escape_debug())
            }
        }
    }
}
