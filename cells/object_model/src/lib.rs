//! The persistent object: slots, as the payload of a record.
//!
//! * [`Object`]: named slots of data, methods and parents, after Self; built with object numbers, stored with indexes;
//! * [`Value`]: what stands in a slot;
//! * [`Recipe`]: how a capability in a slot is made again. Live capabilities are never part of an object;
//! * [`lookup()`], [`resend`], [`assign`], [`explain`]: which slot answers a message; [`search`] over any other [`World`];
//! * [`Trait`]: the algebra of traits; [`compose_anew`], [`edit_trait`]: an object laid out from its [`Composition`];
//! * [`compose()`]: the sum of whole objects, flattened into another;
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
mod composition;
mod decode;
mod lookup;
mod object;
mod recipe;
mod record;
mod render;
mod rules;
mod selector;
mod traits;
mod value;

#[cfg(test)]
mod tests;

pub use compose::{Conflict, compose};
pub use composition::{Body, Composition, Refusal, STEP_LIMIT, Step, compose_anew, edit_trait};
pub use lookup::{
    Candidate, Match, Matches, Missing, Objects, Outcome, Place, Sender, Unassignable, VISIT_LIMIT, Verdict, World,
    assign, explain, lookup, only, own_slot, resend, resend_via, search,
};
pub use object::Object;
pub use object_store::{Oid, Record};
pub use recipe::{CapabilityKind, Recipe};
pub use record::{BadObject, CAPABILITY_LIMIT, DEPTH_LIMIT, SCHEMA, VALUE_LIMIT, VERSION};
pub use rules::{ObjectRules, differing_slots};
pub use selector::{arity, base_name, selector};
pub use traits::{BadAlias, Conflicts, Identity, Trait};
pub use value::{Change, Float, Method, Origin, Reach, Slot, SlotKind, Value};
