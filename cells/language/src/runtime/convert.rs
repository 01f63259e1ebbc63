//! Objects between memory and the model.
//!
//! There are two ways to number objects. In the store's, an object is what is kept: all its values are there. In the
//! *local* one, which composing by the model's rules goes through, places in memory are the numbers and a value is only
//! pointed to, so that values which cannot be kept take part too.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::rc::Rc;
use alloc::string::ToString;
use alloc::vec::Vec;

use object_model::{
    Change, Composition, DEPTH_LIMIT, Float, Object, Oid, Origin, Reach, Recipe, SlotKind, Step, Value,
};

use super::heap::Cell;
use super::primitives::{primitive_name, primitive_number};
use super::shape::{Content, OrderedComposition, Shape, Slot};
use super::value::{ObjectId, ShapeId, Val};
use super::world::{World, local_id, local_oid};
use crate::error::{ErrorKind, Raise, error, raise};
use crate::host::{Argument, Outside, Refused};

/// How objects are numbered.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Numbers {
    Store,
    Local,
}

impl World {
    /// What a refusal is to a program.
    pub(crate) fn refused(&self, refused: Refused) -> Raise {
        match refused {
            Refused::Conflict(oid) => error(ErrorKind::Conflict, format!("object {oid} was changed by another")),
            Refused::NoObject(oid) => error(ErrorKind::Store, format!("there is no object {oid}")),
            Refused::BadObject(oid, why) => {
                error(ErrorKind::Store, format!("object {oid} does not decode or encode: {why:?}"))
            }
            Refused::Void(why) => error(ErrorKind::Void, why),
            Refused::Other(why) => error(ErrorKind::Store, why),
        }
    }

    /// Shape and data of a model's object.
    pub(crate) fn import(&mut self, object: &Object, numbers: Numbers) -> Result<(ShapeId, Vec<Val>), Raise> {
        let mut shape = Shape { requires: object.requires().map(<[_]>::to_vec), ..Shape::default() };
        let mut data = Vec::new();
        let id = |world: &mut Self, oid: Oid| match numbers {
            Numbers::Store => world.object_of(oid),
            Numbers::Local => local_id(oid),
        };
        for slot in object.slots() {
            let name = self.names.symbol(&slot.name);
            let content = match (slot.kind, &slot.value) {
                (SlotKind::Method, Value::Method(method)) => Content::Method(self.method(&Rc::new(method.clone()))),
                (SlotKind::Method, Value::Primitive(name)) => match primitive_number(name) {
                    Some(number) => Content::Primitive(number),
                    None => Content::Unknown(self.names.symbol(name)),
                },
                (SlotKind::Method, Value::Native { endpoint_slot, label }) => {
                    Content::Native(self.names.symbol(endpoint_slot), *label)
                }
                (SlotKind::Parent, value) => Content::Parent(object.target(value).map(|oid| id(self, oid))),
                (SlotKind::Data | SlotKind::Method, value) => {
                    data.push(match numbers {
                        Numbers::Store => self.import_value(object, value)?,
                        Numbers::Local => self.pointed(value),
                    });
                    Content::Data((data.len() - 1) as u32)
                }
            };
            let origin = object.origin(slot).map(|oid| {
                let renamed = slot.origin.as_ref().and_then(|origin| origin.name.clone());
                (id(self, oid), renamed.map(|name| self.names.symbol(&name)))
            });
            let private = slot.reach == Reach::Private || matches!(slot.value, Value::Capability(_));
            shape.slots.push(Slot { name, content, private, constant: slot.change == Change::Constant, origin });
        }
        if let Some(composition) = object.composition() {
            let steps = composition.steps.iter().cloned().map(|step| match step {
                Step::Trait(oid) => Step::Trait(local_oid(id(self, oid))),
                other => other,
            });
            let composition = Composition { steps: steps.collect() };
            for oid in composition.traits() {
                self.becomes_ancestor(local_id(oid));
            }
            shape.composition = Some(OrderedComposition(composition));
        }
        Ok((self.intern(shape), data))
    }

