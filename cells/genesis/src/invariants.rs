//! What holds of the graph after every commit, checked before it is voted for.
//!
//! | rule | what it says |
//! | --- | --- |
//! | [`Rule::Decodes`] | what was an object, or has the schema of one, is one |
//! | [`Rule::Root`] | the root keeps its version, or a newer one, and every name of genesis with its object |
//! | [`Rule::Directory`] | the object of images names images, each by its own name; the list of processes lists processes |
//! | [`Rule::Image`] | an image keeps its name, its hash and its bytes |
//! | [`Rule::Process`] | a process keeps its capability slots, its image, its list of capabilities, and a state that is known |
//! | [`Rule::Server`] | each of the three servers keeps the recipe of its endpoint |
//! | [`Rule::Parents`] | parents that were changed are objects, and lead not back |
//! | [`Rule::Traits`] | what an object is composed of are traits, and its slots come from no others |
//! | [`Rule::Recipe`] | no recipe of a service stands where neither genesis nor the process server puts one |
//!
//! Only what a transaction writes is looked at, and of what it writes only what differs from before leads anywhere else, so
//! that the cost is that of the change. What an older system left is not judged until it is written.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use object_model::{Object, Oid, Recipe, SlotKind, Value};

use crate::process::endpoint;
use crate::prototypes::NAMES;
use crate::{CAPABILITIES, Image, VERSION, image_name, name_of, processes, state};

/// What is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the module's table says it")]
#[repr(u16)]
pub enum Rule {
    Decodes = 1,
    Root = 2,
    Directory = 3,
    Image = 4,
    Process = 5,
    Server = 6,
    Parents = 7,
    Traits = 8,
    Recipe = 9,
}

/// How many objects along parents or traits one change may lead to.
const MOST_VISITED: usize = 256;
/// The servers, as the root names them.
const SERVERS: [&str; 3] = ["persistence", "memory", "process"];

/// Where the objects of genesis are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Landmarks {
    named: BTreeMap<Oid, &'static str>,
}

impl Landmarks {
    /// What a root names.
    #[must_use]
    pub fn of(root: &Object) -> Self {
        let named = NAMES.into_iter().filter_map(|name| root.reference(name).map(|oid| (oid, name)));
        Landmarks { named: named.collect() }
    }

    fn name(&self, oid: Oid) -> Option<&'static str> {
        self.named.get(&oid).copied()
    }
}

/// One object that is about to be written.
#[derive(Clone, Copy, Debug)]
pub struct Change<'a> {
    /// Its number.
    pub oid: Oid,
    /// As it was committed; `None` where it was not, or was no object.
    pub before: Option<&'a Object>,
    /// As it will be.
    pub after: &'a Object,
}

/// Checks one change. `object` answers others as the transaction will leave them, `None` for what is no object.
///
/// # Errors
/// The first rule that it breaks.
pub fn check(
    change: Change<'_>,
    landmarks: &Landmarks,
    object: &mut dyn FnMut(Oid) -> Option<Object>,
) -> Result<(), Rule> {
    let holds = |holds: bool, rule: Rule| if holds { Ok(()) } else { Err(rule) };
    holds(change.oid != Oid::ROOT || root(change), Rule::Root)?;
    let name = landmarks.name(change.oid);
    match name {
        Some("images") => holds(images(change, object), Rule::Directory)?,
        Some("processes") => holds(list(change, object), Rule::Directory)?,
        Some("Process") => holds(change.before.is_none() || has_capabilities(change.after), Rule::Process)?,
        Some(server) if SERVERS.contains(&server) => holds(is_server(change.after, server), Rule::Server)?,
        _ => {}
    }
    if let Some(before) = change.before {
        holds(keeps_image(before, change.after), Rule::Image)?;
        holds(!is_process(before) || is_process(change.after), Rule::Process)?;
    }
    holds(parents(change, object), Rule::Parents)?;
    holds(traits(change, object), Rule::Traits)?;
    holds(recipes(change, name), Rule::Recipe)
}

fn root(Change { before, after, .. }: Change<'_>) -> bool {
    let version = |object: &Object| match object.get("version") {
        Some(Value::Int(version)) => Some(*version),
        _ => None,
    };
    let kept = before.is_none_or(|before| {
        version(before) <= version(after)
            && NAMES.iter().all(|name| before.reference(name).is_none_or(|oid| after.reference(name) == Some(oid)))
    });
    let is_whole = version(after) != Some(VERSION) || NAMES.iter().all(|name| after.reference(name).is_some());
    kept && is_whole
}

