//! What an object is composed of, as it was written, and its slots made from that.
//!
//! An object keeps its [`Composition`] beside the slots that came of it, so that an edited trait can be laid into its
//! users again. Laying in is a function from objects to an object: a refusal leaves everything as it was.
//!
//! Own slots win over traits, traits over parents. A data slot that a trait brought keeps the object's value when the trait
//! is edited, and stays, as the object's own, when the trait is taken away: no value is lost by a change of behaviour.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;

use object_store::Oid;
use serde::{Deserialize, Serialize};

use crate::lookup::{Missing, Objects, Sender, lookup};
use crate::traits::{BadAlias, Conflicts, Identity, Trait};
use crate::{Object, Origin, Slot, SlotKind, Value};

/// The most steps of a composition.
pub const STEP_LIMIT: usize = 1024;

/// An expression over traits, operands before operators.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Composition {
    /// Its steps; none: the empty trait.
    pub steps: Vec<Step<Oid>>,
}

/// One step of a composition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Step<T> {
    /// A trait.
    Trait(T),
    /// The sum of the last two.
    Sum,
    /// The last two, where the first one's members win.
    Override,
    /// The last one without a selector.
    Without(String),
    /// The last one with another name for a selector.
    Alias {
        /// The other name.
        new: String,
        /// The selector.
        old: String,
    },
}

impl<T> Step<T> {
    /// The same of what the traits are turned into.
    pub(crate) fn try_map<U, E>(self, change: impl FnOnce(T) -> Result<U, E>) -> Result<Step<U>, E> {
        Ok(match self {
            Step::Trait(one) => Step::Trait(change(one)?),
            Step::Sum => Step::Sum,
            Step::Override => Step::Override,
            Step::Without(selector) => Step::Without(selector),
            Step::Alias { new, old } => Step::Alias { new, old },
        })
    }

    /// The same, where that cannot fail.
    pub(crate) fn map<U>(self, change: impl FnOnce(T) -> U) -> Step<U> {
        let Ok(step) = self.try_map(|one| Ok::<U, core::convert::Infallible>(change(one)));
        step
    }
}

/// Why a composition is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal<E> {
    /// Selectors that several traits provide and the object does not define itself.
    Conflict(Conflicts),
    /// Selectors that the object would lack, each with the members that send it.
    Requires(BTreeMap<String, Vec<String>>),
    /// An alias that is none.
    Alias(BadAlias),
    /// A trait that is composed of itself.
    Cycle(Oid),
    /// What a composition names as a trait is none.
    NoTrait(Oid),
    /// Operators lack operands, or there are more than [`STEP_LIMIT`] steps.
    Malformed,
    /// An object could not be read, or look-up failed otherwise.
    World(E),
}

/// What a member is made of: a slot, and the object that it stands in.
#[derive(Clone, Copy, Debug)]
pub struct Body<'a> {
    from: &'a Object,
    slot: &'a Slot,
}

impl<'a> Body<'a> {
    /// The slot.
    #[must_use]
    pub fn slot(self) -> &'a Slot {
        self.slot
    }

    /// The object that it stands in.
    #[must_use]
    pub fn from(self) -> &'a Object {
        self.from
    }

    fn sends(self) -> &'a [String] {
        match &self.slot.value {
            Value::Method(method) => &method.sends,
            _ => &[],
        }
    }
}

impl Composition {
    /// A trait alone.
    #[must_use]
    pub fn of(oid: Oid) -> Self {
        Self { steps: alloc::vec![Step::Trait(oid)] }
    }

    /// The sum with another.
    #[must_use]
    pub fn sum(self, other: Self) -> Self {
        self.join(other, Step::Sum)
    }

    /// The override of another.
    #[must_use]
    pub fn overriding(self, other: Self) -> Self {
        self.join(other, Step::Override)
    }

    /// Without a selector.
    #[must_use]
    pub fn without(self, selector: &str) -> Self {
        self.then(Step::Without(selector.into()))
    }

    /// With another name for a selector. Whether it can be is seen when it is evaluated.
    #[must_use]
    pub fn alias(self, new: &str, old: &str) -> Self {
        self.then(Step::Alias { new: new.into(), old: old.into() })
    }

    fn join(mut self, other: Self, operator: Step<Oid>) -> Self {
        match (self.steps.is_empty(), other.steps.is_empty()) {
            (_, true) => self,
            (true, false) => other,
            (false, false) => {
                self.steps.extend(other.steps);
                self.then(operator)
            }
        }
    }

    fn then(mut self, step: Step<Oid>) -> Self {
        if !self.steps.is_empty() {
            self.steps.push(step);
        }
        self
    }

