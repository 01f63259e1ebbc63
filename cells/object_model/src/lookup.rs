//! Look-up: which slot answers a message.
//!
//! The rule is Self's, with one filter more. The receiver's own slot wins; otherwise the answers of *all* parents are
//! united, each searched the same way. A slot that is reached twice counts once, and an object that is already being
//! searched adds nothing, so that cycles end. Of several slots, one that stands in an ancestor of another's holder is
//! overridden by it and drops out (*dominance*). What is left over is the answer if it is one, and otherwise an ambiguity,
//! which is an error and says both paths.
//!
//! A private slot is found only in the receiver itself, and only by a message that the object sends to itself
//! ([`Sender::Own`]): delegating to an object gives nothing of what it keeps to itself.
//!
//! [`search`] is written over [`World`], so that records and the objects of the running interpreter obey one rule;
//! [`lookup`], [`resend`], [`resend_via`], [`assign`] and [`explain`] are what it gives over [`Objects`].

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use object_store::Oid;

use crate::{Change, Object, Reach, Slot, SlotKind, Value, base_name};

/// The most objects that one look-up visits.
pub const VISIT_LIMIT: usize = 4096;

/// Who sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sender {
    /// Someone else: private slots are not found.
    Other,
    /// The receiver itself.
    Own,
}

/// Where look-up walks: nodes with slots and parents.
pub trait World {
    /// What a node is called.
    type Node: Copy + Ord;
    /// What stands for a slot that was found.
    type Found: Clone;
    /// Why a node cannot be read.
    type Error;

    /// A node's own slot for a selector, whoever may find it, and its reach.
    ///
    /// # Errors
    /// The world's.
    fn own(&mut self, node: Self::Node, selector: &str) -> Result<Option<(Self::Found, Reach)>, Self::Error>;

    /// A node's parents, in the order of their slots.
    ///
    /// # Errors
    /// The world's.
    fn parents(&mut self, node: Self::Node) -> Result<Vec<Self::Node>, Self::Error>;
}

/// Objects by their numbers.
pub trait Objects {
    /// Why one cannot be had.
    type Error;

    /// The object of a number.
    ///
    /// # Errors
    /// The keeper's: no such object, or none that can be read.
    fn object(&self, oid: Oid) -> Result<&Object, Self::Error>;
}

impl Objects for BTreeMap<Oid, Object> {
    /// The number that nothing has.
    type Error = Oid;

    fn object(&self, oid: Oid) -> Result<&Object, Oid> {
        self.get(&oid).ok_or(oid)
    }
}

/// A slot that answers a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Match<N, F> {
    /// What was found.
    pub found: F,
    /// The node that it stands in.
    pub holder: N,
    /// How look-up came there: from the node where it began to the holder, both included.
    pub path: Vec<N>,
}

/// Why a message finds no slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Missing<N, E> {
    /// No slot has this selector.
    NotUnderstood,
    /// Several have, and none overrides the others: the paths to them.
    Ambiguous(Vec<Vec<N>>),
    /// More than [`VISIT_LIMIT`] objects would have to be searched.
    TooFar,
    /// A directed resend names a slot that is no parent of the method's holder.
    NoParent,
    /// A node could not be read.
    World(E),
}

/// What a search over a world answers.
pub type Outcome<W, T> = Result<T, Missing<<W as World>::Node, <W as World>::Error>>;

/// What a search finds.
pub type Matches<W> = Vec<Match<<W as World>::Node, <W as World>::Found>>;

/// Why an assignment finds nothing to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unassignable<N, E> {
    /// Look-up failed. Assignment never makes a slot that nothing declares.
    Missing(Missing<N, E>),
    /// The slot that was found is constant, or holds a method or a parent: only a mirror changes those.
    Constant {
        /// The node that holds it.
        holder: N,
    },
}

/// What an assignment writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The receiver's own slot.
    Own,
    /// A new own slot of the receiver, since a parent declares it: the parent stays as it is.
    New,
}

