//! Resends and assignments that no cache answers.

use alloc::format;
use alloc::vec::Vec;

use object_model::Sender;

use super::dispatch::Action;
use super::interpret::corrupt;
use super::link::Site;
use super::primitives;
use super::shape::{Content, Slot};
use super::value::{ObjectId, Val};
use crate::error::{ErrorKind, Raise, error, raise};
use crate::host::Outside;
use crate::runtime::link::Target;
use crate::session::Session;

impl Session {
    /// What a method hands on.
    pub(crate) fn resend(
        &mut self,
        outside: &mut Outside<'_>,
        top: usize,
        arguments: usize,
        site: &Site,
        holder: ObjectId,
    ) -> Result<Action, Raise> {
        self.world.ensure(holder, outside)?;
        let receiver = match self.stack.get(top.wrapping_sub(arguments + 1)) {
            Some(Val::Object(id)) => *id,
            _ => self.world.any,
        };
        let start: Vec<ObjectId> = if site.via == site.selector {
            self.world.shape(holder)?.parents().collect()
        } else {
            match self.world.slot_of(holder, site.via)? {
                Some(Slot { content: Content::Parent(Some(parent)), .. }) => alloc::vec![*parent],
                _ => {
                    let name = self.world.names.name(site.via);
                    return raise(ErrorKind::Missing, format!("`{name}` is no parent of the method's holder"));
                }
            }
        };
        let mut found = self.world.search_from(&start, receiver, site.selector, Sender::Own, outside)?;
        if found.is_none() {
            let any = self.world.any;
            found = self.world.search_from(&[any], any, site.selector, Sender::Other, outside)?;
        }
        match found {
            Some(target) => self.act(outside, top, arguments, site.selector, target, Sender::Own),
            None => self.not_understood(outside, top, arguments, site.selector),
        }
    }

    /// An assignment: a method that takes it, or the receiver's own slot.
    pub(crate) fn assign(
        &mut self,
        outside: &mut Outside<'_>,
        top: usize,
        site: &Site,
        own: bool,
    ) -> Result<Option<Action>, Raise> {
        let sender = if own { Sender::Own } else { Sender::Other };
        let (Some(receiver), Some(value)) =
            (self.stack.get(top.wrapping_sub(2)).copied(), self.stack.get(top.wrapping_sub(1)).copied())
        else {
            return Err(corrupt());
        };
        if let Some(target) = self.world.find(receiver, site.selector, sender, outside)? {
            return self.act(outside, top, 1, site.selector, target, sender).map(Some);
        }
        let setter = self.world.names.shared(site.selector);
        let name = setter.strip_suffix("=/1").unwrap_or(&setter);
        let name = self.world.names.symbol(name);
        let Val::Object(id) = receiver else {
            return raise(ErrorKind::Constant, format!("{} has no slots to write", self.world.describe(receiver)));
        };
        let found = self.world.find(receiver, name, sender, outside)?;
        let constant = |session: &Self| {
            let message = format!(
                "`{}` of {} holds no data that may be written; a mirror changes what an object is",
                session.world.names.name(name),
                session.world.describe(receiver)
            );
            error(ErrorKind::Constant, message)
        };
        match found {
            Some(Target::Own(number)) => {
                if self.world.slot_of(id, name)?.is_some_and(|slot| slot.constant) {
                    return Err(constant(self));
                }
                self.world.touch(id)?;
                let cell = self.world.cell_mut(id)?;
                let shape = cell.shape;
                if let Some(place) = cell.data.get_mut(number as usize) {
                    *place = value;
                }
                let epoch = self.world.epoch;
                site.cache.set(super::link::Cache { shape, epoch, target: Target::Own(number) });
                Ok(None)
            }
            Some(Target::Inherited(holder, _)) => {
                if self.world.slot_of(holder, name)?.is_none_or(|slot| slot.constant) {
                    return Err(constant(self));
                }
                let content = Content::Data(0);
                let slot = Slot { name, content, private: false, constant: false, origin: None };
                primitives::put_slot(&mut self.world, outside, id, slot, Some(value))?;
                Ok(None)
            }
            Some(_) => Err(constant(self)),
            None => self.not_understood(outside, top, 1, site.selector).map(Some),
        }
    }
}
