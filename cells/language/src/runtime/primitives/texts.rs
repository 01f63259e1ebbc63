//! Texts, byte strings and symbols.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::{Arguments, Primitive, Row, SIZE_LIMIT, too_long};
use crate::error::{ErrorKind, Raise, raise};
use crate::host::Outside;
use crate::runtime::heap::Cell;
use crate::runtime::value::{Val, kind};
use crate::runtime::world::World;

pub(super) const ROWS: &[Row] = &[
    (kind::TEXT, "size", Primitive::Function(size)),
    (kind::TEXT, "at/1", Primitive::Function(at)),
    (kind::TEXT, "+/1", Primitive::Function(concatenate)),
    (
        kind::TEXT,
        "</1",
        Primitive::Function(|world, _, one, [other, ..]| compare(world, one, other, core::cmp::Ordering::is_lt)),
    ),
    (
        kind::TEXT,
        "<=/1",
        Primitive::Function(|world, _, one, [other, ..]| compare(world, one, other, core::cmp::Ordering::is_le)),
    ),
    (
        kind::TEXT,
        ">/1",
        Primitive::Function(|world, _, one, [other, ..]| compare(world, one, other, core::cmp::Ordering::is_gt)),
    ),
    (
        kind::TEXT,
        ">=/1",
        Primitive::Function(|world, _, one, [other, ..]| compare(world, one, other, core::cmp::Ordering::is_ge)),
    ),
    (kind::TEXT, "contains/1", Primitive::Function(contains)),
    (kind::TEXT, "startsWith/1", Primitive::Function(starts_with)),
    (kind::TEXT, "part/2", Primitive::Function(part)),
    (kind::TEXT, "split/1", Primitive::Function(split)),
    (kind::TEXT, "trim", Primitive::Function(trim)),
    (kind::TEXT, "upper", Primitive::Function(upper)),
    (kind::TEXT, "lower", Primitive::Function(lower)),
    (kind::TEXT, "asInt", Primitive::Function(as_int)),
    (kind::TEXT, "asText", Primitive::Function(itself)),
    (kind::TEXT, "asSymbol", Primitive::Function(as_symbol)),
    (kind::SYMBOL, "asText", Primitive::Function(symbol_text)),
    (kind::BYTES, "size", Primitive::Function(bytes_size)),
    (kind::BYTES, "at/1", Primitive::Function(bytes_at)),
    (kind::BYTES, "+/1", Primitive::Function(bytes_concatenate)),
];

fn size(world: &mut World, _: &mut Outside<'_>, receiver: Val, _: Arguments) -> Result<Val, Raise> {
    match world.heap.str(receiver) {
        Some(text) => Ok(Val::Int(text.chars().count() as i64)),
        None => world.wrong("a text", receiver),
    }
}

fn at(world: &mut World, _: &mut Outside<'_>, receiver: Val, [index, ..]: Arguments) -> Result<Val, Raise> {
    let text = world.text_argument(receiver)?;
    let index = world.index(index, text.chars().count())?;
    let found = text.chars().nth(index).map(|character| character.to_string()).unwrap_or_default();
    Ok(world.heap.text(&found))
}

fn concatenate(world: &mut World, _: &mut Outside<'_>, receiver: Val, [other, ..]: Arguments) -> Result<Val, Raise> {
    let (one, other) = (world.text_argument(receiver)?, world.text_argument(other)?);
    if one.len() + other.len() > SIZE_LIMIT {
        return too_long();
    }
    let mut made = String::from(&*one);
    made.push_str(&other);
    Ok(world.heap.text(&made))
}

fn compare(world: &World, one: Val, other: Val, is: fn(core::cmp::Ordering) -> bool) -> Result<Val, Raise> {
    Ok(Val::bool(is(world.text_argument(one)?.cmp(&world.text_argument(other)?))))
}

fn contains(world: &mut World, _: &mut Outside<'_>, receiver: Val, [part, ..]: Arguments) -> Result<Val, Raise> {
    Ok(Val::bool(world.text_argument(receiver)?.contains(&*world.text_argument(part)?)))
}

fn starts_with(world: &mut World, _: &mut Outside<'_>, receiver: Val, [part, ..]: Arguments) -> Result<Val, Raise> {
    Ok(Val::bool(world.text_argument(receiver)?.starts_with(&*world.text_argument(part)?)))
}

