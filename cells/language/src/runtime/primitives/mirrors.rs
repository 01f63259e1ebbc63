//! Mirrors: the right to see and change the structure of one object. Whoever holds the maker of mirrors makes them; the
//! session's is in its variable `mirror`.

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;

use object_model::{Composition, Verdict, compose_anew, edit_trait, explain};

use super::{Arguments, Primitive, Row, is_builtin};
use crate::compiler::compile_slot;
use crate::error::{ErrorKind, Raise, error, raise};
use crate::host::Outside;
use crate::runtime::convert::Numbers;
use crate::runtime::heap::Cell;
use crate::runtime::shape::{Content, Shape, Slot};
use crate::runtime::value::{ObjectId, Symbol, Val, kind};
use crate::runtime::world::{World, local_id, local_oid};

pub(super) const ROWS: &[Row] = &[
    (kind::MIRRORS, "value/1", Primitive::Function(mirror)),
    (kind::MIRROR, "define/1", Primitive::Function(define)),
    (kind::MIRROR, "add/2", Primitive::Function(add)),
    (kind::MIRROR, "parent/2", Primitive::Function(parent)),
    (kind::MIRROR, "remove/1", Primitive::Function(remove)),
    (kind::MIRROR, "uses/1", Primitive::Function(uses)),
    (kind::MIRROR, "slots", Primitive::Function(slots)),
    (kind::MIRROR, "at/1", Primitive::Function(at)),
    (kind::MIRROR, "source/1", Primitive::Function(source)),
    (kind::MIRROR, "origin/1", Primitive::Function(origin)),
    (kind::MIRROR, "explain/1", Primitive::Function(explained)),
];

/// The most slots of an object.
const SLOTS_LIMIT: usize = 2048;

fn mirror(world: &mut World, outside: &mut Outside<'_>, _: Val, [object, ..]: Arguments) -> Result<Val, Raise> {
    let Val::Object(id) = object else { return world.wrong("an object", object) };
    world.ensure(id, outside)?;
    Ok(world.heap.put(Cell::Mirror(id)))
}

/// The object that a mirror is on.
fn reflected(world: &mut World, mirror: Val, outside: &mut Outside<'_>) -> Result<ObjectId, Raise> {
    match World::heap_id(mirror).map(|id| world.heap.get(id)) {
        Some(Cell::Mirror(id)) => {
            let id = *id;
            world.ensure(id, outside)?;
            Ok(id)
        }
        _ => world.wrong("a mirror", mirror),
    }
}

fn named(world: &mut World, name: Val) -> Result<Symbol, Raise> {
    let name = world.name_argument(name)?;
    world.names.made_up(&name)
}

/// Puts a slot into an object, in place of the one of its name, and lets a trait's users follow.
pub(crate) fn put_slot(
    world: &mut World,
    outside: &mut Outside<'_>,
    id: ObjectId,
    slot: Slot,
    value: Option<Val>,
) -> Result<(), Raise> {
    let mut shape = world.shape(id)?.clone();
    let mut data = world.cell(id)?.data.clone();
    let slot = match value {
        None => slot,
        Some(value) => {
            data.push(value);
            Slot { content: Content::Data((data.len() - 1) as u32), ..slot }
        }
    };
    let count = shape.slots.len();
    match shape.slots.iter_mut().find(|known| known.name == slot.name) {
        Some(place) => *place = slot,
        None if count >= SLOTS_LIMIT => {
            return raise(ErrorKind::Structure, format!("an object has at most {SLOTS_LIMIT} slots"));
        }
        None => shape.slots.push(slot),
    }
    restructure(world, outside, id, shape, data)
}

/// Gives an object another structure: data that no slot names is dropped, and where the object is a trait, its users are
/// composed anew.
fn restructure(
    world: &mut World,
    outside: &mut Outside<'_>,
    id: ObjectId,
    shape: Shape,
    data: Vec<Val>,
) -> Result<(), Raise> {
    let (shape, data) = compact(shape, &data);
    let was_trait = world.shape(id)?.requires.is_some() && !world.cell(id)?.is_building;
    world.touch(id)?;
    if !was_trait {
        return world.reshape(id, shape, data);
    }
    let (old_shape, old_data) = (world.shape(id)?.clone(), world.cell(id)?.data.clone());
    world.reshape(id, shape, data)?;
    match users_follow(world, outside, id) {
        Ok(()) => Ok(()),
        Err(raised) => {
            world.reshape(id, old_shape, old_data)?;
            Err(raised)
        }
    }
}

/// Numbers the data without gaps.
fn compact(mut shape: Shape, data: &[Val]) -> (Shape, Vec<Val>) {
    let mut kept = Vec::new();
    for slot in &mut shape.slots {
        if let Content::Data(place) = &mut slot.content {
            kept.push(data.get(*place as usize).copied().unwrap_or(Val::Nil));
            *place = (kept.len() - 1) as u32;
        }
    }
    (shape, kept)
}

