//! Shapes: what all objects of a clone family have in common.
//!
//! A shape says which slots there are, holds methods and parents, and numbers the data; an object is a shape and its data.
//! Equal shapes are one, so that what was found for one object holds for all that look alike, those that were just read
//! from the store included. Shapes never change: an object that is given a slot is given another shape.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use object_model::Composition;

use super::link::MethodId;
use super::value::{ObjectId, ShapeId, Symbol, kind};

/// A slot of a shape.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Slot {
    pub name: Symbol,
    pub content: Content,
    pub private: bool,
    pub constant: bool,
    /// The trait that it comes from, and its name there.
    pub origin: Option<(ObjectId, Option<Symbol>)>,
}

/// What stands in a slot.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Content {
    /// Data, by its number in the object.
    Data(u32),
    Parent(Option<ObjectId>),
    Method(MethodId),
    /// A method in the interpreter, by its number.
    Primitive(u32),
    /// A method by a name that the interpreter does not know.
    Unknown(Symbol),
    /// A message to another cell: the slot that holds the endpoint, and the label.
    Native(Symbol, u32),
}

/// What a shape is.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Shape {
    pub slots: Vec<Slot>,
    /// Steps of the composition, as the model has them, with places for numbers.
    pub composition: Option<OrderedComposition>,
    /// Where it is a trait: what it requires.
    pub requires: Option<Vec<String>>,
}

/// A composition that can be ordered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OrderedComposition(pub Composition);

impl OrderedComposition {
    fn key(&self) -> impl Iterator<Item = (u8, u64, &str, &str)> {
        use object_model::Step;
        self.0.steps.iter().map(|step| match step {
            Step::Trait(oid) => (0, oid.number(), "", ""),
            Step::Sum => (1, 0, "", ""),
            Step::Override => (2, 0, "", ""),
            Step::Without(name) => (3, 0, name.as_str(), ""),
            Step::Alias { new, old } => (4, 0, new.as_str(), old.as_str()),
        })
    }
}

impl PartialOrd for OrderedComposition {
    fn partial_cmp(&self, other: &Self) -> Option<core::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for OrderedComposition {
    fn cmp(&self, other: &Self) -> core::cmp::Ordering {
        self.key().cmp(other.key())
    }
}

impl Shape {
    pub(crate) fn slot(&self, name: Symbol) -> Option<&Slot> {
        self.slots.iter().find(|slot| slot.name == name)
    }

    pub(crate) fn parents(&self) -> impl Iterator<Item = ObjectId> {
        self.slots.iter().filter_map(|slot| match slot.content {
            Content::Parent(parent) => parent,
            _ => None,
        })
    }
}

/// All shapes.
#[derive(Debug, Default)]
pub(crate) struct Shapes {
    table: Vec<Option<Shape>>,
    known: BTreeMap<Shape, ShapeId>,
    free: Vec<ShapeId>,
}

impl Shapes {
    pub(crate) fn get(&self, id: ShapeId) -> Option<&Shape> {
        self.table.get((id.0.checked_sub(kind::FIRST)?) as usize)?.as_ref()
    }

    /// The number of a shape: the one that it has, or a new one.
    pub(crate) fn intern(&mut self, shape: Shape) -> ShapeId {
        if let Some(id) = self.known.get(&shape) {
            return *id;
        }
        let id = match self.free.pop() {
            Some(id) => id,
            None => {
                self.table.push(None);
                ShapeId(kind::FIRST + (self.table.len() - 1) as u32)
            }
        };
        self.known.insert(shape.clone(), id);
        if let Some(place) = self.table.get_mut((id.0 - kind::FIRST) as usize) {
            *place = Some(shape);
        }
        id
    }

    /// Frees all shapes but those that are marked. Their numbers are used again, so no cache may survive this.
    pub(crate) fn sweep(&mut self, marked: impl Fn(ShapeId) -> bool) {
        for (number, place) in self.table.iter_mut().enumerate() {
            let id = ShapeId(kind::FIRST + number as u32);
            if !marked(id)
                && let Some(shape) = place.take()
            {
                self.known.remove(&shape);
                self.free.push(id);
            }
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.table.len()
    }
}
