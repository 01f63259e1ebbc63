//! Names: locals, what blocks take along, and variables of the session.
//!
//! A name belongs to the whole function in which it is first assigned, whatever braces of `if` or `while` it stands in. A
//! block is a function of its own, and sees the names of the functions around it; a method sees none but its own. At the
//! prompt a new name is a variable of the session.

use alloc::string::String;
use alloc::vec::Vec;

use super::{Compiler, Result};
use crate::code::{Capture, Function, Operation};
use crate::verify::LOCAL_LIMIT;

#[derive(Clone, Copy, PartialEq)]
pub(super) enum Role {
    Program,
    Method,
    Block,
}

/// A function that is being compiled.
pub(super) struct Scope {
    pub role: Role,
    pub number: usize,
    pub function: Function,
    names: Vec<(String, u16)>,
    captured_names: Vec<String>,
    /// How many `atomically` are open around the place.
    pub atomic: usize,
}

/// Where a name leads.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Place {
    Local(u16),
    Boxed(u16),
    Captured(u16),
    Variable,
}

impl Compiler<'_> {
    pub(super) fn open(&mut self, role: Role, parameters: &[String]) -> Result<()> {
        let number = self.unit.functions.len();
        self.unit.functions.push(Function::default());
        let function = Function { parameters: parameters.len() as u8, ..Function::default() };
        self.scopes.push(Scope { role, number, function, names: Vec::new(), captured_names: Vec::new(), atomic: 0 });
        for parameter in parameters {
            self.new_local(parameter)?;
        }
        // What blocks share has to be in its box from the beginning, whichever way the function goes.
        let shared: Vec<u16> = self.captured.iter().filter(|(of, _)| *of == number).map(|(_, local)| *local).collect();
        for local in shared {
            self.emit(Operation::Box(local))?;
        }
        Ok(())
    }

    /// Ends the innermost function; its number.
    pub(super) fn close(&mut self) -> usize {
        let Some(scope) = self.scopes.pop() else { return 0 };
        if let Some(place) = self.unit.functions.get_mut(scope.number) {
            *place = scope.function;
        }
        scope.number
    }

    pub(super) fn emit(&mut self, operation: Operation) -> Result<usize> {
        let at = self.tokens.get(self.next.saturating_sub(1)).map_or(0, |token| token.start);
        self.emit_at(operation, at)
    }

    pub(super) fn emit_at(&mut self, operation: Operation, at: u32) -> Result<usize> {
        let Some(scope) = self.scopes.last_mut() else { return Ok(0) };
        let function = &mut scope.function;
        let number = function.operations.len();
        if function.positions.last().is_none_or(|(_, last)| *last != at) {
            function.positions.push((number as u32, at));
        }
        function.operations.push(operation);
        if number >= 60_000 {
            return self.error("this function is too long");
        }
        Ok(number)
    }

    pub(super) fn here(&self) -> u32 {
        self.scopes.last().map_or(0, |scope| scope.function.operations.len()) as u32
    }

    /// Lets a jump that was emitted lead here.
    pub(super) fn land(&mut self, jump: usize) {
        let here = self.here();
        let operations = self.scopes.last_mut().map(|scope| &mut scope.function.operations);
        if let Some(
            Operation::Jump(to)
            | Operation::JumpIfFalse(to)
            | Operation::And(to)
            | Operation::Or(to)
            | Operation::Next(to)
            | Operation::Try(to),
        ) = operations.and_then(|operations| operations.get_mut(jump))
        {
            *to = here;
        }
    }

    /// A local of the innermost function. An empty name is one that no source can say.
    pub(super) fn new_local(&mut self, name: &str) -> Result<u16> {
        let Some(scope) = self.scopes.last_mut() else { return Ok(0) };
        let number = scope.function.locals;
        if number >= LOCAL_LIMIT {
            return self.error("too many names in one function");
        }
        scope.function.locals += 1;
        scope.names.push((name.into(), number));
        Ok(number)
    }

    /// Where a name leads, if it leads anywhere.
    pub(super) fn resolve(&mut self, name: &str) -> Option<Place> {
        let innermost = self.scopes.len().checked_sub(1)?;
        if let Some(place) = self.resolve_in(innermost, name) {
            return Some(place);
        }
        let in_program = self.scopes.first().is_some_and(|scope| scope.role == Role::Program);
        let is_variable = in_program && ((self.known)(name) || self.variables.iter().any(|known| known == name));
        is_variable.then_some(Place::Variable)
    }

    fn resolve_in(&mut self, at: usize, name: &str) -> Option<Place> {
        let scope = self.scopes.get(at)?;
        if let Some((_, local)) = scope.names.iter().find(|(known, _)| known == name) {
            let shared = self.captured.contains(&(scope.number, *local));
            return Some(if shared { Place::Boxed(*local) } else { Place::Local(*local) });
        }
        if let Some(place) = scope.captured_names.iter().position(|known| known == name) {
            return Some(Place::Captured(place as u16));
        }
        if scope.role != Role::Block {
            return None;
        }
        let around = at.checked_sub(1)?;
        let capture = match self.resolve_in(around, name)? {
            Place::Local(local) | Place::Boxed(local) => {
                let number = self.scopes.get(around)?.number;
                self.captured.insert((number, local));
                Capture::Local(local)
            }
            Place::Captured(index) => Capture::Captured(index),
            Place::Variable => return Some(Place::Variable),
        };
        let scope = self.scopes.get_mut(at)?;
        scope.captured_names.push(name.into());
        scope.function.captures.push(capture);
        Some(Place::Captured((scope.captured_names.len() - 1) as u16))
    }

    /// A name that is written: where it leads, or a new one of the innermost function.
    pub(super) fn target(&mut self, name: &str) -> Result<Place> {
        if let Some(place) = self.resolve(name) {
            return Ok(place);
        }
        if self.scopes.last().is_some_and(|scope| scope.role == Role::Program) {
            self.variables.push(name.into());
            return Ok(Place::Variable);
        }
        self.fresh(name)
    }

    /// A local of the innermost function under a name, with a box of its own where blocks share it.
    pub(super) fn fresh(&mut self, name: &str) -> Result<Place> {
        let innermost = self.scopes.len().saturating_sub(1);
        let own =
            self.scopes.last().and_then(|scope| scope.names.iter().find(|(known, _)| known == name).map(|(_, n)| *n));
        let local = match own {
            Some(local) => local,
            None => self.new_local(name)?,
        };
        let number = self.scopes.get(innermost).map_or(0, |scope| scope.number);
        if self.captured.contains(&(number, local)) {
            self.emit(Operation::Box(local))?;
            return Ok(Place::Boxed(local));
        }
        Ok(Place::Local(local))
    }

    pub(super) fn read(&mut self, place: Place, name: &str) -> Result<()> {
        let operation = match place {
            Place::Local(local) => Operation::Local(local),
            Place::Boxed(local) => Operation::Boxed(local),
            Place::Captured(index) => Operation::Captured(index),
            Place::Variable => Operation::Variable(self.name_literal(name)?),
        };
        self.emit(operation).map(|_| ())
    }

    pub(super) fn write(&mut self, place: Place, name: &str) -> Result<()> {
        let operation = match place {
            Place::Local(local) => Operation::SetLocal(local),
            Place::Boxed(local) => Operation::SetBoxed(local),
            Place::Captured(index) => Operation::SetCaptured(index),
            Place::Variable => Operation::SetVariable(self.name_literal(name)?),
        };
        self.emit(operation).map(|_| ())
    }
}
