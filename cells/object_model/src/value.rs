//! Slots and what stands in them.
//!
//! The order of the variants is the encoding: new ones go to the end.

use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize, Serializer};

/// One slot of an object.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Slot {
    /// Its name: the message that finds it.
    pub name: String,
    /// What a message that finds it does.
    pub kind: SlotKind,
    /// What stands in it.
    pub value: Value,
    /// The trait that it was copied from, as an index into the table of references.
    pub origin: Option<u32>,
}

/// What a message that finds a slot does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SlotKind {
    /// Answers the value.
    Data,
    /// Runs the value.
    Method,
    /// Answers the value; look-up goes on there for what the object lacks itself.
    Parent,
}

/// What stands in a slot.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub enum Value {
    /// Nothing.
    Nil,
    /// A truth value.
    Bool(bool),
    /// A number.
    Int(i64),
    /// Text.
    Text(String),
    /// Bytes.
    Bytes(#[serde(serialize_with = "as_bytes")] Vec<u8>),
    /// Another object: index into the record's table of references.
    Reference(u32),
    /// Values in order.
    List(Vec<Value>),
    /// Values by names, each of which stands once.
    Map(Vec<(String, Value)>),
    /// A capability: index into the record's capability section.
    Capability(u32),
    /// A method that another cell serves.
    Native {
        /// The slot of the receiver, or of what it inherits from, that holds the endpoint.
        endpoint_slot: String,
        /// The label that the message gets.
        label: u32,
    },
    /// A method that whoever runs the language provides, by name.
    Primitive(String),
}

/// In one copy, where serde would go byte by byte. The encoding is the same.
fn as_bytes<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_bytes(bytes)
}

impl Value {
    /// Text.
    #[must_use]
    pub fn text(text: &str) -> Self {
        Self::Text(text.into())
    }

    /// The value of a name in a map; `None` too where this is no map.
    #[must_use]
    pub fn entry(&self, name: &str) -> Option<&Value> {
        match self {
            Self::Map(entries) => entries.iter().find(|(key, _)| key == name).map(|(_, value)| value),
            _ => None,
        }
    }

    /// Sets the value of a name in a map. `false` where this is no map, which then stays as it is.
    pub fn set_entry(&mut self, name: &str, value: Value) -> bool {
        let Self::Map(entries) = self else { return false };
        match entries.iter_mut().find(|(key, _)| key == name) {
            Some((_, place)) => *place = value,
            None => entries.push((name.into(), value)),
        }
        true
    }

    /// Renumbers references and capabilities.
    pub(crate) fn renumber(&mut self, change: &mut impl FnMut(&mut Value)) {
        match self {
            Self::Reference(_) | Self::Capability(_) => change(self),
            Self::List(values) => values.iter_mut().for_each(|value| value.renumber(change)),
            Self::Map(entries) => entries.iter_mut().for_each(|(_, value)| value.renumber(change)),
            _ => {}
        }
    }
}
