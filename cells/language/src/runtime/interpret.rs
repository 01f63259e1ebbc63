//! The loop.
//!
//! A call has its receiver at `base` on the stack, its locals above it (arguments first), and its operands above those. What
//! the current call is stands in local variables of [`Session::execute`]; those that wait for it are in `frames`. Before an
//! error leaves the loop the current call is put there too, so that a handler or the trace finds all of them.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::rc::Rc;
use alloc::vec::Vec;

use object_model::Sender;

use super::dispatch::Action;
use super::heap::{Block, Cell};
use super::link::{Code, Constant, Instruction, Site, Target};
use super::primitives::numbers_api::{arithmetic, negate, on_ints};
use super::primitives::{self, Control, Primitive};
use super::shape::{Content, Shape, Slot};
use super::value::{HeapId, ObjectId, Truth, Val};
use crate::code::{Binary, CONSTANT, Capture, Operation, PRIVATE};
use crate::error::{ErrorKind, Raise, Sent, error, raise};
use crate::host::Outside;
use crate::session::Session;
use crate::source::line_of;

/// Room above a call's own, for messages that are turned into others.
const SPARE: usize = 256;
/// Calls and turns between two looks at fuel, interruption and memory.
const SLICE: u32 = 1024;
/// How often `atomically` is tried again after a conflict.
const RETRIES: u32 = 3;
/// Frames of a trace that are told at both ends.
const TRACE_INNER: usize = 12;
const TRACE_OUTER: usize = 4;

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
    depth: usize,
    to: usize,
    top: usize,
    /// How many transactions of `atomically` were open.
    atomic: usize,
}

/// An `atomically` that is open.
pub(crate) struct Atomic {
    depth: usize,
    retry: usize,
    top: usize,
    handlers: usize,
    tries: u32,
    /// It is part of a transaction that was open before.
    joins: bool,
}

