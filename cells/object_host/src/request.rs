//! Requests of native methods: words and bytes by service and label.
//!
//! What a method's arguments become is said by a [`Form`], one for each label that a program may send; a label of a server
//! that is not known here takes numbers as words and one text as its body. Labels are those of the typed requests in `abi`.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use language::{Argument, Call, Refused};
use object_model::{CapabilityKind, Oid, Recipe};
use runtime::abi::interface::Method;
use runtime::abi::interfaces::{memory, persistence, process};
use runtime::abi::kernel::{BODY_MAX, Kind};

/// A request, ready to be sent but for the capabilities that it names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Whom it is for.
    pub service: String,
    /// The label.
    pub label: u32,
    /// The words.
    pub words: [u64; 3],
    /// The body.
    pub body: Vec<u8>,
    /// A capability that is given back: its number in the table of those that are held. The first word is then to be the
    /// number of its allocation.
    pub returned: Option<u64>,
    /// What the reply is.
    pub answer: Answer,
}

/// What a reply is to the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Nothing.
    Nothing,
    /// The number in its word.
    Number,
    /// The object whose number is its word. It, and the receiver, were changed.
    Object,
    /// Nothing, and the receiver was changed.
    Changed,
    /// The capability that came with it, of this kind; the word is the number of its allocation.
    Capability(CapabilityKind),
    /// The memory server's figures in its body.
    Memory,
    /// The store's figures in its body.
    Store,
}

/// What a label takes, one for each argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Takes {
    /// A number, or an object, as a word.
    Number,
    /// An object, as a word.
    Object,
    /// A text or symbol, as the body.
    Text,
}

/// How a label's arguments travel.
#[derive(Clone, Copy, Debug)]
struct Form {
    label: u32,
    /// Whether the receiver is the first word.
    receiver: bool,
    takes: &'static [Takes],
    answer: Answer,
}

const fn form<M: Method>(receiver: bool, takes: &'static [Takes], answer: Answer) -> Form {
    Form { label: M::LABEL, receiver, takes, answer }
}

/// The process server's.
const PROCESS: &[Form] = &[
    form::<process::CreateProcess>(false, &[Takes::Object, Takes::Object], Answer::Object),
    form::<process::Terminate>(true, &[], Answer::Changed),
    form::<process::Spawn>(false, &[Takes::Text], Answer::Object),
    form::<process::Wait>(true, &[], Answer::Number),
    form::<process::Kill>(false, &[Takes::Text], Answer::Nothing),
    form::<process::Rollback>(false, &[Takes::Text], Answer::Nothing),
    form::<process::SetPriority>(true, &[Takes::Number], Answer::Changed),
    form::<process::SpawnInto>(true, &[Takes::Object, Takes::Object], Answer::Object),
    form::<process::YieldTimeslice>(true, &[], Answer::Nothing),
];

/// The persistence server's, beside those that are about the session's own transaction.
const PERSISTENCE: &[Form] = &[
    form::<persistence::Root>(false, &[], Answer::Object),
    form::<persistence::GetStatistics>(false, &[], Answer::Store),
    form::<persistence::Revision>(false, &[Takes::Object], Answer::Number),
];

/// The alignment of memory that was asked for without one: a page.
const PAGE: u64 = 4096;

/// The request of a native method.
///
/// # Errors
/// `Void` for a recipe that is no service's endpoint; `Other` for arguments that the label does not take.
pub fn request(call: &Call<'_>) -> Result<Request, Refused> {
    let Recipe::Service { kind: CapabilityKind::Endpoint, service, .. } = call.endpoint else {
        return Err(Refused::Void(format!("what `{}` would be sent through is no endpoint", call.selector)));
    };
    match service.as_str() {
        "memory" => memory_request(call),
        "process" => by_form(call, service, PROCESS),
        "persistence" => by_form(call, service, PERSISTENCE),
        _ => words_request(call, service),
    }
}

fn empty(call: &Call<'_>, service: &str, answer: Answer) -> Request {
    let (label, words, body) = (call.label, [0; 3], Vec::new());
    Request { service: service.into(), label, words, body, returned: None, answer }
}

fn wrong<T>(call: &Call<'_>, needed: &str) -> Result<T, Refused> {
    Err(Refused::Other(format!("`{}` takes {needed}", call.selector)))
}

fn by_form(call: &Call<'_>, service: &str, forms: &[Form]) -> Result<Request, Refused> {
    let Some(form) = forms.iter().find(|form| form.label == call.label) else {
        return Err(Refused::Other(format!("label {} of {service} cannot be sent by a native method", call.label)));
    };
    if call.arguments.len() != form.takes.len() {
        return wrong(call, &format!("{} arguments", form.takes.len()));
    }
    let mut request = empty(call, service, form.answer);
    let mut words = Vec::new();
    if form.receiver {
        words.push(call.receiver.number());
    }
    for (argument, takes) in call.arguments.iter().zip(form.takes) {
        match (takes, argument) {
            (Takes::Number | Takes::Object, Argument::Object(oid)) => words.push(oid.number()),
            (Takes::Number, Argument::Int(number)) => words.push(number.cast_unsigned()),
            (Takes::Text, Argument::Text(text) | Argument::Symbol(text)) => request.body = body(text.as_bytes())?,
            (Takes::Number, _) => return wrong(call, "a number"),
            (Takes::Object, _) => return wrong(call, "an object"),
            (Takes::Text, _) => return wrong(call, "a text"),
        }
    }
    for (place, word) in request.words.iter_mut().zip(words) {
        *place = word;
    }
    Ok(request)
}

