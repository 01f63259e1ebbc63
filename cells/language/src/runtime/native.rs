//! Native methods: sends that become messages to other cells.

use alloc::format;
use alloc::vec::Vec;

use object_model::{DEPTH_LIMIT, Recipe, Sender};

use super::dispatch::Action;
use super::heap::Cell;
use super::link::Target;
use super::primitives::Control;
use super::value::{ObjectId, Symbol, Val, kind};
use super::world::World;
use crate::error::{ErrorKind, Raise, error, raise};
use crate::host::{Call, Outside};
use crate::session::Session;

/// The slot of natives whose labels mean the session's transaction, and the slot of a service's endpoint.
const TRANSACTIONS: &str = "persistenceCap";
const SERVICE_ENDPOINT: &str = "endpointCap";

impl Session {
    /// Sends a native method's message through the host.
    pub(crate) fn native(
        &mut self,
        outside: &mut Outside<'_>,
        top: usize,
        arguments: usize,
        selector: Symbol,
        slot: Symbol,
        label: u32,
    ) -> Result<Action, Raise> {
        let receiver = self.value_at(top, arguments)?;
        let first = self.arguments_at(top, arguments)[0];
        // The session's own transaction is what these labels of the persistence server are about.
        if self.world.names.name(slot) == TRANSACTIONS {
            let control = match label {
                1 => Some(Control::Begin),
                2 => Some(Control::Commit),
                3 => Some(Control::Abort),
                8 => Some(Control::Note),
                _ => None,
            };
            if let Some(control) = control {
                return Ok(Action::Transaction(control, first));
            }
        }
        let Val::Object(id) = receiver else { return raise(ErrorKind::Type, "a native method of no object") };
        let endpoint = self.endpoint(receiver, slot, outside)?;
        let start = top.saturating_sub(arguments);
        let given: Vec<Val> = self.stack.get(start..top).unwrap_or(&[]).to_vec();
        // The other side sees the open transaction, so that what is sent has to be in it.
        let mut objects = alloc::vec![id];
        for value in &given {
            self.world.objects_in(*value, &mut objects, DEPTH_LIMIT);
        }
        for object in objects {
            self.world.number(object, outside)?;
        }
        self.world.flush(outside)?;
        let number = |id: ObjectId| {
            let oid = self.world.cell(id)?.oid;
            oid.ok_or_else(|| error(ErrorKind::Native, "an object without a number"))
        };
        let sent = given.iter().map(|value| self.world.argument(*value, &number, DEPTH_LIMIT));
        let sent = sent.collect::<Result<Vec<_>, _>>()?;
        let name = self.world.names.shared(selector);
        let call = Call { endpoint: &endpoint, label, selector: &name, receiver: number(id)?, arguments: &sent };
        let reply = outside.host.call(&call).map_err(|refused| {
            let mut raised = self.world.refused(refused);
            if raised.kind == ErrorKind::Store {
                raised.kind = ErrorKind::Native;
            }
            raised
        })?;
        for oid in &reply.changed {
            let changed = self.world.object_of(*oid);
            if self.world.cell(changed)?.shape != kind::GHOST {
                self.world.touch(changed)?;
                self.world.drop_state(changed);
            }
        }
        self.world.answer(&reply.value, DEPTH_LIMIT).map(Action::Value)
    }

    /// The capability that a native method's message goes through: the receiver's own, or that of the service object that
    /// it refers to.
    pub(crate) fn endpoint(&mut self, receiver: Val, slot: Symbol, outside: &mut Outside<'_>) -> Result<Recipe, Raise> {
        let name = self.world.names.shared(slot);
        let mut found = match self.world.data_named(receiver, &name, outside)? {
            None => self.world.reference_inherited(receiver, slot, outside)?,
            own => own,
        };
        if let Some(Val::Object(_)) = found {
            found = self.world.data_named(found.unwrap_or(Val::Nil), SERVICE_ENDPOINT, outside)?;
        }
        match found.and_then(World::heap_id).map(|id| self.world.heap.get(id)) {
            Some(Cell::Capability(Recipe::Void(kind))) => {
                raise(ErrorKind::Void, format!("the capability in `{name}` is void ({kind:?})"))
            }
            Some(Cell::Capability(recipe)) => Ok(recipe.clone()),
            _ => raise(ErrorKind::Void, format!("{} holds no capability in `{name}`", self.world.describe(receiver))),
        }
    }
}

impl World {
    /// The object that an inherited slot refers to. A capability is not inherited, so that delegating to who holds one gives
    /// nothing; who may be asked is no secret.
    fn reference_inherited(
        &mut self,
        receiver: Val,
        slot: Symbol,
        outside: &mut Outside<'_>,
    ) -> Result<Option<Val>, Raise> {
        let Some(Target::Inherited(holder, place)) = self.find(receiver, slot, Sender::Other, outside)? else {
            return Ok(None);
        };
        self.ensure(holder, outside)?;
        let value = self.cell(holder)?.data.get(place as usize).copied();
        Ok(value.filter(|value| matches!(value, Val::Object(_))))
    }

    /// The objects that a value leads to without passing through another.
    pub(crate) fn objects_in(&self, value: Val, found: &mut Vec<ObjectId>, depth: usize) {
        let Some(depth) = depth.checked_sub(1) else { return };
        match value {
            Val::Object(id) => found.push(id),
            Val::Heap(id) => match self.heap.get(id) {
                Cell::List { .. } => {
                    self.heap.items(value).unwrap_or(&[]).iter().for_each(|item| self.objects_in(*item, found, depth));
                }
                Cell::Map(entries) => entries.values().for_each(|item| self.objects_in(*item, found, depth)),
                _ => {}
            },
            _ => {}
        }
    }
}