/// From one character to another, exclusive.
fn part(world: &mut World, _: &mut Outside<'_>, receiver: Val, [start, end, _]: Arguments) -> Result<Val, Raise> {
    let text = world.text_argument(receiver)?;
    let length = text.chars().count();
    let (start, end) = (world.index(start, length + 1)?, world.index(end, length + 1)?);
    let made: String = text.chars().take(end).skip(start).collect();
    Ok(world.heap.text(&made))
}

fn split(world: &mut World, _: &mut Outside<'_>, receiver: Val, [by, ..]: Arguments) -> Result<Val, Raise> {
    let (text, by) = (world.text_argument(receiver)?, world.text_argument(by)?);
    if by.is_empty() {
        return raise(ErrorKind::Type, "a text is not split by nothing");
    }
    let parts: Vec<Val> = text.split(&*by).map(|part| world.heap.text(part)).collect();
    Ok(world.heap.list(parts))
}

fn trim(world: &mut World, _: &mut Outside<'_>, receiver: Val, _: Arguments) -> Result<Val, Raise> {
    let text = world.text_argument(receiver)?;
    Ok(world.heap.text(text.trim()))
}

fn upper(world: &mut World, _: &mut Outside<'_>, receiver: Val, _: Arguments) -> Result<Val, Raise> {
    let text = world.text_argument(receiver)?.to_uppercase();
    Ok(world.heap.text(&text))
}

fn lower(world: &mut World, _: &mut Outside<'_>, receiver: Val, _: Arguments) -> Result<Val, Raise> {
    let text = world.text_argument(receiver)?.to_lowercase();
    Ok(world.heap.text(&text))
}

/// The number that a text says, or nil.
fn as_int(world: &mut World, _: &mut Outside<'_>, receiver: Val, _: Arguments) -> Result<Val, Raise> {
    Ok(world.text_argument(receiver)?.trim().parse().map_or(Val::Nil, Val::Int))
}

fn itself(_: &mut World, _: &mut Outside<'_>, receiver: Val, _: Arguments) -> Result<Val, Raise> {
    Ok(receiver)
}

fn as_symbol(world: &mut World, _: &mut Outside<'_>, receiver: Val, _: Arguments) -> Result<Val, Raise> {
    let text = world.text_argument(receiver)?;
    if text.len() > 255 {
        return raise(ErrorKind::Type, "a symbol has at most 255 bytes");
    }
    Ok(Val::Symbol(world.names.made_up(&text)?))
}

fn symbol_text(world: &mut World, _: &mut Outside<'_>, receiver: Val, _: Arguments) -> Result<Val, Raise> {
    let name = world.name_argument(receiver)?;
    Ok(world.heap.text(&name))
}

fn bytes(world: &World, value: Val) -> Result<alloc::rc::Rc<[u8]>, Raise> {
    match World::heap_id(value).map(|id| world.heap.get(id)) {
        Some(Cell::Bytes(bytes)) => Ok(bytes.clone()),
        _ => world.wrong("a byte string", value),
    }
}

fn bytes_size(world: &mut World, _: &mut Outside<'_>, receiver: Val, _: Arguments) -> Result<Val, Raise> {
    Ok(Val::Int(bytes(world, receiver)?.len() as i64))
}

fn bytes_at(world: &mut World, _: &mut Outside<'_>, receiver: Val, [index, ..]: Arguments) -> Result<Val, Raise> {
    let bytes = bytes(world, receiver)?;
    let index = world.index(index, bytes.len())?;
    Ok(Val::Int(bytes.get(index).copied().unwrap_or(0).into()))
}

fn bytes_concatenate(
    world: &mut World,
    _: &mut Outside<'_>,
    receiver: Val,
    [other, ..]: Arguments,
) -> Result<Val, Raise> {
    let (one, other) = (bytes(world, receiver)?, bytes(world, other)?);
    if one.len() + other.len() > SIZE_LIMIT {
        return too_long();
    }
    let made: Vec<u8> = one.iter().chain(other.iter()).copied().collect();
    Ok(world.heap.put(Cell::Bytes(made.into())))
}