/// All slots that answer `selector`, searched from `start` for messages to `receiver`; those that are overridden are left out.
///
/// # Errors
/// `TooFar` and `World`; whether one was found is for [`only`] to judge.
pub fn search<W: World>(
    world: &mut W,
    start: &[W::Node],
    receiver: W::Node,
    selector: &str,
    sender: Sender,
) -> Outcome<W, Matches<W>> {
    let mut matches: Matches<W> = Vec::new();
    let mut visited = BTreeSet::new();
    let mut waiting: Vec<Vec<W::Node>> = start.iter().rev().map(|node| alloc::vec![*node]).collect();
    while let Some(path) = waiting.pop() {
        let Some(&node) = path.last() else { continue };
        if !visited.insert(node) {
            continue;
        }
        if visited.len() > VISIT_LIMIT {
            return Err(Missing::TooFar);
        }
        match world.own(node, selector).map_err(Missing::World)? {
            Some((found, Reach::Public)) => matches.push(Match { found, holder: node, path }),
            Some((found, Reach::Private)) if node == receiver && sender == Sender::Own => {
                matches.push(Match { found, holder: node, path });
            }
            _ => {
                for parent in world.parents(node).map_err(Missing::World)?.into_iter().rev() {
                    let mut longer = path.clone();
                    longer.push(parent);
                    waiting.push(longer);
                }
            }
        }
    }
    if matches.len() > 1 {
        drop_overridden(world, &mut matches)?;
    }
    Ok(matches)
}

/// The one match, or what is wrong with none or several.
///
/// # Errors
/// `NotUnderstood`, `Ambiguous`.
pub fn only<N, F, E>(mut matches: Vec<Match<N, F>>) -> Result<Match<N, F>, Missing<N, E>> {
    match matches.pop() {
        None => Err(Missing::NotUnderstood),
        Some(found) if matches.is_empty() => Ok(found),
        Some(last) => {
            matches.push(last);
            Err(Missing::Ambiguous(matches.into_iter().map(|one| one.path).collect()))
        }
    }
}

/// Dominance: a match whose holder is an ancestor of another's holder goes. Holders in one cycle are each other's
/// ancestors, and neither goes for that.
fn drop_overridden<W: World>(world: &mut W, matches: &mut Vec<Match<W::Node, W::Found>>) -> Outcome<W, ()> {
    let mut ancestors = Vec::new();
    for one in &*matches {
        ancestors.push((one.holder, ancestors_of(world, one.holder)?));
    }
    matches.retain(|one| {
        !ancestors.iter().any(|(other, above)| {
            let back = ancestors.iter().any(|(holder, above)| *holder == one.holder && above.contains(other));
            *other != one.holder && above.contains(&one.holder) && !back
        })
    });
    Ok(())
}

fn ancestors_of<W: World>(world: &mut W, node: W::Node) -> Outcome<W, BTreeSet<W::Node>> {
    let mut above = BTreeSet::new();
    let mut waiting = world.parents(node).map_err(Missing::World)?;
    while let Some(next) = waiting.pop() {
        if above.insert(next) {
            if above.len() > VISIT_LIMIT {
                return Err(Missing::TooFar);
            }
            waiting.extend(world.parents(next).map_err(Missing::World)?);
        }
    }
    Ok(above)
}

/// [`Objects`] as a world, whose slots stand for themselves.
struct Records<'a, O>(&'a O);

impl<'a, O: Objects> World for Records<'a, O> {
    type Node = Oid;
    type Found = &'a Slot;
    type Error = O::Error;

    fn own(&mut self, node: Oid, selector: &str) -> Result<Option<(&'a Slot, Reach)>, O::Error> {
        Ok(own_slot(self.0.object(node)?, selector).map(|slot| (slot, slot.reach)))
    }

    fn parents(&mut self, node: Oid) -> Result<Vec<Oid>, O::Error> {
        Ok(self.0.object(node)?.parents().collect())
    }
}

/// An object's own slot for a selector. A method that another cell serves, or that the language provides, may stand under
/// its bare name and then takes any number of arguments.
#[must_use]
pub fn own_slot<'a>(object: &'a Object, selector: &str) -> Option<&'a Slot> {
    object.slot(selector).or_else(|| {
        let slot = object.slot(base_name(selector))?;
        let any = slot.kind == SlotKind::Method && matches!(slot.value, Value::Native { .. } | Value::Primitive(_));
        any.then_some(slot)
    })
}

/// The slot that answers a message to `receiver`.
///
/// # Errors
/// [`Missing`].
pub fn lookup<'a, O: Objects>(
    objects: &'a O,
    receiver: Oid,
    selector: &str,
    sender: Sender,
) -> Result<Match<Oid, &'a Slot>, Missing<Oid, O::Error>> {
    only(search(&mut Records(objects), &[receiver], receiver, selector, sender)?)
}

