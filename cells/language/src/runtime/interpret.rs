//! The loop.
//!
//! A call has its receiver at `base` on the stack, its locals above it (arguments first), and its operands above those. What
//! the current call is stands in local variables of [`Session::execute`]; those that wait for it are in `frames`. Before an
//! error leaves the loop the current call is put there too, so that a handler or the trace finds all of them.

use alloc::boxed::Box;
use alloc::rc::Rc;
use alloc::vec::Vec;

use object_model::Sender;

use super::dispatch::Action;
use super::heap::{Block, Cell};
use super::link::{Code, Constant, Instruction, Target};
use super::primitives::numbers_api::{arithmetic, negate, on_ints};
use super::primitives::{self, Primitive};
use super::shape::Content;
use super::value::{HeapId, ObjectId, Truth, Val};
use crate::code::{Binary, CONSTANT, Capture, Operation};
use crate::error::{ErrorKind, Raise, error};
use crate::host::Outside;
use crate::session::Session;

/// Room above a call's own, for messages that are turned into others.
const SPARE: usize = 256;

/// A call.
pub(crate) struct Frame {
    pub code: Rc<Code>,
    pub next: usize,
    pub base: usize,
    pub holder: ObjectId,
    pub block: Option<HeapId>,
    pub serial: u64,
    /// Whether its value is dropped, as that of an assignment.
    pub discards: bool,
}

/// Where an error goes.
pub(crate) struct Handler {
    pub depth: usize,
    pub to: usize,
    pub top: usize,
    /// How many transactions of `atomically` were open.
    pub atomic: usize,
}

/// An `atomically` that is open.
pub(crate) struct Atomic {
    pub depth: usize,
    pub retry: usize,
    pub top: usize,
    pub handlers: usize,
    pub tries: u32,
    /// It is part of a transaction that was open before.
    pub joins: bool,
}

#[cold]
pub(crate) fn corrupt() -> Raise {
    error(ErrorKind::BadMethod, "the bytecode does not hold together")
}

impl Session {
    /// Runs code that is the first to be called; the stack is empty.
    pub(crate) fn run(
        &mut self,
        outside: &mut Outside<'_>,
        code: Rc<Code>,
        receiver: Val,
        holder: ObjectId,
        arguments: &[Val],
    ) -> Result<Val, Raise> {
        self.frames.clear();
        self.handlers.clear();
        self.atomics.clear();
        self.serial += 1;
        let needed = code.room as usize + SPARE;
        self.stack.clear();
        self.stack.resize(needed.max(1024), Val::Nil);
        for (place, value) in self.stack.iter_mut().zip(core::iter::once(&receiver).chain(arguments)) {
            *place = *value;
        }
        let mut top = 1 + code.locals as usize;
        let mut frame = Frame { code, next: 0, base: 0, holder, block: None, serial: self.serial, discards: false };
        loop {
            let mut raised = match self.execute(outside, frame, top) {
                Ok(value) => return Ok(value),
                Err(raised) => raised,
            };
            self.turns = 0;
            if raised.trace.is_empty() {
                raised.trace = self.trace();
            }
            let handler = if raised.kind.is_catchable() { self.handlers.pop() } else { None };
            let open = handler.as_ref().map_or(0, |handler| handler.atomic);
            self.leave_atomics(outside, open)?;
            let Some(handler) = handler else { return Err(raised) };
            self.frames.truncate(handler.depth + 1);
            let Some(mut back) = self.frames.pop() else { return Err(raised) };
            back.next = handler.to;
            let value = core::mem::replace(&mut self.raised, Val::Nil);
            let value = self.world.heap.put(Cell::Error(raised, value));
            match self.stack.get_mut(handler.top) {
                Some(place) => *place = value,
                None => return Err(corrupt()),
            }
            top = handler.top + 1;
            frame = back;
        }
    }

