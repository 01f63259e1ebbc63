//! Sends that no cache answers: look-up, native methods, facets, `doesNotUnderstand`, and what is said where nothing helps.

use alloc::format;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;

use object_model::{CapabilityKind, DEPTH_LIMIT, Recipe, Sender, base_name, selector};

use super::heap::Cell;
use super::link::{Cache, Code, MethodId, Site, Target};
use super::primitives::{self, Control, Primitive};
use super::shape::{Content, Slot};
use super::value::{HeapId, ObjectId, Symbol, Val, kind};
use crate::error::{Error, ErrorKind, Raise, error, raise};
use crate::host::{Call, Outside};
use crate::session::Session;

/// The most selectors that are looked at for a hint, and the most that are told.
const HINTS_SEEN: usize = 2000;
const HINTS_TOLD: usize = 3;
/// How often one send may be turned into another before it runs.
const TURNS: usize = 64;

/// What a send comes to.
pub(crate) enum Action {
    /// A value, in place of receiver and arguments.
    Value(Val),
    /// A function to run: receiver and arguments are on the stack, so many of them.
    Run { code: Rc<Code>, holder: ObjectId, block: Option<HeapId>, arguments: usize },
    /// What only the loop can do.
    Transaction(Control, Val),
}

impl Session {
    /// Answers a send whose receiver and arguments end below `top`.
    pub(crate) fn send(
        &mut self,
        outside: &mut Outside<'_>,
        top: usize,
        arguments: usize,
        site: &Site,
        sender: Sender,
    ) -> Result<Action, Raise> {
        let receiver = self.value_at(top, arguments)?;
        match self.world.find(receiver, site.selector, sender, outside)? {
            Some(target) => {
                let shape = self.world.shape_of(receiver);
                site.cache.set(Cache { shape, epoch: self.world.epoch, target });
                self.act(outside, top, arguments, site.selector, target, sender)
            }
            None => self.not_understood(outside, top, arguments, site.selector),
        }
    }

    fn value_at(&self, top: usize, below: usize) -> Result<Val, Raise> {
        let place = top.checked_sub(below + 1).and_then(|place| self.stack.get(place));
        place.copied().ok_or_else(|| error(ErrorKind::BadMethod, "the stack is empty"))
    }

    /// Does what a target says.
    pub(crate) fn act(
        &mut self,
        outside: &mut Outside<'_>,
        top: usize,
        arguments: usize,
        selector: Symbol,
        target: Target,
        sender: Sender,
    ) -> Result<Action, Raise> {
        let receiver = self.value_at(top, arguments)?;
        match target {
            Target::Own(number) => self.data_of(receiver, number),
            Target::Inherited(holder, number) => {
                self.world.ensure(holder, outside)?;
                self.data_of(Val::Object(holder), number)
            }
            Target::Parent(parent) => Ok(Action::Value(parent.map_or(Val::Nil, Val::Object))),
            Target::Method(method, holder) => {
                let holder = match (holder, receiver) {
                    (Some(holder), _) | (None, Val::Object(holder)) => holder,
                    _ => self.world.any,
                };
                self.run_method(method, selector, holder, arguments)
            }
            Target::Primitive(number) => self.primitive(outside, top, arguments, selector, number),
            Target::Native(slot, label) => self.native(outside, top, arguments, selector, slot, label),
            Target::Unknown(name) => {
                let _ = sender;
                raise(ErrorKind::Native, format!("the primitive `{}` is not known here", self.world.names.name(name)))
            }
        }
    }

    fn data_of(&self, object: Val, number: u32) -> Result<Action, Raise> {
        let Val::Object(id) = object else { return raise(ErrorKind::BadMethod, "data of no object") };
        let value = self.world.cell(id)?.data.get(number as usize).copied();
        value.map(Action::Value).ok_or_else(|| error(ErrorKind::BadMethod, "data that is not there"))
    }

