//! What every value understands, and the algebra of traits.

use alloc::format;
use alloc::vec::Vec;

use object_model::{Composition, DEPTH_LIMIT, Refusal, Sender};

use super::{Arguments, EQUAL_DEPTH, Primitive, Row, primitive_number};
use crate::error::{ErrorKind, Raise, error, raise};
use crate::host::Outside;
use crate::runtime::heap::Cell;
use crate::runtime::shape::{Content, Shape, Slot};
use crate::runtime::value::{ObjectId, Val, kind};
use crate::runtime::world::{World, local_id, local_oid};

pub(super) const ROWS: &[Row] = &[
    (kind::OTHER, "clone", Primitive::Function(clone)),
    (kind::OTHER, "oid", Primitive::Function(oid)),
    (kind::OTHER, "==/1", Primitive::Function(equal)),
    (kind::OTHER, "!=/1", Primitive::Function(different)),
    (kind::OTHER, "print", Primitive::Function(print)),
    (kind::OTHER, "isNil", Primitive::Function(is_nil)),
    (kind::OTHER, "understands/1", Primitive::Function(understands)),
    (kind::OTHER, "facet/1", Primitive::Function(facet)),
    (kind::OTHER, "revocable/1", Primitive::Function(revocable)),
    (kind::OTHER, "error/1", Primitive::Function(raise_text)),
    (kind::OTHER, "+/1", Primitive::Function(sum)),
    (kind::OTHER, "override/1", Primitive::Function(overriding)),
    (kind::OTHER, "without/1", Primitive::Function(without)),
    (kind::OTHER, "alias/2", Primitive::Function(alias)),
    (kind::OTHER, "conflicts", Primitive::Function(conflicts)),
    (kind::ERROR, "kind", Primitive::Function(error_kind)),
    (kind::ERROR, "message", Primitive::Function(error_message)),
    (kind::ERROR, "value", Primitive::Function(error_value)),
    (kind::CAPABILITY, "isVoid", Primitive::Function(is_void)),
];

/// A copy of an object: its slots, but no authority. Other values are their own copies.
fn clone(world: &mut World, outside: &mut Outside<'_>, receiver: Val, _: Arguments) -> Result<Val, Raise> {
    let Val::Object(id) = receiver else { return Ok(receiver) };
    world.ensure(id, outside)?;
    let cell = world.cell(id)?;
    let (shape, mut data) = (cell.shape, cell.data.clone());
    if data.iter().any(|value| matches!(value, Val::Heap(_))) {
        for value in &mut data {
            *value = world.without_authority(*value, DEPTH_LIMIT);
        }
    }
    let named = world.names.symbol("oid");
    if let Some(Slot { content: Content::Data(place), .. }) = world.slot_of(id, named)?
        && let Some(place) = data.get_mut(*place as usize)
    {
        *place = Val::Nil;
    }
    Ok(Val::Object(world.new_object(shape, data)))
}

fn oid(world: &mut World, _: &mut Outside<'_>, receiver: Val, _: Arguments) -> Result<Val, Raise> {
    let Val::Object(id) = receiver else { return Ok(Val::Nil) };
    Ok(world.cell(id)?.oid.map_or(Val::Nil, |oid| Val::Int(oid.number().cast_signed())))
}

fn equal(world: &mut World, _: &mut Outside<'_>, receiver: Val, [other, ..]: Arguments) -> Result<Val, Raise> {
    Ok(Val::bool(world.equal(receiver, other, EQUAL_DEPTH)?))
}

fn different(world: &mut World, _: &mut Outside<'_>, receiver: Val, [other, ..]: Arguments) -> Result<Val, Raise> {
    Ok(Val::bool(!world.equal(receiver, other, EQUAL_DEPTH)?))
}

fn print(world: &mut World, outside: &mut Outside<'_>, receiver: Val, _: Arguments) -> Result<Val, Raise> {
    if let Val::Object(id) = receiver {
        world.ensure(id, outside)?;
    }
    let text = world.print(receiver);
    Ok(world.heap.text(&text))
}

fn is_nil(_: &mut World, _: &mut Outside<'_>, receiver: Val, _: Arguments) -> Result<Val, Raise> {
    Ok(Val::bool(receiver == Val::Nil))
}

fn understands(
    world: &mut World,
    outside: &mut Outside<'_>,
    receiver: Val,
    [name, ..]: Arguments,
) -> Result<Val, Raise> {
    let name = world.name_argument(name)?;
    let selector = world.names.made_up(&name)?;
    Ok(Val::bool(world.find(receiver, selector, Sender::Other, outside)?.is_some()))
}

fn raise_text(world: &mut World, _: &mut Outside<'_>, _: Val, [message, ..]: Arguments) -> Result<Val, Raise> {
    let message = world.text_argument(message)?;
    raise(ErrorKind::Raised, &*message)
}

