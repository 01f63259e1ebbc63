//! What the interpreter runs in: a store that keeps objects, and a host that reaches other cells.
//!
//! Both are passed in for the time of one call, so that whoever embeds a session keeps owning them.

use alloc::string::String;
use alloc::vec::Vec;

use object_model::{BadObject, Object, Oid, Recipe};

/// A store, with at most one transaction open for the session.
pub trait Store {
    /// Opens the session's transaction.
    ///
    /// # Errors
    /// The store's.
    fn begin(&mut self) -> Result<(), Refused>;

    /// Commits it; the number of the transaction. Whatever it answers, none is open then.
    ///
    /// # Errors
    /// `Conflict` where another was first; the store's.
    fn commit(&mut self) -> Result<u64, Refused>;

    /// Gives it up.
    fn abort(&mut self);

    /// Says what it is for.
    ///
    /// # Errors
    /// The store's.
    fn note(&mut self, text: &str) -> Result<(), Refused>;

    /// A new object's number, in the open transaction.
    ///
    /// # Errors
    /// The store's.
    fn new_oid(&mut self) -> Result<Oid, Refused>;

    /// An object as the open transaction sees it.
    ///
    /// # Errors
    /// The store's.
    fn load(&mut self, oid: Oid) -> Result<Object, Refused>;

    /// Keeps an object in the open transaction.
    ///
    /// # Errors
    /// The store's.
    fn store(&mut self, oid: Oid, object: &Object) -> Result<(), Refused>;

    /// The objects that are composed of a trait, as far as the store can tell. Those in memory need not be among them.
    ///
    /// # Errors
    /// The store's.
    fn users(&mut self, _of: Oid) -> Result<Vec<Oid>, Refused> {
        Ok(Vec::new())
    }

    /// The objects that others changed since this was last asked: what is kept of them in memory is read anew.
    fn changed(&mut self) -> Vec<Oid> {
        Vec::new()
    }
}

/// The way to other cells, and the console's voice.
pub trait Host {
    /// Sends a native method's message.
    ///
    /// # Errors
    /// What the other side says.
    fn call(&mut self, call: &Call<'_>) -> Result<Reply, Refused>;

    /// Whether the running program is to stop. Asked now and then while it runs.
    fn interrupted(&mut self) -> bool {
        false
    }
}

/// A native method's message. The objects in it are stored, in the open transaction, before it is sent.
#[derive(Clone, Debug, PartialEq)]
pub struct Call<'a> {
    /// The endpoint, as the receiver holds it.
    pub endpoint: &'a Recipe,
    /// The label.
    pub label: u32,
    /// The method's selector.
    pub selector: &'a str,
    /// The object that it was sent to.
    pub receiver: Oid,
    /// The arguments.
    pub arguments: &'a [Argument],
}

/// A value on its way between cells.
#[derive(Clone, Debug, PartialEq)]
pub enum Argument {
    /// Nothing.
    Nil,
    /// A truth value.
    Bool(bool),
    /// A number.
    Int(i64),
    /// A number with a fraction.
    Float(f64),
    /// A symbol.
    Symbol(String),
    /// Text.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
    /// Values in order.
    List(Vec<Argument>),
    /// Values by names.
    Map(Vec<(String, Argument)>),
    /// A persistent object.
    Object(Oid),
    /// A capability.
    Capability(Recipe),
}

/// What a native method answers.
#[derive(Clone, Debug, PartialEq)]
pub struct Reply {
    /// The value. Only here do capabilities come from.
    pub value: Argument,
    /// Objects that the other side changed in the open transaction.
    pub changed: Vec<Oid>,
}

impl Reply {
    /// A value, with nothing changed.
    #[must_use]
    pub fn value(value: Argument) -> Self {
        Self { value, changed: Vec::new() }
    }
}

/// Why a store or a host refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// Another transaction changed this object first.
    Conflict(Oid),
    /// There is no such object.
    NoObject(Oid),
    /// The object's record does not decode, or does not encode.
    BadObject(Oid, BadObject),
    /// The capability is void: why.
    Void(String),
    /// Anything else, in words.
    Other(String),
}

/// Both, for the time of one call.
pub(crate) struct Outside<'a> {
    pub store: &'a mut dyn Store,
    pub host: &'a mut dyn Host,
}