    pub(crate) fn run_method(
        &mut self,
        method: MethodId,
        selector: Symbol,
        holder: ObjectId,
        arguments: usize,
    ) -> Result<Action, Raise> {
        let code = self.world.code(method, selector)?;
        if code.parameters as usize != arguments {
            let name = self.world.names.name(selector);
            return raise(ErrorKind::BadMethod, format!("the method in `{name}` takes {} arguments", code.parameters));
        }
        Ok(Action::Run { code, holder, block: None, arguments })
    }

    fn primitive(
        &mut self,
        outside: &mut Outside<'_>,
        top: usize,
        arguments: usize,
        selector: Symbol,
        number: u32,
    ) -> Result<Action, Raise> {
        let receiver = self.value_at(top, arguments)?;
        match primitives::primitive(number) {
            Some(Primitive::Function(function)) => {
                let given = self.arguments_at(top, arguments);
                function(&mut self.world, outside, receiver, given).map(Action::Value)
            }
            Some(Primitive::Control(control)) => self.control(outside, top, arguments, selector, control),
            None => raise(ErrorKind::BadMethod, "a primitive that is not there"),
        }
    }

    pub(crate) fn arguments_at(&self, top: usize, arguments: usize) -> primitives::Arguments {
        let mut given = [Val::Nil; 3];
        let start = top.saturating_sub(arguments);
        for (place, value) in given.iter_mut().zip(self.stack.get(start..top).unwrap_or(&[])) {
            *place = *value;
        }
        given
    }

    fn control(
        &mut self,
        outside: &mut Outside<'_>,
        top: usize,
        arguments: usize,
        selector: Symbol,
        control: Control,
    ) -> Result<Action, Raise> {
        let receiver = self.value_at(top, arguments)?;
        let [first, second, _] = self.arguments_at(top, arguments);
        match control {
            Control::Value => self.block(receiver, arguments),
            Control::Perform => {
                let given: Vec<Val> = match (arguments, self.world.heap.items(second)) {
                    (1, _) => Vec::new(),
                    (2, Some(items)) => items.to_vec(),
                    _ => return raise(ErrorKind::Type, "`perform` takes a selector, and perhaps a list of arguments"),
                };
                let name = self.world.name_argument(first)?;
                self.turn(outside, top, arguments, &name, receiver, &given)
            }
            Control::Forward => self.forward(outside, top, arguments, selector),
            Control::Raise => {
                if let Some(Cell::Error(error, value)) =
                    super::world::World::heap_id(first).map(|id| self.world.heap.get(id))
                {
                    let (again, value) = ((**error).clone(), *value);
                    self.raised = value;
                    return Err(alloc::boxed::Box::new(Error { trace: Vec::new(), ..again }));
                }
                self.raised = first;
                raise(ErrorKind::Raised, self.world.print(first))
            }
            Control::Begin | Control::Commit | Control::Abort | Control::Note => {
                Ok(Action::Transaction(control, first))
            }
        }
    }

    fn block(&mut self, receiver: Val, arguments: usize) -> Result<Action, Raise> {
        let Val::Heap(id) = receiver else { return raise(ErrorKind::Type, "a block is needed") };
        let Cell::Block(block) = self.world.heap.get(id) else { return raise(ErrorKind::Type, "a block is needed") };
        let (code, holder) = (block.code.clone(), block.holder);
        if code.parameters as usize != arguments {
            let message = format!("a block with {} parameters was given {arguments} arguments", code.parameters);
            return raise(ErrorKind::Arguments, message);
        }
        Ok(Action::Run { code, holder, block: Some(id), arguments })
    }