/// An object with slots, for what the interpreter makes itself.
fn make(world: &mut World, slots: &[(&str, Content)], data: Vec<Val>) -> ObjectId {
    let slots = slots.iter().map(|(name, content)| {
        let private = matches!(content, Content::Data(_));
        Slot { name: world.names.symbol(name), content: content.clone(), private, constant: true, origin: None }
    });
    let shape = Shape { slots: slots.collect(), ..Shape::default() };
    let shape = world.intern(shape);
    world.new_object(shape, data)
}

/// The slots of a facet and of what stands between it and its object.
pub(crate) const CARETAKER: &str = "caretaker";
pub(crate) const ALLOWED: &str = "allowed";
pub(crate) const TARGET: &str = "target";

fn forwarder(world: &mut World, target: Val, allowed: Val) -> Result<(ObjectId, ObjectId), Raise> {
    for name in world.heap.items(allowed).unwrap_or(&[]) {
        world.name_argument(*name)?;
    }
    if world.heap.items(allowed).is_none() {
        return world.wrong("a list of selectors", allowed);
    }
    let forward = Content::Primitive(primitive_number("forward").unwrap_or(0));
    let caretaker = make(world, &[(TARGET, Content::Data(0))], alloc::vec![target]);
    let slots = [(CARETAKER, Content::Data(0)), (ALLOWED, Content::Data(1)), ("doesNotUnderstand/1", forward)];
    let facet = make(world, &slots, alloc::vec![Val::Object(caretaker), allowed]);
    Ok((facet, caretaker))
}

/// An object that hands the named messages on, and nothing else. It inherits nothing from the one behind it.
fn facet(world: &mut World, _: &mut Outside<'_>, receiver: Val, [allowed, ..]: Arguments) -> Result<Val, Raise> {
    Ok(Val::Object(forwarder(world, receiver, allowed)?.0))
}

/// The same, with an object whose `revoke` ends it: a list of both. Copies of the facet end with it.
fn revocable(world: &mut World, _: &mut Outside<'_>, receiver: Val, [allowed, ..]: Arguments) -> Result<Val, Raise> {
    let (facet, caretaker) = forwarder(world, receiver, allowed)?;
    let revoke = Content::Primitive(primitive_number("revoke").unwrap_or(0));
    let slots = [(CARETAKER, Content::Data(0)), ("revoke", revoke)];
    let switch = make(world, &slots, alloc::vec![Val::Object(caretaker)]);
    Ok(world.heap.list(alloc::vec![Val::Object(facet), Val::Object(switch)]))
}

pub(super) fn revoke(world: &mut World, outside: &mut Outside<'_>, receiver: Val, _: Arguments) -> Result<Val, Raise> {
    let Some(Val::Object(caretaker)) = world.data_named(receiver, CARETAKER, outside)? else {
        return world.wrong("a switch of a facet", receiver);
    };
    world.ensure(caretaker, outside)?;
    world.touch(caretaker)?;
    if let Some(place) = world.cell_mut(caretaker)?.data.first_mut() {
        *place = Val::Nil;
    }
    Ok(Val::Nil)
}

impl World {
    /// What stands in an object's own data slot.
    pub(crate) fn data_named(
        &mut self,
        object: Val,
        name: &str,
        outside: &mut Outside<'_>,
    ) -> Result<Option<Val>, Raise> {
        let Val::Object(id) = object else { return Ok(None) };
        self.ensure(id, outside)?;
        let name = self.names.symbol(name);
        Ok(match self.slot_of(id, name)? {
            Some(Slot { content: Content::Data(place), .. }) => {
                let place = *place as usize;
                self.cell(id)?.data.get(place).copied()
            }
            _ => None,
        })
    }

    /// A trait, or a composition, as a composition.
    pub(crate) fn composition(&mut self, value: Val, outside: &mut Outside<'_>) -> Result<Composition, Raise> {
        match value {
            Val::Object(id) => {
                self.ensure(id, outside)?;
                if self.shape(id)?.requires.is_some() {
                    return Ok(Composition::of(local_oid(id)));
                }
            }
            Val::Heap(id) => {
                if let Cell::Composition(one) = self.heap.get(id) {
                    return Ok(one.clone());
                }
            }
            Val::Nil => return Ok(Composition::default()),
            _ => {}
        }
        raise(ErrorKind::Trait, format!("a trait is needed, {} was given", self.describe(value)))
    }

