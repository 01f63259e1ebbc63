//! Methods that the interpreter provides.
//!
//! Each is a function from receiver and arguments to a value; those that change what runs next are [`Control`] and the loop
//! does them. They stand as slots in the objects of the kinds, so that they are found, cached and explained like any method.

mod collections;
mod mirrors;
mod numbers;
mod objects;
mod texts;

use alloc::format;
use alloc::rc::Rc;
use alloc::vec::Vec;

use super::heap::Cell;
use super::shape::{Content, Slot};
use super::value::{ShapeId, Val, kind};
use super::world::World;
use crate::error::{ErrorKind, Raise, raise};
use crate::host::Outside;

pub(crate) use mirrors::{compose, parent_content, put_slot};
pub(crate) use objects::{ALLOWED, CARETAKER, TARGET};

/// Arithmetic, for the loop.
pub(crate) mod numbers_api {
    pub(crate) use super::numbers::{arithmetic, negate, on_ints};
}

/// The longest text or byte string, in bytes, and list or map, in items, that one primitive makes.
pub(crate) const SIZE_LIMIT: usize = 1 << 18;

/// Up to three arguments; others are nil.
pub(crate) type Arguments = [Val; 3];
type Function = fn(&mut World, &mut Outside<'_>, Val, Arguments) -> Result<Val, Raise>;

/// What a primitive is.
#[derive(Clone, Copy)]
pub(crate) enum Primitive {
    Function(Function),
    Control(Control),
}

/// What the loop does by itself.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Control {
    /// Runs a block.
    Value,
    /// Sends what the arguments say.
    Perform,
    /// Sends a message that was not understood on to what stands behind a facet.
    Forward,
    /// Raises the argument.
    Raise,
    Begin,
    Commit,
    Abort,
    Note,
}

/// Kind, selector, function. Kind `OTHER` is every value.
type Row = (ShapeId, &'static str, Primitive);

const CONTROLS: &[Row] = &[
    (kind::BLOCK, "value", Primitive::Control(Control::Value)),
    (kind::OTHER, "perform", Primitive::Control(Control::Perform)),
    (kind::OTHER, "raise/1", Primitive::Control(Control::Raise)),
    (kind::OTHER, "beginTransaction", Primitive::Control(Control::Begin)),
    (kind::OTHER, "commit", Primitive::Control(Control::Commit)),
    (kind::OTHER, "abort", Primitive::Control(Control::Abort)),
    (kind::OTHER, "note/1", Primitive::Control(Control::Note)),
];

/// Primitives that stand in objects only: name, function.
const NAMED: &[(&str, Primitive)] = &[
    ("forward", Primitive::Control(Control::Forward)),
    ("revoke", Primitive::Function(objects::revoke)),
    // As genesis calls them.
    ("beginTransaction", Primitive::Control(Control::Begin)),
    ("commit", Primitive::Control(Control::Commit)),
    ("abort", Primitive::Control(Control::Abort)),
    ("note", Primitive::Control(Control::Note)),
];

const TABLES: &[&[Row]] = &[CONTROLS, numbers::ROWS, texts::ROWS, collections::ROWS, objects::ROWS, mirrors::ROWS];

/// All primitives by their numbers: those of objects first.
pub(crate) fn table() -> Vec<Primitive> {
    let rows = TABLES.iter().flat_map(|table| table.iter()).map(|(_, _, primitive)| *primitive);
    NAMED.iter().map(|(_, primitive)| *primitive).chain(rows).collect()
}

/// The number of a primitive that may stand in an object's slot.
pub(crate) fn primitive_number(name: &str) -> Option<u32> {
    NAMED.iter().position(|(known, _)| *known == name).map(|place| place as u32)
}

/// The name of such a primitive.
pub(crate) fn primitive_name(number: u32) -> &'static str {
    NAMED.get(number as usize).map_or("", |(name, _)| name)
}

/// Whether every object understands a selector by itself.
pub(crate) fn is_builtin(selector: &str) -> bool {
    let bare = object_model::base_name(selector);
    let named = |name: &str| name == selector || (name == bare && name == "perform");
    TABLES.iter().flat_map(|table| table.iter()).any(|(of, name, _)| *of == kind::OTHER && named(name))
}