/// Bytes that fit a message.
fn body(bytes: &[u8]) -> Result<Vec<u8>, Refused> {
    match bytes.len() <= BODY_MAX {
        true => Ok(bytes.to_vec()),
        false => {
            Err(Refused::Other(format!("{} bytes are more than a message takes, which is {BODY_MAX}", bytes.len())))
        }
    }
}

/// A server of which only the endpoint is known.
fn words_request(call: &Call<'_>, service: &str) -> Result<Request, Refused> {
    let mut request = empty(call, service, Answer::Number);
    let mut used = 0;
    for argument in call.arguments {
        let word = match argument {
            Argument::Int(number) => number.cast_unsigned(),
            Argument::Bool(value) => u64::from(*value),
            Argument::Object(oid) => oid.number(),
            Argument::Text(text) | Argument::Symbol(text) if request.body.is_empty() => {
                request.body = body(text.as_bytes())?;
                continue;
            }
            Argument::Bytes(bytes) if request.body.is_empty() => {
                request.body = body(bytes)?;
                continue;
            }
            _ => return wrong(call, "numbers, objects and at most one text"),
        };
        let Some(place) = request.words.get_mut(used) else { return wrong(call, "three numbers at most") };
        *place = word;
        used += 1;
    }
    Ok(request)
}

/// The memory server: both labels that allocate take a size, then an alignment or what the memory is to be.
fn memory_request(call: &Call<'_>) -> Result<Request, Refused> {
    const ALLOCATE: [u32; 2] = [memory::AllocateUntyped::LABEL, memory::AllocateObject::LABEL];
    if ALLOCATE.contains(&call.label) {
        return allocation(call);
    }
    match (call.label, call.arguments) {
        (memory::Free::LABEL, [Argument::Capability(Recipe::Held { number, .. })]) => {
            let returned = Some(*number);
            Ok(Request { returned, ..empty(call, "memory", Answer::Nothing) })
        }
        (memory::Free::LABEL, [Argument::Capability(_)]) => Err(Refused::Void("the capability holds no memory".into())),
        (memory::Free::LABEL, _) => wrong(call, "the capability of what was allocated"),
        (memory::GetStatistics::LABEL, []) => Ok(empty(call, "memory", Answer::Memory)),
        (memory::GetStatistics::LABEL, _) => wrong(call, "no arguments"),
        (label, _) => Err(Refused::Other(format!("label {label} of memory cannot be sent by a native method"))),
    }
}

fn allocation(call: &Call<'_>) -> Result<Request, Refused> {
    let needed = "a size in bytes, and an alignment or a type: #untyped, #frame, #notification, #endpoint or #buf";
    let (size, rest) = match call.arguments {
        [Argument::Int(size), rest @ ..] => match u64::try_from(*size) {
            Ok(size) if size > 0 => (size, rest),
            _ => return Err(Refused::Other(format!("{size} is no size in bytes"))),
        },
        _ => return wrong(call, needed),
    };
    let untyped = |alignment: u64| {
        let words = memory::AllocateUntyped { size, alignment }.words();
        let answer = Answer::Capability(CapabilityKind::Untyped);
        Request { label: memory::AllocateUntyped::LABEL, words, ..empty(call, "memory", answer) }
    };
    match rest {
        [] => Ok(untyped(PAGE)),
        [Argument::Int(alignment)] => match u64::try_from(*alignment) {
            Ok(alignment) => Ok(untyped(alignment)),
            Err(_) => Err(Refused::Other(format!("{alignment} is no alignment"))),
        },
        [Argument::Text(name) | Argument::Symbol(name)] => {
            let (kind, object, is_sized) = match name.as_str() {
                "untyped" => return Ok(untyped(PAGE)),
                "frame" => (CapabilityKind::Frame, Kind::Frame, true),
                "buf" => (CapabilityKind::Buf, Kind::Buf, true),
                "notification" => (CapabilityKind::Notification, Kind::Notification, false),
                "endpoint" => (CapabilityKind::Endpoint, Kind::Endpoint, false),
                _ => {
                    return Err(Refused::Other(format!(
                        "memory cannot be a `{name}`; `{}` takes {needed}",
                        call.selector
                    )));
                }
            };
            let bits = size.max(PAGE).checked_next_power_of_two().map_or(u64::MAX, |size| size.ilog2().into());
            let size_bits = if is_sized { bits } else { 0 };
            let words = memory::AllocateObject { kind: object as u64, size_bits }.words();
            Ok(Request {
                label: memory::AllocateObject::LABEL,
                words,
                ..empty(call, "memory", Answer::Capability(kind))
            })
        }
        _ => wrong(call, needed),
    }
}

/// The object that a word names.
pub(crate) fn object(word: u64) -> Argument {
    Argument::Object(Oid::new(word))
}

#[cfg(test)]
mod tests;