/// Composes everything anew that is composed of an edited trait, or nothing.
fn users_follow(world: &mut World, outside: &mut Outside<'_>, edited: ObjectId) -> Result<(), Raise> {
    let mut users: BTreeSet<ObjectId> = BTreeSet::new();
    if let Some(oid) = world.cell(edited)?.oid {
        for user in outside.store.users(oid).map_err(|refused| world.refused(refused))? {
            let user = world.object_of(user);
            world.ensure(user, outside)?;
            users.insert(user);
        }
    }
    for number in 0..world.objects.len() {
        let id = ObjectId(number as u64);
        let composed = world.shape(id).is_ok_and(|shape| shape.composition.is_some());
        if composed {
            users.insert(id);
        }
    }
    let users: Vec<ObjectId> = users.into_iter().collect();
    let roots: Vec<ObjectId> = users.iter().copied().chain([edited]).collect();
    let model = world.model(&roots, outside)?;
    let object = world.export_local(edited, true)?;
    let numbers: Vec<_> = users.iter().map(|id| local_oid(*id)).collect();
    let changed = edit_trait(&model, (local_oid(edited), object), &numbers, is_builtin).map_err(|refusals| {
        let kind =
            world.refusal(refusals.first().map_or(object_model::Refusal::Malformed, |(_, why)| why.clone())).kind;
        let rows: Vec<String> = refusals
            .into_iter()
            .map(|(user, why)| {
                let user = world.describe(Val::Object(local_id(user)));
                format!("{user} refuses: {}", world.refusal(why).message)
            })
            .collect();
        error(kind, format!("the trait stays as it was\n  {}", rows.join("\n  ")))
    })?;
    for (oid, object) in changed {
        let id = local_id(oid);
        if id != edited {
            adopt(world, id, &object)?;
        }
    }
    Ok(())
}

/// Makes an object what the model made of it.
fn adopt(world: &mut World, id: ObjectId, object: &object_model::Object) -> Result<(), Raise> {
    let (shape, data) = world.import(object, Numbers::Local)?;
    let Some(shape) = world.shapes.get(shape).cloned() else { return Ok(()) };
    world.touch(id)?;
    world.reshape(id, shape, data)
}

/// Composes an object of traits.
pub(crate) fn compose(
    world: &mut World,
    outside: &mut Outside<'_>,
    id: ObjectId,
    composition: &Composition,
) -> Result<(), Raise> {
    let traits: Vec<ObjectId> = composition.traits().map(local_id).chain([id]).collect();
    let model = world.model(&traits, outside)?;
    let object = world.export_local(id, false)?;
    let made = compose_anew(&model, local_oid(id), &object, composition, is_builtin)
        .map_err(|refusal| world.refusal(refusal))?;
    let was = (world.shape(id)?.clone(), world.cell(id)?.data.clone());
    adopt(world, id, &made)?;
    if world.shape(id)?.requires.is_some()
        && !world.cell(id)?.is_building
        && let Err(raised) = users_follow(world, outside, id)
    {
        world.reshape(id, was.0, was.1)?;
        return Err(raised);
    }
    Ok(())
}

/// Defines a method from its text: `method name(parameters) { ... }`.
fn define(world: &mut World, outside: &mut Outside<'_>, receiver: Val, [text, ..]: Arguments) -> Result<Val, Raise> {
    let id = reflected(world, receiver, outside)?;
    let text = world.text_argument(text)?;
    let defined = compile_slot(&text).map_err(|wrong| error(ErrorKind::Source, format!("{wrong}")))?;
    let name = world.names.symbol(&defined.selector);
    let content = Content::Method(world.method(&Rc::new(defined.method)));
    let (private, constant) = (defined.is_private, true);
    put_slot(world, outside, id, Slot { name, content, private, constant, origin: None }, None)?;
    Ok(Val::Symbol(name))
}

fn add(world: &mut World, outside: &mut Outside<'_>, receiver: Val, [name, value, _]: Arguments) -> Result<Val, Raise> {
    let id = reflected(world, receiver, outside)?;
    let name = named(world, name)?;
    if object_model::arity(world.names.name(name)) > 0 {
        return raise(ErrorKind::Structure, "a data slot takes no arguments");
    }
    let content = Content::Data(0);
    put_slot(world, outside, id, Slot { name, content, private: false, constant: false, origin: None }, Some(value))?;
    Ok(Val::Nil)
}

fn parent(world: &mut World, outside: &mut Outside<'_>, receiver: Val, [name, to, _]: Arguments) -> Result<Val, Raise> {
    let id = reflected(world, receiver, outside)?;
    let name = named(world, name)?;
    let content = parent_content(world, to)?;
    put_slot(world, outside, id, Slot { name, content, private: false, constant: true, origin: None }, None)?;
    Ok(Val::Nil)
}

/// What a parent slot holds for a value.
pub(crate) fn parent_content(world: &World, value: Val) -> Result<Content, Raise> {
    match value {
        Val::Object(id) => Ok(Content::Parent(Some(id))),
        Val::Nil => Ok(Content::Parent(None)),
        _ => world.wrong("an object as parent", value),
    }
}