    /// Why a composition is refused, in words.
    pub(crate) fn refusal(&self, refusal: Refusal<object_model::Oid>) -> Raise {
        use object_model::BadAlias;
        let name = |oid| self.describe(Val::Object(local_id(oid)));
        match refusal {
            Refusal::Conflict(conflicts) => {
                let rows = conflicts.iter().map(|(selector, from)| {
                    let from: Vec<_> = from.iter().map(|one| format!("{} of {}", one.name, name(one.origin))).collect();
                    format!("#{selector} is provided by {}", from.join(" and by "))
                });
                error(ErrorKind::TraitConflict, rows.collect::<Vec<_>>().join("\n  "))
            }
            Refusal::Requires(required) => {
                let rows = required.iter().map(|(selector, by)| match by.as_slice() {
                    [] => format!("#{selector} is required"),
                    by => format!("#{selector} is required by #{}", by.join(", #")),
                });
                error(ErrorKind::TraitRequires, rows.collect::<Vec<_>>().join("\n  "))
            }
            Refusal::Alias(BadAlias::OfMissing(old)) => {
                error(ErrorKind::Trait, format!("aliasOfMissing: there is no #{old}"))
            }
            Refusal::Alias(BadAlias::OfAlias(old)) => error(ErrorKind::Trait, format!("#{old} is an alias itself")),
            Refusal::Alias(BadAlias::OfItself(old)) => {
                error(ErrorKind::Trait, format!("#{old} is its own name already"))
            }
            Refusal::Alias(BadAlias::OtherArity { new, old }) => {
                error(ErrorKind::Trait, format!("#{new} and #{old} take different numbers of arguments"))
            }
            Refusal::Cycle(oid) => error(ErrorKind::Trait, format!("{} would be composed of itself", name(oid))),
            Refusal::NoTrait(oid) => error(ErrorKind::Trait, format!("{} is no trait", name(oid))),
            Refusal::Malformed => error(ErrorKind::Trait, "the composition has too many steps"),
            Refusal::World(oid) => error(ErrorKind::Trait, format!("{} is not in memory", name(oid))),
        }
    }

    /// A composition as a value, refused where it means nothing.
    fn composed(&mut self, made: Composition, outside: &mut Outside<'_>) -> Result<Val, Raise> {
        let traits: Vec<ObjectId> = made.traits().map(local_id).collect();
        let model = self.model(&traits, outside)?;
        made.evaluate(&model).map_err(|refusal| self.refusal(refusal))?;
        Ok(self.heap.put(Cell::Composition(made)))
    }
}

fn sum(world: &mut World, outside: &mut Outside<'_>, receiver: Val, [other, ..]: Arguments) -> Result<Val, Raise> {
    let made = world.composition(receiver, outside)?.sum(world.composition(other, outside)?);
    world.composed(made, outside)
}

fn overriding(
    world: &mut World,
    outside: &mut Outside<'_>,
    receiver: Val,
    [other, ..]: Arguments,
) -> Result<Val, Raise> {
    let made = world.composition(receiver, outside)?.overriding(world.composition(other, outside)?);
    world.composed(made, outside)
}

fn without(world: &mut World, outside: &mut Outside<'_>, receiver: Val, [name, ..]: Arguments) -> Result<Val, Raise> {
    let name = world.name_argument(name)?;
    let made = world.composition(receiver, outside)?.without(&name);
    world.composed(made, outside)
}

fn alias(world: &mut World, outside: &mut Outside<'_>, receiver: Val, [new, old, _]: Arguments) -> Result<Val, Raise> {
    let (new, old) = (world.name_argument(new)?, world.name_argument(old)?);
    let made = world.composition(receiver, outside)?.alias(&new, &old);
    world.composed(made, outside)
}

/// The selectors that several members of a composition claim.
fn conflicts(world: &mut World, outside: &mut Outside<'_>, receiver: Val, _: Arguments) -> Result<Val, Raise> {
    let made = world.composition(receiver, outside)?;
    let traits: Vec<ObjectId> = made.traits().map(local_id).collect();
    let model = world.model(&traits, outside)?;
    let found = made.evaluate(&model).map_err(|refusal| world.refusal(refusal))?.conflicts();
    let names = found.keys().map(|name| Val::Symbol(world.names.symbol(name))).collect();
    Ok(world.heap.list(names))
}

fn error_of(world: &World, value: Val) -> Result<(&crate::error::Error, Val), Raise> {
    match World::heap_id(value).map(|id| world.heap.get(id)) {
        Some(Cell::Error(error, value)) => Ok((error, *value)),
        _ => world.wrong("an error", value),
    }
}

fn error_kind(world: &mut World, _: &mut Outside<'_>, receiver: Val, _: Arguments) -> Result<Val, Raise> {
    let kind = error_of(world, receiver)?.0.kind;
    Ok(Val::Symbol(world.names.symbol(kind.name())))
}

fn error_message(world: &mut World, _: &mut Outside<'_>, receiver: Val, _: Arguments) -> Result<Val, Raise> {
    let message = error_of(world, receiver)?.0.message.clone();
    Ok(world.heap.text(&message))
}

/// What `raise` was given.
fn error_value(world: &mut World, _: &mut Outside<'_>, receiver: Val, _: Arguments) -> Result<Val, Raise> {
    Ok(error_of(world, receiver)?.1)
}

fn is_void(world: &mut World, _: &mut Outside<'_>, receiver: Val, _: Arguments) -> Result<Val, Raise> {
    match World::heap_id(receiver).map(|id| world.heap.get(id)) {
        Some(Cell::Capability(recipe)) => Ok(Val::bool(matches!(recipe, object_model::Recipe::Void(_)))),
        _ => world.wrong("a capability", receiver),
    }
}
