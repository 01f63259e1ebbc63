//! Who answers a selector, and who sends it.

use alloc::string::String;
use alloc::vec::Vec;

use object_model::{Object, Oid, SlotKind, Value};

use crate::Objects;
use crate::walk::{Extent, walk};

/// A slot that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its object.
    pub oid: Oid,
    /// What that is called, where it has a name.
    pub name: Option<String>,
    /// The slot's selector.
    pub selector: String,
    /// The trait that it came from, where it is not the object's own.
    pub origin: Option<Oid>,
    /// What it is: a source in one line, or what is in the place of one.
    pub text: String,
}

/// The slots that answer a selector: methods of it, and data where it takes no argument.
///
/// # Errors
/// An object cannot be read.
pub fn implementors<O: Objects>(
    objects: &mut O,
    root: Oid,
    without: &[&str],
    selector: &str,
) -> Result<(Vec<Found>, Extent), O::Error> {
    search(objects, root, without, |slot, _| slot == selector)
}

/// The methods that send a selector, to whomever. A source that does not compile sends nothing.
///
/// # Errors
/// An object cannot be read.
pub fn senders<O: Objects>(
    objects: &mut O,
    root: Oid,
    without: &[&str],
    selector: &str,
) -> Result<(Vec<Found>, Extent), O::Error> {
    search(objects, root, without, |_, value| match value {
        // What the text does not name it does not send, and need not be compiled.
        Value::Method(method) => {
            method.source.contains(object_model::base_name(selector))
                && language::selectors_sent(&method.source).iter().any(|sent| sent == selector)
        }
        _ => false,
    })
}

fn search<O: Objects>(
    objects: &mut O,
    root: Oid,
    without: &[&str],
    is_wanted: impl Fn(&str, &Value) -> bool,
) -> Result<(Vec<Found>, Extent), O::Error> {
    let mut found = Vec::new();
    let extent = walk(objects, root, without, |oid, object| {
        // Names of the root and of the lobby are no slots that anybody sends for.
        for slot in object.slots().iter().filter(|slot| slot.kind != SlotKind::Parent) {
            if is_wanted(&slot.name, &slot.value) {
                let (selector, origin) = (slot.name.clone(), object.origin(slot));
                found.push(Found { oid, name: name_of(object), selector, origin, text: text_of(&slot.value) });
            }
        }
    })?;
    Ok((found, extent))
}

/// What an object is called.
#[must_use]
pub fn name_of(object: &Object) -> Option<String> {
    match object.get("name") {
        Some(Value::Text(name)) if !name.is_empty() => Some(name.clone()),
        _ => None,
    }
}

/// A slot's content in one line.
fn text_of(value: &Value) -> String {
    match value {
        Value::Method(method) => {
            let mut text = String::new();
            for word in method.source.split_whitespace() {
                if !text.is_empty() {
                    text.push(' ');
                }
                text.push_str(word);
            }
            text
        }
        Value::Native { endpoint_slot, label } => alloc::format!("native '{endpoint_slot}/{label}'"),
        Value::Primitive(name) => alloc::format!("primitive {name}"),
        _ => String::from("data"),
    }
}