impl World {
    /// Gives the kinds their primitives.
    pub(crate) fn install(&mut self) {
        let mut number = NAMED.len() as u32;
        for (of, name, _) in TABLES.iter().flat_map(|table| table.iter()) {
            let owner = match *of {
                kind::OTHER => self.any,
                of => self.kinds.get(of.0 as usize).copied().unwrap_or(self.any),
            };
            let Ok(shape) = self.shape(owner) else { continue };
            let mut shape = shape.clone();
            let (name, content) = (self.names.symbol(name), Content::Primitive(number));
            shape.slots.push(Slot { name, content, private: false, constant: true, origin: None });
            let _ = self.reshape(owner, shape, alloc::vec::Vec::new());
            number += 1;
        }
    }

    fn wrong<T>(&self, needed: &str, found: Val) -> Result<T, Raise> {
        raise(ErrorKind::Type, format!("{needed} is needed, {} was given", self.describe(found)))
    }

    fn int(&self, value: Val) -> Result<i64, Raise> {
        match value {
            Val::Int(number) => Ok(number),
            _ => self.wrong("an integer", value),
        }
    }

    /// An index into something of a length.
    fn index(&self, value: Val, length: usize) -> Result<usize, Raise> {
        let number = self.int(value)?;
        match usize::try_from(number) {
            Ok(index) if index < length => Ok(index),
            _ => raise(ErrorKind::Missing, format!("index {number} is outside 0 to {length}, exclusive")),
        }
    }

    fn text_argument(&self, value: Val) -> Result<Rc<str>, Raise> {
        match self.text_of(value) {
            Some(text) => Ok(text),
            None => self.wrong("a text", value),
        }
    }

    /// A symbol, or a text that names one.
    pub(crate) fn name_argument(&self, value: Val) -> Result<Rc<str>, Raise> {
        match value {
            Val::Symbol(name) => Ok(self.names.shared(name)),
            _ => match self.text_of(value) {
                Some(text) => Ok(text),
                None => self.wrong("a symbol", value),
            },
        }
    }

    /// Whether two values are equal: objects and blocks where they are one, others where they read alike.
    pub(crate) fn equal(&self, one: Val, other: Val, depth: usize) -> Result<bool, Raise> {
        let (Val::Heap(a), Val::Heap(b)) = (one, other) else {
            return Ok(match (one, other) {
                (Val::Int(a), Val::Float(b)) | (Val::Float(b), Val::Int(a)) => a as f64 == b.get(),
                (Val::Float(a), Val::Float(b)) => a.get() == b.get(),
                _ => one == other,
            });
        };
        if a == b {
            return Ok(true);
        }
        let Some(depth) = depth.checked_sub(1) else {
            return raise(ErrorKind::Depth, "lists and maps stand too deep in each other to compare");
        };
        Ok(match (self.heap.get(a), self.heap.get(b)) {
            (Cell::Text(a), Cell::Text(b)) => a == b,
            (Cell::Bytes(a), Cell::Bytes(b)) => a == b,
            (Cell::Capability(a), Cell::Capability(b)) => a == b,
            (Cell::Mirror(a), Cell::Mirror(b)) => a == b,
            (Cell::Composition(a), Cell::Composition(b)) => a == b,
            (Cell::List { .. }, Cell::List { .. }) => {
                let (a, b) = (self.heap.items(one).unwrap_or(&[]), self.heap.items(other).unwrap_or(&[]));
                if a.len() != b.len() {
                    return Ok(false);
                }
                for (a, b) in a.iter().zip(b) {
                    if !self.equal(*a, *b, depth)? {
                        return Ok(false);
                    }
                }
                true
            }
            (Cell::Map(a), Cell::Map(b)) => {
                if !a.keys().eq(b.keys()) {
                    return Ok(false);
                }
                for (a, b) in a.values().zip(b.values()) {
                    if !self.equal(*a, *b, depth)? {
                        return Ok(false);
                    }
                }
                true
            }
            _ => false,
        })
    }
}

/// How deep values are compared in each other.
pub(crate) const EQUAL_DEPTH: usize = 32;

fn too_long<T>() -> Result<T, Raise> {
    raise(ErrorKind::Memory, format!("more than {SIZE_LIMIT} items or bytes in one value"))
}