    /// The traits that it names, with repetitions.
    pub fn traits(&self) -> impl Iterator<Item = Oid> {
        self.steps.iter().filter_map(|step| match step {
            Step::Trait(oid) => Some(*oid),
            _ => None,
        })
    }

    /// The trait that it stands for.
    ///
    /// # Errors
    /// [`Refusal`], but neither `Conflict` nor `Requires`: conflicts are part of the value.
    pub fn evaluate<'a, O: Objects>(&self, objects: &'a O) -> Result<Trait<Body<'a>>, Refusal<O::Error>> {
        if self.steps.len() > STEP_LIMIT {
            return Err(Refusal::Malformed);
        }
        let mut operands: Vec<Trait<Body<'a>>> = Vec::new();
        for step in &self.steps {
            let mut pop = || operands.pop().ok_or(Refusal::Malformed);
            let made = match step {
                Step::Trait(oid) => members(objects.object(*oid).map_err(Refusal::World)?, *oid)?,
                Step::Sum => {
                    let second = pop()?;
                    pop()?.sum(second)
                }
                Step::Override => {
                    let second = pop()?;
                    pop()?.overriding(second)
                }
                Step::Without(selector) => pop()?.without(selector),
                Step::Alias { new, old } => pop()?.alias(new, old).map_err(Refusal::Alias)?,
            };
            operands.push(made);
        }
        let made = operands.pop().unwrap_or_default();
        if operands.is_empty() { Ok(made) } else { Err(Refusal::Malformed) }
    }
}

/// The members of a trait object: its slots but the parents, each with the identity that it came with.
fn members<E>(object: &Object, oid: Oid) -> Result<Trait<Body<'_>>, Refusal<E>> {
    let requires = object.requires().ok_or(Refusal::NoTrait(oid))?;
    Ok(gather(object, oid, requires))
}

/// The same of any object.
pub(crate) fn gather<'a>(object: &'a Object, oid: Oid, requires: &[String]) -> Trait<Body<'a>> {
    let made = requires.iter().fold(Trait::new(), |made, name| made.requiring(name));
    let slots = object.slots().iter().filter(|slot| slot.kind != SlotKind::Parent && slot.name != "oid");
    slots.fold(made, |made, slot| {
        let renamed = slot.origin.as_ref().and_then(|origin| origin.name.as_ref());
        let identity =
            Identity { origin: object.origin(slot).unwrap_or(oid), name: renamed.unwrap_or(&slot.name).clone() };
        made.with(&slot.name, identity, Body { from: object, slot })
    })
}

/// An object composed anew: the slots that traits gave it are replaced by those of `composition`.
///
/// `oid` is the object's number; it need not be in `objects` yet. `builtin` tells the selectors that every object
/// understands. An object that is a trait itself may keep requirements open; any other has to meet them by itself or by
/// its parents.
///
/// # Errors
/// [`Refusal`].
pub fn compose_anew<O: Objects>(
    objects: &O,
    oid: Oid,
    object: &Object,
    composition: &Composition,
    builtin: impl Fn(&str) -> bool,
) -> Result<Object, Refusal<O::Error>> {
    check_cycle(objects, oid, composition)?;
    let mut value = composition.evaluate(objects)?;
    let own: BTreeSet<&str> =
        object.slots().iter().filter(|slot| slot.origin.is_none()).map(|slot| slot.name.as_str()).collect();
    let mut conflicts = value.conflicts();
    conflicts.retain(|name, _| !own.contains(name.as_str()));
    if !conflicts.is_empty() {
        return Err(Refusal::Conflict(conflicts));
    }
    let mut required = value.required(|body| body.sends());
    required.retain(|name, _| !own.contains(name.as_str()) && !builtin(name) && !inherits(objects, object, name));
    let made = lay_in(object, &mut value, composition);
    if required.is_empty() || object.requires().is_some() { Ok(made) } else { Err(Refusal::Requires(required)) }
}

/// Whether a parent gives a selector.
fn inherits<O: Objects>(objects: &O, object: &Object, selector: &str) -> bool {
    object.parents().any(|parent| {
        // An ambiguity gives it twice: that is an error of the send, not of the composition.
        matches!(lookup(objects, parent, selector, Sender::Other), Ok(_) | Err(Missing::Ambiguous(_)))
    })
}

