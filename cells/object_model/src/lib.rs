//! The persistent object: slots, as the payload of a record.
//!
//! * [`Object`]: named slots of data, methods and parents, after Self; built with object numbers, stored with indexes;
//! * [`Value`]: what stands in a slot;
//! * [`Recipe`]: how a capability in a slot is made again. Live capabilities are never part of an object;
//! * [`compose`]: traits, flattened into an object;
//! * [`ObjectRules`]: what the store is told of objects, so that the past brings no authority back;
//! * [`Object::to_record`], [`Object::from_record`]: the encoding, with bounds.
//!
//! Invariants: slot names of an object differ; a reference is an index into the record's own table, so that what an
//! object refers to is what the store sees; a capability is an index into the record's capability section. Encoding
//! leaves out of both what no slot uses any more.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod compose;
mod decode;
mod object;
mod recipe;
mod record;
mod render;
mod rules;
mod value;

#[cfg(test)]
mod tests;

pub use compose::{Conflict, compose};
pub use object::Object;
pub use object_store::{Oid, Record};
pub use recipe::{CapabilityKind, Recipe};
pub use record::{BadObject, CAPABILITY_LIMIT, DEPTH_LIMIT, SCHEMA, VALUE_LIMIT, VERSION};
pub use rules::ObjectRules;
pub use value::{Slot, SlotKind, Value};