    fn import_value(&mut self, object: &Object, value: &Value) -> Result<Val, Raise> {
        Ok(match value {
            Value::Nil => Val::Nil,
            Value::Bool(value) => Val::bool(*value),
            Value::Int(value) => Val::Int(*value),
            Value::Float(value) => Val::float(value.0),
            Value::Symbol(name) => Val::Symbol(self.names.symbol(name)),
            Value::Text(text) => self.heap.text(text),
            Value::Bytes(bytes) => self.heap.put(Cell::Bytes(bytes.as_slice().into())),
            Value::Reference(_) => match object.target(value) {
                Some(oid) => Val::Object(self.object_of(oid)),
                None => return raise(ErrorKind::Store, "a reference outside the object's table"),
            },
            Value::List(values) => {
                let items = values.iter().map(|value| self.import_value(object, value)).collect::<Result<_, _>>()?;
                self.heap.list(items)
            }
            Value::Map(entries) => {
                let mut map = BTreeMap::new();
                for (key, value) in entries {
                    map.insert(key.as_str().into(), self.import_value(object, value)?);
                }
                self.heap.put(Cell::Map(Rc::new(map)))
            }
            Value::Capability(_) => match object.recipe(value) {
                Some(recipe) => self.heap.put(Cell::Capability(recipe.clone())),
                None => return raise(ErrorKind::Store, "a capability outside the object's section"),
            },
            Value::Native { .. } | Value::Primitive(_) | Value::Method(_) => {
                return raise(ErrorKind::Store, "a method in a slot for data");
            }
        })
    }

    /// The value that a local one points to.
    fn pointed(&mut self, value: &Value) -> Val {
        let Value::List(parts) = value else { return Val::Nil };
        let [Value::Int(owner), Value::Int(number), Value::Bool(foreign)] = parts.as_slice() else { return Val::Nil };
        let found = self.objects.get(*owner as usize).and_then(|cell| cell.data.get(*number as usize));
        let value = found.copied().unwrap_or(Val::Nil);
        if *foreign { self.without_authority(value, DEPTH_LIMIT) } else { value }
    }

    /// A value in which every capability is void.
    pub(crate) fn without_authority(&mut self, value: Val, depth: usize) -> Val {
        let Val::Heap(id) = value else { return value };
        if depth == 0 {
            return Val::Nil;
        }
        match self.heap.get(id) {
            Cell::Capability(recipe) => {
                let void = Recipe::Void(recipe.kind());
                self.heap.put(Cell::Capability(void))
            }
            Cell::List { .. } => {
                let items = self.heap.items(value).map(<[_]>::to_vec).unwrap_or_default();
                let made: Vec<Val> = items.iter().map(|item| self.without_authority(*item, depth - 1)).collect();
                if made == items { value } else { self.heap.list(made) }
            }
            Cell::Map(entries) => {
                let entries = entries.clone();
                let mut made = BTreeMap::new();
                for (key, item) in entries.iter() {
                    made.insert(key.clone(), self.without_authority(*item, depth - 1));
                }
                if made == *entries { value } else { self.heap.put(Cell::Map(Rc::new(made))) }
            }
            _ => value,
        }
    }

    /// The model's object of one in memory, numbered locally; `foreign` where another is to get its slots.
    pub(crate) fn export_local(&self, id: ObjectId, foreign: bool) -> Result<Object, Raise> {
        self.export(id, Numbers::Local, foreign, &mut |id| Ok(local_oid(id)))
    }

