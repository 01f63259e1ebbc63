//! Lists and maps. Both are immutable: what changes one answers another.

use alloc::collections::BTreeMap;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;
use core::cmp::Ordering;

use super::{Arguments, EQUAL_DEPTH, Primitive, Row, SIZE_LIMIT, too_long};
use crate::error::{ErrorKind, Raise, raise};
use crate::host::Outside;
use crate::runtime::heap::Cell;
use crate::runtime::value::{Val, kind};
use crate::runtime::world::World;

pub(super) const ROWS: &[Row] = &[
    (kind::LIST, "size", Primitive::Function(size)),
    (kind::LIST, "at/1", Primitive::Function(at)),
    (kind::LIST, "add/1", Primitive::Function(add)),
    (kind::LIST, "put/2", Primitive::Function(put)),
    (kind::LIST, "+/1", Primitive::Function(concatenate)),
    (kind::LIST, "contains/1", Primitive::Function(contains)),
    (kind::LIST, "part/2", Primitive::Function(part)),
    (kind::LIST, "reversed", Primitive::Function(reversed)),
    (kind::LIST, "sorted", Primitive::Function(sorted)),
    (kind::LIST, "join/1", Primitive::Function(join)),
    (kind::MAP, "size", Primitive::Function(map_size)),
    (kind::MAP, "at/1", Primitive::Function(map_at)),
    (kind::MAP, "at/2", Primitive::Function(map_at_or)),
    (kind::MAP, "put/2", Primitive::Function(map_put)),
    (kind::MAP, "without/1", Primitive::Function(map_without)),
    (kind::MAP, "has/1", Primitive::Function(map_has)),
    (kind::MAP, "keys", Primitive::Function(map_keys)),
    (kind::MAP, "values", Primitive::Function(map_values)),
];

fn items(world: &World, value: Val) -> Result<&[Val], Raise> {
    match world.heap.items(value) {
        Some(items) => Ok(items),
        None => world.wrong("a list", value),
    }
}

fn size(world: &mut World, _: &mut Outside<'_>, receiver: Val, _: Arguments) -> Result<Val, Raise> {
    Ok(Val::Int(items(world, receiver)?.len() as i64))
}

fn at(world: &mut World, _: &mut Outside<'_>, receiver: Val, [index, ..]: Arguments) -> Result<Val, Raise> {
    let items = items(world, receiver)?;
    let index = world.index(index, items.len())?;
    Ok(items.get(index).copied().unwrap_or(Val::Nil))
}

fn add(world: &mut World, _: &mut Outside<'_>, receiver: Val, [item, ..]: Arguments) -> Result<Val, Raise> {
    if items(world, receiver)?.len() >= SIZE_LIMIT {
        return too_long();
    }
    match world.heap.append(receiver, item) {
        Some(list) => Ok(list),
        None => world.wrong("a list", receiver),
    }
}

fn put(world: &mut World, _: &mut Outside<'_>, receiver: Val, [index, item, _]: Arguments) -> Result<Val, Raise> {
    let mut copy = items(world, receiver)?.to_vec();
    let index = world.index(index, copy.len())?;
    if let Some(place) = copy.get_mut(index) {
        *place = item;
    }
    Ok(world.heap.list(copy))
}

fn concatenate(world: &mut World, _: &mut Outside<'_>, receiver: Val, [other, ..]: Arguments) -> Result<Val, Raise> {
    let made = [items(world, receiver)?, items(world, other)?].concat();
    if made.len() > SIZE_LIMIT {
        return too_long();
    }
    Ok(world.heap.list(made))
}

fn contains(world: &mut World, _: &mut Outside<'_>, receiver: Val, [item, ..]: Arguments) -> Result<Val, Raise> {
    for one in items(world, receiver)? {
        if world.equal(*one, item, EQUAL_DEPTH)? {
            return Ok(Val::bool(true));
        }
    }
    Ok(Val::bool(false))
}

/// From one item to another, exclusive.
fn part(world: &mut World, _: &mut Outside<'_>, receiver: Val, [start, end, _]: Arguments) -> Result<Val, Raise> {
    let all = items(world, receiver)?;
    let (start, end) = (world.index(start, all.len() + 1)?, world.index(end, all.len() + 1)?);
    let made = all.get(start..end).unwrap_or(&[]).to_vec();
    Ok(world.heap.list(made))
}

fn reversed(world: &mut World, _: &mut Outside<'_>, receiver: Val, _: Arguments) -> Result<Val, Raise> {
    let made: Vec<Val> = items(world, receiver)?.iter().rev().copied().collect();
    Ok(world.heap.list(made))
}

