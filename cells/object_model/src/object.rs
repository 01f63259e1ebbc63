//! The object in memory.

use alloc::string::String;
use alloc::vec::Vec;

use object_store::Oid;

use crate::{Composition, Recipe, Slot, SlotKind, Value};

/// An object: its slots, with the tables that its references and capabilities point into.
///
/// Two objects are equal where their slots and tables are, whatever is unused in them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Object {
    pub(crate) slots: Vec<Slot>,
    pub(crate) references: Vec<Oid>,
    pub(crate) recipes: Vec<Recipe>,
    pub(crate) composition: Option<Composition>,
    pub(crate) requires: Option<Vec<String>>,
}

impl Object {
    /// An object without slots.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A copy under another number: Self's clone, of the object's own slots. A slot `oid` tells the new number. Authority is
    /// not copied: its capabilities are void.
    #[must_use]
    pub fn clone_as(&self, oid: Oid) -> Self {
        let mut copy = self.clone();
        for recipe in &mut copy.recipes {
            *recipe = Recipe::Void(recipe.kind());
        }
        if copy.slot("oid").is_some() {
            copy.set("oid", SlotKind::Data, oid_value(oid));
        }
        copy
    }

    /// Its own slots, in the order in which they were made.
    #[must_use]
    pub fn slots(&self) -> &[Slot] {
        &self.slots
    }

    /// Its own slot of a name.
    #[must_use]
    pub fn slot(&self, name: &str) -> Option<&Slot> {
        self.slots.iter().find(|slot| slot.name == name)
    }

    /// What stands in its own slot of a name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.slot(name).map(|slot| &slot.value)
    }

    /// The same, to change.
    pub fn get_mut(&mut self, name: &str) -> Option<&mut Value> {
        self.slots.iter_mut().find(|slot| slot.name == name).map(|slot| &mut slot.value)
    }

    /// The object that its own slot of a name refers to.
    #[must_use]
    pub fn reference(&self, name: &str) -> Option<Oid> {
        self.target(self.get(name)?)
    }

    /// The objects that its parent slots refer to, in their order.
    pub fn parents(&self) -> impl Iterator<Item = Oid> {
        self.slots.iter().filter(|slot| slot.kind == SlotKind::Parent).filter_map(|slot| self.target(&slot.value))
    }

    /// The object that one of its values refers to; `None` where the value is no reference of this object.
    #[must_use]
    pub fn target(&self, value: &Value) -> Option<Oid> {
        match value {
            Value::Reference(index) => self.references.get(*index as usize).copied(),
            _ => None,
        }
    }

    /// The recipe of one of its values; `None` where the value is no capability of this object.
    #[must_use]
    pub fn recipe(&self, value: &Value) -> Option<&Recipe> {
        match value {
            Value::Capability(index) => self.recipes.get(*index as usize),
            _ => None,
        }
    }

    /// The recipes that its values point to.
    #[must_use]
    pub fn recipes(&self) -> &[Recipe] {
        &self.recipes
    }

    /// The trait that a slot was copied from.
    #[must_use]
    pub fn origin(&self, slot: &Slot) -> Option<Oid> {
        self.references.get(slot.origin.as_ref()?.of as usize).copied()
    }

    /// What it is composed of.
    #[must_use]
    pub fn composition(&self) -> Option<&Composition> {
        self.composition.as_ref()
    }

    /// The selectors that it requires of its users, where it is a trait.
    #[must_use]
    pub fn requires(&self) -> Option<&[String]> {
        self.requires.as_deref()
    }

    /// Makes it a trait, which objects can be composed of, with what it requires of them.
    #[must_use]
    pub fn as_trait(mut self, requires: &[&str]) -> Self {
        self.requires = Some(requires.iter().map(|name| String::from(*name)).collect());
        self
    }

    /// Says what it is composed of, without laying anything in.
    pub fn set_composition(&mut self, composition: Option<Composition>) {
        self.composition = composition;
    }

    /// Writes a value into an own slot, which stays what it is otherwise. `false` where there is none.
    pub fn write(&mut self, name: &str, value: Value) -> bool {
        self.get_mut(name).map(|place| *place = value).is_some()
    }

    /// A value that refers to an object, for a slot of this one.
    pub fn refer(&mut self, oid: Oid) -> Value {
        Value::Reference(self.index_of(oid))
    }

    /// A value for a capability, for a slot of this one.
    pub fn capability(&mut self, recipe: Recipe) -> Value {
        Value::Capability(place(&mut self.recipes, recipe))
    }

    /// Puts a value into the slot of a name, which is made where it is not there; the slot is then its own and no trait's.
    pub fn set(&mut self, name: &str, kind: SlotKind, value: Value) {
        self.put(Slot::new(name, kind, value));
    }

    /// Puts a slot, in place of the one of its name.
    pub fn put(&mut self, new: Slot) {
        match self.slots.iter_mut().find(|slot| slot.name == new.name) {
            Some(slot) => *slot = new,
            None => self.slots.push(new),
        }
    }

    /// Puts a slot of another version of this object, with the authority that stands in it.
    pub fn take_over(&mut self, old: &Object, slot: &Slot) {
        let mut slot = slot.clone();
        slot.value.renumber(&mut |inner| match inner {
            Value::Reference(index) => {
                if let Some(oid) = old.references.get(*index as usize) {
                    *index = self.index_of(*oid);
                }
            }
            Value::Capability(index) => {
                if let Some(recipe) = old.recipes.get(*index as usize) {
                    *index = place(&mut self.recipes, recipe.clone());
                }
            }
            _ => {}
        });
        if let Some(origin) = &mut slot.origin
            && let Some(oid) = old.references.get(origin.of as usize)
        {
            origin.of = self.index_of(*oid);
        }
        self.put(slot);
    }

    /// Takes a slot away.
    pub fn remove(&mut self, name: &str) -> Option<Slot> {
        let place = self.slots.iter().position(|slot| slot.name == name)?;
        Some(self.slots.remove(place))
    }

    /// A value of another object, renumbered for this one. Authority is not copied: capabilities in it are void.
    pub(crate) fn adopt(&mut self, from: &Object, value: &Value) -> Value {
        let mut value = value.clone();
        value.renumber(&mut |inner| match inner {
            Value::Reference(index) => {
                if let Some(oid) = from.references.get(*index as usize) {
                    *index = self.index_of(*oid);
                }
            }
            Value::Capability(index) => {
                if let Some(recipe) = from.recipes.get(*index as usize) {
                    *index = place(&mut self.recipes, Recipe::Void(recipe.kind()));
                }
            }
            _ => {}
        });
        value
    }

    pub(crate) fn index_of(&mut self, oid: Oid) -> u32 {
        place(&mut self.references, oid)
    }
}