fn lay_in(object: &Object, value: &mut Trait<Body<'_>>, composition: &Composition) -> Object {
    let mut made = object.clone();
    made.composition = (!composition.steps.is_empty()).then(|| composition.clone());
    made.slots.retain_mut(|slot| {
        if slot.origin.is_none() || value.provides(&slot.name) {
            return true;
        }
        slot.origin = None;
        slot.kind == SlotKind::Data
    });
    for (name, identity, body) in value.bound() {
        let origin =
            Origin { of: made.index_of(identity.origin), name: (identity.name != name).then(|| identity.name.clone()) };
        let (kept, had_data) = match made.slot(name) {
            Some(slot) if slot.origin.is_none() => continue,
            Some(slot) => (Some(slot.value.clone()), slot.kind == SlotKind::Data),
            None => (None, false),
        };
        let value = match kept {
            Some(value) if had_data && body.slot.kind == SlotKind::Data => value,
            _ => made.adopt(body.from, &body.slot.value),
        };
        made.put(Slot { name: name.into(), value, origin: Some(origin), ..body.slot.clone() });
    }
    made
}

/// Refuses a composition that leads back to the object.
fn check_cycle<O: Objects>(objects: &O, oid: Oid, composition: &Composition) -> Result<(), Refusal<O::Error>> {
    let mut visited = BTreeSet::new();
    let mut waiting: Vec<Oid> = composition.traits().collect();
    while let Some(next) = waiting.pop() {
        if next == oid {
            return Err(Refusal::Cycle(oid));
        }
        if visited.insert(next)
            && let Some(inner) = objects.object(next).map_err(Refusal::World)?.composition()
        {
            waiting.extend(inner.traits());
        }
    }
    Ok(())
}

/// A changed trait, and its users composed anew: all of them, or nothing.
///
/// `users` are the objects that may be composed of it, traits among them; those that are not, directly or through
/// others, are left alone. The answer begins with the trait itself.
///
/// # Errors
/// The users that refuse, each with its reason.
#[expect(clippy::type_complexity, reason = "an alias would need every parameter again")]
pub fn edit_trait<O: Objects>(
    objects: &O,
    edited: (Oid, Object),
    users: &[Oid],
    builtin: impl Fn(&str) -> bool,
) -> Result<Vec<(Oid, Object)>, Vec<(Oid, Refusal<O::Error>)>> {
    let mut refusals = Vec::new();
    let mut changed = Changed { below: objects, above: BTreeMap::new(), order: Vec::new() };
    changed.set(edited.0, edited.1);
    let mut left: Vec<Oid> = users.iter().copied().filter(|user| *user != edited.0).collect();
    // An object comes after every trait of its composition that is still to be done, so each is done once.
    loop {
        let (mut next, mut rest) = (Vec::new(), Vec::new());
        for user in core::mem::take(&mut left) {
            let composition = match objects.object(user) {
                Ok(object) => object.composition(),
                Err(error) => {
                    refusals.push((user, Refusal::World(error)));
                    continue;
                }
            };
            let touched = composition.is_some_and(|one| one.traits().any(|oid| changed.above.contains_key(&oid)));
            if touched { next.push(user) } else { rest.push(user) }
        }
        let waits = |user: &Oid| {
            let composition = objects.object(*user).ok().and_then(Object::composition);
            composition.is_some_and(|one| one.traits().any(|oid| next.contains(&oid) && oid != *user))
        };
        let (later, now): (Vec<Oid>, Vec<Oid>) = next.iter().copied().partition(waits);
        left = rest;
        left.extend(&later);
        if now.is_empty() {
            refusals.extend(later.into_iter().map(|user| (user, Refusal::Cycle(user))));
            break;
        }
        for user in now {
            let Ok(object) = objects.object(user) else { continue };
            let composition = object.composition().cloned().unwrap_or_default();
            match compose_anew(&changed, user, object, &composition, &builtin) {
                Ok(made) => changed.set(user, made),
                Err(refusal) => refusals.push((user, refusal)),
            }
        }
    }
    if refusals.is_empty() { Ok(changed.into_ordered()) } else { Err(refusals) }
}

/// Objects with changes laid over them.
struct Changed<'a, O> {
    below: &'a O,
    above: BTreeMap<Oid, Object>,
    order: Vec<Oid>,
}

impl<O> Changed<'_, O> {
    fn set(&mut self, oid: Oid, object: Object) {
        self.order.push(oid);
        self.above.insert(oid, object);
    }

    fn into_ordered(mut self) -> Vec<(Oid, Object)> {
        self.order.iter().filter_map(|oid| self.above.remove(oid).map(|object| (*oid, object))).collect()
    }
}

impl<O: Objects> Objects for Changed<'_, O> {
    type Error = O::Error;

    fn object(&self, oid: Oid) -> Result<&Object, O::Error> {
        self.above.get(&oid).map_or_else(|| self.below.object(oid), Ok)
    }
}