/// Numbers by size, texts by their characters.
fn sorted(world: &mut World, _: &mut Outside<'_>, receiver: Val, _: Arguments) -> Result<Val, Raise> {
    let mut made = items(world, receiver)?.to_vec();
    let texts: Option<Vec<(Rc<str>, Val)>> = made.iter().map(|item| Some((world.text_of(*item)?, *item))).collect();
    if let Some(mut texts) = texts {
        texts.sort_by(|one, other| one.0.cmp(&other.0));
        return Ok(world.heap.list(texts.into_iter().map(|(_, item)| item).collect()));
    }
    if let Some(wrong) = made.iter().find(|item| !matches!(item, Val::Int(_) | Val::Float(_))) {
        return world.wrong("a list of numbers only, or of texts only,", *wrong);
    }
    made.sort_by(|one, other| match (*one, *other) {
        (Val::Int(a), Val::Int(b)) => a.cmp(&b),
        (Val::Int(a), Val::Float(b)) => (a as f64).total_cmp(&b.get()),
        (Val::Float(a), Val::Int(b)) => a.get().total_cmp(&(b as f64)),
        (Val::Float(a), Val::Float(b)) => a.get().total_cmp(&b.get()),
        _ => Ordering::Equal,
    });
    Ok(world.heap.list(made))
}

fn join(world: &mut World, _: &mut Outside<'_>, receiver: Val, [by, ..]: Arguments) -> Result<Val, Raise> {
    let by = world.text_argument(by)?;
    let mut made = String::new();
    for (number, item) in items(world, receiver)?.iter().enumerate() {
        if number > 0 {
            made.push_str(&by);
        }
        made.push_str(&world.text_argument(*item)?);
        if made.len() > SIZE_LIMIT {
            return too_long();
        }
    }
    Ok(world.heap.text(&made))
}

type Entries = Rc<BTreeMap<Rc<str>, Val>>;

fn entries(world: &World, value: Val) -> Result<Entries, Raise> {
    match World::heap_id(value).map(|id| world.heap.get(id)) {
        Some(Cell::Map(entries)) => Ok(entries.clone()),
        _ => world.wrong("a map", value),
    }
}

fn map_size(world: &mut World, _: &mut Outside<'_>, receiver: Val, _: Arguments) -> Result<Val, Raise> {
    Ok(Val::Int(entries(world, receiver)?.len() as i64))
}

fn map_at(world: &mut World, _: &mut Outside<'_>, receiver: Val, [key, ..]: Arguments) -> Result<Val, Raise> {
    let key = world.name_argument(key)?;
    match entries(world, receiver)?.get(&*key) {
        Some(value) => Ok(*value),
        None => raise(ErrorKind::Missing, alloc::format!("the map has no key '{key}'")),
    }
}

fn map_at_or(world: &mut World, _: &mut Outside<'_>, receiver: Val, [key, other, _]: Arguments) -> Result<Val, Raise> {
    let key = world.name_argument(key)?;
    Ok(entries(world, receiver)?.get(&*key).copied().unwrap_or(other))
}

fn map_put(world: &mut World, _: &mut Outside<'_>, receiver: Val, [key, value, _]: Arguments) -> Result<Val, Raise> {
    let key = world.name_argument(key)?;
    let mut made = (*entries(world, receiver)?).clone();
    made.insert(key, value);
    if made.len() > SIZE_LIMIT {
        return too_long();
    }
    Ok(world.heap.put(Cell::Map(Rc::new(made))))
}

fn map_without(world: &mut World, _: &mut Outside<'_>, receiver: Val, [key, ..]: Arguments) -> Result<Val, Raise> {
    let key = world.name_argument(key)?;
    let mut made = (*entries(world, receiver)?).clone();
    made.remove(&*key);
    Ok(world.heap.put(Cell::Map(Rc::new(made))))
}

fn map_has(world: &mut World, _: &mut Outside<'_>, receiver: Val, [key, ..]: Arguments) -> Result<Val, Raise> {
    let key = world.name_argument(key)?;
    Ok(Val::bool(entries(world, receiver)?.contains_key(&*key)))
}

fn map_keys(world: &mut World, _: &mut Outside<'_>, receiver: Val, _: Arguments) -> Result<Val, Raise> {
    let entries = entries(world, receiver)?;
    let keys = entries.keys().map(|key| world.heap.put(Cell::Text(key.clone()))).collect();
    Ok(world.heap.list(keys))
}

fn map_values(world: &mut World, _: &mut Outside<'_>, receiver: Val, _: Arguments) -> Result<Val, Raise> {
    let values = entries(world, receiver)?.values().copied().collect();
    Ok(world.heap.list(values))
}
