//! Sends that no cache answers: look-up, native methods, facets, `doesNotUnderstand`, and what is said where nothing helps.

use alloc::format;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;

use object_model::{Sender, base_name, selector};

use super::heap::Cell;
use super::link::{Cache, Code, MethodId, Site, Target};
use super::primitives::{self, Control, Primitive};
use super::value::{HeapId, ObjectId, Symbol, Val};
use crate::error::{Error, ErrorKind, Raise, error, raise};
use crate::host::Outside;
use crate::session::Session;

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

    pub(crate) fn value_at(&self, top: usize, below: usize) -> Result<Val, Raise> {
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
        match self.world.primitives.get(number as usize).copied() {
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
        let symbol = self.world.names.made_up(&name)?;
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
}
