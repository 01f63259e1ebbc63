//! Numbers: integers of 64 bits, whose overflow is an error, and floats.

use alloc::format;
use core::cmp::Ordering;

use super::{Arguments, EQUAL_DEPTH, Primitive, Row};
use crate::code::Binary;
use crate::error::{ErrorKind, Raise, raise};
use crate::host::Outside;
use crate::runtime::value::{Val, kind};
use crate::runtime::world::World;

macro_rules! operators {
    ($($kind:ident $operator:ident $selector:literal;)*) => {
        &[$((kind::$kind, $selector, Primitive::Function(|world, _, receiver, [argument, ..]| {
            arithmetic(world, Binary::$operator, receiver, argument)
        })),)*
        (kind::INT, "negated", Primitive::Function(negated)),
        (kind::FLOAT, "negated", Primitive::Function(negated)),
        (kind::INT, "abs", Primitive::Function(abs)),
        (kind::INT, "to/1", Primitive::Function(to)),
        (kind::INT, "asFloat", Primitive::Function(as_float)),
        (kind::FLOAT, "asInt", Primitive::Function(as_int)),
        (kind::INT, "asText", Primitive::Function(as_text)),
        (kind::FLOAT, "asText", Primitive::Function(as_text)),
        ]
    };
}

pub(super) const ROWS: &[Row] = operators! {
    INT Add "+/1"; INT Subtract "-/1"; INT Multiply "*/1"; INT Divide "//1"; INT Remainder "%/1";
    INT Less "</1"; INT LessOrEqual "<=/1"; INT Greater ">/1"; INT GreaterOrEqual ">=/1";
    FLOAT Add "+/1"; FLOAT Subtract "-/1"; FLOAT Multiply "*/1"; FLOAT Divide "//1"; FLOAT Remainder "%/1";
    FLOAT Less "</1"; FLOAT LessOrEqual "<=/1"; FLOAT Greater ">/1"; FLOAT GreaterOrEqual ">=/1";
};

/// An operator on two numbers, where both are numbers.
pub(crate) fn arithmetic(world: &World, operator: Binary, one: Val, other: Val) -> Result<Val, Raise> {
    match (one, other) {
        (Val::Int(a), Val::Int(b)) => on_ints(operator, a, b),
        (Val::Float(a), Val::Float(b)) => on_floats(operator, a.get(), b.get()),
        (Val::Int(a), Val::Float(b)) => on_floats(operator, a as f64, b.get()),
        (Val::Float(a), Val::Int(b)) => on_floats(operator, a.get(), b as f64),
        _ => match operator {
            Binary::Equal => Ok(Val::bool(world.equal(one, other, EQUAL_DEPTH)?)),
            Binary::Different => Ok(Val::bool(!world.equal(one, other, EQUAL_DEPTH)?)),
            _ => world.wrong("a number", other),
        },
    }
}

#[inline]
pub(crate) fn on_ints(operator: Binary, a: i64, b: i64) -> Result<Val, Raise> {
    let made = match operator {
        Binary::Add => a.checked_add(b),
        Binary::Subtract => a.checked_sub(b),
        Binary::Multiply => a.checked_mul(b),
        Binary::Divide | Binary::Remainder if b == 0 => {
            return raise(ErrorKind::ZeroDivide, format!("{a} divided by 0"));
        }
        // Towards minus infinity, so that the remainder has the sign of the divisor.
        Binary::Divide => a.checked_div_euclid(b).map(|q| if b < 0 && a.rem_euclid(b) != 0 { q - 1 } else { q }),
        Binary::Remainder => a.checked_rem(b).map(|r| if r != 0 && (r < 0) != (b < 0) { r + b } else { r }),
        Binary::Equal => return Ok(Val::bool(a == b)),
        Binary::Different => return Ok(Val::bool(a != b)),
        Binary::Less => return Ok(Val::bool(a < b)),
        Binary::LessOrEqual => return Ok(Val::bool(a <= b)),
        Binary::Greater => return Ok(Val::bool(a > b)),
        Binary::GreaterOrEqual => return Ok(Val::bool(a >= b)),
    };
    match made {
        Some(number) => Ok(Val::Int(number)),
        None => overflow(operator, a, b),
    }
}

#[cold]
fn overflow(operator: Binary, a: i64, b: i64) -> Result<Val, Raise> {
    let name = object_model::base_name(operator.selector());
    raise(ErrorKind::Overflow, format!("{a} {name} {b} does not fit 64 bits"))
}

fn on_floats(operator: Binary, a: f64, b: f64) -> Result<Val, Raise> {
    Ok(match operator {
        Binary::Add => Val::float(a + b),
        Binary::Subtract => Val::float(a - b),
        Binary::Multiply => Val::float(a * b),
        Binary::Divide => Val::float(a / b),
        Binary::Remainder => Val::float(a % b),
        Binary::Equal => Val::bool(a == b),
        Binary::Different => Val::bool(a != b),
        Binary::Less => Val::bool(a < b),
        Binary::LessOrEqual => Val::bool(a <= b),
        Binary::Greater => Val::bool(a > b),
        Binary::GreaterOrEqual => Val::bool(a >= b),
    })
}

fn negated(world: &mut World, _: &mut Outside<'_>, receiver: Val, _: Arguments) -> Result<Val, Raise> {
    negate(world, receiver)
}

pub(crate) fn negate(world: &World, value: Val) -> Result<Val, Raise> {
    match value {
        Val::Int(number) => match number.checked_neg() {
            Some(made) => Ok(Val::Int(made)),
            None => overflow(Binary::Subtract, 0, number),
        },
        Val::Float(number) => Ok(Val::float(-number.get())),
        _ => world.wrong("a number", value),
    }
}

fn abs(world: &mut World, _: &mut Outside<'_>, receiver: Val, _: Arguments) -> Result<Val, Raise> {
    match world.int(receiver)?.cmp(&0) {
        Ordering::Less => negate(world, receiver),
        _ => Ok(receiver),
    }
}

/// The numbers from the receiver to the argument, both included.
fn to(world: &mut World, _: &mut Outside<'_>, receiver: Val, [end, ..]: Arguments) -> Result<Val, Raise> {
    let (start, end) = (world.int(receiver)?, world.int(end)?);
    if i128::from(end) - i128::from(start) >= super::SIZE_LIMIT as i128 {
        return super::too_long();
    }
    Ok(world.heap.list((start..=end).map(Val::Int).collect()))
}

fn as_float(world: &mut World, _: &mut Outside<'_>, receiver: Val, _: Arguments) -> Result<Val, Raise> {
    Ok(Val::float(world.int(receiver)? as f64))
}

/// Towards zero.
fn as_int(world: &mut World, _: &mut Outside<'_>, receiver: Val, _: Arguments) -> Result<Val, Raise> {
    match receiver {
        Val::Float(number) if (-9.2e18..9.2e18).contains(&number.get()) => Ok(Val::Int(number.get() as i64)),
        Val::Float(number) => raise(ErrorKind::Overflow, format!("{:?} does not fit 64 bits", number.get())),
        _ => world.wrong("a float", receiver),
    }
}

fn as_text(world: &mut World, _: &mut Outside<'_>, receiver: Val, _: Arguments) -> Result<Val, Raise> {
    let text = world.print(receiver);
    Ok(world.heap.text(&text))
}