/// Takes a slot away. What a trait provides under its name comes back.
fn remove(world: &mut World, outside: &mut Outside<'_>, receiver: Val, [name, ..]: Arguments) -> Result<Val, Raise> {
    let id = reflected(world, receiver, outside)?;
    let name = named(world, name)?;
    let mut shape = world.shape(id)?.clone();
    let before = shape.slots.len();
    shape.slots.retain(|slot| slot.name != name);
    if shape.slots.len() == before {
        return raise(ErrorKind::Missing, format!("there is no slot #{}", world.names.name(name)));
    }
    let data = world.cell(id)?.data.clone();
    let was = (world.shape(id)?.clone(), data.clone());
    let composition = shape.composition.clone();
    restructure(world, outside, id, shape, data)?;
    if let Some(composition) = composition
        && let Err(raised) = compose(world, outside, id, &composition.0)
    {
        world.reshape(id, was.0, was.1)?;
        return Err(raised);
    }
    Ok(Val::Nil)
}

fn uses(world: &mut World, outside: &mut Outside<'_>, receiver: Val, [traits, ..]: Arguments) -> Result<Val, Raise> {
    let id = reflected(world, receiver, outside)?;
    let composition = world.composition(traits, outside)?;
    compose(world, outside, id, &composition)?;
    Ok(Val::Nil)
}

fn slots(world: &mut World, outside: &mut Outside<'_>, receiver: Val, _: Arguments) -> Result<Val, Raise> {
    let id = reflected(world, receiver, outside)?;
    let names = world.shape(id)?.slots.iter().map(|slot| Val::Symbol(slot.name)).collect();
    Ok(world.heap.list(names))
}

fn slot(world: &World, id: ObjectId, name: Symbol) -> Result<&Slot, Raise> {
    let missing = || error(ErrorKind::Missing, format!("there is no slot #{}", world.names.name(name)));
    world.slot_of(id, name)?.ok_or_else(missing)
}

/// What stands in a slot; a method's is its source.
fn at(world: &mut World, outside: &mut Outside<'_>, receiver: Val, [name, ..]: Arguments) -> Result<Val, Raise> {
    let id = reflected(world, receiver, outside)?;
    let symbol = named(world, name)?;
    match slot(world, id, symbol)?.content {
        Content::Data(place) => Ok(world.cell(id)?.data.get(place as usize).copied().unwrap_or(Val::Nil)),
        Content::Parent(parent) => Ok(parent.map_or(Val::Nil, Val::Object)),
        _ => source(world, outside, receiver, [name, Val::Nil, Val::Nil]),
    }
}

fn source(world: &mut World, outside: &mut Outside<'_>, receiver: Val, [name, ..]: Arguments) -> Result<Val, Raise> {
    let id = reflected(world, receiver, outside)?;
    let name = named(world, name)?;
    let text = match &slot(world, id, name)?.content {
        Content::Method(method) => {
            world.method_cell(*method).map(|cell| cell.method.source.clone()).unwrap_or_default()
        }
        Content::Native(slot, label) => format!("native: label {label} of {}", world.names.name(*slot)),
        Content::Primitive(_) | Content::Unknown(_) => "primitive".into(),
        Content::Data(_) | Content::Parent(_) => return raise(ErrorKind::Type, "this slot holds no method"),
    };
    Ok(world.heap.text(&text))
}

/// The trait that a slot comes from, or nil.
fn origin(world: &mut World, outside: &mut Outside<'_>, receiver: Val, [name, ..]: Arguments) -> Result<Val, Raise> {
    let id = reflected(world, receiver, outside)?;
    let name = named(world, name)?;
    Ok(slot(world, id, name)?.origin.map_or(Val::Nil, |(origin, _)| Val::Object(origin)))
}

/// How look-up goes for a selector, a line for each slot that could answer.
fn explained(world: &mut World, outside: &mut Outside<'_>, receiver: Val, [name, ..]: Arguments) -> Result<Val, Raise> {
    let id = reflected(world, receiver, outside)?;
    let name = world.name_argument(name)?;
    let model = world.model(&[id], outside)?;
    let found =
        explain(&model, local_oid(id), &name).map_err(|_| error(ErrorKind::Depth, "too many parents to explain"))?;
    let mut rows = Vec::new();
    for candidate in found {
        let path: Vec<String> = candidate.path.iter().map(|oid| world.describe(Val::Object(local_id(*oid)))).collect();
        let verdict = match candidate.verdict {
            Verdict::Answers => "answers",
            Verdict::Overridden => "is overridden",
            Verdict::Ambiguous => "is ambiguous",
            Verdict::Private => "is private",
        };
        let origin = candidate
            .origin
            .map_or(String::new(), |oid| format!(", from {}", world.describe(Val::Object(local_id(oid)))));
        rows.push(format!("{}: {verdict}{origin}", path.join(" -> ")));
    }
    if rows.is_empty() && is_builtin(&name) {
        rows.push("every value understands it".into());
    }
    let text = if rows.is_empty() { "nothing answers".into() } else { rows.join("\n") };
    Ok(world.heap.text(&text))
}