/// Building an object slot by slot.
impl Object {
    /// With a data slot.
    #[must_use]
    pub fn data(mut self, name: &str, value: Value) -> Self {
        self.set(name, SlotKind::Data, value);
        self
    }

    /// With the data slot `oid`.
    #[must_use]
    pub fn numbered(self, oid: Oid) -> Self {
        self.data("oid", oid_value(oid))
    }

    /// With a data slot that refers to an object.
    #[must_use]
    pub fn referring(mut self, name: &str, oid: Oid) -> Self {
        let value = self.refer(oid);
        self.data(name, value)
    }

    /// With a parent slot; the end of the chain has `None`.
    #[must_use]
    pub fn parent(mut self, name: &str, oid: Option<Oid>) -> Self {
        let value = oid.map_or(Value::Nil, |oid| self.refer(oid));
        self.set(name, SlotKind::Parent, value);
        self
    }

    /// With a data slot for a capability.
    #[must_use]
    pub fn holding(mut self, name: &str, recipe: Recipe) -> Self {
        let value = self.capability(recipe);
        self.data(name, value)
    }

    /// With a method that another cell serves.
    #[must_use]
    pub fn native(mut self, name: &str, endpoint_slot: &str, label: u32) -> Self {
        self.set(name, SlotKind::Method, Value::Native { endpoint_slot: endpoint_slot.into(), label });
        self
    }

    /// With a method that the language provides.
    #[must_use]
    pub fn primitive(mut self, name: &str, primitive: &str) -> Self {
        self.set(name, SlotKind::Method, Value::Primitive(String::from(primitive)));
        self
    }
}

/// An object's number as a value. Numbers above `i64::MAX` come out negative, bit for bit.
fn oid_value(oid: Oid) -> Value {
    Value::Int(oid.number().cast_signed())
}

/// The index of an item in a table; it is added where it is not there.
fn place<T: PartialEq>(table: &mut Vec<T>, item: T) -> u32 {
    let found = table.iter().position(|known| *known == item);
    let index = found.unwrap_or_else(|| {
        table.push(item);
        table.len() - 1
    });
    // A table beyond 2^32 does not fit memory; encoding refuses far smaller ones.
    u32::try_from(index).unwrap_or(u32::MAX)
}
