//! An object as text, for a person.

use alloc::string::String;
use core::fmt::{self, Write};

use crate::{Object, Slot, SlotKind, Value};

/// The most bytes, or characters, of a value that are shown.
const SHOWN: usize = 64;

impl Object {
    /// A line a slot; references as `#oid`.
    #[must_use]
    pub fn render(&self) -> String {
        let mut text = String::new();
        for slot in self.slots() {
            // Writing to a string does not fail.
            let _ = self.render_slot(&mut text, slot);
        }
        text
    }

    fn render_slot(&self, out: &mut String, slot: &Slot) -> fmt::Result {
        let mark = match slot.kind {
            SlotKind::Data => "",
            SlotKind::Method => "()",
            SlotKind::Parent => "*",
        };
        write!(out, "{}{mark} = ", slot.name)?;
        self.render_value(out, &slot.value)?;
        if let Some(origin) = self.origin(slot) {
            write!(out, "  (from #{})", origin.number())?;
        }
        out.write_char('\n')
    }

    fn render_value(&self, out: &mut String, value: &Value) -> fmt::Result {
        match value {
            Value::Nil => out.write_str("nil"),
            Value::Bool(value) => write!(out, "{value}"),
            Value::Int(value) => write!(out, "{value}"),
            Value::Text(text) => {
                let shown: String = text.chars().take(SHOWN).collect();
                write!(out, "{shown:?}")?;
                if shown.len() < text.len() { write!(out, "... ({} bytes)", text.len()) } else { Ok(()) }
            }
            Value::Bytes(bytes) => {
                out.write_str("<")?;
                for byte in bytes.iter().take(16) {
                    write!(out, "{byte:02x}")?;
                }
                if bytes.len() > 16 { write!(out, "... {} bytes>", bytes.len()) } else { out.write_str(">") }
            }
            Value::Reference(_) => match self.target(value) {
                Some(oid) => write!(out, "#{}", oid.number()),
                None => out.write_str("#?"),
            },
            Value::List(values) => {
                out.write_str("[")?;
                for (index, value) in values.iter().enumerate() {
                    out.write_str(if index == 0 { "" } else { ", " })?;
                    self.render_value(out, value)?;
                }
                out.write_str("]")
            }
            Value::Map(entries) => {
                out.write_str("{")?;
                for (index, (name, value)) in entries.iter().enumerate() {
                    write!(out, "{}{name}: ", if index == 0 { "" } else { ", " })?;
                    self.render_value(out, value)?;
                }
                out.write_str("}")
            }
            Value::Capability(_) => match self.recipe(value) {
                Some(recipe) => write!(out, "{recipe:?}"),
                None => out.write_str("capability ?"),
            },
            Value::Native { endpoint_slot, label } => write!(out, "native {endpoint_slot}:{label}"),
            Value::Primitive(name) => write!(out, "primitive {name}"),
        }
    }
}
