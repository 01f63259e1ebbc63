//! Where images and processes are found.

use alloc::string::String;
use alloc::vec::Vec;

use object_model::{Object, Oid, SlotKind, Value};

/// What an Image object holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// The cell's name.
    pub name: String,
    /// Its version; empty where an older system stored the image, which did not know.
    pub version: String,
    /// The number of its build: that of another image of the name is another one. 0 where that is not known.
    pub build: u64,
    /// SHA-256 of the signed file.
    pub hash: Vec<u8>,
    /// The signed file.
    pub bytes: Vec<u8>,
}

impl Image {
    /// What an Image object holds; `None` where it is none.
    #[must_use]
    pub fn of(object: &Object) -> Option<Image> {
        let (version, build) = version(object);
        match (object.get("name")?, object.get("hash")?, object.get("bytes")?) {
            (Value::Text(name), Value::Bytes(hash), Value::Bytes(bytes)) => {
                Some(Image { name: name.clone(), version, build, hash: hash.clone(), bytes: bytes.clone() })
            }
            _ => None,
        }
    }
}

/// Version and build. The first systems that stored them had both in one text.
fn version(object: &Object) -> (String, u64) {
    match (object.get("version"), object.get("build")) {
        (Some(Value::Text(version)), Some(Value::Int(build))) => (version.clone(), build.cast_unsigned()),
        (Some(Value::Text(both)), None) => {
            let (version, build) = both.split_once(" build ").unwrap_or((both, ""));
            (version.into(), build.parse().unwrap_or(0))
        }
        _ => (String::new(), 0),
    }
}

/// An Image object. `previous` is the image that was current before.
#[must_use]
pub fn image(prototype: Oid, oid: Oid, image: &Image, previous: Option<Oid>) -> Object {
    let object = Object::new()
        .parent("parent", Some(prototype))
        .data("name", Value::text(&image.name))
        .data("version", Value::text(&image.version))
        .data("build", Value::Int(image.build.cast_signed()))
        .data("hash", Value::Bytes(image.hash.clone()))
        .data("bytes", Value::Bytes(image.bytes.clone()))
        .numbered(oid);
    match previous {
        Some(previous) => object.referring("previous", previous),
        None => object,
    }
}

/// What an image is at a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It is the current one.
    Current,
    /// It was the current one before.
    Before,
    /// It came last, and was never current.
    New,
    /// A service tries it.
    OnTrial,
}

/// The name, and what an image is at it, that a slot of the object of images stands for.
fn standing(slot: &str) -> (&str, Standing) {
    [(" before", Standing::Before), (" new", Standing::New), (" on trial", Standing::OnTrial)]
        .into_iter()
        .find_map(|(end, standing)| Some((slot.strip_suffix(end)?, standing)))
        .unwrap_or((slot, Standing::Current))
}

/// The name of the images that a slot of the object of images is for.
#[must_use]
pub fn image_name(slot: &str) -> &str {
    standing(slot).0
}

/// All images that have a standing, with their names.
pub fn standings(images: &Object) -> Vec<(String, Standing, Oid)> {
    let of_slot = |slot: &object_model::Slot| {
        let oid = images.target(&slot.value).filter(|_| slot.name != "oid")?;
        let (name, standing) = standing(&slot.name);
        Some((name.into(), standing, oid))
    };
    images.slots().iter().filter_map(of_slot).collect()
}

/// The current image of a name.
#[must_use]
pub fn current_image(images: &Object, name: &str) -> Option<Oid> {
    images.slot(name).filter(|slot| slot.name != "oid").and_then(|slot| images.target(&slot.value))
}

/// Makes an image the current one of its name.
pub fn enter_image(images: &mut Object, name: &str, image: Oid) {
    let reference = images.refer(image);
    images.set(name, SlotKind::Data, reference);
}

/// The slot of the object of images in which the image of a name on trial stands: one that the confirmed ones cannot have.
fn trial_slot(name: &str) -> String {
    alloc::format!("{name} on trial")
}

/// The image of a name that is on trial.
#[must_use]
pub fn trial_image(images: &Object, name: &str) -> Option<Oid> {
    images.reference(&trial_slot(name))
}

/// Names the image that is on trial, or that none is.
pub fn enter_trial(images: &mut Object, name: &str, image: Option<Oid>) {
    match image {
        Some(image) => enter_image(images, &trial_slot(name), image),
        None => drop(images.remove(&trial_slot(name))),
    }
}

/// The image of a name that came last and was never current.
#[must_use]
pub fn newest_image(images: &Object, name: &str) -> Option<Oid> {
    images.reference(&alloc::format!("{name} new"))
}

/// Notes an image as the last that came.
pub fn enter_newest(images: &mut Object, name: &str, image: Oid) {
    enter_image(images, &alloc::format!("{name} new"), image);
}

/// Notes that none waits.
pub fn forget_newest(images: &mut Object, name: &str) {
    drop(images.remove(&alloc::format!("{name} new")));
}

/// The image of a name that was current before the one that is.
#[must_use]
pub fn previous_image(images: &Object, name: &str) -> Option<Oid> {
    images.reference(&alloc::format!("{name} before"))
}

/// Makes an image the current one of its name; the one that was stays known as the one before.
pub fn confirm_image(images: &mut Object, name: &str, image: Oid) {
    enter_trial(images, name, None);
    if newest_image(images, name) == Some(image) {
        forget_newest(images, name);
    }
    if let Some(before) = current_image(images, name).filter(|before| *before != image) {
        enter_image(images, &alloc::format!("{name} before"), before);
    }
    enter_image(images, name, image);
}

/// The Process objects.
#[must_use]
pub fn processes(processes: &Object) -> Vec<Oid> {
    match processes.get("list") {
        Some(Value::List(list)) => list.iter().filter_map(|value| processes.target(value)).collect(),
        _ => Vec::new(),
    }
}

/// Adds a Process object.
pub fn enter_process(processes: &mut Object, oid: Oid) {
    let reference = processes.refer(oid);
    match processes.get_mut("list") {
        Some(Value::List(list)) => list.push(reference),
        _ => processes.set("list", SlotKind::Data, Value::List(alloc::vec![reference])),
    }
}