#[cold]
fn corrupt() -> Raise {
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

    /// Gives up the transactions of `atomically` that an error leaves, all but so many.
    fn leave_atomics(&mut self, outside: &mut Outside<'_>, open: usize) -> Result<(), Raise> {
        while self.atomics.len() > open {
            let Some(atomic) = self.atomics.pop() else { break };
            if !atomic.joins {
                self.world.abort(outside);
                self.is_open = false;
                self.open(outside)?;
            }
        }
        Ok(())
    }

    /// The sends that are open, the innermost first.
    fn trace(&self) -> Vec<Sent> {
        let count = self.frames.len();
        let mut trace = Vec::new();
        for (number, frame) in self.frames.iter().rev().enumerate() {
            if number == TRACE_INNER && count > TRACE_INNER + TRACE_OUTER {
                let gap = count - TRACE_INNER - TRACE_OUTER;
                trace.push(Sent { selector: format!("{gap} more"), in_block: false, line: 0, text: "".into() });
            }
            if number >= TRACE_INNER && number + TRACE_OUTER < count {
                continue;
            }
            let code = &frame.code;
            let (line, _, text) = line_of(&code.shared.source, code.position(frame.next.saturating_sub(1)));
            let text: alloc::string::String = text.chars().take(100).collect();
            let selector = self.world.names.name(code.selector).into();
            trace.push(Sent { selector, in_block: code.is_block, line, text });
        }
        trace
    }

    /// Fuel, interruption and memory, once a slice. `top` is the end of what is used of the stack.
    #[cold]
    fn slice(
        &mut self,
        outside: &mut Outside<'_>,
        top: usize,
        blocks: [Option<HeapId>; 1],
        holder: ObjectId,
    ) -> Result<(), Raise> {
        self.fuel = self.fuel.saturating_sub(u64::from(SLICE));
        if self.fuel == 0 {
            return raise(ErrorKind::Fuel, "the program ran longer than it may");
        }
        if outside.host.interrupted() {
            return raise(ErrorKind::Interrupted, "the program was stopped from outside");
        }
        self.left = SLICE.min(u32::try_from(self.fuel).unwrap_or(SLICE));
        if self.world.heap.pressure > self.limits.garbage.max(self.world.alive) {
            let stack = self.stack.get(..top).unwrap_or(&[]).iter().copied();
            let frames = self
                .frames
                .iter()
                .flat_map(|frame| frame.block.map(Val::Heap).into_iter().chain([Val::Object(frame.holder)]));
            let own = blocks.into_iter().flatten().map(Val::Heap).chain([Val::Object(holder), self.raised]);
            let roots = stack.chain(frames).chain(own).chain(self.variables.values().copied()).chain([self.lobby]);
            let roots: Vec<Val> = roots.collect();
            self.world.collect(roots.into_iter());
            // What lies above is stale, and may name places that are used again.
            if let Some(rest) = self.stack.get_mut(top..) {
                rest.fill(Val::Nil);
            }
            if self.world.alive > self.limits.memory {
                return raise(ErrorKind::Memory, "the session takes more memory than it may");
            }
        }
        Ok(())
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
                    None => check!(self.slice(outside, top, [block], holder)),
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
                            if let Some(Primitive::Function(function)) = primitives::primitive(number) {
                                let given = self.arguments_at(top, arguments);
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
                    push!(check!(on_ints(operator, a, b)));
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

        loop {
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
                                    Ok(Some((frame, retry_top))) => {
                                        return self.execute_again(outside, frame, retry_top);
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

    /// Goes on in a frame that a conflict leads back to.
    fn execute_again(&mut self, outside: &mut Outside<'_>, frame: Frame, top: usize) -> Result<Val, Raise> {
        // Retries are few, so that this does not go deep.
        self.execute(outside, frame, top)
    }

    #[cold]
    fn grow(&mut self, needed: usize) -> Result<(), Raise> {
        if needed > self.limits.stack {
            return raise(ErrorKind::Depth, "the stack is higher than it may be");
        }
        self.stack.resize((needed * 2).min(self.limits.stack), Val::Nil);
        Ok(())
    }

    #[cold]
    fn no_bool(&self, found: Val) -> Raise {
        error(ErrorKind::Type, format!("true or false is needed, {} was given", self.world.describe(found)))
    }

    /// Drops the handlers of the call that ends.
    fn leave(&mut self) -> Result<(), Raise> {
        let depth = self.frames.len();
        while self.handlers.pop_if(|handler| handler.depth >= depth).is_some() {}
        match self.atomics.last() {
            Some(atomic) if atomic.depth >= depth => Err(corrupt()),
            _ => Ok(()),
        }
    }

    fn boxed(&self, place: Val) -> Result<Val, Raise> {
        match place {
            Val::Heap(id) => match self.world.heap.get(id) {
                Cell::Box(value) => Ok(*value),
                _ => Err(corrupt()),
            },
            _ => Err(corrupt()),
        }
    }

    fn set_boxed(&mut self, place: Val, value: Val) -> Result<(), Raise> {
        match place {
            Val::Heap(id) => match self.world.heap.get_mut(id) {
                Some(Cell::Box(there)) => {
                    *there = value;
                    Ok(())
                }
                _ => Err(corrupt()),
            },
            _ => Err(corrupt()),
        }
    }

    fn captured(&self, block: Option<HeapId>, index: u16) -> Result<Val, Raise> {
        match block.map(|id| self.world.heap.get(id)) {
            Some(Cell::Block(block)) => {
                block.captured.get(usize::from(index)).map(|id| Val::Heap(*id)).ok_or_else(corrupt)
            }
            _ => Err(corrupt()),
        }
    }

    /// The item of a number of what `for` walks: items of a list, keys of a map, characters of a text, numbers below one.
    fn next(&mut self, collection: Val, number: Val) -> Result<Option<Val>, Raise> {
        let Val::Int(number) = number else { return Err(corrupt()) };
        let place = usize::try_from(number).map_err(|_| corrupt())?;
        if let Val::Int(end) = collection {
            return Ok((number < end).then_some(Val::Int(number)));
        }
        if let Some(items) = self.world.heap.items(collection) {
            return Ok(items.get(place).copied());
        }
        let Val::Heap(id) = collection else {
            return raise(ErrorKind::Type, format!("`for` cannot walk {}", self.world.describe(collection)));
        };
        match self.world.heap.get(id) {
            Cell::Map(entries) => {
                let key = entries.keys().nth(place).cloned();
                Ok(key.map(|key| self.world.heap.put(Cell::Text(key))))
            }
            Cell::Text(text) => {
                let found: Option<alloc::string::String> = text.chars().nth(place).map(Into::into);
                Ok(found.map(|text| self.world.heap.text(&text)))
            }
            _ => raise(ErrorKind::Type, format!("`for` cannot walk {}", self.world.describe(collection))),
        }
    }

    fn map(&mut self, pairs: &[Val]) -> Result<Val, Raise> {
        let mut made = BTreeMap::new();
        for pair in pairs.chunks_exact(2) {
            if let [key, value] = pair {
                made.insert(self.world.name_argument(*key)?, *value);
            }
        }
        Ok(self.world.heap.put(Cell::Map(Rc::new(made))))
    }

    fn make_object(&mut self, parent: Option<Val>, requires: Option<Vec<alloc::string::String>>) -> Result<Val, Raise> {
        let mut shape = Shape { requires, ..Shape::default() };
        if let Some(parent) = parent {
            let content = primitives::parent_content(&self.world, parent)?;
            let name = self.world.names.symbol("parent");
            shape.slots.push(Slot { name, content, private: false, constant: true, origin: None });
        }
        let shape = self.world.intern(shape);
        let id = self.world.new_object(shape, Vec::new());
        self.world.cell_mut(id)?.is_building = true;
        Ok(Val::Object(id))
    }

    /// A slot of an object whose literal is being evaluated.
    #[expect(clippy::too_many_arguments, reason = "what a slot is made of")]
    fn define(
        &mut self,
        outside: &mut Outside<'_>,
        code: &Code,
        object: Val,
        name: u16,
        flags: u8,
        content: Content,
        value: Option<Val>,
    ) -> Result<(), Raise> {
        let Val::Object(id) = object else { return Err(corrupt()) };
        let Some(Constant::Name(name)) = code.shared.constants.get(usize::from(name)) else { return Err(corrupt()) };
        if !self.world.cell(id)?.is_building {
            return raise(ErrorKind::Structure, "only a mirror changes an object that is whole");
        }
        if self.world.slot_of(id, *name)?.is_some() {
            let name = self.world.names.name(*name);
            return raise(ErrorKind::Structure, format!("two slots of one object are called `{name}`"));
        }
        let holds_authority = match value {
            Some(Val::Heap(id)) => matches!(self.world.heap.get(id), Cell::Capability(_)),
            _ => false,
        };
        let private = flags & PRIVATE != 0 || holds_authority;
        let constant = flags & CONSTANT != 0;
        primitives::put_slot(
            &mut self.world,
            outside,
            id,
            Slot { name: *name, content, private, constant, origin: None },
            value,
        )
    }

    fn compose(&mut self, outside: &mut Outside<'_>, object: Val, traits: Val) -> Result<(), Raise> {
        let Val::Object(id) = object else { return Err(corrupt()) };
        if !self.world.cell(id)?.is_building {
            return raise(ErrorKind::Structure, "only a mirror changes an object that is whole");
        }
        let composition = self.world.composition(traits, outside)?;
        primitives::compose(&mut self.world, outside, id, &composition)
    }

    /// What a method hands on.
    fn resend(
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
    fn assign(
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

    /// Ends the innermost `atomically`. After a conflict that may be tried again: the frame to go on in, and its stack.
    fn settle(&mut self, outside: &mut Outside<'_>) -> Result<Option<(Frame, usize)>, Raise> {
        let Some(mut atomic) = self.atomics.pop() else { return Err(corrupt()) };
        if atomic.joins {
            return Ok(None);
        }
        self.is_open = false;
        let committed = self.world.commit(outside);
        self.open(outside)?;
        match committed {
            Ok(_) => Ok(None),
            Err(raised) if raised.kind == ErrorKind::Conflict && atomic.tries < RETRIES => {
                atomic.tries += 1;
                self.frames.truncate(atomic.depth + 1);
                let Some(mut frame) = self.frames.pop() else { return Err(corrupt()) };
                frame.next = atomic.retry;
                self.handlers.truncate(atomic.handlers);
                let top = atomic.top;
                self.atomics.push(atomic);
                Ok(Some((frame, top)))
            }
            Err(raised) => Err(raised),
        }
    }

    fn transaction(&mut self, outside: &mut Outside<'_>, control: Control, argument: Val) -> Result<Val, Raise> {
        if !self.atomics.is_empty() && control != Control::Note {
            return raise(ErrorKind::Transaction, "`atomically` begins and ends its transaction by itself");
        }
        match control {
            Control::Begin if self.is_explicit => raise(ErrorKind::Transaction, "a transaction is open already"),
            Control::Begin => {
                self.renew(outside)?;
                self.is_explicit = true;
                Ok(Val::Nil)
            }
            Control::Note => {
                let text = match self.world.text_of(argument) {
                    Some(text) => text,
                    None => return raise(ErrorKind::Type, "a text is needed"),
                };
                outside.store.note(&text).map_err(|refused| self.world.refused(refused))?;
                Ok(Val::Nil)
            }
            _ if !self.is_explicit => {
                raise(ErrorKind::Transaction, "no transaction is open; `beginTransaction()` opens one")
            }
            Control::Commit => {
                (self.is_explicit, self.is_open) = (false, false);
                let committed = self.world.commit(outside);
                self.open(outside)?;
                committed.map(|tid| Val::Int(tid.cast_signed()))
            }
            _ => {
                (self.is_explicit, self.is_open) = (false, false);
                self.world.abort(outside);
                self.open(outside)?;
                Ok(Val::Nil)
            }
        }
    }

    /// Commits what the line has done so far, so that a transaction of its own begins here.
    fn renew(&mut self, outside: &mut Outside<'_>) -> Result<(), Raise> {
        self.is_open = false;
        let committed = self.world.commit(outside);
        self.open(outside)?;
        committed.map(|_| ())
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