    /// The same, numbered as the caller says.
    pub(crate) fn export(
        &self,
        id: ObjectId,
        numbers: Numbers,
        foreign: bool,
        number: &mut dyn FnMut(ObjectId) -> Result<Oid, Raise>,
    ) -> Result<Object, Raise> {
        let cell = self.cell(id)?;
        let shape = self.shape(id)?;
        let mut object = Object::new();
        if let Some(requires) = &shape.requires {
            let names: Vec<&str> = requires.iter().map(|name| name.as_str()).collect();
            object = object.as_trait(&names);
        }
        for slot in &shape.slots {
            let name = self.names.name(slot.name);
            let (kind, value) = match &slot.content {
                Content::Data(place) if numbers == Numbers::Local => {
                    let parts = [Value::Int(id.0.cast_signed()), Value::Int(i64::from(*place)), Value::Bool(foreign)];
                    (SlotKind::Data, Value::List(parts.into()))
                }
                Content::Data(place) => {
                    let value = cell.data.get(*place as usize).copied().unwrap_or(Val::Nil);
                    let value = self.export_value(&mut object, value, number, DEPTH_LIMIT).map_err(|mut raised| {
                        raised.message =
                            format!("slot `{name}` of {}: {}", self.describe(Val::Object(id)), raised.message);
                        raised
                    })?;
                    (SlotKind::Data, value)
                }
                Content::Parent(None) => (SlotKind::Parent, Value::Nil),
                Content::Parent(Some(parent)) => (SlotKind::Parent, object.refer(number(*parent)?)),
                Content::Method(method) => {
                    let method = self.method_cell(*method).map(|cell| (*cell.method).clone());
                    let missing = || error(ErrorKind::BadMethod, "no such method");
                    (SlotKind::Method, Value::Method(method.ok_or_else(missing)?))
                }
                Content::Primitive(number) => (SlotKind::Method, Value::Primitive(primitive_name(*number).into())),
                Content::Unknown(name) => (SlotKind::Method, Value::Primitive(self.names.name(*name).into())),
                Content::Native(slot, label) => {
                    (SlotKind::Method, Value::Native { endpoint_slot: self.names.name(*slot).into(), label: *label })
                }
            };
            let origin = match slot.origin {
                None => None,
                Some((origin, renamed)) => match object.refer(number(origin)?) {
                    Value::Reference(of) => Some(Origin { of, name: renamed.map(|name| self.names.name(name).into()) }),
                    _ => None,
                },
            };
            let made = object_model::Slot::new(name, kind, value);
            let made = if slot.private { made.private() } else { made };
            let made = if slot.constant { made.constant() } else { made };
            object.put(object_model::Slot { origin, ..made });
        }
        if let Some(composition) = &shape.composition {
            let mut steps = Vec::new();
            for step in &composition.0.steps {
                steps.push(match step {
                    Step::Trait(oid) => Step::Trait(number(local_id(*oid))?),
                    other => other.clone(),
                });
            }
            object.set_composition(Some(Composition { steps }));
        }
        Ok(object)
    }

    fn export_value(
        &self,
        object: &mut Object,
        value: Val,
        number: &mut dyn FnMut(ObjectId) -> Result<Oid, Raise>,
        depth: usize,
    ) -> Result<Value, Raise> {
        let Some(depth) = depth.checked_sub(1) else {
            return raise(ErrorKind::CannotPersist, "lists and maps stand too deep in each other");
        };
        Ok(match value {
            Val::Nil => Value::Nil,
            Val::Bool(value) => Value::Bool(value.get()),
            Val::Int(value) => Value::Int(value),
            Val::Float(value) => Value::Float(Float(value.get())),
            Val::Symbol(name) => Value::Symbol(self.names.name(name).into()),
            Val::Object(id) => object.refer(number(id)?),
            Val::Heap(id) => match self.heap.get(id) {
                Cell::Text(text) => Value::Text(text.to_string()),
                Cell::Bytes(bytes) => Value::Bytes(bytes.to_vec()),
                Cell::List { .. } => {
                    let mut values = Vec::new();
                    for item in self.heap.items(value).unwrap_or(&[]) {
                        values.push(self.export_value(object, *item, number, depth)?);
                    }
                    Value::List(values)
                }
                Cell::Map(entries) => {
                    let mut values = Vec::new();
                    for (key, item) in entries.iter() {
                        values.push((key.to_string(), self.export_value(object, *item, number, depth)?));
                    }
                    Value::Map(values)
                }
                Cell::Capability(recipe) => object.capability(recipe.clone()),
                other => return raise(ErrorKind::CannotPersist, format!("{} cannot be kept", kind_words(other))),
            },
        })
    }

