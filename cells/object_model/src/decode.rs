//! Bounded decoding of slots.
//!
//! Values nest, so that a derived decoder would recurse as deep as the bytes say and take as much memory as they claim.
//! These seeds carry what is left of both.

use alloc::string::String;
use alloc::vec::Vec;
use core::cell::Cell;
use core::fmt;

use serde::de::{DeserializeSeed, EnumAccess, Error, SeqAccess, VariantAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::record::{DEPTH_LIMIT, TraitPart, VALUE_LIMIT};
use crate::{BadObject, Origin, Slot, SlotKind, Value};

/// Reads a payload of a version: all slots, and from version 2 on what it says of traits; nothing may follow.
pub(crate) fn decode(version: u16, payload: &[u8]) -> Result<(Vec<Slot>, TraitPart), BadObject> {
    let left = Cell::new(VALUE_LIMIT);
    let mut decoder = postcard::Deserializer::from_bytes(payload);
    let limits = Limits { depth: DEPTH_LIMIT, left: &left };
    let layout = if version == 1 { simple_slot } else { full_slot };
    let slots = Many(limits, layout).deserialize(&mut decoder).map_err(|_| BadObject::Malformed)?;
    let traits = match version {
        1 => TraitPart::default(),
        _ => TraitPart::deserialize(&mut decoder).map_err(|_| BadObject::Malformed)?,
    };
    match decoder.finalize() {
        Ok([]) => Ok((slots, traits)),
        _ => Err(BadObject::Malformed),
    }
}

/// What may still be read.
#[derive(Clone, Copy)]
struct Limits<'a> {
    depth: usize,
    left: &'a Cell<usize>,
}

impl Limits<'_> {
    /// One value, at this depth.
    fn enter<E: Error>(self) -> Result<Self, E> {
        let (Some(depth), Some(left)) = (self.depth.checked_sub(1), self.left.get().checked_sub(1)) else {
            return Err(E::custom("beyond a limit"));
        };
        self.left.set(left);
        Ok(Limits { depth, ..self })
    }
}

/// One value.
struct One<'a>(Limits<'a>);

impl<'de> DeserializeSeed<'de> for One<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, decoder: D) -> Result<Value, D::Error> {
        let limits = self.0.enter()?;
        decoder.deserialize_enum("Value", &[], One(limits))
    }
}

impl<'de> Visitor<'de> for One<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_enum<A: EnumAccess<'de>>(self, access: A) -> Result<Value, A::Error> {
        let (tag, variant) = access.variant::<u32>()?;
        match tag {
            0 => variant.unit_variant().map(|()| Value::Nil),
            1 => variant.newtype_variant().map(Value::Bool),
            2 => variant.newtype_variant().map(Value::Int),
            3 => variant.newtype_variant().map(Value::Text),
            4 => variant.newtype_variant_seed(Bytes).map(Value::Bytes),
            5 => variant.newtype_variant().map(Value::Reference),
            6 => variant.newtype_variant_seed(Many(self.0, One)).map(Value::List),
            7 => variant.newtype_variant_seed(Many(self.0, Entry)).map(Value::Map),
            8 => variant.newtype_variant().map(Value::Capability),
            9 => variant
                .newtype_variant::<(String, u32)>()
                .map(|(endpoint_slot, label)| Value::Native { endpoint_slot, label }),
            10 => variant.newtype_variant().map(Value::Primitive),
            11 => variant.newtype_variant().map(Value::Float),
            12 => variant.newtype_variant().map(Value::Symbol),
            13 => variant.newtype_variant().map(Value::Method),
            _ => Err(A::Error::custom("an unknown kind of value")),
        }
    }
}

/// Bytes in one piece.
struct Bytes;

impl<'de> DeserializeSeed<'de> for Bytes {
    type Value = Vec<u8>;

    fn deserialize<D: Deserializer<'de>>(self, decoder: D) -> Result<Vec<u8>, D::Error> {
        decoder.deserialize_bytes(self)
    }
}

impl Visitor<'_> for Bytes {
    type Value = Vec<u8>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("bytes")
    }

    fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Vec<u8>, E> {
        Ok(bytes.into())
    }
}

/// A sequence whose items are read by seeds, with nothing reserved for an item before it is there.
struct Many<'a, M>(Limits<'a>, fn(Limits<'a>) -> M);

impl<'de, M: DeserializeSeed<'de>> DeserializeSeed<'de> for Many<'_, M> {
    type Value = Vec<M::Value>;

    fn deserialize<D: Deserializer<'de>>(self, decoder: D) -> Result<Self::Value, D::Error> {
        decoder.deserialize_seq(self)
    }
}

impl<'de, M: DeserializeSeed<'de>> Visitor<'de> for Many<'_, M> {
    type Value = Vec<M::Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a sequence")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        let mut read = Vec::new();
        while let Some(item) = items.next_element_seed((self.1)(self.0))? {
            read.push(item);
        }
        Ok(read)
    }
}

/// An entry of a map: name and value.
struct Entry<'a>(Limits<'a>);

impl<'de> DeserializeSeed<'de> for Entry<'_> {
    type Value = (String, Value);

    fn deserialize<D: Deserializer<'de>>(self, decoder: D) -> Result<Self::Value, D::Error> {
        decoder.deserialize_tuple(2, self)
    }
}

impl<'de> Visitor<'de> for Entry<'_> {
    type Value = (String, Value);

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an entry")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<Self::Value, A::Error> {
        Ok((part(&mut parts)?, value(&mut parts, self.0)?))
    }
}

/// A slot of a version, its fields in their order.
struct OneSlot<'a> {
    limits: Limits<'a>,
    full: bool,
}

fn simple_slot(limits: Limits<'_>) -> OneSlot<'_> {
    OneSlot { limits, full: false }
}

fn full_slot(limits: Limits<'_>) -> OneSlot<'_> {
    OneSlot { limits, full: true }
}

impl<'de> DeserializeSeed<'de> for OneSlot<'_> {
    type Value = Slot;

    fn deserialize<D: Deserializer<'de>>(self, decoder: D) -> Result<Slot, D::Error> {
        decoder.deserialize_tuple(if self.full { 5 } else { 4 }, self)
    }
}

impl<'de> Visitor<'de> for OneSlot<'_> {
    type Value = Slot;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a slot")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<Slot, A::Error> {
        let name: String = part(&mut parts)?;
        let kind: SlotKind = part(&mut parts)?;
        let value = value(&mut parts, self.limits)?;
        let slot = Slot::new(&name, kind, value);
        if !self.full {
            let origin: Option<u32> = part(&mut parts)?;
            return Ok(Slot { origin: origin.map(|of| Origin { of, name: None }), ..slot });
        }
        let origin = part(&mut parts)?;
        let flags: u8 = part(&mut parts)?;
        if flags & !3 != 0 {
            return Err(A::Error::custom("an unknown flag"));
        }
        let slot = if flags & 1 == 0 { slot } else { slot.private() };
        let slot = if flags & 2 == 0 { slot } else { slot.constant() };
        Ok(Slot { origin, ..slot })
    }
}

fn part<'de, T: Deserialize<'de>, A: SeqAccess<'de>>(parts: &mut A) -> Result<T, A::Error> {
    parts.next_element()?.ok_or_else(|| A::Error::custom("a part is missing"))
}

fn value<'de, A: SeqAccess<'de>>(parts: &mut A, limits: Limits<'_>) -> Result<Value, A::Error> {
    parts.next_element_seed(One(limits))?.ok_or_else(|| A::Error::custom("a value is missing"))
}
