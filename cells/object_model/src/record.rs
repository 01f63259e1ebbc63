//! Objects in and out of records.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use object_store::{Oid, Record};

use crate::decode::decode_slots;
use crate::{Object, Recipe, Slot, Value};

/// The schema of object records.
pub const SCHEMA: u16 = 1;
/// The version of their payload that is written, and the newest that is read.
pub const VERSION: u16 = 1;
/// How deep lists and maps may stand in each other.
pub const DEPTH_LIMIT: usize = 32;
/// The most slots and values of one object, inner ones included.
pub const VALUE_LIMIT: usize = 65_536;
/// The most bytes of its capability section.
pub const CAPABILITY_LIMIT: usize = 65_536;

/// Why a record is no object, or an object cannot be a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadObject {
    /// The record is of another schema.
    OtherSchema {
        /// Its schema.
        found: u16,
    },
    /// The record is of a version that is not known here.
    OtherVersion {
        /// Its version.
        found: u16,
        /// The newest that is read.
        known: u16,
    },
    /// The payload or the capability section is not the encoding of anything, or is beyond a limit.
    Malformed,
    /// Two slots have one name, or two entries of a map.
    DoubledName,
    /// A value points outside the table of references or the capability section.
    NoSuchIndex(u32),
    /// More values, deeper ones, or more recipes than a record takes.
    TooLarge,
}

impl Object {
    /// The record of this object. References and recipes that no slot uses are left out.
    ///
    /// # Errors
    /// `NoSuchIndex`, `DoubledName` or `TooLarge` for what would not be read back.
    pub fn to_record(&self) -> Result<Record, BadObject> {
        check(&self.slots, self.references.len(), self.recipes.len())?;
        let mut slots = self.slots.clone();
        let mut references = Compact::new(&self.references);
        let mut recipes = Compact::new(&self.recipes);
        for slot in &mut slots {
            slot.value.renumber(&mut |value| match value {
                Value::Reference(index) => *index = references.keep(*index),
                Value::Capability(index) => *index = recipes.keep(*index),
                _ => {}
            });
            slot.origin = slot.origin.map(|index| references.keep(index));
        }
        let references: Vec<Oid> = references.kept;
        let capabilities = match recipes.kept {
            none if none.is_empty() => Vec::new(),
            some => postcard::to_allocvec::<Vec<Recipe>>(&some).map_err(|_| BadObject::Malformed)?,
        };
        if capabilities.len() > CAPABILITY_LIMIT {
            return Err(BadObject::TooLarge);
        }
        let payload = postcard::to_allocvec(&slots).map_err(|_| BadObject::Malformed)?;
        Ok(Record { schema: SCHEMA, version: VERSION, references, capabilities, payload })
    }

    /// The object of a record.
    ///
    /// # Errors
    /// [`BadObject`]. Neither time nor memory nor stack grow beyond the limits on the way.
    pub fn from_record(record: &Record) -> Result<Self, BadObject> {
        if record.schema != SCHEMA {
            return Err(BadObject::OtherSchema { found: record.schema });
        }
        if record.version != VERSION {
            return Err(BadObject::OtherVersion { found: record.version, known: VERSION });
        }
        if record.capabilities.len() > CAPABILITY_LIMIT {
            return Err(BadObject::TooLarge);
        }
        let recipes: Vec<Recipe> = match record.capabilities.as_slice() {
            [] => Vec::new(),
            bytes => match postcard::take_from_bytes(bytes) {
                Ok((recipes, [])) => recipes,
                _ => return Err(BadObject::Malformed),
            },
        };
        let slots = decode_slots(&record.payload)?;
        check(&slots, record.references.len(), recipes.len())?;
        Ok(Object { slots, references: record.references.clone(), recipes })
    }
}

/// The part of a table that is in use, in the order of first use.
struct Compact<'a, T> {
    table: &'a [T],
    indexes: BTreeMap<u32, u32>,
    kept: Vec<T>,
}

impl<'a, T: Clone> Compact<'a, T> {
    fn new(table: &'a [T]) -> Self {
        Compact { table, indexes: BTreeMap::new(), kept: Vec::new() }
    }

    /// The new index of an old one, which lies in the table.
    fn keep(&mut self, index: u32) -> u32 {
        if let Some(known) = self.indexes.get(&index) {
            return *known;
        }
        let new = self.kept.len() as u32;
        self.kept.extend(self.table.get(index as usize).cloned());
        self.indexes.insert(index, new);
        new
    }
}

/// What both directions demand of slots.
fn check(slots: &[Slot], references: usize, recipes: usize) -> Result<(), BadObject> {
    distinct(slots.iter().map(|slot| slot.name.as_str()))?;
    let mut left = VALUE_LIMIT;
    for slot in slots {
        if let Some(index) = slot.origin.filter(|index| *index as usize >= references) {
            return Err(BadObject::NoSuchIndex(index));
        }
        check_value(&slot.value, references, recipes, DEPTH_LIMIT, &mut left)?;
    }
    Ok(())
}

fn check_value(
    value: &Value,
    references: usize,
    recipes: usize,
    depth: usize,
    left: &mut usize,
) -> Result<(), BadObject> {
    let depth = depth.checked_sub(1).ok_or(BadObject::TooLarge)?;
    *left = left.checked_sub(1).ok_or(BadObject::TooLarge)?;
    match value {
        Value::Reference(index) if *index as usize >= references => Err(BadObject::NoSuchIndex(*index)),
        Value::Capability(index) if *index as usize >= recipes => Err(BadObject::NoSuchIndex(*index)),
        Value::List(values) => values.iter().try_for_each(|value| check_value(value, references, recipes, depth, left)),
        Value::Map(entries) => {
            distinct(entries.iter().map(|(name, _)| name.as_str()))?;
            entries.iter().try_for_each(|(_, value)| check_value(value, references, recipes, depth, left))
        }
        _ => Ok(()),
    }
}

fn distinct<'a>(names: impl Iterator<Item = &'a str>) -> Result<(), BadObject> {
    let mut names: Vec<&str> = names.collect();
    names.sort_unstable();
    let doubled = names.windows(2).any(|pair| pair.first() == pair.get(1));
    if doubled { Err(BadObject::DoubledName) } else { Ok(()) }
}