    /// Turns a send into another: puts its receiver and arguments in place of the former's.
    fn turn(
        &mut self,
        outside: &mut Outside<'_>,
        top: usize,
        arguments: usize,
        name: &str,
        receiver: Val,
        given: &[Val],
    ) -> Result<Action, Raise> {
        self.turns += 1;
        if self.turns > TURNS {
            return raise(ErrorKind::Depth, "a message goes in circles between forwarders");
        }
        if given.len() > 200 {
            return raise(ErrorKind::Arguments, "more than 200 arguments");
        }
        // A bare name is completed by the number of arguments.
        let name = if object_model::arity(name) == 0 { selector(name, given.len()) } else { String::from(name) };
        if object_model::arity(&name) != given.len() {
            return raise(ErrorKind::Arguments, format!("`{name}` was given {} arguments", given.len()));
        }
        let base = top.saturating_sub(arguments + 1);
        for (place, value) in core::iter::once(&receiver).chain(given).enumerate() {
            match self.stack.get_mut(base + place) {
                Some(there) => *there = *value,
                None => return raise(ErrorKind::Depth, "no room for the arguments"),
            }
        }
        let top = base + given.len() + 1;
        let symbol = self.world.names.symbol(&name);
        let action = match self.world.find(receiver, symbol, Sender::Other, outside)? {
            Some(target) => self.act(outside, top, given.len(), symbol, target, Sender::Other),
            None => self.not_understood(outside, top, given.len(), symbol),
        };
        self.turns = 0;
        action
    }

    /// A facet's `doesNotUnderstand`: hands on what is allowed.
    fn forward(&mut self, outside: &mut Outside<'_>, top: usize, arguments: usize, _: Symbol) -> Result<Action, Raise> {
        let facet = self.value_at(top, arguments)?;
        let [message, ..] = self.arguments_at(top, arguments);
        let entry = |session: &Self, key: &str| match super::world::World::heap_id(message)
            .map(|id| session.world.heap.get(id))
        {
            Some(Cell::Map(entries)) => entries.get(key).copied(),
            _ => None,
        };
        let (Some(Val::Symbol(wanted)), Some(given)) = (entry(self, "selector"), entry(self, "arguments")) else {
            return raise(ErrorKind::Type, "a message is needed");
        };
        let name = self.world.names.shared(wanted);
        let allowed = self.world.data_named(facet, primitives::ALLOWED, outside)?.unwrap_or(Val::Nil);
        let is_allowed = self
            .world
            .heap
            .items(allowed)
            .unwrap_or(&[])
            .iter()
            .any(|one| self.world.name_argument(*one).is_ok_and(|one| *one == *name || *one == *base_name(&name)));
        if !is_allowed {
            return raise(ErrorKind::NotUnderstood, format!("the facet does not hand on `{name}`"));
        }
        let caretaker = self.world.data_named(facet, primitives::CARETAKER, outside)?.unwrap_or(Val::Nil);
        match self.world.data_named(caretaker, primitives::TARGET, outside)? {
            None | Some(Val::Nil) => raise(ErrorKind::Void, "the facet was revoked"),
            Some(target) => {
                let given = self.world.heap.items(given).map(<[Val]>::to_vec).unwrap_or_default();
                self.turn(outside, top, arguments, &name, target, &given)
            }
        }
    }

