//! Objects in and out of records.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use object_store::{Oid, Record};
use postcard::ser_flavors::Size;
use serde::{Deserialize, Serialize};

use crate::composition::STEP_LIMIT;
use crate::decode::decode;
use crate::{Change, Composition, Object, Origin, Reach, Recipe, Slot, SlotKind, Step, Value};

/// The schema of object records.
pub const SCHEMA: u16 = 1;
/// The newest version of their payload that is read. Version 1 is written where it says everything, so that readers of that
/// version are not shut out for nothing.
pub const VERSION: u16 = 2;
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
            if let Some(origin) = &mut slot.origin {
                origin.of = references.keep(origin.of);
            }
        }
        let simple = self.composition.is_none() && self.requires.is_none() && slots.iter().all(is_simple);
        let (version, payload) = match simple {
            true => (1, encoded(&slots.iter().map(SimpleSlot::of).collect::<Vec<_>>())),
            false => {
                let steps =
                    self.composition.as_ref().map(|one| one.steps.iter().map(|step| references.step(step)).collect());
                let traits = TraitPart { steps, requires: self.requires.clone() };
                (VERSION, encoded(&(slots.iter().map(FullSlot::of).collect::<Vec<_>>(), traits)))
            }
        };
        let references: Vec<Oid> = references.kept;
        let capabilities = match recipes.kept {
            none if none.is_empty() => Vec::new(),
            some => postcard::to_allocvec::<Vec<Recipe>>(&some).map_err(|_| BadObject::Malformed)?,
        };
        if capabilities.len() > CAPABILITY_LIMIT {
            return Err(BadObject::TooLarge);
        }
        let payload = payload.map_err(|_| BadObject::Malformed)?;
        Ok(Record { schema: SCHEMA, version, references, capabilities, payload })
    }

    /// The object of a record.
    ///
    /// # Errors
    /// [`BadObject`]. Neither time nor memory nor stack grow beyond the limits on the way.
    pub fn from_record(record: &Record) -> Result<Self, BadObject> {
        if record.schema != SCHEMA {
            return Err(BadObject::OtherSchema { found: record.schema });
        }
        if !(1..=VERSION).contains(&record.version) {
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
        let (slots, traits) = decode(record.version, &record.payload)?;
        check(&slots, record.references.len(), recipes.len())?;
        let at = |index: u32| record.references.get(index as usize).copied().ok_or(BadObject::NoSuchIndex(index));
        let composition = match traits.steps {
            None => None,
            Some(steps) if steps.is_empty() || steps.len() > STEP_LIMIT => return Err(BadObject::Malformed),
            Some(steps) => {
                let steps = steps.into_iter().map(|step| step.try_map(at)).collect::<Result<_, _>>()?;
                Some(Composition { steps })
            }
        };
        let references = record.references.clone();
        Ok(Object { slots, references, recipes, composition, requires: traits.requires })
    }
}

/// The encoding of a value, in a vector of its length: an image of megabytes is not copied from one that grows to the next.
fn encoded(value: &impl Serialize) -> postcard::Result<Vec<u8>> {
    let mut bytes = alloc::vec![0; postcard::serialize_with_flavor(value, Size::default())?];
    postcard::to_slice(value, &mut bytes)?;
    Ok(bytes)
}

/// What a record says of traits.
#[derive(Default, Serialize, Deserialize)]
pub(crate) struct TraitPart {
    steps: Option<Vec<Step<u32>>>,
    requires: Option<Vec<String>>,
}

/// A slot as version 1 has it.
#[derive(Serialize)]
struct SimpleSlot<'a> {
    name: &'a str,
    kind: SlotKind,
    value: &'a Value,
    origin: Option<u32>,
}

impl<'a> SimpleSlot<'a> {
    fn of(slot: &'a Slot) -> Self {
        Self {
            name: &slot.name,
            kind: slot.kind,
            value: &slot.value,
            origin: slot.origin.as_ref().map(|origin| origin.of),
        }
    }
}

/// A slot as version 2 has it.
#[derive(Serialize)]
struct FullSlot<'a> {
    name: &'a str,
    kind: SlotKind,
    value: &'a Value,
    origin: Option<&'a Origin>,
    flags: u8,
}

impl<'a> FullSlot<'a> {
    fn of(slot: &'a Slot) -> Self {
        let flags = u8::from(slot.reach == Reach::Private) | u8::from(slot.change == Change::Constant) << 1;
        Self { name: &slot.name, kind: slot.kind, value: &slot.value, origin: slot.origin.as_ref(), flags }
    }
}

/// Whether version 1 says all of a slot.
fn is_simple(slot: &Slot) -> bool {
    let old = |value: &Value| !matches!(value, Value::Float(_) | Value::Symbol(_) | Value::Method(_));
    slot.reach == Reach::Public
        && slot.change == Change::Assignable
        && slot.origin.as_ref().is_none_or(|origin| origin.name.is_none())
        && slot.value.all(&old)
}

/// The part of a table that is in use, in the order of first use.
struct Compact<'a, T> {
    table: &'a [T],
    indexes: BTreeMap<u32, u32>,
    kept: Vec<T>,
}

impl Compact<'_, Oid> {
    /// A step with an index in place of its trait, which gets a place here.
    fn step(&mut self, step: &Step<Oid>) -> Step<u32> {
        let place = |oid: Oid| {
            let found = self.kept.iter().position(|kept| *kept == oid);
            found.unwrap_or_else(|| {
                self.kept.push(oid);
                self.kept.len() - 1
            }) as u32
        };
        step.clone().map(place)
    }
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
        if let Some(origin) = slot.origin.as_ref().filter(|origin| origin.of as usize >= references) {
            return Err(BadObject::NoSuchIndex(origin.of));
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
