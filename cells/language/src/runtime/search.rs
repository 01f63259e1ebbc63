//! Look-up over objects in memory, by the model's rule.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use object_model::{Missing, Reach, Sender, World as Walk, base_name, only, search};

use super::link::Target;
use super::shape::{Content, Slot};
use super::value::{ObjectId, Symbol, Val};
use super::world::{SHARED_CACHE, Shared, World};
use crate::error::{ErrorKind, Raise, raise};
use crate::host::Outside;

impl World {
    /// What answers a message, by the shared cache or by look-up.
    pub(crate) fn find(
        &mut self,
        receiver: Val,
        selector: Symbol,
        sender: Sender,
        outside: &mut Outside<'_>,
    ) -> Result<Option<Target>, Raise> {
        if let Val::Object(id) = receiver {
            self.ensure(id, outside)?;
        }
        let shape = self.shape_of(receiver);
        let place = (shape.0.wrapping_mul(31) as usize ^ selector.0.wrapping_mul(7) as usize) % SHARED_CACHE;
        if let Some(Some(known)) = self.cache.get(place)
            && known.shape == shape
            && known.selector == selector
            && known.epoch == self.epoch
            && known.sender == sender
        {
            return Ok(Some(known.target));
        }
        let start = match receiver {
            Val::Object(id) => id,
            _ => self.kinds.get(shape.0 as usize).copied().unwrap_or(self.any),
        };
        let mut found = self.search_from(&[start], start, selector, sender, outside)?;
        if found.is_none() && start != self.any {
            found = self.search_from(&[self.any], self.any, selector, Sender::Other, outside)?;
        }
        // A value that is no object holds nothing itself: what its kind's object has is inherited.
        if !matches!(receiver, Val::Object(_)) {
            found = found.map(|target| match target {
                Target::Own(number) => Target::Inherited(start, number),
                Target::Method(method, None) => Target::Method(method, Some(start)),
                other => other,
            });
        }
        if let Some(target) = found
            && let Some(entry) = self.cache.get_mut(place)
        {
            *entry = Some(Shared { shape, selector, sender, epoch: self.epoch, target });
        }
        Ok(found)
    }

    /// Look-up from some objects on.
    pub(crate) fn search_from(
        &mut self,
        start: &[ObjectId],
        receiver: ObjectId,
        selector: Symbol,
        sender: Sender,
        outside: &mut Outside<'_>,
    ) -> Result<Option<Target>, Raise> {
        let name = self.names.shared(selector);
        let mut finder = Finder::new(self, outside, selector);
        let found = search(&mut finder, start, receiver, &name, sender);
        let found = match found.and_then(only) {
            Ok(found) => found,
            Err(Missing::NotUnderstood) => return Ok(None),
            Err(Missing::World(raised)) => return Err(raised),
            Err(Missing::Ambiguous(paths)) => {
                let mut message = format!("`{name}` is ambiguous:");
                for path in paths {
                    let path: Vec<String> = path.iter().map(|id| self.describe(Val::Object(*id))).collect();
                    message.push_str("\n  ");
                    message.push_str(&path.join(" -> "));
                }
                return raise(ErrorKind::Ambiguous, message);
            }
            Err(Missing::TooFar | Missing::NoParent) => return raise(ErrorKind::Depth, "too many parents"),
        };
        let own = found.holder == receiver;
        self.becomes_ancestor(found.holder);
        for id in found.path {
            self.becomes_ancestor(id);
        }
        Ok(Some(match found.found {
            Content::Data(number) if own => Target::Own(number),
            Content::Data(number) => Target::Inherited(found.holder, number),
            Content::Parent(parent) => Target::Parent(parent),
            Content::Method(method) => Target::Method(method, (!own).then_some(found.holder)),
            Content::Primitive(number) => Target::Primitive(number),
            Content::Unknown(name) => Target::Unknown(name),
            Content::Native(slot, label) => Target::Native(slot, label),
        }))
    }
}

/// Objects in memory, for the model's look-up.
pub(crate) struct Finder<'w, 'o, 'b> {
    world: &'w mut World,
    outside: &'o mut Outside<'b>,
    selector: Symbol,
    base: Option<Symbol>,
}

impl<'w, 'o, 'b> Finder<'w, 'o, 'b> {
    fn new(world: &'w mut World, outside: &'o mut Outside<'b>, selector: Symbol) -> Self {
        let name = world.names.shared(selector);
        let base = Some(base_name(&name)).filter(|base| **base != *name).map(|base| world.names.symbol(base));
        Self { world, outside, selector, base }
    }
}

impl Walk for Finder<'_, '_, '_> {
    type Node = ObjectId;
    type Found = Content;
    type Error = Raise;

    fn own(&mut self, node: ObjectId, _: &str) -> Result<Option<(Content, Reach)>, Raise> {
        self.world.ensure(node, self.outside)?;
        let shape = self.world.shape(node)?;
        let any =
            |slot: &&Slot| matches!(slot.content, Content::Primitive(_) | Content::Native(..) | Content::Unknown(_));
        let slot = shape.slot(self.selector).or_else(|| shape.slot(self.base?).filter(any));
        Ok(slot.map(|slot| (slot.content.clone(), if slot.private { Reach::Private } else { Reach::Public })))
    }

    fn parents(&mut self, node: ObjectId) -> Result<Vec<ObjectId>, Raise> {
        self.world.ensure(node, self.outside)?;
        Ok(self.world.shape(node)?.parents().collect())
    }
}
