//! Slots and what stands in them.
//!
//! The order of the variants is the encoding: new ones go to the end.

use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize, Serializer};

/// One slot of an object.
#[derive(Clone, Debug, PartialEq)]
pub struct Slot {
    /// Its name: the selector of the message that finds it, [`selector`](crate::selector()).
    pub name: String,
    /// What a message that finds it does.
    pub kind: SlotKind,
    /// What stands in it.
    pub value: Value,
    /// Where it was copied from.
    pub origin: Option<Origin>,
    /// Who finds it.
    pub reach: Reach,
    /// Whether a message may write it.
    pub change: Change,
}

impl Slot {
    /// A public, assignable slot of no trait.
    #[must_use]
    pub fn new(name: &str, kind: SlotKind, value: Value) -> Self {
        let (reach, change) = (Reach::default(), Change::default());
        Self { name: name.into(), kind, value, origin: None, reach, change }
    }

    /// The same, found by the object's own messages only.
    #[must_use]
    pub fn private(self) -> Self {
        Self { reach: Reach::Private, ..self }
    }

    /// The same, never written by a message.
    #[must_use]
    pub fn constant(self) -> Self {
        Self { change: Change::Constant, ..self }
    }
}

/// The trait that a slot was copied from. Two slots of one origin are one slot, wherever they come together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The trait, as an index into the table of references.
    pub of: u32,
    /// The slot's name there, where an alias gave it another.
    pub name: Option<String>,
}

/// Who finds a slot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reach {
    /// Every message to the object, or to one that delegates to it.
    #[default]
    Public,
    /// Messages that the object sends to itself. Never one that came along a parent.
    Private,
}

/// Whether an assignment may write a slot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Change {
    /// It may, in the receiver's own slot.
    #[default]
    Assignable,
    /// It may not.
    Constant,
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
    /// A number with a fraction.
    Float(Float),
    /// A name that stands for itself.
    Symbol(String),
    /// A method in the language.
    Method(Method),
}

/// A floating-point number. Equal are those of equal bits, so that what is stored compares with what comes back.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Float(pub f64);

impl PartialEq for Float {
    fn eq(&self, other: &Self) -> bool {
        self.0.to_bits() == other.0.to_bits()
    }
}

/// A method in the language. The source is the truth; everything else can be made from it again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Method {
    /// Parameters and body, as they were written.
    pub source: String,
    /// What the compiler made of it; nothing in it is believed before it has been verified.
    pub bytecode: Vec<u8>,
    /// The selectors that it sends to itself: what it requires of the object that it comes to stand in.
    pub sends: Vec<String>,
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

    /// Whether this value and all inside it are of a kind.
    pub(crate) fn all(&self, is: &impl Fn(&Value) -> bool) -> bool {
        is(self)
            && match self {
                Self::List(values) => values.iter().all(|value| value.all(is)),
                Self::Map(entries) => entries.iter().all(|(_, value)| value.all(is)),
                _ => true,
            }
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
