//! Failures of cells, as they are kept.

use alloc::string::String;
use alloc::vec::Vec;

use object_model::{Object, Oid, SlotKind, Value};

/// Fault objects that are kept; an older one gives way.
pub const KEPT: usize = 64;

/// What is known of a failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The cell.
    pub cell: String,
    /// Version of its image.
    pub version: String,
    /// First bytes of the image's hash.
    pub hash: u64,
    /// The process that it was an instance of; `None` for a service.
    pub process: Option<Oid>,
    /// When: nanoseconds since 1970, UTC.
    pub time: u64,
    /// What happened, in words.
    pub cause: String,
    /// The functions that were running, innermost first, each as `function+offset`.
    pub trace: Vec<String>,
    /// RAX, RBX, RCX, RDX, RSI, RDI, RBP, RSP, R8 to R15, RFLAGS; empty where they are not known.
    pub registers: Vec<u64>,
    /// The label of the request that it served, the badge and the thread of who had sent it.
    pub request: Option<[u64; 3]>,
    /// What was done about it, in words.
    pub consequence: String,
}

fn int(number: u64) -> Value {
    Value::Int(number.cast_signed())
}

fn ints(numbers: &[u64]) -> Value {
    Value::List(numbers.iter().copied().map(int).collect())
}

fn number(value: &Value) -> Option<u64> {
    match value {
        Value::Int(number) => Some(number.cast_unsigned()),
        _ => None,
    }
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::Text(text) => Some(text.clone()),
        _ => None,
    }
}

fn list<T>(value: &Value, each: impl Fn(&Value) -> Option<T>) -> Option<Vec<T>> {
    match value {
        Value::List(list) => list.iter().map(each).collect(),
        _ => None,
    }
}

impl Fault {
    /// As an object.
    #[must_use]
    pub fn object(&self, oid: Oid) -> Object {
        let object = Object::new()
            .data("cell", Value::text(&self.cell))
            .data("version", Value::text(&self.version))
            .data("hash", int(self.hash))
            .data("time", int(self.time))
            .data("cause", Value::text(&self.cause))
            .data("trace", Value::List(self.trace.iter().map(|line| Value::text(line)).collect()))
            .data("registers", ints(&self.registers))
            .data("request", ints(self.request.as_ref().map_or(&[], |request| request)))
            .data("consequence", Value::text(&self.consequence))
            .numbered(oid);
        match self.process {
            Some(process) => object.referring("process", process),
            None => object,
        }
    }

    /// What an object says; `None` where it is no Fault.
    #[must_use]
    pub fn of(object: &Object) -> Option<Fault> {
        let get = |name| object.get(name);
        Some(Fault {
            cell: text(get("cell")?)?,
            version: text(get("version")?)?,
            hash: number(get("hash")?)?,
            process: object.reference("process"),
            time: number(get("time")?)?,
            cause: text(get("cause")?)?,
            trace: list(get("trace")?, text)?,
            registers: list(get("registers")?, number)?,
            request: <[u64; 3]>::try_from(list(get("request")?, number)?).ok(),
            consequence: text(get("consequence")?)?,
        })
    }
}

/// The Fault objects of a list, oldest first.
#[must_use]
pub fn faults(faults: &Object) -> Vec<Oid> {
    match faults.get("list") {
        Some(Value::List(list)) => list.iter().filter_map(|value| faults.target(value)).collect(),
        _ => Vec::new(),
    }
}

/// The list, whose own number is `own`, with one Fault object more, and no more than [`KEPT`].
#[must_use]
pub fn with_fault(own: Oid, old: &Object, fault: Oid) -> Object {
    let known = faults(old);
    let kept = known.iter().copied().skip((known.len() + 1).saturating_sub(KEPT)).chain([fault]);
    let mut new = Object::new();
    let references = kept.map(|oid| new.refer(oid)).collect();
    new.set("list", SlotKind::Data, Value::List(references));
    new.numbered(own)
}