    #[expect(clippy::too_many_lines, reason = "the loop: one arm an instruction")]
    fn execute(&mut self, outside: &mut Outside<'_>, start: Frame, start_top: usize) -> Result<Val, Raise> {
        let Frame { mut code, mut next, mut base, mut holder, mut block, mut serial, mut discards } = start;
        let mut top = start_top;

        macro_rules! fail {
            ($raised:expr) => {{
                let raised = $raised;
                self.frames.push(Frame { code, next, base, holder, block, serial, discards });
                return Err(raised);
            }};
        }
        macro_rules! check {
            ($result:expr) => {
                match $result {
                    Ok(value) => value,
                    Err(raised) => fail!(raised),
                }
            };
        }
        macro_rules! push {
            ($value:expr) => {{
                let value = $value;
                match self.stack.get_mut(top) {
                    Some(place) => {
                        *place = value;
                        top += 1;
                    }
                    None => fail!(corrupt()),
                }
            }};
        }
        macro_rules! peek {
            ($below:expr) => {
                match self.stack.get(top.wrapping_sub($below + 1)) {
                    Some(value) => *value,
                    None => fail!(corrupt()),
                }
            };
        }
        macro_rules! pop {
            () => {{
                let value = peek!(0);
                // Where an error follows, nobody reads this.
                #[allow(unused_assignments, reason = "an error that follows leaves the loop")]
                {
                    top -= 1;
                }
                value
            }};
        }
        macro_rules! local {
            ($number:expr) => {
                match self.stack.get(base + 1 + usize::from($number)) {
                    Some(value) => *value,
                    None => fail!(corrupt()),
                }
            };
        }
        macro_rules! set_local {
            ($number:expr, $value:expr) => {{
                let value = $value;
                match self.stack.get_mut(base + 1 + usize::from($number)) {
                    Some(place) => *place = value,
                    None => fail!(corrupt()),
                }
            }};
        }
        macro_rules! pay {
            () => {
                match self.left.checked_sub(1) {
                    Some(left) => self.left = left,
                    None => check!(self.slice(outside, top, block, holder)),
                }
            };
        }
        // Calls a function whose receiver and arguments are on the stack.
        macro_rules! enter {
            ($callee:expr, $holder:expr, $block:expr, $arguments:expr, $discards:expr) => {{
                let callee: Rc<Code> = $callee;
                let at = top - 1 - $arguments;
                if self.frames.len() >= self.limits.depth {
                    fail!(error(ErrorKind::Depth, "too many sends in each other"));
                }
                let needed = at + callee.room as usize + SPARE;
                if needed > self.stack.len() {
                    check!(self.grow(needed));
                }
                let locals = callee.locals as usize;
                if locals > $arguments
                    && let Some(rest) = self.stack.get_mut(top..at + 1 + locals)
                {
                    rest.fill(Val::Nil);
                }
                let caller = core::mem::replace(&mut code, callee);
                self.frames.push(Frame { code: caller, next, base, holder, block, serial, discards });
                self.serial += 1;
                (next, base, holder, block, serial, discards) = (0, at, $holder, $block, self.serial, $discards);
                top = at + 1 + locals;
                pay!();
            }};
        }
        macro_rules! act {
            ($action:expr, $at:expr, $discards:expr) => {
                match $action {
                    Action::Value(value) => {
                        top = $at;
                        if !$discards {
                            push!(value);
                        }
                        if self.world.heap.pressure > self.limits.garbage {
                            self.left = 0;
                        }
                    }
                    Action::Run { code: callee, holder: found, block: run, arguments } => {
                        let at = $at;
                        top = at + arguments + 1;
                        let mut found = found;
                        if let Some(id) = run {
                            // The receiver of a block is that of its method.
                            if let Cell::Block(made) = self.world.heap.get(id) {
                                found = made.holder;
                                if let Some(place) = self.stack.get_mut(at) {
                                    *place = made.receiver;
                                }
                            }
                        }
                        enter!(callee, found, run, arguments, $discards);
                    }
                    Action::Transaction(control, argument) => {
                        let value = check!(self.transaction(outside, control, argument));
                        top = $at;
                        if !$discards {
                            push!(value);
                        }
                    }
                }
            };
        }
        macro_rules! send {
            ($site:expr, $arguments:expr, $sender:expr) => {{
                let arguments = usize::from($arguments);
                let Some(at) = top.checked_sub(arguments + 1) else { fail!(corrupt()) };
                let Some(site) = code.sites.get($site as usize) else { fail!(corrupt()) };
                let receiver = peek!(arguments);
                let cache = site.cache.get();
                let (shape, data) = match receiver {
                    Val::Object(id) => match self.world.objects.get(id.0 as usize) {
                        Some(cell) => (cell.shape, cell.data.as_slice()),
                        None => fail!(corrupt()),
                    },
                    Val::Int(_) => (super::value::kind::INT, &[][..]),
                    other => (self.world.shape_of(other), &[][..]),
                };
                if cache.shape == shape && cache.epoch == self.world.epoch {
                    match cache.target {
                        Target::Own(number) => {
                            let Some(value) = data.get(number as usize).copied() else { fail!(corrupt()) };
                            top = at;
                            push!(value);
                            continue;
                        }
                        Target::Method(method, found) => {
                            let found = match (found, receiver) {
                                (Some(found), _) | (None, Val::Object(found)) => found,
                                _ => self.world.any,
                            };
                            if let Some(callee) = self.world.method_cell(method).and_then(|cell| cell.code.clone())
                                && callee.parameters as usize == arguments
                            {
                                enter!(callee, found, None, arguments, false);
                                continue;
                            }
                        }
                        Target::Primitive(number) => {
                            if let Some(Primitive::Function(function)) =
                                self.world.primitives.get(number as usize).copied()
                            {
                                let given = match arguments {
                                    0 => [Val::Nil; 3],
                                    1 => [peek!(0), Val::Nil, Val::Nil],
                                    _ => self.arguments_at(top, arguments),
                                };
                                let value = check!(function(&mut self.world, outside, receiver, given));
                                top = at;
                                push!(value);
                                if self.world.heap.pressure > self.limits.garbage {
                                    self.left = 0;
                                }
                                continue;
                            }
                        }
                        Target::Inherited(found, number) => {
                            let data = self.world.objects.get(found.0 as usize).map(|cell| cell.data.as_slice());
                            if let Some(value) = data.and_then(|data| data.get(number as usize).copied()) {
                                top = at;
                                push!(value);
                                continue;
                            }
                        }
                        _ => {}
                    }
                }
                let running = code.clone();
                let Some(site) = running.sites.get($site as usize) else { fail!(corrupt()) };
                let action = check!(self.send(outside, top, arguments, site, $sender));
                act!(action, at, false);
            }};
        }
        macro_rules! binary {
            ($operator:expr, $one:expr, $other:expr, $site:expr) => {{
                let (operator, one, other) = ($operator, $one, $other);
                if let (Val::Int(a), Val::Int(b)) = (one, other) {
                    let quick = match operator {
                        Binary::Add => a.checked_add(b).map(Val::Int),
                        Binary::Subtract => a.checked_sub(b).map(Val::Int),
                        _ => compare(operator, a, b).map(Val::bool),
                    };
                    match quick {
                        Some(value) => push!(value),
                        None => push!(check!(on_ints(operator, a, b))),
                    }
                } else {
                    push!(one);
                    push!(other);
                    if let (Val::Int(_) | Val::Float(_), Val::Int(_) | Val::Float(_)) = (one, other) {
                        let made = check!(arithmetic(&self.world, operator, one, other));
                        top -= 2;
                        push!(made);
                    } else {
                        let running = code.clone();
                        let Some(site) = running.sites.get($site as usize) else { fail!(corrupt()) };
                        let action = check!(self.send(outside, top, 1, site, Sender::Other));
                        act!(action, top - 2, false);
                    }
                }
            }};
        }

        'run: loop {
            let Some(&instruction) = code.instructions.get(next) else { fail!(corrupt()) };
            next += 1;
            match instruction {
                Instruction::Nil => push!(Val::Nil),
                Instruction::SelfValue => {
                    let Some(value) = self.stack.get(base).copied() else { fail!(corrupt()) };
                    push!(value);
                }
                Instruction::Int(int) => push!(Val::Int(int.into())),
                Instruction::Local(number) => push!(local!(number)),
                Instruction::SetLocal(number) => set_local!(number, pop!()),
                Instruction::Pop => top -= 1,
                Instruction::SelfLocal(number) => {
                    let Some(value) = self.stack.get(base).copied() else { fail!(corrupt()) };
                    push!(value);
                    push!(local!(number));
                }
                Instruction::Send { site, arguments } => send!(site, arguments, Sender::Other),
                Instruction::SendSelf { site, arguments } => send!(site, arguments, Sender::Own),
                Instruction::Resend { site, arguments } => {
                    let arguments = usize::from(arguments);
                    let Some(at) = top.checked_sub(arguments + 1) else { fail!(corrupt()) };
                    let running = code.clone();
                    let Some(site) = running.sites.get(site as usize) else { fail!(corrupt()) };
                    let action = check!(self.resend(outside, top, arguments, site, holder));
                    act!(action, at, false);
                }
                Instruction::Assign { site, own } => {
                    let Some(at) = top.checked_sub(2) else { fail!(corrupt()) };
                    let (receiver, value) = (peek!(1), peek!(0));
                    let Some(place) = code.sites.get(site as usize) else { fail!(corrupt()) };
                    let cache = place.cache.get();
                    if let Val::Object(id) = receiver
                        && let Target::Own(number) = cache.target
                        && let Some(cell) = self.world.objects.get_mut(id.0 as usize)
                        && cell.shape == cache.shape
                        && cell.is_dirty
                        && cache.epoch == self.world.epoch
                        && let Some(there) = cell.data.get_mut(number as usize)
                    {
                        *there = value;
                        top = at;
                        continue;
                    }
                    let running = code.clone();
                    let Some(place) = running.sites.get(site as usize) else { fail!(corrupt()) };
                    match check!(self.assign(outside, top, place, own)) {
                        None => top = at,
                        Some(action) => act!(action, at, true),
                    }
                }
                Instruction::Binary { operator, site } => {
                    let other = pop!();
                    let one = pop!();
                    binary!(operator, one, other, site);
                }
                Instruction::BinaryInt { operator, site, int } => {
                    let one = pop!();
                    binary!(operator, one, Val::Int(int.into()), site);
                }
                Instruction::LocalInt { operator, local, site, int } => {
                    let one = local!(local);
                    binary!(operator, one, Val::Int(int.into()), site);
                }
                Instruction::LocalIntJump { operator, local, site, int } => {
                    let one = local!(local);
                    if let Val::Int(a) = one
                        && let Some(holds) = compare(operator, a, int.into())
                        && let Some(Instruction::JumpIfFalse(to)) = code.instructions.get(next)
                    {
                        next = if holds { next + 1 } else { *to as usize };
                    } else {
                        binary!(operator, one, Val::Int(int.into()), site);
                    }
                }
                Instruction::Jump(to) => next = to as usize,
                Instruction::Loop(to) => {
                    next = to as usize;
                    pay!();
                }
                Instruction::JumpIfFalse(to) => match pop!() {
                    Val::Bool(Truth::True) => {}
                    Val::Bool(Truth::False) => next = to as usize,
                    other => fail!(self.no_bool(other)),
                },
                Instruction::Return => {
                    let value = pop!();
                    if !self.handlers.is_empty() || !self.atomics.is_empty() {
                        check!(self.leave());
                    }
                    let at = base;
                    let drops = discards;
                    match self.frames.pop() {
                        None => return Ok(value),
                        Some(caller) => {
                            Frame { code, next, base, holder, block, serial, discards } = caller;
                        }
                    }
                    top = at;
                    if !drops {
                        push!(value);
                    }
                }
                Instruction::Plain(operation) => match operation {
                    Operation::True => push!(Val::bool(true)),
                    Operation::False => push!(Val::bool(false)),
                    Operation::Literal(number) => {
                        let value = match code.shared.constants.get(usize::from(number)) {
                            Some(Constant::Int(number)) => Val::Int(*number),
                            Some(Constant::Float(number)) => Val::float(*number),
                            Some(Constant::Name(symbol)) => Val::Symbol(*symbol),
                            Some(Constant::Text(text)) => self.world.heap.put(Cell::Text(text.clone())),
                            Some(Constant::Bytes(bytes)) => self.world.heap.put(Cell::Bytes(bytes.clone())),
                            _ => fail!(corrupt()),
                        };
                        push!(value);
                    }
                    Operation::Duplicate => push!(peek!(0)),
                    Operation::Box(number) => {
                        let made = self.world.heap.put(Cell::Box(local!(number)));
                        set_local!(number, made);
                    }
                    Operation::Boxed(number) => {
                        let value = check!(self.boxed(local!(number)));
                        push!(value);
                    }
                    Operation::SetBoxed(number) => {
                        let value = pop!();
                        check!(self.set_boxed(local!(number), value));
                    }
                    Operation::Captured(index) => {
                        let place = check!(self.captured(block, index));
                        let value = check!(self.boxed(place));
                        push!(value);
                    }
                    Operation::SetCaptured(index) => {
                        let value = pop!();
                        let place = check!(self.captured(block, index));
                        check!(self.set_boxed(place, value));
                    }
                    Operation::Variable(number) => match code.shared.constants.get(usize::from(number)) {
                        Some(Constant::Name(symbol)) => {
                            let value = self.variables.get(symbol).copied().unwrap_or(Val::Nil);
                            push!(value);
                        }
                        _ => fail!(corrupt()),
                    },
                    Operation::SetVariable(number) => match code.shared.constants.get(usize::from(number)) {
                        Some(Constant::Name(symbol)) => {
                            let value = pop!();
                            self.variables.insert(*symbol, value);
                        }
                        _ => fail!(corrupt()),
                    },
                    Operation::Negate => {
                        let value = pop!();
                        push!(check!(negate(&self.world, value)));
                    }
                    Operation::Not => match pop!() {
                        Val::Bool(value) => push!(Val::bool(!value.get())),
                        other => fail!(self.no_bool(other)),
                    },
                    Operation::And(to) | Operation::Or(to) => match peek!(0) {
                        Val::Bool(value) if value.get() == matches!(operation, Operation::Or(_)) => next = to as usize,
                        Val::Bool(_) => top -= 1,
                        other => fail!(self.no_bool(other)),
                    },
                    Operation::CheckBool => match peek!(0) {
                        Val::Bool(_) => {}
                        other => fail!(self.no_bool(other)),
                    },
                    Operation::Next(to) => {
                        let (collection, number) = (peek!(1), peek!(0));
                        match check!(self.next(collection, number)) {
                            Some(item) => {
                                if let (Val::Int(number), Some(place)) = (number, self.stack.get_mut(top - 1)) {
                                    *place = Val::Int(number + 1);
                                }
                                push!(item);
                            }
                            None => {
                                top -= 2;
                                next = to as usize;
                            }
                        }
                    }
                    Operation::List(count) => {
                        let Some(start) = top.checked_sub(usize::from(count)) else { fail!(corrupt()) };
                        let items = self.stack.get(start..top).unwrap_or(&[]).to_vec();
                        top = start;
                        push!(self.world.heap.list(items));
                    }
                    Operation::Map(count) => {
                        let Some(start) = top.checked_sub(usize::from(count) * 2) else { fail!(corrupt()) };
                        let pairs = self.stack.get(start..top).unwrap_or(&[]).to_vec();
                        let made = check!(self.map(&pairs));
                        top = start;
                        push!(made);
                    }
                    Operation::Block(number) => {
                        let Some(made) = code.block(number) else { fail!(corrupt()) };
                        let mut captured = Vec::with_capacity(made.captures.len());
                        for capture in &made.captures {
                            let place = match *capture {
                                Capture::Local(number) => local!(number),
                                Capture::Captured(index) => check!(self.captured(block, index)),
                            };
                            match place {
                                Val::Heap(id) => captured.push(id),
                                _ => fail!(corrupt()),
                            }
                        }
                        let home = match block.map(|id| self.world.heap.get(id)) {
                            Some(Cell::Block(around)) => around.home,
                            _ => (self.frames.len() as u32, serial),
                        };
                        let Some(receiver) = self.stack.get(base).copied() else { fail!(corrupt()) };
                        let selector = code.selector;
                        let made = Block { code: made, captured: captured.into(), receiver, holder, selector, home };
                        push!(self.world.heap.put(Cell::Block(Box::new(made))));
                    }
                    Operation::ReturnHome => {
                        let value = pop!();
                        let home = match block.map(|id| self.world.heap.get(id)) {
                            Some(Cell::Block(block)) => block.home,
                            _ => fail!(corrupt()),
                        };
                        let depth = home.0 as usize;
                        if self.frames.get(depth).is_none_or(|frame| frame.serial != home.1) {
                            fail!(error(ErrorKind::DeadHome, "`return` from a block whose method has ended"));
                        }
                        if self.atomics.iter().any(|atomic| atomic.depth >= depth) {
                            // The frame of this block goes, so that the one to retry in is found among the others.
                            self.frames.push(Frame { code, next, base, holder, block, serial, discards });
                            while self.atomics.last().is_some_and(|atomic| atomic.depth >= depth) {
                                match self.settle(outside) {
                                    Err(raised) => return Err(raised),
                                    Ok(None) => {}
                                    Ok(Some(retry)) => {
                                        let (frame, at) = retry;
                                        Frame { code, next, base, holder, block, serial, discards } = frame;
                                        top = at;
                                        continue 'run;
                                    }
                                }
                            }
                        }
                        self.frames.truncate(depth + 1);
                        let Some(ended) = self.frames.pop() else { return Err(corrupt()) };
                        let (at, drops) = (ended.base, ended.discards);
                        self.handlers.retain(|handler| handler.depth < depth);
                        match self.frames.pop() {
                            None => return Ok(value),
                            Some(caller) => {
                                Frame { code, next, base, holder, block, serial, discards } = caller;
                            }
                        }
                        top = at;
                        if !drops {
                            push!(value);
                        }
                    }
                    Operation::Try(to) => {
                        let (depth, atomic) = (self.frames.len(), self.atomics.len());
                        self.handlers.push(Handler { depth, to: to as usize, top, atomic });
                    }
                    Operation::EndTry => {
                        let depth = self.frames.len();
                        self.handlers.pop_if(|handler| handler.depth == depth);
                    }
                    Operation::Begin => {
                        let joins = self.is_explicit || !self.atomics.is_empty();
                        if !joins {
                            check!(self.renew(outside));
                        }
                        let (depth, handlers) = (self.frames.len(), self.handlers.len());
                        self.atomics.push(Atomic { depth, retry: next, top, handlers, tries: 0, joins });
                    }
                    Operation::Commit => {
                        self.frames.push(Frame { code, next, base, holder, block, serial, discards });
                        match self.settle(outside) {
                            Err(raised) => return Err(raised),
                            Ok(settled) => {
                                let (frame, at) = match settled {
                                    Some(retry) => retry,
                                    None => match self.frames.pop() {
                                        Some(frame) => (frame, top),
                                        None => return Err(corrupt()),
                                    },
                                };
                                Frame { code, next, base, holder, block, serial, discards } = frame;
                                top = at;
                            }
                        }
                    }
                    Operation::Object { has_parent } => {
                        let parent = if has_parent { Some(pop!()) } else { None };
                        let made = check!(self.make_object(parent, None));
                        push!(made);
                    }
                    Operation::Trait(names) => match code.shared.constants.get(usize::from(names)) {
                        Some(Constant::Names(names)) => {
                            let names = names.clone();
                            let made = check!(self.make_object(None, Some(names)));
                            push!(made);
                        }
                        _ => fail!(corrupt()),
                    },
                    Operation::DefineData { name, flags } => {
                        let (object, value) = (peek!(1), peek!(0));
                        check!(self.define(outside, &code.clone(), object, name, flags, Content::Data(0), Some(value)));
                        top -= 1;
                    }
                    Operation::DefineParent { name } => {
                        let (object, value) = (peek!(1), peek!(0));
                        let content = check!(primitives::parent_content(&self.world, value));
                        check!(self.define(outside, &code.clone(), object, name, CONSTANT, content, None));
                        top -= 1;
                    }
                    Operation::DefineMethod { name, method, flags } => {
                        let running = code.clone();
                        let Some(Constant::Method(method)) = running.shared.constants.get(usize::from(method)) else {
                            fail!(corrupt())
                        };
                        let content = Content::Method(self.world.method(method));
                        let object = peek!(0);
                        check!(self.define(outside, &running, object, name, flags, content, None));
                    }
                    Operation::DefineNative { name, target } => {
                        let running = code.clone();
                        let Some(Constant::Text(text)) = running.shared.constants.get(usize::from(target)) else {
                            fail!(corrupt())
                        };
                        let parts = text.rsplit_once('/').and_then(|(slot, label)| Some((slot, label.parse().ok()?)));
                        let Some((slot, label)) = parts else { fail!(corrupt()) };
                        let content = Content::Native(self.world.names.symbol(slot), label);
                        let object = peek!(0);
                        check!(self.define(outside, &running, object, name, 0, content, None));
                    }
                    Operation::Compose => {
                        let (object, traits) = (peek!(1), peek!(0));
                        check!(self.compose(outside, object, traits));
                        top -= 1;
                    }
                    Operation::Whole => {
                        if let Val::Object(id) = peek!(0) {
                            check!(self.world.cell_mut(id)).is_building = false;
                        }
                    }
                    _ => fail!(corrupt()),
                },
            }
        }
    }
}

#[inline]
fn compare(operator: Binary, a: i64, b: i64) -> Option<bool> {
    match operator {
        Binary::Equal => Some(a == b),
        Binary::Different => Some(a != b),
        Binary::Less => Some(a < b),
        Binary::LessOrEqual => Some(a <= b),
        Binary::Greater => Some(a > b),
        Binary::GreaterOrEqual => Some(a >= b),
        _ => None,
    }
}