/// Slots that were changed, or are new.
fn changed<'a>(change: Change<'a>) -> impl Iterator<Item = (&'a str, Option<Oid>)> {
    let Change { before, after, .. } = change;
    let is_old = move |name: &str, target: Option<Oid>| {
        target.is_some() && before.is_some_and(|before| before.reference(name) == target)
    };
    let slots = after.slots().iter().filter(|slot| slot.name != "oid" && slot.kind != SlotKind::Parent);
    slots
        .map(|slot| (slot.name.as_str(), after.target(&slot.value)))
        .filter(move |(name, target)| !is_old(name, *target))
}

fn images(change: Change<'_>, object: &mut dyn FnMut(Oid) -> Option<Object>) -> bool {
    changed(change).all(|(slot, target)| {
        let image = target.and_then(&mut *object).as_ref().and_then(Image::of);
        image.is_some_and(|image| image.name == image_name(slot))
    })
}

fn list(change: Change<'_>, object: &mut dyn FnMut(Oid) -> Option<Object>) -> bool {
    let is_list = matches!(change.after.get("list"), Some(Value::List(list)) if list.iter().all(|value| change.after.target(value).is_some()));
    let old: BTreeSet<Oid> = change.before.map(processes).unwrap_or_default().into_iter().collect();
    let mut new = processes(change.after).into_iter().filter(|oid| !old.contains(oid));
    is_list && new.all(|oid| object(oid).as_ref().is_some_and(is_process))
}

fn has_capabilities(object: &Object) -> bool {
    CAPABILITIES.iter().all(|(name, kind)| {
        let recipe = object.get(name).and_then(|value| object.recipe(value));
        recipe.is_some_and(|recipe| recipe.kind() == *kind)
    })
}

fn is_process(object: &Object) -> bool {
    has_capabilities(object)
        && state(object).is_some()
        && name_of(object).is_some()
        && object.reference("image").is_some()
        && object.reference("capabilities").is_some()
}

fn is_server(object: &Object, name: &str) -> bool {
    object.get("endpointCap").and_then(|value| object.recipe(value)) == Some(&endpoint(name))
}

fn keeps_image(before: &Object, after: &Object) -> bool {
    let is_image =
        ["name", "hash", "bytes"].iter().all(|name| before.get(name).is_some()) && Image::of(before).is_some();
    !is_image || ["name", "hash", "bytes"].iter().all(|name| before.get(name) == after.get(name))
}

/// Walks from the parents of an object whose parents are others than before.
fn parents(Change { oid, before, after }: Change<'_>, object: &mut dyn FnMut(Oid) -> Option<Object>) -> bool {
    let new: Vec<Oid> = after.parents().collect();
    if before.is_some_and(|before| before.parents().eq(new.iter().copied())) {
        return true;
    }
    let mut visited = BTreeSet::new();
    let mut waiting = new;
    while let Some(parent) = waiting.pop() {
        if parent == oid || visited.len() >= MOST_VISITED {
            return false;
        }
        if visited.insert(parent) {
            let Some(parent) = object(parent) else { return false };
            waiting.extend(parent.parents());
        }
    }
    true
}

/// Walks the traits of an object that is composed of others than before, or whose slots come from others.
fn traits(Change { before, after, .. }: Change<'_>, object: &mut dyn FnMut(Oid) -> Option<Object>) -> bool {
    let Some(composition) = after.composition() else { return true };
    let origins =
        |object: &Object| -> BTreeSet<Oid> { object.slots().iter().filter_map(|slot| object.origin(slot)).collect() };
    let of = origins(after);
    if before.is_some_and(|before| before.composition() == Some(composition) && origins(before) == of) {
        return true;
    }
    let mut visited = BTreeSet::new();
    let mut waiting: Vec<Oid> = composition.traits().collect();
    while let Some(next) = waiting.pop() {
        if visited.len() >= MOST_VISITED {
            return false;
        }
        if visited.insert(next) {
            let Some(used) = object(next).filter(|used| used.requires().is_some()) else { return false };
            waiting.extend(used.composition().into_iter().flat_map(object_model::Composition::traits));
        }
    }
    of.is_subset(&visited)
}

/// Recipes that were not there before. One that is held stands for nothing in another cell; one that is void for nothing.
fn recipes(Change { before, after, .. }: Change<'_>, name: Option<&str>) -> bool {
    let known = |recipe: &Recipe| before.is_some_and(|before| before.recipes().contains(recipe));
    after.recipes().iter().filter(|recipe| matches!(recipe, Recipe::Service { .. })).all(|recipe| {
        let is_own = name_of(after).is_some_and(|name| *recipe == endpoint(name) && !SERVERS.contains(&name));
        let of_process = is_own && is_process(after);
        let of_genesis = name.is_some_and(|name| SERVERS.contains(&name) && *recipe == endpoint(name));
        known(recipe) || of_process || of_genesis
    })
}