/// The slot that a method hands its message on to: searched in all parents of the object that holds the method, whatever
/// the receiver is.
///
/// # Errors
/// [`Missing`].
pub fn resend<'a, O: Objects>(
    objects: &'a O,
    holder: Oid,
    receiver: Oid,
    selector: &str,
) -> Result<Match<Oid, &'a Slot>, Missing<Oid, O::Error>> {
    let parents: Vec<Oid> = objects.object(holder).map_err(Missing::World)?.parents().collect();
    only(search(&mut Records(objects), &parents, receiver, selector, Sender::Own)?)
}

/// The same, in the one parent that stands in a slot of the method's holder.
///
/// # Errors
/// [`Missing`]; `NoParent` where that slot is none, or is empty.
pub fn resend_via<'a, O: Objects>(
    objects: &'a O,
    holder: Oid,
    parent: &str,
    receiver: Oid,
    selector: &str,
) -> Result<Match<Oid, &'a Slot>, Missing<Oid, O::Error>> {
    let object = objects.object(holder).map_err(Missing::World)?;
    let slot = object.slot(parent).filter(|slot| slot.kind == SlotKind::Parent).ok_or(Missing::NoParent)?;
    let start = object.target(&slot.value).ok_or(Missing::NoParent)?;
    only(search(&mut Records(objects), &[start], receiver, selector, Sender::Own)?)
}

/// What `receiver.name = value` writes, where no method `name=/1` takes it: always a slot of the receiver.
///
/// # Errors
/// [`Unassignable`].
pub fn assign<O: Objects>(
    objects: &O,
    receiver: Oid,
    name: &str,
    sender: Sender,
) -> Result<Place, Unassignable<Oid, O::Error>> {
    let found = lookup(objects, receiver, name, sender).map_err(Unassignable::Missing)?;
    match (found.found.kind, found.found.change) {
        (SlotKind::Data, Change::Assignable) if found.holder == receiver => Ok(Place::Own),
        (SlotKind::Data, Change::Assignable) => Ok(Place::New),
        _ => Err(Unassignable::Constant { holder: found.holder }),
    }
}

/// Every slot of a selector that the receiver's ancestors hold, in the order of look-up, each with its path: what answers,
/// what it overrides, and what is in its way.
///
/// # Errors
/// `TooFar`, `World`.
pub fn explain<O: Objects>(
    objects: &O,
    receiver: Oid,
    selector: &str,
) -> Result<Vec<Candidate>, Missing<Oid, O::Error>> {
    let answering = search(&mut Records(objects), &[receiver], receiver, selector, Sender::Own)?;
    let mut candidates = Vec::new();
    let mut visited = BTreeSet::new();
    let mut waiting: Vec<Vec<Oid>> = alloc::vec![alloc::vec![receiver]];
    while let Some(path) = waiting.pop() {
        let Some(&node) = path.last() else { continue };
        if !visited.insert(node) {
            continue;
        }
        if visited.len() > VISIT_LIMIT {
            return Err(Missing::TooFar);
        }
        let object = objects.object(node).map_err(Missing::World)?;
        if let Some(slot) = own_slot(object, selector) {
            let verdict = match answering.iter().any(|one| one.holder == node) {
                true if answering.len() > 1 => Verdict::Ambiguous,
                true => Verdict::Answers,
                false if slot.reach == Reach::Private => Verdict::Private,
                false => Verdict::Overridden,
            };
            candidates.push(Candidate { path: path.clone(), origin: object.origin(slot), kind: slot.kind, verdict });
        }
        for parent in object.parents().collect::<Vec<_>>().into_iter().rev() {
            let mut longer = path.clone();
            longer.push(parent);
            waiting.push(longer);
        }
    }
    Ok(candidates)
}

/// A slot that could answer a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// From the receiver to the holder.
    pub path: Vec<Oid>,
    /// The trait that the slot comes from.
    pub origin: Option<Oid>,
    /// Its kind.
    pub kind: SlotKind,
    /// What becomes of it.
    pub verdict: Verdict,
}

/// What becomes of a slot that could answer a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is the answer.
    Answers,
    /// Another slot stands nearer.
    Overridden,
    /// It and another are in each other's way.
    Ambiguous,
    /// It is another object's private slot.
    Private,
}
