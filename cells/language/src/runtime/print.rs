//! Values as text, within bounds: however large or cyclic they are.

use alloc::format;
use alloc::string::String;
use core::fmt::Write;

use super::heap::Cell;
use super::shape::Content;
use super::value::{ObjectId, Val};
use super::world::World;

/// The most bytes that are printed of one value.
const PRINT_LIMIT: usize = 2000;
/// How deep values are printed in each other.
const DEPTH_SHOWN: usize = 5;
/// The most items of a list, entries of a map, slots of an object.
const ITEMS_SHOWN: usize = 40;

impl World {
    /// A value as a program would write it, cut where it is too long.
    pub(crate) fn print(&self, value: Val) -> String {
        let mut text = String::new();
        self.print_to(&mut text, value, DEPTH_SHOWN);
        if text.len() > PRINT_LIMIT {
            let end = (0..=PRINT_LIMIT).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
            text.truncate(end);
            text.push_str("...");
        }
        text
    }

    fn print_to(&self, text: &mut String, value: Val, depth: usize) {
        if text.len() > PRINT_LIMIT {
            return;
        }
        // Writing to a string does not fail.
        let _ = match value {
            Val::Nil => write!(text, "nil"),
            Val::Bool(value) => write!(text, "{}", value.get()),
            Val::Int(value) => write!(text, "{value}"),
            Val::Float(value) => write!(text, "{:?}", value.get()),
            Val::Symbol(name) => write!(text, "#{}", self.names.name(name)),
            Val::Object(id) if depth == DEPTH_SHOWN => {
                self.print_object(text, id, depth);
                Ok(())
            }
            Val::Object(_) => write!(text, "{}", self.describe(value)),
            Val::Heap(id) => {
                self.print_cell(text, value, self.heap.get(id), depth);
                Ok(())
            }
        };
    }

    fn print_cell(&self, text: &mut String, value: Val, cell: &Cell, depth: usize) {
        let _ = match cell {
            Cell::Text(content) => {
                quote(text, content);
                Ok(())
            }
            Cell::Bytes(bytes) => {
                text.push_str("x'");
                for byte in bytes.iter().take(PRINT_LIMIT / 2) {
                    let _ = write!(text, "{byte:02x}");
                }
                write!(text, "'")
            }
            Cell::List { .. } | Cell::Map(_) if depth == 0 => write!(text, "[...]"),
            Cell::List { .. } => {
                text.push('[');
                let items = self.heap.items(value).unwrap_or(&[]);
                for (number, item) in items.iter().take(ITEMS_SHOWN).enumerate() {
                    text.push_str(if number == 0 { "" } else { ", " });
                    self.print_to(text, *item, depth - 1);
                }
                if items.len() > ITEMS_SHOWN { write!(text, ", ... {} items]", items.len()) } else { write!(text, "]") }
            }
            Cell::Map(entries) => {
                text.push('[');
                for (number, (key, item)) in entries.iter().take(ITEMS_SHOWN).enumerate() {
                    text.push_str(if number == 0 { "" } else { ", " });
                    quote(text, key);
                    text.push_str(": ");
                    self.print_to(text, *item, depth - 1);
                }
                match entries.len() {
                    0 => write!(text, ":]"),
                    many if many > ITEMS_SHOWN => write!(text, ", ... {many} entries]"),
                    _ => write!(text, "]"),
                }
            }
            Cell::Block(block) => write!(text, "a block of {}", self.names.name(block.selector)),
            Cell::Composition(one) => write!(text, "a composition of {} traits", one.traits().count()),
            Cell::Mirror(id) => write!(text, "a mirror on {}", self.describe(Val::Object(*id))),
            Cell::Mirrors => write!(text, "the maker of mirrors"),
            Cell::Error(error, _) => write!(text, "an error: {}: {}", error.kind.name(), error.message),
            Cell::Capability(recipe) => write!(text, "{recipe}"),
            Cell::Free | Cell::Items(_) | Cell::Box(_) => write!(text, "?"),
        };
    }

    fn print_object(&self, text: &mut String, id: ObjectId, depth: usize) {
        text.push_str(&self.describe(Val::Object(id)));
        let Ok(shape) = self.shape(id) else { return };
        let Ok(cell) = self.cell(id) else { return };
        text.push_str(" {");
        for (number, slot) in shape.slots.iter().take(ITEMS_SHOWN).enumerate() {
            text.push_str(if number == 0 { "" } else { ", " });
            let name = self.names.name(slot.name);
            match &slot.content {
                // What is private is not told to whoever prints.
                Content::Data(_) if slot.private => {
                    let _ = write!(text, "{name}: (private)");
                }
                Content::Data(place) => {
                    let _ = write!(text, "{name}: ");
                    let value = cell.data.get(*place as usize).copied().unwrap_or(Val::Nil);
                    self.print_to(text, value, depth - 1);
                }
                Content::Parent(parent) => {
                    let parent = parent.map_or(Val::Nil, Val::Object);
                    let _ = write!(text, "{name}*: {}", self.describe(parent));
                }
                _ => {
                    let _ = write!(text, "{name}()");
                }
            }
        }
        text.push_str(if shape.slots.len() > ITEMS_SHOWN { ", ...}" } else { "}" });
    }

    /// A value in few words: what it is, and what it is called.
    pub(crate) fn describe(&self, value: Val) -> String {
        match value {
            Val::Object(id) => {
                let Ok(cell) = self.cell(id) else { return "?".into() };
                let name = self.shape(id).ok().and_then(|shape| {
                    shape.slots.iter().find_map(|slot| match slot.content {
                        Content::Data(place) if !slot.private && self.names.name(slot.name) == "name" => {
                            cell.data.get(place as usize).and_then(|value| self.text_of(*value))
                        }
                        _ => None,
                    })
                });
                let is_trait = self.shape(id).is_ok_and(|shape| shape.requires.is_some());
                let what = if is_trait { "trait" } else { "object" };
                match (name, cell.oid) {
                    (Some(name), _) if !name.is_empty() => format!("{what} {}", short(&name)),
                    (_, Some(oid)) => format!("{what} {oid}"),
                    _ => format!("{what} ~{}", id.0),
                }
            }
            Val::Heap(_) => {
                let mut text = String::new();
                self.print_to(&mut text, value, 1);
                short(&text)
            }
            _ => {
                let mut text = String::new();
                self.print_to(&mut text, value, 1);
                text
            }
        }
    }
}

/// The beginning of a text, in one line.
fn short(text: &str) -> String {
    let mut made: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(40).collect();
    if made.len() < text.len() {
        made.push_str("...");
    }
    made
}

fn quote(text: &mut String, content: &str) {
    text.push('\'');
    for character in content.chars().take(PRINT_LIMIT) {
        match character {
            '\'' => text.push_str("\\'"),
            '\\' => text.push_str("\\\\"),
            '\n' => text.push_str("\\n"),
            '\t' => text.push_str("\\t"),
            '\r' => text.push_str("\\r"),
            other if other.is_control() => {
                let _ = write!(text, "\\u{{{:x}}}", other as u32);
            }
            other => text.push(other),
        }
    }
    text.push('\'');
}