    /// Sends a native method's message through the host.
    fn native(
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
    fn endpoint(&mut self, receiver: Val, slot: Symbol, outside: &mut Outside<'_>) -> Result<Recipe, Raise> {
        let name = self.world.names.shared(slot);
        let mut found = self.world.data_named(receiver, &name, outside)?;
        if let Some(Val::Object(_)) = found {
            found = self.world.data_named(found.unwrap_or(Val::Nil), SERVICE_ENDPOINT, outside)?;
        }
        match found.and_then(super::world::World::heap_id).map(|id| self.world.heap.get(id)) {
            Some(Cell::Capability(Recipe::Void(kind))) => {
                raise(ErrorKind::Void, format!("the capability in `{name}` is void ({})", kind_name(*kind)))
            }
            Some(Cell::Capability(recipe)) => Ok(recipe.clone()),
            _ => raise(ErrorKind::Void, format!("{} holds no capability in `{name}`", self.world.describe(receiver))),
        }
    }

    /// A message that nothing answers: to `doesNotUnderstand` if the receiver has it, otherwise an error with the nearest
    /// selectors.
    pub(crate) fn not_understood(
        &mut self,
        outside: &mut Outside<'_>,
        top: usize,
        arguments: usize,
        selector: Symbol,
    ) -> Result<Action, Raise> {
        let receiver = self.value_at(top, arguments)?;
        let hook = self.world.names.symbol("doesNotUnderstand/1");
        if selector != hook
            && let Some(target) = self.world.find(receiver, hook, Sender::Other, outside)?
        {
            let start = top.saturating_sub(arguments);
            let given = self.stack.get(start..top).unwrap_or(&[]).to_vec();
            let given = self.world.heap.list(given);
            let entries = [("selector", Val::Symbol(selector)), ("arguments", given)];
            let entries = entries.into_iter().map(|(key, value)| (key.into(), value)).collect();
            let message = self.world.heap.put(Cell::Map(Rc::new(entries)));
            let base = start.saturating_sub(1);
            match self.stack.get_mut(base + 1) {
                Some(place) => *place = message,
                None => return raise(ErrorKind::Depth, "no room for the message"),
            }
            return self.act(outside, base + 2, 1, hook, target, Sender::Other);
        }
        let name = self.world.names.shared(selector);
        let mut message = format!("{} does not understand `{name}`", self.world.describe(receiver));
        let near = self.near(receiver, &name);
        if !near.is_empty() {
            let near: Vec<String> = near.iter().map(|one| format!("`{one}`")).collect();
            message.push_str(&format!("; it understands {}", near.join(", ")));
        }
        if object_model::arity(&name) == 0 && self.variables.contains_key(&selector) {
            message.push_str(&format!(
                "; `{name}` is a name of the session, which methods do not see: give the object a slot"
            ));
        }
        raise(ErrorKind::NotUnderstood, message)
    }

    /// The selectors nearest to one, of those that a value understands.
    fn near(&self, receiver: Val, wanted: &str) -> Vec<String> {
        let start = match receiver {
            Val::Object(id) => id,
            other => self.world.kinds.get(self.world.shape_of(other).0 as usize).copied().unwrap_or(self.world.any),
        };
        let mut found: Vec<(usize, String)> = Vec::new();
        let mut seen: Vec<ObjectId> = Vec::new();
        let mut waiting = alloc::vec![self.world.any, start];
        let mut left = HINTS_SEEN;
        while let Some(id) = waiting.pop() {
            if seen.contains(&id) || left == 0 {
                continue;
            }
            seen.push(id);
            let Ok(shape) = self.world.shape(id) else { continue };
            for Slot { name, content, private, .. } in &shape.slots {
                left = left.saturating_sub(1);
                let name = self.world.names.name(*name);
                let same = base_name(name) == base_name(wanted);
                let distance = if same { 0 } else { distance(base_name(name), base_name(wanted)) };
                if !private
                    && distance <= (base_name(wanted).len() + 1) / 3
                    && !found.iter().any(|(_, known)| known == name)
                {
                    found.push((distance, name.into()));
                }
                if let Content::Parent(Some(parent)) = content {
                    waiting.push(*parent);
                }
            }
        }
        found.sort();
        found.into_iter().take(HINTS_TOLD).map(|(_, name)| name).collect()
    }
}

/// The slot of natives whose labels mean the session's transaction, and the slot of a service's endpoint.
const TRANSACTIONS: &str = "persistenceCap";
const SERVICE_ENDPOINT: &str = "endpointCap";

fn kind_name(kind: CapabilityKind) -> String {
    format!("{kind:?}")
}

/// How many letters have to be put, taken or changed; names that differ much in length are far.
fn distance(one: &str, other: &str) -> usize {
    const LONGEST: usize = 32;
    let (one, other) = (one.as_bytes(), other.as_bytes());
    if one.len() > LONGEST || other.len() > LONGEST {
        return LONGEST;
    }
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (number, a) in one.iter().enumerate() {
        let mut before = number;
        let mut left = number + 1;
        if let Some(first) = row.first_mut() {
            *first = left;
        }
        for (place, b) in row.iter_mut().skip(1).zip(other) {
            let above = *place;
            let changed = before + usize::from(!a.eq_ignore_ascii_case(b));
            *place = changed.min(above + 1).min(left + 1);
            before = above;
            left = *place;
        }
    }
    row.last().copied().unwrap_or(LONGEST)
}

impl super::world::World {
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