    /// A value for another cell.
    pub(crate) fn argument(
        &self,
        value: Val,
        number: &dyn Fn(ObjectId) -> Result<Oid, Raise>,
        depth: usize,
    ) -> Result<Argument, Raise> {
        let Some(depth) = depth.checked_sub(1) else {
            return raise(ErrorKind::Native, "lists and maps stand too deep in each other");
        };
        Ok(match value {
            Val::Nil => Argument::Nil,
            Val::Bool(value) => Argument::Bool(value.get()),
            Val::Int(value) => Argument::Int(value),
            Val::Float(value) => Argument::Float(value.get()),
            Val::Symbol(name) => Argument::Symbol(self.names.name(name).into()),
            Val::Object(id) => Argument::Object(number(id)?),
            Val::Heap(id) => match self.heap.get(id) {
                Cell::Text(text) => Argument::Text(text.to_string()),
                Cell::Bytes(bytes) => Argument::Bytes(bytes.to_vec()),
                Cell::List { .. } => {
                    let items = self.heap.items(value).unwrap_or(&[]);
                    Argument::List(
                        items.iter().map(|item| self.argument(*item, number, depth)).collect::<Result<_, _>>()?,
                    )
                }
                Cell::Map(entries) => {
                    let entries =
                        entries.iter().map(|(key, item)| Ok((key.to_string(), self.argument(*item, number, depth)?)));
                    Argument::Map(entries.collect::<Result<_, Raise>>()?)
                }
                Cell::Capability(recipe) => Argument::Capability(recipe.clone()),
                other => {
                    return raise(ErrorKind::Native, format!("{} cannot be sent to another cell", kind_words(other)));
                }
            },
        })
    }

    /// A value from another cell.
    pub(crate) fn answer(&mut self, argument: &Argument, depth: usize) -> Result<Val, Raise> {
        let Some(depth) = depth.checked_sub(1) else {
            return raise(ErrorKind::Native, "the answer's lists and maps stand too deep in each other");
        };
        Ok(match argument {
            Argument::Nil => Val::Nil,
            Argument::Bool(value) => Val::bool(*value),
            Argument::Int(value) => Val::Int(*value),
            Argument::Float(value) => Val::float(*value),
            Argument::Symbol(name) => Val::Symbol(self.names.symbol(name)),
            Argument::Text(text) => self.heap.text(text),
            Argument::Bytes(bytes) => self.heap.put(Cell::Bytes(bytes.as_slice().into())),
            Argument::List(items) => {
                let items = items.iter().map(|item| self.answer(item, depth)).collect::<Result<_, _>>()?;
                self.heap.list(items)
            }
            Argument::Map(entries) => {
                let mut map = BTreeMap::new();
                for (key, item) in entries {
                    map.insert(key.as_str().into(), self.answer(item, depth)?);
                }
                self.heap.put(Cell::Map(Rc::new(map)))
            }
            Argument::Object(oid) => Val::Object(self.object_of(*oid)),
            Argument::Capability(recipe) => self.heap.put(Cell::Capability(recipe.clone())),
        })
    }

    /// The model's objects of some in memory and of all that composing them looks at: parents, traits, origins.
    pub(crate) fn model(
        &mut self,
        roots: &[ObjectId],
        outside: &mut Outside<'_>,
    ) -> Result<BTreeMap<Oid, Object>, Raise> {
        let mut objects = BTreeMap::new();
        let mut waiting = roots.to_vec();
        while let Some(id) = waiting.pop() {
            if objects.contains_key(&local_oid(id)) {
                continue;
            }
            self.ensure(id, outside)?;
            let is_trait = self.shape(id)?.requires.is_some();
            objects.insert(local_oid(id), self.export_local(id, is_trait)?);
            let shape = self.shape(id)?;
            waiting.extend(shape.parents());
            waiting.extend(shape.composition.iter().flat_map(|one| one.0.traits()).map(local_id));
        }
        Ok(objects)
    }
}

fn kind_words(cell: &Cell) -> &'static str {
    match cell {
        Cell::Block(_) => "a block, which belongs to the session that made it,",
        Cell::Mirror(_) | Cell::Mirrors => "a mirror",
        Cell::Error(..) => "an error",
        Cell::Composition(_) => "a composition of traits",
        _ => "this value",
    }
}
